// Libraries of kernels through the library's interface: wrong calls, what cannot be built, running
// out of memory.
#include "common.h"

static const char text[] = "kernel scale(x: f32[N], bias: f32[N]?, a: f32 = 2) -> (y: f32[N]) {\n"
                           "    tile n in N { y[n] = a * x[n] + bias[n]; }\n}\n";
static const char absent[] = "kernel scale(x: f32[N], bias: f32[N]? = 0, a: f32 = 2) "
                             "-> (y: f32[N]) {\n"
                             "    tile n in N { y[n] = a * x[n] + bias[n]; }\n}\n";

static hk_status build(Fixture *f, hk_build_options *options, hk_build **made)
{
    hk_error_free(f->error);
    return hk_build_create(f->context, options, made, &f->error);
}

START_TEST(gives_all_artifacts)
{
    Fixture f = fixture(absent);
    hk_dim dims[] = {{"N", 64}};
    hk_build_variant variants[] = {{.dims = dims, .dim_count = 1}, {.optional = true}};
    hk_build_kernel kernel = {
        .kernel = f.kernel, .symbol = "my_scale", .variants = variants, .variant_count = 2};
    hk_build_options o = {
        .struct_size = sizeof o, .name = "mine", .kernels = &kernel, .kernel_count = 1};
    hk_build *made;
    ck_ok(build(&f, &o, &made), &f.error);
    hk_text *header, *object;
    ck_ok(hk_build_artifact(made, HK_ARTIFACT_HEADER, &header, &f.error), &f.error);
    ck_assert(strstr(hk_text_data(header), "Built for N=64 or any sizes"));
    ck_assert(strstr(hk_text_data(header), "hako_status my_scale(const DLTensor *x, const DLTensor "
                                           "*bias, float a, const DLTensor *y, hako_error"));
    ck_assert(strstr(hk_text_data(header), "void mine_setup("));
    for (int k = HK_ARTIFACT_OBJECT; k <= HK_ARTIFACT_ASM; k++) {
        ck_ok(hk_build_artifact(made, (hk_artifact)k, &object, &f.error), &f.error);
        ck_assert(hk_text_length(object) > 100);
        hk_text_free(object);
    }
    hk_text_free(header);
    hk_build_free(made);
    fixture_free(&f);
}
END_TEST

// Of five optional tensors there are too many choices for code for all; those asked for are built.
START_TEST(chosen_optionals)
{
    Fixture f = fixture("kernel five(x: f32[N], a: f32[N]? = 0, b: f32[N]? = 0, c: f32[N]? = 0, "
                        "d: f32[N]? = 0, e: f32[N]? = 0) -> (y: f32[N]) {"
                        " tile n in N { y[n] = x[n] + a[n] + b[n] + c[n] + d[n] + e[n]; } }");
    hk_build_kernel kernel = {.kernel = f.kernel};
    hk_build_options o = {
        .struct_size = sizeof o, .name = "mine", .kernels = &kernel, .kernel_count = 1};
    hk_build *made;
    ck_assert(build(&f, &o, &made) == HK_ERROR_DIAGNOSTICS && !made);
    expect_message(&f, "five has 5 optional tensors");
    kernel.choice_count = 3;
    ck_assert(build(&f, &o, &made) == HK_ERROR_USAGE && !made);
    kernel.choices = (const char *const[]){"e,a", "", "a,e"}; // the last is the first
    ck_ok(build(&f, &o, &made), &f.error);
    hk_build_free(made);
    static const char *const wrong[] = {"a,z", "x", "a,,b", "aa", "y"};
    kernel.choice_count = 1;
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        kernel.choices = &wrong[k];
        ck_assert(build(&f, &o, &made) == HK_ERROR_DIAGNOSTICS && !made);
        expect_message(&f, "five has no optional tensor '");
    }
    fixture_free(&f);
}
END_TEST

START_TEST(refuses)
{
    Fixture f = fixture(text);
    hk_build_kernel kernel = {.kernel = f.kernel};
    hk_build_options o = {
        .struct_size = sizeof o, .name = "mine", .kernels = &kernel, .kernel_count = 1};
    hk_build *made;
    hk_text *object;
    ck_assert(build(&f, &o, &made) == HK_ERROR_DIAGNOSTICS && !made); // bias has no default
    ck_assert(build(&f, NULL, &made) == HK_ERROR_USAGE && !made);
    ck_assert(build(&f, &o, NULL) == HK_ERROR_USAGE);
    o.struct_size--;
    ck_assert(build(&f, &o, &made) == HK_ERROR_USAGE);
    o.struct_size++;
    o.kernel_count = 0;
    ck_assert(build(&f, &o, &made) == HK_ERROR_USAGE);
    o.kernel_count = 1;
    o.triple = "z80-linux-gnu";
    ck_assert(build(&f, &o, &made) == HK_ERROR_DIAGNOSTICS);
    expect_message(&f, "z80-linux-gnu");
    o.triple = NULL;
    o.cpus = "x86-64-v3,wrong";
    ck_assert(build(&f, &o, &made) == HK_ERROR_DIAGNOSTICS);
    o.cpus = NULL;
    o.name = "1st";
    ck_assert(build(&f, &o, &made) == HK_ERROR_DIAGNOSTICS);
    ck_assert(hk_build_artifact(NULL, HK_ARTIFACT_OBJECT, &object, NULL) == HK_ERROR_USAGE);
    ck_assert(strcmp(hk_module_file(f.module, 0), "test.hk") == 0);
    ck_assert(!hk_module_file(f.module, 1) && !hk_module_file(NULL, 0));
    hk_build_free(NULL);
    fixture_free(&f);
}
END_TEST

// ---- memory

typedef struct Host {
    long left, used; // allocations until one fails; bytes in use
} Host;

static void *host_resize(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    Host *host = self;
    if (new_bytes && host->left-- == 0) return NULL;
    host->used += (long)new_bytes - (long)old_bytes;
    if (new_bytes) return realloc(p, new_bytes);
    free(p);
    return NULL;
}

// Of more than a thousand (with HAKO_ARENA_EXACT) some.
START_TEST(each_allocation_fails_once)
{
    Host host = {.left = -1};
    hk_context_options options = {.struct_size = sizeof options, .allocator = {host_resize, &host}};
    Fixture f = fixture_with(&options, absent);
    long before = host.used;
    hk_build_kernel kernel = {.kernel = f.kernel};
    hk_build_options o = {.struct_size = sizeof o,
                          .name = "mine",
                          .cpus = "x86-64-v3",
                          .triple = "x86_64-linux-gnu",
                          .kernels = &kernel,
                          .kernel_count = 1};
    hk_build *made = NULL;
    hk_status status = HK_ERROR_MEMORY;
    for (long k = 0; status != HK_OK && k < 1000000; k += k < 1000 ? 1 : k / 16) {
        host.left = k;
        hk_error *error;
        status = hk_build_create(f.context, &o, &made, &error);
        host.left = -1;
        ck_assert(status == HK_OK || (status == HK_ERROR_MEMORY && !made));
        hk_error_free(error);
        if (status != HK_OK) ck_assert(host.used == before);
    }
    ck_assert(status == HK_OK);
    hk_build_free(made);
    ck_assert(host.used == before);
    fixture_free(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("build");
    TCase *tests = tcase_create("build");
    tcase_set_timeout(tests, 600);
    tcase_add_test(tests, gives_all_artifacts);
    tcase_add_test(tests, chosen_optionals);
    tcase_add_test(tests, refuses);
    tcase_add_test(tests, each_allocation_fails_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}

// The library through its header alone: reflection, forms, the host's allocator and threads,
// running out of memory, verification.
#include "tests/api/common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

START_TEST(reflection)
{
    Fixture f = fixture("kernel k<T: float, C: i64 = 64>(x: T[..P, 2 * M + 1], bias: f32[M]?, "
                        "inout z: f32[4], s: f32 = 2)"
                        " -> (y: T[..P, M], n: f32) where Q = M {"
                        " tile p in ..P, m in M { y[p, m] = x[p, m]; } }"
                        "shapes k { test P = 3, M = 4; P = 50 * 2, M = 200, T = bf16; }");
    ck_assert_str_eq(hk_kernel_name(f.kernel), "k");
    ck_assert_uint_eq(hk_kernel_param_count(f.kernel), 6);
    hk_param p = {.struct_size = sizeof p};
    ck_assert_int_eq(hk_kernel_param(f.kernel, 0, &p), HK_OK);
    ck_assert_str_eq(p.name, "x");
    ck_assert_str_eq(p.type, "T");
    ck_assert_int_eq(p.kind, HK_PARAM_IN);
    ck_assert_uint_eq(p.dim_count, 2);
    ck_assert_str_eq(p.dims[0], "..P");
    ck_assert_str_eq(p.dims[1], "2 * M + 1");
    ck_assert_int_eq(p.pack, 0);
    hk_kernel_param(f.kernel, 1, &p);
    ck_assert(p.optional);
    hk_kernel_param(f.kernel, 2, &p);
    ck_assert_int_eq(p.kind, HK_PARAM_INOUT);
    hk_kernel_param(f.kernel, 3, &p);
    ck_assert_int_eq(p.kind, HK_PARAM_SCALAR);
    hk_kernel_param(f.kernel, 5, &p);
    ck_assert_int_eq(p.kind, HK_PARAM_OUT);
    ck_assert_int_eq(p.pack, -1);
    ck_assert_int_eq(hk_kernel_param(f.kernel, 6, &p), HK_ERROR_USAGE);
    hk_template t = {.struct_size = sizeof t};
    ck_assert_int_eq(hk_kernel_template(f.kernel, 1, &t), HK_OK);
    ck_assert_str_eq(t.name, "C");
    ck_assert_str_eq(t.initial, "64");
    bool test;
    ck_assert_uint_eq(hk_kernel_shape_count(f.kernel), 2);
    ck_assert_str_eq(hk_kernel_shape(f.kernel, 1, &test), "P = 100, M = 200, T = bf16");
    ck_assert(!test);
    fixture_free(&f);
}
END_TEST

static const char *const matmul =
    "kernel mm<T: float>(a: T[M, K], b: T[K, N]) -> (c: f32[M, N]) {"
    " tile m in M, n in N { c[m, n] = sum[k in K](a[m, k] * b[k, n]); } }";

// Without arguments: dims decide; shapes, cost and every form can be asked for.
START_TEST(forms_and_cost)
{
    Fixture f = fixture(matmul);
    hk_dim dims[] = {{"M", 64}, {"N", 48}, {"K", 32}};
    hk_define bf16 = {"T", "bf16"};
    hk_specialize_options options = {.struct_size = sizeof options,
                                     .dims = dims,
                                     .dim_count = 3,
                                     .defines = &bf16,
                                     .define_count = 1,
                                     .config = "tile_m = 16, tile_n = 16"};
    hk_exec *exec;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
    hk_exec_param_info info = {.struct_size = sizeof info};
    ck_assert_int_eq(hk_exec_param(exec, 2, &info), HK_OK);
    ck_assert_int_eq(info.ndim, 2);
    ck_assert_int_eq(info.shape[0], 64);
    ck_assert_int_eq(info.shape[1], 48);
    hk_exec_param(exec, 0, &info);
    ck_assert_str_eq(info.dtype_name, "bf16");
    hk_cost cost = {.struct_size = sizeof cost};
    ck_assert_int_eq(hk_exec_cost(exec, &cost), HK_OK);
    ck_assert_double_eq(cost.flops, 2.0 * 64 * 48 * 32);
    ck_assert_double_eq(cost.bytes, 2.0 * (64 * 32 + 32 * 48) + 4.0 * 64 * 48);
    for (int form = HK_FORM_TILE; form <= HK_FORM_CONFIG; form++) {
        hk_text *text;
        if (form == HK_FORM_OPENCL) continue; // of an exec for OpenCL, below
        ck_ok(hk_exec_text(exec, (hk_form)form, &text, &f.error), &f.error);
        ck_assert_uint_gt(hk_text_length(text), 10);
        if (form == HK_FORM_CONFIG)
            ck_assert_ptr_nonnull(strstr(hk_text_data(text), "tile_m = 16"));
        hk_text_free(text);
    }
    double ms;
    ck_assert_str_eq(hk_exec_timing(exec, 0, &ms), "parse");
    hk_exec *again;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &again, &f.error), &f.error);
    ck_assert_ptr_eq(exec, again); // from the cache
    hk_exec_free(again);
    hk_text *text;
    ck_assert_int_eq(hk_exec_text(exec, HK_FORM_OPENCL, &text, &f.error), HK_ERROR_DIAGNOSTICS);
    ck_assert_ptr_nonnull(strstr(hk_error_message(f.error), "not for OpenCL"));
    hk_error_free(f.error);
    options.target = HK_TARGET_OPENCL;
    options.device = HK_DEVICE_NONE;
    options.stage = HK_STAGE_LOOP;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &again, &f.error), &f.error);
    ck_ok(hk_exec_text(again, HK_FORM_OPENCL, &text, &f.error), &f.error);
    ck_assert_ptr_nonnull(strstr(hk_text_data(text), "__kernel"));
    hk_text_free(text);
    hk_exec_free(again);
    options.target = HK_TARGET_CPU;
    options.stage = HK_STAGE_RUN;
    hk_exec_free(exec);
    options.dim_count = 2;
    ck_assert_int_eq(hk_kernel_specialize(f.kernel, &options, &exec, &f.error),
                     HK_ERROR_DIAGNOSTICS);
    expect_message(&f, "K");
    fixture_free(&f);
}
END_TEST

// What a `serial for` repeats counts once for each turn.
START_TEST(cost_of_turns)
{
    Fixture f = fixture("kernel sums(x: f32[T, N]) -> (y: f32[N] = 0) {"
                        " serial for t in T { tile n in N { y[n] += x[t, n]; } } }");
    hk_dim dims[] = {{"T", 10}, {"N", 48}};
    hk_specialize_options options = {
        .struct_size = sizeof options, .dims = dims, .dim_count = 2, .config = ""};
    hk_exec *exec;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
    hk_cost cost = {.struct_size = sizeof cost};
    ck_assert_int_eq(hk_exec_cost(exec, &cost), HK_OK);
    ck_assert_double_eq(cost.flops, 10.0 * 48);
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

// Parts of a range that follow from another index count for each of these.
START_TEST(cost_of_parts)
{
    Fixture f =
        fixture("kernel sums(x: f32[L, F]) -> (y: f32[8, F]) {"
                " tile c in 8, f in F { let n = cdiv(L, 8);"
                " y[c, f] = sum[j in c * n .. min((c + 1) * n, L)](x[j, f] * x[j, f]); } }");
    hk_dim dims[] = {{"L", 800}, {"F", 16}};
    hk_specialize_options options = {
        .struct_size = sizeof options, .dims = dims, .dim_count = 2, .config = ""};
    hk_exec *exec;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
    hk_cost cost = {.struct_size = sizeof cost};
    ck_assert_int_eq(hk_exec_cost(exec, &cost), HK_OK);
    ck_assert_double_eq(cost.flops, 2.0 * 800 * 16);
    ck_assert_double_eq(cost.bytes, 4.0 * (800 * 16 + 8 * 16));
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

// Sequences whose lengths are data have their mean length, once for each of them.
START_TEST(cost_of_sequences)
{
    Fixture f = fixture("kernel sums(x: f32[L, F], off: i64[B + 1] partition L) -> (y: f32[B, F]) {"
                        " tile b in B, f in F { axis j in off[b] .. off[b + 1];"
                        " y[b, f] = sum[j](x[j, f]); } }");
    hk_dim dims[] = {{"L", 1000}, {"F", 16}, {"B", 50}};
    hk_specialize_options options = {
        .struct_size = sizeof options, .dims = dims, .dim_count = 3, .config = "tile_b = 5"};
    hk_exec *exec;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
    hk_cost cost = {.struct_size = sizeof cost};
    ck_assert_int_eq(hk_exec_cost(exec, &cost), HK_OK);
    ck_assert_double_eq(cost.flops, 1000.0 * 16);
    ck_assert(!cost.exact);
    hk_estimate estimate = {.struct_size = sizeof estimate};
    ck_assert_int_eq(hk_exec_estimate(exec, &estimate), HK_OK);
    ck_assert(!estimate.exact);
    ck_assert_double_gt(estimate.seconds, 0);
    ck_assert_str_eq(estimate.limits[0].name, "arithmetic");
    ck_assert_double_gt(estimate.limits[0].seconds, 0);
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

static void fill(float *data, int count)
{
    for (int i = 0; i < count; i++) data[i] = (float)((i * 37) % 101) / 101.0f;
}

START_TEST(verification)
{
    Fixture f = fixture(matmul);
    static float a[70 * 90], b[90 * 50], c[70 * 50];
    fill(a, 70 * 90);
    fill(b, 90 * 50);
    int64_t as[2] = {70, 90}, bs[2] = {90, 50}, cs[2] = {70, 50};
    DLTensor ta = tensor_of(a, 2, as), tb = tensor_of(b, 2, bs), tc = tensor_of(c, 2, cs);
    hk_arg args[] = {hk_tensor("a", &ta), hk_tensor("b", &tb), hk_tensor("c", &tc)};
    hk_specialize_options options = {.struct_size = sizeof options, .args = args, .arg_count = 3};
    hk_exec *exec;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
    hk_verify_result result = {.struct_size = sizeof result};
    ck_ok(hk_exec_verify(exec, args, 3, NULL, &result, &f.error), &f.error);
    ck_assert_int_eq(result.tiles_run, result.tiles_total);
    ck_assert_uint_eq(result.output_count, 1);
    ck_assert_int_eq(result.outputs[0].compared, 70 * 50);
    hk_verify_options strict = {.struct_size = sizeof strict, .atol = 1e-30};
    hk_status status = hk_exec_verify(exec, args, 3, &strict, &result, &f.error);
    ck_assert(status == HK_ERROR_MISMATCH || result.outputs[0].error_max == 0);
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

// ---- the host's own threads and memory

typedef struct Host {
    atomic_int pieces, notes;
    atomic_llong balance; // bytes in use
    atomic_int countdown; // allocations until one fails; negative: never
} Host;

static void host_parallel_for(void *self, int64_t count, void (*body)(void *arg, int64_t index),
                              void *arg)
{
    Host *host = self;
    for (int64_t i = count; i-- > 0;) {
        atomic_fetch_add(&host->pieces, 1);
        body(arg, i);
    }
}

static void host_log(void *self, hk_severity severity, const char *message)
{
    Host *host = self;
    if (severity == HK_NOTE && strstr(message, "compiled kernel mm"))
        atomic_fetch_add(&host->notes, 1);
}

static void *host_resize(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    Host *host = self;
    if (new_bytes == 0) {
        atomic_fetch_sub(&host->balance, (long long)old_bytes);
        free(p);
        return NULL;
    }
    if (atomic_load(&host->countdown) >= 0 && atomic_fetch_sub(&host->countdown, 1) == 0)
        return NULL;
    void *grown = realloc(p, new_bytes);
    if (grown) atomic_fetch_add(&host->balance, (long long)new_bytes - (long long)old_bytes);
    return grown;
}

static hk_status run_once(Host *host, hk_error **error)
{
    static float a[70 * 90], b[90 * 50], c[70 * 50];
    fill(a, 70 * 90);
    fill(b, 90 * 50);
    int64_t as[2] = {70, 90}, bs[2] = {90, 50}, cs[2] = {70, 50};
    DLTensor ta = tensor_of(a, 2, as), tb = tensor_of(b, 2, bs), tc = tensor_of(c, 2, cs);
    hk_arg args[] = {hk_tensor("a", &ta), hk_tensor("b", &tb), hk_tensor("c", &tc)};
    hk_context_options options = {.struct_size = sizeof options,
                                  .allocator = {host_resize, host},
                                  .parallel_for = host_parallel_for,
                                  .parallel_for_self = host,
                                  .log = host_log,
                                  .log_self = host,
                                  .threads = 3};
    hk_context *context = NULL;
    hk_module *module = NULL;
    hk_status status = hk_context_create(&options, &context, error);
    if (!status)
        status = hk_module_load_text(context, "mm.hk", matmul, HK_TERMINATED, &module, error);
    if (!status) status = hk_kernel_run(hk_module_kernel(module, 0), args, 3, error);
    hk_context_free(context); // the order of freeing is free
    hk_module_free(module);
    return status;
}

START_TEST(host_threads_and_memory)
{
    Host host = {.countdown = -1};
    hk_error *error = NULL;
    ck_ok(run_once(&host, &error), &error);
    ck_assert_int_gt(atomic_load(&host.pieces), 0);
    ck_assert_int_eq(atomic_load(&host.notes), 1);
    ck_assert_int_eq(atomic_load(&host.balance), 0);
}
END_TEST

// Every allocation fails once, of more than a thousand (with HAKO_ARENA_EXACT) some; the status
// says so, and nothing is leaked.
START_TEST(out_of_memory)
{
    for (int n = 0; n < 1000000; n += n < 1000 ? 1 : n / 16) {
        Host host = {.countdown = n};
        hk_error *error = NULL;
        hk_status status = run_once(&host, &error);
        hk_error_free(error);
        ck_assert_msg(status == HK_OK || status == HK_ERROR_MEMORY, "allocation %d: status %d", n,
                      (int)status);
        ck_assert_msg(atomic_load(&host.balance) == 0, "allocation %d: %lld bytes left", n,
                      atomic_load(&host.balance));
        if (status == HK_OK) {
            ck_assert_int_gt(n, 5);
            return;
        }
    }
    ck_abort_msg("never enough memory");
}
END_TEST

START_TEST(ir_and_config_text)
{
    Fixture f = fixture(matmul);
    hk_text *text;
    ck_ok(hk_config_normalize(f.context, "b=2;\n a = 1 // x", &text, &f.error), &f.error);
    ck_assert_str_eq(hk_text_data(text), "b = 2, a = 1");
    hk_text_free(text);
    ck_assert_int_eq(hk_config_normalize(f.context, "b = = 2", &text, &f.error),
                     HK_ERROR_DIAGNOSTICS);
    ck_assert_ptr_null(text);
    expect_message(&f, "HK0801");
    ck_assert_int_eq(hk_ir_opt(f.context, "x.tile", "hako tile nonsense", HK_TERMINATED, NULL,
                               &text, NULL, &f.error),
                     HK_ERROR_DIAGNOSTICS);
    expect_message(&f, "x.tile:1");
    for (size_t i = 0; hk_explain_number(i); i++)
        ck_assert_ptr_nonnull(hk_explain(hk_explain_number(i)));
    ck_assert_ptr_null(hk_explain(9999));
    fixture_free(&f);
}
END_TEST

// Of the config blocks that fit the target and the sizes, the last one counts.
START_TEST(config_blocks)
{
    Fixture f = fixture("kernel k(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = x[n]; } }"
                        "config k on \"cpu\" { tile_n = 3; }"
                        "config k on \"opencl\" { tile_n = 5; }"
                        "config k on \"x86-64 avx512\" { tile_n = 7; }"
                        "config k when N > 1000 { tile_n = 9; }");
    int64_t of_cpu = 3;
#if defined(__x86_64__)
    hk_text *about;
    ck_ok(hk_context_describe(f.context, &about, &f.error), &f.error);
    if (strstr(hk_text_data(about), "\"vector_bytes\": 64")) of_cpu = 7;
    hk_text_free(about);
#endif
    static const int64_t sizes[] = {1000, 2000};
    for (size_t i = 0; i < 2; i++) {
        hk_dim dim = {"N", sizes[i]};
        hk_specialize_options options = {
            .struct_size = sizeof options, .dims = &dim, .dim_count = 1, .stage = HK_STAGE_LOOP};
        hk_exec *exec;
        hk_text *text;
        ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
        ck_ok(hk_exec_text(exec, HK_FORM_CONFIG, &text, &f.error), &f.error);
        char expect[32];
        snprintf(expect, sizeof expect, "tile_n = %lld", i ? 9LL : (long long)of_cpu);
        ck_assert_ptr_nonnull(strstr(hk_text_data(text), expect));
        hk_text_free(text);
        hk_exec_free(exec);
    }
    fixture_free(&f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("library");
    TCase *c = tcase_create("library");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, reflection);
    tcase_add_test(c, forms_and_cost);
    tcase_add_test(c, cost_of_turns);
    tcase_add_test(c, cost_of_parts);
    tcase_add_test(c, cost_of_sequences);
    tcase_add_test(c, verification);
    tcase_add_test(c, host_threads_and_memory);
    tcase_add_test(c, out_of_memory);
    tcase_add_test(c, ir_and_config_text);
    tcase_add_test(c, config_blocks);
    suite_add_tcase(s, c);
    return run_suite(s);
}

// Compiled code on disk: found again, and never trusted further than it can be checked.
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/api/common.h"

static char folder[64];
static const char *named; // to the library
static hk_target target;

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/hako-cache-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    named = folder;
    target = HK_TARGET_CPU;
}

static void setup_opencl(void)
{
    setup();
    target = HK_TARGET_OPENCL;
}

// Asked in the test's own process: a driver's threads do not survive a fork.
static bool lacks_device(void)
{
    if (target != HK_TARGET_OPENCL) return false;
    hk_context *context;
    hk_text *about;
    ck_assert(hk_context_create(NULL, &context, NULL) == HK_OK);
    ck_assert(hk_context_describe(context, &about, NULL) == HK_OK);
    bool lacks = strstr(hk_text_data(about), "\"opencl\": []") != NULL;
    hk_text_free(about);
    hk_context_free(context);
    return lacks;
}

// The only file of the folder; false if there is none.
static bool only_file(char *path, size_t bytes)
{
    DIR *list = opendir(folder);
    bool found = false;
    for (const struct dirent *d; list && (d = readdir(list)) != NULL;) {
        if (d->d_name[0] == '.') continue;
        ck_assert(!found);
        found = true;
        snprintf(path, bytes, "%s/%s", folder, d->d_name);
    }
    if (list) closedir(list);
    return found;
}

static void teardown(void)
{
    char path[512];
    chmod(folder, 0700);
    if (only_file(path, sizeof path)) unlink(path);
    rmdir(folder);
}

// Runs a kernel in a context of its own and checks the result. True if its code was compiled here.
static bool compiles(float factor)
{
    char text[200];
    snprintf(text, sizeof text,
             "kernel f(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = exp(x[n]) * %g; } }",
             (double)factor);
    hk_context_options host = {.struct_size = sizeof host, .code_cache = named};
    Fixture f = fixture_with(&host, text);
    float x[37], y[37];
    for (int i = 0; i < 37; i++) x[i] = 0;
    int64_t shape[1] = {37};
    DLTensor tx = tensor_of(x, 1, shape), ty = tensor_of(y, 1, shape);
    hk_arg args[] = {hk_tensor("x", &tx), hk_tensor("y", &ty)};
    hk_specialize_options options = {
        .struct_size = sizeof options, .args = args, .arg_count = 2, .target = target};
    hk_exec *exec = NULL;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
    ck_ok(hk_exec_run(exec, args, 2, &f.error), &f.error);
    for (int i = 0; i < 37; i++) ck_assert_float_eq(y[i], factor);
    bool compiled = false;
    double ms;
    const char *name;
    for (size_t k = 0; (name = hk_exec_timing(exec, k, &ms)) != NULL; k++)
        compiled |= strcmp(name, "llvm codegen") == 0 || strcmp(name, "opencl") == 0;
    hk_exec_free(exec);
    fixture_free(&f);
    return compiled;
}

static bool can_save(void) // code for this machine, unless a sanitizer has instrumented it
{
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    return true;
#else
    return target == HK_TARGET_OPENCL;
#endif
}

START_TEST(code_is_found_again)
{
    char path[512];
    if (lacks_device()) return;
    ck_assert(compiles(2));
    if (!can_save()) return;
    ck_assert(only_file(path, sizeof path));
    ck_assert(!compiles(2));
    named = NULL;
    ck_assert(compiles(2));
    named = "";
    ck_assert(compiles(2));
}
END_TEST

static char *read_file(const char *path, long *bytes)
{
    FILE *file = fopen(path, "rb");
    fseek(file, 0, SEEK_END);
    *bytes = ftell(file);
    rewind(file);
    char *data = malloc((size_t)*bytes);
    ck_assert(fread(data, 1, (size_t)*bytes, file) == (size_t)*bytes);
    fclose(file);
    return data;
}

static void write_file(const char *path, const char *data, long bytes)
{
    FILE *file = fopen(path, "wb");
    ck_assert(fwrite(data, 1, (size_t)bytes, file) == (size_t)bytes);
    fclose(file);
}

START_TEST(damaged_files_count_as_absent)
{
    char path[512];
    if (lacks_device()) return;
    ck_assert(compiles(3));
    if (!can_save()) return;
    ck_assert(only_file(path, sizeof path));
    long bytes;
    char *data = read_file(path, &bytes);
    long flips = target == HK_TARGET_OPENCL ? 8 : 60; // where compiling takes a second
    for (long at = 0; at < bytes; at += 1 + bytes / flips) {
        data[at] ^= 0x55;
        write_file(path, data, bytes);
        data[at] ^= 0x55;
        ck_assert_msg(compiles(3), "byte %ld", at); // and writes it anew
        ck_assert(!compiles(3));
    }
    for (long shorter = 0; shorter < bytes; shorter += 1 + bytes / (flips / 6)) {
        write_file(path, data, shorter);
        ck_assert(compiles(3));
    }
    free(data);
}
END_TEST

START_TEST(folders_that_cannot_be_used)
{
    char path[512];
    if (lacks_device()) return;
    chmod(folder, 0777); // anybody could put code there
    ck_assert(compiles(4));
    ck_assert(!only_file(path, sizeof path));
    if (geteuid() != 0) {
        chmod(folder, 0500);
        ck_assert(compiles(4));
        ck_assert(!only_file(path, sizeof path));
    }
    chmod(folder, 0700);
    named = "/proc/none/hako";
    ck_assert(compiles(4));
    named = "/dev/null";
    ck_assert(compiles(4));
    named = folder;
    ck_assert(compiles(4));
    if (!can_save()) return;
    ck_assert(only_file(path, sizeof path));
    chmod(path, 0666);
    ck_assert(compiles(4));
    ck_assert(unlink(path) == 0 && mkdir(path, 0700) == 0); // something else has that name
    ck_assert(compiles(4));
    rmdir(path);
}
END_TEST

// As on a full disk: what was begun is removed, and code is compiled each time.
START_TEST(a_file_that_cannot_be_finished)
{
    char path[512];
    struct rlimit before, small;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert(compiles(5));
    ck_assert(!only_file(path, sizeof path));
    ck_assert(compiles(5));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert(compiles(5));
    if (can_save()) ck_assert(!compiles(5));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("cache");
    TCase *c = tcase_create("cache");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, code_is_found_again);
    tcase_add_test(c, damaged_files_count_as_absent);
    tcase_add_test(c, folders_that_cannot_be_used);
    tcase_add_test(c, a_file_that_cannot_be_finished);
    suite_add_tcase(s, c);
    TCase *o = tcase_create("opencl");
    tcase_set_timeout(o, 300);
    tcase_add_checked_fixture(o, setup_opencl, teardown);
    tcase_add_test(o, code_is_found_again);
    tcase_add_test(o, damaged_files_count_as_absent);
    tcase_add_test(o, folders_that_cannot_be_used);
    suite_add_tcase(s, o);
    return s;
}

int main(void)
{
    return run_suite(suite());
}

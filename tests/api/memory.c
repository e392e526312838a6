// Running out of memory: kernels are loaded, compiled, looked at, run and freed, over and over, and
// each time another allocation fails. The status says so; no byte, file or lock is left behind.
//
// HAKO_SWEEP=N: how many failures are tried with each kernel; 0: each allocation. (LLVM, SQLite and
// drivers of OpenCL have their own memory, which this cannot touch.)
#include "tests/api/common.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { SWEEP = 24, ARGS_MOST = 12 };

typedef struct Case {
    const char *file, *kernel;
    hk_dim dims[6];
} Case;

static const Case cases[] = {
    {"samples/softmax.hk", "softmax", {{"P", 5}, {"N", 65}}},
    {"samples/matmul.hk", "matmul", {{"M", 70}, {"N", 50}, {"K", 90}}},
    {"samples/attention.hk", "attention", {{"B", 2}, {"S", 33}, {"L", 40}, {"D", 16}, {"E", 16}}},
    {"samples/embedding.hk", "embedding", {{"P", 7}, {"V", 10}, {"D", 12}}},
    {"samples/other/lstm.hk", "lstm", {{"L", 3}, {"B", 5}, {"I", 7}, {"H", 9}}},
};
enum { CASES = sizeof cases / sizeof *cases };

// ---- a host whose memory runs out

typedef struct Host {
    atomic_llong balance;   // bytes in use
    atomic_long allocations; // so far
    long fails;              // the number of the one that fails; -1: none
} Host;

static void *host_resize(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    Host *host = self;
    if (new_bytes && atomic_fetch_add(&host->allocations, 1) == host->fails) return NULL;
    void *grown = realloc(p, new_bytes ? new_bytes : 1);
    if (!new_bytes) free(grown);
    if (new_bytes && !grown) return NULL;
    atomic_fetch_add(&host->balance, (long long)new_bytes - (long long)old_bytes);
    return new_bytes ? grown : NULL;
}

static void host_log(void *self, hk_severity severity, const char *message)
{
    (void)self, (void)severity, (void)message;
}

static int open_files(void)
{
    int count = 0;
    DIR *list = opendir("/proc/self/fd");
    while (list && readdir(list)) count++;
    if (list) closedir(list);
    return count;
}

// ---- a life of a kernel

typedef struct Run {
    hk_context *context;
    hk_module *module;
    hk_exec *exec;
    const hk_kernel *kernel;
    hk_error *error;
    DLTensor tensors[ARGS_MOST];
    hk_arg args[ARGS_MOST];
    size_t arg_count;
} Run;

static hk_status load(Run *run, const Case *c, Host *host, const char *code_cache)
{
    hk_context_options options = {.struct_size = sizeof options,
                                  .allocator = {host_resize, host},
                                  .log = host_log,
                                  .threads = 2,
                                  .code_cache = code_cache};
    hk_status status = hk_context_create(&options, &run->context, &run->error);
    if (!status) status = hk_module_load_file(run->context, c->file, &run->module, &run->error);
    if (status) return status;
    run->kernel = hk_module_kernel_named(run->module, c->kernel);
    ck_assert_ptr_nonnull(run->kernel);
    return HK_OK;
}

static hk_status specialise(Run *run, const Case *c, hk_target target)
{
    hk_specialize_options options = {
        .struct_size = sizeof options, .dims = c->dims, .target = target};
    while (options.dim_count < 6 && c->dims[options.dim_count].name) options.dim_count++;
    return hk_kernel_specialize(run->kernel, &options, &run->exec, &run->error);
}

static hk_status look(Run *run)
{
    for (int form = HK_FORM_TILE; form <= HK_FORM_DUMP; form++) {
        hk_text *text;
        if (form == HK_FORM_OPENCL) continue; // of an exec for OpenCL
        hk_status status = hk_exec_text(run->exec, (hk_form)form, &text, &run->error);
        if (status) return status;
        hk_text_free(text);
    }
    return HK_OK;
}

// Tensors of the shapes that the exec wants, all 0.
static void make_args(Run *run)
{
    hk_exec_param_info info = {.struct_size = sizeof info};
    for (; hk_exec_param(run->exec, run->arg_count, &info) == HK_OK; run->arg_count++) {
        if (info.kind == HK_PARAM_SCALAR) {
            run->args[run->arg_count] = hk_float(info.name, 0.5);
            continue;
        }
        DLTensor *t = &run->tensors[run->arg_count];
        void *data = aligned_alloc(64, (info.bytes + 63) / 64 * 64 + 64);
        memset(data, 0, info.bytes);
        *t = (DLTensor){.data = data, .device = {kDLCPU, 0}, .ndim = info.ndim};
        t->dtype = info.dtype;
        t->shape = (int64_t *)info.shape;
        run->args[run->arg_count] = hk_tensor(info.name, t);
    }
}

static hk_status launch(Run *run)
{
    make_args(run);
    hk_status status = HK_OK;
    for (int k = 0; k < 3 && !status; k++) // the long way, then the short one
        status = hk_exec_run(run->exec, run->args, run->arg_count, &run->error);
    hk_verify_result result = {.struct_size = sizeof result};
    if (!status)
        status = hk_exec_verify(run->exec, run->args, run->arg_count, NULL, &result, &run->error);
    if (!status) status = hk_kernel_run(run->kernel, run->args, run->arg_count, &run->error);
    return status;
}

// A wrong call, whose error needs memory too.
static hk_status provoke(Run *run)
{
    hk_status status = hk_exec_run(run->exec, run->args, 1, &run->error);
    if (status != HK_ERROR_DIAGNOSTICS) return status;
    ck_assert_ptr_nonnull(hk_error_text(run->error, false));
    ck_assert_ptr_nonnull(hk_error_json(run->error));
    hk_error_free(run->error);
    run->error = NULL;
    return HK_OK;
}

static hk_status live(const Case *c, Host *host, hk_target target, const char *code_cache)
{
    Run run = {0};
    hk_status status = load(&run, c, host, code_cache);
    if (!status) status = specialise(&run, c, target);
    if (!status && target == HK_TARGET_CPU) status = look(&run);
    if (!status) status = launch(&run);
    if (!status) status = provoke(&run);
    if (status) ck_assert_int_ne(hk_error_status(run.error), HK_ERROR_INTERNAL);
    hk_error_free(run.error);
    hk_exec_free(run.exec);
    hk_module_free(run.module);
    hk_context_free(run.context);
    for (size_t k = 0; k < run.arg_count; k++) free(run.tensors[k].data);
    return status;
}

static void forget(const char *folder)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void fail_each(const Case *c, hk_target target, const char *code_cache, long points)
{
    Host all = {.fails = -1};
    ck_assert_int_eq(live(c, &all, target, code_cache), HK_OK); // and what is made once is made
    const long count = atomic_load(&all.allocations);
    ck_assert_int_gt(count, 20);
    if (points <= 0 || points > count) points = count;
    int files = open_files();
    for (long k = 0; k < points; k++) {
        Host host = {.fails = count * k / points};
        if (code_cache && k % 2) forget(code_cache); // so that now it is read, now written
        hk_status status = live(c, &host, target, code_cache);
        ck_assert_msg(status == HK_OK || status == HK_ERROR_MEMORY,
                      "%s: allocation %ld of %ld fails: status %d", c->kernel, host.fails, count,
                      (int)status);
        ck_assert_msg(atomic_load(&host.balance) == 0,
                      "%s: allocation %ld of %ld fails: %lld bytes are left", c->kernel, host.fails,
                      count, atomic_load(&host.balance));
        ck_assert_msg(open_files() == files, "%s: allocation %ld of %ld fails: a file is left open",
                      c->kernel, host.fails, count);
    }
}

static long sweep(void)
{
    const char *text = getenv("HAKO_SWEEP");
    return text ? strtol(text, NULL, 10) : SWEEP;
}

START_TEST(each_allocation_fails_once)
{
    fail_each(&cases[_i], HK_TARGET_CPU, NULL, sweep());
}
END_TEST

START_TEST(with_a_code_cache)
{
    char folder[] = "/tmp/hako-memory-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    fail_each(&cases[1], HK_TARGET_CPU, folder, sweep());
    forget(folder);
}
END_TEST

START_TEST(interpreted)
{
    fail_each(&cases[_i], HK_TARGET_INTERP, NULL, sweep() / 4);
}
END_TEST

START_TEST(on_opencl)
{
    Host host = {.fails = -1};
    if (live(&cases[4], &host, HK_TARGET_OPENCL, NULL) == HK_ERROR_ENVIRONMENT) return; // none
    fail_each(&cases[4], HK_TARGET_OPENCL, NULL, sweep() / 4);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("memory");
    TCase *c = tcase_create("memory");
    tcase_set_timeout(c, 0);
    tcase_add_loop_test(c, each_allocation_fails_once, 0, CASES);
    tcase_add_test(c, with_a_code_cache);
    tcase_add_loop_test(c, interpreted, 0, CASES);
    tcase_add_test(c, on_opencl);
    suite_add_tcase(s, c);
    return run_suite(s);
}

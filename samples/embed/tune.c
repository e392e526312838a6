// Tunes a kernel inside an application, which shows how far it is and may stop it.  cc tune.c
// $(pkg-config --cflags --libs hako)
//
// usage: tune [SECONDS [MOST]]: the time to spend, and after how many measurements to stop, as if
// the user had pressed ^C, which stops it too. What was found until then is used.
#include <hako.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { M = 200, N = 300, K = 400 };

static const char *text = "kernel matmul(a: f32[M, K], b: f32[K, N]) -> (c: f32[M, N]) {"
                          "    tile m in M, n in N { c[m, n] = sum[k in K](a[m, k] * b[k, n]); }"
                          "}";

typedef struct Watch {
    unsigned long long most, shown; // measurements
} Watch;

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

// After each measurement; those of the finals don't count. False ends the search.
static bool progress(void *self, const hk_tune_event *event)
{
    Watch *watch = self;
    if (event->evaluations > watch->shown) {
        watch->shown = event->evaluations;
        printf("%3.0f %%: %llu measured, best %.3f ms by %s\n",
               100 * event->elapsed_seconds / event->budget_seconds, watch->shown,
               1e3 * event->best_seconds, event->best_config);
    }
    return !stopped && (!watch->most || watch->shown < watch->most);
}

static DLTensor matrix(float *data, int64_t *shape)
{
    for (int64_t i = 0; i < shape[0] * shape[1]; i++) data[i] = (float)(i % 17) / 17;
    DLTensor t = {data, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, NULL, 0};
    return t;
}

// Tunes, and runs the kernel once more by the Config that was found.
static hk_status tune(const hk_kernel *kernel, double seconds, unsigned long long most,
                      hk_error **error)
{
    static float as[M * K], bs[K * N], cs[M * N];
    int64_t mk[2] = {M, K}, kn[2] = {K, N}, mn[2] = {M, N};
    DLTensor a = matrix(as, mk), b = matrix(bs, kn), c = matrix(cs, mn);
    hk_arg args[] = {hk_tensor("a", &a), hk_tensor("b", &b), hk_tensor("c", &c)};
    hk_specialize_options options = {.struct_size = sizeof options, .args = args, .arg_count = 3};
    Watch watch = {most, 0};
    hk_tune_options how = {.struct_size = sizeof how,
                           .budget_seconds = seconds,
                           .progress = progress,
                           .progress_self = &watch};
    hk_tune_result found = {.struct_size = sizeof found};
    hk_status status = hk_tune(kernel, &options, &how, &found, error);
    if (status) return status;
    printf("%s after %llu measurements: %s (%.2f times as fast as the default)\n",
           found.interrupted ? "stopped" : "done", (unsigned long long)found.evaluations,
           hk_text_data(found.config), found.gain);
    options.config = hk_text_data(found.config); // what an application would keep
    hk_exec *exec = NULL;
    status = hk_kernel_specialize(kernel, &options, &exec, error);
    if (!status) status = hk_exec_run(exec, args, 3, error);
    hk_exec_free(exec);
    hk_text_free(found.config);
    return status;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    unsigned long long most = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    signal(SIGINT, stop);
    hk_context *context = NULL;
    hk_module *module = NULL;
    hk_error *error = NULL;
    hk_status status = hk_context_create(NULL, &context, &error);
    if (!status) status = hk_module_load_text(context, "m", text, HK_TERMINATED, &module, &error);
    if (!status) status = tune(hk_module_kernel(module, 0), seconds, most, &error);
    fputs(hk_error_text(error, false), stderr);
    hk_error_free(error);
    hk_module_free(module);
    hk_context_free(context);
    return (int)status;
}

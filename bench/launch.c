// What a launch costs beyond its work, as lines "name TAB nanoseconds": with arguments that come
// again on one thread, by the exec and by the kernel; and starting and joining two threads that are
// awake. bench/launch.py shows them beside others; make bench-launch.
//
// launch first FOLDER: nanoseconds from main to the end of the first launch, code from that folder.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "include/hako.h"

static const char source[] = "kernel add<T: float>(x: T[N], y: T[N]) -> (z: T[N]) {\n"
                             "    tile n in N { z[n] = x[n] + y[n]; }\n}\n";
enum { SMALL = 16, LARGE = 1 << 16, TURNS = 200, REPEATS = 1000 };

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(hk_status status, hk_error *error)
{
    if (status == HK_OK) return;
    fprintf(stderr, "%s\n", error ? hk_error_text(error, false) : hk_status_text(status));
    exit(1);
}

typedef struct Add {
    float *data;
    int64_t n;
    DLTensor tensors[3];
    hk_arg args[3];
} Add;

static void add_init(Add *add, int64_t n)
{
    static const char *const names[] = {"x", "y", "z"};
    add->n = n;
    add->data = aligned_alloc(64, (size_t)n * 3 * sizeof *add->data);
    if (!add->data) exit(1);
    for (int64_t i = 0; i < 3 * n; i++) add->data[i] = (float)i;
    for (int k = 0; k < 3; k++) {
        DLTensor *t = &add->tensors[k];
        *t = (DLTensor){.data = add->data + k * n, .device = {kDLCPU, 0}, .ndim = 1};
        t->shape = &add->n;
        t->dtype = (DLDataType){kDLFloat, 32, 1};
        add->args[k] = hk_tensor(names[k], t);
    }
}

// Nanoseconds of the fastest launch, the mean over `repeats` of them. config NULL: by
// hk_kernel_run.
static double fastest(const hk_kernel *kernel, const char *config, uint32_t threads, int64_t n,
                      int repeats)
{
    Add add;
    add_init(&add, n);
    hk_specialize_options options = {.struct_size = sizeof options,
                                     .args = add.args,
                                     .arg_count = 3,
                                     .config = config,
                                     .threads = threads};
    hk_exec *exec = NULL;
    hk_error *error = NULL;
    must(hk_kernel_specialize(kernel, &options, &exec, &error), error);
    double best = 1e30;
    for (int turn = -1; turn < TURNS; turn++) { // the first one warms up
        double start = now_ns();
        for (int r = 0; r < repeats; r++) {
            must(config ? hk_exec_run(exec, add.args, 3, &error)
                        : hk_kernel_run(kernel, add.args, 3, &error),
                 error);
        }
        double taken = (now_ns() - start) / repeats;
        if (turn >= 0 && taken < best) best = taken;
    }
    hk_exec_free(exec);
    free(add.data);
    return best;
}

static const hk_kernel *load(const char *code_cache, hk_context **context, hk_module **module)
{
    hk_error *error = NULL;
    hk_context_options options = {
        .struct_size = sizeof options, .threads = 2, .code_cache = code_cache};
    must(hk_context_create(&options, context, &error), error);
    must(hk_module_load_text(*context, "add.hk", source, HK_TERMINATED, module, &error), error);
    return hk_module_kernel(*module, 0);
}

static double first(const char *code_cache, double start)
{
    hk_context *context;
    hk_module *module;
    hk_error *error = NULL;
    Add add;
    add_init(&add, SMALL);
    must(hk_kernel_run(load(code_cache, &context, &module), add.args, 3, &error), error);
    double taken = now_ns() - start;
    hk_module_free(module);
    hk_context_free(context);
    free(add.data);
    return taken;
}

int main(int argc, char **argv)
{
    double start = now_ns();
    if (argc == 3 && strcmp(argv[1], "first") == 0) {
        printf("%.0f\n", first(argv[2], start));
        return 0;
    }
    hk_context *context;
    hk_module *module;
    const hk_kernel *kernel = load(NULL, &context, &module);
    printf("exec\t%.0f\n", fastest(kernel, "tile_n = 16", 1, SMALL, REPEATS));
    printf("kernel\t%.0f\n", fastest(kernel, NULL, 0, SMALL, REPEATS));
    double one = fastest(kernel, "tile_n = 32768", 1, LARGE, 20);
    double two = fastest(kernel, "tile_n = 32768", 2, LARGE, 20);
    printf("one thread\t%.0f\ntwo threads\t%.0f\n", one, two);
    hk_module_free(module);
    hk_context_free(context);
    return 0;
}

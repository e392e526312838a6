// What a launch costs beyond its work: on one thread, with arguments that come again; and starting
// and joining two threads that are awake. Prints both; make bench-launch.
#include <stdio.h>
#include <stdlib.h>
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

// Nanoseconds of the fastest launch, the mean over `repeats` of them.
static double fastest(const hk_kernel *kernel, const char *config, uint32_t threads, int64_t n,
                      int repeats)
{
    float *data = aligned_alloc(64, (size_t)n * 3 * sizeof *data);
    if (!data) exit(1);
    for (int64_t i = 0; i < 3 * n; i++) data[i] = (float)i;
    DLTensor t[3];
    hk_arg args[3];
    static const char *const names[] = {"x", "y", "z"};
    for (int k = 0; k < 3; k++) {
        t[k] = (DLTensor){.data = data + k * n, .device = {kDLCPU, 0}, .ndim = 1, .shape = &n};
        t[k].dtype = (DLDataType){kDLFloat, 32, 1};
        args[k] = hk_tensor(names[k], &t[k]);
    }
    hk_specialize_options options = {.struct_size = sizeof options,
                                     .args = args,
                                     .arg_count = 3,
                                     .config = config,
                                     .threads = threads};
    hk_exec *exec = NULL;
    hk_error *error = NULL;
    must(hk_kernel_specialize(kernel, &options, &exec, &error), error);
    must(hk_exec_run(exec, args, 3, &error), error);
    double best = 1e30;
    for (int turn = 0; turn < TURNS; turn++) {
        double start = now_ns();
        for (int r = 0; r < repeats; r++) must(hk_exec_run(exec, args, 3, &error), error);
        double taken = (now_ns() - start) / repeats;
        if (taken < best) best = taken;
    }
    hk_exec_free(exec);
    free(data);
    return best;
}

int main(void)
{
    hk_context *context = NULL;
    hk_module *module = NULL;
    hk_error *error = NULL;
    hk_context_options options = {.struct_size = sizeof options, .threads = 2};
    must(hk_context_create(&options, &context, &error), error);
    must(hk_module_load_text(context, "add.hk", source, HK_TERMINATED, &module, &error), error);
    const hk_kernel *kernel = hk_module_kernel(module, 0);
    double alone = fastest(kernel, "tile_n = 16", 1, SMALL, REPEATS);
    double one = fastest(kernel, "tile_n = 32768", 1, LARGE, 20);
    double two = fastest(kernel, "tile_n = 32768", 2, LARGE, 20);
    printf("launch of %d elements on one thread   %6.0f ns\n", SMALL, alone);
    printf("%d elements on one thread          %6.0f ns\n", LARGE, one);
    printf("%d elements on two threads         %6.0f ns: %.0f ns more than half\n", LARGE, two,
           two - one / 2);
    hk_module_free(module);
    hk_context_free(context);
    return 0;
}

// What an OpenCL device that is no CPU can do at most, by kernels of Hako's own and its own clock:
// independent multiply-adds in registers, and a copy of as many bytes as are to be moved.
#include <jansson.h>
#include <stdlib.h>

#include "cli/cli.h"

enum { ROUNDS = 10, CHAINS = 4, STEPS = 256, PEAK_ELEMENTS = 1 << 22, LEAST_COPIED = 1 << 12 };

// CHAINS in each lane, of STEPS multiply-adds.
static const char peak_text[] =
    "kernel peak(x: f32[N], c: f32) -> (y: f32[N]) {\n"
    "    tile n in N {\n"
    "        var p = x[n]; var q = x[n] + 1; var r = x[n] + 2; var s = x[n] + 3;\n"
    "        for k in 0..256 {\n"
    "            p = fma(p, c, 0.5); q = fma(q, c, 0.5); r = fma(r, c, 0.5); s = fma(s, c, 0.5);\n"
    "        }\n"
    "        y[n] = p + q + r + s;\n"
    "    }\n"
    "}\n";
static const char copy_text[] =
    "kernel copy(x: f32[N], c: f32) -> (y: f32[N]) { tile n in N { y[n] = x[n]; } }\n";

bool device_is_cpu(const Session *s)
{
    hk_text *text = NULL;
    if (hk_context_describe(s->context, &text, NULL) != HK_OK) return true;
    json_t *about = json_loads(hk_text_data(text), 0, NULL);
    const json_t *device = json_array_get(json_object_get(about, "opencl"), s->options->device);
    bool is_cpu = !device || json_is_true(json_object_get(device, "is_cpu"));
    json_decref(about);
    hk_text_free(text);
    return is_cpu;
}

// The fewest seconds of a kernel of n elements; 0 if it cannot be run.
static double fewest_seconds(const Session *s, const char *text, int64_t n)
{
    hk_module *module = NULL;
    hk_exec *exec = NULL;
    float *data = calloc((size_t)n * 2, sizeof *data);
    DLTensor x = {data, {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, &n, NULL, 0}, y = x;
    y.data = data + n;
    hk_arg args[] = {hk_tensor("x", &x), hk_float("c", 0.5), hk_tensor("y", &y)};
    hk_specialize_options options = {.struct_size = sizeof options,
                                     .args = args,
                                     .arg_count = 3,
                                     .target = HK_TARGET_OPENCL,
                                     .device = s->options->device};
    hk_status status = data ? HK_OK : HK_ERROR_MEMORY;
    if (status == HK_OK)
        status = hk_module_load_text(s->context, "limits.hk", text, HK_TERMINATED, &module, NULL);
    if (status == HK_OK)
        status = hk_kernel_specialize(hk_module_kernel(module, 0), &options, &exec, NULL);
    double best = 0, seconds;
    for (int k = 0; status == HK_OK && k < ROUNDS; k++) {
        status = hk_exec_run_timed(exec, args, 3, &seconds, NULL);
        if (status == HK_OK && (k == 0 || seconds < best)) best = seconds;
    }
    hk_exec_free(exec);
    hk_module_free(module);
    free(data);
    return status == HK_OK ? best : 0;
}

void device_limits(const Session *s, double bytes, Limits *limits)
{
    int64_t n = bytes / 8 > LEAST_COPIED ? (int64_t)(bytes / 8) : LEAST_COPIED;
    double flops = 2.0 * CHAINS * STEPS * PEAK_ELEMENTS;
    double seconds = fewest_seconds(s, peak_text, PEAK_ELEMENTS);
    if (seconds > 0) limits->flops = flops / seconds;
    seconds = fewest_seconds(s, copy_text, n);
    if (seconds > 0)
        limits->copy = limits->stream = limits->read = 2.0 * sizeof(float) * (double)n / seconds;
}

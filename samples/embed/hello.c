// Compiles a kernel from a string and runs it.  cc hello.c $(pkg-config --cflags --libs hako)
#include <hako.h>
#include <stdio.h>

static const char *text = "kernel axpy(a: f32, x: f32[N], y: f32[N]) -> (z: f32[N]) {"
                          "    tile n in N { z[n] = a * x[n] + y[n]; }"
                          "}";

int main(void)
{
    float xs[3] = {1, 2, 3}, ys[3] = {10, 20, 30}, zs[3];
    int64_t shape[1] = {3};
    DLTensor x = {xs, {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, shape, NULL, 0}, y = x, z = x;
    y.data = ys;
    z.data = zs;
    hk_arg args[] = {hk_float("a", 2), hk_tensor("x", &x), hk_tensor("y", &y), hk_tensor("z", &z)};
    hk_context *context = NULL;
    hk_module *module = NULL;
    hk_error *error = NULL;
    hk_status status = hk_context_create(NULL, &context, &error);
    if (!status) status = hk_module_load_text(context, "a", text, HK_TERMINATED, &module, &error);
    if (!status) status = hk_kernel_run(hk_module_kernel_named(module, "axpy"), args, 4, &error);
    if (!status) printf("%g %g %g\n", zs[0], zs[1], zs[2]);
    fputs(hk_error_text(error, false), stderr); // nothing without an error
    hk_error_free(error);
    hk_module_free(module);
    hk_context_free(context);
    return (int)status;
}

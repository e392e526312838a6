// Uses a kernel between two OpenCL kernels of the host's own, in the host's queue and on its
// buffers: nothing is copied, and nobody waits before the end.
// cc opencl.c $(pkg-config --cflags --libs hako) -lOpenCL
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <hako.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 3, COLUMNS = 1000, BYTES = ROWS * COLUMNS * sizeof(float), GAP = 256 };

static const char *own_text =
    "kernel void make(global float *x) { size_t i = get_global_id(0); x[i] = (float)(i % 7); }"
    "kernel void twice(global float *y) { y[get_global_id(0)] *= 2; }";

static const char *hako_text = "kernel softmax(x: f32[M, N]) -> (y: f32[M, N]) {"
                               "    tile m in M {"
                               "        axis n in N;"
                               "        let e = exp(x[m, n] - max[n](x[m, n]));"
                               "        y[m, n] = e / sum[n](e);"
                               "    }"
                               "}";

typedef struct Host {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_mem x, y; // the results stand behind a gap
} Host;

static void must(cl_int status, const char *what)
{
    if (status == CL_SUCCESS) return;
    fprintf(stderr, "%s failed: OpenCL error %d\n", what, (int)status);
    exit(3);
}

static void host_open(Host *host)
{
    cl_platform_id platform;
    cl_int status;
    must(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
    must(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &host->device, NULL), "clGetDeviceIDs");
    host->context = clCreateContext(NULL, 1, &host->device, NULL, NULL, &status);
    must(status, "clCreateContext");
    host->queue = clCreateCommandQueue(host->context, host->device, 0, &status);
    must(status, "clCreateCommandQueue");
    host->program = clCreateProgramWithSource(host->context, 1, &own_text, NULL, &status);
    must(status, "clCreateProgramWithSource");
    must(clBuildProgram(host->program, 1, &host->device, NULL, NULL, NULL), "clBuildProgram");
    host->x = clCreateBuffer(host->context, CL_MEM_READ_WRITE, BYTES, NULL, &status);
    must(status, "clCreateBuffer");
    host->y = clCreateBuffer(host->context, CL_MEM_READ_WRITE, GAP + BYTES, NULL, &status);
    must(status, "clCreateBuffer");
}

static void host_close(Host *host)
{
    clReleaseMemObject(host->y);
    clReleaseMemObject(host->x);
    clReleaseProgram(host->program);
    clReleaseCommandQueue(host->queue);
    clReleaseContext(host->context);
}

// Queues a kernel of the host's.
static void host_run(Host *host, const char *name, cl_mem buffer, size_t offset)
{
    cl_int status;
    size_t start = offset, items = ROWS * COLUMNS;
    cl_kernel kernel = clCreateKernel(host->program, name, &status);
    must(status, "clCreateKernel");
    must(clSetKernelArg(kernel, 0, sizeof buffer, &buffer), "clSetKernelArg");
    must(clEnqueueNDRangeKernel(host->queue, kernel, 1, &start, &items, NULL, 0, NULL, NULL),
         "clEnqueueNDRangeKernel");
    clReleaseKernel(kernel);
}

// Make x, softmax of it, twice that: three kernels in a row in the queue.
static hk_status run(Host *host, hk_context *context, hk_module *module, hk_error **error)
{
    int64_t shape[2] = {ROWS, COLUMNS};
    DLTensor x = {host->x, {kDLOpenCL, 0}, 2, {kDLFloat, 32, 1}, shape, NULL, 0}, y = x;
    y.data = host->y;
    y.byte_offset = GAP;
    hk_arg args[] = {hk_tensor("x", &x), hk_tensor("y", &y)};
    hk_specialize_options options = {.struct_size = sizeof options, .args = args, .arg_count = 2};
    options.target = HK_TARGET_OPENCL;
    hk_stream_options shared = {.struct_size = sizeof shared, .queue = host->queue};
    hk_stream *stream = NULL;
    hk_exec *exec = NULL;
    hk_status status = hk_stream_create(context, &shared, &stream, error);
    if (!status) status = hk_kernel_specialize(hk_module_kernel(module, 0), &options, &exec, error);
    if (!status) host_run(host, "make", host->x, 0);
    if (!status) status = hk_stream_run(stream, exec, args, 2, error);
    if (!status) host_run(host, "twice", host->y, GAP / sizeof(float));
    if (!status) status = hk_stream_wait(stream, error); // tells, too, if the kernel failed
    hk_exec_free(exec);
    hk_stream_free(stream);
    return status;
}

static void show(Host *host)
{
    static float y[ROWS][COLUMNS];
    must(clEnqueueReadBuffer(host->queue, host->y, CL_TRUE, GAP, BYTES, y, 0, NULL, NULL),
         "clEnqueueReadBuffer");
    for (int row = 0; row < ROWS; row++) {
        double sum = 0;
        for (int k = 0; k < COLUMNS; k++) sum += (double)y[row][k];
        printf("row %d sums to %.4f\n", row, sum); // twice 1
    }
}

int main(void)
{
    Host host;
    host_open(&host);
    hk_context_options options = {.struct_size = sizeof options, .opencl_context = host.context};
    hk_context *context = NULL;
    hk_module *module = NULL;
    hk_error *error = NULL;
    hk_status status = hk_context_create(&options, &context, &error);
    if (!status)
        status = hk_module_load_text(context, "s", hako_text, HK_TERMINATED, &module, &error);
    if (!status) status = run(&host, context, module, &error);
    if (!status) show(&host);
    fputs(hk_error_text(error, false), stderr);
    hk_error_free(error);
    hk_module_free(module);
    hk_context_free(context);
    host_close(&host);
    return (int)status;
}

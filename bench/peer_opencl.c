/* Products on an OpenCL device as peers: clblast, and naive (one work-item for each element).
 * peer_opencl clblast|naive m= n= k= device= (number, as `hako devices` counts). Buffers lie on the
 * device; a run ends when the queue is empty. */
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <stdbool.h>

#ifdef HAVE_CLBLAST
#include <clblast_c.h>
#endif

#include "bench/peer.h"

enum { PLATFORMS = 8, DEVICES = 16 };

static const char source[] =
    "__kernel void product(__global const float *a, __global const float *b, __global float *c,\n"
    "                      int m, int n, int k)\n"
    "{\n"
    "    const int row = get_global_id(1), column = get_global_id(0);\n"
    "    float sum = 0;\n"
    "    if (row >= m || column >= n) return;\n"
    "    for (int i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + column];\n"
    "    c[row * n + column] = sum;\n"
    "}\n";

typedef struct Product {
    size_t m, n, k;
    cl_command_queue queue;
    cl_kernel naive;
    cl_mem a, b, c;
} Product;

static void check(cl_int status, const char *call)
{
    if (status == CL_SUCCESS) return;
    fprintf(stderr, "%s failed: %d\n", call, (int)status);
    exit(3);
}

static void run_naive(void *self)
{
    Product *p = (Product *)self;
    size_t items[2] = {(p->n + 15) / 16 * 16, (p->m + 15) / 16 * 16}, group[2] = {16, 16};
    check(clEnqueueNDRangeKernel(p->queue, p->naive, 2, NULL, items, group, 0, NULL, NULL),
          "clEnqueueNDRangeKernel");
    check(clFinish(p->queue), "clFinish");
}

static void run_clblast(void *self)
{
#ifdef HAVE_CLBLAST
    Product *p = (Product *)self;
    check((cl_int)CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeNo, p->m,
                               p->n, p->k, 1, p->a, 0, p->k, p->b, 0, p->n, 0, p->c, 0, p->n,
                               &p->queue, NULL),
          "CLBlastSgemm");
    check(clFinish(p->queue), "clFinish");
#else
    (void)self;
    fprintf(stderr, "built without CLBlast\n");
    exit(3);
#endif
}

static cl_device_id find_device(unsigned number)
{
    cl_platform_id platforms[PLATFORMS];
    cl_device_id devices[DEVICES];
    cl_uint platform_count = 0, count;
    check(clGetPlatformIDs(PLATFORMS, platforms, &platform_count), "clGetPlatformIDs");
    for (cl_uint p = 0; p < platform_count && p < PLATFORMS; p++, number -= count) {
        count = 0;
        clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, DEVICES, devices, &count);
        if (number < count) return devices[number];
    }
    fprintf(stderr, "there is no such device\n");
    exit(3);
}

static cl_mem make_buffer(cl_context context, size_t count)
{
    cl_int status;
    float *values = peer_floats(count);
    cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                   count * sizeof *values, values, &status);
    check(status, "clCreateBuffer");
    return buffer;
}

static cl_kernel make_kernel(const Product *p, cl_context context, cl_device_id device)
{
    const char *text = source;
    cl_int status, m = (cl_int)p->m, n = (cl_int)p->n, k = (cl_int)p->k;
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, &status);
    check(status, "clCreateProgramWithSource");
    check(clBuildProgram(program, 1, &device, "", NULL, NULL), "clBuildProgram");
    cl_kernel kernel = clCreateKernel(program, "product", &status);
    check(status, "clCreateKernel");
    status = clSetKernelArg(kernel, 0, sizeof p->a, &p->a);
    status |= clSetKernelArg(kernel, 1, sizeof p->b, &p->b);
    status |= clSetKernelArg(kernel, 2, sizeof p->c, &p->c);
    status |= clSetKernelArg(kernel, 3, sizeof m, &m);
    status |= clSetKernelArg(kernel, 4, sizeof n, &n);
    status |= clSetKernelArg(kernel, 5, sizeof k, &k);
    check(status, "clSetKernelArg");
    return kernel;
}

int main(int argc, char **argv)
{
    peer_argc = argc, peer_argv = argv;
    const bool is_naive = argc > 1 && strcmp(argv[1], "naive") == 0;
    Product p = {.m = (size_t)peer_int("m", 1),
                 .n = (size_t)peer_int("n", 1),
                 .k = (size_t)peer_int("k", 1)};
    cl_int status;
    cl_device_id device = find_device((unsigned)peer_int("device", 0));
    cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
    check(status, "clCreateContext");
    p.queue = clCreateCommandQueue(context, device, 0, &status);
    check(status, "clCreateCommandQueue");
    p.a = make_buffer(context, p.m * p.k);
    p.b = make_buffer(context, p.k * p.n);
    p.c = make_buffer(context, p.m * p.n);
    if (is_naive) p.naive = make_kernel(&p, context, device);
    return peer_measure(is_naive ? run_naive : run_clblast, &p, is_naive ? "naive" : "CLBlast");
}

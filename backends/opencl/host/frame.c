// What every host program that hako writes has in common: the device, buffers, launches, the
// comparison. Copied in after fill.h; the tables and main, which differ, follow.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Tensor {
    const char *name;
    size_t bytes;
    Fill fill;                 // what it holds before the launch
    const unsigned char *data; // ... or these bytes
    // What some or all elements shall be afterwards, by the reference interpreter.
    size_t want_count;
    const int64_t *at; // their places
    const uint64_t *want;
    char type; // 'f' float, 'e' float without infinities, 'i', 'u' integers
    double relative, absolute;
    cl_mem buffer;
    void *host;
} Tensor;

typedef struct Trap {
    cl_int state, site;
    cl_long index, bound;
} Trap;

static cl_device_id device;
static cl_context context;
static cl_command_queue queue;
static cl_program program;
static cl_mem trap_buffer;

static inline void check(cl_int status, const char *call)
{
    if (status == CL_SUCCESS) return;
    fprintf(stderr, "%s failed: error %d\n", call, (int)status);
    exit(3);
}

static inline void *memory(size_t bytes)
{
    void *data = calloc(bytes + 16, 1);
    if (!data) fprintf(stderr, "no memory for %zu bytes\n", bytes);
    if (!data) exit(3);
    return data;
}

// The argument counts the devices of all platforms; the first without one.
static inline void open_device(int argc, char **argv)
{
    cl_platform_id platforms[64];
    cl_uint platform_count = 0, left = argc > 1 ? (cl_uint)strtoul(argv[1], NULL, 10) : 0;
    char name[256] = "";
    check(clGetPlatformIDs(64, platforms, &platform_count), "clGetPlatformIDs");
    for (cl_uint p = 0; !device && p < platform_count && p < 64; p++) {
        cl_device_id devices[64];
        cl_uint count = 0;
        if (clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, 64, devices, &count)) continue;
        if (left < count) device = devices[left];
        left -= count;
    }
    if (!device) fprintf(stderr, "there is no such OpenCL device\n");
    if (!device) exit(3);
    clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof name - 1, name, NULL);
    printf("device: %s\n", name);
    cl_int status;
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
    check(status, "clCreateContext");
    queue = clCreateCommandQueue(context, device, CL_QUEUE_PROFILING_ENABLE, &status);
    check(status, "clCreateCommandQueue");
}

// What PoCL makes of barriers in loops is right only where nothing is optimised before.
static inline void build_program(const char *const *lines, cl_uint count, int has_groups)
{
    cl_device_fp_config f32 = 0;
    cl_device_type type = 0;
    char options[128];
    clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    clGetDeviceInfo(device, CL_DEVICE_SINGLE_FP_CONFIG, sizeof f32, &f32, NULL);
    snprintf(options, sizeof options, "-w -cl-std=CL1.2%s%s",
             f32 & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT ? " -cl-fp32-correctly-rounded-divide-sqrt"
                                                       : "",
             has_groups && type & CL_DEVICE_TYPE_CPU ? " -cl-opt-disable" : "");
    cl_int status;
    program = clCreateProgramWithSource(context, count, (const char **)lines, NULL, &status);
    check(status, "clCreateProgramWithSource");
    status = clBuildProgram(program, 1, &device, options, NULL, NULL);
    if (status != CL_SUCCESS) {
        static char log[16384];
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, NULL);
        fprintf(stderr, "%s\n", log);
    }
    check(status, "clBuildProgram");
}

static inline cl_kernel create_kernel(const char *name)
{
    cl_int status;
    cl_kernel kernel = clCreateKernel(program, name, &status);
    check(status, name);
    return kernel;
}

static inline cl_mem create_buffer(size_t bytes, void *from)
{
    cl_int status;
    const cl_mem_flags copy = from ? CL_MEM_COPY_HOST_PTR : 0;
    const size_t whole = bytes < 16 ? 16 : (bytes + 15) / 16 * 16; // updated by words
    cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_WRITE | copy, whole, from, &status);
    check(status, "clCreateBuffer");
    return buffer;
}

static inline void create_tensors(Tensor *tensors, size_t count)
{
    static Trap none;
    trap_buffer = create_buffer(sizeof none, &none);
    for (size_t t = 0; t < count; t++) {
        tensors[t].host = memory(tensors[t].bytes);
        if (tensors[t].data) memcpy(tensors[t].host, tensors[t].data, tensors[t].bytes);
        fill_all(&tensors[t].fill, tensors[t].host);
        tensors[t].buffer = create_buffer(tensors[t].bytes, tensors[t].host);
    }
}

// ---- launches

static inline void set_buffer(cl_kernel kernel, cl_uint at, cl_mem buffer)
{
    check(clSetKernelArg(kernel, at, sizeof buffer, &buffer), "clSetKernelArg");
}

static inline void set_scalar(cl_kernel kernel, cl_uint at, size_t bytes, uint64_t bits)
{
    check(clSetKernelArg(kernel, at, bytes, &bits), "clSetKernelArg"); // the low bytes come first
}

// Work-items, or groups of them, that run at once where each needs a slice of a buffer.
static inline size_t in_flight(int64_t units, size_t slice_bytes, unsigned group)
{
    cl_uint compute_units = 1;
    cl_ulong most_bytes = 1 << 27;
    clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof compute_units, &compute_units,
                    NULL);
    clGetDeviceInfo(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof most_bytes, &most_bytes, NULL);
    size_t most = (size_t)compute_units * (group ? 16 : 64);
    const size_t room = (size_t)(most_bytes / 2) / (slice_bytes ? slice_bytes : 1);
    if (most > room) most = room;
    if (most > (size_t)units) most = (size_t)units;
    return most ? most : 1;
}

// `items` work-items, or groups of `group`. Without a group its size is the launch's choice;
// work-items beyond the last slice would have no scratch of their own, elsewhere they do nothing.
static inline void launch(cl_kernel kernel, size_t items, unsigned group, int has_slices)
{
    size_t local = group, most = 1;
    cl_uint compute_units = 1;
    clGetKernelWorkGroupInfo(kernel, device, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
    clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof compute_units, &compute_units,
                    NULL);
    if (group > most) {
        fprintf(stderr, "the kernel runs in work-groups of %u; the device allows %zu\n", group,
                most);
        exit(3);
    }
    for (local = local ? local : 1; !group && local < 64 && local * 2 <= most;) {
        if (items / (local * 2) < (size_t)compute_units * 4) break;
        local *= 2;
    }
    size_t global = items * local;
    if (!group) global = (has_slices ? items : items + local - 1) / local * local;
    check(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, &local, 0, NULL, NULL),
          "clEnqueueNDRangeKernel");
}

// ---- results

static inline void read_back(Tensor *tensors, size_t count)
{
    Trap trap;
    for (size_t t = 0; t < count; t++) {
        if (!tensors[t].want_count) continue;
        check(clEnqueueReadBuffer(queue, tensors[t].buffer, CL_TRUE, 0, tensors[t].bytes,
                                  tensors[t].host, 0, NULL, NULL),
              "clEnqueueReadBuffer");
    }
    check(clEnqueueReadBuffer(queue, trap_buffer, CL_TRUE, 0, sizeof trap, &trap, 0, NULL, NULL),
          "clEnqueueReadBuffer");
    if (!trap.state) return;
    fprintf(stderr, "a check of the kernel failed: number %d, index %lld, bound %lld\n",
            (int)trap.site, (long long)trap.index, (long long)trap.bound);
    exit(4);
}

static inline double number_of(const Tensor *t, uint64_t bits)
{
    const unsigned width = t->fill.bits, mantissa = t->fill.mantissa;
    const uint64_t sign = bits >> (width - 1) & 1;
    if (t->type == 'u') return (double)bits;
    if (t->type == 'i') return (double)((int64_t)(bits << (64 - width)) >> (64 - width));
    const uint64_t most = ((uint64_t)1 << (width - 1 - mantissa)) - 1;
    const uint64_t low = bits & (((uint64_t)1 << mantissa) - 1), exponent = bits >> mantissa & most;
    double x = exponent ? ldexp((double)(low | (uint64_t)1 << mantissa),
                                (int)exponent - (int)t->fill.bias - (int)mantissa)
                        : ldexp((double)low, 1 - (int)t->fill.bias - (int)mantissa);
    if (t->type == 'f' && exponent == most) x = low ? NAN : INFINITY;
    if (t->type == 'e' && width == 8 && (bits & 127) == 127) x = NAN;
    return sign ? -x : x;
}

// The number of tensors that differ.
static inline int compare(const Tensor *tensors, size_t count)
{
    int wrong = 0;
    for (size_t t = 0; t < count; t++) {
        const Tensor *tensor = &tensors[t];
        size_t mismatched = 0;
        double largest = 0;
        for (size_t i = 0; i < tensor->want_count; i++) {
            const uint64_t bits = fill_get(&tensor->fill, tensor->host, tensor->at[i]);
            const double got = number_of(tensor, bits), want = number_of(tensor, tensor->want[i]);
            if (bits == tensor->want[i] || got == want || (isnan(got) && isnan(want))) continue;
            const double error = fabs(got - want);
            const int is_near = error <= tensor->absolute + tensor->relative * fabs(want);
            if (error > largest) largest = error;
            if (is_near && isfinite(want)) continue;
            if (!mismatched++)
                printf("%s: element %lld is %.9g, expected %.9g\n", tensor->name,
                       (long long)tensor->at[i], got, want);
        }
        if (!tensor->want_count) continue;
        printf("%s: %zu of %zu compared elements differ (it has %lld), largest error %.3g\n",
               tensor->name, mismatched, tensor->want_count, (long long)tensor->fill.count,
               largest);
        wrong += mismatched > 0;
    }
    return wrong;
}

// A library to be put in front of OpenCL (LD_PRELOAD): one function fails or lies, as HAKO_FAULT
// says.
//
//     LD_PRELOAD=faults.so HAKO_FAULT=nofp64 hako run ... --target=opencl
//
// HAKO_SOURCE names a file whose text is built in place of the program's own (mutants.py).
// Everything else goes to the next such library, or to the loader.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_fault(const char *name)
{
    const char *fault = getenv("HAKO_FAULT");
    return fault && strcmp(fault, name) == 0;
}

// The next function of that name: Oclgrind's, else the loader's.
static void *real(const char *name)
{
    void *next = dlsym(RTLD_NEXT, name);
    return next ? next : dlsym(dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL), name);
}

#define REAL(function) ((__typeof__(&function))real(#function))

void *dlopen(const char *name, int flags)
{
    void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    if (name && strncmp(name, "libOpenCL", 9) == 0 && is_fault("noloader")) return NULL;
    return next(name, flags);
}

cl_int clGetPlatformIDs(cl_uint count, cl_platform_id *ids, cl_uint *found)
{
    if (is_fault("noplatform")) return -1001;
    return REAL(clGetPlatformIDs)(count, ids, found);
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t bytes, void *to,
                       size_t *size)
{
    cl_int status = REAL(clGetDeviceInfo)(device, what, bytes, to, size);
    if (status != CL_SUCCESS || !to) return status;
    const cl_ulong little = 4096;
    if (what == CL_DEVICE_EXTENSIONS && is_fault("nofp64"))
        strcpy(to, "cl_khr_byte_addressable_store");
    if (what == CL_DRIVER_VERSION && is_fault("newdriver")) strcpy(to, "99");
    const size_t few = 16;
    if (what == CL_DEVICE_MAX_PARAMETER_SIZE && is_fault("fewparameters"))
        memcpy(to, &few, sizeof few);
    if (what == CL_DEVICE_MAX_WORK_GROUP_SIZE && is_fault("fewitems")) memcpy(to, &few, sizeof few);
    const cl_ulong local = 256;
    if (what == CL_DEVICE_LOCAL_MEM_SIZE && is_fault("littlelocal"))
        memcpy(to, &local, sizeof local);
    if (what == CL_DEVICE_GLOBAL_MEM_SIZE && is_fault("smallmemory"))
        memcpy(to, &little, sizeof little);
    if (what == CL_DEVICE_MAX_MEM_ALLOC_SIZE && is_fault("smallbuffers"))
        memcpy(to, &little, sizeof little);
    return status;
}

cl_context clCreateContext(const cl_context_properties *properties, cl_uint count,
                           const cl_device_id *devices,
                           void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
                           void *user, cl_int *status)
{
    if (!is_fault("nocontext"))
        return REAL(clCreateContext)(properties, count, devices, notify, user, status);
    *status = CL_DEVICE_NOT_AVAILABLE;
    return NULL;
}

// Subgroups of one work-item each, by macros; HAKO_FAULT=badsubgroups adds wrongly.
static const char subgroups[] = "#define HK_SUBGROUPS\n"
                                "#define get_sub_group_local_id() 0\n"
                                "#define get_sub_group_id() get_local_id(0)\n"
                                "#define get_num_sub_groups() get_local_size(0)\n"
                                "#define sub_group_reduce_max(x) (x)\n"
                                "#define sub_group_reduce_min(x) (x)\n"
                                "#define sub_group_reduce_add(x) ";

static cl_program create_with_subgroups(cl_context context, const char *text, cl_int *status)
{
    const char *sum = is_fault("badsubgroups") ? "(2 * (x))\n" : "(x)\n";
    const char *texts[] = {subgroups, sum, text};
    return REAL(clCreateProgramWithSource)(context, 3, texts, NULL, status);
}

cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char **texts,
                                     const size_t *lengths, cl_int *status)
{
    const char *path = getenv("HAKO_SOURCE");
    if (is_fault("subgroups") || is_fault("badsubgroups"))
        return create_with_subgroups(context, texts[0], status);
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return REAL(clCreateProgramWithSource)(context, count, texts, lengths, status);
    static char text[1 << 20];
    const char *other = text;
    size_t length = fread(text, 1, sizeof text, file);
    fclose(file);
    return REAL(clCreateProgramWithSource)(context, 1, &other, &length, status);
}

cl_int clBuildProgram(cl_program program, cl_uint count, const cl_device_id *devices,
                      const char *options, void(CL_CALLBACK *notify)(cl_program, void *),
                      void *user)
{
    if (is_fault("build")) options = "-cl-no-such-option";
    return REAL(clBuildProgram)(program, count, devices, options, notify, user);
}

cl_program clCreateProgramWithBinary(cl_context context, cl_uint count, const cl_device_id *devices,
                                     const size_t *lengths, const unsigned char **binaries,
                                     cl_int *statuses, cl_int *status)
{
    if (!is_fault("badbinary"))
        return REAL(clCreateProgramWithBinary)(context, count, devices, lengths, binaries, statuses,
                                               status);
    *status = CL_INVALID_BINARY;
    return NULL;
}

cl_int clGetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id device,
                                cl_kernel_work_group_info what, size_t bytes, void *to,
                                size_t *size)
{
    cl_int status = REAL(clGetKernelWorkGroupInfo)(kernel, device, what, bytes, to, size);
    const size_t most = 2;
    if (what == CL_KERNEL_WORK_GROUP_SIZE && is_fault("smallgroups") && to)
        memcpy(to, &most, sizeof most);
    return status;
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t bytes, void *from,
                      cl_int *status)
{
    if (!is_fault("nobuffer")) return REAL(clCreateBuffer)(context, flags, bytes, from, status);
    *status = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return NULL;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dims,
                              const size_t *offset, const size_t *global, const size_t *local,
                              cl_uint count, const cl_event *events, cl_event *event)
{
    if (is_fault("resources")) return CL_OUT_OF_RESOURCES;
    if (is_fault("smallgroups") && (!local || *local > 2)) return CL_INVALID_WORK_GROUP_SIZE;
    return REAL(clEnqueueNDRangeKernel)(queue, kernel, dims, offset, global, local, count, events,
                                        event);
}

cl_int clFinish(cl_command_queue queue)
{
    cl_int status = REAL(clFinish)(queue);
    return is_fault("lost") ? CL_INVALID_COMMAND_QUEUE : status;
}

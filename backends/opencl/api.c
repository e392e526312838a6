// Opens libOpenCL.so at run time, so that nothing needs it who does not ask for OpenCL.
#include "backends/opencl/api.h"

#include <dlfcn.h>
#include <stdio.h>

// The process may have OpenCL already: linked to it, or put in front of it by a tool such as
// Oclgrind.
static bool find(void *library, const char *name, void *slot, size_t bytes)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    if (!symbol && library) symbol = dlsym(library, name);
    memcpy(slot, &symbol,
           bytes); // function pointers have the size of object pointers where dlsym is
    return symbol != NULL;
}

bool opencl_api_open(OpenclApi *api, char *reason, size_t reason_bytes)
{
    // The handle stays open: drivers start threads and do not survive being unloaded.
    void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = dlopen("libOpenCL.so", RTLD_NOW | RTLD_LOCAL);
    const char *missing = NULL;
#define CL(function)                                                                               \
    if (!find(library, #function, &api->function, sizeof api->function)) missing = #function;
    OPENCL_FUNCTIONS(CL)
#undef CL
    if (!missing) return true;
    if (library) {
        snprintf(reason, reason_bytes, "the OpenCL loader lacks %s, a function of OpenCL 1.2",
                 missing);
    } else {
        snprintf(reason, reason_bytes,
                 "there is no OpenCL loader (libOpenCL.so.1); on Debian or Ubuntu: apt install "
                 "ocl-icd-libopencl1, and a driver, such as pocl-opencl-icd for the CPU");
    }
    return false;
}

uint32_t opencl_api_devices(const OpenclApi *api, OpenclIds *ids, char *reason, size_t reason_bytes)
{
    cl_platform_id platforms[16];
    cl_uint platform_count = 0;
    ids->count = 0;
    cl_int status = api->clGetPlatformIDs(16, platforms, &platform_count);
    if (platform_count > 16) platform_count = 16;
    for (cl_uint i = 0; status == CL_SUCCESS && i < platform_count; i++) {
        cl_uint room = OPENCL_DEVICES_MAX - ids->count, found = 0;
        if (!room) break;
        cl_int got = api->clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, room,
                                         ids->devices + ids->count, &found);
        if (got != CL_SUCCESS) continue;
        if (found > room) found = room;
        for (cl_uint k = 0; k < found; k++) ids->platforms[ids->count++] = platforms[i];
    }
    if (!ids->count) {
        snprintf(
            reason, reason_bytes,
            "no OpenCL driver offers a device; install one, such as pocl-opencl-icd for the CPU");
    }
    return ids->count;
}

// Number, name, meaning.
#define OPENCL_ERRORS(E)                                                                           \
    E(CL_DEVICE_NOT_FOUND, "no device of that kind")                                               \
    E(CL_DEVICE_NOT_AVAILABLE, "the device is gone or in use")                                     \
    E(CL_COMPILER_NOT_AVAILABLE, "the driver has no compiler")                                     \
    E(CL_MEM_OBJECT_ALLOCATION_FAILURE, "the device's memory is full")                             \
    E(CL_OUT_OF_RESOURCES,                                                                         \
      "the device ran out of registers, local memory or time, or the kernel failed")               \
    E(CL_OUT_OF_HOST_MEMORY, "the host's memory is full")                                          \
    E(CL_PROFILING_INFO_NOT_AVAILABLE, "")                                                         \
    E(CL_MEM_COPY_OVERLAP, "")                                                                     \
    E(CL_IMAGE_FORMAT_MISMATCH, "")                                                                \
    E(CL_IMAGE_FORMAT_NOT_SUPPORTED, "")                                                           \
    E(CL_BUILD_PROGRAM_FAILURE, "the driver's compiler refused the source")                        \
    E(CL_MAP_FAILURE, "")                                                                          \
    E(CL_MISALIGNED_SUB_BUFFER_OFFSET, "")                                                         \
    E(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "an earlier command failed")                   \
    E(CL_COMPILE_PROGRAM_FAILURE, "")                                                              \
    E(CL_LINKER_NOT_AVAILABLE, "")                                                                 \
    E(CL_LINK_PROGRAM_FAILURE, "")                                                                 \
    E(CL_DEVICE_PARTITION_FAILED, "")                                                              \
    E(CL_KERNEL_ARG_INFO_NOT_AVAILABLE, "")                                                        \
    E(CL_INVALID_VALUE, "")                                                                        \
    E(CL_INVALID_DEVICE_TYPE, "")                                                                  \
    E(CL_INVALID_PLATFORM, "")                                                                     \
    E(CL_INVALID_DEVICE, "")                                                                       \
    E(CL_INVALID_CONTEXT, "")                                                                      \
    E(CL_INVALID_QUEUE_PROPERTIES, "")                                                             \
    E(CL_INVALID_COMMAND_QUEUE, "the device may have been lost")                                   \
    E(CL_INVALID_HOST_PTR, "")                                                                     \
    E(CL_INVALID_MEM_OBJECT, "")                                                                   \
    E(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR, "")                                                      \
    E(CL_INVALID_IMAGE_SIZE, "")                                                                   \
    E(CL_INVALID_SAMPLER, "")                                                                      \
    E(CL_INVALID_BINARY, "")                                                                       \
    E(CL_INVALID_BUILD_OPTIONS, "")                                                                \
    E(CL_INVALID_PROGRAM, "")                                                                      \
    E(CL_INVALID_PROGRAM_EXECUTABLE, "")                                                           \
    E(CL_INVALID_KERNEL_NAME, "")                                                                  \
    E(CL_INVALID_KERNEL_DEFINITION, "")                                                            \
    E(CL_INVALID_KERNEL, "")                                                                       \
    E(CL_INVALID_ARG_INDEX, "")                                                                    \
    E(CL_INVALID_ARG_VALUE, "")                                                                    \
    E(CL_INVALID_ARG_SIZE, "")                                                                     \
    E(CL_INVALID_KERNEL_ARGS, "")                                                                  \
    E(CL_INVALID_WORK_DIMENSION, "")                                                               \
    E(CL_INVALID_WORK_GROUP_SIZE, "the kernel needs too much for groups of this size")             \
    E(CL_INVALID_WORK_ITEM_SIZE, "the work-group is larger than the device allows")                \
    E(CL_INVALID_GLOBAL_OFFSET, "")                                                                \
    E(CL_INVALID_EVENT_WAIT_LIST, "")                                                              \
    E(CL_INVALID_EVENT, "")                                                                        \
    E(CL_INVALID_OPERATION, "")                                                                    \
    E(CL_INVALID_GL_OBJECT, "")                                                                    \
    E(CL_INVALID_BUFFER_SIZE, "the buffer is larger than the device allows")                       \
    E(CL_INVALID_MIP_LEVEL, "")                                                                    \
    E(CL_INVALID_GLOBAL_WORK_SIZE, "")                                                             \
    E(CL_INVALID_PROPERTY, "")                                                                     \
    E(CL_INVALID_IMAGE_DESCRIPTOR, "")                                                             \
    E(CL_INVALID_COMPILER_OPTIONS, "")                                                             \
    E(CL_INVALID_LINKER_OPTIONS, "")                                                               \
    E(CL_INVALID_DEVICE_PARTITION_COUNT, "")

// Those of later versions, of the loader and of drivers, which the header of 1.2 does not have.
#define OPENCL_OTHER_ERRORS(E)                                                                     \
    E(-69, "CL_INVALID_PIPE_SIZE", "")                                                             \
    E(-70, "CL_INVALID_DEVICE_QUEUE", "")                                                          \
    E(-71, "CL_INVALID_SPEC_ID", "")                                                               \
    E(-72, "CL_MAX_SIZE_RESTRICTION_EXCEEDED", "")                                                 \
    E(-1000, "CL_INVALID_GL_SHAREGROUP_REFERENCE_KHR", "")                                         \
    E(-1001, "CL_PLATFORM_NOT_FOUND_KHR", "no OpenCL driver is installed")                         \
    E(-1092, "CL_EGL_RESOURCE_NOT_ACQUIRED_KHR", "")                                               \
    E(-1093, "CL_INVALID_EGL_OBJECT_KHR", "")                                                      \
    E(-1094, "CL_INVALID_ACCELERATOR_INTEL", "")                                                   \
    E(-1097, "CL_INVALID_PARTITION_NAME_EXT", "")                                                  \
    E(-9999, "an error of NVIDIA's driver", "a kernel accessed memory that it must not")

const char *opencl_error_name(cl_int status)
{
    switch (status) {
#define E(name, meaning)                                                                           \
    case name: return #name;
        OPENCL_ERRORS(E)
#undef E
#define E(number, name, meaning)                                                                   \
    case number: return name;
        OPENCL_OTHER_ERRORS(E)
#undef E
    }
    return "unknown error";
}

const char *opencl_error_meaning(cl_int status)
{
    switch (status) {
#define E(name, meaning)                                                                           \
    case name: return meaning;
        OPENCL_ERRORS(E)
#undef E
#define E(number, name, meaning)                                                                   \
    case number: return meaning;
        OPENCL_OTHER_ERRORS(E)
#undef E
    }
    return "";
}

// The OpenCL functions that are called, found at run time in the ICD loader, and what their errors
// are called.
#ifndef HK_BACKENDS_OPENCL_API_H
#define HK_BACKENDS_OPENCL_API_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "backends/opencl/opencl_backend.h"

// Every function used: CL(clGetPlatformIDs) ...
// clang-format off
#define OPENCL_FUNCTIONS(CL)                                                                      \
    CL(clGetPlatformIDs) CL(clGetPlatformInfo) CL(clGetDeviceIDs) CL(clGetDeviceInfo)             \
    CL(clCreateContext) CL(clGetContextInfo) CL(clRetainContext) CL(clReleaseContext)             \
    CL(clCreateCommandQueue) CL(clGetCommandQueueInfo) CL(clRetainCommandQueue)                   \
    CL(clReleaseCommandQueue) CL(clCreateProgramWithSource) CL(clCreateProgramWithBinary)         \
    CL(clBuildProgram) CL(clGetProgramBuildInfo) CL(clGetProgramInfo) CL(clReleaseProgram)        \
    CL(clCreateKernel) CL(clReleaseKernel) CL(clSetKernelArg) CL(clGetKernelWorkGroupInfo)        \
    CL(clCreateBuffer) CL(clGetMemObjectInfo) CL(clReleaseMemObject) CL(clEnqueueWriteBuffer)     \
    CL(clEnqueueReadBuffer) CL(clEnqueueFillBuffer) CL(clEnqueueMapBuffer)                        \
    CL(clEnqueueUnmapMemObject) CL(clEnqueueNDRangeKernel) CL(clEnqueueBarrierWithWaitList)       \
    CL(clFlush) CL(clFinish) CL(clGetEventProfilingInfo) CL(clReleaseEvent)
// clang-format on

typedef struct OpenclApi {
#define CL(function) __typeof__(&function) function;
    OPENCL_FUNCTIONS(CL)
#undef CL
} OpenclApi;

// Opens the loader. False: `reason` says in one sentence what is missing and how to get it.
bool opencl_api_open(OpenclApi *api, char *reason, size_t reason_bytes);

enum { OPENCL_DEVICES_MAX = 64 };
typedef struct OpenclIds {
    cl_platform_id platforms[OPENCL_DEVICES_MAX];
    cl_device_id devices[OPENCL_DEVICES_MAX];
    uint32_t count;
} OpenclIds;

// All devices of all platforms in the loader's order; 0 with a reason.
uint32_t opencl_api_devices(const OpenclApi *api, OpenclIds *ids, char *reason,
                            size_t reason_bytes);

void opencl_device_describe(const OpenclApi *api, cl_platform_id platform, cl_device_id id,
                            OpenclDevice *device);

const char *opencl_error_name(cl_int status);    // "CL_OUT_OF_RESOURCES"; "unknown error"
const char *opencl_error_meaning(cl_int status); // a remedy or explanation; may be ""

#endif

// A built OpenCL program and what its launches share.
#ifndef HK_BACKENDS_OPENCL_CODE_H
#define HK_BACKENDS_OPENCL_CODE_H

#include <pthread.h>

#include "backends/opencl/api.h"
#include "backends/opencl/program.h"

struct OpenclCode {
    Arena arena; // owns this struct and the program's text
    OpenclApi api;
    OpenclDevice device;
    Program program;
    pthread_mutex_t lock; // kernels hold their arguments, so launches take turns
    cl_device_id id;
    cl_context context;
    cl_program built;
    cl_command_queue queue;
    const char *options; // of the driver's compiler
    cl_kernel *kernels;  // one for each of program.kernels
    bool was_kept;
};

// ---- build.c: context, queue, program and kernels
bool opencl_build(OpenclCode *code, cl_platform_id platform, OpenclContexts *contexts,
                  const OpenclKeep *keep, DiagList *diags);

// ---- compile.c
// Adds DIAG_OPENCL_FAILED, naming the call and its error, unless `status` is CL_SUCCESS.
bool opencl_ok(DiagList *diags, cl_int status, const char *call);

#endif

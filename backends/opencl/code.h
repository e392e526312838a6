// A built OpenCL program and what its launches share.
#ifndef HK_BACKENDS_OPENCL_CODE_H
#define HK_BACKENDS_OPENCL_CODE_H

#include "backends/opencl/program.h"
#include "backends/opencl/stream.h"

struct OpenclCode {
    Arena arena; // owns this struct and the program's text
    OpenclSite site;
    Program program;
    pthread_mutex_t lock; // kernels hold their arguments until they are queued
    cl_program built;
    const char *options; // of the driver's compiler
    cl_kernel *kernels;  // one for each of program.kernels
    bool was_kept;
};

// ---- build.c: program and kernels
bool opencl_build(OpenclCode *code, const OpenclKeep *keep, DiagList *diags);
// Builds it anew where its context was lost. Under the lock; code->arena is guarded by the caller.
bool opencl_build_again(OpenclCode *code, DiagList *diags);

// ---- compile.c
// Adds DIAG_OPENCL_FAILED, naming the call and its error, unless `status` is CL_SUCCESS.
bool opencl_ok(DiagList *diags, cl_int status, const char *call);

#endif

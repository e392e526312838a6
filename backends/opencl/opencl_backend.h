// Loop IR to OpenCL C 1.2, and its launch through an ICD loader opened at run time.
#ifndef HK_BACKENDS_OPENCL_OPENCL_BACKEND_H
#define HK_BACKENDS_OPENCL_OPENCL_BACKEND_H

#include "ir/frame.h"
#include "ir/ir.h"
#include "ir/machine.h"

typedef struct OpenclDevice {
    char name[128], platform[128], driver[64];
    int64_t global_bytes, local_bytes;
    uint32_t compute_units, work_group_max;
    bool fp16, fp64;
} OpenclDevice;

// Number of devices, 0 if there is no loader or driver (why: one sentence into reason).
uint32_t opencl_devices(OpenclDevice *devices, uint32_t capacity, char *reason, uint32_t reason_bytes);

bool opencl_emit_text(Buf *out, const Func *loop, DiagList *diags);

typedef struct OpenclCode OpenclCode;
OpenclCode *opencl_compile(const Func *loop, uint32_t device, DiagList *diags);
void opencl_code_free(OpenclCode *code);
// Copies the memories in, runs all phases, copies outputs back. `bytes`[Mem.i] is the size of each memory in
// bytes from frame->mems (which holds element (0, ..); `front`[Mem.i] bytes lie before it for negative strides).
bool opencl_run(OpenclCode *code, const Func *loop, const Frame *frame, const int64_t *bytes,
                const int64_t *front, double *device_ms, DiagList *diags);

#endif

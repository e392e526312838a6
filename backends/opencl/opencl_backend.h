// Loop IR to OpenCL C 1.2, and its launch through an ICD loader opened at run time.
#ifndef HK_BACKENDS_OPENCL_OPENCL_BACKEND_H
#define HK_BACKENDS_OPENCL_OPENCL_BACKEND_H

#include "backends/opencl/host/fill.h"
#include "ir/frame.h"
#include "ir/ir.h"
#include "ir/machine.h"

typedef struct OpenclDevice {
    char name[128], platform[128], driver[64];
    int64_t global_bytes, local_bytes, allocation_bytes_max;
    uint32_t compute_units, work_group_max, parameter_bytes_max;
    uint32_t native_lanes; // f32 in a vector register
    bool is_cpu;
    bool fp16, fp64, int64_atomics;
    bool exact_division; // f32 division and square root can be correctly rounded
} OpenclDevice;

// Number of devices (at most `capacity` are described), 0 if there is no loader or driver (why: one
// sentence into reason).
uint32_t opencl_devices(OpenclDevice *devices, uint32_t capacity, char *reason,
                        uint32_t reason_bytes);

// What code for a device is to look like, put over a description of this computer. A device that is
// not there stands for a GPU with the least that OpenCL 1.2 promises. `group`: how many work-items
// are to share a tile, `lanes`: of vectors of f32; 0: as suits the device.
void opencl_machine(uint32_t device, int64_t group, int64_t lanes, Machine *machine);

bool opencl_emit_text(Buf *out, const Func *loop, const Machine *machine, DiagList *diags);

typedef struct OpenclCode
    OpenclCode; // a built program with its context; may be run from any thread

// Contexts of devices that were used, one for each, which all programs of a device share: a GPU's
// driver takes up to a second to make one, and has room for few. All zero at first. Threads may
// share it.
enum { OPENCL_CONTEXTS = 8 };
typedef struct OpenclContexts {
    void *devices[OPENCL_CONTEXTS], *contexts[OPENCL_CONTEXTS]; // cl_device_id, cl_context
} OpenclContexts;
void opencl_contexts_end(OpenclContexts *contexts); // programs that are there keep theirs alive

// Where built programs stay from process to process. `get` gives what was put under exactly that
// key, or nothing; what it gives is tried, and replaced if the driver does not take it.
typedef struct OpenclKeep {
    Str (*get)(void *self, Arena *arena, Str key);
    void (*put)(void *self, Arena *arena, Str key, Str binary);
    void *self;
} OpenclKeep;

// `device` counts as in opencl_devices. NULL after an error in diags: DIAG_DEVICE (no loader,
// driver or such device), DIAG_OPENCL_FEATURE, DIAG_OPENCL_FAILED, or DIAG_INTERNAL with the
// driver's build log. `contexts` and `keep` may be NULL.
OpenclCode *opencl_compile(const Func *loop, const Machine *machine, uint32_t device,
                           OpenclContexts *contexts, const OpenclKeep *keep, DiagList *diags);
bool opencl_code_was_kept(const OpenclCode *code); // built from what `keep` gave
void opencl_code_free(OpenclCode *code);
// Copies the memories in, runs all phases, copies outputs back. `bytes`[Mem.i] is the size of each
// memory in bytes from frame->mems (which holds element (0, ..); `front`[Mem.i] bytes lie before it
// for negative strides). A failed check sets frame->trap and the call returns true. False after an
// error in diags.
bool opencl_run(OpenclCode *code, const Func *loop, const Frame *frame, const int64_t *bytes,
                const int64_t *front, double *device_ms, DiagList *diags);

// ---- host.c: a C program of the plain OpenCL API that runs and checks one launch

typedef struct HostTensor { // a memory of Loop IR that is no scratch
    const char *name;
    int64_t bytes;
    int64_t front;    // of them before element (0, ..., 0)
    Fill fill;        // what it holds before the launch; count counts all `bytes`
    const void *data; // ... or these bytes; NULL: not
    // What elements shall be afterwards; places count from the buffer's start.
    int64_t want_count;
    const int64_t *at;
    const uint64_t *want;
    double relative, absolute; // |got - want| <= relative * |want| + absolute
} HostTensor;

typedef struct HostLaunch {
    const char *title; // of the head comment: kernel and sizes
    const Func *loop;
    const Machine *machine;
    const Frame *frame;
    const HostTensor *tensors; // [Mem.i]
} HostLaunch;

bool opencl_host_text(Buf *out, const HostLaunch *launch, DiagList *diags);

#endif

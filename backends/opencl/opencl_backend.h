// Loop IR to OpenCL C 1.2, and its launch through an ICD loader opened at run time.
#ifndef HK_BACKENDS_OPENCL_OPENCL_BACKEND_H
#define HK_BACKENDS_OPENCL_OPENCL_BACKEND_H

#include "backends/opencl/host/fill.h"
#include "ir/frame.h"
#include "ir/groups.h"
#include "ir/ir.h"
#include "ir/machine.h"

typedef struct OpenclDevice {
    char name[128], platform[128], driver[64];
    int64_t global_bytes, local_bytes, allocation_bytes_max;
    uint32_t compute_units, work_group_max, parameter_bytes_max;
    uint32_t native_lanes; // f32 in a vector register
    uint32_t clock_mhz;
    int64_t cache_bytes; // of the last cache
    bool is_cpu;
    bool fp16, fp64, int64_atomics;
    uint32_t subgroups; // OpenCL C 2 or 3, in which it has cl_khr_subgroups; 0: it has not
    bool exact_division; // f32 division and square root can be correctly rounded
} OpenclDevice;

// What all of a context's programs share. Nothing is opened before it is needed.
typedef struct OpenclSystem OpenclSystem;
OpenclSystem *opencl_system_new(Arena *arena);
void opencl_system_close(OpenclSystem *system);
// To be called first, or never: a cl_context of the host is used for all and decides what devices
// there are. It is retained. False after an error in diags.
bool opencl_system_adopt(OpenclSystem *system, void *context, DiagList *diags);

// Number of devices (at most `capacity` are described), 0 if there is no loader or driver (why: one
// sentence into reason).
uint32_t opencl_devices(OpenclSystem *system, OpenclDevice *devices, uint32_t capacity,
                        char *reason, uint32_t reason_bytes);

// What code for a device is to look like, put over a description of this computer. A device that is
// not there stands for a GPU with the least that OpenCL 1.2 promises. `group`: how many work-items
// are to share a tile, `lanes`: of vectors of f32; 0: as suits the device, and a launch that takes
// long or not.
void opencl_machine(OpenclSystem *system, uint32_t device, int64_t group, int64_t lanes,
                    bool is_long, Machine *machine);

// For the model of time, where groups share units: what the device has (a CPU and one that is not
// there stand for a discrete GPU of the middle class), and what is done with the loops. False: the
// backend cannot write them.
void opencl_group_device(OpenclSystem *system, uint32_t device, GroupDevice *out);
bool opencl_group_plan(Arena *arena, const Func *loop, const Machine *machine, GroupPlan *plan);

// Where a tensor may begin in its buffer.
typedef enum OpenclPlace {
    OPENCL_AT_START,
    OPENCL_AT_MULTIPLE, // of 16 bytes
    OPENCL_ANYWHERE     // at any of its elements
} OpenclPlace;

// `places`[Mem.i], here and below; NULL: all begin their buffers.
bool opencl_emit_text(Buf *out, const Func *loop, const Machine *machine, const OpenclPlace *places,
                      DiagList *diags);

typedef struct OpenclCode OpenclCode; // a built program; may be launched from any thread

// Where built programs stay from process to process. `get` gives what was put under exactly that
// key, or nothing; what it gives is tried, and replaced if the driver does not take it.
typedef struct OpenclKeep {
    Str (*get)(void *self, Arena *arena, Str key);
    void (*put)(void *self, Arena *arena, Str key, Str binary);
    void *self;
} OpenclKeep;

// `device` counts as in opencl_devices. NULL after an error in diags: DIAG_DEVICE (no loader,
// driver or such device), DIAG_OPENCL_FEATURE, DIAG_OPENCL_FAILED, or DIAG_INTERNAL with the
// driver's build log. `keep` may be NULL.
OpenclCode *opencl_compile(OpenclSystem *system, uint32_t device, const Func *loop,
                           const Machine *machine, const OpenclPlace *places,
                           const OpenclKeep *keep, DiagList *diags);
bool opencl_code_was_kept(const OpenclCode *code); // built from what `keep` gave
void opencl_code_free(OpenclCode *code);

// ---- stream.c, launch.c: launches in a queue, one after the other. One thread at a time

typedef struct OpenclStream OpenclStream;
// `queue`: a cl_command_queue of the system's context and that device, which is retained; NULL: a
// new one. NULL after an error in diags.
OpenclStream *opencl_stream_open(Arena *arena, OpenclSystem *system, uint32_t device, void *queue,
                                 DiagList *diags);
void opencl_stream_close(OpenclStream *stream); // what is queued still runs
void *opencl_stream_queue(const OpenclStream *stream);

enum { OPENCL_TRAPS_MAX = 32 };

typedef struct OpenclFill { // what a memory holds before the launch
    uint32_t bytes;         // of the pattern, a power of two; 0: what it has
    unsigned char pattern[8];
} OpenclFill;

typedef struct OpenclLaunch {
    const Func *loop;
    const Frame
        *frame; // mems hold element (0, ..., 0) of what is in host memory; its trap is unused
    const int64_t *bytes, *front; // [Mem.i]: from element (0, ..., 0), and before it in the buffer
    void *const *buffers;         // [Mem.i]: a cl_mem that holds it, or NULL; NULL: none does
    const OpenclFill *fills;      // [Mem.i], of what is not in host memory; NULL: none
    uint32_t trap;                // number of the error buffer, below OPENCL_TRAPS_MAX
    double *device_ms; // what the kernels took by the device's clock, 0 if it has none; waits.
                       // NULL: not asked
} OpenclLaunch;

// Queues (and flushes a queue of its own) copies in, all phases, and copies of outputs to host
// memory, which must not be touched before opencl_stream_wait. Waits itself for a program that
// prints. False after an error in diags; then nothing of the launch uses host memory any more.
bool opencl_run(OpenclStream *stream, OpenclCode *code, const OpenclLaunch *launch,
                DiagList *diags);
// Waits for all that was queued. `trap` is the first error of the launches since the last wait, of
// the error buffer `number`; its state is 0 if there was none.
bool opencl_stream_wait(OpenclStream *stream, Trap *trap, uint32_t *number, DiagList *diags);
// Copies that wait.
bool opencl_stream_read(OpenclStream *stream, void *buffer, int64_t offset, int64_t bytes, void *to,
                        DiagList *diags);
bool opencl_stream_write(OpenclStream *stream, void *buffer, int64_t offset, int64_t bytes,
                         const void *from, DiagList *diags);

typedef struct OpenclBuffer { // what a cl_mem is
    bool is_buffer;           // else an image, and the rest is not known
    bool is_ours;             // of the program's context
    bool is_read_only, is_write_only;
    bool is_unaligned; // host memory that does not begin at a multiple of 16 bytes
    int64_t bytes;
    void *root; // the buffer that it is a part of, or itself
    int64_t root_offset;
} OpenclBuffer;
// For a launch of the program. An error's name, or NULL.
const char *opencl_buffer_describe(const OpenclCode *code, void *buffer, OpenclBuffer *out);

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

// One launch: arguments checked, memory found, phases run. hk_exec_run and hk_exec_verify share it.
#ifndef HK_RUNTIME_LAUNCH_H
#define HK_RUNTIME_LAUNCH_H

#include "backends/interp/interp.h"
#include "runtime/block.h"
#include "runtime/internal.h"

typedef struct Launch {
    Arena arena;
    const hk_exec *exec;
    hk_exec *variant; // owned: compiled for other strides or sizes than `exec`
    const hk_arg *args;
    size_t arg_count;
    DiagList diags;
    hk_stream *stream;  // for OpenCL
    bool is_own_stream; // to be given back
    Slot *slots;        // by kernel parameter
    int64_t *dims;
    uint64_t *scalars; // by Func arg
    bool *given;
    uint64_t *values; // of the tile prologue
    uint32_t team;    // threads that are worth starting
    // The frame and what it points to.
    const Func *f;      // that runs: exec->tile or exec->loop
    uint64_t *f_values; // of its prologue
    void **mems;
    int64_t *strides;
    Frame frame;
    Trap trap;
    void **buffers;    // by Mem.i of f, for OpenCL: what is on the device already
    OpenclFill *fills; // what other memory holds at first
    VEC(Block) blocks; // temporary memory
    bool no_memory;
    bool is_timed;    // kernels of an OpenCL device, by its clock
    double device_ms; // ... that they took; 0: not known
} Launch;

hk_status launch_open(Launch *launch, const hk_exec *exec, const hk_arg *args, size_t count,
                      hk_error **error);
// The same to run in that stream.
hk_status launch_open_in(Launch *launch, hk_stream *stream, const hk_exec *exec, const hk_arg *args,
                         size_t count, hk_error **error);
// The same of an exec that was compiled as far as Loop IR.
hk_status launch_prepare(Launch *launch, const hk_exec *exec, const hk_arg *args, size_t count,
                         hk_error **error);
// Memory, initial values and the frame for one of the exec's functions. False: no memory.
bool launch_place(Launch *launch, const Func *f);
// Runs on launch->slots. With `interp` the reference runs, whatever the exec's target.
hk_status launch_run(Launch *launch, const InterpOptions *interp, InterpResult *result,
                     hk_error **error);
void launch_close(Launch *launch);
// What a trap of the exec's code means, as an error.
hk_status launch_trapped(const hk_exec *exec, const Trap *trap, hk_error **error);

#endif

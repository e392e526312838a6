// A queue, and what its launches share: buffers that the next launch uses again, error buffers.
#ifndef HK_BACKENDS_OPENCL_STREAM_H
#define HK_BACKENDS_OPENCL_STREAM_H

#include "backends/opencl/system.h"

// The error buffer, as helpers.def declares it.
typedef struct DeviceTrap {
    cl_int state, site;
    cl_long index, bound;
} DeviceTrap;

typedef struct PooledBuffer {
    cl_mem buffer;
    int64_t bytes;
    uint64_t used; // the last launch that did
} PooledBuffer;

enum { POOL_MAX = 128 };

struct OpenclStream {
    OpenclSite site;
    cl_command_queue queue;
    bool is_own;     // else the host's
    bool is_ordered; // else barriers make it so
    uint64_t launch; // counts
    PooledBuffer pool[POOL_MAX];
    cl_mem traps[OPENCL_TRAPS_MAX];
    bool is_trap_used[OPENCL_TRAPS_MAX]; // by launches since the last wait
    cl_mem lines;
};

// Opens a queue of its own anew where its context was lost.
bool ocl_stream_ready(OpenclStream *stream, DiagList *diags);
// A buffer of at least that size, until the launch has been queued: the next one may have it, since
// the queue is in order. NULL after an error in diags.
cl_mem ocl_stream_buffer(OpenclStream *stream, int64_t bytes, DiagList *diags);
void ocl_stream_trim(OpenclStream *stream); // gives back what has not been used for a while
// The error buffer of that number, for a launch. NULL after an error in diags.
cl_mem ocl_stream_trap(OpenclStream *stream, uint32_t number, DiagList *diags);
// Commands from here on wait for those before.
bool ocl_stream_order(OpenclStream *stream, DiagList *diags);

#endif

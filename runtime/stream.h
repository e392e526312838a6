// Streams inside the library: a queue, its lock, and the execs whose errors it may still tell.
#ifndef HK_RUNTIME_STREAM_H
#define HK_RUNTIME_STREAM_H

#include "runtime/internal.h"

// An idle stream of the context, or a new one; for launches that wait for their end.
hk_status stream_take(hk_context *context, uint32_t device, hk_stream **stream, hk_error **error);
void stream_give(hk_stream *stream);

// To be called between these two.
OpenclStream *stream_lock(hk_stream *stream);
void stream_unlock(hk_stream *stream);
OpenclStream *stream_opencl(const hk_stream *stream);
// The number of the exec's error buffer; the exec is held until the next wait. There is one if not
// stream_is_full.
uint32_t stream_hold(hk_stream *stream, const hk_exec *exec);
bool stream_is_full(const hk_stream *stream);
// Waits for all that was queued, and tells the first error of it.
hk_status stream_wait(hk_stream *stream, hk_error **error);

#endif

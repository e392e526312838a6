// Ranges and pieces of a phase's units; see phase.h.
#include "runtime/phase.h"

enum { PIECES_PER_THREAD = 4, SCRATCH_ALIGNMENT = 64 };

void phase_units(void *context, int64_t begin, int64_t end, void *scratch)
{
    const PhaseJob *job = context;
    job->code(job->frame, begin, end, scratch);
}

size_t phase_cut(PhaseJob *job, int64_t threads)
{
    int64_t most = PIECES_PER_THREAD * threads;
    job->pieces = job->units < most ? job->units : most;
    // One line more than needed, so that there is some.
    job->scratch_bytes =
        (job->scratch_bytes + SCRATCH_ALIGNMENT) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
    return (size_t)(job->scratch_bytes * job->pieces);
}

void phase_piece(void *context, int64_t piece)
{
    const PhaseJob *job = context;
    int64_t base = job->units / job->pieces, extra = job->units % job->pieces;
    int64_t begin = piece * base + (piece < extra ? piece : extra);
    job->code(job->frame, begin, begin + base + (piece < extra),
              job->scratch + piece * job->scratch_bytes);
}

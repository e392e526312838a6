// The phases of a launch, in their order, on threads; what they report; and what generated code
// calls.
#include "runtime/aot/rt.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/cpus.h"
#include "runtime/line.h"
#include "runtime/phase.h"
#include "runtime/threads.h"

static const int64_t BYTES_WORTH = 64 << 10; // of arguments: for less, no other thread is woken

#define HIDDEN __attribute__((visibility("hidden")))

// ---- called by generated code

HIDDEN void hako2_trap(const Frame *frame, int64_t site, int64_t index, int64_t bound)
{
    frame_trap(frame, site, index, bound);
}

HIDDEN void hako2_print(const Frame *frame, int64_t site, const uint64_t *values)
{
    frame->printer->line(frame->printer->self, site, values);
}

static void print_line(void *self, int64_t site, const uint64_t *values)
{
    const Call *c = self;
    const AotSite *sites = call_at(c, c->variant->sites);
    const char *text = call_text(c, sites[site].text);
    char line[LINE_MOST];
    line_format(line, (Str){text, strlen(text)}, values);
    fprintf(stderr, "%s\n", line);
}

// ---- threads: one pool for all libraries of a program, made when it is first of use

typedef void ParallelFor(void *self, int64_t count, void (*body)(void *arg, int64_t index),
                         void *arg);

static void *resize(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    (void)self, (void)old_bytes;
    if (new_bytes) return realloc(p, new_bytes);
    free(p);
    return NULL;
}

const Allocator rt_allocator = {resize, NULL};

static struct {
    pthread_mutex_t lock;
    Pool *pool;
    unsigned threads;
    ParallelFor *parallel_for;
    void *self;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

HIDDEN void hako2_setup(uint32_t threads, ParallelFor *parallel_for, void *self)
{
    pthread_mutex_lock(&shared.lock);
    if (!shared.pool) {
        shared.threads = threads;
        shared.parallel_for = parallel_for;
        shared.self = self;
    }
    pthread_mutex_unlock(&shared.lock);
}

static Pool *shared_pool(void)
{
    pthread_mutex_lock(&shared.lock);
    // With a host's threads the pool only keeps scratch.
    if (!shared.pool)
        shared.pool = pool_new(shared.parallel_for ? 1 : shared.threads, &rt_allocator);
    Pool *pool = shared.pool;
    pthread_mutex_unlock(&shared.lock);
    return pool;
}

// ---- one phase

static bool run_on_host_threads(PhaseJob *job)
{
    int64_t threads = shared.threads ? shared.threads : cpus_available();
    Block scratch;
    if (!block_new(&scratch, &rt_allocator, phase_cut(job, threads))) return false;
    job->scratch = scratch.data;
    shared.parallel_for(shared.self, job->pieces, phase_piece, job);
    block_free(&scratch, &rt_allocator);
    return true;
}

static bool run_phase(Call *c, uint32_t phase, int64_t units, bool parallel)
{
    PhaseJob job = {.code = (PhaseFn *)(uintptr_t)c->code[c->variant->phases + phase],
                    .frame = &c->frame,
                    .units = units,
                    .scratch_bytes = c->variant->scratch_bytes};
    Pool *pool = shared_pool();
    bool ok = pool != NULL;
    if (ok && parallel && units > 1 && shared.parallel_for) {
        ok = run_on_host_threads(&job);
    } else if (ok) { // one thread too: the pool keeps scratch from launch to launch
        PoolJob work = {.fn = phase_units,
                        .context = &job,
                        .units = units,
                        .scratch_bytes = (size_t)job.scratch_bytes,
                        .threads_max = parallel ? 0 : 1};
        ok = pool_run(pool, &work);
    }
    return ok || call_fail(c, HAKO_MEMORY, DIAG_MEMORY, "out of memory");
}

// ---- all phases

static uint32_t phases_before(const AotStep *steps, uint32_t k)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < k; i++) count += steps[i].kind == AOT_PHASE;
    return count;
}

static bool run_steps(Call *c, uint32_t from, uint32_t to, bool worth)
{
    const AotStep *steps = call_at(c, c->variant->steps);
    for (uint32_t k = from; k < to; k++) {
        const AotStep *step = &steps[k];
        int64_t count = step->kind == AOT_AGAIN ? 0 : (int64_t)c->counts[step->count];
        if (step->kind == AOT_PHASE && count > 0 &&
            (!run_phase(c, phases_before(steps, k), count, step->parallel && worth) ||
             c->trap.state))
            return false;
        if (step->kind != AOT_REPEAT) continue;
        for (int64_t turn = 0; turn < count; turn++) {
            c->args[step->arg] = (uint64_t)turn;
            call_values(c, c->variant->values)(&c->frame, c->counts);
            if (!run_steps(c, k + 1, step->end, worth)) return false;
        }
        k = step->end;
    }
    return true;
}

static void report_trap(Call *c)
{
    if (c->trap.site < 0 || (uint64_t)c->trap.site >= c->variant->site_count) {
        call_fail(c, HAKO_TRAP, DIAG_TRAPPED, "it failed at an unknown place");
        return;
    }
    const AotSite *site = (const AotSite *)call_at(c, c->variant->sites) + c->trap.site;
    long long index = (long long)c->trap.index, bound = (long long)c->trap.bound;
    const char *text = call_text(c, site->text);
    DiagCode code = (DiagCode)site->code;
    c->place = call_text(c, site->place);
    switch ((SiteKind)site->kind) {
    case SITE_BOUNDS:
        call_fail(c, HAKO_TRAP, code, "index %lld of %s dimension %u is out of bounds (size %lld)",
                  index, text, site->position, bound);
        break;
    case SITE_ASSERT:
        call_fail(c, HAKO_TRAP, code, "assertion failed%s%s", text[0] ? ": " : "", text);
        break;
    case SITE_DIVIDE: call_fail(c, HAKO_TRAP, code, "division by zero"); break;
    case SITE_LANE:
        call_fail(c, HAKO_TRAP, code,
                  "index %lld is outside of the axis %s, whose range ends at %lld", index, text,
                  bound);
        break;
    case SITE_REQUIRE: call_fail(c, HAKO_TRAP, code, "%s", text); break;
    case SITE_PRINT: break;
    }
}

void step_all(Call *c)
{
    int64_t bytes = 0;
    for (uint32_t m = 0; m < c->instance->mem_count; m++)
        bytes += c->views[m].high - c->views[m].low;
    Printer printer = {print_line, c};
    c->frame.printer = &printer;
    run_steps(c, 0, c->variant->step_count, bytes >= BYTES_WORTH);
    if (c->trap.state) report_trap(c);
}

// Where tests put faults into what the tuner tries. Only a build with HAKO_FAULTS, of tests/faults,
// has more than empty functions here.
#ifndef HK_RUNTIME_FAULT_H
#define HK_RUNTIME_FAULT_H

#include "runtime/internal.h"

#ifdef HAKO_FAULTS
void fault_candidate(const char *config);             // may crash, hang, abort or take all memory
void fault_results(const char *config, const TensorView *views, size_t count); // makes them wrong
// Times without noise in place of measured ones. False: measure.
bool fault_times(const char *config, uint32_t runs, hk_evaluation *evaluation);
void fault_loop(Func *loop); // the code is changed as a miscompile would
#else
static inline void fault_candidate(const char *config)
{
    (void)config;
}

static inline void fault_results(const char *config, const TensorView *views, size_t count)
{
    (void)config, (void)views, (void)count;
}

static inline bool fault_times(const char *config, uint32_t runs, hk_evaluation *evaluation)
{
    (void)config, (void)runs, (void)evaluation;
    return false;
}

static inline void fault_loop(Func *loop)
{
    (void)loop;
}
#endif

#endif

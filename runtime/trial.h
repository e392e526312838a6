// The steps of trying a Config, in this process; worker.c does them for another process.
#ifndef HK_RUNTIME_TRIAL_H
#define HK_RUNTIME_TRIAL_H

#include "runtime/internal.h"

// To Loop IR, whose hash is *code: candidates with equal hashes are one. False: it is refused.
bool trial_schedule(hk_trial *trial, const char *config, uint64_t *code, hk_evaluation *evaluation);
// After that: to machine code, which runs once and is checked. False: the outcome says why, and
// *exec is NULL.
bool trial_build(hk_trial *trial, const char *config, hk_exec **exec, hk_evaluation *evaluation);
void trial_time(hk_trial *trial, const hk_exec *exec, const char *config, double limit,
                uint32_t runs, hk_evaluation *evaluation);
// `runs` samples of what was checked before, and nothing else: for finals.
void trial_again(hk_trial *trial, const char *config, uint32_t runs, hk_evaluation *evaluation);

// Before forks and after each of them, in the child. A device's driver does not bear forks.
bool trial_may_fork(const hk_trial *trial);
void trial_rest(hk_trial *trial);
void trial_forked(hk_trial *trial);

#endif

// Between the tuner and what it measures with: this process, or a worker.
#ifndef HK_RUNTIME_TRIAL_H
#define HK_RUNTIME_TRIAL_H

#include <sys/types.h>

#include "runtime/internal.h"

typedef struct Worker {
    const char *const *argv;
    uint64_t bytes_max;
    pid_t pid;    // 0: none
    int socket;
    bool gave_up; // it could not even prepare: its exit code is in `code`
    int code;
    char *line; // of the worker's last answer
    size_t capacity;
} Worker;

// As hk_trial_measure; a worker that does not answer within seconds_max is ended, and started anew
// when it is next needed. False: it cannot be started.
bool worker_measure(Worker *worker, const char *config, double limit, uint32_t runs,
                    double seconds_max, hk_evaluation *evaluation);
void worker_stop(Worker *worker);

#endif

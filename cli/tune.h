// Tuning from the command line: the driver searches, a worker process compiles and runs what it is
// told, so that a candidate that crashes or hangs costs a row of the table and nothing else.
#ifndef HK_CLI_TUNE_H
#define HK_CLI_TUNE_H

#include <sys/types.h>

#include "cli/cli.h"

// How a candidate ended. The worker's answer is "STATUS NANOSECONDS" on one line.
typedef enum Outcome {
    OUTCOME_OK,
    OUTCOME_WRONG,
    OUTCOME_REFUSED,
    OUTCOME_CRASHED,
    OUTCOME_SLOW,
    OUTCOME_COUNT
} Outcome;

typedef struct Worker {
    const Options *options;
    pid_t pid;    // 0: none
    int to, from; // pipes
    bool gave_up; // it could not even prepare: its exit code is in `code`
    int code;
} Worker;

// Asks for the time of a Config; `limit_ns` (0: none) lets the worker stop early when it is far
// slower. The worker is started, or started again after a crash, as needed.
Outcome worker_measure(Worker *worker, const char *config, double limit_ns, double deadline_seconds,
                       double *ns);
void worker_stop(Worker *worker);
Command command_tune, command_tune_worker;

// tune_file.c: writes the block of a kernel and shape into FILE.hkt. 0, or an exit code after
// printing why.
int tune_file_write(const Session *session, const char *config, const char *remark, char **path);

#endif

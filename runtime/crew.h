// Those who try Configs for the tuner: processes, each candidate in one of its own, or this
// process. Candidates go through three steps: scheduled and built many at once, timed one by one.
#ifndef HK_RUNTIME_CREW_H
#define HK_RUNTIME_CREW_H

#include <sys/types.h>

#include "runtime/trial.h"

enum { CREW_MAX = 64, CREW_WATCH = CREW_MAX - 1 }; // the last place is for a sentinel

typedef struct Process {
    pid_t pid; // 0: none
    int socket;
    double bytes; // of memory that it had before it began
} Process;

typedef struct Crew {
    hk_trial *trial;         // NULL: processes
    const char *const *argv; // of the worker's program
    uint64_t bytes_max;      // beyond what a worker begins with; 0: no limit
    double seconds_max;      // for each step of a candidate
    Process root;            // the first worker, which forks the others
    bool forks;              // else each is started anew
    bool gave_up;            // it could not even prepare: its exit code is in `code`
    int code;
    Process places[CREW_MAX];
    char *line; // of the last answer
} Crew;

typedef struct Attempt {
    const char *config;
    uint64_t code; // hash of the Loop IR
    hk_evaluation evaluation;
    hk_exec *exec; // in this process
    double deadline;
    bool over; // the outcome is final
} Attempt;

// `count` attempts, at most CREW_WATCH, get places 0 .. count - 1, and a process each.
void crew_schedule(Crew *crew, Attempt *attempts, size_t count);
void crew_build(Crew *crew, Attempt *attempts, size_t count);
void crew_time(Crew *crew, Attempt *attempts, size_t k, double limit);

// Many in the process of one place, which keeps what it has compiled: checked when they enter, then
// only timed.
void crew_enter(Crew *crew, size_t place, Attempt *attempt);
// Another process takes the place; who entered there must enter again.
void crew_renew(Crew *crew, size_t place);
void crew_again(Crew *crew, size_t place, Attempt *attempt, uint32_t runs);
void crew_free(Crew *crew);

#endif

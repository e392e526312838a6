// The tuner's side of the database: what is told while a search runs.
#ifndef HK_RUNTIME_STORE_H
#define HK_RUNTIME_STORE_H

#include <sqlite3.h>

#include "ir/base/str.h"
#include "runtime/internal.h"

// What is tuned: kernel, code, sizes, target, machine. Two execs with equal keys are one problem.
typedef struct Problem {
    Str key, kernel, code, sizes, target, machine;
} Problem;
Problem problem_of(Arena *arena, const hk_exec *exec);
const Problem *exec_problem(const hk_exec *exec); // the same, kept with it; NULL: out of memory

struct hk_store {
    hk_context *context;
    sqlite3 *db;
    sqlite3_stmt *look_up, *look_near; // kept, so that a look-up takes microseconds
    pthread_mutex_t lock;
};

typedef struct StoreRun {
    hk_store *store; // NULL: nothing is recorded
    int64_t problem;
    char uid[33];
    int64_t sequence;
} StoreRun;

// All return false when the database cannot be written: tuning goes on without, and says so once.
bool store_begin(StoreRun *run, const Problem *problem, const hk_tune_options *options,
                 const char *search);
// Before a candidate runs, so that one which takes the machine down is known afterwards. Each
// has the next number of the run's sequence.
bool store_started(StoreRun *run, const char *config, const char *origin);
bool store_measured(StoreRun *run, int64_t number, const hk_evaluation *evaluation);
bool store_finish(StoreRun *run, const hk_tune_result *result);
// Calls tell for each Config that earlier runs evaluated for the problem; an outcome of -1: it was
// started twice and never came back. Once may be because the tuner was ended.
bool store_past(const StoreRun *run, const Problem *problem,
                void (*tell)(void *self, const char *config, int outcome, double median),
                void *self);
const char *store_message(const hk_store *store); // of the last failure
hk_status store_complain(const hk_store *store, hk_error **error, const char *doing);

#endif

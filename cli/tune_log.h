// What one tuning did, measurement by measurement: kept for the log and the report, and replayed
// from a log.
#ifndef HK_CLI_TUNE_LOG_H
#define HK_CLI_TUNE_LOG_H

#include "cli/cli.h"

typedef struct LogRow {
    char *config, *origin;
    hk_evaluation evaluation;
    double elapsed;
    double model_seconds; // what the model of time says; 0: nothing, or it was not asked
} LogRow;

typedef struct TuneLog {
    char *kernel, *sizes, *target, *machine, *file;
    char *search;
    uint64_t seed, candidates;
    uint32_t jobs;
    double budget;
    LogRow *rows;
    size_t count, capacity;
    hk_tune_result result; // its config is borrowed
    char *config;          // the result's
    hk_cost cost;
    Limits limits; // of the machine, for the report
} TuneLog;

// Fills what is known before the search from the session. 0, or an exit code.
int log_begin(TuneLog *log, const Session *session);
void log_add(TuneLog *log, const hk_tune_event *event);
void log_free(TuneLog *log);
// As JSON lines: a "begin", an "evaluation" for each row, an "end".
int log_write(FILE *out, const TuneLog *log);
// Calls fit to hk_tune_options.measure read a log from its first line on. NULL after printing why.
typedef struct Replay Replay;
Replay *replay_open(const char *path);
// The next tuning in the log; false: there is none, or it is of another kernel or other sizes,
// which is printed. What the search depends on becomes what it was: seed, search, jobs, candidates.
bool replay_next(Replay *replay, TuneLog *now);
// What the model of time chose to be tried in it. To be freed; the texts are borrowed.
const char **replay_seeds(const Replay *replay, size_t *count);
bool replay_measure(void *self, const char *config, const char *origin, hk_evaluation *evaluation);
// After hk_tune: whether each decision was the one in the log; prints the first that was not.
bool replay_agrees(const Replay *replay, const hk_tune_result *result);
void replay_close(Replay *replay);

// tune_report.c: one self-contained HTML file of all tunings.
int report_write(const char *path, const TuneLog *logs, size_t count);

#endif

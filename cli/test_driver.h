// What the driver of `hako test` keeps of each file and kernel.
#ifndef HK_CLI_TEST_DRIVER_H
#define HK_CLI_TEST_DRIVER_H

#include "cli/test.h"

enum { TARGETS_MAX = 3 };

typedef struct Targets {
    const char *names[TARGETS_MAX];
    size_t count;
} Targets;

typedef struct Tally {
    size_t passed, failed, skipped, reference; // reference: runs that others are compared with
} Tally;

typedef struct Problem {
    int number; // of the case
    const char *target, *config, *text;
    bool skipped;
} Problem;

typedef struct Row { // a kernel
    const char *kernel, *why;
    Tally tallies[TARGETS_MAX];
    uint32_t cases; // those seen so far
    int last_case;
    double ratio, seconds;
    const char **shapes; // different ones
    size_t shape_count;
    Problem *problems;
    size_t problem_count;
} Row;

typedef struct FileRun {
    const char *path;
    char *scratch; // folder
    Row *rows;
    size_t row_count;
    bool full, started, done;
    int pid, from;
    char *line; // read so far
    size_t used, capacity;
    json_t *trying; // the start of a try that has not ended
    long next;      // number of the try that a new process begins with
    double heard;   // when the process last said something
} FileRun;

void row_print(const FileRun *file, const Row *row, const Targets *targets);
json_t *row_json(const FileRun *file, const Row *row, const Targets *targets);
void json_print(json_t *rows, const Tally *sum);
void tally_print(const Tally *sum);
void tally_add(Tally *sum, const Row *row);

// ---- test_files.c

typedef struct Paths {
    char **data;
    size_t count;
} Paths;

// The .hk files at and below a path, in order. An exit code after printing why not.
int paths_collect(const char *path, Paths *paths);
void folder_remove(const char *path);

#endif

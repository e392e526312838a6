// hako test: cases, the worker that runs them, the driver that shows them.
#ifndef HK_CLI_TEST_H
#define HK_CLI_TEST_H

#include <jansson.h>

#include "cli/cli.h"

// What an output should be. Texts: `value` is "@FILE", a number for every element, values in
// parentheses, or a generator; tolerances are numbers or "@FILE" of an array; `skip` is a file of
// bools, true where anything will do. NULL: none, and the default by dtype.
typedef struct Expectation {
    const char *name, *value, *skip, *rtol, *atol;
} Expectation;

// One launch of one kernel, to be tried on each target. All texts are borrowed from the module or
// from `oracle`, or never freed.
typedef struct TestCase {
    const hk_kernel *kernel;
    uint32_t number; // among the kernel's cases, from 1
    Pairs inputs, scalars, defines, settings;
    const char *fails; // the diagnostic that it should end with, "HK0712"; NULL: none
    Expectation *expects;
    size_t expect_count;
    const char **configs; // for the CPU; none: the default alone
    size_t config_count;
    json_t *oracle; // what it was made from
} TestCase;
void case_free(TestCase *test);

// ---- test_oracle.c: NumPy beside the samples, asked for one case at a time

typedef struct Oracle {
    int pid, to, from;
} Oracle;

// The oracle of a .hk file: tests/oracle/GROUP/NAME.py for samples/GROUP/NAME.hk, in the nearest
// folder above the file that has one. NULL: there is none. *folder: tests/oracle.
char *oracle_find(const char *source, char **folder);
bool oracle_start(Oracle *oracle, const char *python, const char *folder, const char *path,
                  const char *scratch, bool full);
// The next case, NULL after the last; *failed if the oracle broke off.
json_t *oracle_next(Oracle *oracle, bool *failed);
void oracle_stop(Oracle *oracle);
// A Python that has NumPy; NULL if there is none.
const char *python_find(void);

// ---- test_cases.c

typedef struct CaseSource {
    const hk_module *module;
    const char *source, *folder; // the .hk file and where it lies
    const char *oracle_path, *oracle_folder, *python, *scratch;
    bool full, failed;
    uint32_t *numbers; // by kernel: cases so far
    enum { FROM_BLOCKS, FROM_ORACLE, FROM_ROWS, FROM_NOWHERE } from;
    size_t at, row;
    Oracle oracle;
    bool started;
} CaseSource;

// The next case: of the file's `test` blocks, then of its oracle, then, for kernels without any,
// of their `shapes`. False: there are no more, or `failed`.
bool cases_next(CaseSource *source, TestCase *test);
void cases_end(CaseSource *source);

// ---- test_compare.c

typedef struct Verdict {
    bool failed;
    double ratio; // the largest error relative to the allowed one
    char *text;   // how it failed
} Verdict;

// An output against what is expected of it, with `slack` times the tolerance. An exit code if the
// expectation itself cannot be had.
int expectation_check(const Expectation *expect, const Array *got, double slack, Verdict *verdict);
// "(1, (2, 3))" as "1 2 3"; NULL if it is none. Freed by the caller.
char *listed_values(const char *text);

// ---- test_worker.c

Command command_test, command_test_worker;

#endif

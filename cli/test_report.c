// What `hako test` shows: one line for each kernel, what failed below it, and the sums; or JSON.
#include <stdlib.h>
#include <string.h>

#include "cli/test_driver.h"

enum { SHAPES_SHOWN = 2, PROBLEMS_SHOWN = 4, NAME_WIDTH = 26 };

static Tally sum_of(const Row *row)
{
    Tally sum = {0};
    for (size_t i = 0; i < TARGETS_MAX; i++) {
        sum.passed += row->tallies[i].passed;
        sum.failed += row->tallies[i].failed;
        sum.skipped += row->tallies[i].skipped;
    }
    return sum;
}

static const char *word_of(const Tally *tally)
{
    return tally->failed      ? "FAIL"
           : tally->passed    ? "ok"
           : tally->reference ? "ref"
           : tally->skipped   ? "skip"
                              : "-";
}

void tally_add(Tally *sum, const Row *row)
{
    Tally own = sum_of(row);
    sum->passed += own.passed;
    sum->failed += own.failed;
    sum->skipped += own.skipped + (row->cases == 0 && own.failed == 0);
}

// ---- text

static void print_shapes(const Row *row)
{
    char text[SHAPES_SHOWN * 80 + 40] = "";
    size_t length = 0, shown = row->shape_count < SHAPES_SHOWN ? row->shape_count : SHAPES_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i ? " " : "",
                                   row->shapes[i]);
    }
    if (row->shape_count > shown)
        snprintf(text + length, sizeof text - length, " +%zu", row->shape_count - shown);
    printf("%-22s", text);
}

// The first line says what; where the source is follows.
static void print_indented(const char *text, const char *indent, int lines_max)
{
    int lines = 0;
    for (const char *at = text; *at && lines < lines_max; lines++) {
        size_t n = strcspn(at, "\n");
        printf("%s%.*s\n", indent, (int)n, at);
        at += n + (at[n] == '\n');
    }
}

static void print_problem(const FileRun *file, const Row *row, const Problem *problem)
{
    if (!*problem->target) {
        print_indented(problem->text, "    ", 20);
        return;
    }
    printf("  %s %s#%d %s%s%s\n", problem->skipped ? "skip" : "FAIL", row->kernel, problem->number,
           problem->target, *problem->config ? "  " : "", problem->config);
    print_indented(problem->text, "      ", problem->skipped ? 1 : 20);
    if (problem->skipped) return;
    printf("      again: hako test %s --filter ':%s#%d$' --target=%s%s\n", file->path, row->kernel,
           problem->number, problem->target, file->full ? " --full" : "");
}

static void print_problems(const FileRun *file, const Row *row)
{
    size_t shown = 0, failures = 0;
    const char *reason = "";
    for (size_t i = 0; i < row->problem_count; i++) {
        const Problem *problem = &row->problems[i];
        if (problem->skipped && strcmp(reason, problem->text) == 0) continue; // said before
        if (problem->skipped) reason = problem->text;
        failures += !problem->skipped;
        if (!problem->skipped && shown++ >= PROBLEMS_SHOWN) continue;
        print_problem(file, row, problem);
    }
    if (failures > PROBLEMS_SHOWN) printf("  and %zu more\n", failures - PROBLEMS_SHOWN);
}

void row_print(const FileRun *file, const Row *row, const Targets *targets)
{
    if (row->cases == 0 && sum_of(row).failed) { // before any kernel was tried
        printf("%-*s  FAIL  %s\n", NAME_WIDTH, row->kernel, file->path);
        print_problems(file, row);
        return;
    }
    printf("%-*s", NAME_WIDTH, row->kernel);
    if (row->cases == 0) {
        printf("  no tests: %s  %s\n", row->why ? row->why : "", file->path);
        return;
    }
    for (size_t i = 0; i < targets->count; i++)
        printf("  %s %-4s", targets->names[i], word_of(&row->tallies[i]));
    printf("  %3u case%s  ", row->cases, row->cases == 1 ? " " : "s");
    print_shapes(row);
    printf("  error %-7.2g %5.1f s  %s\n", row->ratio, row->seconds, file->path);
    print_problems(file, row);
    fflush(stdout);
}

void tally_print(const Tally *sum)
{
    printf("%zu passed, %zu failed, %zu skipped\n", sum->passed, sum->failed, sum->skipped);
}

// ---- JSON

json_t *row_json(const FileRun *file, const Row *row, const Targets *targets)
{
    json_t *by_target = json_object(), *shapes = json_array(), *problems = json_array();
    for (size_t i = 0; i < targets->count; i++) {
        const Tally *tally = &row->tallies[i];
        json_object_set_new(by_target, targets->names[i],
                            json_pack("{s:I, s:I, s:I, s:I}", "passed", (json_int_t)tally->passed,
                                      "failed", (json_int_t)tally->failed, "skipped",
                                      (json_int_t)tally->skipped, "reference",
                                      (json_int_t)tally->reference));
    }
    for (size_t i = 0; i < row->shape_count; i++)
        json_array_append_new(shapes, json_string(row->shapes[i]));
    for (size_t i = 0; i < row->problem_count; i++) {
        const Problem *problem = &row->problems[i];
        json_array_append_new(
            problems, json_pack("{s:i, s:s, s:s, s:s, s:s}", "case", problem->number, "target",
                                problem->target, "config", problem->config, "outcome",
                                problem->skipped ? "skipped" : "failed", "text", problem->text));
    }
    return json_pack("{s:s, s:s, s:i, s:o, s:o, s:f, s:f, s:o}", "file", file->path, "kernel",
                     row->kernel, "cases", (int)row->cases, "targets", by_target, "shapes", shapes,
                     "error_ratio", row->ratio, "seconds", row->seconds, "problems", problems);
}

void json_print(json_t *rows, const Tally *sum)
{
    json_t *all =
        json_pack("{s:O, s:I, s:I, s:I}", "kernels", rows, "passed", (json_int_t)sum->passed,
                  "failed", (json_int_t)sum->failed, "skipped", (json_int_t)sum->skipped);
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(all);
}

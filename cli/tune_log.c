// The log of hako tune: JSON lines, and their replay.
#include "cli/tune_log.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int log_begin(TuneLog *log, const Session *s)
{
    hk_text *problem;
    hk_error *error;
    hk_status status = hk_exec_problem(s->exec, &problem, &error);
    if (status != HK_OK) return report(s->options, status, error);
    json_t *row = json_loads(hk_text_data(problem), 0, NULL);
    *log = (TuneLog){.kernel = must_format("%s", text_of(row, "kernel")),
                     .sizes = must_format("%s", text_of(row, "sizes")),
                     .target = must_format("%s", text_of(row, "target")),
                     .machine = must_format("%s", text_of(row, "machine")),
                     .file = must_format("%s", s->path),
                     .search = s->options->search ? must_format("%s", s->options->search) : NULL,
                     .seed = s->options->seed,
                     .candidates = s->options->candidates,
                     .budget = s->options->budget,
                     .cost = {.struct_size = sizeof(hk_cost)}};
    json_decref(row);
    hk_text_free(problem);
    hk_exec_cost(s->exec, &log->cost);
    return 0;
}

void log_add(TuneLog *log, const hk_tune_event *event)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? 2 * log->capacity : 256;
        log->rows = must_grow(log->rows, sizeof(LogRow) * log->capacity);
    }
    log->rows[log->count++] = (LogRow){.config = must_format("%s", event->config),
                                       .origin = must_format("%s", event->origin),
                                       .evaluation = *event->evaluation,
                                       .elapsed = event->elapsed_seconds};
}

void log_free(TuneLog *log)
{
    for (size_t k = 0; k < log->count; k++) {
        free(log->rows[k].config);
        free(log->rows[k].origin);
    }
    free(log->rows);
    free(log->kernel);
    free(log->sizes);
    free(log->target);
    free(log->machine);
    free(log->file);
    free(log->search);
    free(log->config);
}

// ---- writing

static bool put_line(FILE *out, json_t *row)
{
    bool ok = row && json_dumpf(row, out, JSON_COMPACT | JSON_PRESERVE_ORDER) == 0 &&
              fputc('\n', out) != EOF;
    json_decref(row);
    return ok;
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *evaluation_row(const LogRow *row, size_t index)
{
    const hk_evaluation *e = &row->evaluation;
    json_t *seconds = json_array();
    for (size_t k = 0; k < e->count; k++) json_array_append_new(seconds, json_real(e->seconds[k]));
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:f, s:o, s:f, s:s}", "event", "evaluation",
                     "index", (int)index, "origin", row->origin, "config", row->config, "outcome",
                     hk_outcome_text(e->outcome), "seconds", seconds, "compile_seconds",
                     e->compile_seconds, "error_ratio", number(e->error_ratio), "elapsed",
                     row->elapsed, "reason", e->reason);
}

int log_write(FILE *out, const TuneLog *log)
{
    const hk_tune_result *r = &log->result;
    bool ok =
        put_line(out, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s?, s:I, s:I, s:f, s:s}",
                                "event", "begin", "file", log->file, "kernel", log->kernel, "sizes",
                                log->sizes, "target", log->target, "machine", log->machine, "seed",
                                (json_int_t)log->seed, "search", log->search, "jobs",
                                (json_int_t)log->jobs, "candidates", (json_int_t)log->candidates,
                                "budget", log->budget, "version", hk_version_text()));
    for (size_t k = 0; ok && k < log->count; k++)
        ok = put_line(out, evaluation_row(&log->rows[k], k));
    ok = ok &&
         put_line(out, json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:f, s:o, s:o, s:f}", "event",
                                 "end", "config", log->config ? log->config : "", "improved",
                                 r->improved, "gain", number(r->gain), "gain_low",
                                 number(r->gain_low), "gain_high", number(r->gain_high), "noise",
                                 r->noise, "default_seconds", number(r->default_seconds),
                                 "best_seconds", number(r->best_seconds), "points", r->points));
    return ok && fflush(out) == 0 ? 0 : io_error("the log cannot be written");
}

// ---- replaying

struct Replay {
    json_t **rows;
    size_t count, at;
    size_t diverged; // the index of the first row that was not asked for as it is, plus one
    char *asked;
};

Replay *replay_open(const char *path)
{
    size_t length;
    char *text = read_whole(path, &length);
    if (!text) return NULL;
    Replay *r = must_alloc(sizeof *r);
    for (char *at = text; *at;) {
        size_t line = strcspn(at, "\n");
        json_t *row = json_loadb(at, line, 0, NULL);
        if (!row) {
            io_error("%s: line %zu is no JSON", path, r->count + 1);
            replay_close(r);
            free(text);
            return NULL;
        }
        r->rows = must_grow(r->rows, sizeof(json_t *) * (r->count + 1));
        r->rows[r->count++] = row;
        at += line + (at[line] == '\n');
    }
    free(text);
    return r;
}

static bool is_event(const Replay *r, const char *event)
{
    return r->at < r->count && strcmp(text_of(r->rows[r->at], "event"), event) == 0;
}

static uint64_t whole_of(const json_t *row, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(row, name));
}

bool replay_next(Replay *r, TuneLog *now)
{
    while (r->at < r->count && !is_event(r, "begin")) r->at++;
    if (r->at == r->count) {
        io_error("the log has no more tunings");
        return false;
    }
    const json_t *row = r->rows[r->at++];
    bool same = strcmp(text_of(row, "kernel"), now->kernel) == 0 &&
                strcmp(text_of(row, "sizes"), now->sizes) == 0;
    if (!same) {
        io_error("the log is of kernel %s with %s, not %s with %s", text_of(row, "kernel"),
                 text_of(row, "sizes"), now->kernel, now->sizes);
        return false;
    }
    free(now->search);
    now->search = *text_of(row, "search") ? must_format("%s", text_of(row, "search")) : NULL;
    now->seed = whole_of(row, "seed");
    now->jobs = (uint32_t)whole_of(row, "jobs");
    now->candidates = whole_of(row, "candidates");
    return true;
}

const char **replay_seeds(const Replay *r, size_t *count)
{
    const char **seeds = must_alloc(sizeof *seeds * (r->count + 1));
    *count = 0;
    for (size_t k = r->at; k < r->count; k++) {
        if (strcmp(text_of(r->rows[k], "event"), "evaluation") != 0) break;
        if (strcmp(text_of(r->rows[k], "origin"), "model") == 0)
            seeds[(*count)++] = text_of(r->rows[k], "config");
    }
    return seeds;
}

static hk_outcome outcome_named(const char *name)
{
    int k = 0;
    while (k < HK_OUTCOME_COUNT && strcmp(name, hk_outcome_text((hk_outcome)k)) != 0) k++;
    return k < HK_OUTCOME_COUNT ? (hk_outcome)k : HK_OUTCOME_CRASH;
}

// The search, the entry of finalists, the finals: each goes on as long as the log's. A sentinel is
// asked for where the log has one.
static int stage_of(const char *origin)
{
    static const char *const stages[] = {"finalist", "final", "sentinel"};
    for (int k = 0; k < 3; k++)
        if (strcmp(origin, stages[k]) == 0) return k + 1;
    return 0;
}

bool replay_measure(void *self, const char *config, const char *origin, hk_evaluation *e)
{
    Replay *r = self;
    if (!is_event(r, "evaluation")) return false;
    const json_t *row = r->rows[r->at];
    if (stage_of(text_of(row, "origin")) != stage_of(origin)) return false;
    if (strcmp(text_of(row, "config"), config) != 0 && !r->diverged) {
        r->diverged = r->at + 1;
        r->asked = must_format("%s", config);
    }
    r->at++;
    const json_t *seconds = json_object_get(row, "seconds");
    e->outcome = outcome_named(text_of(row, "outcome"));
    snprintf(e->reason, sizeof e->reason, "%s", text_of(row, "reason"));
    e->count =
        json_array_size(seconds) < HK_SAMPLES_MAX ? json_array_size(seconds) : HK_SAMPLES_MAX;
    for (size_t k = 0; k < e->count; k++)
        e->seconds[k] = json_number_value(json_array_get(seconds, k));
    double sorted[HK_SAMPLES_MAX];
    memcpy(sorted, e->seconds, sizeof sorted);
    e->median = e->count ? spread_of(sorted, e->count).median : INFINITY;
    return true;
}

bool replay_agrees(const Replay *r, const hk_tune_result *result)
{
    if (r->diverged) {
        printf("replay: line %zu of the log tried %s, but this search asks for %s\n", r->diverged,
               text_of(r->rows[r->diverged - 1], "config"), r->asked);
        return false;
    }
    const char *logged = is_event(r, "end") ? text_of(r->rows[r->at], "config") : "";
    bool same = strcmp(logged, hk_text_data(result->config)) == 0;
    printf("replay: %s\n", same ? "every decision is the same" : "the finals decide otherwise");
    return same;
}

void replay_close(Replay *r)
{
    for (size_t k = 0; r && k < r->count; k++) json_decref(r->rows[k]);
    if (r) {
        free(r->rows);
        free(r->asked);
    }
    free(r);
}

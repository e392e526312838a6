// hako tune --report: one HTML file, self-contained, of what the tuner saw: how the best became
// better, where the time went, how candidates ended, which knobs matter, the two that matter most
// against each other, the model's times against those measured, the machine's limits, and the
// fastest Configs. Pictures are plain SVG.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/tune_log.h"

enum {
    WIDTH = 720,
    HEIGHT = 260,
    SQUARE = 420,
    LABEL = 34,
    LEFT = 64,
    BOTTOM = 36,
    TOP = 14,
    RIGHT = 16,
    KNOBS = 64,
    LEVELS = 32,
    TOP_ROWS = 12,
    TICKS = 32
};

static const char head[] = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
                           "charset=\"utf-8\"><title>hako tune</title>\n<style>\n"
                           "body{font:15px/1.5 system-ui,sans-serif;max-width:780px;margin:2em "
                           "auto;padding:0 1em;color:#222}\n"
                           "h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2em;border-bottom:1px "
                           "solid #ddd}h3{font-size:1em;margin:1.4em 0 .3em}\n"
                           "table{border-collapse:collapse;font-size:.9em}td,th{padding:.15em .7em "
                           ".15em 0;text-align:left;vertical-align:top}\n"
                           "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{font-"
                           "size:.92em}svg{display:block;max-width:100%}\n"
                           "text{font:12px "
                           "system-ui,sans-serif;fill:#444}.axis{stroke:#999}.grid{stroke:#eee}."
                           "note{color:#666;font-size:.9em}\n"
                           "</style></head><body>\n";

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else
            fputc(*text, out);
    }
}

static bool is_sentinel(const LogRow *row)
{
    return strcmp(row->origin, "sentinel") == 0;
}

// Of what is timed again and again: no candidate.
static bool is_final(const LogRow *row)
{
    return strncmp(row->origin, "final", 5) == 0 || is_sentinel(row); // "finalist" as well
}

static bool ran(const LogRow *row)
{
    return row->evaluation.outcome == HK_OUTCOME_OK && isfinite(row->evaluation.median);
}

// ---- frames and axes

typedef struct Plot {
    FILE *out;
    int width, height;
    double x0, x1, y0, y1; // data at the frame's left, right, bottom, top
    bool logs;             // both axes
} Plot;

static double share_of(const Plot *p, double from, double to, double at)
{
    if (!(to > from)) return 0;
    return p->logs ? log(at / from) / log(to / from) : (at - from) / (to - from);
}

static double at_x(const Plot *p, double x)
{
    return LEFT + share_of(p, p->x0, p->x1, x) * (p->width - LEFT - RIGHT);
}

static double at_y(const Plot *p, double y)
{
    return p->height - BOTTOM - share_of(p, p->y0, p->y1, y) * (p->height - BOTTOM - TOP);
}

static double nice_step(double span)
{
    double step = pow(10, floor(log10(span > 0 ? span : 1)));
    if (span / step < 2) return step / 5;
    return span / step < 5 ? step / 2 : step;
}

// Round numbers of an axis: along logarithms powers of ten, with 2 and 5 times these where the axis
// is short; evenly on one that is shorter still.
static size_t ticks_of(const Plot *p, double from, double to, double ticks[TICKS])
{
    static const double SHORT = 2000, SHORTER = 5;
    size_t count = 0;
    double step = nice_step(to - from);
    if (!p->logs || to / from < SHORTER) {
        for (double x = ceil(from / step) * step; x <= to + step / 1e6 && count < TICKS; x += step)
            ticks[count++] = fabs(x) < step / 2 ? 0 : x; // no -0
        return count;
    }
    for (double power = pow(10, floor(log10(from))); power <= to; power *= 10) {
        const double of_power[] = {power, 2 * power, 5 * power};
        for (size_t k = 0; k < (to / from < SHORT ? 3 : 1) && count < TICKS; k++)
            if (of_power[k] >= from && of_power[k] <= to) ticks[count++] = of_power[k];
    }
    return count;
}

static void open_plot(const Plot *p, const char *x_label, const char *y_label)
{
    int right = p->width - RIGHT, bottom = p->height - BOTTOM;
    double ticks[TICKS], last = -WIDTH;
    fprintf(p->out, "<svg viewBox=\"0 0 %d %d\" width=\"%d\" role=\"img\">\n", p->width, p->height,
            p->width);
    for (size_t k = 0, n = ticks_of(p, p->y0, p->y1, ticks); k < n; k++) {
        double y = at_y(p, ticks[k]);
        fprintf(p->out, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
                right, y, y);
        fprintf(p->out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n", LEFT - 6,
                y + 4, ticks[k]);
    }
    for (size_t k = 0, n = ticks_of(p, p->x0, p->x1, ticks); k < n; k++) {
        double x = at_x(p, ticks[k]);
        if (p->logs)
            fprintf(p->out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>", x,
                    x, TOP, bottom);
        if (x - last < LABEL) continue; // it would overlap
        last = x;
        fprintf(p->out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.4g</text>\n", x,
                bottom + 16, ticks[k]);
    }
    fprintf(p->out, "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", LEFT, right,
            bottom, bottom);
    fprintf(p->out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", right, p->height - 4,
            x_label);
    fprintf(p->out, "<text x=\"%d\" y=\"11\">%s</text>\n", LEFT + 4, y_label);
}

static void dot(const Plot *p, double x, double y, double radius)
{
    fprintf(p->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%g\" fill=\"#06c\" fill-opacity=\".3\"/>",
            at_x(p, x), at_y(p, y), radius);
}

static void ring(const Plot *p, double x, double y)
{
    fprintf(p->out,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"none\" stroke=\"#c60\" "
            "stroke-width=\"2\"/>",
            at_x(p, x), at_y(p, y));
}

// ---- the best so far

// What the default took meanwhile, clamped to the frame: how the machine drifted.
static void show_sentinel(const Plot *p, const TuneLog *log)
{
    bool open = false;
    for (size_t k = 0; k < log->count; k++) {
        const LogRow *row = &log->rows[k];
        if (!is_sentinel(row) || !ran(row)) continue;
        double ms = fmin(fmax(row->evaluation.median * 1e3, p->y0), p->y1);
        fprintf(p->out,
                open ? "L%.1f %.1f"
                     : "<path fill=\"none\" stroke=\"#c60\" stroke-opacity=\".4\" d=\"M%.1f %.1f",
                at_x(p, row->elapsed), at_y(p, ms));
        open = true;
    }
    if (open) fprintf(p->out, "\"><title>the default Config, timed again</title></path>\n");
}

static void show_curve(FILE *out, const TuneLog *log)
{
    double first = NAN, best = INFINITY, last = 0;
    for (size_t k = 0; k < log->count; k++) {
        if (is_final(&log->rows[k]) || !ran(&log->rows[k])) continue;
        if (isnan(first)) first = log->rows[k].evaluation.median;
        best = fmin(best, log->rows[k].evaluation.median);
        last = log->rows[k].elapsed;
    }
    if (isnan(first)) return;
    Plot p = {.out = out,
              .width = WIDTH,
              .height = HEIGHT,
              .x1 = last,
              .y0 = fmin(best, log->result.best_seconds) * 1e3 * 0.92,
              .y1 = first * 1e3 * 1.15};
    fprintf(out,
            "<h3>Best so far</h3>\n<p class=\"note\">Dots are candidates; the thin line is the "
            "default Config, timed again meanwhile: how fast the machine was.</p>\n");
    open_plot(&p, "seconds of tuning", "milliseconds");
    fprintf(out,
            "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#c60\" "
            "stroke-dasharray=\"5 4\"/>"
            "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" style=\"fill:#c60\">default</text>\n",
            LEFT, WIDTH - RIGHT, at_y(&p, first * 1e3), at_y(&p, first * 1e3), WIDTH - RIGHT - 4,
            at_y(&p, first * 1e3) - 5);
    show_sentinel(&p, log);
    best = INFINITY;
    fprintf(out, "<path fill=\"none\" stroke=\"#06c\" stroke-width=\"2\" d=\"");
    for (size_t k = 0; k < log->count; k++) {
        const LogRow *row = &log->rows[k];
        if (is_final(row) || !ran(row) || row->evaluation.median >= best) continue;
        double x = at_x(&p, row->elapsed), y = at_y(&p, row->evaluation.median * 1e3);
        fprintf(out, isinf(best) ? "M%.1f %.1f" : "H%.1fV%.1f", x, y);
        best = row->evaluation.median;
    }
    fprintf(out, "H%.1f\"/>\n", at_x(&p, last));
    for (size_t k = 0; k < log->count; k++) {
        const LogRow *row = &log->rows[k];
        double ms = row->evaluation.median * 1e3;
        if (is_final(row) || !ran(row) || ms > p.y1) continue;
        dot(&p, row->elapsed, ms, 2);
    }
    fprintf(out, "</svg>\n");
}

// ---- bars

static void bar(FILE *out, const char *name, double value, double most, const char *text,
                const char *colour)
{
    fprintf(out, "<tr><td>");
    put_escaped(out, name);
    fprintf(out,
            "</td><td><svg width=\"320\" height=\"14\" style=\"display:inline\"><rect "
            "width=\"%.1f\" height=\"12\" y=\"1\" "
            "fill=\"%s\"/></svg></td><td class=\"n\">%s</td></tr>\n",
            most > 0 ? 320 * value / most : 0, colour, text);
}

static void show_time(FILE *out, const TuneLog *log)
{
    double compile = 0, run = 0, total = log->count ? log->rows[log->count - 1].elapsed : 0;
    for (size_t k = 0; k < log->count; k++) {
        compile += log->rows[k].evaluation.compile_seconds;
        for (size_t s = 0; s < log->rows[k].evaluation.count; s++)
            run += log->rows[k].evaluation.seconds[s];
    }
    double other = fmax(0, total - compile - run);
    char text[3][32];
    snprintf(text[0], sizeof text[0], "%.2f s", compile);
    snprintf(text[1], sizeof text[1], "%.2f s", run);
    snprintf(text[2], sizeof text[2], "%.2f s", other);
    fprintf(out, "<h3>Where the time went</h3>\n<table>\n");
    bar(out, "compiling", compile, total, text[0], "#8ac");
    bar(out, "timed runs", run, total, text[1], "#06c");
    bar(out, "checking, starting, waiting", other, total, text[2], "#ccc");
    fprintf(out, "</table>\n");
}

static int by_outcome_and_reason(const void *a, const void *b)
{
    const hk_evaluation *x = *(const hk_evaluation *const *)a,
                        *y = *(const hk_evaluation *const *)b;
    return x->outcome != y->outcome ? (int)x->outcome - (int)y->outcome
                                    : strcmp(x->reason, y->reason);
}

// Each outcome's reasons, with how often each was.
static void show_reasons(FILE *out, const TuneLog *log)
{
    const hk_evaluation **failed = must_alloc(sizeof(hk_evaluation *) * (log->count + 1));
    size_t count = 0;
    for (size_t k = 0; k < log->count; k++)
        if (*log->rows[k].evaluation.reason) failed[count++] = &log->rows[k].evaluation;
    qsort(failed, count, sizeof *failed, by_outcome_and_reason);
    fprintf(out, "<table>\n");
    for (size_t k = 0, next; k < count; k = next) {
        for (next = k + 1; next < count && by_outcome_and_reason(&failed[k], &failed[next]) == 0;)
            next++;
        fprintf(out, "<tr><td class=\"n\">%zu</td><td>%s</td><td>", next - k,
                hk_outcome_text(failed[k]->outcome));
        put_escaped(out, failed[k]->reason);
        fprintf(out, "</td></tr>\n");
    }
    fprintf(out, "</table>\n");
    free(failed);
}

static void show_outcomes(FILE *out, const TuneLog *log)
{
    fprintf(out, "<h3>How candidates ended</h3>\n<table>\n");
    for (int k = 0; k < HK_OUTCOME_COUNT; k++) {
        char text[32];
        size_t count = log->result.outcomes[k];
        snprintf(text, sizeof text, "%zu", count);
        if (count)
            bar(out, hk_outcome_text((hk_outcome)k), (double)count, (double)log->result.evaluations,
                text,
                k == HK_OUTCOME_OK     ? "#06c"
                : k == HK_OUTCOME_SLOW ? "#8ac"
                                       : "#c60");
    }
    fprintf(out, "</table>\n");
    show_reasons(out, log);
    if (log->result.duplicates || log->result.resumed)
        fprintf(out,
                "<p class=\"note\">%llu of these lead to the same code as another and were not "
                "measured again; %llu more were known before.</p>\n",
                (unsigned long long)log->result.duplicates,
                (unsigned long long)log->result.resumed);
}

// ---- knobs

typedef struct KnobFacts {
    char name[64];
    long long values[LEVELS];
    size_t level_count;
    double importance; // share of the variance of log time between this knob's values
} KnobFacts;

// The value of a knob in "a = 1, b = 2"; false: it is left to the scheduler.
static bool value_of(const char *config, const char *name, long long *value)
{
    size_t length = strlen(name);
    for (const char *at = strstr(config, name); at; at = strstr(at + 1, name)) {
        bool whole = (at == config || at[-1] == ' ') && strncmp(at + length, " = ", 3) == 0;
        if (!whole) continue;
        *value = strtoll(at + length + 3, NULL, 10);
        return true;
    }
    return false;
}

static size_t level_of(KnobFacts *knob, long long value)
{
    size_t k = 0;
    while (k < knob->level_count && knob->values[k] != value) k++;
    if (k == knob->level_count && k < LEVELS) knob->values[knob->level_count++] = value;
    return k < LEVELS ? k : LEVELS - 1;
}

static size_t find_knobs(const TuneLog *log, KnobFacts *knobs)
{
    size_t count = 0;
    for (size_t k = 0; k < log->count; k++) {
        for (const char *at = log->rows[k].config; *at;) {
            size_t name = strcspn(at, " ");
            size_t known = 0;
            while (known < count &&
                   (strlen(knobs[known].name) != name || strncmp(knobs[known].name, at, name) != 0))
                known++;
            if (known == count && count < KNOBS && name < sizeof knobs[0].name) {
                knobs[count] = (KnobFacts){.importance = 0};
                memcpy(knobs[count++].name, at, name);
            }
            at += strcspn(at, ",");
            at += *at == ',';
            at += *at == ' ';
        }
    }
    return count;
}

static void weigh(const TuneLog *log, KnobFacts *knob)
{
    double sums[LEVELS] = {0}, counts[LEVELS] = {0}, sum = 0, squares = 0, n = 0, between = 0;
    for (size_t k = 0; k < log->count; k++) {
        const LogRow *row = &log->rows[k];
        long long value = 0;
        if (is_final(row) || !(row->evaluation.median > 0) || !isfinite(row->evaluation.median))
            continue;
        if (!value_of(row->config, knob->name, &value)) value = -1;
        double cost = log2(row->evaluation.median);
        size_t level = level_of(knob, value);
        sums[level] += cost;
        counts[level]++;
        sum += cost;
        squares += cost * cost;
        n++;
    }
    for (size_t k = 0; k < knob->level_count; k++)
        if (counts[k] > 0) between += counts[k] * pow(sums[k] / counts[k] - sum / n, 2);
    double total = n > 0 ? squares - sum * sum / n : 0;
    knob->importance = total > 1e-12 ? between / total : 0;
}

static int by_importance(const void *a, const void *b)
{
    double x = ((const KnobFacts *)a)->importance, y = ((const KnobFacts *)b)->importance;
    return x < y ? 1 : x > y ? -1 : 0;
}

static int by_number(const void *a, const void *b)
{
    long long x = *(const long long *)a, y = *(const long long *)b;
    return x < y ? -1 : x > y;
}

static void show_cell(FILE *out, double ms, double best, double worst, double x, double y, double w,
                      double h)
{
    double shade = worst > best ? log(ms / best) / log(worst / best) : 0;
    fprintf(out,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
            "fill=\"hsl(%.0f,65%%,%.0f%%)\"/>"
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.3g</text>\n",
            x, y, w - 1, h - 1, 210 - 190 * shade, 62 + 22 * shade, x + w / 2, y + h / 2 + 4, ms);
}

// The best time at each pair of values of two knobs.
static void show_map(FILE *out, const TuneLog *log, KnobFacts *a, KnobFacts *b)
{
    static double least[LEVELS][LEVELS];
    double best = INFINITY, worst = 0;
    qsort(a->values, a->level_count, sizeof *a->values, by_number);
    qsort(b->values, b->level_count, sizeof *b->values, by_number);
    for (size_t i = 0; i < LEVELS; i++)
        for (size_t j = 0; j < LEVELS; j++) least[i][j] = INFINITY;
    for (size_t k = 0; k < log->count; k++) {
        long long va = -1, vb = -1;
        const LogRow *row = &log->rows[k];
        if (is_final(row) || !isfinite(row->evaluation.median)) continue;
        value_of(row->config, a->name, &va);
        value_of(row->config, b->name, &vb);
        double *cell = &least[level_of(a, va)][level_of(b, vb)];
        *cell = fmin(*cell, row->evaluation.median * 1e3);
        best = fmin(best, *cell);
    }
    for (size_t i = 0; i < a->level_count; i++)
        for (size_t j = 0; j < b->level_count; j++)
            if (isfinite(least[i][j])) worst = fmax(worst, least[i][j]);
    double w = fmin(64, (double)(WIDTH - LEFT - RIGHT) / (double)b->level_count), h = 22;
    fprintf(out, "<h3>%s (down) against %s (across): the best milliseconds seen</h3>\n", a->name,
            b->name);
    fprintf(out, "<svg viewBox=\"0 0 %d %.0f\" width=\"%d\">\n", WIDTH,
            h * (double)a->level_count + 24, WIDTH);
    for (size_t i = 0; i < a->level_count; i++) {
        char name[32];
        snprintf(name, sizeof name, a->values[i] < 0 ? "free" : "%lld", a->values[i]);
        fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 6,
                h * (double)i + 15, name);
        for (size_t j = 0; j < b->level_count; j++)
            if (isfinite(least[i][j]))
                show_cell(out, least[i][j], best, worst, LEFT + w * (double)j, h * (double)i, w, h);
    }
    for (size_t j = 0; j < b->level_count; j++) {
        char name[32];
        snprintf(name, sizeof name, b->values[j] < 0 ? "free" : "%lld", b->values[j]);
        fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>",
                LEFT + w * ((double)j + 0.5), h * (double)a->level_count + 16, name);
    }
    fprintf(out, "</svg>\n");
}

static void show_knobs(FILE *out, const TuneLog *log)
{
    static KnobFacts knobs[KNOBS];
    size_t count = find_knobs(log, knobs);
    for (size_t k = 0; k < count; k++) weigh(log, &knobs[k]);
    qsort(knobs, count, sizeof *knobs, by_importance);
    fprintf(out, "<h3>Which knobs matter</h3>\n<p class=\"note\">Share of the variance of log time "
                 "that lies between a knob's "
                 "values, of all that was timed.</p>\n<table>\n");
    for (size_t k = 0; k < count && k < TOP_ROWS; k++) {
        char text[32];
        snprintf(text, sizeof text, "%.0f%%", 100 * knobs[k].importance);
        bar(out, knobs[k].name, knobs[k].importance, 1, text, "#06c");
    }
    fprintf(out, "</table>\n");
    if (count >= 2) show_map(out, log, &knobs[0], &knobs[1]);
}

// ---- the model

static bool is_modelled(const LogRow *row)
{
    return !is_final(row) && ran(row) && row->model_seconds > 0;
}

// The share of pairs of Configs of which the model says rightly which is faster.
static double share_in_order(const TuneLog *log)
{
    double right = 0, pairs = 0;
    for (size_t a = 0; a < log->count; a++) {
        for (size_t b = 0; b < a && is_modelled(&log->rows[a]); b++) {
            const LogRow *x = &log->rows[a], *y = &log->rows[b];
            if (!is_modelled(y) || x->model_seconds == y->model_seconds) continue;
            pairs++;
            right += (x->model_seconds < y->model_seconds) ==
                     (x->evaluation.median < y->evaluation.median);
        }
    }
    return pairs > 0 ? right / pairs : NAN;
}

static void show_model(FILE *out, const TuneLog *log)
{
    static const double MICRO = 1e-4; // seconds, below which microseconds are easier to read
    double least = INFINITY, most = 0;
    for (size_t k = 0; k < log->count; k++) {
        const LogRow *row = &log->rows[k];
        if (!is_modelled(row)) continue;
        least = fmin(least, fmin(row->model_seconds, row->evaluation.median));
        most = fmax(most, fmax(row->model_seconds, row->evaluation.median));
    }
    double in_order = share_in_order(log);
    if (isnan(in_order)) return; // no two Configs to compare
    bool micro = most < MICRO;
    double unit = micro ? 1e6 : 1e3;
    Plot p = {.out = out, .width = SQUARE, .height = SQUARE, .logs = true};
    p.x0 = p.y0 = least * unit / 1.2;
    p.x1 = p.y1 = most * unit * 1.2;
    fprintf(out,
            "<h3>Model against measurement</h3>\n<p class=\"note\">Of two Configs the model "
            "knows the faster one in %.0f%% of all pairs. On the line it is exact; the ring is the "
            "fastest on first sight.</p>\n",
            100 * in_order);
    open_plot(&p, micro ? "measured, microseconds" : "measured, milliseconds",
              micro ? "the model says, microseconds" : "the model says, milliseconds");
    fprintf(out, "<path fill=\"none\" stroke=\"#888\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n",
            at_x(&p, p.x0), at_y(&p, p.y0), at_x(&p, p.x1), at_y(&p, p.y1));
    const LogRow *best = NULL;
    for (size_t k = 0; k < log->count; k++) {
        const LogRow *row = &log->rows[k];
        if (!is_modelled(row)) continue;
        dot(&p, row->evaluation.median * unit, row->model_seconds * unit, 3);
        if (!best || row->evaluation.median < best->evaluation.median) best = row;
    }
    ring(&p, best->evaluation.median * unit, best->model_seconds * unit);
    fprintf(out, "\n</svg>\n");
}

// ---- limits

static void show_limits(FILE *out, const TuneLog *log)
{
    static const double GIGA = 1e-9;
    double flops = log->cost.flops * GIGA, bytes = log->cost.bytes * GIGA,
           peak = log->limits.flops * GIGA, rate = log->limits.copy * GIGA;
    if (!(flops > 0 && bytes > 0 && peak > 0 && rate > 0)) return;
    double intensity = flops / bytes;
    Plot p = {.out = out, .width = WIDTH, .height = HEIGHT, .logs = true};
    p.x0 = fmin(intensity, peak / rate) / 8;
    p.x1 = fmax(intensity, peak / rate) * 8;
    p.y0 = rate * p.x0 / 4;
    p.y1 = peak * 1.6;
    fprintf(out,
            "<h3>Limits of the machine (roofline)</h3>\n<p class=\"note\">%.3g operations and "
            "%.3g bytes a run; measured "
            "here: %.4g GFLOP/s, %.4g GB/s copied. The ring is the result.</p>\n",
            log->cost.flops, log->cost.bytes, peak, rate);
    open_plot(&p, "operations per byte", "GFLOP/s");
    fprintf(out,
            "<path fill=\"none\" stroke=\"#888\" stroke-width=\"2\" d=\"M%.1f %.1fL%.1f "
            "%.1fH%.1f\"/>\n",
            at_x(&p, p.x0), at_y(&p, rate * p.x0), at_x(&p, peak / rate), at_y(&p, peak),
            at_x(&p, p.x1));
    for (size_t k = 0; k < log->count; k++) {
        const LogRow *row = &log->rows[k];
        if (is_final(row) || !ran(row)) continue;
        double y = flops / row->evaluation.median;
        if (y > p.y0) dot(&p, intensity, y, 3);
    }
    ring(&p, intensity, flops / log->result.best_seconds);
    fprintf(out, "\n</svg>\n");
}

// ---- the fastest

static int by_median(const void *a, const void *b)
{
    double x = (*(const LogRow *const *)a)->evaluation.median,
           y = (*(const LogRow *const *)b)->evaluation.median;
    return x < y ? -1 : x > y;
}

static void show_fastest(FILE *out, const TuneLog *log)
{
    const LogRow **rows = must_alloc(sizeof(LogRow *) * (log->count + 1));
    size_t count = 0;
    for (size_t k = 0; k < log->count; k++)
        if (!is_final(&log->rows[k]) && ran(&log->rows[k])) rows[count++] = &log->rows[k];
    qsort(rows, count, sizeof *rows, by_median);
    fprintf(out, "<h3>The fastest on first sight</h3>\n<table><tr><th class=\"n\">ms</th>"
                 "<th class=\"n\">error / allowed</th><th class=\"n\">compile ms</th>"
                 "<th>Config</th></tr>\n");
    for (size_t k = 0; k < count && k < TOP_ROWS; k++) {
        fprintf(out,
                "<tr><td class=\"n\">%.4g</td><td class=\"n\">%.3f</td><td "
                "class=\"n\">%.1f</td><td><code>",
                rows[k]->evaluation.median * 1e3, rows[k]->evaluation.error_ratio,
                rows[k]->evaluation.compile_seconds * 1e3);
        put_escaped(out, rows[k]->config);
        fprintf(out, "</code></td></tr>\n");
    }
    fprintf(out, "</table>\n");
    free(rows);
}

static void show_tuning(FILE *out, const TuneLog *log)
{
    const hk_tune_result *r = &log->result;
    fprintf(out, "<h2>%s <span class=\"note\">%s on %s</span></h2>\n<p>", log->kernel, log->sizes,
            log->target);
    if (r->improved)
        fprintf(out,
                "<b>%.3f times as fast as the default</b> (99%% interval %.3f to %.3f): ", r->gain,
                r->gain_low, r->gain_high);
    else
        fprintf(out, "<b>No Config is surely faster than the default</b>: ");
    fprintf(out,
            "%.4g ms, default %.4g ms, noise %.1f%%. %llu of %.4g points tried in %.1f s, seed "
            "%llu.<br><code>",
            r->best_seconds * 1e3, r->default_seconds * 1e3, r->noise * 100,
            (unsigned long long)r->evaluations, r->points,
            log->count ? log->rows[log->count - 1].elapsed : 0, (unsigned long long)log->seed);
    put_escaped(out, log->config ? log->config : "");
    fprintf(out, "</code></p>\n");
    show_curve(out, log);
    show_time(out, log);
    show_outcomes(out, log);
    show_knobs(out, log);
    show_model(out, log);
    show_limits(out, log);
    show_fastest(out, log);
}

int report_write(const char *path, const TuneLog *logs, size_t count)
{
    char *data = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&data, &length);
    if (!out) return io_error("out of memory");
    fputs(head, out);
    fprintf(out, "<h1>hako tune</h1>\n<p class=\"note\">Hako %s; %s</p>\n", hk_version_text(),
            count ? logs[0].machine : "");
    if (count > 1) {
        fprintf(out, "<table><tr><th>kernel</th><th>sizes</th><th>default ms</th><th>best "
                     "ms</th><th>gain</th></tr>\n");
        for (size_t k = 0; k < count; k++)
            fprintf(out,
                    "<tr><td>%s</td><td>%s</td><td class=\"n\">%.4g</td><td "
                    "class=\"n\">%.4g</td><td class=\"n\">%.3f</td></tr>\n",
                    logs[k].kernel, logs[k].sizes, logs[k].result.default_seconds * 1e3,
                    logs[k].result.best_seconds * 1e3, logs[k].result.gain);
        fprintf(out, "</table>\n");
    }
    for (size_t k = 0; k < count; k++) show_tuning(out, &logs[k]);
    fputs("</body></html>\n", out);
    fclose(out);
    int code = write_whole(path, data, length);
    free(data);
    return code;
}

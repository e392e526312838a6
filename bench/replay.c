// replay LOG...: every search on recorded spaces, without measuring anything. A log is what `hako
// tune
// --log` wrote of a long random or exhaustive search; a point that is not in it costs what its
// three nearest do. Prints the regret (best found / best recorded - 1) after so many points,
// geometric mean of all logs and seeds: from a point drawn at random, and from the default Config
// and those that the model of time chose.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passes/tune/search.h"

enum { SEEDS = 20, STEPS = 5, NEAREST = 3, VALUES = 32, ROWS = 8192 };
static const uint32_t steps[STEPS] = {16, 32, 64, 128, 256};

typedef struct Row {
    Point point;
    double cost;
    bool known; // before the search: the default, or chosen by the model
} Row;

typedef struct Recorded {
    char names[SEARCH_KNOBS_MAX][64];
    long long values[SEARCH_KNOBS_MAX][VALUES];
    uint8_t levels[SEARCH_KNOBS_MAX];
    uint32_t knobs, count;
    Row *rows;
    double best;
} Recorded;

// The value of a knob in a Config's text. False: it has none.
static bool value_in(const char *config, const char *name, long long *value)
{
    size_t length = strlen(name);
    for (const char *at = config; (at = strstr(at, name)) != NULL; at += length) {
        bool whole = (at == config || at[-1] == ' ') && strncmp(at + length, " = ", 3) == 0;
        if (whole) return *value = atoll(at + length + 3), true;
    }
    return false;
}

static void note_names(Recorded *r, const char *config)
{
    for (const char *at = config; *at;) {
        char name[64];
        long long value;
        if (sscanf(at, " %63[^ =] = %lld", name, &value) != 2) return;
        uint32_t k = 0, v = 0;
        while (k < r->knobs && strcmp(r->names[k], name) != 0) k++;
        if (k == r->knobs && k < SEARCH_KNOBS_MAX) strcpy(r->names[r->knobs++], name);
        while (v < r->levels[k] && r->values[k][v] < value) v++;
        bool known = v < r->levels[k] && r->values[k][v] == value;
        if (!known && r->levels[k] < VALUES) {
            memmove(&r->values[k][v + 1], &r->values[k][v], sizeof(long long) * (r->levels[k] - v));
            r->values[k][v] = value;
            r->levels[k]++;
        }
        at += strcspn(at, ",");
        at += *at == ',';
    }
}

// What a Config leaves out is one level more.
static Point point_in(const Recorded *r, const char *config)
{
    Point p = {{0}};
    for (uint32_t k = 0; k < r->knobs; k++) {
        long long value;
        p.at[k] = r->levels[k];
        if (!value_in(config, r->names[k], &value)) continue;
        for (p.at[k] = 0; r->values[k][p.at[k]] != value; p.at[k]++) continue;
    }
    return p;
}

static const char *text(const json_t *row, const char *key)
{
    const char *s = json_string_value(json_object_get(row, key));
    return s ? s : "";
}

static bool is_candidate(const json_t *row)
{
    return strcmp(text(row, "event"), "evaluation") == 0 &&
           strncmp(text(row, "origin"), "final", 5) != 0 &&
           strcmp(text(row, "origin"), "sentinel") != 0;
}

static void add_row(Recorded *r, const json_t *row)
{
    const json_t *seconds = json_object_get(row, "seconds");
    Row *to = &r->rows[r->count++];
    const char *origin = text(row, "origin");
    bool known = strcmp(origin, "model") == 0 || strcmp(origin, "default") == 0;
    *to = (Row){point_in(r, text(row, "config")), INFINITY, known};
    bool ran = strcmp(text(row, "outcome"), "ok") == 0 || strcmp(text(row, "outcome"), "slow") == 0;
    for (size_t k = 0; ran && k < json_array_size(seconds); k++)
        to->cost = fmin(to->cost, json_number_value(json_array_get(seconds, k)));
    r->best = fmin(r->best, to->cost);
}

static bool read_log(Recorded *r, const char *path)
{
    static json_t *rows[ROWS];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    if (!file) return false;
    for (json_t *row; count < ROWS && (row = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL));)
        rows[count++] = row;
    fclose(file);
    *r = (Recorded){.rows = calloc(count + 1, sizeof(Row)), .best = INFINITY};
    for (size_t k = 0; k < count; k++)
        if (is_candidate(rows[k])) note_names(r, text(rows[k], "config"));
    for (size_t k = 0; k < count; k++)
        if (is_candidate(rows[k])) add_row(r, rows[k]);
    for (uint32_t k = 0; k < r->knobs; k++) { // a level more, if some Config leaves it out
        bool missing = false;
        for (uint32_t n = 0; n < r->count; n++) missing |= r->rows[n].point.at[k] == r->levels[k];
        r->levels[k] = (uint8_t)(r->levels[k] + missing);
    }
    for (size_t k = 0; k < count; k++) json_decref(rows[k]);
    return r->count > 0 && isfinite(r->best);
}

static double distance(const Recorded *r, const Point *a, const Point *b)
{
    double d = 0;
    for (uint32_t k = 0; k < r->knobs; k++)
        if (a->at[k] != b->at[k]) d += 0.5 + fabs((double)a->at[k] - b->at[k]) / r->levels[k];
    return d;
}

static double cost_of(const Recorded *r, const Point *p)
{
    double near[NEAREST], logs[NEAREST], sum = 0, weights = 0;
    for (int k = 0; k < NEAREST; k++) near[k] = INFINITY;
    for (uint32_t n = 0; n < r->count; n++) {
        double d = distance(r, p, &r->rows[n].point);
        if (d == 0) return r->rows[n].cost;
        if (!isfinite(r->rows[n].cost) || d >= near[NEAREST - 1]) continue;
        int at = NEAREST - 1;
        for (; at > 0 && near[at - 1] > d; at--) {
            near[at] = near[at - 1];
            logs[at] = logs[at - 1];
        }
        near[at] = d;
        logs[at] = log(r->rows[n].cost);
    }
    for (int k = 0; k < NEAREST && isfinite(near[k]); k++) {
        sum += logs[k] / (near[k] * near[k]);
        weights += 1 / (near[k] * near[k]);
    }
    return exp(sum / weights);
}

// Adds the logarithms of best / recorded best after each number of steps. `informed`: what is known
// before the search comes first.
static void simulate(const Recorded *r, SearchKind kind, uint64_t seed, bool informed, double *sums)
{
    Arena arena;
    arena_init(&arena, NULL);
    uint32_t start = informed ? 0 : (uint32_t)((seed * 7919 + 13) % r->count), next = 1;
    while (!isfinite(r->rows[start].cost)) start = (start + 1) % r->count;
    Search *search = search_new(&arena, kind, r->levels, r->knobs, &r->rows[start].point, seed);
    double best = INFINITY;
    uint32_t told = 0, step = 0;
    Point p;
    for (bool more = true; step < STEPS;) {
        while (next < r->count && !r->rows[next].known) next++;
        bool seeded = informed && told > 0 && next < r->count;
        if (seeded) p = r->rows[next++].point;
        more = seeded || (more && search_ask(search, &p));
        double cost = more ? cost_of(r, &p) : INFINITY;
        if (more) search_tell(search, &p, cost);
        best = fmin(best, cost);
        if (++told == steps[step]) sums[step++] += log(best / r->best);
    }
    arena_free(&arena);
}

int main(int argc, char **argv)
{
    Recorded *all = calloc((size_t)argc, sizeof *all);
    int count = 0;
    for (int k = 1; k < argc; k++) {
        if (!read_log(&all[count], argv[k])) return fprintf(stderr, "%s: no log\n", argv[k]), 3;
        printf("%s: %u points\n", argv[k], all[count++].count);
    }
    if (!count) return fprintf(stderr, "usage: replay LOG...\n"), 2;
    printf("| search | from |");
    for (int s = 0; s < STEPS; s++) printf(" %u |", steps[s]);
    printf("\n| --- | --- | --- | --- | --- | --- | --- |\n");
    for (int kind = SEARCH_RANDOM; kind < SEARCH_KINDS; kind++)
        for (int informed = 0; informed < 2; informed++) {
            double sums[STEPS] = {0};
            for (int k = 0; k < count; k++)
                for (uint64_t seed = 0; seed < SEEDS; seed++)
                    simulate(&all[k], (SearchKind)kind, seed, informed, sums);
            printf("| %s | %s |", search_names[kind], informed ? "default, model" : "anywhere");
            for (int s = 0; s < STEPS; s++)
                printf(" %.1f%% |", 100 * expm1(sums[s] / (count * SEEDS)));
            printf("\n");
            fflush(stdout);
        }
    return 0;
}

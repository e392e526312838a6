// One table of options: what is parsed, what --help says, what completions offer.
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { WORK = RUN | BENCH | EMIT | TUNE, ALL = 16383 };
typedef enum OptionId {
    OPT_INPUT = 256,
    OPT_OUTPUT,
    OPT_SCALAR,
    OPT_DEFINE,
    OPT_CONFIG,
    OPT_THREADS,
    OPT_TARGET,
    OPT_CPU,
    OPT_DEVICE,
    OPT_FILTER,
    OPT_JOBS,
    OPT_FULL,
    OPT_TIMEOUT,
    OPT_CANDIDATES,
    OPT_LIST,
    OPT_EXPECT,
    OPT_RTOL,
    OPT_ATOL,
    OPT_VERIFY,
    OPT_REPEAT,
    OPT_SEED,
    OPT_SHAPES,
    OPT_MIN_TIME,
    OPT_AS,
    OPT_EMIT,
    OPT_TYPES,
    OPT_EXACT,
    OPT_GIVEN,
    OPT_TUNED,
    OPT_NAME,
    OPT_PREFIX,
    OPT_COMPILER,
    OPT_PASSES,
    OPT_STOP_AFTER,
    OPT_DISABLE,
    OPT_BUDGET,
    OPT_SEARCH,
    OPT_LOG,
    OPT_REPLAY,
    OPT_REPORT,
    OPT_SHARD,
    OPT_EFFORT,
    OPT_DB,
    OPT_RESUME,
    OPT_OLDER,
    OPT_DUMP,
    OPT_TIME_PASSES,
    OPT_DIAGNOSTICS,
    OPT_MAX_ERRORS,
    OPT_JSON,
    OPT_EXPLAIN,
    OPT_COMPARE,
    OPT_SPACE,
    OPT_HELP
} OptionId;

typedef struct OptionInfo {
    OptionId id;
    char letter;
    const char *name, *value, *purpose;
    unsigned commands;
} OptionInfo;

static const OptionInfo table[] = {
    {OPT_INPUT, 'i', "input", "NAME=SPEC",
     "tensor: @a.npy, 8x16xf32=@a.npy, 8x16xf32=randn(seed=7), 4xi32=1 2 3 4", WORK},
    {OPT_OUTPUT, 'o', "output", "NAME=@F|-", "write an output as .npy, or print it", RUN},
    {OPT_OUTPUT, 'o', "output", "FILE", "write to FILE instead of standard output",
     EMIT | OPT | DB},
    {OPT_OUTPUT, 'o', "output", "FOLDER", "where the files go (default: here)", BUILD},
    {OPT_EMIT, 0, "emit", "A,B",
     "lib, shared, header (default lib,header), obj, runtime, deps, llvm, asm, opencl", BUILD},
    {OPT_NAME, 0, "name", "NAME", "of the library (default: of the first file)", BUILD},
    {OPT_PREFIX, 0, "prefix", "P", "before the names of all functions", BUILD},
    {OPT_SCALAR, 0, "arg", "NAME=V", "a scalar argument", WORK},
    {OPT_DEFINE, 'D', "define", "NAME=V",
     "a compile-time parameter (type, constant, function) or a tunable", WORK | DB | BUILD},
    {OPT_TYPES, 0, "types", "T=f32,bf16",
     "a function for each of these types, softmax_f32 ...; -D T=bf16 makes one", BUILD},
    {OPT_SHAPES, 0, "shapes", "N=V,...",
     "code for these sizes beside that for any; again for more, a --config behind each", BUILD},
    {OPT_EXACT, 0, "exact", NULL, "code for the given sizes only", BUILD},
    {OPT_GIVEN, 0, "given", "A,B|none",
     "code for calls with these optional tensors only; again for more (default: all choices)",
     BUILD},
    {OPT_TUNED, 0, "tuned", NULL, "code for the sizes that were tuned on this machine too", BUILD},
    {OPT_SHAPES, 0, "shapes", "N=V,...", "sizes, dtypes and scalars where arguments are not given",
     BENCH | EMIT | OPT | TUNE | DB},
    {OPT_CONFIG, 0, "config", "TEXT|@FILE",
     "\"tile_m = 64, ...\"; what it does not set keeps its default", WORK | OPT | BUILD},
    {OPT_TARGET, 0, "target", "T",
     "cpu (default), opencl[:N|NAME] (a device of `hako devices`) or interp; emit: a triple too",
     WORK},
    {OPT_TARGET, 0, "target", "TRIPLE",
     "x86_64-linux-gnu, aarch64-linux-gnu, riscv64-linux-gnu (default: this machine's)", BUILD},
    {OPT_TARGET, 0, "target", "T,...",
     "cpu, interp, opencl[:N|NAME], or all that are there (default)", TEST},
    {OPT_FILTER, 0, "filter", "RE", "only cases whose FILE:KERNEL#NUMBER matches", TEST},
    {OPT_FULL, 0, "full", NULL, "at the sizes of real use instead of small ones", TEST},
    {OPT_JOBS, 'j', "jobs", "N", "files at a time (default: one for each processor)", TEST},
    {OPT_JOBS, 'j', "jobs", "N",
     "candidates compiled at once (default: one for each processor); they are timed one by one",
     TUNE},
    {OPT_TIMEOUT, 0, "timeout", "S", "end a candidate that compiles or runs for longer (default 5)",
     TUNE},
    {OPT_LIST, 0, "list", NULL, "print what would be tuned, a line for each", TUNE},
    {OPT_CANDIDATES, 0, "candidates", "N", "try no more than N Configs", TUNE},
    {OPT_TIMEOUT, 0, "timeout", "S",
     "the most that one case may take (default 300 s; 1800 s with --full)", TEST},
    {OPT_DEVICE, 0, "device", "N", "the same as --target=opencl:N", WORK | TEST},
    {OPT_THREADS, 0, "threads", "N", "at most N threads", WORK | TEST | MACHINE},
    {OPT_CPU, 0, "cpu", "NAME",
     "generate code for this CPU (LLVM's name: x86-64-v3, znver4; native)", WORK},
    {OPT_CPU, 0, "cpu", "A,B",
     "code for each of these CPUs (LLVM's names), the best is chosen when it runs; native", BUILD},
    {OPT_COMPILER, 0, "cc", "CMD",
     "C compiler, for --emit=shared and for other targets (default TRIPLE-gcc, else cc)", BUILD},
    {OPT_EXPECT, 0, "expect", "NAME=@F", "compare an output with a .npy file; fails on a mismatch",
     RUN},
    {OPT_RTOL, 0, "rtol", "R", "relative tolerance of --expect and --verify", RUN | BENCH | EMIT},
    {OPT_ATOL, 0, "atol", "A", "absolute tolerance", RUN | BENCH | EMIT},
    {OPT_VERIFY, 0, "verify", NULL, "compare with the reference interpreter", RUN | BENCH},
    {OPT_REPEAT, 0, "repeat", "N", "run N times and print the median time", RUN},
    {OPT_SEED, 0, "seed", "S", "of the tiles that --verify samples and of generated inputs",
     RUN | BENCH | EMIT | TUNE | TEST},
    {OPT_BUDGET, 0, "budget", "10s", "time for all of the tuning (default 10s)", TUNE},
    {OPT_EFFORT, 0, "effort", "E",
     "instead of a budget: quick (10s for each kernel and size), full (5m), none", TUNE},
    {OPT_SEARCH, 0, "search", "S", "exhaustive, random, pattern, evolution or forest", TUNE},
    {OPT_DB, 0, "db", "F",
     "tuning database (default $HAKO_DB, ~/.cache/hako/tune.db); none: without",
     RUN | BENCH | EMIT | TUNE | DB | BUILD},
    {OPT_LOG, 0, "log", "F.jsonl", "write each measurement and decision as JSON lines", TUNE},
    {OPT_REPLAY, 0, "replay", "F.jsonl", "decide again by a log's measurements; measures nothing",
     TUNE},
    {OPT_REPORT, 0, "report", "F.html", "write a page that shows what was tried", TUNE},
    {OPT_SHARD, 0, "shard", "I/N",
     "only every Nth kernel and size, from the Ith: a part of a sweep", TUNE},
    {OPT_RESUME, 0, "resume", NULL, "do not measure again what the database knows", TUNE},
    {OPT_OLDER, 0, "older", "30d", "prune what is at least that old: s, m, h or d", DB},
    {OPT_MIN_TIME, 0, "min-time", "S", "measure for at least S seconds (default 0.5)", BENCH},
    {OPT_AS, 0, "as", "FORM",
     "ast, tile, loop, llvm, asm, obj, opencl, opencl-host (a C program to go with it) or config",
     EMIT},
    {OPT_PASSES, 0, "passes", "A,B", "passes to run, in order", OPT},
    {OPT_STOP_AFTER, 0, "stop-after", "P", "stop after a pass", EMIT | OPT},
    {OPT_DISABLE, 0, "disable", "A,B", "leave out passes that are not required", WORK},
    {OPT_DUMP, 0, "dump", "P|all", "print the IR after a pass, or after each, to standard error",
     WORK | OPT},
    {OPT_TIME_PASSES, 0, "time-passes", NULL, "print how long each step of compiling took", WORK},
    {OPT_DIAGNOSTICS, 0, "diagnostics", "text|json", "how to print diagnostics",
     CHECK | WORK | OPT | BUILD},
    {OPT_MAX_ERRORS, 0, "max-errors", "N", "stop after N errors (default 100)", CHECK},
    {OPT_JSON, 0, "json", NULL, "print results as JSON",
     RUN | BENCH | VERSION | TEST | DB | DEVICES | MACHINE},
    {OPT_EXPLAIN, 0, "explain", NULL, "what bounds the kernel, as a model of the machine has it",
     BENCH},
    {OPT_EXPLAIN, 0, "explain", NULL,
     "with --as=config: what the model says of it and its neighbours", EMIT},
    {OPT_COMPARE, 0, "compare", "TEXT|@FILE",
     "another Config, timed in turns with this one; more than once for more", BENCH},
    {OPT_SPACE, 0, "space", NULL,
     "print the knobs, their values and the rules for them, and tune nothing", TUNE},
    {OPT_JSON, 0, "json", NULL, "with --space: as JSON", TUNE},
    {OPT_HELP, 'h', "help", NULL, "this text", ALL},
};
enum { OPTION_COUNT = sizeof table / sizeof table[0] };

static const OptionInfo *find_option(int id, unsigned command)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if ((int)table[i].id == id && (table[i].commands & command)) return &table[i];
    }
    return NULL;
}

// ---- values

static int add_pair(Pairs *pairs, const OptionInfo *option, const char *value)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value)
        return usage_error("--%s wants %s, not '%s'", option->name, option->value, value);
    pairs->data = must_grow(pairs->data, sizeof(Pair) * (pairs->count + 1));
    pairs->data[pairs->count++] =
        (Pair){must_format("%.*s", (int)(equals - value), value), equals + 1};
    return 0;
}

// "M = 512, N = 64": commas inside brackets do not divide.
int pairs_from_list(const char *what, const char *text, Pairs *pairs)
{
    for (const char *at = text; *at;) {
        while (*at == ' ' || *at == ',') at++;
        const char *end = at;
        for (int depth = 0; *end && (depth > 0 || *end != ','); end++)
            depth += *end == '(' ? 1 : *end == ')' ? -1 : 0;
        if (end == at) break;
        const char *equals = memchr(at, '=', (size_t)(end - at));
        if (!equals) return usage_error("%s: '%.*s' is not NAME=VALUE", what, (int)(end - at), at);
        const char *name_end = equals, *value = equals + 1, *value_end = end;
        while (name_end > at && name_end[-1] == ' ') name_end--;
        while (value < end && *value == ' ') value++;
        while (value_end > value && value_end[-1] == ' ') value_end--;
        pairs->data = must_grow(pairs->data, sizeof(Pair) * (pairs->count + 1));
        pairs->data[pairs->count++] = (Pair){must_format("%.*s", (int)(name_end - at), at),
                                             must_format("%.*s", (int)(value_end - value), value)};
        at = end;
    }
    return 0;
}

static int read_number(const OptionInfo *option, const char *value, double least, double most,
                       double *number)
{
    char *end;
    errno = 0;
    *number = strtod(value, &end);
    size_t length = strlen(value);
    if (length > 1 && end == value + length - 1 && *end == 's') end++; // 0.5s
    if (end == value || *end || errno || !(*number >= least && *number <= most)) {
        return usage_error("--%s wants a number from %g to %g, not '%s'", option->name, least, most,
                           value);
    }
    return 0;
}

// Seconds from "10", "10s", "5m", "2h", "30d".
static int read_duration(const OptionInfo *option, const char *value, double least, double most,
                         double *seconds)
{
    static const struct {
        char unit;
        double seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    *seconds = strtod(value, &end);
    for (size_t k = 0; end != value && *end && k < sizeof units / sizeof *units; k++) {
        if (*end != units[k].unit || end[1]) continue;
        *seconds *= units[k].seconds;
        end++;
        break;
    }
    if (end == value || *end || !(*seconds >= least && *seconds <= most)) {
        return usage_error("--%s wants a time like 30s, 5m, 2h or 7d, from %g s to %g s, not '%s'",
                           option->name, least, most, value);
    }
    return 0;
}

static int read_shard(const OptionInfo *option, const char *value, Options *o)
{
    char rest;
    bool ok = sscanf(value, "%u/%u%c", &o->shard, &o->shard_count, &rest) == 2;
    if (ok && o->shard >= 1 && o->shard <= o->shard_count) return 0;
    return usage_error("--%s wants I/N with I from 1 to N, not '%s'", option->name, value);
}

static int read_count(const OptionInfo *option, const char *value, uint32_t *count)
{
    double number = 0;
    int code = read_number(option, value, 0, 1e9, &number);
    if (code == 0 && number != (double)(uint32_t)number) {
        return usage_error("--%s wants a whole number, not '%s'", option->name, value);
    }
    *count = (uint32_t)number;
    return code;
}

static int read_choice(const OptionInfo *option, const char *value, const char *choices,
                       const char **to)
{
    size_t length = strlen(value);
    for (const char *at = choices; *at;) {
        size_t n = strcspn(at, " ");
        if (n == length && strncmp(at, value, n) == 0) {
            *to = value;
            return 0;
        }
        at += n + (at[n] == ' ');
    }
    return usage_error("--%s: '%s' is none of: %s", option->name, value, choices);
}

// "opencl:N", "opencl:NAME" beside the plain ones; triples where code is only looked at.
static int read_target(const CommandInfo *command, const OptionInfo *option, const char *value,
                       Options *o)
{
    bool builds = command->bit == BUILD;
    if ((builds && strcmp(value, "cpu") != 0) || (command->bit == EMIT && strchr(value, '-'))) {
        o->triple = value;
        return 0;
    }
    if (strncmp(value, "opencl:", 7) != 0)
        return read_choice(option, value, "cpu opencl interp", &o->target);
    o->target = "opencl";
    return device_select(value + 7, &o->device);
}

static int add_variant(const char *shapes, Options *o)
{
    o->variants = must_grow(o->variants, sizeof *o->variants * (o->variant_count + 1));
    o->variants[o->variant_count] = (BuildFor){0};
    return pairs_from_list("--shapes", shapes, &o->variants[o->variant_count++].shapes);
}

// Of `build` each goes with the --shapes before it.
static int read_config(const CommandInfo *command, const char *value, Options *o)
{
    const char **config = &o->config;
    if (command->bit == BUILD && o->variant_count)
        config = &o->variants[o->variant_count - 1].config;
    if (command->bit == BUILD && *config)
        return usage_error("--config is given twice for the same sizes: '%s' and '%s'", *config,
                           value);
    *config = value;
    return 0;
}

static int apply(const CommandInfo *command, const OptionInfo *option, const char *value,
                 Options *o)
{
    double number = 0;
    int code = 0;
    switch (option->id) {
    case OPT_INPUT: return add_pair(&o->inputs, option, value);
    case OPT_OUTPUT:
        if (strcmp(command->name, "run") == 0) return add_pair(&o->outputs, option, value);
        o->output = value;
        return 0;
    case OPT_SCALAR: return add_pair(&o->scalars, option, value);
    case OPT_DEFINE: return add_pair(&o->defines, option, value);
    case OPT_EXPECT: return add_pair(&o->expects, option, value);
    case OPT_SHAPES:
        if (command->bit == BUILD) return add_variant(value, o);
        return pairs_from_list("--shapes", value, &o->shapes);
    case OPT_CONFIG: return read_config(command, value, o);
    case OPT_EMIT: o->emit = value; return 0;
    case OPT_TYPES: return add_pair(&o->types, option, value);
    case OPT_EXACT: o->exact = true; return 0;
    case OPT_GIVEN:
        o->givens = must_grow(o->givens, sizeof *o->givens * (o->given_count + 1));
        o->givens[o->given_count++] = strcmp(value, "none") == 0 ? "" : value;
        return 0;
    case OPT_TUNED: o->tuned = true; return 0;
    case OPT_NAME: o->name = value; return 0;
    case OPT_PREFIX: o->prefix = value; return 0;
    case OPT_COMPILER: o->compiler = value; return 0;
    case OPT_TARGET:
        o->target = value; // a list of them
        if (command->bit == TEST) return 0;
        return read_target(command, option, value, o);
    case OPT_FILTER: o->filter = value; return 0;
    case OPT_FULL: o->full = true; return 0;
    case OPT_JOBS: return read_count(option, value, &o->jobs);
    case OPT_LIST: o->list = true; return 0;
    case OPT_CANDIDATES: return read_count(option, value, &o->candidates);
    case OPT_TIMEOUT: return read_number(option, value, 0.1, 86400, &o->timeout);
    case OPT_CPU: o->cpu = value; return 0;
    case OPT_DEVICE: return read_count(option, value, &o->device);
    case OPT_THREADS: return read_count(option, value, &o->threads);
    case OPT_RTOL: o->has_tolerance = true; return read_number(option, value, 0, 1e30, &o->rtol);
    case OPT_ATOL: o->has_tolerance = true; return read_number(option, value, 0, 1e30, &o->atol);
    case OPT_VERIFY: o->verify = true; return 0;
    case OPT_REPEAT: return read_count(option, value, &o->repeat);
    case OPT_SEED:
        code = read_number(option, value, 0, 9e15, &number);
        o->seed = (uint64_t)number;
        return code;
    case OPT_MIN_TIME: return read_number(option, value, 0, 3600, &o->min_time);
    case OPT_DB: o->db = value; return 0;
    case OPT_LOG: o->log = value; return 0;
    case OPT_REPLAY: o->replay = value; return 0;
    case OPT_REPORT: o->report_path = value; return 0;
    case OPT_SHARD: return read_shard(option, value, o);
    case OPT_EFFORT: return read_choice(option, value, "none quick full", &o->effort);
    case OPT_RESUME: o->resume = true; return 0;
    case OPT_OLDER: return read_duration(option, value, 0, 1e12, &o->older);
    case OPT_SEARCH:
        return read_choice(option, value, "exhaustive random pattern evolution forest", &o->search);
    case OPT_BUDGET: return read_duration(option, value, 0.1, 864000, &o->budget);
    case OPT_AS:
        return read_choice(option, value,
                           "ast tile loop llvm asm obj opencl opencl-host config", &o->as);
    case OPT_PASSES: o->passes = value; return 0;
    case OPT_STOP_AFTER: o->stop_after = value; return 0;
    case OPT_DISABLE: o->disable = value; return 0;
    case OPT_DUMP: o->dump = value; return 0;
    case OPT_TIME_PASSES: o->time_passes = true; return 0;
    case OPT_DIAGNOSTICS: return read_choice(option, value, "text json", &o->diagnostics);
    case OPT_MAX_ERRORS: return read_count(option, value, &o->max_errors);
    case OPT_JSON: o->json = true; return 0;
    case OPT_SPACE: o->space = true; return 0;
    case OPT_COMPARE:
        o->compares = must_grow(o->compares, sizeof *o->compares * (o->compare_count + 1));
        o->compares[o->compare_count++] = value;
        return 0;
    case OPT_EXPLAIN: o->explain = true; return 0;
    case OPT_HELP: o->help = true; return 0;
    }
    return 0;
}

int options_parse(const CommandInfo *command, int argc, char **argv, Options *o)
{
    *o = (Options){.command = command->name,
                   .min_time = 0.5,
                   .budget = 10,
                   .repeat = 1,
                   .target = command->bit == TEST ? "all" : "cpu",
                   .diagnostics = "text"};
    struct option longs[OPTION_COUNT + 1];
    char shorts[2 * OPTION_COUNT + 2] = ":";
    int count = 0;
    size_t letters = 1;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!(table[i].commands & command->bit)) continue;
        int has = table[i].value ? required_argument : no_argument;
        longs[count++] = (struct option){table[i].name, has, NULL, (int)table[i].id};
        if (!table[i].letter) continue;
        shorts[letters++] = table[i].letter;
        if (table[i].value) shorts[letters++] = ':';
    }
    longs[count] = (struct option){0};
    shorts[letters] = 0;
    char **words = must_alloc(sizeof(char *) * (size_t)(argc + 2));
    words[0] = (char *)command->name; // getopt starts behind the first word
    for (int i = 0; i < argc; i++) words[i + 1] = argv[i];
    opterr = 0;
    for (int id; (id = getopt_long(argc + 1, words, shorts, longs, NULL)) != -1;) {
        if (id == '?')
            return usage_error("hako %s has no option '%s'; `hako %s --help` lists them",
                               command->name, words[optind - 1], command->name);
        if (id == ':') return usage_error("'%s' wants a value", words[optind - 1]);
        for (size_t i = 0; i < OPTION_COUNT && id < 256; i++) {
            if (table[i].letter == id && (table[i].commands & command->bit)) id = (int)table[i].id;
        }
        int code = apply(command, find_option(id, command->bit), optarg, o);
        if (code != 0) return code;
    }
    o->files = (const char **)words + optind;
    o->file_count = (size_t)(argc + 1 - optind);
    return 0;
}

// ---- help

void options_help(const CommandInfo *command)
{
    if (!command) {
        printf("Hako compiles and runs tiled kernels (.hk).\n\nusage: hako COMMAND ...\n\n");
        for (const CommandInfo *c = commands; c->name; c++)
            printf("  %-11s %s\n", c->name, c->purpose);
        printf("\n`hako COMMAND --help` lists a command's options.\n"
               "exit codes: 0 ok, 1 diagnostics or mismatch, 2 usage, 3 environment or I/O,\n"
               "            4 the kernel trapped, 70 internal error\n");
        return;
    }
    printf("usage: hako %s %s\n%s\n\n", command->name, command->usage, command->purpose);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!(table[i].commands & command->bit)) continue;
        char left[64];
        snprintf(left, sizeof left, "%c%c%s--%s%s%s", table[i].letter ? '-' : ' ',
                 table[i].letter ? table[i].letter : ' ', table[i].letter ? ", " : "  ",
                 table[i].name, table[i].value ? " " : "", table[i].value ? table[i].value : "");
        printf("  %-26s %s\n", left, table[i].purpose);
    }
}

bool option_at(size_t index, OptionText *option)
{
    if (index >= OPTION_COUNT) return false;
    const OptionInfo *o = &table[index];
    *option = (OptionText){o->letter, o->name, o->value, o->purpose, o->commands};
    return true;
}

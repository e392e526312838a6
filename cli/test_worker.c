// The process that tries the cases of one .hk file. The driver (test.c) reads a line of JSON before
// each try and one after it, so that it knows what was tried when the process dies:
//
//     {"n": 4, "kernel": "softmax", "case": 2, "target": "cpu", "config": "", "shape": ""}
//     {"n": 4, "outcome": "ok", "ratio": 0.3, "ms": 1.5, "shape": "5x77", "text": ""}
//
// Messages go to a file in the scratch folder, which the driver reads too when all is over.
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/test.h"

// The interpreter's time for one case; the longer one where the shorter gave nothing to compare
// with, as with folds, which want all tiles.
enum { VERIFY_SECONDS = 20, VERIFY_FULL_SECONDS = 3, VERIFY_SECONDS_MAX = 300 };
enum { MESSAGE_BYTES = 4000 };
static const double OPENCL_SLACK = 4; // sums have fewer partial ones there

typedef struct Try {
    const TestCase *test;
    const char *target, *config;
    bool verify;    // against the interpreter: nothing is expected
    double ratio;   // the largest error relative to the allowed one
    char shape[80]; // of the first output
    char *text;     // how it failed, or why it was left out
    const char *outcome;
} Try;

typedef struct Tester {
    const Options *options;
    const char *path;
    hk_context *context;
    hk_module *module;
    CaseSource cases;
    regex_t filter;
    long number, first; // of tries; those before the first were made by a process that died
} Tester;

// ---- one try

static Options options_of(const Tester *t, const Try *try)
{
    const TestCase *test = try->test;
    Options o = {.command = "test",
                 .files = t->options->files,
                 .file_count = 1,
                 .inputs = test->inputs,
                 .scalars = test->scalars,
                 .defines = test->defines,
                 .config = *try->config ? try->config : NULL,
                 .target = try->target,
                 .diagnostics = "text",
                 .threads = t->options->threads,
                 .device = t->options->device,
                 .seed = t->options->seed,
                 .repeat = 1};
    o.outputs.data = must_alloc(sizeof(Pair) * (test->expect_count + 1));
    for (size_t i = 0; i < test->expect_count; i++)
        o.outputs.data[o.outputs.count++] = (Pair){test->expects[i].name, "-"};
    return o;
}

static bool lacks_inputs(const Session *s)
{
    hk_param param = {.struct_size = sizeof param};
    for (size_t i = 0; hk_kernel_param(s->kernel, i, &param) == HK_OK; i++) {
        bool tensor = param.kind == HK_PARAM_IN || param.kind == HK_PARAM_INOUT;
        bool needed = tensor && !param.optional;
        if (needed && session_find(s, param.name) == s->arg_count) return true;
    }
    return false;
}

static double memory_available(void)
{
    double kib = 0;
    char line[256];
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemAvailable: %lf", &kib) == 1) break;
    }
    if (file) fclose(file);
    return kib > 0 ? kib * 1024 : 1e18;
}

// The tensors, and copies of them for the reference.
static bool fits_memory(const Session *s, Try *try)
{
    hk_exec_param_info info = {.struct_size = sizeof info};
    double bytes = 0, available = memory_available();
    for (size_t p = 0; hk_exec_param(s->exec, p, &info) == HK_OK; p++) bytes += (double)info.bytes;
    if (3 * bytes < available) return true;
    try->outcome = "skipped";
    try->text = must_format("needs some %.1f GiB of memory; %.1f are free", 3 * bytes * 0x1p-30,
                            available * 0x1p-30);
    return false;
}

static void note_shape(const Session *s, Try *try)
{
    hk_exec_param_info info = {.struct_size = sizeof info};
    for (size_t p = 0; hk_exec_param(s->exec, p, &info) == HK_OK; p++) {
        bool output = info.kind == HK_PARAM_OUT || info.kind == HK_PARAM_INOUT;
        if (!output || !info.shape) continue;
        shape_print(try->shape, sizeof try->shape, info.ndim, info.shape);
        if (info.ndim == 0) snprintf(try->shape, sizeof try->shape, "scalar");
        return;
    }
}

// An output of which the reference had no time for a single element. NULL: there is none.
static const hk_verify_output *not_compared(const hk_verify_result *result)
{
    for (size_t i = 0; i < result->output_count && result->tiles_run < result->tiles_total; i++) {
        const hk_verify_output *out = &result->outputs[i];
        if (!out->order_dependent && out->compared == 0) return out;
    }
    return NULL;
}

static int run_verified(Session *s, const Tester *t, Try *try)
{
    const hk_verify_output *missing = NULL;
    // Other tiles on each target.
    hk_verify_options options = {.struct_size = sizeof options,
                                 .seconds_max =
                                     t->options->full ? VERIFY_FULL_SECONDS : VERIFY_SECONDS,
                                 .seed = t->options->seed + (uint64_t)t->number};
    hk_verify_result result = {.struct_size = sizeof result};
    for (;;) {
        hk_error *error;
        hk_status status =
            hk_exec_verify(s->exec, s->args, s->arg_count, &options, &result, &error);
        for (size_t i = 0; i < result.output_count; i++) {
            const hk_verify_output *out = &result.outputs[i];
            double ratio = out->error_max == 0 ? 0 : out->error_max / out->tolerance;
            if (ratio > try->ratio) try->ratio = ratio;
        }
        if (status != HK_OK) return report(s->options, status, error);
        missing = not_compared(&result);
        double all = options.seconds_max * (double)result.tiles_total / (double)result.tiles_run;
        if (!missing || all > VERIFY_SECONDS_MAX || options.seconds_max == VERIFY_SECONDS_MAX)
            break;
        options.seconds_max = VERIFY_SECONDS_MAX;
    }
    if (!missing) return 0;
    try->outcome = "skipped";
    try->text = must_format("%s was not compared: the reference had time for %lld of %lld tiles",
                            missing->name, (long long)result.tiles_run,
                            (long long)result.tiles_total);
    return 0;
}

static int run_plain(Session *s)
{
    hk_error *error;
    hk_status status = hk_exec_run(s->exec, s->args, s->arg_count, &error);
    return report(s->options, status, error);
}

static int check_one(const Session *s, Try *try, const Expectation *expect)
{
    size_t i = session_find(s, expect->name);
    if (i == s->arg_count || !s->arrays[i].memory)
        return usage_error("kernel %s has no tensor '%s' to expect something of",
                           hk_kernel_name(s->kernel), expect->name);
    Verdict verdict;
    double slack = strcmp(try->target, "opencl") == 0 ? OPENCL_SLACK : 1;
    int code = expectation_check(expect, &s->arrays[i], slack, &verdict);
    if (code != 0) return code;
    if (verdict.ratio > try->ratio) try->ratio = verdict.ratio;
    if (!verdict.failed) return 0;
    char *longer =
        must_format("%s%s%s", try->text ? try->text : "", try->text ? "; " : "", verdict.text);
    free(try->text);
    free(verdict.text);
    try->text = longer;
    try->outcome = "failed";
    return 0;
}

static int run_case(const Tester *t, Session *s, Try *try)
{
    const TestCase *test = try->test;
    int code = session_arguments(s);
    if (code == 0) code = session_settings(s, &test->settings);
    bool made_up = code == 0 && lacks_inputs(s);
    if (code == 0 && made_up) code = session_specialize(s, HK_STAGE_TILE, false);
    if (code == 0 && made_up && !fits_memory(s, try)) return 0;
    if (code == 0 && made_up) code = session_allocate(s, true);
    if (code == 0) code = session_specialize(s, HK_STAGE_RUN, true);
    if (code == 0) code = session_allocate(s, false);
    if (code != 0) return code;
    note_shape(s, try);
    try->verify = test->expect_count == 0 && !test->fails;
    if (try->verify && strcmp(try->target, "interp") != 0) return run_verified(s, t, try);
    code = run_plain(s);
    if (try->verify && code == 0) try->outcome = "reference";
    for (size_t i = 0; code == 0 && i < test->expect_count; i++)
        code = check_one(s, try, &test->expects[i]);
    return code;
}

// ---- what came of it

static char *messages_read(void)
{
    char *text = must_alloc(MESSAGE_BYTES + 1);
    ssize_t n = pread(STDERR_FILENO, text, MESSAGE_BYTES, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void judge_failure(Try *try, int code, char *messages)
{
    static const char *const missing[] = {"HK0903", "HK0951", "HK0952"};
    bool cannot = strcmp(try->target, "opencl") == 0 && strstr(messages, "HK0199");
    for (size_t i = 0; code == EXIT_ENVIRONMENT && i < 3; i++)
        cannot = cannot || strstr(messages, missing[i]);
    try->outcome = cannot ? "skipped" : "failed";
    free(try->text);
    try->text = messages;
    if (!*messages) try->text = must_format("exit code %d without a message", code);
}

static void try_case(const Tester *t, Try *try)
{
    if (ftruncate(STDERR_FILENO, 0) != 0) return;
    Options options = options_of(t, try);
    Session session;
    try->outcome = "ok";
    int code = session_attach(&session, &options, t->context, t->module, try->test->kernel);
    if (code == 0) code = run_case(t, &session, try);
    session_close(&session);
    free(options.outputs.data);
    const char *fails = try->test->fails;
    char *messages = messages_read();
    if (fails && code != 0 && strstr(messages, fails)) {
        free(messages);
    } else if (code != 0) {
        judge_failure(try, code, messages);
    } else {
        free(messages);
        if (!fails) return;
        try->outcome = "failed";
        try->text = must_format("expected to fail with %s, but succeeded", fails);
    }
}

// ---- the lines

static void say(json_t *line)
{
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static void say_start(const Tester *t, const Try *try)
{
    say(json_pack("{s:I, s:s, s:i, s:s, s:s}", "n", (json_int_t)t->number, "kernel",
                  hk_kernel_name(try->test->kernel), "case", (int)try->test->number, "target",
                  try->target, "config", try->config));
}

static void say_end(const Tester *t, const Try *try, double seconds)
{
    bool finite = try->ratio >= 0 && try->ratio < 1e30;
    json_t *text =
        json_stringn_nocheck(try->text ? try->text : "", try->text ? strlen(try->text) : 0);
    say(json_pack("{s:I, s:s, s:f, s:f, s:s, s:o}", "n", (json_int_t)t->number, "outcome",
                  try->outcome, "ratio", finite ? try->ratio : 1e30, "ms", seconds * 1e3, "shape",
                  try->shape, "text", text));
}

static void try_and_say(Tester *t, const TestCase *test, const char *target, const char *config)
{
    if (t->number++ < t->first) return;
    Try try = {.test = test, .target = target, .config = config};
    say_start(t, &try);
    double start = now_seconds();
    try_case(t, &try);
    say_end(t, &try, now_seconds() - start);
    free(try.text);
}

static void try_targets(Tester *t, const TestCase *test)
{
    const char *names = t->options->target;
    for (const char *at = names; *at;) {
        size_t length = strcspn(at, ",");
        char *target = must_format("%.*s", (int)length, at);
        bool several = strcmp(target, "cpu") == 0 && test->config_count > 0;
        for (size_t i = 0; i < (several ? test->config_count : 1); i++)
            try_and_say(t, test, target, several ? test->configs[i] : "");
        free(target);
        at += length + (at[length] == ',');
    }
}

static bool passes_filter(const Tester *t, const TestCase *test)
{
    if (!t->options->filter) return true;
    char *name = must_format("%s:%s#%u", t->path, hk_kernel_name(test->kernel), test->number);
    bool passes = regexec(&t->filter, name, 0, NULL, 0) == 0;
    free(name);
    return passes;
}

static int try_all(Tester *t)
{
    for (TestCase test; cases_next(&t->cases, &test);) {
        if (passes_filter(t, &test)) try_targets(t, &test);
        case_free(&test);
    }
    if (t->cases.failed) return EXIT_DIAGNOSTICS;
    for (size_t k = 0; k < hk_module_kernel_count(t->module); k++) {
        if (t->cases.numbers[k]) continue;
        TestCase none = {.kernel = hk_module_kernel(t->module, k)};
        if (!passes_filter(t, &none)) continue;
        say(json_pack("{s:s, s:s}", "none", hk_kernel_name(none.kernel), "why",
                      t->cases.oracle_path && !t->cases.python
                          ? "its oracle needs Python with NumPy (HAKO_PYTHON names one)"
                          : "it has no test, oracle or shapes"));
    }
    return 0;
}

static int open_messages(const char *scratch)
{
    char *path = must_format("%s/messages", scratch);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    free(path);
    if (file < 0 || dup2(file, STDERR_FILENO) < 0) return io_error("cannot write to %s", scratch);
    return 0;
}

// hako test-worker FILE SCRATCH FIRST PYTHON, with the options of `test`
int command_test_worker(Options *options)
{
    if (options->file_count != 4) return usage_error("test-worker is for `hako test`");
    const char *scratch = options->files[1], *python = options->files[3];
    Tester t = {.options = options,
                .path = options->files[0],
                .first = strtol(options->files[2], NULL, 10)};
    signal(SIGPIPE, SIG_IGN);
    int code = open_messages(scratch);
    if (code != 0) return code;
    if (options->filter && regcomp(&t.filter, options->filter, REG_EXTENDED | REG_NOSUB) != 0)
        return usage_error("--filter: '%s' is no regular expression", options->filter);
    hk_context_options context = {.struct_size = sizeof context,
                                  .threads = options->threads,
                                  .log = show_warnings,
                                  .code_cache = code_cache_folder()};
    hk_error *error;
    hk_status status = hk_context_create(&context, &t.context, &error);
    if (status == HK_OK) status = hk_module_load_file(t.context, t.path, &t.module, &error);
    code = report(options, status, error);
    char *oracle_folder, *folder = must_format("%s", t.path), *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
    t.cases = (CaseSource){.module = t.module,
                           .source = t.path,
                           .folder = slash ? folder : ".",
                           .scratch = scratch,
                           .python = *python ? python : NULL,
                           .full = options->full};
    t.cases.oracle_path = oracle_find(t.path, &oracle_folder);
    t.cases.oracle_folder = oracle_folder;
    if (code == 0) code = try_all(&t);
    cases_end(&t.cases);
    hk_module_free(t.module);
    hk_context_free(t.context);
    return code;
}

// hako run FILE[:KERNEL] -i NAME=SPEC... -o NAME=@out.npy: one launch on real arrays.
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

typedef struct RunState {
    Session session;
    double *seconds;
    size_t runs;
    Array *initial; // of inout arguments, by argument: each repetition starts from them
    Verified verified;
    bool has_verified;
    json_t *expected; // one object for each --expect
    int code;         // of comparisons: the worst
} RunState;

// ---- running

static int run_all(RunState *r)
{
    Session *s = &r->session;
    const Options *o = s->options;
    size_t count = o->repeat ? o->repeat : 1;
    r->seconds = must_alloc(sizeof(double) * count);
    int code = inout_keep(s, &r->initial);
    hk_error *error;
    for (size_t i = 0; code == 0 && i < count && !(o->verify && count == 1); i++) {
        inout_restore(s, r->initial);
        double start = now_seconds();
        hk_status status = hk_exec_run(s->exec, s->args, s->arg_count, &error);
        r->seconds[r->runs++] = now_seconds() - start;
        code = report(o, status, error);
    }
    if (code != 0 || !o->verify) return code;
    inout_restore(s, r->initial);
    r->has_verified = true;
    code = verify_run(s, &r->verified);
    r->code = r->verified.code;
    return code;
}

// ---- --expect

typedef struct Tolerance {
    double relative, absolute;
} Tolerance;

static Tolerance tolerance_of(const Options *o, DLDataType dtype)
{
    if (o->has_tolerance) return (Tolerance){o->rtol, o->atol};
    if (!dtype_is_float(dtype)) return (Tolerance){0, 0};
    if (dtype.bits == 64) return (Tolerance){1e-10, 1e-10};
    if (dtype.bits == 32) return (Tolerance){1e-4, 1e-5};
    if (dtype.bits == 16)
        return dtype.code == kDLBfloat ? (Tolerance){2e-2, 2e-2} : (Tolerance){4e-3, 4e-3};
    return (Tolerance){0.15, 0.15};
}

typedef struct Difference {
    int64_t count, mismatched, worst[8];
    double largest, got, want;
} Difference;

static Difference compare(const Array *got, const Array *want, Tolerance tolerance)
{
    Difference d = {0};
    int64_t index[8] = {0};
    if (array_elements(want) == 0) return d;
    do {
        double g = array_get(got, index), w = array_get(want, index);
        bool same = g == w || (isnan(g) && isnan(w));
        double error = same ? 0 : isfinite(g) && isfinite(w) ? fabs(g - w) : INFINITY;
        bool wrong = error > tolerance.absolute + tolerance.relative * fabs(w) || isinf(error);
        d.count++;
        if (error > d.largest) d.largest = error;
        if (!wrong || d.mismatched++ > 0) continue;
        memcpy(d.worst, index, sizeof d.worst);
        d.got = g;
        d.want = w;
    } while (array_next(want, index));
    return d;
}

static void report_difference(RunState *r, const char *name, const Array *want, const Difference *d)
{
    const Options *o = r->session.options;
    json_array_append_new(
        r->expected, json_pack("{s:s, s:b, s:f, s:I, s:I}", "name", name, "ok", d->mismatched == 0,
                               "error_max", isinf(d->largest) ? -1.0 : d->largest, "compared",
                               (json_int_t)d->count, "mismatched", (json_int_t)d->mismatched));
    if (d->mismatched == 0) {
        if (!o->json) printf("expect: ok  %s: largest error %.3g\n", name, d->largest);
        return;
    }
    r->code = EXIT_DIAGNOSTICS;
    char at[160] = "";
    size_t length = 0;
    for (int32_t i = 0; i < want->tensor.ndim && length < sizeof at; i++) {
        length += (size_t)snprintf(at + length, sizeof at - length, "%s%lld", i ? ", " : "",
                                   (long long)d->worst[i]);
    }
    fprintf(stderr,
            "hako: error: %s differs from what is expected in %lld of %lld elements; %s[%s] is "
            "%.9g, expected %.9g; "
            "largest error %.3g\n",
            name, (long long)d->mismatched, (long long)d->count, name, at, d->got, d->want,
            d->largest);
}

static int expect_one(RunState *r, const Pair *pair)
{
    Session *s = &r->session;
    size_t i = session_find(s, pair->name);
    if (i == s->arg_count || !s->arrays[i].memory)
        return usage_error("--expect %s: there is no such output", pair->name);
    const Array *got = &s->arrays[i];
    Array want;
    Scalar scalar;
    int code = spec_parse(pair->name, pair->value, &want, &scalar);
    if (code != 0) return code;
    if (scalar.given) {
        if (!array_init(&want, got->tensor.dtype, 0, NULL)) return io_error("out of memory");
        int64_t none[8] = {0};
        array_set(&want, none, scalar.number);
    }
    bool fits = want.tensor.ndim == got->tensor.ndim;
    for (int32_t d = 0; fits && d < want.tensor.ndim; d++) fits = want.shape[d] == got->shape[d];
    if (fits) {
        bool bits = want.tensor.dtype.code == kDLUInt &&
                    dtype_is_float(got->tensor.dtype) // as npy holds bf16
                    && want.tensor.dtype.bits == got->tensor.dtype.bits;
        if (bits) want.tensor.dtype = got->tensor.dtype;
        Difference d = compare(got, &want, tolerance_of(s->options, got->tensor.dtype));
        report_difference(r, pair->name, &want, &d);
    } else {
        char have[160], wanted[160];
        shape_print(have, sizeof have, got->tensor.ndim, got->shape);
        shape_print(wanted, sizeof wanted, want.tensor.ndim, want.shape);
        fprintf(stderr, "hako: error: %s has shape (%s), expected (%s)\n", pair->name, have,
                wanted);
        r->code = EXIT_DIAGNOSTICS;
    }
    array_free(&want);
    return 0;
}

// ---- results

// All files are complete before the first gets its name.
static int write_outputs(const Session *s)
{
    const Pairs *outputs = &s->options->outputs;
    char **temporary = must_alloc(sizeof(char *) * (outputs->count + 1));
    int code = 0;
    for (size_t i = 0; code == 0 && i < outputs->count; i++) {
        const Pair *pair = &outputs->data[i];
        const Array *array = &s->arrays[session_find(s, pair->name)];
        if (strcmp(pair->value, "-") == 0)
            array_print(stdout, pair->name, array);
        else
            code = npy_write(pair->value + 1, array, &temporary[i]);
    }
    for (size_t i = 0; i < outputs->count; i++) {
        const char *path = outputs->data[i].value + 1;
        if (temporary[i] && (code != 0 || rename(temporary[i], path) != 0)) {
            if (code == 0) code = io_error("cannot write %s: %s", path, strerror(errno));
            remove(temporary[i]);
        }
        free(temporary[i]);
    }
    free(temporary);
    return code;
}

static int check_outputs(const Session *s)
{
    for (size_t i = 0; i < s->options->outputs.count; i++) {
        const Pair *pair = &s->options->outputs.data[i];
        bool file = pair->value[0] == '@' && pair->value[1];
        if (!file && strcmp(pair->value, "-") != 0)
            return usage_error("-o %s wants @FILE or -, not '%s'", pair->name, pair->value);
        size_t at = session_find(s, pair->name);
        if (at == s->arg_count || !s->arrays[at].memory)
            return usage_error("-o %s: the kernel has no such output", pair->name);
    }
    return 0;
}

static json_t *json_outputs(const Session *s)
{
    json_t *list = json_array();
    hk_exec_param_info info = {.struct_size = sizeof info};
    for (size_t p = 0; hk_exec_param(s->exec, p, &info) == HK_OK; p++) {
        if (info.kind != HK_PARAM_OUT && info.kind != HK_PARAM_INOUT) continue;
        json_t *shape = json_array();
        for (int32_t d = 0; d < info.ndim; d++)
            json_array_append_new(shape, json_integer(info.shape[d]));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", info.name, "dtype",
                                              info.dtype_name, "shape", shape));
    }
    return list;
}

static void print_json(const RunState *r, const char *config)
{
    const Session *s = &r->session;
    double compile_ms = 0, ms;
    for (size_t i = 0; hk_exec_timing(s->exec, i, &ms); i++) compile_ms += ms;
    json_t *all = json_pack("{s:s, s:s, s:i, s:f, s:s, s:o}", "kernel", hk_kernel_name(s->kernel),
                            "target", s->options->target, "threads", (int)hk_exec_threads(s->exec),
                            "compile_ms", compile_ms, "config", config, "outputs", json_outputs(s));
    if (r->runs) {
        Spread spread = spread_of(r->seconds, r->runs);
        json_object_set_new(all, "median_ms", json_real(spread.median * 1e3));
        json_object_set_new(all, "runs", json_integer((json_int_t)r->runs));
    }
    if (r->has_verified) json_object_set_new(all, "verify", verify_json(&r->verified));
    if (json_array_size(r->expected)) json_object_set(all, "expect", r->expected);
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(all);
}

static void print_outputs(const Session *s)
{
    for (size_t i = 0; i < s->arg_count; i++) {
        hk_exec_param_info info = {.struct_size = sizeof info};
        for (size_t p = 0; hk_exec_param(s->exec, p, &info) == HK_OK; p++) {
            bool out = info.kind == HK_PARAM_OUT || info.kind == HK_PARAM_INOUT;
            if (out && strcmp(info.name, s->args[i].name) == 0)
                array_print(stdout, info.name, &s->arrays[i]);
        }
    }
}

static int print_results(RunState *r)
{
    const Session *s = &r->session;
    const Options *o = s->options;
    if (o->json) {
        hk_text *text = NULL;
        hk_error *error;
        hk_status status = hk_exec_text(s->exec, HK_FORM_CONFIG, &text, &error);
        if (status != HK_OK) return report(o, status, error);
        char *config =
            must_format("%.*s", (int)strcspn(hk_text_data(text), "\n"), hk_text_data(text));
        print_json(r, config);
        free(config);
        hk_text_free(text);
        return 0;
    }
    bool silent = o->outputs.count || o->expects.count || o->verify || o->repeat > 1;
    if (!silent) print_outputs(s); // nothing else was asked for
    if (r->has_verified) verify_print(&r->session, &r->verified);
    if (o->repeat > 1 && r->runs) {
        Spread spread = spread_of(r->seconds, r->runs);
        printf("time: %.4g ms (median of %zu; quartiles %.4g .. %.4g)\n", spread.median * 1e3,
               r->runs, spread.low * 1e3, spread.high * 1e3);
    }
    return 0;
}

static int run(RunState *r)
{
    Session *s = &r->session;
    const Options *o = s->options;
    int code = session_arguments(s);
    if (code == 0) code = session_specialize(s, HK_STAGE_RUN, true);
    if (code == 0) code = session_allocate(s, false);
    if (code == 0) code = check_outputs(s);
    if (code != 0) return code;
    if (o->time_passes) print_time_passes(stderr, s->exec);
    hk_text *dump;
    hk_error *error;
    if (o->dump && hk_exec_text(s->exec, HK_FORM_DUMP, &dump, &error) == HK_OK) {
        fputs(hk_text_data(dump), stderr);
        hk_text_free(dump);
    }
    code = run_all(r);
    for (size_t i = 0; code == 0 && i < o->expects.count; i++)
        code = expect_one(r, &o->expects.data[i]);
    if (code == 0) code = write_outputs(s);
    if (code == 0) code = print_results(r);
    return code ? code : r->code;
}

int command_run(Options *options)
{
    RunState r = {.expected = json_array()};
    int code = session_open(&r.session, options);
    if (code == 0) code = run(&r);
    inout_free(&r.session, r.initial);
    free(r.seconds);
    json_decref(r.expected);
    session_close(&r.session);
    return code;
}

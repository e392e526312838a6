// hako bench FILE[:KERNEL]: how long a launch takes, and how that compares with what the machine
// can do.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { RUNS_LEAST = 5, RUNS_MOST = 100000 };

typedef struct Result {
    Spread spread; // on an OpenCL device that is no CPU, of its kernels alone
    double launch; // seconds at least, copies to and from the device included
    bool by_device;
    hk_cost cost;
    Limits limits;
    double bytes_limit; // bytes per second
    const char *config;
    hk_estimate estimate;
    bool estimated;
    Verified verified;
} Result;

// Where products go to tile registers, the limit of both parts together.
static void join_limits(const hk_cost *cost, Limits *limits)
{
    if (!(limits->tiles > 0 && limits->flops > 0)) return;
    double others = fmax(cost->flops - cost->products, 0);
    limits->flops = cost->flops / (cost->products / limits->tiles + others / limits->flops);
}

// What the machine can do, in turns with the kernel: its clock and its neighbours change.
static void limits_round(const Session *s, Bandwidth *bandwidth, Result *result)
{
    Limits *limits = &result->limits;
    uint32_t threads = hk_exec_threads(s->exec);
    bandwidth_round(bandwidth);
    limits->flops = fmax(limits->flops, flops_measure(threads));
    if (result->cost.products > 0) limits->tiles = fmax(limits->tiles, tiles_measure(threads));
}

// On a device with memory of its own: by its clock.
static int measure_device(Session *s, Result *result)
{
    double *seconds = must_alloc(sizeof(double) * RUNS_MOST);
    size_t count = 0;
    hk_error *error;
    device_limits(s, result->cost.bytes, &result->limits);
    double begin = now_seconds();
    hk_status status = hk_exec_run(s->exec, s->args, s->arg_count, &error);
    while (status == HK_OK && count < RUNS_MOST) {
        double start = now_seconds();
        status = hk_exec_run_timed(s->exec, s->args, s->arg_count, &seconds[count], &error);
        double end = now_seconds();
        if (count++ == 0 || end - start < result->launch) result->launch = end - start;
        if (count >= RUNS_LEAST && end - begin >= s->options->min_time) break;
    }
    if (status == HK_OK) result->spread = spread_of(seconds, count);
    free(seconds);
    return report(s->options, status, error);
}

static int measure(Session *s, Result *result)
{
    result->by_device = target_named(s->options->target) == HK_TARGET_OPENCL && !device_is_cpu(s);
    if (result->by_device) return measure_device(s, result);
    double *seconds = must_alloc(sizeof(double) * RUNS_MOST), begin = now_seconds(), probed = 0;
    Bandwidth *bandwidth = bandwidth_open(hk_exec_threads(s->exec), result->cost.bytes);
    size_t count = 0;
    hk_error *error;
    hk_status status =
        hk_exec_run(s->exec, s->args, s->arg_count, &error); // warms caches and wakes threads
    while (status == HK_OK && count < RUNS_MOST) {
        double start = now_seconds();
        status = hk_exec_run(s->exec, s->args, s->arg_count, &error);
        double end = now_seconds();
        seconds[count++] = end - start;
        if (count >= RUNS_LEAST && end - begin >= s->options->min_time) break;
        if (probed > (end - begin) / 2) continue;
        limits_round(s, bandwidth, result);
        probed += now_seconds() - end;
    }
    if (probed == 0) limits_round(s, bandwidth, result);
    bandwidth_close(bandwidth, &result->limits);
    join_limits(&result->cost, &result->limits);
    if (status == HK_OK) result->spread = spread_of(seconds, count);
    free(seconds);
    return report(s->options, status, error);
}

// The least time that the kernel's bytes can take: as many read as written by the better way of
// copying, the rest by reading (or again as a copy writes).
static double limit_of(const Session *s, const Result *r)
{
    const Limits *l = &r->limits;
    double copy = l->copy > l->stream ? l->copy : l->stream, written = 0;
    hk_exec_param_info info = {.struct_size = sizeof info};
    for (size_t p = 0; hk_exec_param(s->exec, p, &info) == HK_OK; p++) {
        size_t i = session_find(s, info.name);
        bool writes = info.kind == HK_PARAM_OUT || info.kind == HK_PARAM_INOUT;
        if (writes && i < s->arg_count && s->args[i].tensor) written += (double)info.bytes;
    }
    double read = r->cost.bytes - written, both = read < written ? read : written;
    double seconds = 2 * both / copy;
    seconds += read > written ? (read - written) / l->read : (written - read) / copy;
    return seconds > 0 ? r->cost.bytes / seconds : 0;
}

static double share(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

// Which limits the kernel comes how near to: measured ones, then those of the model.
static void print_explained(const Result *r)
{
    double best = r->spread.fastest, flops = r->cost.flops / r->limits.flops;
    double bytes = r->cost.bytes / r->bytes_limit;
    if (r->limits.flops > 0)
        printf("  bound   %.4g MFLOP would take %.4g ms, %.0f%% of the fastest run; %.4g MB would "
               "take %.4g ms, %.0f%%\n",
               r->cost.flops * 1e-6, flops * 1e3, share(flops, best), r->cost.bytes * 1e-6,
               bytes * 1e3, share(bytes, best));
    model_print("  ", &r->estimate);
    printf("  measured %.4g ms, %.2fx what was predicted\n", best * 1e3,
           best / r->estimate.seconds);
}

static void print_text(const Session *s, const Result *r)
{
    double t = r->spread.median, best = r->spread.fastest;
    printf("%s on %s, %u thread%s\n", hk_kernel_name(s->kernel), s->options->target,
           hk_exec_threads(s->exec), hk_exec_threads(s->exec) == 1 ? "" : "s");
    for (size_t i = 0; i < hk_exec_dim_count(s->exec); i++) {
        hk_dim dim = hk_exec_dim(s->exec, i);
        printf("%s%s = %lld", i ? ", " : "  ", dim.name, (long long)dim.value);
    }
    if (hk_exec_dim_count(s->exec)) putchar('\n');
    printf("  time    %.4g ms  (median of %zu; quartiles %.4g .. %.4g, fastest %.4g)\n", t * 1e3,
           r->spread.runs, r->spread.low * 1e3, r->spread.high * 1e3, r->spread.fastest * 1e3);
    if (r->by_device)
        printf("  launch  %.4g ms at least, with copies to and from the device\n", r->launch * 1e3);
    printf("  speed   %.4g GFLOP/s%s, %.4g GB/s\n", r->cost.flops / t * 1e-9,
           r->cost.exact ? "" : " (estimate)", r->cost.bytes / t * 1e-9);
    if (r->limits.flops > 0) {
        printf("  limits  %.4g GFLOP/s (%.0f%% reached), %.4g GB/s (%.0f%% reached)\n",
               r->limits.flops * 1e-9, share(r->cost.flops / best, r->limits.flops),
               r->bytes_limit * 1e-9, share(r->cost.bytes / best, r->bytes_limit));
        printf("  memory  copy %.4g GB/s, streaming copy %.4g GB/s, read %.4g GB/s\n",
               r->limits.copy * 1e-9, r->limits.stream * 1e-9, r->limits.read * 1e-9);
    }
    printf("  config  %s", r->config);
    if (r->estimated) print_explained(r);
    if (s->options->verify) verify_print(s, &r->verified);
}

static void print_json(const Session *s, const Result *r)
{
    double t = r->spread.median;
    json_t *dims = json_object();
    for (size_t i = 0; i < hk_exec_dim_count(s->exec); i++) {
        hk_dim dim = hk_exec_dim(s->exec, i);
        json_object_set_new(dims, dim.name, json_integer(dim.value));
    }
    char *config = must_format("%.*s", (int)strcspn(r->config, "\n"), r->config);
    json_t *all =
        json_pack("{s:s, s:s, s:i, s:o, s:f, s:f, s:f, s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:f, "
                  "s:f, s:f, s:f, s:s}",
                  "kernel", hk_kernel_name(s->kernel), "target", s->options->target, "threads",
                  (int)hk_exec_threads(s->exec), "dims", dims, "median_ms", t * 1e3, "low_ms",
                  r->spread.low * 1e3, "high_ms", r->spread.high * 1e3, "fastest_ms",
                  r->spread.fastest * 1e3, "runs", (int)r->spread.runs, "flops", r->cost.flops,
                  "bytes", r->cost.bytes, "gflops", r->cost.flops / t * 1e-9, "gbytes",
                  r->cost.bytes / t * 1e-9, "limit_gflops", r->limits.flops * 1e-9, "limit_gbytes",
                  r->bytes_limit * 1e-9, "copy_gbytes", r->limits.copy * 1e-9, "stream_gbytes",
                  r->limits.stream * 1e-9, "read_gbytes", r->limits.read * 1e-9, "config", config);
    if (r->by_device) json_object_set_new(all, "launch_ms", json_real(r->launch * 1e3));
    if (r->estimated) json_object_set_new(all, "model", model_json(&r->estimate));
    if (s->options->verify) json_object_set_new(all, "verify", verify_json(&r->verified));
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(all);
    free(config);
}

static int bench(Session *s)
{
    const Options *o = s->options;
    bool made_up = o->shapes.count || !o->inputs.count;
    int code = session_arguments(s);
    if (code == 0 && made_up) code = session_shapes(s);
    if (code == 0 && made_up) code = session_specialize(s, HK_STAGE_TILE, false);
    if (code == 0 && made_up) code = session_allocate(s, true);
    if (code == 0) code = session_specialize(s, HK_STAGE_RUN, true);
    if (code == 0) code = session_allocate(s, false);
    if (code != 0) return code;
    if (o->time_passes) print_time_passes(stderr, s->exec);
    if (o->compare_count) return compare_configs(s);
    Result result = {.cost = {.struct_size = sizeof result.cost}};
    hk_exec_cost(s->exec, &result.cost);
    result.estimate.struct_size = sizeof result.estimate;
    result.estimated = o->explain && hk_exec_estimate(s->exec, &result.estimate) == HK_OK;
    if (o->explain && !result.estimated)
        return usage_error("--explain: there is no model of --target=%s", o->target);
    Array *initial = NULL;
    code = inout_keep(s, &initial);
    if (code == 0) code = measure(s, &result);
    if (code == 0 && o->verify) {
        inout_restore(s, initial);
        code = verify_run(s, &result.verified);
    }
    inout_free(s, initial);
    if (code != 0) return code;
    result.bytes_limit = limit_of(s, &result);
    hk_text *config = NULL;
    hk_error *error;
    hk_status status = hk_exec_text(s->exec, HK_FORM_CONFIG, &config, &error);
    if (status != HK_OK) return report(o, status, error);
    result.config = hk_text_data(config);
    if (o->json)
        print_json(s, &result);
    else
        print_text(s, &result);
    hk_text_free(config);
    return o->verify ? result.verified.code : 0;
}

int command_bench(Options *options)
{
    Session session;
    int code = session_open(&session, options);
    if (code == 0) code = bench(&session);
    session_close(&session);
    return code;
}

// hk_exec_space: what may vary for a kernel instance, as JSON.
#include <string.h>

#include "runtime/internal.h"

typedef struct SpaceJob {
    Arena arena;
    const hk_exec *exec;
    Buf out;
} SpaceJob;

static const char *kind_of(const char *name, bool own)
{
    static const char *const kinds[][2] = {
        {"tile_", "tile"},        {"block_", "block of a reduction"},
        {"unroll_", "rows"},      {"vectors_", "vectors"},
        {"order_", "loop order"}, {"grid_", "order of units"},
        {"pack_", "packing"},     {"stream_", "streaming stores"},
        {"chunks", "units"},      {"prefetch_", "prefetching"},
        {"threads", "threads"},   {"swizzle", "order of units"},
        {"group", "work-items"},  {"lanes", "vectors"},
        {"buffers", "staging"},   {"unroll", "unrolling"},
        {"keep", "recomputing"},  {"dots", "instructions"},
        {"split_", "parts of a sum"},
    };
    for (size_t k = 0; !own && k < sizeof kinds / sizeof *kinds; k++)
        if (strncmp(name, kinds[k][0], strlen(kinds[k][0])) == 0) return kinds[k][1];
    return "tunable";
}

static void print_knob(Buf *out, const hk_tunable *knob, bool own, bool scheduled)
{
    buf_printf(out, "{\"name\": \"%s\", \"kind\": \"%s\", \"values\": [", knob->name,
               kind_of(knob->name, own));
    for (size_t k = 0; k < knob->choice_count; k++)
        buf_printf(out, "%s%lld", k ? ", " : "", (long long)knob->choices[k]);
    if (scheduled)
        buf_printf(out, "], \"default\": null}");
    else
        buf_printf(out, "], \"default\": %lld}", (long long)knob->initial);
}

static void print_rule(Buf *out, const SpaceRule *rule, double refused)
{
    buf_printf(out,
               "{\"name\": \"%s\", \"formula\": \"%.*s\", \"meaning\": \"%s\", "
               "\"refused\": %.6g}",
               space_rule_names[rule->kind], STR_ARG(rule->text), space_rule_meanings[rule->kind],
               refused);
}

static void print_space(void *self)
{
    SpaceJob *job = self;
    const hk_exec *exec = job->exec;
    const Space *space = exec->space;
    Buf *out = &job->out;
    out->arena = &job->arena;
    SpaceCount count = space_count(&job->arena, space);
    buf_printf(out, "{\"kernel\": \"%s\", \"threads\": %u, \"knobs\": [", exec->kernel->name,
               exec->threads);
    double tunables = 1;
    for (size_t k = 0; k < exec->knob_count; k++) {
        bool own = k >= space->knobs.count;
        if (own) tunables *= (double)exec->knobs[k].choice_count;
        if (k) buf_printf(out, ", ");
        print_knob(out, &exec->knobs[k], own, !own && space->knobs.data[k].scheduled);
    }
    buf_printf(out, "], \"rules\": [");
    for (uint32_t k = 0; k < space->rules.count; k++) {
        if (k) buf_printf(out, ", ");
        print_rule(out, &space->rules.data[k], count.refused[k]);
    }
    buf_printf(out, "], \"points\": {\"raw\": %.0f, \"legal\": %.0f, \"exact\": %s}}\n",
               count.raw * tunables, count.legal * tunables, count.exact ? "true" : "false");
}

hk_status hk_exec_space(const hk_exec *exec, hk_text **json, hk_error **error)
{
    if (error) *error = NULL;
    if (json) *json = NULL;
    if (!exec || !json || !exec->space)
        return fail_usage(error, "hk_exec_space: an argument is NULL, or the exec has no space");
    const Allocator *allocator = &exec->kernel->module->context->allocator;
    SpaceJob job = {.exec = exec};
    arena_init(&job.arena, allocator);
    hk_status status = guarded(&job.arena, print_space, &job)
                           ? text_new(allocator, buf_view(&job.out), json, error)
                           : fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    arena_free(&job.arena);
    return status;
}

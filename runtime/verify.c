// Verifying: a launch's outputs compared with those of the reference interpreter on copies.
//
// An element may differ by what its last rounding allows, and by what the kernel's own roundings
// can add up to, measured against the largest element of the output: |got - want| <= rtol * |want|
// + atol.
#include "runtime/verify.h"

#include <math.h>

#include "ir/eval.h"
#include "runtime/launch.h"
#include "runtime/order.h"

double epsilon_of(DType t)
{
    switch (t) {
    case DTYPE_F64: return 0x1p-52;
    case DTYPE_F32: return 0x1p-23;
    case DTYPE_F16: return 0x1p-10;
    case DTYPE_BF16: return 0x1p-7;
    case DTYPE_F8E4M3: return 0x1p-3;
    case DTYPE_F8E5M2: return 0x1p-2;
    case DTYPE_F4E2M1: return 0x1p-1;
    case DTYPE_NONE:
    case DTYPE_BOOL:
    case DTYPE_I32:
    case DTYPE_I64:
    case DTYPE_I8:
    case DTYPE_U8:
    case DTYPE_I16:
    case DTYPE_U16:
    case DTYPE_U32:
    case DTYPE_I4:
    case DTYPE_U4:
    case DTYPE_COUNT: break;
    }
    return 0;
}

Tolerance verify_tolerance(const Cost *cost, DType dtype, double largest,
                           const hk_verify_options *o)
{
    if (o->rtol > 0 || o->atol > 0) return (Tolerance){o->rtol, o->atol};
    if (!dtype_is_float(dtype)) return (Tolerance){0, cost->float_to_int ? 1 : 0};
    double arithmetic = epsilon_of(dtype == DTYPE_F64 && !cost->single ? DTYPE_F64 : DTYPE_F32);
    // Terms may be larger than what is made of their sum, as before tanh.
    double noise = arithmetic * (16 + 8 * sqrt(cost->reduction));
    for (int t = 0; t < DTYPE_COUNT; t++) {
        if (cost->rounds[t] && dtype_is_float((DType)t)) noise = fmax(noise, epsilon_of((DType)t));
    }
    if (cost->updates > 0) noise = fmax(noise, epsilon_of(dtype) * (2 + sqrt(cost->updates)));
    return (Tolerance){2 * epsilon_of(dtype) + 16 * arithmetic, noise * largest};
}

// ---- element access

// Of element `index`, which is the `at`th in row-major order.
static double element(const TensorView *v, bool compact, const int64_t *index, int64_t at)
{
    if (compact && v->dtype == DTYPE_F32) return (double)((const float *)v->data)[at];
    return scalar_to_double(dtype_info[v->dtype].arith,
                            storage_load(v->dtype, v->data, view_offset(v, index)));
}

TensorView view_copy(Arena *arena, const TensorView *from)
{
    TensorView to = *from;
    int64_t bytes = 0;
    compact_strides(from->dtype, from->rank, from->shape, to.strides);
    compact_bytes(from->dtype, from->rank, from->shape, &bytes);
    to.data = arena_alloc(arena, (size_t)bytes + 64);
    to.data += (64 - (uintptr_t)to.data % 64) % 64;
    to.low = 0;
    to.high = bytes;
    int64_t index[RANK_MAX] = {0};
    if (view_is_compact(from)) {
        memcpy(to.data, from->data, (size_t)bytes);
        return to;
    }
    if (view_is_empty(from)) return to;
    do {
        storage_store(to.dtype, to.data, view_offset(&to, index),
                      storage_load(from->dtype, from->data, view_offset(from, index)));
    } while (view_next(from, index));
    return to;
}

// ---- comparing

// Moves on to the next element that counts, the first one from at = -1. False behind the last one.
static bool next_element(const Comparison *c, int64_t count, int64_t *index, int64_t *at)
{
    int64_t next = *at + 1;
    if (c->written && next < count) { // few may be: what lies between is passed over at once
        const uint8_t *found = memchr(c->written + next, 1, (size_t)(count - next));
        next = found ? found - c->written : count;
    }
    if (next == *at + 1 && next > 0) {
        view_next(c->want, index);
    } else {
        int64_t rest = next;
        for (uint32_t p = c->want->rank; p-- > 0; rest /= c->want->shape[p])
            index[p] = rest % c->want->shape[p];
    }
    *at = next;
    return next < count;
}

static int64_t count_of(const TensorView *v)
{
    int64_t count = 1;
    for (uint32_t p = 0; p < v->rank; p++) count *= v->shape[p];
    return count;
}

double verify_largest(const Comparison *c)
{
    double largest = 0;
    int64_t index[RANK_MAX] = {0}, at = -1, count = count_of(c->want);
    bool compact = view_is_compact(c->want);
    if (count == 0) return 0;
    while (next_element(c, count, index, &at)) {
        double want = element(c->want, compact, index, at);
        if (isfinite(want)) largest = fmax(largest, fabs(want));
    }
    return largest;
}

static void note_worst(hk_verify_output *out, const Comparison *c, const int64_t *index, double got,
                       double want)
{
    out->worst_ndim = (int32_t)c->want->rank;
    memcpy(out->worst_index, index, sizeof(int64_t) * c->want->rank);
    out->worst_got = got;
    out->worst_want = want;
}

double verify_compare(const Comparison *c, Tolerance tolerance, double largest,
                      hk_verify_output *out)
{
    int64_t index[RANK_MAX] = {0}, at = -1, count = count_of(c->want);
    double worst = -1, share = 0;
    bool got_compact = view_is_compact(c->got), want_compact = view_is_compact(c->want);
    if (count == 0) return 0;
    while (next_element(c, count, index, &at)) {
        out->compared++;
        double got = element(c->got, got_compact, index, at),
               want = element(c->want, want_compact, index, at);
        bool same = got == want || (isnan(got) && isnan(want));
        double error = same ? 0 : isfinite(got) && isfinite(want) ? fabs(got - want) : INFINITY;
        double allowed = c->allowed ? (double)c->allowed[at]
                                    : tolerance.relative * (isfinite(want) ? fabs(want) : 0) +
                                          tolerance.absolute;
        if (error > 0) share = fmax(share, allowed > 0 ? error / allowed : INFINITY);
        if (error > out->error_max) out->error_max = error;
        bool wrong = error > allowed;
        // Shown: the first mismatch, else the largest error.
        bool shown = wrong ? out->mismatched == 0 : out->mismatched == 0 && error > worst;
        out->mismatched += wrong;
        if (!shown) continue;
        worst = error;
        out->tolerance = allowed;
        note_worst(out, c, index, got, want);
    }
    out->error_relative = largest > 0 ? out->error_max / largest : out->error_max;
    return share;
}

// ---- the call

typedef struct VerifyJob {
    Launch *launch;
    const hk_verify_options *options;
    bool any_tiles;
    hk_verify_result *result;
    hk_error **error;
    hk_status status;
    TensorView *originals, *outputs; // by slot
} VerifyJob;

static bool is_output(const hk_kernel *kernel, size_t slot)
{
    return kernel->params[slot].kind == HK_PARAM_OUT || kernel->params[slot].kind == HK_PARAM_INOUT;
}

static void save_outputs(void *self)
{
    VerifyJob *job = self;
    Launch *launch = job->launch;
    const hk_kernel *kernel = launch->exec->kernel;
    job->originals = arena_array(&launch->arena, TensorView, kernel->param_count + 1);
    job->outputs = arena_array(&launch->arena, TensorView, kernel->param_count + 1);
    for (size_t i = 0; i < kernel->param_count; i++) {
        if (!is_output(kernel, i) || !launch->slots[i].view.given) continue;
        job->outputs[i] = launch->slots[i].view;
        job->originals[i] = view_copy(&launch->arena, &launch->slots[i].view);
    }
}

static void compare_outputs(VerifyJob *job, const InterpResult *interp)
{
    Launch *launch = job->launch;
    const hk_exec *exec = launch->exec;
    Cost cost = cost_estimate(&launch->arena, exec->tile, launch->values);
    const bool *unordered = order_dependent(&launch->arena, exec->tile);
    hk_verify_result *result = job->result;
    result->tiles_total = interp->tiles_total;
    result->tiles_run = interp->tiles_run;
    for (uint32_t m = 1; m < exec->tile->mems.count; m++) {
        uint32_t slot = exec->slot_of_mem[m];
        if (slot == UINT32_MAX || !is_output(exec->kernel, slot) || result->output_count == 32)
            continue;
        hk_verify_output *out = &result->outputs[result->output_count++];
        *out = (hk_verify_output){.name = exec->kernel->params[slot].name,
                                  .order_dependent = unordered[m]};
        if (unordered[m]) continue;
        bool part = interp->tiles_run < interp->tiles_total && interp->written;
        Comparison c = {.got = &job->outputs[slot],
                        .want = &launch->slots[slot].view,
                        .written = part ? interp->written[m] : NULL};
        double largest = verify_largest(&c);
        verify_compare(&c, verify_tolerance(&cost, c.want->dtype, largest, job->options), largest,
                       out);
        if (out->mismatched == 0) continue;
        diag_add(&launch->diags, DIAG_MISMATCH, (Span){0},
                 "kernel %s: %lld of %lld elements of %s differ from the reference; at %s it is "
                 "%.9g, expected %.9g",
                 exec->kernel->name, (long long)out->mismatched, (long long)out->compared,
                 out->name, shape_text(&launch->arena, c.want->rank, out->worst_index),
                 out->worst_got, out->worst_want);
    }
}

// Whether the kernel may compute something else with other tiles.
static bool sees_tiles(const Func *f)
{
    for (uint32_t k = 1; k < f->insts.count; k++)
        if (f->insts.data[k].op == OP_TILEINFO) return true;
    return false;
}

static void verify(void *self)
{
    VerifyJob *job = self;
    bool own_tiles = !job->any_tiles || sees_tiles(job->launch->exec->tile);
    Launch *launch = job->launch;
    const hk_kernel *kernel = launch->exec->kernel;
    for (size_t i = 0; i < kernel->param_count; i++) {
        if (job->originals[i].given) launch->slots[i].view = job->originals[i];
    }
    InterpOptions options = {.config = own_tiles ? launch->exec->config : NULL,
                             .seconds_max = job->options->seconds_max,
                             .sample_seed = job->options->seed};
    InterpResult interp = {0};
    job->status = launch_run(launch, &options, &interp, job->error);
    if (job->status == HK_OK) compare_outputs(job, &interp);
}

static hk_status run_and_compare(VerifyJob *job, hk_error **error)
{
    Launch *launch = job->launch;
    const Allocator *allocator = &launch->arena.allocator;
    if (!guarded(&launch->arena, save_outputs, job))
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    hk_status status = launch_run(launch, NULL, NULL, error);
    if (status != HK_OK) return status;
    if (!guarded(&launch->arena, verify, job))
        return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    if (job->status != HK_OK) return job->status;
    return launch->diags.error_count
               ? fail_with(allocator, error, HK_ERROR_MISMATCH, &launch->diags)
               : HK_OK;
}

hk_status verify_exec(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                      const hk_verify_options *options, bool any_tiles, hk_verify_result *result,
                      hk_error **error)
{
    *result = (hk_verify_result){.struct_size = sizeof *result};
    hk_status status = args_want_host(exec->kernel, args, arg_count, "hk_exec_verify", error);
    if (status != HK_OK) return status;
    Launch launch;
    status = launch_open(&launch, exec, args, arg_count, error);
    VerifyJob job = {.launch = &launch,
                     .options = options,
                     .any_tiles = any_tiles,
                     .result = result,
                     .error = error};
    if (status == HK_OK) status = run_and_compare(&job, error);
    launch_close(&launch);
    return status;
}

hk_status hk_exec_verify(const hk_exec *exec, const hk_arg *args, size_t arg_count,
                         const hk_verify_options *options, hk_verify_result *result,
                         hk_error **error)
{
    if (error) *error = NULL;
    hk_verify_options zero = {.struct_size = sizeof zero};
    if (!options) options = &zero;
    if (!exec || (!args && arg_count) || !result)
        return fail_usage(error, "hk_exec_verify: an argument is NULL");
    if (options->struct_size != sizeof *options || result->struct_size != sizeof *result) {
        return fail_usage(error, "hk_exec_verify: wrong struct_size");
    }
    return verify_exec(exec, args, arg_count, options, false, result, error);
}

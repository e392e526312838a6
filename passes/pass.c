// The driver: the table of passes, their order, and what is done around each of them.
#include "passes/pass.h"

#include "ir/base/clock.h"

const PassInfo pass_info[PASS_COUNT] = {
#define PASS(id, level, required, purpose) [PASS_##id] = {#id, purpose, level, required, pass_##id},
#include "passes/passes.def"
};

const PassId passes_check[] = {PASS_block_rule, PASS_bounds, PASS_races};
const uint32_t passes_check_count = sizeof passes_check / sizeof *passes_check;

const PassId passes_axes[] = {PASS_window, PASS_tally};
const uint32_t passes_axes_count = sizeof passes_axes / sizeof *passes_axes;

const PassId passes_tile[] = {PASS_expand, PASS_simplify, PASS_contract, PASS_cse, PASS_dce,
                              PASS_split,  PASS_block,    PASS_simplify, PASS_cse, PASS_dce};
const uint32_t passes_tile_count = sizeof passes_tile / sizeof *passes_tile;

const PassId passes_loop[] = {PASS_simplify, PASS_align,  PASS_cse,      PASS_consecutive,
                              PASS_pairs,    PASS_licm,   PASS_prefetch, PASS_stream,
                              PASS_align,    PASS_inside, PASS_dce};
const uint32_t passes_loop_count = sizeof passes_loop / sizeof *passes_loop;

typedef struct Order {
    PassId before, after;
    const char *why;
} Order;

static const Order orders[] = {
#define BEFORE(a, b, why) {PASS_##a, PASS_##b, why},
#include "passes/order.def"
};

bool pass_find(Str name, PassId *id)
{
    for (unsigned i = 0; i < PASS_COUNT; i++) {
        if (!str_is(name, pass_info[i].name)) continue;
        *id = (PassId)i;
        return true;
    }
    return false;
}

static bool order_holds(const Order *order, const PassId *ids, uint32_t count)
{
    bool late = false;
    for (uint32_t i = 0; i < count; i++) {
        if (ids[i] == order->before && late) return false;
        late = late || ids[i] == order->after;
    }
    return true;
}

static bool orders_hold(const PassId *ids, uint32_t count, const PassContext *context)
{
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
        if (order_holds(&orders[k], ids, count)) continue;
        diag_add(context->diags, DIAG_PASS_ORDER, (Span){0},
                 "the pass '%s' must run before '%s': %s", pass_info[orders[k].before].name,
                 pass_info[orders[k].after].name, orders[k].why);
        return false;
    }
    return true;
}

static void dump(const Func *f, PassId id, bool changed, const PassContext *context)
{
    const char *name = pass_info[id].name;
    bool wanted = context->dump_to && (str_is(context->dump, "all") || str_is(context->dump, name));
    if (!wanted) return;
    buf_printf(context->dump_to, "// after %s%s\n", name, changed ? "" : " (unchanged)");
    if (changed) func_print(context->dump_to, f);
}

static bool verify(const Func *f, PassId id, const PassContext *context)
{
    if (!context->verify || func_verify(f, context->diags)) return true;
    Diag *diag =
        diag_add(context->diags, DIAG_INTERNAL, (Span){0}, "the pass '%s' left broken IR in @%.*s",
                 pass_info[id].name, STR_ARG(f->name));
    diag_hint(context->diags, diag,
              "please report this with the kernel; --dump=all shows the IR after each pass");
    return false;
}

// Checks are independent of each other: all of them speak before the first error ends the run.
static bool is_check(PassId id)
{
    for (uint32_t i = 0; i < passes_check_count; i++)
        if (passes_check[i] == id) return true;
    return false;
}

// False if the pass broke the IR.
static bool run_one(Func *f, PassId id, const PassContext *context)
{
    const PassInfo *info = &pass_info[id];
    double start = clock_ms();
    bool changed = info->run(f, context);
    if (context->time_ms) context->time_ms[id] += clock_ms() - start;
    dump(f, id, changed, context);
    return verify(f, id, context);
}

bool passes_run(Func *f, const PassId *ids, uint32_t count, const PassContext *context)
{
    if (!orders_hold(ids, count, context)) return false;
    uint32_t errors = context->diags->error_count;
    for (uint32_t i = 0; i < count; i++) {
        const PassInfo *info = &pass_info[ids[i]];
        bool disabled = !info->required && (context->disabled >> ids[i] & 1);
        if (disabled || !(info->level & f->level)) continue;
        bool failed = context->diags->error_count > errors;
        if ((failed && !is_check(ids[i])) || !run_one(f, ids[i], context)) return false;
        if (str_is(context->stop_after, info->name)) break;
    }
    return context->diags->error_count == errors;
}

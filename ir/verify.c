// The laws of docs/ir.md about regions, scopes and the order of a function; one function per law.
#include "ir/verify.h"

#include "ir/text.h"

enum { DEPTH_MAX = 300 };

bool verify_fail(Verifier *v, InstId id, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Str message = str_vformat(v->diags->arena, format, args);
    va_end(args);
    Buf text = {.arena = v->diags->arena};
    if (id.i) print_inst(&text, v->f, v->numbers, id);
    v->broken = true;
    diag_add(v->diags, DIAG_IR_INVALID, (Span){0}, "@%.*s: %.*s%s%.*s", STR_ARG(v->f->name),
             STR_ARG(message), id.i ? ": " : "", STR_ARG(buf_view(&text)));
    return false;
}

// ---- laws

static bool law_defined_before_use(Verifier *v, InstId id)
{
    const Inst *in = inst_at(v->f, id);
    for_each_arg(v->f, in, k, a) {
        if (!a.i || a.i >= v->f->values.count)
            return verify_fail(v, id, "operand %u is no value", k);
        if (!v->visible[a.i]) return verify_fail(v, id, "operand %u is not defined here", k);
    }
    return true;
}

static bool law_results_are_its_own(Verifier *v, InstId id)
{
    const Inst *in = inst_at(v->f, id);
    for (unsigned k = 0; k < in->result_count; k++) {
        const ValueInfo *value = value_at(v->f, inst_result(in, k));
        if (value->def.i != id.i || value->index != k)
            return verify_fail(v, id, "result %u belongs elsewhere", k);
        if (value->type.axes & ~v->declared) {
            return verify_fail(v, id, "result %u varies over an axis that is not declared here", k);
        }
    }
    return true;
}

// A `repeat` has its `again`, and what it repeats is nested.
static bool law_repeats(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    int depth = 0;
    for (InstId at = id; at.i;) {
        const Inst *x = inst_at(f, at);
        depth += x->op == OP_REPEAT ? 1 : x->op == OP_AGAIN ? -1 : 0;
        if (depth == 0)
            return (x->attr.ref == in->attr.ref && at.i != id.i) ||
                   verify_fail(v, id, "repeats do not nest");
        at = in->op == OP_REPEAT ? x->next : x->prev;
    }
    return verify_fail(v, id, "a repeat without its other end");
}

// The prologue, then the phases; phases and the prologue's instructions nowhere else.
static bool law_order(Verifier *v, InstId id, bool is_body, bool *phases_begun)
{
    const Inst *in = inst_at(v->f, id);
    bool declares = in->op == OP_TENSOR || in->op == OP_SCRATCH || in->op == OP_REQUIRE ||
                    in->op == OP_REFINE || (in->op == OP_ARG && in->arg_count > 0);
    bool repeats = in->op == OP_REPEAT || in->op == OP_AGAIN;
    if ((in->op == OP_PHASE || repeats) && !is_body)
        return verify_fail(v, id, "a phase stands at the top level only");
    if (declares && !is_body) return verify_fail(v, id, "stands in the prologue only");
    if (!is_body) return true;
    if (in->op == OP_PHASE) {
        *phases_begun = true;
        return true;
    }
    if (repeats) return law_repeats(v, id);
    if (*phases_begun) return verify_fail(v, id, "only phases may follow a phase");
    bool scalar =
        (op_info[in->op].traits & TRAIT_PURE) && in->op != OP_INDEX && in->op != OP_TILEINFO;
    if (!declares && !scalar) return verify_fail(v, id, "not allowed in the prologue");
    for (unsigned k = 0; k < in->result_count; k++) {
        Type type = value_type(v->f, inst_result(in, k));
        if (type.axes || type.lanes)
            return verify_fail(v, id, "the prologue computes scalars only");
    }
    return true;
}

static bool law_yield_ends(Verifier *v, InstId id)
{
    const Inst *in = inst_at(v->f, id);
    return in->op != OP_YIELD || !in->next.i || verify_fail(v, id, "a yield ends its region");
}

// A value fits a result that varies at least over its axes.
static bool fits(Type type, Type result)
{
    return type.dtype == result.dtype && type.lanes == result.lanes && !(type.axes & ~result.axes);
}

// A while goes on by a last value more. A region of an instruction with results ends in a yield of
// as many values of their types.
static bool law_region_yields(Verifier *v, InstId id, Region r)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    InstId last = region_at(f, r)->last;
    const Inst *end = last.i && inst_at(f, last)->op == OP_YIELD ? inst_at(f, last) : NULL;
    unsigned count = end ? end->arg_count : 0;
    if (count != inst_yield_count(in)) {
        return verify_fail(v, id, "%u results, but its region yields %u values", in->result_count,
                           count);
    }
    if (in->flags & INST_WHILE) {
        Value go = inst_arg(f, end, count - 1);
        if (!go.i || go.i >= f->values.count) return false; // reported at the yield
        if (!fits(value_type(f, go), type_scalar(DTYPE_BOOL)))
            return verify_fail(v, id, "whether it goes on is no scalar bool");
    }
    for (unsigned k = 0; k < in->result_count; k++) {
        Value given = inst_arg(f, end, k);
        if (!given.i || given.i >= f->values.count) return false; // reported at the yield
        if (!fits(value_type(f, given), value_type(f, inst_result(in, k)))) {
            return verify_fail(v, id, "yielded value %u does not have the type of the result", k);
        }
    }
    return true;
}

// Index arguments come first (a phase's unit, a for's index), then the carried values like the
// results.
static bool law_region_args(Verifier *v, InstId id, Region r)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    bool has_index = in->op == OP_FOR || (in->op == OP_PHASE && f->level == LEVEL_LOOP);
    bool carries = in->op == OP_FOR || in->op == OP_LOOP;
    uint32_t expected = (has_index ? 1u : 0u) + (carries ? in->result_count : 0u);
    if (region_at(f, r)->arg_count != expected) {
        return verify_fail(v, id, "its region has %u arguments instead of %u",
                           region_at(f, r)->arg_count, expected);
    }
    for (uint32_t k = 0; k < expected; k++) {
        Type type = value_type(f, region_arg(f, r, k));
        bool is_index = has_index && k == 0;
        Type want = is_index ? type_scalar(DTYPE_I64)
                             : value_type(f, inst_result(in, k - (has_index ? 1u : 0u)));
        if (!type_equal(type, want))
            return verify_fail(v, id, "region argument %u has another type", k);
    }
    return true;
}

static bool law_carried_start(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    if (in->op != OP_FOR && in->op != OP_LOOP) return true;
    for (unsigned k = 0; k < in->result_count; k++) {
        if (!fits(value_type(f, inst_arg(f, in, k + 3)), value_type(f, inst_result(in, k)))) {
            return verify_fail(v, id, "initial value %u does not have the type of the result", k);
        }
    }
    return true;
}

static bool law_axis_declared_once(Verifier *v, InstId id)
{
    const Func *f = v->f;
    const Inst *in = inst_at(f, id);
    Axis axis = {in->attr.ref};
    AxisKind kind = in->op == OP_GRID ? AXIS_GRID : in->op == OP_LOOP ? AXIS_LOOP : AXIS_WHOLE;
    if (axis_at(f, axis)->decl.i != id.i)
        return verify_fail(v, id, "the axis is declared by another instruction");
    if (axis_at(f, axis)->kind != kind) return verify_fail(v, id, "the axis is of another kind");
    if (v->declared & axis_bit(axis)) return verify_fail(v, id, "the axis is in scope already");
    return true;
}

static bool region_has_grid(const Func *f, Region r, unsigned depth)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_GRID) return true;
        if (in->op != OP_IF || depth == 0) continue;
        for (unsigned k = 0; k < in->region_count; k++) {
            if (region_has_grid(f, inst_region(in, k), depth - 1)) return true;
        }
    }
    return false;
}

// Between two grids nothing may happen that a tile of the inner one would see more than once.
static bool law_grids_nest(Verifier *v, Region r)
{
    const Func *f = v->f;
    if (!region_has_grid(f, r, DEPTH_MAX)) return true;
    bool seen = false;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        bool nest = in->op == OP_GRID || in->op == OP_IF;
        if (nest && seen) return verify_fail(v, id, "a second nest beside a grid");
        if (nest && in->result_count) return verify_fail(v, id, "results beside a grid");
        if (in->op == OP_LOOP || (op_info[in->op].traits & TRAIT_WRITES)) {
            return verify_fail(v, id, "not allowed between grids");
        }
        seen = seen || nest;
    }
    return true;
}

static bool law_grid_place(Verifier *v, InstId id)
{
    const Func *f = v->f;
    if (inst_at(f, id)->op != OP_GRID) return true;
    InstId owner = region_at(f, inst_at(f, id)->parent)->owner;
    unsigned op = owner.i ? inst_at(f, owner)->op : OP_NONE;
    bool ok = op == OP_PHASE || op == OP_GRID || op == OP_IF;
    return ok || verify_fail(v, id, "a grid stands in a phase or a grid only");
}

// ---- the walk

static bool verify_region(Verifier *v, Region r, InstId owner, unsigned depth);

static void show(Verifier *v, uint32_t first, uint32_t count, bool visible)
{
    for (uint32_t k = 0; k < count; k++) {
        if (first + k < v->f->values.count) v->visible[first + k] = visible;
    }
}

// Regions and what they mean; the axis of a grid or loop exists inside only.
static void verify_nested(Verifier *v, InstId id, unsigned depth)
{
    const Inst *in = inst_at(v->f, id);
    AxisSet outside = v->declared;
    if (in->op == OP_GRID || in->op == OP_LOOP) {
        law_axis_declared_once(v, id);
        v->declared |= axis_bit((Axis){in->attr.ref});
    }
    for (unsigned k = 0; k < in->region_count; k++) {
        Region r = inst_region(in, k);
        if (in->op == OP_COMBINE) {
            if (verify_combine_region(v, id)) verify_region(v, r, id, depth + 1);
            continue;
        }
        if (law_region_args(v, id, r) && verify_region(v, r, id, depth + 1))
            law_region_yields(v, id, r);
    }
    v->declared = outside;
    law_carried_start(v, id);
}

static void verify_inst(Verifier *v, InstId id, unsigned depth)
{
    const Inst *in = inst_at(v->f, id);
    if (!verify_shape(v, id) || !law_defined_before_use(v, id)) return;
    law_yield_ends(v, id);
    law_grid_place(v, id);
    if (!law_results_are_its_own(v, id) || !verify_types(v, id)) return;
    if (in->op == OP_AXIS && law_axis_declared_once(v, id))
        v->declared |= axis_bit((Axis){in->attr.ref});
    verify_nested(v, id, depth);
}

static bool verify_region(Verifier *v, Region r, InstId owner, unsigned depth)
{
    const Func *f = v->f;
    const RegionInfo *region = region_at(f, r);
    AxisSet outside = v->declared;
    bool phases_begun = false;
    if (depth > DEPTH_MAX) return verify_fail(v, owner, "regions nest too deep");
    if (region->owner.i != owner.i)
        return verify_fail(v, owner, "the region belongs to another instruction");
    show(v, region->args, region->arg_count, true);
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_NONE || in->op >= OP_COUNT) return verify_fail(v, id, "is no operation");
        if (in->parent.i != r.i)
            return verify_fail(v, id, "stands in a list that is not its parent's");
        if (in->flags & INST_DEAD) return verify_fail(v, id, "is dead but linked");
        law_order(v, id, !owner.i, &phases_begun);
        verify_inst(v, id, depth);
        show(v, in->results, in->result_count, true);
    }
    law_grids_nest(v, r);
    for_each_inst(f, r, id) show(v, inst_at(f, id)->results, inst_at(f, id)->result_count, false);
    show(v, region->args, region->arg_count, false);
    v->declared = outside;
    return true;
}

static void law_declarations(Verifier *v)
{
    const Func *f = v->f;
    for (uint32_t i = 0; i < f->dims.count; i++) {
        const DimInfo *dim = &f->dims.data[i];
        bool ok = dim->mem.i < f->mems.count && dim->scale >= 0 && (dim->scale || dim->mem.i) &&
                  (!dim->mem.i || dim->position < f->mems.data[dim->mem.i].rank);
        if (!ok)
            verify_fail(v, (InstId){0}, "dimension %.*s is bound to nothing", STR_ARG(dim->name));
    }
    for (uint32_t i = 1; i < f->mems.count; i++) {
        const MemInfo *mem = &f->mems.data[i];
        if (mem->rank > RANK_MAX)
            verify_fail(v, (InstId){0}, "memory %.*s has too many dimensions", STR_ARG(mem->name));
        if (mem->kind == MEM_SCRATCH && f->level == LEVEL_TILE) {
            verify_fail(v, (InstId){0}, "Tile IR has no scratch memory %.*s", STR_ARG(mem->name));
        }
    }
    for (uint32_t i = 0; i < f->sites.count; i++) {
        const SiteInfo *site = &f->sites.data[i];
        bool ok = site->mem.i < f->mems.count &&
                  (!site->mem.i || site->position < f->mems.data[site->mem.i].rank);
        if (!ok) verify_fail(v, (InstId){0}, "site %u names no dimension", i);
    }
}

bool func_verify(const Func *f, DiagList *diags)
{
    Verifier v = {.f = f,
                  .diags = diags,
                  .numbers = func_number_values(diags->arena, f),
                  .visible = arena_array(diags->arena, bool, f->values.count)};
    law_declarations(&v);
    verify_region(&v, f->body, (InstId){0}, 0);
    if (region_at(f, f->body)->arg_count)
        verify_fail(&v, (InstId){0}, "the body takes no arguments");
    return !v.broken;
}

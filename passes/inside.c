// Where no edge is near: a copy of a loop's body without the masks of windows that begin or end
// outside of a tensor, and the test that nothing in it is outside.
//
//   n { k (0, 3) { load x (n + k - 1, mask 0 <= n + k - 1 < N) } }   ->
//   n { if (0 <= n - 1 and n + 15 + 1 < N) { k { load x (n + k - 1) } } else { .. as it was .. } }
//
// For units and loops without results that hold only loops with results: windows, and sums over
// them. What the lanes and those loops add to an index is an interval (reach.h), so the test takes
// scalars.
#include "passes/pass.h"
#include "passes/reach.h"

enum { NEEDS_MOST = 24, COPIED_MOST = 3000 };

typedef struct Need { // x + more < y, or x + more <= y; a base of 0 is none
    Op op;
    Value x, y;
    int64_t more;
} Need;

typedef struct Inside {
    Func *f;
    Region body;
    Need needs[NEEDS_MOST];
    unsigned need_count;
    bool *met;        // [Value.i] comparisons that hold if all needs do
    bool *depends;    // [Value.i] on these alone or with others, by `and`
    bool *stays;      // [Value.i] scalars of the body that its index gives: before the test
    Value *copies;    // [Value.i] in the copy; 0: the same
    uint32_t values;  // of which there are met, depends, copies
    unsigned copied;  // instructions that a copy would have
    bool pays, fails; // a load loses its mask; something cannot be copied
} Inside;

// ---- what must hold

static bool is_at_hand(const Inside *s, Value v)
{
    if (!v.i || s->stays[v.i]) return true;
    if (value_type(s->f, v).lanes) return false;
    return value_at(s->f, v)->region.i == s->body.i || !value_inside(s->f, v, s->body);
}

static bool add_need(Inside *s, Need need)
{
    for (unsigned k = 0; k < s->need_count; k++) {
        Need *other = &s->needs[k];
        if (other->op != need.op || other->x.i != need.x.i || other->y.i != need.y.i) continue;
        if (other->more < need.more) other->more = need.more;
        return true;
    }
    if (s->need_count == NEEDS_MOST) return false;
    s->needs[s->need_count++] = need;
    return true;
}

// Whether some test of scalars tells that x and y compare so in all lanes and turns.
static bool can_tell(Inside *s, Op op, Value x, Value y)
{
    const Inst *most = value_def(s->f, x), *least = value_def(s->f, y);
    if (least && least->op == OP_MIN)
        return can_tell(s, op, x, inst_arg(s->f, least, 0)) &&
               can_tell(s, op, x, inst_arg(s->f, least, 1));
    if (most && most->op == OP_MAX)
        return can_tell(s, op, inst_arg(s->f, most, 0), y) &&
               can_tell(s, op, inst_arg(s->f, most, 1), y);
    Reach a = reach_of(s->f, x, s->body, REACH_ALL_LANES);
    Reach b = reach_of(s->f, y, s->body, REACH_ALL_LANES);
    if (a.base.i == b.base.i) // then nothing depends on where the body is
        return a.hi + (op == OP_LT) <= b.lo && (!a.base.i || reach_is_place(s->f, a.base));
    return is_at_hand(s, a.base) && is_at_hand(s, b.base) &&
           add_need(s, (Need){op, a.base, b.base, a.hi - b.lo});
}

static bool stays(const Inside *s, const Inst *in)
{
    if (!(op_info[in->op].traits & TRAIT_PURE) || in->parent.i != s->body.i ||
        in->result_count != 1 || in->region_count)
        return false;
    Type type = value_type(s->f, inst_result(in, 0));
    if (type.lanes || type.dtype == DTYPE_BOOL) return false;
    for_each_arg(s->f, in, k, v)
        if (!is_at_hand(s, v)) return false;
    return true;
}

static void look_at(Inside *s, const Inst *in)
{
    const Func *f = s->f;
    if ((in->op == OP_LT || in->op == OP_LE) && value_dtype(f, inst_arg(f, in, 0)) == DTYPE_I64) {
        unsigned before = s->need_count;
        Need kept[NEEDS_MOST];
        for (unsigned k = 0; k < before; k++) kept[k] = s->needs[k];
        bool told = can_tell(s, (Op)in->op, inst_arg(f, in, 0), inst_arg(f, in, 1));
        s->met[inst_result(in, 0).i] = s->depends[inst_result(in, 0).i] = told;
        for (unsigned k = 0; !told && k < before; k++) s->needs[k] = kept[k];
        if (!told) s->need_count = before;
    } else if (in->op == OP_AND || in->op == OP_SPLAT) {
        for_each_arg(f, in, k, v) s->depends[inst_result(in, 0).i] |= s->depends[v.i];
    } else if (in->op == OP_LOAD || in->op == OP_GATHER) {
        Value mask = inst_mask(f, in);
        s->pays |= mask.i && s->depends[mask.i];
    }
}

static void look_in(Inside *s, Region r)
{
    for_each_inst(s->f, r, id) {
        const Inst *in = inst_at(s->f, id);
        s->fails |= in->op == OP_FOR && !in->result_count;
        s->copied++;
        if (stays(s, in)) s->stays[inst_result(in, 0).i] = true;
        look_at(s, in);
        for (unsigned k = 0; k < in->region_count; k++) look_in(s, inst_region(in, k));
    }
}

// ---- the change

static Value copy_of(const Inside *s, Value v)
{
    return v.i < s->values && s->copies[v.i].i ? s->copies[v.i] : v;
}

static void copy_region(Inside *s, Region from, Region to);

static void copy_inst(Inside *s, InstId id, Region to)
{
    Func *f = s->f;
    const Inst in = *inst_at(f, id);
    Value *args = arena_array(f->arena, Value, in.arg_count + 1u);
    Type *types = arena_array(f->arena, Type, in.result_count + 1u);
    Region *regions = arena_array(f->arena, Region, in.region_count + 1u);
    for (unsigned k = 0; k < in.arg_count; k++) args[k] = copy_of(s, inst_arg(f, &in, k));
    for (unsigned k = 0; k < in.result_count; k++) types[k] = value_type(f, inst_result(&in, k));
    for (unsigned k = 0; k < in.region_count; k++) regions[k] = func_region(f);
    for (unsigned k = 0; k < in.region_count; k++) {
        Region own = inst_region(&in, k);
        for (unsigned a = 0; a < region_at(f, own)->arg_count; a++) {
            Value arg = region_arg(f, own, a);
            s->copies[arg.i] = region_add_arg(f, regions[k], value_type(f, arg));
        }
    }
    for (unsigned k = 0; k < in.region_count; k++) copy_region(s, inst_region(&in, k), regions[k]);
    Builder b = {.f = f, .region = to, .span = in.span};
    InstId copy = build_inst(&b, (Op)in.op,
                             (BuildSpec){.args = args,
                                         .arg_count = in.arg_count,
                                         .results = types,
                                         .result_count = in.result_count,
                                         .regions = regions,
                                         .region_count = in.region_count,
                                         .attr = in.attr,
                                         .flags = in.flags});
    for (unsigned k = 0; k < in.result_count; k++)
        s->copies[inst_result(&in, k).i] = inst_result(inst_at(f, copy), k);
}

static void copy_region(Inside *s, Region from, Region to)
{
    for (InstId id = region_at(s->f, from)->first; id.i; id = inst_at(s->f, id)->next) {
        const Inst *in = inst_at(s->f, id);
        Value result = in->result_count ? inst_result(in, 0) : (Value){0};
        if (result.i && s->stays[result.i]) continue;
        if (result.i && s->met[result.i]) {
            Builder b = {.f = s->f, .region = to, .span = in->span};
            s->copies[result.i] = build_bits(&b, value_type(s->f, result), 1);
        } else {
            copy_inst(s, id, to);
        }
    }
}

static Value test_of(Builder *b, const Need *need)
{
    Value more = build_i64(b, need->more), zero = build_i64(b, 0);
    Value x = need->x.i ? build_op2(b, OP_ADD, need->x, more) : more;
    return build_op2(b, need->op, x, need->y.i ? need->y : zero);
}

static void branch(Inside *s, Span span)
{
    Func *f = s->f;
    InstId last = region_at(f, s->body)->last; // a phase has no `yield`
    InstId end = inst_at(f, last)->op == OP_YIELD ? last : (InstId){0};
    Region arms[2] = {func_region(f), func_region(f)};
    copy_region(s, s->body, arms[0]);
    for (InstId id = region_at(f, s->body)->first, next; id.i != end.i; id = next) {
        const Inst *in = inst_at(f, id);
        next = in->next;
        if (!in->result_count || !s->stays[inst_result(in, 0).i])
            inst_move(f, id, arms[1], (InstId){0});
    }
    Builder b = {.f = f, .region = s->body, .before = end, .span = span};
    Value inside = {0};
    for (unsigned k = 0; k < s->need_count; k++) {
        Value test = test_of(&b, &s->needs[k]);
        inside = inside.i ? build_op2(&b, OP_AND, inside, test) : test;
    }
    build_inst(&b, OP_IF,
               (BuildSpec){.args = &inside, .arg_count = 1, .regions = arms, .region_count = 2});
    for (unsigned k = end.i ? 1 : 0; k < 2; k++) { // the copy has the loop's
        b = (Builder){.f = f, .region = arms[k], .span = span};
        build_inst(&b, OP_YIELD, (BuildSpec){0});
    }
}

static bool branch_in(Func *f, const PassContext *context, InstId loop)
{
    uint32_t values = f->values.count;
    Inside s = {.f = f,
                .body = inst_region(inst_at(f, loop), 0),
                .met = arena_array(context->arena, bool, values),
                .depends = arena_array(context->arena, bool, values),
                .stays = arena_array(context->arena, bool, values),
                .copies = arena_array(context->arena, Value, values),
                .values = values};
    look_in(&s, s.body);
    if (s.fails || !s.pays || !s.need_count || s.copied > COPIED_MOST) return false;
    branch(&s, inst_at(f, loop)->span);
    return true;
}

static bool walk(Func *f, const PassContext *context, Region r)
{
    bool changed = false;
    for (InstId id = region_at(f, r)->first, next; id.i; id = next) {
        next = inst_at(f, id)->next;
        for (unsigned k = 0; k < inst_at(f, id)->region_count; k++)
            changed |= walk(f, context, inst_region(inst_at(f, id), k));
        const Inst *in = inst_at(f, id);
        bool shared = in->op == OP_PHASE || (in->op == OP_FOR && !in->result_count);
        if (shared) changed |= branch_in(f, context, id);
    }
    return changed;
}

bool pass_inside(Func *f, const PassContext *context)
{
    if (!walk(f, context, f->body)) return false;
    pass_simplify(f, context);
    pass_cse(f, context);
    return true;
}

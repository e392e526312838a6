// Folds constants and identities, drops masks that are always true, and opens up conditions and
// loops whose course is known.
//
//   %3 = add (%1, %2)   with %2 = const 0        uses of %3 become uses of %1
//   if (%true) { A } else { B }                  A
//   for serial (0, 1, 1) { A }                   A, the index being 0
//
// One walk in order suffices, for uses come after definitions.
#include "ir/eval.h"
#include "ir/fold.h"
#include "passes/pass.h"
#include "passes/reach.h"

typedef struct Simplifier {
    Func *f;
    VEC(Value) replaced; // by Value.i; 0: stays
    bool changed;
} Simplifier;

static Value current(const Simplifier *s, Value v)
{
    while (v.i < s->replaced.count && s->replaced.data[v.i].i) v = s->replaced.data[v.i];
    return v;
}

static void replace(Simplifier *s, Value v, Value by)
{
    while (s->replaced.count <= v.i) vec_push(s->f->arena, &s->replaced, (Value){0});
    s->replaced.data[v.i] = by;
    Str *name = &value_at(s->f, by)->name;
    if (!name->length) *name = value_at(s->f, v)->name;
    s->changed = true;
}

static void update_args(Simplifier *s, InstId id)
{
    const Inst *in = inst_at(s->f, id);
    for_each_arg(s->f, in, k, v) {
        Value now = current(s, v);
        if (now.i != v.i) func_set_arg(s->f, id, k, now);
    }
}

// ---- single instructions

static bool is_elementwise(unsigned op)
{
    return op >= OP_ADD && op <= OP_BITCAST;
}

// Constants stand on the right, where the identities expect them.
static void order_args(Simplifier *s, InstId id)
{
    const Inst *in = inst_at(s->f, id);
    uint64_t bits;
    if (!(op_info[in->op].traits & TRAIT_COMM) || in->arg_count != 2) return;
    Value a = inst_arg(s->f, in, 0), b = inst_arg(s->f, in, 1);
    if (!value_const(s->f, a, &bits) || value_const(s->f, b, &bits)) return;
    func_set_arg(s->f, id, 0, b);
    func_set_arg(s->f, id, 1, a);
    s->changed = true;
}

// Conversions whose attribute the folding of builders does not see.
static Value fold_attributed(Builder *b, const Inst *in, Type type)
{
    uint64_t bits, result;
    Value a = inst_arg(b->f, in, 0);
    if (!value_const(b->f, a, &bits)) return (Value){0};
    bool known = eval_op((Op)in->op, value_dtype(b->f, a), (DType)type.dtype, in->attr.kind, &bits,
                         1, &result);
    return known ? build_bits(b, type, result) : (Value){0};
}

// What is known of a comparison in all lanes and turns; -1: nothing.
static int known_order(const Func *f, Op op, Value x, Value y)
{
    if (value_dtype(f, x) != DTYPE_I64) return -1;
    Reach a = reach_of(f, x, (Region){0}, REACH_BY_LANE),
          b = reach_of(f, y, (Region){0}, REACH_BY_LANE);
    if (a.base.i != b.base.i || (a.base.i && !reach_is_place(f, a.base))) return -1;
    bool less = op == OP_LT, order = less || op == OP_LE;
    bool always = order ? a.hi + less <= b.lo : a.lo == a.hi && b.lo == b.hi && a.lo == b.lo;
    bool never = order ? a.lo + less > b.hi : a.hi < b.lo || b.hi < a.lo;
    if (op == OP_NE) return always ? 0 : never ? 1 : -1;
    return always ? 1 : never ? 0 : -1;
}

// i + 1 < i + 3: sums of one place and what is known compare as this does. Below the lesser of two
// values, one of which is known not to be met first, is below the other.
static Value fold_compare(Builder *b, const Inst *in)
{
    Func *f = b->f;
    Value x = inst_arg(f, in, 0), y = inst_arg(f, in, 1);
    int known = known_order(f, (Op)in->op, x, y);
    if (known >= 0) return build_bits(b, value_type(f, inst_result(in, 0)), (uint64_t)known);
    if (in->op != OP_LT && in->op != OP_LE) return (Value){0};
    const Inst *least = value_def(f, y), *most = value_def(f, x);
    for (unsigned k = 0; least && least->op == OP_MIN && k < 2; k++)
        if (known_order(f, (Op)in->op, x, inst_arg(f, least, k)) == 1)
            return build_op2(b, (Op)in->op, x, inst_arg(f, least, 1 - k));
    for (unsigned k = 0; most && most->op == OP_MAX && k < 2; k++)
        if (known_order(f, (Op)in->op, inst_arg(f, most, k), y) == 1)
            return build_op2(b, (Op)in->op, inst_arg(f, most, 1 - k), y);
    return (Value){0};
}

static bool is_compare(unsigned op)
{
    return op == OP_LT || op == OP_LE || op == OP_EQ || op == OP_NE;
}

static void fold_inst(Simplifier *s, InstId id)
{
    const Inst *in = inst_at(s->f, id);
    Value args[3], result = inst_result(in, 0), folded;
    Type type = value_type(s->f, result);
    Builder b = {.f = s->f, .region = in->parent, .before = id, .span = in->span};
    unsigned count = in->arg_count;
    for (unsigned k = 0; k < count; k++) args[k] = inst_arg(s->f, in, k);
    if (in->op == OP_CAST)
        folded = fold_cast(&b, args[0], (DType)type.dtype);
    else if (in->op == OP_QUANT || in->op == OP_NEAREST || in->op == OP_BITCAST)
        folded = fold_attributed(&b, in, type);
    else
        folded = fold_op(&b, (Op)in->op, args, count);
    if (!folded.i && s->f->level == LEVEL_LOOP && is_compare(in->op)) folded = fold_compare(&b, in);
    if (!folded.i || !type_equal(value_type(s->f, folded), type)) return;
    replace(s, result, folded);
    inst_unlink(s->f, id);
}

static void fold_splat(Simplifier *s, InstId id)
{
    uint64_t bits;
    const Inst *in = inst_at(s->f, id);
    Value result = inst_result(in, 0);
    if (!value_const(s->f, inst_arg(s->f, in, 0), &bits)) return;
    Builder b = {.f = s->f, .region = in->parent, .before = id, .span = in->span};
    replace(s, result, build_bits(&b, value_type(s->f, result), bits));
    inst_unlink(s->f, id);
}

// A mask that is true everywhere goes; what happens nowhere goes altogether, but for a fold: its
// target starts at the identity even if nothing is folded.
static void fold_mask(Simplifier *s, InstId id)
{
    Inst *in = inst_at(s->f, id);
    uint64_t bits;
    Value mask = inst_mask(s->f, in);
    if (!mask.i || !value_const(s->f, mask, &bits)) return;
    if (bits) {
        in->flags &= (uint8_t)~INST_MASKED;
        in->arg_count--;
        s->f->version++;
    } else if (in->result_count == 0 && in->op != OP_FOLD) {
        inst_unlink(s->f, id);
    } else {
        return;
    }
    s->changed = true;
}

static void fold_promise(Simplifier *s, InstId id)
{
    uint64_t bits;
    if (!value_const(s->f, inst_arg(s->f, inst_at(s->f, id), 0), &bits) || !bits) return;
    inst_unlink(s->f, id);
    s->changed = true;
}

// ---- regions

// Whether each of the values (operands of `from`, beginning at `first`) may stand for a result of
// `in`.
static bool can_stand_for_results(const Simplifier *s, const Inst *in, const Inst *from,
                                  unsigned first)
{
    for (unsigned k = 0; k < in->result_count; k++) {
        Type type = value_type(s->f, current(s, inst_arg(s->f, from, first + k)));
        if (!type_equal(type, value_type(s->f, inst_result(in, k)))) return false;
    }
    return true;
}

// Moves what the region holds before the instruction, whose results become what it yields.
static void open_region(Simplifier *s, InstId id, Region r)
{
    Func *f = s->f;
    for (InstId inner = region_at(f, r)->first, next; inner.i; inner = next) {
        next = inst_at(f, inner)->next;
        if (inst_at(f, inner)->op != OP_YIELD) {
            inst_move(f, inner, inst_at(f, id)->parent, id);
            continue;
        }
        const Inst *in = inst_at(f, id);
        for (unsigned k = 0; k < in->result_count; k++) {
            replace(s, inst_result(in, k), current(s, inst_arg(f, inst_at(f, inner), k)));
        }
    }
    inst_unlink(f, id);
    s->changed = true;
}

static bool open_if(Simplifier *s, InstId id)
{
    const Inst *in = inst_at(s->f, id);
    uint64_t bits;
    if (!value_const(s->f, inst_arg(s->f, in, 0), &bits)) return false;
    Region taken = inst_region(in, bits ? 0 : 1);
    InstId last = region_at(s->f, taken)->last;
    if (in->result_count && !can_stand_for_results(s, in, inst_at(s->f, last), 0)) return false;
    open_region(s, id, taken);
    return true;
}

// A loop that never runs gives its initial values; a `for` that runs once is its body.
static bool open_loop(Simplifier *s, InstId id)
{
    Func *f = s->f;
    const Inst *in = inst_at(f, id);
    int64_t lo, hi, step;
    bool known = value_const_int(f, inst_arg(f, in, 0), &lo) &&
                 value_const_int(f, inst_arg(f, in, 1), &hi) &&
                 value_const_int(f, inst_arg(f, in, 2), &step);
    if (!known) return false;
    if (lo >= hi) {
        if (!can_stand_for_results(s, in, in, 3)) return false;
        for (unsigned k = 0; k < in->result_count; k++)
            replace(s, inst_result(in, k), inst_arg(f, in, k + 3));
        inst_unlink(f, id);
        return s->changed = true;
    }
    bool once = in->op == OP_FOR && step > 0 && (uint64_t)hi - (uint64_t)lo <= (uint64_t)step;
    if (!once) return false;
    Region body = inst_region(in, 0);
    replace(s, region_arg(f, body, 0), inst_arg(f, in, 0));
    for (unsigned k = 0; k < in->result_count; k++)
        replace(s, region_arg(f, body, k + 1), inst_arg(f, in, k + 3));
    open_region(s, id, body);
    return true;
}

static void simplify_region(Simplifier *s, Region r);

// Returns what to look at next: what was opened stands before `next` and is visited first.
static InstId simplify_inst(Simplifier *s, InstId id)
{
    Func *f = s->f;
    update_args(s, id);
    InstId prev = inst_at(f, id)->prev;
    unsigned op = inst_at(f, id)->op;
    bool opened = op == OP_IF                     ? open_if(s, id)
                  : op == OP_LOOP || op == OP_FOR ? open_loop(s, id)
                                                  : false;
    if (opened)
        return prev.i ? inst_at(f, prev)->next : region_at(f, inst_at(f, id)->parent)->first;
    if (op == OP_REQUIRE || op == OP_CHECK) fold_promise(s, id);
    if (inst_at(f, id)->flags & INST_MASKED) fold_mask(s, id);
    order_args(s, id);
    if (is_elementwise(op)) fold_inst(s, id);
    if (op == OP_SPLAT) fold_splat(s, id);
    const Inst *in = inst_at(f, id);
    unsigned regions = in->flags & INST_DEAD ? 0 : in->region_count;
    for (unsigned k = 0; k < regions; k++) simplify_region(s, inst_region(inst_at(f, id), k));
    return inst_at(f, id)->next;
}

static void simplify_region(Simplifier *s, Region r)
{
    for (InstId id = region_at(s->f, r)->first; id.i;) id = simplify_inst(s, id);
}

bool pass_simplify(Func *f, const PassContext *context)
{
    (void)context;
    Simplifier s = {.f = f};
    simplify_region(&s, f->body);
    return s.changed;
}

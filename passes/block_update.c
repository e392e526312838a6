// Updates that combine: what a block contributes must, over two blocks, be the combination of what
// each contributes, else the result shows how the range was cut.
//
//     t += sum[n](x)                 sums of blocks add up to the sum
//     t += sum[n](x) * sum[n](x)     refused: no square of a sum is a sum of squares
//     t += max[n](x)                 refused: adds up one maximum for each block
//     t = max(t, sum[n](x))          refused: the largest of sums of blocks
//     t *= exp(sum[n](x))            a product, since the exponential of a sum is one
//     s = 0.5 * s + sum[n](x)        refused: halved once for each block; so is t += s
//
// Only what is surely of a wrong form is refused: values of loops, branches and memory, and updates
// that read carried values elsewhere than as the old value, are the kernel's own business.
#include "passes/block_rule.h"

typedef enum Verdict { FITS, UNKNOWN, BREAKS } Verdict;
enum { DEPTH = 60, TERMS = 32 };

static AxisSet bit_of(const Combining *c)
{
    return axis_bit(c->axis);
}

static bool is_partial(const Combining *c, Value v)
{
    return (c->marks[v.i].partial & bit_of(c)) != 0;
}

// The same whatever the block.
static bool is_fixed(const Combining *c, Value v)
{
    return !is_partial(c, v) && !(c->marks[v.i].uses & bit_of(c));
}

static bool is_number(const Func *f, Value v, double wanted)
{
    uint64_t bits;
    if (!value_const(f, v, &bits)) return false;
    if (value_dtype(f, v) == DTYPE_F32) return bits == (wanted == 0 ? 0 : 0x3f800000u);
    if (value_dtype(f, v) == DTYPE_F64) return bits == (wanted == 0 ? 0 : 0x3ff0000000000000u);
    return bits == (uint64_t)wanted;
}

static Verdict worse(Verdict a, Verdict b)
{
    return a > b ? a : b;
}

static Verdict additive(Combining *c, Value v, unsigned depth);
static Verdict multiplicative(Combining *c, Value v, unsigned depth);

static Verdict breaks_at(Combining *c, Value v)
{
    if (!c->culprit.i) c->culprit = v;
    return BREAKS;
}

// A reduction over the axis itself, of something that is not of a block already.
static bool reduces_block(const Combining *c, const Inst *in)
{
    return in->op == OP_REDUCE && !is_partial(c, inst_arg(c->f, in, 0)) &&
           (!(in->flags & INST_MASKED) || !is_partial(c, inst_mask(c->f, in)));
}

static Verdict select_of(Combining *c, const Inst *in, unsigned depth,
                         Verdict (*form)(Combining *c, Value v, unsigned depth))
{
    if (is_partial(c, inst_arg(c->f, in, 0))) return UNKNOWN;
    return worse(form(c, inst_arg(c->f, in, 1), depth), form(c, inst_arg(c->f, in, 2), depth));
}

static bool is_elementwise(unsigned op)
{
    return op >= OP_ADD && op <= OP_BITCAST;
}

static bool is_opaque(const Inst *in)
{
    return !in || !(is_elementwise(in->op) || in->op == OP_REDUCE || in->op == OP_TILEINFO);
}

static Verdict scaled(Combining *c, const Inst *in, Value v, unsigned depth)
{
    Value a = inst_arg(c->f, in, 0), b = inst_arg(c->f, in, 1);
    if (in->op == OP_MUL && is_fixed(c, a)) return additive(c, b, depth);
    if (in->op == OP_MUL && is_fixed(c, b)) return additive(c, a, depth);
    bool exact = in->op == OP_SHL || dtype_is_float(value_dtype(c->f, v));
    if (in->op != OP_MUL && is_fixed(c, b) && exact) return additive(c, a, depth);
    return breaks_at(c, v);
}

// Of the elements of two blocks, the sum of what it is of each.
static Verdict additive(Combining *c, Value v, unsigned depth)
{
    const Inst *in = value_def(c->f, v);
    if (is_number(c->f, v, 0)) return FITS;
    if (is_fixed(c, v)) return breaks_at(c, v); // once for each block
    if (is_opaque(in) || !is_partial(c, v) || !depth) return UNKNOWN;
    Value a = in->arg_count ? inst_arg(c->f, in, 0) : (Value){0};
    switch (in->op) {
    case OP_REDUCE:
        if (in->attr.kind != REDUCE_SUM) return breaks_at(c, v);
        return reduces_block(c, in) ? FITS : additive(c, a, depth - 1);
    case OP_TILEINFO: return in->attr.kind == INFO_SIZE ? FITS : breaks_at(c, v);
    case OP_ADD:
    case OP_SUB:
        return worse(additive(c, a, depth - 1), additive(c, inst_arg(c->f, in, 1), depth - 1));
    case OP_MUL:
    case OP_DIV:
    case OP_SHL: return scaled(c, in, v, depth - 1);
    case OP_NEG:
    case OP_QUANT: return additive(c, a, depth - 1);
    case OP_CAST:
        if (dtype_is_float(value_dtype(c->f, a)) && !dtype_is_float(value_dtype(c->f, v)))
            return breaks_at(c, v);
        return additive(c, a, depth - 1);
    case OP_LOG:
    case OP_LOG2:
    case OP_LOG10: return multiplicative(c, a, depth - 1);
    case OP_SELECT: return select_of(c, in, depth - 1, additive);
    }
    return breaks_at(c, v);
}

static Verdict multiplicative(Combining *c, Value v, unsigned depth)
{
    const Inst *in = value_def(c->f, v);
    if (is_number(c->f, v, 1)) return FITS;
    if (is_fixed(c, v)) return breaks_at(c, v);
    if (is_opaque(in) || !is_partial(c, v) || !depth) return UNKNOWN;
    Value a = in->arg_count ? inst_arg(c->f, in, 0) : (Value){0};
    switch (in->op) {
    case OP_REDUCE:
        if (in->attr.kind != REDUCE_PROD) return breaks_at(c, v);
        return reduces_block(c, in) ? FITS : multiplicative(c, a, depth - 1);
    case OP_MUL:
    case OP_DIV:
        return worse(multiplicative(c, a, depth - 1),
                     multiplicative(c, inst_arg(c->f, in, 1), depth - 1));
    case OP_ABS:
    case OP_RCP:
    case OP_SQRT:
    case OP_RSQRT:
    case OP_QUANT:
    case OP_CAST: return multiplicative(c, a, depth - 1);
    case OP_EXP:
    case OP_EXP2: return additive(c, a, depth - 1);
    case OP_POW: return is_fixed(c, a) ? additive(c, inst_arg(c->f, in, 1), depth - 1) : UNKNOWN;
    case OP_SELECT: return select_of(c, in, depth - 1, multiplicative);
    }
    return breaks_at(c, v);
}

// Made of maxima and minima alone. How they are scaled and shifted is not looked at.
static Verdict extreme(Combining *c, Value v, unsigned depth)
{
    const Inst *in = value_def(c->f, v);
    if (is_fixed(c, v)) return FITS;
    if (is_opaque(in) || !is_partial(c, v) || !depth) return UNKNOWN;
    if (in->op == OP_REDUCE) {
        bool adds = in->attr.kind == REDUCE_SUM || in->attr.kind == REDUCE_PROD;
        if (adds && (in->attr.bits & bit_of(c))) return breaks_at(c, v);
        return adds ? UNKNOWN : FITS;
    }
    if (in->op == OP_TILEINFO)
        return in->attr.kind == INFO_BEGIN || in->attr.kind == INFO_END ? FITS : breaks_at(c, v);
    Verdict verdict = FITS;
    for_each_arg(c->f, in, k, arg) verdict = worse(verdict, extreme(c, arg, depth - 1));
    return verdict;
}

bool combine_breaks(Combining *c, ReduceKind kind, Value v)
{
    c->culprit = (Value){0};
    if (!is_partial(c, v) || (c->marks[v.i].reads & bit_of(c)) || (c->marks[v.i].last & bit_of(c)))
        return false;
    if (kind == REDUCE_SUM) return additive(c, v, DEPTH) == BREAKS;
    if (kind == REDUCE_PROD) return multiplicative(c, v, DEPTH) == BREAKS;
    bool extremes = kind == REDUCE_MAX || kind == REDUCE_MIN;
    return extremes && extreme(c, v, DEPTH) == BREAKS;
}

// ---- updates

typedef struct Terms {
    Value at[TERMS];
    unsigned count, old_count;
    Value left, decayed; // made of what the blocks before left alone; with the old value in it
    bool other;          // something that this does not understand
} Terms;

// Made of carried values and of what is the same for all blocks: nothing of this block is in it.
static bool is_left(const Combining *c, Value v, bool *old, unsigned depth)
{
    const Inst *in = value_def(c->f, v);
    *old |= v.i == c->old.i;
    if (is_fixed(c, v) || (!in && (c->marks[v.i].reads & bit_of(c)))) return true;
    if (!in || !is_elementwise(in->op) || !depth) return false;
    for_each_arg(c->f, in, k, arg)
        if (!is_left(c, arg, old, depth - 1)) return false;
    return true;
}

static bool kind_of(const Inst *in, ReduceKind *kind)
{
    if (in->op == OP_ADD || in->op == OP_SUB)
        *kind = REDUCE_SUM;
    else if (in->op == OP_MUL || in->op == OP_DIV)
        *kind = REDUCE_PROD;
    else if (in->op == OP_MAX || in->op == OP_MIN)
        *kind = in->op == OP_MAX ? REDUCE_MAX : REDUCE_MIN;
    else
        return false;
    return true;
}

static void collect(const Combining *c, ReduceKind kind, Value v, bool inverse, Terms *terms)
{
    const Inst *in = value_def(c->f, v);
    ReduceKind own;
    if (v.i == c->old.i) {
        terms->old_count++;
        terms->other |= inverse;
        return;
    }
    if (!(c->marks[v.i].reads & bit_of(c))) {
        terms->other |= terms->count == TERMS;
        if (terms->count < TERMS) terms->at[terms->count++] = v;
        return;
    }
    if (in && in->op == OP_QUANT) {
        collect(c, kind, inst_arg(c->f, in, 0), inverse, terms);
        return;
    }
    bool old = false;
    if ((kind == REDUCE_SUM || kind == REDUCE_PROD) && is_left(c, v, &old, DEPTH)) {
        *(old ? &terms->decayed : &terms->left) = v;
        return;
    }
    terms->other |= !in || !kind_of(in, &own) || own != kind;
    if (terms->other) return;
    bool inverts = in->op == OP_SUB || in->op == OP_DIV;
    collect(c, kind, inst_arg(c->f, in, 0), inverse, terms);
    collect(c, kind, inst_arg(c->f, in, 1), inverse != inverts, terms);
}

bool update_breaks(Combining *c, Value update, ReduceKind *kind)
{
    const Inst *in = value_def(c->f, update);
    while (in && in->op == OP_QUANT) {
        update = inst_arg(c->f, in, 0);
        in = value_def(c->f, update);
    }
    if (!in || !kind_of(in, kind)) return false;
    Terms terms = {0};
    collect(c, *kind, update, false, &terms);
    if (terms.other) return false;
    c->left = terms.decayed.i || (terms.left.i && terms.old_count);
    c->culprit = terms.decayed.i ? terms.decayed : terms.left;
    if (c->left) return true;
    if (terms.left.i || terms.old_count != 1) return false;
    for (unsigned k = 0; k < terms.count; k++)
        if (combine_breaks(c, *kind, terms.at[k])) return true;
    return false;
}

// Vectors of every other element come in pairs: the real and the imaginary parts of complex
// numbers, the two halves that a rotation takes. Both are read as two whole vectors, whose lanes
// are sorted out, and written as two whole vectors.
//
//   %a = gather x (2 * iota + i)          %v = load x (i)   %w = load x (i + lanes)
//   %b = gather x (2 * iota + i + 1)  ->  %a = unzip 0 (%v, %w)   %b = unzip 1 (%v, %w)
//   scatter y (%a, 2 * iota + i)
//   scatter y (%b, 2 * iota + i + 1)  ->  store y (zip 0 (%a, %b), i) ...
//
// Just the elements of the pair are touched, so nothing can be out of bounds that was not.
#include "passes/pass.h"

typedef struct Access { // of elements base + plus + 2 k for each lane k
    InstId id;
    Value base;
    int64_t plus;
    unsigned lanes;
} Access;

static bool is_evens(const Func *f, Value v)
{
    const Inst *in = value_def(f, v), *iota;
    int64_t two;
    if (!in || in->op != OP_MUL || !value_const_int(f, inst_arg(f, in, 1), &two)) return false;
    iota = value_def(f, inst_arg(f, in, 0));
    return two == 2 && iota && iota->op == OP_IOTA;
}

static bool access_of(const Func *f, InstId id, Access *access)
{
    const Inst *in = inst_at(f, id);
    if ((in->op != OP_GATHER && in->op != OP_SCATTER) || inst_mask(f, in).i) return false;
    if (dtype_info[mem_at(f, (Mem){in->attr.ref})->dtype].bits < 8) return false;
    Value at = inst_arg(f, in, in->op == OP_SCATTER);
    const Inst *sum = value_def(f, at);
    if (!sum || sum->op != OP_ADD || value_dtype(f, at) != DTYPE_I64) return false;
    unsigned second = is_evens(f, inst_arg(f, sum, 0));
    const Inst *splat = value_def(f, inst_arg(f, sum, second));
    if (!is_evens(f, inst_arg(f, sum, 1 - second)) || !splat || splat->op != OP_SPLAT) return false;
    access->id = id;
    access->base = value_base(f, inst_arg(f, splat, 0), &access->plus);
    access->lanes = value_type(f, at).lanes;
    return access->lanes % 2 == 0;
}

// Whether `in` touches none of the elements of the pair that begins with `low`.
static bool is_apart(const Func *f, InstId id, const Access *low)
{
    const Inst *in = inst_at(f, id);
    int64_t plus, count = 2 * low->lanes;
    Access other;
    if (access_of(f, id, &other))
        return other.base.i == low->base.i &&
               (other.plus >= low->plus + count || other.plus + 2 * other.lanes - 1 <= low->plus);
    if (in->op != OP_LOAD && in->op != OP_STORE) return false;
    bool stores = in->op == OP_STORE;
    Value base = value_base(f, inst_arg(f, in, stores), &plus);
    unsigned lanes = value_type(f, stores ? inst_arg(f, in, 0) : inst_result(in, 0)).lanes;
    return base.i == low->base.i &&
           (plus >= low->plus + count || plus + (lanes ? lanes : 1) <= low->plus);
}

// Whether all between the two of a pair leave its elements alone; reads may read with it.
static bool can_meet(const Func *f, const Access *first, const Access *second)
{
    const Access *low = first->plus < second->plus ? first : second;
    const Inst *access = inst_at(f, first->id);
    for (InstId id = access->next; id.i != second->id.i; id = inst_at(f, id)->next) {
        const Inst *in = inst_at(f, id);
        bool writes = op_info[in->op].traits & TRAIT_WRITES;
        bool reads = op_info[in->op].traits & TRAIT_READS;
        if (in->region_count || in->op == OP_CHECK) return false; // of what comes after it
        if ((!writes && !reads) || in->attr.ref != access->attr.ref) continue;
        if (!writes && access->op == OP_GATHER) continue;
        if (!is_apart(f, id, low)) return false;
    }
    return true;
}

static bool find_second(const Func *f, const Access *first, Access *second)
{
    const Inst *in = inst_at(f, first->id);
    for (InstId id = in->next; id.i; id = inst_at(f, id)->next) {
        const Inst *next = inst_at(f, id);
        if (next->op != in->op || next->attr.ref != in->attr.ref || !access_of(f, id, second))
            continue;
        int64_t by = second->plus - first->plus;
        if (second->base.i == first->base.i && second->lanes == first->lanes &&
            (by == 1 || by == -1))
            return can_meet(f, first, second);
    }
    return false;
}

static Value two_vectors(Builder *b, Op op, Value x, Value y, unsigned part)
{
    Value args[2] = {x, y};
    Type type = value_type(b->f, x);
    InstId id = build_inst(b, op,
                           (BuildSpec){.args = args,
                                       .arg_count = 2,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.bits = part}});
    return inst_result(inst_at(b->f, id), 0);
}

static void read_both(Func *f, const Access *low, const Access *high, InstId before)
{
    const Inst in = *inst_at(f, low->id);
    Builder b = {f, in.parent, before, in.span};
    Value results[2] = {inst_result(&in, 0), inst_result(inst_at(f, high->id), 0)}, whole[2];
    Type type = value_type(f, results[0]);
    for (unsigned k = 0; k < 2; k++) {
        Value at = build_op2(&b, OP_ADD, low->base, build_i64(&b, low->plus + k * low->lanes));
        InstId load = build_inst(&b, OP_LOAD,
                                 (BuildSpec){.args = &at,
                                             .arg_count = 1,
                                             .results = &type,
                                             .result_count = 1,
                                             .attr = {.ref = in.attr.ref}});
        whole[k] = inst_result(inst_at(f, load), 0);
    }
    for (unsigned k = 0; k < 2; k++)
        func_replace_uses(f, results[k], two_vectors(&b, OP_UNZIP, whole[0], whole[1], k));
}

static void write_both(Func *f, const Access *low, const Access *high, InstId before)
{
    const Inst in = *inst_at(f, low->id);
    Builder b = {f, in.parent, before, in.span};
    Value even = inst_arg(f, &in, 0), odd = inst_arg(f, inst_at(f, high->id), 0);
    for (unsigned k = 0; k < 2; k++) {
        Value at = build_op2(&b, OP_ADD, low->base, build_i64(&b, low->plus + k * low->lanes));
        Value args[2] = {two_vectors(&b, OP_ZIP, even, odd, k), at};
        build_inst(&b, OP_STORE,
                   (BuildSpec){.args = args, .arg_count = 2, .attr = {.ref = in.attr.ref}});
    }
}

static bool join(Func *f, const Access *first, const Access *second)
{
    bool reads = inst_at(f, first->id)->op == OP_GATHER, in_order = first->plus < second->plus;
    const Access *low = in_order ? first : second, *high = in_order ? second : first;
    if (reads)
        read_both(f, low, high, first->id);
    else
        write_both(f, low, high, second->id);
    inst_unlink(f, first->id);
    inst_unlink(f, second->id);
    return true;
}

static bool join_in(Func *f, Region r)
{
    bool changed = false;
    Access first, second;
    for (InstId id = region_at(f, r)->first, next; id.i; id = next) {
        for (unsigned k = 0; k < inst_at(f, id)->region_count; k++)
            changed |= join_in(f, inst_region(inst_at(f, id), k));
        bool found = access_of(f, id, &first) && find_second(f, &first, &second);
        if (found) changed |= join(f, &first, &second);
        next = inst_at(f, id)->next;
        while (next.i && (inst_at(f, next)->flags & INST_DEAD)) next = inst_at(f, next)->next;
    }
    return changed;
}

bool pass_pairs(Func *f, const PassContext *context)
{
    (void)context;
    return join_in(f, f->body);
}

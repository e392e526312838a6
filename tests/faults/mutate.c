// Loop IR, changed as a miscompile would change it. Each kind of change looks at every instruction;
// the seed takes a kind, and one of the places that it fits.
#include "tests/faults/faults.h"

#include <stdio.h>

typedef struct Change {
    const char *name;
    bool (*fits)(const Func *f, const Inst *in);
    void (*make)(Func *f, InstId id, uint64_t random);
} Change;

static Builder before(Func *f, InstId id)
{
    const Inst *in = inst_at(f, id);
    return (Builder){.f = f, .region = in->parent, .before = id, .span = in->span};
}

static bool in_phase(const Func *f, const Inst *in)
{
    return in->parent.i != f->body.i;
}

static bool is_index(const Func *f, Value v)
{
    return value_dtype(f, v) == DTYPE_I64 && value_type(f, v).lanes == 0;
}

static void add_to_arg(Func *f, InstId id, unsigned k, int64_t by)
{
    Builder b = before(f, id);
    Value sum = build_op2(&b, OP_ADD, inst_arg(f, inst_at(f, id), k), build_i64(&b, by));
    func_set_arg(f, id, k, sum);
}

// ---- bounds and steps of loops

static bool is_for(const Func *f, const Inst *in)
{
    return in->op == OP_FOR && in_phase(f, in);
}

static void lose_last(Func *f, InstId id, uint64_t random)
{
    (void)random;
    add_to_arg(f, id, 1, -1);
}

static void one_too_many(Func *f, InstId id, uint64_t random)
{
    (void)random;
    add_to_arg(f, id, 1, 1);
}

static void lose_first(Func *f, InstId id, uint64_t random)
{
    (void)random;
    Builder b = before(f, id);
    const Inst *in = inst_at(f, id);
    Value sum = build_op2(&b, OP_ADD, inst_arg(f, in, 0), inst_arg(f, in, 2));
    func_set_arg(f, id, 0, sum);
}

// The tail that the steps do not fill.
static void lose_tail(Func *f, InstId id, uint64_t random)
{
    (void)random;
    Builder b = before(f, id);
    Value lo = inst_arg(f, inst_at(f, id), 0), hi = inst_arg(f, inst_at(f, id), 1),
          step = inst_arg(f, inst_at(f, id), 2);
    Value rest = build_op2(&b, OP_REM, build_op2(&b, OP_SUB, hi, lo), step);
    func_set_arg(f, id, 1, build_op2(&b, OP_SUB, hi, rest));
}

// ---- accumulators

static bool carries(const Func *f, const Inst *in)
{
    return is_for(f, in) && in->result_count > 0;
}

static void stale_start(Func *f, InstId id, uint64_t random)
{
    unsigned k = 3 + (unsigned)(random % inst_at(f, id)->result_count);
    Builder b = before(f, id);
    Type type = value_type(f, inst_arg(f, inst_at(f, id), k));
    DType t = (DType)type.dtype;
    if (t == DTYPE_BOOL) return;
    Value left = dtype_is_float(t) ? build_float(&b, t, 0.5) : build_bits(&b, type_scalar(t), 1);
    Value start = inst_arg(f, inst_at(f, id), k);
    func_set_arg(f, id, k, build_op2(&b, OP_ADD, start, left));
}

static bool swaps(const Func *f, const Inst *in)
{
    if (!carries(f, in) || in->result_count < 2) return false;
    Type a = value_type(f, inst_arg(f, in, 3)), b = value_type(f, inst_arg(f, in, 4));
    return a.dtype == b.dtype && a.lanes == b.lanes;
}

static void swap_carried(Func *f, InstId id, uint64_t random)
{
    (void)random;
    InstId yield = region_at(f, inst_region(inst_at(f, id), 0))->last;
    Value a = inst_arg(f, inst_at(f, yield), 0), b = inst_arg(f, inst_at(f, yield), 1);
    func_set_arg(f, yield, 0, b);
    func_set_arg(f, yield, 1, a);
}

static bool accumulates(const Func *f, const Inst *in)
{
    return in_phase(f, in) && (in->op == OP_FMA || in->op == OP_DOT) && in->result_count == 1;
}

// In every turn, or in one of them only.
static void skip_step(Func *f, InstId id, uint64_t random)
{
    Inst *in = inst_at(f, id);
    Value sum = inst_arg(f, in, 2), result = inst_result(in, 0);
    Region r = in->parent;
    InstId owner = region_at(f, r)->owner;
    bool once = random % 2 && owner.i && inst_at(f, owner)->op == OP_FOR &&
                !value_inside(f, inst_arg(f, inst_at(f, owner), 0), r);
    if (!once) {
        func_replace_uses(f, result, sum);
        return;
    }
    Builder b = {.f = f, .region = r, .before = inst_at(f, id)->next, .span = in->span};
    Value first = build_op2(&b, OP_EQ, region_arg(f, r, 0), inst_arg(f, inst_at(f, owner), 0));
    Value args[3] = {first, sum, result};
    Type type = value_type(f, result);
    if (type.lanes) {
        Type mask = {.dtype = DTYPE_BOOL, .lanes = type.lanes};
        InstId splat = build_inst(
            &b, OP_SPLAT,
            (BuildSpec){.args = args, .arg_count = 1, .results = &mask, .result_count = 1});
        args[0] = inst_result(inst_at(f, splat), 0);
    }
    InstId select =
        build_inst(&b, OP_SELECT,
                   (BuildSpec){.args = args, .arg_count = 3, .results = &type, .result_count = 1});
    Value chosen = inst_result(inst_at(f, select), 0);
    func_replace_uses(f, result, chosen);
    func_set_arg(f, select, 2, result);
}

// ---- memory

static unsigned offset_arg(const Inst *in)
{
    return in->op == OP_STORE || in->op == OP_SCATTER ? 1 : 0;
}

static bool is_load(const Func *f, const Inst *in)
{
    return in_phase(f, in) && in->op == OP_LOAD && is_index(f, inst_arg(f, in, 0));
}

static bool is_store(const Func *f, const Inst *in)
{
    return in_phase(f, in) && in->op == OP_STORE && is_index(f, inst_arg(f, in, 1));
}

static void off_by_one(Func *f, InstId id, uint64_t random)
{
    add_to_arg(f, id, offset_arg(inst_at(f, id)), random % 2 ? 1 : -1);
    Inst *in = inst_at(f, id);
    in->attr.bits = 1; // nothing is known of its alignment then
    if (dtype_info[mem_at(f, (Mem){in->attr.ref})->dtype].bits >= 8) in->attr.bits = 0;
}

static void lose_store(Func *f, InstId id, uint64_t random)
{
    (void)random;
    inst_unlink(f, id);
}

static bool is_masked(const Func *f, const Inst *in)
{
    return in_phase(f, in) && (in->flags & INST_MASKED) &&
           (in->op == OP_LOAD || in->op == OP_STORE || in->op == OP_SCATTER);
}

static void lose_mask(Func *f, InstId id, uint64_t random)
{
    (void)random;
    Builder b = before(f, id);
    Value mask = inst_mask(f, inst_at(f, id));
    Value all = build_bits(&b, value_type(f, mask), 1);
    func_set_arg(f, id, inst_at(f, id)->arg_count - 1u, all);
}

// ---- arithmetic

static bool is_float_value(const Func *f, const Inst *in)
{
    return in_phase(f, in) && in->result_count == 1 && in->op != OP_CONST && !in->region_count &&
           value_dtype(f, inst_result(in, 0)) == DTYPE_F32 &&
           (op_info[in->op].rule == RULE_SAME || in->op == OP_VREDUCE || in->op == OP_DOT);
}

static void round_coarsely(Func *f, InstId id, uint64_t random)
{
    Value of = inst_result(inst_at(f, id), 0);
    Builder b = before(f, id);
    b.before = inst_at(f, id)->next;
    InstId quant = build_inst(&b, OP_QUANT,
                              (BuildSpec){.args = &of,
                                          .arg_count = 1,
                                          .attr = {.kind = random % 2 ? DTYPE_BF16 : DTYPE_F16}});
    Value rounded = inst_result(inst_at(f, quant), 0);
    func_replace_uses(f, of, rounded);
    func_set_arg(f, quant, 0, of);
}

static bool has_twin(const Func *f, const Inst *in)
{
    return in_phase(f, in) &&
           (in->op == OP_ADD || in->op == OP_SUB || in->op == OP_MUL || in->op == OP_MAX ||
            in->op == OP_MIN || in->op == OP_LT || in->op == OP_LE);
}

static void take_other_op(Func *f, InstId id, uint64_t random)
{
    (void)random;
    Inst *in = inst_at(f, id);
    static const uint16_t twins[][2] = {{OP_ADD, OP_SUB}, {OP_SUB, OP_ADD}, {OP_MUL, OP_ADD},
                                        {OP_MAX, OP_MIN}, {OP_MIN, OP_MAX}, {OP_LT, OP_LE},
                                        {OP_LE, OP_LT}};
    for (size_t k = 0; k < sizeof twins / sizeof *twins; k++) {
        if (in->op != twins[k][0]) continue;
        in->op = twins[k][1];
        return;
    }
}

static bool is_swappable(const Func *f, const Inst *in)
{
    return in_phase(f, in) && (in->op == OP_SUB || in->op == OP_DIV || in->op == OP_ZIP);
}

static void swap_args(Func *f, InstId id, uint64_t random)
{
    (void)random;
    Value a = inst_arg(f, inst_at(f, id), 0), b = inst_arg(f, inst_at(f, id), 1);
    func_set_arg(f, id, 0, b);
    func_set_arg(f, id, 1, a);
}

static bool is_lane(const Func *f, const Inst *in)
{
    return in_phase(f, in) && in->op == OP_EXTRACT && value_type(f, inst_arg(f, in, 0)).lanes > 1;
}

static void wrong_lane(Func *f, InstId id, uint64_t random)
{
    Inst *in = inst_at(f, id);
    uint64_t lanes = value_type(f, inst_arg(f, in, 0)).lanes;
    in->attr.bits = (in->attr.bits + 1 + random % (lanes - 1)) % lanes;
}

static bool is_lane_sum(const Func *f, const Inst *in)
{
    return in_phase(f, in) && in->op == OP_VREDUCE && in->attr.kind <= REDUCE_MIN;
}

static void wrong_reduction(Func *f, InstId id, uint64_t random)
{
    Inst *in = inst_at(f, id);
    in->attr.kind = (uint32_t)((in->attr.kind + 1 + random % REDUCE_MIN) % (REDUCE_MIN + 1));
}

static bool is_offset_sum(const Func *f, const Inst *in)
{
    return in_phase(f, in) && in->op == OP_MUL && is_index(f, inst_result(in, 0));
}

static void wrong_stride(Func *f, InstId id, uint64_t random)
{
    add_to_arg(f, id, random % 2, 1);
}

static const Change changes[] = {
    {"a loop without its last turn", is_for, lose_last},
    {"a loop with a turn too many", is_for, one_too_many},
    {"a loop without its first turn", is_for, lose_first},
    {"a loop without its tail", is_for, lose_tail},
    {"a stale accumulator", carries, stale_start},
    {"two accumulators swapped", swaps, swap_carried},
    {"a skipped step of a sum", accumulates, skip_step},
    {"a load off by one", is_load, off_by_one},
    {"a store off by one", is_store, off_by_one},
    {"a lost store", is_store, lose_store},
    {"a lost mask", is_masked, lose_mask},
    {"a value rounded to 16 bits", is_float_value, round_coarsely},
    {"another operation", has_twin, take_other_op},
    {"swapped operands", is_swappable, swap_args},
    {"another lane", is_lane, wrong_lane},
    {"another reduction of lanes", is_lane_sum, wrong_reduction},
    {"a wrong stride", is_offset_sum, wrong_stride},
};
enum { CHANGES = sizeof changes / sizeof *changes };

static InstId place_of(const Func *f, const Change *change, uint64_t random)
{
    uint32_t count = 0, chosen = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            if (count == 0) break;
            chosen = (uint32_t)(random % count);
        }
        count = 0;
        for (uint32_t k = 1; k < f->insts.count; k++) {
            const Inst *in = &f->insts.data[k];
            if ((in->flags & INST_DEAD) || !in->parent.i || !change->fits(f, in)) continue;
            if (pass == 1 && count == chosen) return (InstId){k};
            count++;
        }
    }
    return (InstId){0};
}

const char *mutate(Func *f, uint64_t seed)
{
    static char text[128];
    uint64_t state = seed;
    const Change *change = &changes[fault_random(&state) % CHANGES];
    InstId id = place_of(f, change, fault_random(&state));
    if (!id.i) return NULL;
    Op op = (Op)inst_at(f, id)->op;
    change->make(f, id, fault_random(&state));
    snprintf(text, sizeof text, "%s, at a %s", change->name, op_info[op].mnemonic);
    return text;
}

// The prologue: scalars that a launch computes before any phase runs, and the order of the phases.
#include "ir/eval.h"

static bool eval_plain(const Func *f, const Inst *in, uint64_t *values)
{
    uint64_t args[3] = {0};
    if (in->result_count != 1 || in->arg_count < 1 || in->arg_count > 3) return false;
    for (unsigned k = 0; k < in->arg_count; k++) args[k] = values[inst_arg(f, in, k).i];
    DType from = value_dtype(f, inst_arg(f, in, in->arg_count - 1u));
    DType to = value_dtype(f, inst_result(in, 0));
    return eval_op((Op)in->op, from, to, in->attr.kind, args, in->arg_count, &values[in->results]);
}

static bool eval_arg(const Func *f, const Inst *in, const uint64_t *args, const bool *given,
                     uint64_t *values)
{
    uint32_t arg = in->attr.ref;
    if (given[arg])
        values[in->results] = args[arg];
    else if (in->arg_count)
        values[in->results] = values[inst_arg(f, in, 0).i];
    else
        return false;
    return true;
}

static uint64_t eval_extent(const Func *f, const Inst *in, const uint64_t *values)
{
    InstId decl = mem_at(f, (Mem){in->attr.ref})->decl;
    if (!decl.i || in->attr.bits >= inst_at(f, decl)->arg_count) return 0;
    return values[inst_arg(f, inst_at(f, decl), (unsigned)in->attr.bits).i];
}

bool prologue_eval(const Func *f, const int64_t *dims, const uint64_t *args, const bool *arg_given,
                   uint64_t *values, uint32_t *missing)
{
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_PHASE) break;
        if (in->op == OP_CONST) {
            values[in->results] = in->attr.bits;
        } else if (in->op == OP_DIM) {
            values[in->results] = (uint64_t)dims[in->attr.ref];
        } else if (in->op == OP_EXTENT) {
            values[in->results] = eval_extent(f, in, values);
        } else if (in->op == OP_ARG) {
            if (eval_arg(f, in, args, arg_given, values)) continue;
            *missing = in->attr.ref;
            return false;
        } else {
            eval_plain(f, in, values);
        }
    }
    return true;
}

// ---- repeated phases

static InstId end_of_repeat(const Func *f, InstId from)
{
    uint32_t arg = inst_at(f, from)->attr.ref;
    InstId id = inst_at(f, from)->next;
    while (id.i && !(inst_at(f, id)->op == OP_AGAIN && inst_at(f, id)->attr.ref == arg))
        id = inst_at(f, id)->next;
    return id;
}

static void set_turn(PhaseWalk *w, int64_t turn)
{
    w->open[w->depth - 1].turn = turn;
    w->args[inst_at(w->f, w->open[w->depth - 1].from)->attr.ref] = (uint64_t)turn;
    w->evaluate(w->self);
}

static int64_t turns(const PhaseWalk *w, InstId repeat)
{
    return (int64_t)w->values[inst_arg(w->f, inst_at(w->f, repeat), 0).i];
}

static void enter_repeat(PhaseWalk *w, InstId id)
{
    if (turns(w, id) <= 0 || w->depth == REPEATS_MAX) {
        for (InstId end = end_of_repeat(w->f, id); id.i != end.i; id = inst_at(w->f, id)->next)
            w->number += inst_at(w->f, id)->op == OP_PHASE;
        w->at = id;
        return;
    }
    w->open[w->depth].from = id;
    w->open[w->depth++].number = w->number;
    set_turn(w, 0);
}

static void leave_repeat(PhaseWalk *w)
{
    InstId from = w->open[w->depth - 1].from;
    int64_t next = w->open[w->depth - 1].turn + 1;
    if (next >= turns(w, from)) {
        w->depth--;
        return;
    }
    w->at = from;
    w->number = w->open[w->depth - 1].number;
    set_turn(w, next);
}

bool phase_next(PhaseWalk *w, uint32_t *number)
{
    if (w->at.i && inst_at(w->f, w->at)->op == OP_PHASE) w->number++;
    do {
        w->at = w->at.i ? inst_at(w->f, w->at)->next : region_at(w->f, w->f->body)->first;
        if (!w->at.i) return false;
        if (inst_at(w->f, w->at)->op == OP_REPEAT)
            enter_repeat(w, w->at);
        else if (inst_at(w->f, w->at)->op == OP_AGAIN && w->depth)
            leave_repeat(w);
    } while (inst_at(w->f, w->at)->op != OP_PHASE);
    *number = w->number;
    return true;
}

InstId repeat_of(const Func *f, InstId phase)
{
    uint32_t closed = 0;
    for (InstId id = inst_at(f, phase)->prev; id.i; id = inst_at(f, id)->prev) {
        closed += inst_at(f, id)->op == OP_AGAIN;
        if (inst_at(f, id)->op != OP_REPEAT) continue;
        if (!closed) return id;
        closed--;
    }
    return (InstId){0};
}

bool arg_is_turn(const Func *f, uint32_t arg)
{
    for_each_inst(f, f->body, id)
        if (inst_at(f, id)->op == OP_REPEAT && inst_at(f, id)->attr.ref == arg) return true;
    return false;
}

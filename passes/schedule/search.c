// Searching along an axis by halves: a loop that carries the ends of what is left, one step for
// each binary digit of its length; the value is computed at the middle alone.
#include "passes/schedule/sched.h"

static Value operand(Sched *s, const Root *root, unsigned k)
{
    return emit_value(s, inst_arg(s->tile, inst_at(s->tile, root->inst), k))[0];
}

void search_begin(Sched *s, Root *root)
{
    root->acc_count = 1;
    root->acc_copies = 2;
    root->acc_index = NULL;
    root->acc = arena_array(s->arena, Value, 2);
    for (unsigned k = 0; k < 2; k++) root->acc[k] = operand(s, root, 2 + k);
}

Value search_steps(Sched *s, const Root *root)
{
    Builder b = sched_at(s, s->top);
    Value size = build_op2(&b, OP_SUB, root->acc[1], root->acc[0]);
    size = build_op2(&b, OP_MAX, size, build_i64(&b, 0));
    return build_op2(&b, OP_SUB, build_i64(&b, 64), build_op1(&b, OP_CLZ, size));
}

// In range even when nothing is left.
Value search_middle(Sched *s, const Root *root, Value end)
{
    Builder b = sched_at(s, s->top);
    Value sum = build_op2(&b, OP_ADD, root->acc[0], root->acc[1]);
    Value last = build_op2(&b, OP_SUB, end, build_i64(&b, 1));
    return build_op2(&b, OP_MIN, build_op2(&b, OP_SHR, sum, build_i64(&b, 1)), last);
}

void search_step(Sched *s, Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    Value v = operand(s, root, 0), sought = operand(s, root, 1), lo = root->acc[0],
          hi = root->acc[1], middle = s->axes[in->attr.ref].base;
    Builder b = sched_at(s, s->top);
    b.span = in->span;
    Value left = build_op2(&b, OP_LT, lo, hi), below = build_op2(&b, OP_LT, v, sought);
    Value up = build_op2(&b, OP_AND, left, below);
    Value down = build_op2(&b, OP_AND, left, build_op1(&b, OP_NOT, below));
    Value next = build_op2(&b, OP_ADD, middle, build_i64(&b, 1));
    root->acc[0] = build_op3(&b, OP_SELECT, up, next, lo);
    root->acc[1] = build_op3(&b, OP_SELECT, down, middle, hi);
}

void search_finish(Sched *s, Root *root)
{
    Value *result = arena_copy(s->arena, root->acc, sizeof(Value));
    sched_remember(s, root->value, result, s->top);
    if (root->slots[0]) slot_store(s, root->slots[0], value_axes(s->tile, root->value), result);
    root->acc = NULL;
}

// Exact edges: where the last tile of a contraction's axis is smaller than the others and the sizes
// are known, the unit's code is emitted once for each size, so that register blocks need no tests
// and the edge has a block of its own.
//
//   c[m, n] += ..   ->   if (begin + 64 <= hi) { n: 64 } else { n: 9 }
#include "passes/schedule/sched.h"

// Copies of the code that a phase may take.
enum { VERSIONS_MAX = 4 };

// How many indices the last tile has, if it has fewer than the others; 0: all alike, or unknown.
static int64_t last_size(const Sched *s, Axis a)
{
    const AxisState *axis = &s->axes[a.i];
    int64_t lo, hi;
    const Inst *decl = inst_at(s->tile, axis_at(s->tile, a)->decl);
    if (axis->size_const >= 0 || axis->block < 2 ||
        !value_const_int(s->tile, inst_arg(s->tile, decl, 0), &lo) ||
        !value_const_int(s->tile, inst_arg(s->tile, decl, 1), &hi))
        return 0;
    return (hi - lo) % axis->block;
}

// Whether register blocks lie along the axis: then run-time tests would be in inner loops.
static bool is_blocked(const Sched *s, Axis a)
{
    for (uint32_t i = 0; i < s->roots.count; i++) {
        const Root *root = s->roots.data[i];
        if (!root->contraction) continue;
        if (root->row.i == a.i || (contraction_columns(s, root) & axis_bit(a))) return true;
    }
    return false;
}

static void set_child(Sched *s, Region region, InstId child)
{
    for (int at = s->top; at >= 0 && s->levels[at].region.i == region.i; at--)
        s->levels[at].child = child;
}

static void emit_from(Sched *s, const Axis *axes, unsigned count, unsigned versions, Region body);

static void emit_arm(Sched *s, Region arm, const Axis *axes, unsigned count, unsigned versions,
                     Region body, int64_t size)
{
    AxisState *axis = &s->axes[axes[0].i];
    Value end = axis->end;
    push_level(s, arm);
    Builder b = sched_at(s, s->top);
    axis->size_const = size;
    axis->end = build_op2(&b, OP_ADD, axis->begin, build_i64(&b, size));
    emit_from(s, axes + 1, count - 1, versions, body);
    b = sched_at(s, s->top);
    build_inst(&b, OP_YIELD, (BuildSpec){0});
    pop_level(s);
    axis->size_const = -1;
    axis->end = end;
}

static void emit_from(Sched *s, const Axis *axes, unsigned count, unsigned versions, Region body)
{
    int64_t last = 0;
    while (count && !((last = last_size(s, axes[0])) && is_blocked(s, axes[0]))) axes++, count--;
    if (!count || versions * 2 > VERSIONS_MAX) {
        unsigned yields;
        emit_region(s, body, &yields);
        return;
    }
    const AxisState *axis = &s->axes[axes[0].i];
    Builder b = sched_at(s, s->top);
    Value end = build_op2(&b, OP_ADD, axis->begin, build_i64(&b, axis->block));
    Value whole = build_op2(&b, OP_LE, end, axis->hi);
    Region arms[2];
    arms[0] = func_region(s->f);
    arms[1] = func_region(s->f);
    InstId id = build_inst(
        &b, OP_IF,
        (BuildSpec){.args = &whole, .arg_count = 1, .regions = arms, .region_count = 2});
    set_child(s, b.region, id);
    emit_arm(s, arms[0], axes, count, versions * 2, body, axis->block);
    emit_arm(s, arms[1], axes, count, versions * 2, body, last);
    set_child(s, b.region, (InstId){0});
}

void emit_versions(Sched *s, const Axis *axes, unsigned count, Region body)
{
    emit_from(s, axes, count, 1, body);
}

// Emits loop trees. A node becomes a main loop that binds `count` instances (or vectors) of its
// axis at once, and what remains: exactly as many instances as are left where the size is known,
// else a loop of single ones.
#include "passes/schedule/sched.h"

void push_level(Sched *s, Region region)
{
    if (s->top + 1 >= LEVELS_MAX) {
        s->failed = true;
        return;
    }
    Level *level = &s->levels[++s->top];
    level->region = region;
    level->child = (InstId){0};
    level->memo.count = 0;
}

void pop_level(Sched *s)
{
    Level *level = &s->levels[s->top];
    for (uint32_t i = 0; i < level->memo.count; i++) {
        ValueState *state = &s->values[level->memo.data[i]];
        if (state->level == s->top) {
            state->inst = NULL;
            state->level = -1;
        }
    }
    s->top--;
}

static void set_child(Sched *s, InstId child)
{
    Region region = s->levels[s->top].region;
    for (int at = s->top; at >= 0 && s->levels[at].region.i == region.i; at--)
        s->levels[at].child = child;
}

// Opens a `for` at the end of the current level and a level for its body. Returns the carried
// values.
Value *open_for(Sched *s, Value lo, Value hi, Value step, const Value *inits, unsigned count,
                Value *index)
{
    Builder b = sched_at(s, s->top);
    Value *args = arena_array(s->arena, Value, count + 3);
    Type *types = arena_array(s->arena, Type, count + 1);
    args[0] = lo, args[1] = hi, args[2] = step;
    Region body = func_region(s->f);
    *index = region_add_arg(s->f, body, type_scalar(DTYPE_I64));
    Value *carried = arena_array(s->arena, Value, count + 1);
    for (unsigned k = 0; k < count; k++) {
        args[k + 3] = inits[k];
        types[k] = value_type(s->f, inits[k]);
        carried[k] = region_add_arg(s->f, body, types[k]);
    }
    InstId id = build_inst(&b, OP_FOR,
                           (BuildSpec){.args = args,
                                       .arg_count = count + 3,
                                       .results = types,
                                       .result_count = count,
                                       .regions = &body,
                                       .region_count = 1,
                                       .attr = {.kind = LOOP_SERIAL}});
    set_child(s, id);
    push_level(s, body);
    return carried;
}

Value *close_for(Sched *s, const Value *yields, unsigned count)
{
    Builder b = sched_at(s, s->top);
    build_inst(&b, OP_YIELD, (BuildSpec){.args = yields, .arg_count = count});
    pop_level(s);
    InstId id = s->levels[s->top].child;
    set_child(s, (InstId){0});
    const Inst *loop = inst_at(s->f, id);
    Value *results = arena_array(s->arena, Value, loop->result_count + 1u);
    for (unsigned k = 0; k < loop->result_count; k++) results[k] = inst_result(loop, k);
    return results;
}

static void emit_node(Sched *s, Node *node);

static void emit_check(Sched *s, const Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    Value *operands[4] = {0};
    for_each_arg(s->tile, in, k, v) operands[k] = emit_value(s, v);
    Builder b = sched_at(s, s->top);
    b.span = in->span;
    for (unsigned i = 0; i < instances_of(s, root->axes); i++) {
        Value args[4] = {{0}};
        for_each_arg(s->tile, in, k, v)
            args[k] = operands[k][instance_project(s, root->axes, i, value_axes(s->tile, v))];
        unsigned plain = inst_plain_args(in);
        Value mask = mask_and(&b, plain < in->arg_count ? args[plain] : (Value){0},
                              tail_mask(s, root->axes, i));
        args[plain] = mask;
        build_inst(&b, OP_CHECK,
                   (BuildSpec){.args = args,
                               .arg_count = plain + (mask.i ? 1 : 0),
                               .attr = in->attr,
                               .flags = mask.i ? INST_MASKED : 0});
    }
}

static void emit_keep(Sched *s, const Root *root)
{
    if (root->group) {
        dot_pack(s, root);
        return;
    }
    Value *values = root->slot ? tiles_narrow(s, root->value, root->slot->dtype, root->mask)
                               : emit_fresh(s, root->value);
    if (root->slot) slot_store(s, root->slot, value_axes(s->tile, root->value), values);
}

// Hides what has been emitted over the axis, or brings it back: then `hidden` is not NULL.
static ValueState *swap_memo(Sched *s, Axis a, const ValueState *hidden)
{
    uint32_t count = s->tile->values.count;
    ValueState *saved = arena_array(s->arena, ValueState, count);
    for (uint32_t v = 1; v < count; v++) {
        if (!(value_axes(s->tile, (Value){v}) & axis_bit(a))) continue;
        saved[v] = s->values[v];
        s->values[v].inst = hidden ? hidden[v].inst : NULL;
        s->values[v].level = hidden ? hidden[v].level : -1;
    }
    return saved;
}

// A block of lanes by as many turned indices takes all registers: one vector of the lanes' axis
// after the other.
static void emit_turned(Sched *s, const Root *root)
{
    AxisState *axis = &s->axes[root->vector.i], whole = *axis;
    const ValueState *hidden = swap_memo(s, root->vector, NULL);
    for (unsigned k = 0; k < whole.count; k++) {
        push_level(s, s->levels[s->top].region);
        Builder b = sched_at(s, s->top);
        axis->level = s->top;
        axis->count = 1;
        axis->first = k;
        axis->base = build_op2(&b, OP_ADD, whole.base, build_i64(&b, (int64_t)k * whole.lanes));
        axis->mask = &whole.mask[k];
        axis->left = &whole.left[k];
        emit_keep(s, root);
        pop_level(s);
    }
    *axis = whole;
    swap_memo(s, root->vector, hidden);
}

static void emit_print(Sched *s, const Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    Value *args = arena_array(s->arena, Value, in->arg_count + 1u);
    Value **operands = arena_array(s->arena, Value *, in->arg_count + 1u);
    for_each_arg(s->tile, in, k, v) operands[k] = emit_value(s, v);
    Builder b = sched_at(s, s->top);
    b.span = in->span;
    for (unsigned i = 0; i < instances_of(s, root->axes); i++) {
        for_each_arg(s->tile, in, k, v)
            args[k] = operands[k][instance_project(s, root->axes, i, value_axes(s->tile, v))];
        build_inst(&b, OP_PRINT,
                   (BuildSpec){.args = args,
                               .arg_count = in->arg_count,
                               .attr = in->attr,
                               .flags = (uint8_t)(in->flags & INST_MASKED)});
    }
}

static void emit_leaf(Sched *s, Root *root)
{
    switch (root->kind) {
    case ROOT_REDUCE:
        if (root->tiles) {
            tiles_emit(s, root);
        } else if (!root->acc) { // over axes of no extent in this nest
            reduce_begin(s, root);
            reduce_step(s, root);
            reduce_finish(s, root);
        } else {
            reduce_step(s, root);
        }
        break;
    case ROOT_COMBINE: combine_step(s, root); break;
    case ROOT_SORT: sort_step(s, root); break;
    case ROOT_SEARCH: search_step(s, root); break;
    case ROOT_STORE: emit_store(s, root); break;
    case ROOT_FOLD: emit_fold(s, root); break;
    case ROOT_ATOMIC: emit_atomic(s, root); break;
    case ROOT_CHECK: emit_check(s, root); break;
    case ROOT_PRINT: emit_print(s, root); break;
    case ROOT_KEEP:
        if (root->turned.i)
            emit_turned(s, root);
        else
            emit_keep(s, root);
        break;
    case ROOT_CARRY: {
        AxisSet axes = root->from ? root->from->axes : value_axes(s->tile, root->value);
        Value *values;
        if (root->from) {
            values = arena_array(s->arena, Value, instances_of(s, axes));
            slot_load(s, root->from, axes, s->top, values);
        } else {
            values = emit_value(s, root->value);
        }
        slot_store(s, root->slot, axes, values);
        break;
    }
    }
}

static void emit_children(Sched *s, Node *node)
{
    for (uint32_t c = 0; c < node->children.count; c++) {
        const Child *child = &node->children.data[c];
        if (child->node && first_rows_pack(s, child->node)) continue;
        if (child->node)
            emit_node(s, child->node);
        else
            emit_leaf(s, s->roots.data[child->root]);
    }
}

// The accumulators that loops of this node carry.
static bool carries(const Node *node, const Root *root)
{
    return root_computes(root) && (root->reduced & axis_bit(node->axis)) && root->acc;
}

static unsigned gather_carried(const Sched *s, const Node *node, Value *out)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < node->roots.count; i++) {
        const Root *root = s->roots.data[node->roots.data[i]];
        if (!carries(node, root)) continue;
        unsigned count = root->acc_count * root->acc_copies;
        for (unsigned k = 0; k < count; k++, n++)
            if (out) out[n] = root->acc[k];
        for (unsigned k = 0; root->acc_index && k < count; k++, n++)
            if (out) out[n] = root->acc_index[k];
    }
    return n;
}

static void scatter_carried(const Sched *s, const Node *node, const Value *in)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < node->roots.count; i++) {
        Root *root = s->roots.data[node->roots.data[i]];
        if (!carries(node, root)) continue;
        unsigned count = root->acc_count * root->acc_copies;
        for (unsigned k = 0; k < count; k++) root->acc[k] = in[n++];
        for (unsigned k = 0; root->acc_index && k < count; k++) root->acc_index[k] = in[n++];
    }
}

static Value lane_mask(Sched *s, Value left, unsigned lanes)
{
    Builder b = sched_at(s, s->top);
    Value iota = build_iota(&b, DTYPE_I32, lanes);
    return build_op2(&b, OP_LT, iota, build_cast(&b, left, DTYPE_I32));
}

// Binds the axis at the current level and emits what is inside.
static void emit_bound(Sched *s, Node *node, Value base, unsigned count, unsigned lanes,
                       int64_t left, Value end)
{
    AxisState *axis = &s->axes[node->axis.i];
    axis->step = node->aligned ? (int64_t)node->count * (lanes ? lanes : 1) : 1;
    axis->level = s->top;
    axis->base = base;
    axis->count = count;
    axis->lanes = lanes;
    axis->mask = arena_array(s->arena, Value, count);
    axis->left = arena_array(s->arena, Value, count);
    axis->first = 0;
    for (unsigned k = 0; k < count && lanes; k++) {
        if (left >= (int64_t)(k + 1) * lanes) continue;
        Builder b = sched_at(s, s->top);
        Value remaining = build_i64(&b, (left >= 0 ? left : 0) - (int64_t)k * lanes);
        if (left < 0)
            remaining = build_op2(&b, OP_ADD, build_op2(&b, OP_SUB, end, base), remaining);
        axis->mask[k] = lane_mask(s, remaining, lanes);
        axis->left[k] = remaining;
    }
    emit_children(s, node);
    axis->level = -1;
}

// Whether the iterations of a node's loop depend on each other in sums and extremes only.
static bool is_parallel(const Sched *s, const Node *node)
{
    for (uint32_t i = 0; i < node->roots.count; i++) {
        const Root *root = s->roots.data[node->roots.data[i]];
        if (root->kind == ROOT_PRINT) return false;
        if (root_computes(root) && (root->reduced & axis_bit(node->axis)) &&
            root->kind != ROOT_REDUCE)
            return false;
        if (root->kind != ROOT_FOLD) continue;
        const Inst *in = inst_at(s->tile, root->inst); // each iteration its own elements?
        bool apart = false;
        for (unsigned k = first_index(in); k < inst_plain_args(in); k++)
            apart |= unit_lanes(s, inst_arg(s->tile, in, k), node->axis);
        if (!apart) return false;
    }
    return true;
}

// `left`: how many indices the last vectors still cover (-1: ask at run time; INT64_MAX: all).
static void emit_loop(Sched *s, Node *node, Value lo, Value hi, int64_t step, unsigned count,
                      unsigned lanes, int64_t left)
{
    unsigned n = gather_carried(s, node, NULL);
    Value *carried = arena_array(s->arena, Value, n + 1);
    gather_carried(s, node, carried);
    Builder b = sched_at(s, s->top);
    Value index;
    Value *inside = open_for(s, lo, hi, build_i64(&b, step), carried, n, &index);
    if (is_parallel(s, node)) inst_at(s->f, s->levels[s->top - 1].child)->attr.kind = LOOP_GRID;
    value_at(s->f, index)->name = axis_at(s->tile, node->axis)->name;
    scatter_carried(s, node, inside);
    emit_bound(s, node, index, count, lanes, left, hi);
    gather_carried(s, node, carried);
    scatter_carried(s, node, close_for(s, carried, n));
}

static void emit_straight(Sched *s, Node *node, Value base, int64_t size, unsigned lanes)
{
    int64_t per = lanes ? lanes : 1;
    push_level(s, s->levels[s->top].region);
    emit_bound(s, node, base, (unsigned)((size + per - 1) / per), lanes, size, (Value){0});
    pop_level(s);
}

static void emit_rows(Sched *s, Node *node, Value begin, int64_t groups, unsigned count)
{
    if (!groups) return;
    if (groups == 1) {
        emit_straight(s, node, begin, count, 0);
        return;
    }
    Builder b = sched_at(s, s->top);
    Value end = build_op2(&b, OP_ADD, begin, build_i64(&b, groups * count));
    emit_loop(s, node, begin, end, count, count, 0, INT64_MAX);
}

// The first of all groups packs what the others read (first_rows.c). Says where the next begin.
static Value emit_groups(Sched *s, Node *node, Value begin, int64_t groups, unsigned count,
                         bool aligned)
{
    if (!groups) return begin;
    bool first = begin.i == s->axes[node->axis.i].begin.i && first_rows_fill(s, node, true);
    node->aligned = aligned;
    emit_rows(s, node, begin, first ? 1 : groups, count);
    Builder b = sched_at(s, s->top);
    Value next = build_op2(&b, OP_ADD, begin, build_i64(&b, (first ? 1 : groups) * count));
    if (!first) return next;
    first_rows_fill(s, node, false);
    return emit_groups(s, node, next, groups - 1, count, aligned);
}

// Rows are shared out evenly: 127 rows by 6 are 17 groups of 6 and 5 of 5, not a last one of 1.
static void emit_even(Sched *s, Node *node, int64_t size)
{
    if (node->groups) {
        int64_t whole = size / node->count;
        Value lo = s->axes[node->axis.i].begin;
        node->aligned = true;
        emit_rows(s, node, lo, whole, node->count);
        Builder at = sched_at(s, s->top);
        lo = build_op2(&at, OP_ADD, lo, build_i64(&at, whole * node->count));
        emit_rows(s, node, lo, size % node->count ? 1 : 0, (unsigned)(size % node->count));
        return;
    }
    int64_t groups = (size + node->count - 1) / node->count, least = size / groups;
    int64_t more = size - groups * least; // groups that have one more
    Value begin = s->axes[node->axis.i].begin;
    begin = emit_groups(s, node, begin, more, (unsigned)least + 1,
                        least == node->count || least + 1 == node->count);
    emit_groups(s, node, begin, groups - more, (unsigned)least, more == 0 && least == node->count);
}

static void emit_known(Sched *s, Node *node, int64_t size, unsigned lanes)
{
    if (!lanes) {
        emit_even(s, node, size);
        return;
    }
    node->aligned = true;
    const AxisState *axis = &s->axes[node->axis.i];
    int64_t step = (int64_t)node->count * lanes, whole = size / step * step;
    if (whole == step && size == step) {
        emit_straight(s, node, axis->begin, size, lanes);
        return;
    }
    Builder b = sched_at(s, s->top);
    Value middle = build_op2(&b, OP_ADD, axis->begin, build_i64(&b, whole));
    if (whole && size > whole && group_shares(s)) { // one loop to be dealt, with tests
        emit_loop(s, node, axis->begin, axis->end, step, node->count, lanes, -1);
        return;
    }
    if (whole == step)
        emit_straight(s, node, axis->begin, step, lanes);
    else if (whole)
        emit_loop(s, node, axis->begin, middle, step, node->count, lanes, INT64_MAX);
    if (size > whole) emit_straight(s, node, middle, size - whole, lanes);
}

// What is left of the last group, as a loop that runs once for one of its sizes.
static void emit_last_group(Sched *s, Node *node, Value middle, Value end)
{
    for (unsigned count = 1; count < node->count; count++) {
        Builder b = sched_at(s, s->top);
        Value left = build_op2(&b, OP_SUB, end, middle);
        Value fits = build_op2(&b, OP_EQ, left, build_i64(&b, count));
        Value stop = build_op3(&b, OP_SELECT, fits, end, middle);
        emit_loop(s, node, middle, stop, node->count, count, 0, INT64_MAX);
    }
}

static void emit_unknown(Sched *s, Node *node, unsigned lanes)
{
    const AxisState *axis = &s->axes[node->axis.i];
    int64_t per = lanes ? lanes : 1, step = (int64_t)node->count * per;
    Builder b = sched_at(s, s->top);
    Value begin = axis->begin, end = axis->end, middle = begin;
    node->aligned = true;
    if (lanes && group_shares(s)) {
        emit_loop(s, node, begin, end, step, node->count, lanes, -1);
        return;
    }
    if (node->count > 1 || lanes) {
        Value size = build_op2(&b, OP_MAX, build_op2(&b, OP_SUB, end, begin), build_i64(&b, 0));
        Value whole = build_op2(&b, OP_SUB, size, build_op2(&b, OP_REM, size, build_i64(&b, step)));
        middle = build_op2(&b, OP_ADD, begin, whole);
        emit_loop(s, node, begin, middle, step, node->count, lanes, INT64_MAX);
    }
    if (node->groups) {
        emit_last_group(s, node, middle, end);
        return;
    }
    node->aligned = node->count == 1;
    emit_loop(s, node, middle, end, per, 1, lanes, -1);
}

// One index after the other, from the end if what is combined says so; just the last where it needs
// no other.
static void emit_alone(Sched *s, Node *node)
{
    const AxisState *axis = &s->axes[node->axis.i];
    const Root *root = s->roots.data[node->alone - 1];
    unsigned n = gather_carried(s, node, NULL);
    Value *carried = arena_array(s->arena, Value, n + 1);
    gather_carried(s, node, carried);
    Builder b = sched_at(s, s->top);
    Value one = build_i64(&b, 1), begin = axis->begin, end = axis->end,
          last = build_op2(&b, OP_SUB, end, one), index;
    bool reverse =
        root->kind == ROOT_COMBINE && (inst_at(s->tile, root->inst)->flags & INST_REVERSE);
    if (combine_visits_last(s, root)) {
        if (reverse)
            end = build_op2(&b, OP_MIN, end, build_op2(&b, OP_ADD, begin, one));
        else
            begin = build_op2(&b, OP_MAX, begin, last);
        reverse = false;
    }
    scatter_carried(s, node, open_for(s, begin, end, one, carried, n, &index));
    b = sched_at(s, s->top);
    if (reverse) index = build_op2(&b, OP_ADD, begin, build_op2(&b, OP_SUB, last, index));
    emit_bound(s, node, index, 1, 0, INT64_MAX, end);
    gather_carried(s, node, carried);
    scatter_carried(s, node, close_for(s, carried, n));
}

// One index after the other, each where the one before it says.
static void emit_search(Sched *s, Node *node)
{
    const Root *root = s->roots.data[node->alone - 1];
    Value carried[2] = {root->acc[0], root->acc[1]}, end = root->acc[1], turn;
    Builder b = sched_at(s, s->top);
    Value zero = build_i64(&b, 0), one = build_i64(&b, 1), steps = search_steps(s, root);
    scatter_carried(s, node, open_for(s, zero, steps, one, carried, 2, &turn));
    Value middle = search_middle(s, root, end);
    emit_bound(s, node, middle, 1, 0, INT64_MAX, end);
    gather_carried(s, node, carried);
    scatter_carried(s, node, close_for(s, carried, 2));
}

static void root_begin(Sched *s, Root *root)
{
    if (root->kind == ROOT_COMBINE)
        combine_begin(s, root);
    else if (root->kind == ROOT_SORT)
        sort_begin(s, root);
    else if (root->kind == ROOT_SEARCH)
        search_begin(s, root);
    else
        reduce_begin(s, root);
}

static void root_finish(Sched *s, Root *root)
{
    if (root->kind == ROOT_COMBINE)
        combine_finish(s, root);
    else if (root->kind == ROOT_SORT)
        sort_finish(s, root);
    else if (root->kind == ROOT_SEARCH)
        search_finish(s, root);
    else
        reduce_finish(s, root);
}

static void emit_node(Sched *s, Node *node)
{
    const AxisState *axis = &s->axes[node->axis.i];
    unsigned lanes = node->vector && s->lanes > 1 ? s->lanes : 0;
    VEC(Root *) begun = {0};
    for (uint32_t i = 0; i < node->roots.count; i++) {
        Root *root = s->roots.data[node->roots.data[i]];
        if (!root_computes(root) || !(root->reduced & axis_bit(node->axis)) || root->acc) continue;
        root_begin(s, root);
        vec_push(s->arena, &begun, root);
    }
    if (s->failed) return;
    const Root *alone = node->alone ? s->roots.data[node->alone - 1] : NULL;
    if (alone && alone->kind == ROOT_SEARCH && (alone->reduced & axis_bit(node->axis)))
        emit_search(s, node);
    else if (alone)
        emit_alone(s, node);
    else if (axis->size_const > 0)
        emit_known(s, node, axis->size_const, lanes);
    else if (axis->size_const < 0)
        emit_unknown(s, node, lanes);
    for (uint32_t i = 0; i < begun.count; i++) root_finish(s, begun.data[i]);
}

void emit_tree(Sched *s, Node *tree)
{
    emit_children(s, tree);
}

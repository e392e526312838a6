// Chooses the values that are kept in scratch instead of being recomputed (softmax's exponentials,
// packed operands of contractions), and lays out the scratch.
#include "passes/schedule/sched.h"

enum {
    KEEP_COST = 8,
    NESTED_COST = 4,
    FACTOR_COST = 2, // a factor that is read once for each of many products
    PACK_ROWS_MIN = 16,
    PACK_PLAIN_ROWS = 22,
    DENSE_STRIDE = 256,
    PLACE_DEPTH = 8,
    PACK_ON_THE_WAY = 2 // of pack_T
};
static const int64_t SCRATCH_ELEMENTS_MAX = (int64_t)1 << 24;

static int64_t tile_elements(const Sched *s, AxisSet axes)
{
    int64_t n = 1;
    for (unsigned a = 1; a < AXES_MAX; a++) {
        if (!(axes >> a & 1)) continue;
        int64_t size = s->axes[a].size_max;
        if (size < 0 || __builtin_mul_overflow(n, size < 1 ? 1 : size, &n)) return -1;
    }
    return n;
}

static bool fits(const Sched *s, AxisSet axes)
{
    int64_t n = tile_elements(s, axes);
    return n >= 0 && n <= SCRATCH_ELEMENTS_MAX;
}

bool keep_fits(const Sched *s, AxisSet axes)
{
    return fits(s, axes);
}

static const Node *common_node(const Node *a, const Node *b)
{
    while (a && !node_encloses(a, b)) a = a->parent;
    return a;
}

static bool recomputed_in_loops(const Sched *s, const Root *root, AxisSet axes)
{
    AxisSet open = 0, left = axes;
    for (unsigned k = 0; k < root->order_count && left; k++) {
        left &= ~axis_bit(root->order[k]);
        if (s->axes[root->order[k].i].size_max != 1) open |= axis_bit(root->order[k]);
        if (!left) return (open & ~axes) != 0;
    }
    return false;
}

// An axis's index, moved, clamped or wrapped.
static bool follows_index(const Func *f, Value v, int depth)
{
    int64_t divisor;
    const Inst *in = value_def(f, v);
    if (!value_axes(f, v)) return true;
    if (!in || !depth) return false;
    if (in->op == OP_INDEX) return true;
    bool known = in->op == OP_ADD || in->op == OP_SUB || in->op == OP_MIN || in->op == OP_MAX ||
                 in->op == OP_LT || in->op == OP_SELECT ||
                 (in->op == OP_REM && value_const_int(f, inst_arg(f, in, 1), &divisor));
    if (!known) return false;
    for_each_arg(f, in, k, arg)
        if (!follows_index(f, arg, depth - 1)) return false;
    return true;
}

// Whether v does nothing but say where to read. Kept, nobody would know that it grows by one from
// lane to lane (passes/consecutive.c).
static bool is_place(const Func *f, Value v)
{
    if (value_dtype(f, v) != DTYPE_I64 || !follows_index(f, v, PLACE_DEPTH)) return false;
    for (uint32_t i = 1; i < f->insts.count; i++) {
        const Inst *in = inst_at(f, (InstId){i});
        if (in->flags & INST_DEAD || in->op == OP_LOAD_TILE) continue;
        for_each_arg(f, in, k, arg)
            if (arg.i == v.i) return false;
    }
    return true;
}

static bool worth_keeping(Sched *s, Value v)
{
    const ValueState *state = &s->values[v.i];
    AxisSet axes = value_axes(s->tile, v);
    const Inst *in = value_def(s->tile, v);
    if (!axes || !in || !state->users.count || is_boundary(s, v) || !fits(s, axes)) return false;
    const Segment *home = s->segment_at[value_at(s->tile, v)->def.i];
    float cost = value_cost(s, v) * KEEP_COST / (float)s->keep_cost;
    if (!home || cost < FACTOR_COST || is_place(s->tile, v)) return false;
    for (uint32_t i = 0; i < state->users.count; i++) {
        const Root *user = s->roots.data[state->users.data[i]];
        if (user->segment->region.i != home->region.i && cost >= NESTED_COST) return true;
        bool again = recomputed_in_loops(s, user, axes);
        if (again && user->contraction) return true;
        if (cost < KEEP_COST) continue;
        if (again) return true;
        for (uint32_t j = 0; j < i; j++) {
            const Root *other = s->roots.data[state->users.data[j]];
            if (other->segment != user->segment) return true;
            const Node *both = common_node(other->parent, user->parent);
            if (axes & ~both->opened) return true;
        }
    }
    return false;
}

Root *keep_value(Sched *s, Value v)
{
    InstId def = value_at(s->tile, v)->def;
    Root *root = root_add(s, s->segment_at[def.i], ROOT_KEEP, (InstId){0}, v, s->order[def.i]);
    root->slot = slot_new(s, root->axes, value_dtype(s->tile, v));
    return root;
}

static bool stays_in_cache(const Sched *s, Mem mem)
{
    const Inst *decl = inst_at(s->tile, mem_at(s->tile, mem)->decl);
    int64_t bytes = dtype_info[mem_at(s->tile, mem)->dtype].bits / 8, size;
    for_each_arg(s->tile, decl, k, v)
        if (!value_const_int(s->tile, v, &size) || __builtin_mul_overflow(bytes, size, &bytes))
            return false;
    return bytes <= s->context->machine->l2_bytes / 2;
}

// Rows close together are read in place: packing them would only copy. Those that come from far
// away only if they are consecutive, as the CPU then sees what comes next.
static bool dense(const Sched *s, const Inst *in, AxisSet reduced, int64_t columns)
{
    int64_t most = stays_in_cache(s, (Mem){in->attr.ref}) ? DENSE_STRIDE : columns;
    if (most > DENSE_STRIDE) most = DENSE_STRIDE;
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((reduced >> a & 1) && axis_stride(s, in, 0, (Axis){a}) > most) return false;
    return true;
}

static bool pack_operand(Sched *s, const Root *root, Value x)
{
    AxisSet axes = value_axes(s->tile, x);
    if (!root->vector.i || !root->row.i || is_boundary(s, x) || !fits(s, axes)) return false;
    if (!(axes & axis_bit(root->vector)) || (axes & axis_bit(root->row))) return false;
    const Inst *in = value_def(s->tile, x);
    if (!in || !s->segment_at[value_at(s->tile, x)->def.i]) return false;
    int64_t rows = tile_elements(s, root->axes & ~root->reduced & ~axes); // that read it
    bool plain = in->op == OP_LOAD_TILE && lane_coefficient(s, in, 0, root->vector) == LANE_UNIT;
    int64_t least = plain ? PACK_PLAIN_ROWS : PACK_ROWS_MIN;
    int64_t pack = (rows < 0 || rows >= least) &&
                   !(plain && dense(s, in, root->reduced, s->axes[root->vector.i].size_max));
    if (plain && pack) pack = PACK_ON_THE_WAY;
    if (in->op == OP_LOAD_TILE) {
        Str name = mem_at(s->tile, (Mem){in->attr.ref})->name;
        pack = config_get_axis(s->context->config, "pack", name, pack);
    }
    if (pack) panel_new(s, root, x)->on_the_way = plain && pack >= PACK_ON_THE_WAY;
    return pack != 0;
}

Root *panel_new(Sched *s, const Root *root, Value x)
{
    AxisSet axes = value_axes(s->tile, x);
    Root *keep = keep_value(s, x);
    keep->packs = true;
    keep->vector = root->vector;
    keep->slot->panel_axis = root->vector;
    keep->order_count = 0;
    keep->turned = turned_axis(s, x, root->vector, axes & root->reduced);
    AxisSet last = axis_bit(keep->turned.i ? keep->turned : root->vector);
    order_append(s, keep, axes & ~last);
    order_append(s, keep, last);
    return keep;
}

// How well lanes along the axis load what v is computed from, of that which varies along `both`.
static int lanes_fit(const Sched *s, Value v, Axis a, AxisSet both, unsigned depth)
{
    const Inst *in = value_def(s->tile, v);
    if (!in || !depth || is_boundary(s, v) || in->region_count) return 0;
    if (both & ~value_axes(s->tile, v)) return 0;
    if (in->op == OP_LOAD_TILE) {
        int kind = lane_coefficient(s, in, 0, a);
        return kind == LANE_UNIT ? 1 : kind == LANE_NONE ? 0 : -1;
    }
    int sum = 0;
    for_each_arg(s->tile, in, k, arg) sum += lanes_fit(s, arg, a, both, depth - 1);
    return sum;
}

// Rows are read one element at a time, from where they are, unless that means converting each
// element for every column, or a step in memory for each.
static bool reads_in_place(const Sched *s, const Inst *in, Axis reduced)
{
    if (in->op != OP_LOAD_TILE) return false;
    DType storage = mem_at(s->tile, (Mem){in->attr.ref})->dtype;
    return dtype_info[storage].arith == storage && lane_coefficient(s, in, 0, reduced) == LANE_UNIT;
}

// Whether v comes from tensors alone: then it can be packed before everything else.
static bool from_tensors(const Sched *s, Value v, unsigned depth)
{
    const Inst *in = value_def(s->tile, v);
    if (!in || !depth || in->region_count || in->op == OP_REDUCE || in->op == OP_SORT) return false;
    if (s->values[v.i].global.i) return true;
    if (is_boundary(s, v)) return false;
    for_each_arg(s->tile, in, k, arg)
        if (!from_tensors(s, arg, depth - 1)) return false;
    return true;
}

static Axis last_sized(const Sched *s, AxisSet axes)
{
    for (unsigned a = AXES_MAX - 1; a > 0; a--)
        if ((axes >> a & 1) && s->axes[a].size_max != 1) return (Axis){a};
    return (Axis){0};
}

// The operand that varies along the rows: converted once for all columns, or (where rows are
// neighbours in memory) brought together for each of the reduced indices.
static bool pack_rows(Sched *s, const Root *root, Value x)
{
    AxisSet axes = value_axes(s->tile, x);
    Axis k = last_sized(s, axes & root->reduced);
    if (!root->vector.i || !root->row.i || !k.i || is_boundary(s, x) || !fits(s, axes))
        return false;
    if ((axes & axis_bit(root->vector)) || !(axes & axis_bit(root->row))) return false;
    const Inst *in = value_def(s->tile, x);
    if (!in || !s->segment_at[value_at(s->tile, x)->def.i] || !from_tensors(s, x, 16)) return false;
    int64_t columns = s->axes[root->vector.i].size_max;
    AxisSet both = axis_bit(root->row) | axis_bit(k);
    bool across = lanes_fit(s, x, root->row, both, 8) > lanes_fit(s, x, k, both, 8);
    bool pack = !reads_in_place(s, in, k) && (columns < 0 || columns > s->lanes);
    if (in->op == OP_LOAD_TILE) {
        Str name = mem_at(s->tile, (Mem){in->attr.ref})->name;
        pack = config_get_axis(s->context->config, "pack", name, pack) != 0;
    }
    if (!pack) return false;
    Root *keep = keep_value(s, x);
    keep->packs = true;
    keep->vector = across ? (Axis){0} : k;
    if (across) keep->slot->panel_axis = root->row;
    AxisSet lanes = axis_bit(across ? root->row : k);
    order_append(s, keep, axes & ~root->reduced & ~lanes);
    order_append(s, keep, axes & root->reduced & ~lanes);
    order_append(s, keep, lanes);
    return true;
}

// A factor that the lanes would gather anew in each iteration of the loops that it lacks, as the
// taps of a convolution of each channel by itself: gathered once.
static bool pack_taps(Sched *s, const Root *root)
{
    const Inst *product =
        root->kind == ROOT_REDUCE ? sum_product(s->tile, inst_at(s->tile, root->inst)) : NULL;
    if (!product || !root->vector.i || (root->reduced & axis_bit(root->vector))) return false;
    for_each_arg(s->tile, product, k, x) {
        const Inst *in = value_def(s->tile, x);
        AxisSet axes = value_axes(s->tile, x);
        if (!in || in->op != OP_LOAD_TILE || is_boundary(s, x) || !fits(s, axes)) continue;
        int kind = lane_coefficient(s, in, 0, root->vector);
        int64_t times = tile_elements(s, root->axes & ~root->reduced & ~axes);
        bool pack =
            (kind == LANE_STRIDED || kind == LANE_GATHER) && (times < 0 || times >= PACK_ROWS_MIN);
        Str name = mem_at(s->tile, (Mem){in->attr.ref})->name;
        if (!pack || !config_get_axis(s->context->config, "pack", name, 1)) continue;
        panel_new(s, root, x);
        return true;
    }
    return false;
}

static bool pack_operands(Sched *s)
{
    for (uint32_t i = 0; i < s->roots.count; i++) {
        Root *root = s->roots.data[i];
        if (root->group) continue;
        if (!root->contraction) {
            if (pack_taps(s, root)) return true;
            continue;
        }
        if (tiles_choose(s, root) || dot_choose(s, root)) return true;
        for (unsigned k = 0; k < 2; k++) {
            Value x = root->pair[k];
            if (group_shares(s)) {
                if (root->column.i || (!group_pack(s, root, x, root->vector, root->row) &&
                                       !group_pack(s, root, x, root->row, root->vector)))
                    continue;
                root->packed = true;
                return true;
            }
            if (!pack_operand(s, root, x) && !pack_rows(s, root, x)) continue;
            root->packed = true;
            return true;
        }
    }
    return false;
}

// Carried values that read each other in a circle (a swap) go through a copy.
static bool break_circle(Sched *s, Segment *segment)
{
    for (uint32_t i = 0; i < segment->roots.count; i++) {
        const Root *first = s->roots.data[segment->roots.data[i]];
        if (first->kind != ROOT_CARRY) continue;
        // One that reads itself at other indices does as well.
        for (uint32_t j = first->slot->taken ? i : i + 1; j < segment->roots.count; j++) {
            Root *later = s->roots.data[segment->roots.data[j]];
            if (later->from) continue;
            if (later->kind != ROOT_CARRY) continue;
            bool reads = false;
            for (uint32_t v = 1; v < s->tile->values.count && !reads; v++) {
                if (s->values[v].slot != first->slot) continue;
                for (uint32_t u = 0; u < s->values[v].users.count; u++)
                    reads |= s->values[v].users.data[u] == segment->roots.data[j];
            }
            if (!reads) continue;
            Root *copy =
                root_add(s, segment, ROOT_CARRY, (InstId){0}, later->value, first->position - 1);
            copy->axes = later->slot->axes;
            copy->slot = slot_new(s, later->slot->axes, later->slot->dtype);
            later->from = copy->slot;
            return true;
        }
    }
    return false;
}

static void plan_all(Sched *s)
{
    uses_find(s);
    for (uint32_t i = 0; i < s->segments.count; i++) {
        Segment *segment = s->segments.data[i];
        segment->rows = 0;
        for (uint32_t k = 0; k < 2 * segment->roots.count;
             k++) // contractions first: they say which axes are rows
            order_root(s, s->roots.data[segment->roots.data[k % segment->roots.count]]);
        tree_build(s, segment);
    }
}

void keep_choose(Sched *s)
{
    s->keep_cost = KEEP_COST;
    config_get(s->context->config, STR("keep"), &s->keep_cost);
    for (bool again = true; again;) {
        plan_all(s);
        again = false;
        for (uint32_t i = 0; i < s->segments.count && !again; i++)
            again = break_circle(s, s->segments.data[i]);
        if (!again) again = pack_operands(s);
        for (uint32_t v = s->tile->values.count - 1; v > 0 && !again; v--) {
            if (!worth_keeping(s, (Value){v})) continue;
            keep_value(s, (Value){v});
            again = true;
        }
    }
}

// Panels are as wide as the register block that reads them.
static void size_panel(Sched *s, const Root *keep)
{
    Slot *slot = keep->slot;
    const ValueState *state = &s->values[keep->value.i];
    Node *node = node_of_axis(keep->parent, slot->panel_axis);
    unsigned lanes = node->vector && s->lanes > 1 ? s->lanes : 1;
    unsigned count = 1;
    for (uint32_t i = state->users.count; i-- > 0;) {
        const Root *user = s->roots.data[state->users.data[i]];
        const Node *reader = node_of_axis(user->parent, slot->panel_axis);
        if (user->kind == ROOT_REDUCE && reader) count = reader->count;
    }
    node->count = count;
    slot->panel = (int64_t)count * lanes;
}

// Where the result lies innermost.
static Axis inner_axis(const Sched *s, const Root *root, AxisSet axes)
{
    if (root->kind == ROOT_SORT) return (Axis){inst_at(s->tile, root->inst)->attr.ref};
    if (root->packs && root->row.i) return root->row;
    return axes & axis_bit(root->vector) ? root->vector : (Axis){0};
}

// Scratch for a result that is read outside the loops that compute it.
static void place_result(Sched *s, Root *root, Value value, Slot **slot)
{
    AxisSet axes = value_axes(s->tile, value), shared = axes;
    const ValueState *state = &s->values[value.i];
    bool needed = root->kind == ROOT_KEEP || root->kind == ROOT_SORT || (axes & root->reduced) ||
                  state->taken; // else: if a user is elsewhere
    const Node *home = root_home(root);
    for (uint32_t i = 0; i < state->users.count; i++) {
        const Root *user = s->roots.data[state->users.data[i]];
        AxisSet common =
            user->segment == root->segment ? common_node(home, user->parent)->opened : 0;
        shared &= common;
        needed |= (axes & ~common) != 0;
    }
    // A scalar that only a loop's condition or what it carries looks at takes an element.
    bool alone = state->taken && !state->users.count;
    if (alone) shared = 0;
    bool read = state->users.count || alone || root->kind == ROOT_KEEP;
    if (!axes || !needed || !read) return;
    if (!*slot) *slot = slot_new(s, axes, value_dtype(s->tile, value));
    s->values[value.i].slot = *slot;
    (*slot)->shared = root->inst.i && root->kind == ROOT_KEEP ? 0 : shared;
    for (unsigned a = 1; a < AXES_MAX; a++) {
        if (!((*slot)->shared >> a & 1)) continue;
        const Node *node = node_of_axis(home, (Axis){a});
        (*slot)->stride[a] = (int64_t)node->count * (node->vector && s->lanes > 1 ? s->lanes : 1);
    }
    if ((*slot)->panel_axis.i) size_panel(s, root);
    slot_place(s, *slot, inner_axis(s, root, axes));
}

static void place_root(Sched *s, Root *root)
{
    if (!root_computes(root) || root->kind == ROOT_REDUCE) {
        place_result(s, root, root->value, &root->slot);
        return;
    }
    const Inst *in = inst_at(s->tile, root->inst);
    for (unsigned k = 0; k < in->result_count; k++)
        place_result(s, root, inst_result(in, k), &root->slots[k]);
}

void keep_place(Sched *s)
{
    for (uint32_t i = 0; i < s->roots.count; i++) {
        Root *root = s->roots.data[i];
        if (root_computes(root) || root->kind == ROOT_KEEP || root->kind == ROOT_ATOMIC)
            place_root(s, root);
    }
    for (uint32_t i = 0; i < s->roots.count; i++) {
        Root *root = s->roots.data[i];
        if (root->slot && !root->slot->placed)
            slot_place(s, root->slot,
                       root->slot->axes & axis_bit(root->vector) ? root->vector : (Axis){0});
    }
}

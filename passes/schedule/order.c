// For each root: which axis becomes lanes, in which order its axes are opened, and whether it is a
// contraction whose result is kept in a block of registers.
#include "passes/schedule/sched.h"

enum {
    SCORE_UNIT = 3,
    SCORE_STORE = 4,
    SCORE_STRIDED = -4,
    SCORE_GATHER = -3,
    SCORE_PACKABLE = -1,
    SCORE_ONCE = -1,
    SCORE_REDUCED = -1,
    SCORE_SHORT = -2,         // few lanes have work
    SCORE_SHORT_REDUCED = -7, // and each result costs a reduction of a whole vector
    SCORE_WINDOW = -3,        // elsewhere lanes are as near, and need none
    SCORE_SHORT_PRODUCT = -8, // most of the work of a contraction is done for nothing
    SCORE_SHORT_KEPT = -10,   // and of what is kept most of the scratch is empty
    SCORE_NEAR = -2,          // strided, but by few elements: of what is kept ...
    NEAR_STRIDE = 4,          // ... this is all that tells axes apart, where none is contiguous
    SCORE_LAST = 1,
    FEW_VECTORS = 8, // to which a reduction of a vector adds much
    ROW_MIN = 128,
    ATOMIC_COST = 8
};

static bool sized(const Sched *s, unsigned axis)
{
    return s->axes[axis].size_max != 1;
}

static AxisSet sized_axes(const Sched *s, AxisSet axes)
{
    AxisSet result = 0;
    for (unsigned a = 1; a < AXES_MAX; a++)
        if (axes >> a & 1 && sized(s, a)) result |= (AxisSet)1 << a;
    return result;
}

static AxisSet long_axes(const Sched *s, AxisSet axes)
{
    for (unsigned a = 1; a < AXES_MAX; a++)
        if (s->axes[a].size_max > 0 && s->axes[a].size_max < s->lanes) axes &= ~((AxisSet)1 << a);
    return axes;
}

typedef struct Score {
    Sched *s;
    Axis axis;
    AxisSet reduced; // by loops inside: what lacks these is loaded once for all their turns
    AxisSet results; // long enough for lanes
    bool contraction, keeps;
    bool is_window; // x[n + k]: consecutive along a result as well
    int sum;
} Score;

// Along which axis a carried variable is written, by the first of its assignments that has lanes.
static Axis carried_lanes(const Sched *s, const Slot *slot)
{
    for (uint32_t i = 0; slot && i < s->roots.count; i++) {
        const Root *root = s->roots.data[i];
        if (root->kind == ROOT_CARRY && root->slot == slot && root->vector.i) return root->vector;
    }
    return (Axis){0};
}

// Kept values lie along the lanes of their producer; carried ones along those of what they start
// from or, most likely, along their last axis.
static int score_kept(const Sched *s, Value v, Axis axis)
{
    const ValueState *state = &s->values[v.i];
    if (state->root) {
        const Root *producer = s->roots.data[state->root - 1];
        if (producer->kind == ROOT_SORT)
            return inst_at(s->tile, producer->inst)->attr.ref == axis.i ? SCORE_UNIT
                                                                        : SCORE_STRIDED;
        if (!producer->vector.i || !(value_axes(s->tile, v) & axis_bit(producer->vector))) return 0;
        return producer->vector.i == axis.i ? SCORE_UNIT : SCORE_STRIDED;
    }
    Axis lanes = carried_lanes(s, state->slot);
    if (lanes.i) return lanes.i == axis.i ? SCORE_UNIT : SCORE_STRIDED;
    AxisSet above = value_axes(s->tile, v) >> axis.i >> 1;
    return above ? 0 : SCORE_LAST;
}

// Lanes along an index are consecutive if the value lies along the axis that it replaces.
static void score_take(Score *score, const Inst *in)
{
    Sched *s = score->s;
    Value v = inst_arg(s->tile, in, 0);
    unsigned next = 1;
    if ((value_axes(s->tile, v) & ~in->attr.bits) >> score->axis.i & 1)
        score->sum += score_kept(s, v, score->axis);
    for (AxisSet rest = in->attr.bits; rest; rest &= rest - 1, next++) {
        Value index = inst_arg(s->tile, in, next);
        if (!(value_axes(s->tile, index) >> score->axis.i & 1)) continue;
        bool unit = unit_lanes(s, index, score->axis);
        Axis a = {(uint32_t)__builtin_ctzll(rest)};
        score->sum += unit ? score_kept(s, v, a) : SCORE_GATHER;
    }
}

static void score_value(Score *score, Value v);

static void score_definition(Score *score, Value v)
{
    Sched *s = score->s;
    const Inst *in = value_def(s->tile, v);
    if (!in) return;
    if (in->op == OP_LOAD_TILE) {
        int kind = lane_coefficient(s, in, 0, score->axis);
        if (kind == LANE_UNIT) score->sum += SCORE_UNIT;
        for (unsigned a = 1; kind == LANE_UNIT && a < AXES_MAX; a++)
            if (score->results >> a & 1 && lane_coefficient(s, in, 0, (Axis){a}) == LANE_UNIT)
                score->is_window = true;
        bool once = score->reduced && !(value_axes(s->tile, v) & score->reduced);
        bool near = score->keeps && axis_stride(s, in, 0, score->axis) <= NEAR_STRIDE;
        if (kind == LANE_STRIDED)
            score->sum += score->contraction ? SCORE_PACKABLE
                          : once             ? SCORE_ONCE
                          : near             ? SCORE_NEAR
                                             : SCORE_STRIDED;
        if (kind == LANE_GATHER) score->sum += SCORE_GATHER;
        return;
    }
    if (in->op == OP_TAKE) {
        score_take(score, in);
        return;
    }
    for_each_arg(s->tile, in, k, arg) score_value(score, arg);
}

static void score_value(Score *score, Value v)
{
    Sched *s = score->s;
    ValueState *state = &s->values[v.i];
    if (state->mark == s->mark) return;
    state->mark = s->mark;
    if (!(value_axes(s->tile, v) >> score->axis.i & 1)) return;
    if (is_boundary(s, v))
        score->sum += score_kept(s, v, score->axis);
    else
        score_definition(score, v);
}

// Operands can be packed, results must be stored as they come out.
static int score_result(const Sched *s, const Root *root, Axis axis)
{
    const ValueState *state = &s->values[root->value.i];
    for (uint32_t i = 0; i < state->users.count; i++) {
        const Root *user = s->roots.data[state->users.data[i]];
        if (user->kind != ROOT_STORE) continue;
        int kind = lane_coefficient(s, inst_at(s->tile, user->inst), 1, axis);
        if (kind == LANE_UNIT) return SCORE_STORE;
        if (kind == LANE_STRIDED || kind == LANE_GATHER) return SCORE_STRIDED;
    }
    return 0;
}

static int score_axis(Sched *s, const Root *root, Axis axis)
{
    AxisSet inside = root->kind == ROOT_REDUCE ? root->reduced & ~axis_bit(axis) : 0;
    bool reduced = root->reduced & axis_bit(axis);
    Score score = {
        s, axis, sized_axes(s, inside), 0, root->contraction, root->kind == ROOT_KEEP, false, 0};
    if (reduced) score.results = long_axes(s, root->axes & ~root->reduced);
    s->mark++;
    if (root->kind == ROOT_KEEP && !root->inst.i) {
        score_definition(&score, root->value);
    } else if (!root->inst.i) {
        score_value(&score, root->value);
    } else {
        const Inst *in = inst_at(s->tile, root->inst);
        for_each_arg(s->tile, in, k, v) score_value(&score, v);
        bool stores = root->kind == ROOT_STORE || root->kind == ROOT_FOLD;
        int kind = stores ? lane_coefficient(s, in, 1, axis) : LANE_NONE;
        if (kind == LANE_UNIT) score.sum += SCORE_STORE;
        if (kind == LANE_STRIDED || kind == LANE_GATHER) score.sum += SCORE_STRIDED;
        if (root->kind == ROOT_FOLD && kind != LANE_UNIT) score.sum += 4 * SCORE_STRIDED;
        if (root->kind == ROOT_KEEP) score.sum += kind == LANE_NONE ? 0 : 1;
    }
    if (root->contraction) score.sum += score_result(s, root, axis);
    int64_t size = s->axes[axis.i].size_max;
    bool few = size > 0 && size <= (int64_t)FEW_VECTORS * s->lanes;
    if (reduced) score.sum += SCORE_REDUCED + (score.is_window && few ? SCORE_WINDOW : 0);
    return score.sum;
}

// A sum of products with at least two result axes of some size: each operand element is used many
// times. On CPUs also sums, least and largest values of what else is computed of two.
static bool is_contraction(const Sched *s, Root *root)
{
    root->pair_kind = PAIR_NONE;
    if (root->kind != ROOT_REDUCE || !sized_axes(s, root->reduced)) return false;
    AxisSet result = sized_axes(s, root->axes & ~root->reduced);
    const Inst *in = inst_at(s->tile, root->inst);
    root->pair_kind = contraction_pair(s->tile, in, result, root->pair);
    return root->pair_kind == PAIR_PRODUCT || (root->pair_kind == PAIR_OTHER && !group_shares(s));
}

static Axis best_axis(Sched *s, const Root *root, AxisSet among)
{
    Axis best = {0};
    int best_score = 0;
    for (unsigned a = AXES_MAX - 1; a > 0; a--) {
        if (!(among >> a & 1) || !sized(s, a)) continue;
        int score = score_axis(s, root, (Axis){a});
        int64_t size = s->axes[a].size_max;
        if (size > 0 && size < 8) score += SCORE_SHORT;
        if (size > 0 && size < 16 && (root->reduced >> a & 1)) score += SCORE_SHORT_REDUCED;
        bool few = size > 0 && 4 * size <= s->lanes;
        if (few && root->contraction) score += SCORE_SHORT_PRODUCT;
        if (few && root->kind == ROOT_KEEP) score += SCORE_SHORT_KEPT;
        if (!best.i || score > best_score) {
            best = (Axis){a};
            best_score = score;
        }
    }
    return best;
}

static int64_t rank(const Sched *s, unsigned a)
{
    return config_get_axis(s->context->config, "order", axis_at(s->tile, (Axis){a})->name, 1);
}

void order_append(const Sched *s, Root *root, AxisSet axes)
{
    for (unsigned a = 1; a < AXES_MAX; a++)
        if (axes >> a & 1) root->order[root->order_count++] = (Axis){a};
    for (unsigned i = 1; i < root->order_count; i++) { // stable: few axes, mostly of one rank
        Axis moved = root->order[i];
        unsigned at = i;
        for (; at > 0 && rank(s, root->order[at - 1].i) > rank(s, moved.i); at--)
            root->order[at] = root->order[at - 1];
        root->order[at] = moved;
    }
}

// Outside the other reduced axes, so that the mask is computed once for all of these.
static AxisSet reduced_masked(const Sched *s, const Root *root)
{
    if (root->kind != ROOT_REDUCE) return 0;
    Value mask = inst_mask(s->tile, inst_at(s->tile, root->inst));
    return mask.i ? value_axes(s->tile, mask) & root->reduced : 0;
}

// Result axes outermost first, the lanes' axis last of them, where the Config's order_AXIS says
// nothing else; then the reduced ones.
static void put_order(const Sched *s, Root *root)
{
    root->order_count = 0;
    AxisSet lanes = root->vector.i ? axis_bit(root->vector) : 0;
    AxisSet turned = root->turned.i ? axis_bit(root->turned) : 0; // just outside the lanes
    order_append(s, root, root->axes & ~root->reduced & ~lanes & ~turned);
    for (unsigned a = 1; a < AXES_MAX; a++)
        if (turned >> a & 1) root->order[root->order_count++] = (Axis){a};
    order_append(s, root, root->axes & ~root->reduced & lanes);
    AxisSet masked = reduced_masked(s, root);
    AxisSet inner[3] = {root->reduced & ~lanes & masked, root->reduced & ~lanes & ~masked,
                        root->reduced & lanes};
    for (int p = 0; p < 3; p++)
        for (unsigned a = 1; a < AXES_MAX; a++)
            if (inner[p] >> a & 1) root->order[root->order_count++] = (Axis){a};
}

// An axis along which something that is loaded for v is contiguous, while it is not along the
// lanes.
static Axis turned_in(Sched *s, Value v, Axis lanes, AxisSet among)
{
    ValueState *state = &s->values[v.i];
    if (state->mark == s->mark || is_boundary(s, v)) return (Axis){0};
    state->mark = s->mark;
    const Inst *in = value_def(s->tile, v);
    if (!in || in->region_count) return (Axis){0};
    if (in->op == OP_LOAD_TILE) return turned_axis(s, v, lanes, among);
    for_each_arg(s->tile, in, k, arg) {
        Axis found = turned_in(s, arg, lanes, among);
        if (found.i) return found;
    }
    return (Axis){0};
}

// Lanes meet memory one by one, so that vectors pay only for what is computed before.
static float update_cost(Sched *s, const Root *root)
{
    float cost = 0;
    const Inst *in = inst_at(s->tile, root->inst);
    for_each_arg(s->tile, in, k, v) cost += value_cost(s, v);
    return cost;
}

static bool update_takes_lanes(Sched *s, const Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    Axis owner = s->owner[in->attr.ref];
    if (owner.i) return root->vector.i == owner.i && fold_lane(s, in, owner);
    return update_cost(s, root) >= ATOMIC_COST;
}

// What follows from a long row's reduction (its mean, its store) then stays with the row, which is
// still in the cache for its next pass, instead of waiting for as many rows as there are lanes.
static bool is_long(const Sched *s, Axis a)
{
    return s->axes[a.i].size_max < 0 || s->axes[a.i].size_max >= ROW_MIN;
}

// Lanes apart in memory are gathered: worth it for a chain of operations, not for a scan, whose
// results then lie across what reads them.
static bool combine_takes_lanes(Sched *s, const Root *root)
{
    bool scans = inst_at(s->tile, root->inst)->attr.kind == COMBINE_SCAN;
    int64_t size = s->axes[root->vector.i].size_max;
    return score_axis(s, root, root->vector) >= 0 || (!scans && (size < 0 || size >= 4));
}

// Whether x is read where it is by vectors along k, and not by such along the lanes.
static bool lies_along(const Sched *s, const Root *root, Value x, Axis k)
{
    const Inst *load = value_def(s->tile, x);
    return load && load->op == OP_LOAD_TILE && !is_boundary(s, x) &&
           lane_coefficient(s, load, 0, k) == LANE_UNIT &&
           lane_coefficient(s, load, 0, root->vector) != LANE_UNIT;
}

// Few rows: packing the columns' operand is not repaid. If it lies along the reduced axis, so do
// the lanes: each result is a sum over lanes. Few columns leave most lanes without work: if the
// rows' operand lies along the reduced axis and that is long, the few columns are brought there.
static bool reduces_lanes(const Sched *s, const Root *root, Axis k)
{
    enum { ROWS_MOST = 12, DEPTH_LEAST = 32, LONG = 192 };
    int64_t rows = 1, columns = s->axes[root->vector.i].size_max, depth = s->axes[k.i].size_max;
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((root->axes & ~root->reduced & ~axis_bit(root->vector)) >> a & 1)
            rows = s->axes[a].size_max < 0 || rows > ROWS_MOST ? ROWS_MOST + 1
                                                               : rows * s->axes[a].size_max;
    if (!k.i || (depth >= 0 && depth < DEPTH_LEAST)) return false;
    Value x = root->pair[0], y = root->pair[1];
    if (rows <= ROWS_MOST) return lies_along(s, root, x, k) && lies_along(s, root, y, k);
    bool narrow = columns > 0 && columns * 2 <= (int64_t)s->lanes && depth >= LONG;
    Value across = value_axes(s->tile, x) & axis_bit(root->vector) ? y : x;
    return narrow && lies_along(s, root, across, k);
}

// The axes of a contraction's factor that varies along the lanes: its vectors serve all rows along
// another axis.
AxisSet contraction_columns(const Sched *s, const Root *root)
{
    AxisSet left = value_axes(s->tile, root->pair[0]), right = value_axes(s->tile, root->pair[1]);
    return left & axis_bit(root->vector) ? left : right;
}

void order_root(Sched *s, Root *root)
{
    if (root->packs) return; // keep_choose has said
    if (root->packed) {      // for this row and these lanes
        root->segment->rows |= axis_bit(root->row);
        put_order(s, root);
        return;
    }
    if (root->tiles) { // all else in a nest of its own
        root->order_count = 0;
        order_append(s, root,
                     root->axes & ~root->reduced & ~axis_bit(root->row) & ~axis_bit(root->vector));
        return;
    }
    root->contraction = is_contraction(s, root);
    root->row = root->column = root->vector = root->turned = (Axis){0};
    AxisSet among = root->contraction ? root->axes & ~root->reduced : root->axes;
    if (root->kind == ROOT_CARRY || (root->kind == ROOT_KEEP && root->slot))
        among = root->slot->axes;
    if (!root->contraction) among &= ~root->segment->rows;
    if (root->kind == ROOT_COMBINE) among &= ~root->reduced;
    if (root->kind == ROOT_SORT || root->kind == ROOT_SEARCH) among = 0;
    root->vector = best_axis(s, root, among);
    if (root->kind == ROOT_COMBINE && root->vector.i && !combine_takes_lanes(s, root))
        root->vector = (Axis){0};
    if (root->kind == ROOT_ATOMIC && !update_takes_lanes(s, root)) root->vector = (Axis){0};
    if (root->kind == ROOT_PRINT) root->vector = (Axis){0};
    if (root->vector.i && root->kind == ROOT_FOLD &&
        !fold_lane(s, inst_at(s->tile, root->inst), root->vector))
        root->vector = (Axis){0};
    if (root->contraction) {
        AxisSet rows = sized_axes(s, root->axes & ~root->reduced) & ~axis_bit(root->vector);
        AxisSet apart = rows & ~contraction_columns(s, root);
        if (apart) rows = apart;
        for (unsigned a = 1; a < AXES_MAX; a++)
            if (rows >> a & 1) root->row = (Axis){a};
        root->segment->rows |= axis_bit(root->row);
        Axis k = best_axis(s, root, root->reduced);
        if (root->row.i && reduces_lanes(s, root, k)) {
            root->column = root->vector;
            root->vector = k;
        }
    }
    bool row = root->kind == ROOT_REDUCE && root->vector.i &&
               (root->reduced & axis_bit(root->vector)) && is_long(s, root->vector);
    if (root->kind == ROOT_STORE && root->vector.i) {
        AxisSet others = sized_axes(s, root->axes) & ~axis_bit(root->vector);
        s->mark++;
        root->turned =
            turned_in(s, inst_arg(s->tile, inst_at(s->tile, root->inst), 0), root->vector, others);
    }
    if (row) root->segment->rows |= sized_axes(s, root->axes & ~root->reduced);
    put_order(s, root);
}

// Axes: ranges, the hulls of dependent ones, and masks.
//
// A range whose bounds vary along other axes runs over the hull of all lanes' ranges; AxisNote.mask
// says which pairs are in range. mask_for joins those masks with the path condition for each
// access.
#include "frontend/lower.h"

AxisSet axes_closure(const Lower *l, AxisSet axes)
{
    for (uint32_t i = 1; i < 64; i++) {
        if ((axes >> i & 1) && l->axes[i]) axes |= l->axes[i]->outer;
    }
    return axes;
}

Value lanes_and(Lower *l, Value a, Value b)
{
    if (!a.i || !b.i) return a.i ? a : b;
    return build_op2(&l->b, OP_AND, a, b);
}

Value lanes_not(Lower *l, Value a)
{
    return build_op1(&l->b, OP_NOT, a);
}

Value lanes_any(Lower *l, Value mask, AxisSet keep)
{
    if (!mask.i) return mask;
    AxisSet excess = value_axes(l->f, mask) & ~keep;
    return excess ? build_reduce(l, REDUCE_ANY, excess, mask, (Value){0}, INST_IMPLICIT) : mask;
}

// Adds the masks of dependent axes among `seen` and among what the mask itself varies along.
static Value add_range_masks(Lower *l, Value mask, AxisSet seen)
{
    AxisSet done = 0;
    for (bool more = true; more;) {
        more = false;
        if (mask.i) seen |= value_axes(l->f, mask);
        for (uint32_t i = 1; i < 64; i++) {
            AxisSet bit = (AxisSet)1 << i;
            if (!(seen & bit) || (done & bit) || !l->axes[i] || !l->axes[i]->mask.i) continue;
            done |= bit;
            more = true;
            mask = lanes_and(l, mask, l->axes[i]->mask);
            seen |= value_axes(l->f, mask);
        }
    }
    return mask;
}

void lanes_bind(Lower *l, AxisSet axes)
{
    l->bound |= axes;
    if (!l->mask.i || !(value_axes(l->f, l->mask) & axes)) return;
    l->mask = lanes_any(l, add_range_masks(l, l->mask, 0), ~axes);
}

Value lanes_for(Lower *l, AxisSet lanes, AxisSet keep)
{
    Value mask = l->mask;
    AxisSet seen = lanes | (mask.i ? value_axes(l->f, mask) : 0);
    AxisSet covered = seen;
    for (uint32_t i = 1; i < 64; i++)
        for (const AxisNote *n = seen >> i & 1 ? l->axes[i] : NULL; n; n = n->within)
            covered |= axis_bit(n->axis);
    for (uint32_t i = 0; i < l->live.count; i++) {
        Live live = l->live.data[i];
        if (covered & axis_bit(live.axis)) continue; // the axis's own mask says more
        Value v = lanes_any(l, live.value, ~(l->bound & ~lanes));
        mask = lanes_and(l, mask, v);
    }
    mask = add_range_masks(l, mask, lanes);
    return lanes_any(l, mask, keep);
}

static AxisNote *note_new(Lower *l, Str name, Span span, AxisKind kind, bool scalar)
{
    Axis axis = func_axis(l->f, name, kind);
    if (!axis.i) {
        Diag *diag = lower_error(l, DIAG_TOO_MANY_AXES, span, "more than 63 axes in one kernel");
        lower_hint(l, diag, "inlined functions bring their own; divide the kernel");
        l->stopped = true;
        return NULL;
    }
    AxisNote *note = arena_new(l->arena, AxisNote);
    *note = (AxisNote){.axis = axis, .name = name, .kind = kind, .scalar = scalar, .span = span};
    axis_at(l->f, axis)->scalar = scalar;
    axis_at(l->f, axis)->span = span;
    l->axes[axis.i] = note;
    return note;
}

// The least lower or greatest upper bound over the lanes that take part.
static Value hull(Lower *l, Value bound, ReduceKind kind)
{
    AxisSet axes = value_axes(l->f, bound);
    if (!axes) return bound;
    return build_reduce(l, kind, axes, bound, lanes_for(l, axes, axes), INST_IMPLICIT);
}

static void note_range(Lower *l, AxisNote *note, Value lo, Value hi)
{
    note->lo = lo, note->hi = hi;
    note->outer = axes_closure(l, value_axes(l->f, lo) | value_axes(l->f, hi));
    note->first = hull(l, lo, REDUCE_MIN);
    note->end = hull(l, hi, REDUCE_MAX);
}

Value axis_index(Lower *l, const AxisNote *note)
{
    return note->index.i ? note->index : build_index(&l->b, note->axis);
}

static Value tile_info(Lower *l, const AxisNote *note, TileInfo kind, uint8_t flags)
{
    Type type = type_scalar(DTYPE_I64);
    InstId id = build_inst(&l->b, OP_TILEINFO,
                           (BuildSpec){.results = &type,
                                       .result_count = 1,
                                       .flags = flags,
                                       .attr = {.ref = note->axis.i, .kind = kind}});
    return inst_result(inst_at(l->f, id), 0);
}

Value axis_tile_info(Lower *l, const AxisNote *note, TileInfo kind)
{
    return tile_info(l, note, kind, 0);
}

bool axis_is_free(const Lower *l, const AxisNote *note)
{
    if (note->tile) note = note->tile;
    return note->kind != AXIS_WHOLE && !note->scalar && !axis_at(l->f, note->axis)->has_by;
}

bool axes_are_twins(const AxisNote *a, const AxisNote *b)
{
    return (a->twin ? a->twin : a) == (b->twin ? b->twin : b);
}

void axis_mask(Lower *l, AxisNote *note)
{
    if (!note->outer) return;
    Value at = axis_index(l, note);
    if (value_axes(l->f, note->hi)) note->mask = build_op2(&l->b, OP_LT, at, note->hi);
    if (value_axes(l->f, note->lo))
        note->mask = lanes_and(l, note->mask, build_op2(&l->b, OP_LE, note->lo, at));
}

// The lanes of the outer axes of which the current tile holds an index.
Value axis_live(Lower *l, const AxisNote *note)
{
    if (!note->outer) return (Value){0};
    Value begin = tile_info(l, note, INFO_BEGIN, INST_IMPLICIT),
          end = tile_info(l, note, INFO_END, INST_IMPLICIT);
    if (value_axes(l->f, note->lo)) begin = build_op2(&l->b, OP_MAX, begin, note->lo);
    if (value_axes(l->f, note->hi)) end = build_op2(&l->b, OP_MIN, end, note->hi);
    return build_op2(&l->b, OP_LT, begin, end);
}

static bool never_negative(const Lower *l, Value v)
{
    int64_t x;
    const Inst *in = value_def(l->f, v);
    return (value_const_int(l->f, v, &x) && x >= 0) || (in && in->op == OP_DIM);
}

static Value length_between(Lower *l, Value lo, Value hi)
{
    int64_t x;
    bool plain = value_const_int(l->f, lo, &x) && x == 0 && never_negative(l, hi);
    Value length = build_op2(&l->b, OP_SUB, hi, lo);
    return plain ? length : build_op2(&l->b, OP_MAX, length, build_i64(&l->b, 0));
}

// What a lane whose range varies has of the current tile: an empty part begins and ends at once.
static Value tile_member(Lower *l, const AxisNote *note, TileInfo kind)
{
    bool part = kind == INFO_BEGIN || kind == INFO_END || kind == INFO_SIZE;
    if (!note->outer || !part) return tile_info(l, note, kind, 0);
    Value begin = tile_info(l, note, INFO_BEGIN, 0), end = tile_info(l, note, INFO_END, 0);
    if (value_axes(l->f, note->lo)) begin = build_op2(&l->b, OP_MAX, begin, note->lo);
    if (kind == INFO_BEGIN) return begin;
    if (value_axes(l->f, note->hi)) end = build_op2(&l->b, OP_MIN, end, note->hi);
    end = build_op2(&l->b, OP_MAX, begin, end);
    return kind == INFO_END ? end : build_op2(&l->b, OP_SUB, end, begin);
}

Value axis_length(Lower *l, const AxisNote *note)
{
    if (note->tile) note = note->tile;
    if (note->kind == AXIS_WHOLE) return length_between(l, note->lo, note->hi);
    return tile_member(l, note, INFO_SIZE);
}

// ---- ranges as written

static bool flatten_pack(Lower *l, Env *env, const Node *node, Binds *binds)
{
    const Node *range = node->kids[0];
    const Name *name = env_find(env, range->text);
    if (!name || name->thing.kind != THING_DIMS) {
        if (!name)
            lower_unknown(l, env, range, "pack of dimensions");
        else if (name->thing.kind != THING_POISON)
            lower_error(l, DIAG_NOT_AN_AXIS, range->span, "'%.*s' is %s, not a pack of dimensions",
                        STR_ARG(range->text), thing_text(&name->thing));
        return false;
    }
    const Dims *dims = name->thing.dims;
    for (uint32_t k = 0; k < dims->count; k++) {
        Str part =
            dims->count == 1 ? node->text : str_format(l->arena, "%.*s_%u", STR_ARG(node->text), k);
        Bind bind = {
            .name = part, .span = node->text_span, .size = dims->sizes[k], .is_pack = true};
        vec_push(l->arena, &binds->items, bind);
    }
    if (!dims->count) {
        Bind bind = {.name = node->text, .span = node->text_span, .is_pack = true};
        vec_push(l->arena, &binds->items, bind);
    }
    Bind *last = &vec_last(&binds->items);
    last->pack = node->text;
    last->pack_count = dims->count;
    return true;
}

Binds binds_flatten(Lower *l, Env *env, const Node *list, uint32_t count)
{
    Binds binds = {0};
    for (uint32_t k = 0; k < count; k++) {
        const Node *node = list->kids[k], *range = node->kids[0];
        if (range->kind == NODE_PACK) {
            binds.failed |= !flatten_pack(l, env, node, &binds);
        } else if (range->kind == NODE_ERROR) {
            binds.failed = true;
        } else {
            vec_push(l->arena, &binds.items,
                     (Bind){.name = node->text, .span = node->text_span, .range = range});
        }
        if (binds.failed) env_define(l, env, node->text, node->text_span, thing_poison());
    }
    return binds;
}

static Thing axis_thing(AxisNote *note)
{
    return (Thing){.kind = THING_AXIS, .axis = note};
}

// Defines the name of bind k, and that of a pack behind its last axis.
void binds_define(Lower *l, Env *env, const Binds *binds, uint32_t k, AxisNote *const *opened)
{
    const Bind *bind = &binds->items.data[k];
    if (!bind->is_pack) {
        env_define(l, env, bind->name, bind->span, axis_thing(opened[k]));
        return;
    }
    if (!bind->pack.length) return;
    Pack *pack = arena_new(l->arena, Pack);
    pack->count = bind->pack_count;
    for (uint32_t i = 0; i < pack->count; i++) pack->axes[i] = opened[k + 1 - pack->count + i];
    env_define(l, env, bind->pack, bind->span, (Thing){.kind = THING_PACK, .pack = pack});
}

static Value positive_step(Lower *l, Env *env, const Node *node)
{
    int64_t x;
    Thing by = lower_scalar(l, env, node, "a step");
    if (by.kind == THING_POISON) return (Value){0};
    if (!dtype_is_int(thing_dtype(l, &by))) {
        lower_error(l, DIAG_WRONG_TYPE, node->span, "a step must be an integer, not %s",
                    dtype_text(l, &by));
        return (Value){0};
    }
    Value v = thing_convert(l, by, DTYPE_I64);
    if (value_const_int(l->f, v, &x)) {
        if (x > 0) return v;
        lower_error(l, DIAG_BAD_RANGE, node->span, "a step must be at least 1, this is %lld",
                    (long long)x);
        return (Value){0};
    }
    SiteInfo site = {
        .kind = SITE_ASSERT, .span = l->b.span, .message = STR("a step must be at least 1")};
    Value ok = build_op2(&l->b, OP_LT, build_i64(&l->b, 0), v);
    build_inst(&l->b, OP_CHECK,
               (BuildSpec){.args = &ok, .arg_count = 1, .attr = {.ref = func_site(l->f, site)}});
    return build_op2(&l->b, OP_MAX, v, build_i64(&l->b, 1));
}

// A `for` with a step counts its turns: index = lo + turn * step.
static void open_stepped(Lower *l, AxisNote *note, Value lo, Value hi, Value by)
{
    note_range(l, note, lo, hi);
    Value length = build_op2(&l->b, OP_MAX, build_op2(&l->b, OP_SUB, hi, lo), build_i64(&l->b, 0));
    Value up = build_op2(&l->b, OP_ADD, length, build_op2(&l->b, OP_SUB, by, build_i64(&l->b, 1)));
    note->first = build_i64(&l->b, 0);
    note->end = build_op2(&l->b, OP_DIV, up, by);
    note->step = by;
}

// The axis g of `tile n in g`, NULL if the range is no axis.
static AxisNote *range_axis(Lower *l, Env *env, const Node *range)
{
    const Node *of = range ? range->kids[1] : NULL;
    const Name *name =
        of && of->kind == NODE_NAME && !range->kids[0] ? env_find(env, of->text) : NULL;
    Thing thing = name ? thing_resolve(l, env, name, of) : thing_poison();
    return thing.kind == THING_AXIS && !thing.axis->scalar ? thing.axis : NULL;
}

// The tile whose current block the axis runs over, itself if it is one; NULL for whole axes.
static const AxisNote *tile_of(const AxisNote *note)
{
    return note->tile ? note->tile : note->kind == AXIS_WHOLE ? NULL : note;
}

static bool range_values(Lower *l, Env *env, const Bind *bind, Value *lo, Value *hi)
{
    if (!bind->range) {
        *lo = build_i64(&l->b, 0), *hi = bind->size;
        return true;
    }
    const AxisNote *of = range_axis(l, env, bind->range), *tile = of ? tile_of(of) : NULL;
    if (of) {
        *lo = tile ? tile_info(l, tile, INFO_BEGIN, 0) : of->lo;
        *hi = tile ? tile_info(l, tile, INFO_END, 0) : of->hi;
        return true;
    }
    Thing from = bind->range->kids[0] ? lower_integer(l, env, bind->range->kids[0], "a bound")
                                      : thing_value(build_i64(&l->b, 0));
    Thing to = lower_integer(l, env, bind->range->kids[1], "a bound");
    if (from.kind == THING_POISON || to.kind == THING_POISON) return false;
    *lo = from.value, *hi = to.value;
    return true;
}

AxisNote *axis_open(Lower *l, Env *env, const Bind *bind, AxisKind kind, bool scalar, Value *by)
{
    Value lo, hi, step = {0};
    const Node *step_node = bind->range ? ast_kid(bind->range, 2) : NULL;
    if (bind->range) lower_at(l, bind->range);
    if (!range_values(l, env, bind, &lo, &hi)) return NULL;
    if (step_node && kind == AXIS_WHOLE) {
        Diag *diag =
            lower_error(l, DIAG_BAD_RANGE, step_node->span, "an axis is whole, it has no step");
        lower_hint(l, diag, "'by' is for tile and for; the compiler divides an axis itself");
        return NULL;
    }
    if (step_node) {
        step = positive_step(l, env, step_node);
        if (!step.i) return NULL;
    }
    const AxisNote *of = range_axis(l, env, bind->range), *tile = of ? tile_of(of) : NULL;
    AxisSet vary = value_axes(l->f, lo) | value_axes(l->f, hi);
    if (tile) vary = value_axes(l->f, tile->lo) | value_axes(l->f, tile->hi);
    if (scalar && vary) {
        Diag *diag =
            lower_error(l, DIAG_NOT_SCALAR, bind->range->span,
                        "the bounds of a 'for' vary along %.*s", STR_ARG(axes_text(l, vary)));
        lower_hint(l, diag, "use 'tile', whose ranges may");
        return NULL;
    }
    int64_t one;
    bool by_one = step.i && value_const_int(l->f, step, &one) && one == 1;
    if (step.i && !by_one && value_axes(l->f, lo)) {
        Diag *diag =
            lower_error(l, DIAG_BLOCK_INDEX, bind->range->span,
                        "where the tiles of '%.*s' begin would depend on the block size of "
                        "what its lower bound varies along, %.*s",
                        STR_ARG(bind->name), STR_ARG(axes_text(l, value_axes(l->f, lo))));
        lower_hint(l, diag, "loop over that with 'for', or leave out 'by'");
        return NULL;
    }
    AxisNote *note = note_new(l, bind->name, bind->span, kind, scalar);
    if (!note) return NULL;
    if (scalar && step.i && !by_one) {
        open_stepped(l, note, lo, hi, step);
    } else {
        note_range(l, note, lo, hi);
    }
    if (tile && tile->outer) { // the lanes' own ranges are those of the tile
        note->lo = tile->lo, note->hi = tile->hi;
        note->outer = tile->outer;
    }
    note->within = (AxisNote *)tile;
    if (tile && kind == AXIS_WHOLE) note->twin = note->tile = (AxisNote *)tile;
    axis_at(l->f, note->axis)->has_by = step.i && !scalar;
    if (by) *by = scalar ? build_i64(&l->b, 1) : step.i ? step : build_i64(&l->b, 0);
    return note;
}

static void axis_build(Lower *l, AxisNote *note)
{
    InstId id = build_inst(&l->b, OP_AXIS,
                           (BuildSpec){.args = (Value[]){note->first, note->end},
                                       .arg_count = 2,
                                       .attr = {.ref = note->axis.i}});
    axis_at(l->f, note->axis)->decl = id;
    l->effects = true;
    axis_mask(l, note);
}

AxisNote *axis_declare(Lower *l, Env *env, const Bind *bind)
{
    AxisNote *note = axis_open(l, env, bind, AXIS_WHOLE, false, NULL);
    if (!note) return NULL;
    axis_build(l, note);
    return note;
}

// axis u = t: another name for the whole axis t, or for the current tile of the tile t, whose block
// it shares.
static AxisNote *twin_declare(Lower *l, const Node *bind, AxisNote *of)
{
    AxisNote *note = note_new(l, bind->text, bind->text_span, AXIS_WHOLE, false);
    if (!note) return NULL;
    note->twin = of->twin ? of->twin : of;
    note->tile = of->tile ? of->tile : of->kind == AXIS_WHOLE ? NULL : of;
    note->within = note->tile;
    note->lo = of->lo, note->hi = of->hi;
    note->outer = of->outer;
    note->first = note->tile ? tile_info(l, note->tile, INFO_BEGIN, 0) : of->first;
    note->end = note->tile ? tile_info(l, note->tile, INFO_END, 0) : of->end;
    axis_build(l, note);
    return note;
}

static void lower_twin(Lower *l, Env *env, const Node *bind)
{
    const Node *of = bind->kids[0];
    const Name *name = env_find(env, of->text);
    Thing thing = thing_poison(), given = name ? thing_resolve(l, env, name, of) : thing;
    if (given.kind == THING_PACK && given.pack->count == 1) given = axis_thing(given.pack->axes[0]);
    if (!name) {
        lower_unknown(l, env, of, "axis");
    } else if (given.kind != THING_AXIS || given.axis->scalar) {
        if (given.kind != THING_POISON)
            lower_error(l, DIAG_NOT_AN_AXIS, of->span, "'%.*s' is %s, not a tile or an axis",
                        STR_ARG(of->text),
                        given.kind == THING_AXIS ? "the index of a 'for'" : thing_text(&given));
    } else {
        AxisNote *note = twin_declare(l, bind, given.axis);
        if (!note) return;
        thing = axis_thing(note);
    }
    env_define(l, env, bind->text, bind->text_span, thing);
}

static void lower_axes(Lower *l, Env *env, const Node *node)
{
    Binds binds = binds_flatten(l, env, node, 1);
    if (binds.failed) return;
    AxisNote **notes = arena_array(l->arena, AxisNote *, binds.items.count + 1);
    for (uint32_t k = 0; k < binds.items.count; k++) {
        const Bind *bind = &binds.items.data[k];
        if (bind->is_pack && !bind->pack_count && bind->pack.length) {
            binds_define(l, env, &binds, k, notes);
            continue;
        }
        lower_at(l, node);
        notes[k] = axis_declare(l, env, bind);
        if (!notes[k]) {
            env_define(l, env, bind->is_pack ? bind->pack : bind->name, bind->span, thing_poison());
            if (bind->is_pack) return;
            continue;
        }
        binds_define(l, env, &binds, k, notes);
    }
}

void lower_axis_statement(Lower *l, Env *env, const Node *node)
{
    for (uint32_t k = 0; k < node->kid_count; k++) {
        Node one = {
            .kind = NODE_AXIS, .span = node->span, .kid_count = 1, .kids = &node->kids[k]};
        lower_at(l, node);
        if (node->kids[k]->flags & NODE_FLAG_TWIN)
            lower_twin(l, env, node->kids[k]);
        else
            lower_axes(l, env, &one);
    }
}

static Thing scalar_member(Lower *l, const AxisNote *note, TileInfo kind)
{
    Value at = axis_index(l, note), one = build_i64(&l->b, 1);
    switch (kind) {
    case INFO_BEGIN: return thing_value(at);
    case INFO_BLOCK: return thing_value(note->step.i ? note->step : one);
    case INFO_END:
    case INFO_SIZE: {
        Value end = build_op2(&l->b, OP_ADD, at, note->step.i ? note->step : one);
        if (note->step.i) end = build_op2(&l->b, OP_MIN, end, note->hi);
        return thing_value(kind == INFO_END ? end : build_op2(&l->b, OP_SUB, end, at));
    }
    case INFO_ID:
    case INFO_COUNT:
    case INFO_KINDS: break;
    }
    return thing_value(tile_info(l, note, kind, 0));
}

static Thing whole_member(Lower *l, const AxisNote *note, TileInfo kind)
{
    switch (kind) {
    case INFO_BEGIN: return thing_value(note->lo);
    case INFO_END:
        return thing_value(note->outer ? build_op2(&l->b, OP_MAX, note->lo, note->hi) : note->hi);
    case INFO_SIZE:
    case INFO_BLOCK: return thing_value(axis_length(l, note));
    case INFO_ID: return thing_value(build_i64(&l->b, 0));
    case INFO_COUNT:
    case INFO_KINDS: break;
    }
    return thing_value(build_i64(&l->b, 1));
}

Thing lower_member(Lower *l, Env *env, const Node *node)
{
    static const char *const names[INFO_KINDS] = {"begin", "end", "size", "id", "block", "count"};
    Thing base = lower_expr(l, env, node->kids[0]);
    lower_at(l, node);
    if (base.kind == THING_POISON) return base;
    if (base.kind == THING_PACK && base.pack->count == 1) {
        base = axis_thing(base.pack->axes[0]);
    }
    TileInfo kind = 0;
    while (kind < INFO_KINDS && !str_is(node->text, names[kind])) kind++;
    if (kind == INFO_KINDS || base.kind != THING_AXIS) {
        Diag *diag =
            lower_error(l, DIAG_NOT_AN_AXIS, node->span,
                        kind == INFO_KINDS ? "there is no '.%.*s'" : "'.%.*s' needs an axis",
                        STR_ARG(node->text));
        if (kind == INFO_KINDS && base.kind != THING_AXIS)
            lower_hint_member(l, diag, node->text);
        else if (kind == INFO_KINDS)
            lower_hint(l, diag, "an axis has begin, end, size, id, block and count");
        return thing_poison();
    }
    const AxisNote *note = base.axis->tile ? base.axis->tile : base.axis;
    if (note->scalar) return scalar_member(l, note, kind);
    if (note->kind == AXIS_WHOLE) return whole_member(l, note, kind);
    return thing_value(tile_member(l, note, kind));
}

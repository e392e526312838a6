// Reductions and scans by a function: reduce[n](f, init ...)(x ...), scan[n](f)(x ...),
// cumsum[n](x), first[n](x), last[n](x). The function is inlined into the region of one `combine`.
//
// It is first lowered on trial. What does not depend on its arguments (tensors and values that it
// captures) then moves out and comes in as an operand; the rest is copied into the region, which so
// sees its arguments alone. Divisions by what is combined add a component to the state, whether a
// divisor was 0, which is checked behind. Over a sequential tile a scan carries on from tile to
// tile, in a value that the loop carries for it.
#include "frontend/lower.h"
#include "ir/eval.h"

typedef struct Combine Combine;
// Builds the next state in l->b. False after an error, or if it asks for another turn
// (Combine.again).
typedef bool StepFn(Lower *l, Combine *c, const Value *state, const Value *values, Value *next);

struct Combine {
    CombineKind kind;
    const AxisItems *items;
    AxisSet over;
    uint32_t width;  // components of the state, of which the last are ...
    uint32_t faults; // ... for checks in the function
    uint32_t *sites; // of these
    Value *inits, *values, mask;
    StepFn *step;
    bool reverse, exclusive, again;
    const Node *node;
    // of a user's function
    Thing function, *init_things, *value_things;
    bool starts; // the first component says whether there is a state yet
    DType *dtypes;
    // built-in
    Op op;
};

static AxisSet over_of(const AxisItems *items)
{
    AxisSet axes = 0;
    for (uint32_t k = 0; k < items->axes.count; k++) axes |= axis_bit(items->axes.data[k]->axis);
    return axes;
}

// ---- the region

typedef struct Captured {
    VEC(Value) values;
    Value *map; // by value: what it is in the region; {0}: not there
} Captured;

static bool elementwise(const Inst *in)
{
    return in->op >= OP_ADD && in->op <= OP_BITCAST;
}

static bool not_arithmetic(Lower *l, const Combine *c, const Inst *in)
{
    bool load = in->op == OP_LOAD_TILE, loop = in->op == OP_LOOP;
    Diag *diag = lower_error(l, DIAG_BAD_CALL, c->node->span,
                             "a function that combines does arithmetic on it: no %s",
                             load   ? "element whose index is combined"
                             : loop ? "loop whose turns are not known at compile time"
                                    : "stores, conditions of statements or reductions");
    lower_hint(l, diag,
               load   ? "load before and pass the elements in as values"
               : loop ? "a for over numbers known at compile time is fine"
                      : "choose with ?:");
    return false;
}

// Moves what the arguments do not reach out of the trial, before the combine. False if something
// that they reach is more than arithmetic.
static bool hoist_captured(Lower *l, const Combine *c, Region trial, Builder *out, bool *reached)
{
    for (InstId id = region_at(l->f, trial)->first, next; id.i; id = next) {
        const Inst *in = inst_at(l->f, id);
        next = in->next;
        bool inside = false;
        for_each_arg(l->f, in, k, v) inside |= reached[v.i];
        if (!inside) {
            inst_move(l->f, id, out->region, out->before);
            continue;
        }
        if (!elementwise(in)) return not_arithmetic(l, c, in);
        for (unsigned k = 0; k < in->result_count; k++) reached[inst_result(in, k).i] = true;
    }
    return true;
}

static void capture(Lower *l, Captured *captured, Value v)
{
    uint64_t bits;
    if (captured->map[v.i].i || value_const(l->f, v, &bits)) return;
    for (uint32_t k = 0; k < captured->values.count; k++)
        if (captured->values.data[k].i == v.i) return;
    vec_push(l->arena, &captured->values, v);
}

static Value in_region(Lower *l, Captured *captured, Value v)
{
    uint64_t bits;
    if (captured->map[v.i].i) return captured->map[v.i];
    bool known = value_const(l->f, v, &bits);
    return known ? build_bits(&l->b, value_type(l->f, v), bits) : v;
}

static void copy_inst(Lower *l, Captured *captured, const Inst *from)
{
    Inst in = *from;
    Value args[3] = {{0}};
    for (unsigned k = 0; k < in.arg_count && k < 3; k++)
        args[k] = in_region(l, captured, inst_arg(l->f, &in, k));
    Type type = value_type(l->f, inst_result(&in, 0));
    l->b.span = in.span;
    InstId id = build_inst(&l->b, (Op)in.op,
                           (BuildSpec){.args = args,
                                       .arg_count = in.arg_count,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = in.attr,
                                       .flags = in.flags});
    captured->map[inst_result(&in, 0).i] = inst_result(inst_at(l->f, id), 0);
}

static void drop_region(Lower *l, Region r)
{
    for_each_inst(l->f, r, id) inst_unlink(l->f, id);
}

typedef struct Built {
    Region region;
    AxisSet left;
    VEC(Value) captured;
    bool failed, more; // more: captured values vary along axes that the state lacks
} Built;

static Type without(Lower *l, Value v, AxisSet axes)
{
    Type type = value_type(l->f, v);
    type.axes &= ~axes;
    return type;
}

static void add_arguments(Lower *l, const Combine *c, Region r, AxisSet left)
{
    for (uint32_t k = 0; k < c->width; k++)
        region_add_arg(l->f, r, type_tile(value_dtype(l->f, c->inits[k]), left));
    for (uint32_t k = 0; k < c->width; k++)
        region_add_arg(l->f, r, without(l, c->values[k], c->over));
}

// Marks the instructions of the region that v is made of: conditions of lanes alone stay behind.
static void mark_needed(const Lower *l, Region region, Value v, bool *needed)
{
    InstId id = value_at(l->f, v)->def;
    if (!id.i || needed[id.i] || inst_at(l->f, id)->parent.i != region.i) return;
    needed[id.i] = true;
    for_each_arg(l->f, inst_at(l->f, id), k, arg) mark_needed(l, region, arg, needed);
}

// The trial's arithmetic in a region of its own, which `next` ends.
static void copy_region(Lower *l, const Combine *c, Region trial, const Value *next, Built *built)
{
    Func *f = l->f;
    Captured captured = {.map = arena_array(l->arena, Value, f->values.count)};
    for (uint32_t k = 0; k < 2 * c->width; k++)
        captured.map[region_arg(f, trial, k).i] = region_arg(f, trial, k);
    bool *needed = arena_array(l->arena, bool, f->insts.count);
    for (uint32_t k = 0; k < c->width; k++) mark_needed(l, trial, next[k], needed);
    for_each_inst(f, trial, id) captured.map[inst_result(inst_at(f, id), 0).i] = (Value){1};
    for_each_inst(f, trial, id) {
        const Inst *in = inst_at(f, id);
        for_each_arg(f, in, k, v) if (needed[id.i]) capture(l, &captured, v);
    }
    for (uint32_t k = 0; k < c->width; k++) capture(l, &captured, next[k]);
    built->region = func_region(f);
    add_arguments(l, c, built->region, built->left);
    for (uint32_t k = 0; k < 2 * c->width; k++)
        captured.map[region_arg(f, trial, k).i] = region_arg(f, built->region, k);
    for (uint32_t k = 0; k < captured.values.count; k++) {
        Value v = captured.values.data[k];
        captured.map[v.i] = region_add_arg(f, built->region, value_type(f, v));
        built->more |= (value_axes(f, v) & ~built->left) != 0;
        vec_push(l->arena, &built->captured, v);
    }
    Builder saved = l->b;
    l->b = (Builder){f, built->region, {0}, saved.span};
    for_each_inst(f, trial, id) if (needed[id.i]) copy_inst(l, &captured, inst_at(f, id));
    Value *yields = arena_array(l->arena, Value, c->width);
    for (uint32_t k = 0; k < c->width; k++) yields[k] = in_region(l, &captured, next[k]);
    build_inst(&l->b, OP_YIELD, (BuildSpec){.args = yields, .arg_count = c->width});
    l->b = saved;
}

static bool captures_fit(Lower *l, const Combine *c, Built *built)
{
    for (uint32_t k = 0; k < built->captured.count; k++) {
        AxisSet bad = value_axes(l->f, built->captured.data[k]) & c->over;
        if (!bad) continue;
        Diag *diag = lower_error(l, DIAG_BAD_CALL, c->node->span,
                                 "the function uses a value that varies along %.*s",
                                 STR_ARG(axes_text(l, bad)));
        lower_hint(l, diag, "pass it in as one of the values");
        return false;
    }
    return true;
}

// Checks in the trial that the arguments reach become components of the state: whether one of them
// failed so far. False if there are more than were known: another turn then.
static bool take_faults(Lower *l, Combine *c, Region trial, const bool *reached, Value *next)
{
    uint32_t count = 0, first = c->width - c->faults;
    uint32_t *sites = arena_array(l->arena, uint32_t, l->f->sites.count);
    for (InstId id = region_at(l->f, trial)->first, after; id.i; id = after) {
        const Inst *in = inst_at(l->f, id);
        bool inside = false;
        after = in->next;
        if (in->op != OP_CHECK) continue; // what is built here lies behind `reached`
        for_each_arg(l->f, in, k, v) inside |= reached[v.i];
        if (!inside) continue;
        sites[count] = in->attr.ref;
        if (count < c->faults) {
            Value mask = inst_mask(l->f, in), bad = lanes_not(l, inst_arg(l->f, in, 0));
            if (mask.i) bad = build_op2(&l->b, OP_AND, mask, bad);
            Value before = build_op2(&l->b, OP_OR, region_arg(l->f, trial, first + count),
                                     region_arg(l->f, trial, c->width + first + count));
            next[first + count] = build_op2(&l->b, OP_OR, before, bad);
        }
        inst_unlink(l->f, id);
        count++;
    }
    if (count <= c->faults) return true;
    Value *inits = arena_array(l->arena, Value, first + count),
          *values = arena_array(l->arena, Value, first + count);
    memcpy(inits, c->inits, sizeof(Value) * first);
    memcpy(values, c->values, sizeof(Value) * first);
    c->inits = inits, c->values = values, c->sites = sites;
    c->faults = count, c->width = first + count;
    c->again = true;
    return false;
}

// What the arguments reach in the trial.
static bool *reached_in(Lower *l, Region trial, uint32_t args)
{
    bool *reached = arena_array(l->arena, bool, l->f->values.count);
    for (uint32_t k = 0; k < args; k++) reached[region_arg(l->f, trial, k).i] = true;
    for_each_inst(l->f, trial, id) {
        const Inst *in = inst_at(l->f, id);
        bool inside = false;
        for_each_arg(l->f, in, k, v) inside |= reached[v.i];
        for (unsigned k = 0; k < in->result_count; k++) reached[inst_result(in, k).i] |= inside;
    }
    return reached;
}

static Built build_region(Lower *l, Combine *c, AxisSet left)
{
    Func *f = l->f;
    Built built = {.left = left};
    Region trial = func_region(f);
    add_arguments(l, c, trial, left);
    Value mask = l->mask;
    AxisSet bound = l->bound;
    lanes_bind(l, c->over);
    Builder saved = l->b;
    l->b = (Builder){f, trial, {0}, saved.span};
    Value *args = arena_array(l->arena, Value, 2 * c->width),
          *next = arena_array(l->arena, Value, c->width);
    uint32_t arg_count = 2 * c->width;
    for (uint32_t k = 0; k < arg_count; k++) args[k] = region_arg(f, trial, k);
    l->unrolls++;
    bool ok = c->step(l, c, args, args + c->width, next);
    l->unrolls--;
    ok = ok && take_faults(l, c, trial, reached_in(l, trial, arg_count), next);
    l->b = saved;
    l->mask = mask;
    l->bound = bound;
    built.failed =
        !ok || !hoist_captured(l, c, trial, &saved, reached_in(l, trial, arg_count));
    if (!built.failed) copy_region(l, c, trial, next, &built);
    drop_region(l, trial);
    built.failed = built.failed || !captures_fit(l, c, &built);
    return built;
}

// ---- carrying on from tile to tile

// A scan over a sequential tile, in the loop's direction.
static AxisNote *carried_tile(const Lower *l, const Combine *c)
{
    AxisNote *note = c->items->axes.data[0];
    bool carries = c->kind == COMBINE_SCAN && note->kind == AXIS_LOOP && !note->scalar &&
                   note->reverse == c->reverse && !l->dropped;
    return carries ? note : NULL;
}

static bool may_carry(Lower *l, const Combine *c, const AxisNote *note, AxisSet left)
{
    AxisSet inner = left & ~(((AxisSet)2 << note->axis.i) - 1);
    if (!carry_reaches(l, note)) {
        Diag *diag = lower_error(l, DIAG_BAD_CALL, c->node->span,
                                 "a scan over the tiles of '%.*s' in another loop within: it would "
                                 "carry on in each of its turns separately",
                                 STR_ARG(note->name));
        if (diag != l->spare)
            diag_note(l->diags, diag, note->span, "'%.*s' is a tile here", STR_ARG(note->name));
        lower_hint(l, diag, "make that loop an axis, or put it around the one over '%.*s'",
                   STR_ARG(note->name));
        return false;
    }
    if (l->mask.i && (value_axes(l->f, l->mask) & axis_bit(note->axis))) {
        Diag *diag = lower_error(l, DIAG_BAD_CALL, c->node->span,
                                 "a scan over a tile under a condition that varies along '%.*s'",
                                 STR_ARG(note->name));
        lower_hint(l, diag, "name the scan with let before the condition");
        return false;
    }
    if (!inner) return true;
    Diag *diag = lower_error(
        l, DIAG_BAD_CALL, c->node->span,
        "what is scanned over the tiles of '%.*s' varies along %.*s, which is not there outside",
        STR_ARG(note->name), STR_ARG(axes_text(l, inner)));
    lower_hint(l, diag, "declare that axis before the loop");
    return false;
}

// The state with which a tile begins: what stands for it until the loop is built.
static Value carry_open(Lower *l, AxisNote *note, Value init, AxisSet left)
{
    Type type = type_tile(value_dtype(l->f, init), left);
    Carry carry = {.now = func_value(l->f, type), .init = init};
    value_at(l->f, carry.now)->region = note->body;
    vec_push(l->arena, &note->carries, carry);
    return carry.now;
}

static bool init_is_outside(Lower *l, const Combine *c, const AxisNote *note)
{
    for (uint32_t k = 0; k < c->width; k++) {
        uint64_t bits;
        const ValueInfo *value = value_at(l->f, c->inits[k]);
        Region home = value->def.i ? inst_at(l->f, value->def)->parent : value->region;
        if (value_const(l->f, c->inits[k], &bits) || home.i != note->body.i) continue;
        Diag *diag = lower_error(l, DIAG_BAD_CALL, c->node->span,
                                 "the scan starts with a value from inside the loop over '%.*s'",
                                 STR_ARG(note->name));
        lower_hint(l, diag, "compute it before the loop");
        return false;
    }
    return true;
}

static void carry_close(Lower *l, const Combine *c, AxisNote *note, InstId id, AxisSet left)
{
    uint32_t first = note->carries.count - c->width;
    Value active = lanes_for(l, left, left);
    for (uint32_t k = 0; k < c->width; k++) {
        Carry *carry = &note->carries.data[first + k];
        Value last = inst_result(inst_at(l->f, id), c->width + k);
        carry->next = active.i ? build_op3(&l->b, OP_SELECT, active, last, carry->now) : last;
        carry_through(l, note, first + k);
    }
}

// ---- the instruction

static AxisSet operand_axes(Lower *l, const Combine *c)
{
    AxisSet axes = c->mask.i ? value_axes(l->f, c->mask) : 0;
    for (uint32_t k = 0; k < c->width; k++)
        axes |= value_axes(l->f, c->inits[k]) | value_axes(l->f, c->values[k]);
    return axes & ~c->over;
}

static InstId build_combine(Lower *l, const Combine *c, const Built *built, const Value *inits,
                            uint8_t flags)
{
    uint32_t width = c->width, count = 2 * width;
    Value *args = arena_array(l->arena, Value, count + built->captured.count + 1);
    Type *types = arena_array(l->arena, Type, count);
    for (uint32_t k = 0; k < width; k++) args[k] = inits[k], args[width + k] = c->values[k];
    for (uint32_t k = 0; k < built->captured.count; k++) args[count++] = built->captured.data[k];
    if (c->mask.i) args[count++] = c->mask, flags |= INST_MASKED;
    bool scans = c->kind == COMBINE_SCAN;
    for (uint32_t k = 0; k < 2 * width; k++)
        types[k] = type_tile(value_dtype(l->f, inits[k % width]),
                             built->left | (scans && k < width ? c->over : 0));
    flags |= (uint8_t)((c->reverse ? INST_REVERSE : 0) | (c->exclusive ? INST_EXCLUSIVE : 0));
    lower_at(l, c->node);
    return build_inst(&l->b, OP_COMBINE,
                      (BuildSpec){.args = args,
                                  .arg_count = count,
                                  .results = types,
                                  .result_count = scans ? 2 * width : width,
                                  .regions = &built->region,
                                  .region_count = 1,
                                  .flags = flags,
                                  .attr = {.bits = c->over, .kind = c->kind}});
}

// A dependent axis is combined before what its range varies along.
static void find_mask(Lower *l, Combine *c)
{
    c->over = over_of(c->items);
    for (uint32_t k = 0; k < c->items->axes.count; k++)
        c->mask = lanes_and(l, c->mask, c->items->axes.data[k]->mask);
}

// The instruction, {0} after an error.
static InstId combine(Lower *l, Combine *c)
{
    if (!lower_closed(l, operand_axes(l, c), c->over, &c->mask, c->node->span)) return (InstId){0};
    AxisSet left = operand_axes(l, c);
    Built built = build_region(l, c, left);
    if (built.failed) return (InstId){0};
    if (built.more) {
        for (uint32_t k = 0; k < built.captured.count; k++)
            left |= value_axes(l->f, built.captured.data[k]);
        drop_region(l, built.region);
        built = build_region(l, c, left);
        if (built.failed) return (InstId){0};
    }
    AxisNote *note = carried_tile(l, c);
    Value *inits = c->inits;
    uint8_t flags = 0;
    if (note) {
        if (!may_carry(l, c, note, left) || !init_is_outside(l, c, note)) return (InstId){0};
        inits = arena_array(l->arena, Value, c->width);
        for (uint32_t k = 0; k < c->width; k++) inits[k] = carry_open(l, note, c->inits[k], left);
        flags = INST_IMPLICIT; // what comes out does not depend on where tiles begin
    }
    InstId id = build_combine(l, c, &built, inits, flags);
    if (note) carry_close(l, c, note, id, left);
    return id;
}

// Fails the launch where a check in the function did.
static void check_faults(Lower *l, const Combine *c, InstId id)
{
    for (uint32_t k = 0; k < c->faults; k++) {
        const Inst *in = inst_at(l->f, id);
        Value bad = inst_result(in, in->result_count - c->faults + k), ok = lanes_not(l, bad);
        Value mask = lanes_for(l, value_axes(l->f, ok), ~(AxisSet)0);
        build_inst(&l->b, OP_CHECK,
                   (BuildSpec){.args = (Value[]){ok, mask},
                               .arg_count = mask.i ? 2 : 1,
                               .flags = mask.i ? INST_MASKED : 0,
                               .attr = {.ref = c->sites[k]}});
    }
}

static Thing result_of(Lower *l, InstId id, uint32_t k)
{
    return id.i ? thing_value(inst_result(inst_at(l->f, id), k)) : thing_poison();
}

static bool one_axis(Lower *l, const AxisItems *items, const char *name, const Node *node)
{
    if (items->axes.count == 1) return true;
    lower_error(l, DIAG_BAD_CALL, node->span, "%s takes one axis, %u given", name,
                items->axes.count);
    return false;
}

// ---- cumsum and its kin

static bool step_op(Lower *l, Combine *c, const Value *state, const Value *values, Value *next)
{
    *next = build_op2(&l->b, c->op, *state, *values);
    return true;
}

Thing lower_scan(Lower *l, const AxisBuiltin *builtin, const AxisItems *items, Thing v,
                 const Node *node)
{
    static const Op ops[] = {[REDUCE_SUM] = OP_ADD,
                             [REDUCE_PROD] = OP_MUL,
                             [REDUCE_MAX] = OP_MAX,
                             [REDUCE_MIN] = OP_MIN};
    if (!one_axis(l, items, builtin->name, node)) return thing_poison();
    if (thing_dtype(l, &v) == DTYPE_BOOL) {
        Diag *diag = lower_error(l, DIAG_BOOL_AS_NUMBER, node->span, "%s of bool", builtin->name);
        lower_hint(l, diag, "cast the bool: i32(b)");
        return thing_poison();
    }
    v = thing_settle(l, v);
    DType t = thing_dtype(l, &v);
    Value init = build_bits(&l->b, type_scalar(t), reduce_identity(builtin->kind, t));
    Combine c = {.kind = COMBINE_SCAN,
                 .items = items,
                 .width = 1,
                 .inits = &init,
                 .values = &v.value,
                 .step = step_op,
                 .op = ops[builtin->kind],
                 .reverse = items->reverse,
                 .exclusive = items->exclusive,
                 .node = node};
    find_mask(l, &c);
    return result_of(l, combine(l, &c), 0);
}

// ---- first and last

static bool step_edge(Lower *l, Combine *c, const Value *state, const Value *values, Value *next)
{
    (void)l, (void)c, (void)state;
    *next = *values;
    return true;
}

// The last value visited: first[n] goes from the end.
Thing lower_edge(Lower *l, const AxisBuiltin *builtin, const AxisItems *items, Thing v,
                 const Node *node)
{
    if (!one_axis(l, items, builtin->name, node)) return thing_poison();
    v = thing_settle(l, v);
    Value zero = build_bits(&l->b, type_scalar(thing_dtype(l, &v)), 0);
    Combine c = {.kind = COMBINE_REDUCE,
                 .items = items,
                 .width = 1,
                 .inits = &zero,
                 .values = &v.value,
                 .step = step_edge,
                 .reverse = builtin->kind == REDUCE_MIN,
                 .node = node};
    find_mask(l, &c);
    return result_of(l, combine(l, &c), 0);
}

// ---- a user's function

static unsigned rank_of(DType t)
{
    return t == DTYPE_I32 ? 1 : t == DTYPE_I64 ? 2 : t == DTYPE_F32 ? 3 : t == DTYPE_F64 ? 4 : 0;
}

// The function's result as component k of the state. A component that was made of literals takes
// the larger type.
static bool take_result(Lower *l, Combine *c, uint32_t k, Thing r, Value *out)
{
    bool soft = c->value_things[k].untyped;
    DType have = c->dtypes[k], t = thing_dtype(l, &r);
    if (soft && !r.untyped && rank_of(t) > rank_of(have) && have != DTYPE_BOOL) {
        c->dtypes[k] = t;
        c->again = true;
        return false;
    }
    if (!lower_coerce(l, &r, have, c->node->span, "what the function combines")) return false;
    *out = r.value;
    return true;
}

static bool step_function(Lower *l, Combine *c, const Value *state, const Value *values,
                          Value *next)
{
    uint32_t skip = c->starts ? 1 : 0, count = c->width - c->faults - skip;
    Thing *args = arena_array(l->arena, Thing, 2 * count);
    for (uint32_t k = 0; k < count; k++) {
        args[k] = thing_value(state[k + skip]);
        args[count + k] = thing_value(values[k + skip]);
    }
    Thing r = call_thing(l, c->function, args, 2 * count, NULL, 0, c->node);
    if (r.kind == THING_POISON) return false;
    uint32_t given = r.kind == THING_TUPLE ? r.tuple->count : 1;
    if (given != count) {
        lower_error(l, DIAG_BAD_CALL, c->node->span,
                    "the function gives %u value%s, %u are combined", given, given == 1 ? "" : "s",
                    count);
        return false;
    }
    for (uint32_t k = 0; k < count; k++) {
        Thing part = thing_as_value(l, r.kind == THING_TUPLE ? r.tuple->items[k] : r, c->node);
        if (part.kind == THING_POISON || !take_result(l, c, k, part, &next[k + skip])) return false;
        if (c->starts)
            next[k + skip] =
                build_op3(&l->b, OP_SELECT, state[0], next[k + skip], values[k + skip]);
    }
    if (c->starts) next[0] = values[0];
    return true;
}

// Initial values and values in the types that the state has now.
static void set_operands(Lower *l, Combine *c)
{
    uint32_t skip = c->starts ? 1 : 0;
    if (c->starts) {
        c->inits[0] = build_bits(&l->b, type_scalar(DTYPE_BOOL), 0);
        c->values[0] = build_bits(&l->b, type_scalar(DTYPE_BOOL), 1);
    }
    for (uint32_t k = c->width - c->faults; k < c->width; k++)
        c->inits[k] = c->values[k] = build_bits(&l->b, type_scalar(DTYPE_BOOL), 0);
    for (uint32_t k = 0; k + skip < c->width - c->faults; k++) {
        DType t = c->dtypes[k];
        c->values[k + skip] = thing_convert(l, c->value_things[k], t);
        c->inits[k + skip] = c->starts ? build_bits(&l->b, type_scalar(t), 0)
                                       : thing_convert(l, c->init_things[k], t);
    }
}

// Each initial value with its value: of one type. Literals settle, for now, to f64 beside an f64.
static bool pair_operands(Lower *l, Combine *c, uint32_t count)
{
    bool wide = false;
    c->dtypes = arena_array(l->arena, DType, count);
    for (uint32_t k = 0; k < count; k++) {
        Thing *v = &c->value_things[k];
        if (v->kind == THING_POISON) return false;
        if (!c->starts) {
            if (c->init_things[k].kind == THING_POISON) return false;
            bool bools =
                thing_dtype(l, v) == DTYPE_BOOL && thing_dtype(l, &c->init_things[k]) == DTYPE_BOOL;
            if (!bools && !lower_operands(l, c->node->span, &c->init_things[k], v)) return false;
        }
        DType t = thing_dtype(l, v);
        c->dtypes[k] = t;
        wide |= !v->untyped && t == DTYPE_F64;
    }
    for (uint32_t k = 0; k < count; k++)
        if (c->value_things[k].untyped && c->dtypes[k] == DTYPE_F64 && !wide)
            c->dtypes[k] = DTYPE_F32;
    return true;
}

static bool counts_fit(Lower *l, const Combine *c, const char *name, uint32_t inits,
                       uint32_t values)
{
    bool scans = c->kind == COMBINE_SCAN;
    if (values && (inits == values || (scans && !inits && !c->exclusive))) return true;
    Diag *diag = lower_error(l, DIAG_BAD_CALL, c->node->span,
                             "%s combines %u value%s and has %u initial one%s", name, values,
                             values == 1 ? "" : "s", inits, inits == 1 ? "" : "s");
    lower_hint(
        l, diag,
        scans ? "write scan[n](f)(x); scan[n, exclusive](f, first)(x) says what stands before all"
              : "write reduce[n](f, neutral)(x), with a neutral value for each x");
    return false;
}

// reduce[n](f, init ...)(x ...) and scan[n](f, init ...)(x ...)
Thing lower_combine_call(Lower *l, Env *env, const Node *node)
{
    const Node *head = node->kids[0], *fargs = head->kids[1], *args = node->kids[1];
    Str name = head->kids[0]->kids[0]->text;
    Combine c = {.kind = str_is(name, "scan") ? COMBINE_SCAN : COMBINE_REDUCE, .node = node};
    Env *inner = env_new(l, env, false);
    AxisItems items = lower_axis_items(l, env, inner, head->kids[0]->kids[1]);
    c.items = &items;
    c.reverse = items.reverse, c.exclusive = items.exclusive;
    if (!reduction_axes_fit(l, &items, str_is(name, "scan") ? "scan" : "reduce",
                            c.kind == COMBINE_SCAN, node))
        return thing_poison();
    if (c.kind == COMBINE_SCAN && !one_axis(l, &items, "scan", node)) return thing_poison();
    uint32_t count = args->kid_count, inits = fargs->kid_count ? fargs->kid_count - 1 : 0;
    if (!counts_fit(l, &c, c.kind == COMBINE_SCAN ? "scan" : "reduce", inits, count))
        return thing_poison();
    c.function = lower_expr(l, env, fargs->kids[0]);
    if (c.function.kind != THING_FUNCTION && c.function.kind != THING_BUILTIN) {
        if (c.function.kind != THING_POISON)
            lower_error(l, DIAG_BAD_CALL, fargs->kids[0]->span,
                        "a function is needed here, this is %s", thing_text(&c.function));
        return thing_poison();
    }
    c.starts = !inits;
    c.init_things = arena_array(l->arena, Thing, count);
    c.value_things = arena_array(l->arena, Thing, count);
    for (uint32_t k = 0; k < inits; k++) c.init_things[k] = lower_value(l, env, fargs->kids[k + 1]);
    AxisSet bound = l->bound;
    Value mask = l->mask;
    lanes_bind(l, over_of(&items));
    for (uint32_t k = 0; k < count; k++) c.value_things[k] = lower_value(l, inner, args->kids[k]);
    l->mask = mask;
    l->bound = bound;
    lower_at(l, node);
    if (!pair_operands(l, &c, count)) return thing_poison();
    find_mask(l, &c);
    c.step = step_function;
    c.width = count + (c.starts ? 1 : 0);
    c.inits = arena_array(l->arena, Value, c.width);
    c.values = arena_array(l->arena, Value, c.width);
    InstId id = {0};
    // Literals take the types of results: i32, i64, f32, f64; then faults are known.
    for (unsigned turn = 0; turn < 6; turn++) {
        c.again = false;
        set_operands(l, &c);
        id = combine(l, &c);
        if (!c.again) break;
    }
    if (!id.i) return thing_poison();
    check_faults(l, &c, id);
    if (count == 1) return result_of(l, id, c.starts);
    Tuple *tuple = arena_new(l->arena, Tuple);
    tuple->count = count;
    tuple->items = arena_array(l->arena, Thing, count);
    for (uint32_t k = 0; k < count; k++) tuple->items[k] = result_of(l, id, k + (c.starts ? 1 : 0));
    return (Thing){.kind = THING_TUPLE, .tuple = tuple};
}

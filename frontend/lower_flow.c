// Conditions and sequential loops, and the variables that they carry.
//
// A prescan finds the outer variables that a body assigns: results of an OP_IF, carried values of
// an OP_LOOP.
#include "frontend/lower.h"

typedef struct Carried {
    VEC(Variable *) vars;
} Carried;

static void carry_name(Lower *l, Env *env, const Node *target, Carried *carried)
{
    if (target->kind == NODE_SUBSCRIPT) target = target->kids[0];
    const Name *name = target->kind == NODE_NAME ? env_find(env, target->text) : NULL;
    if (!name || name->thing.kind != THING_VAR) return;
    for (uint32_t k = 0; k < carried->vars.count; k++) {
        if (carried->vars.data[k] == name->thing.var) return;
    }
    vec_push(l->arena, &carried->vars, name->thing.var);
}

static void carry_assigned(Lower *l, Env *env, const Node *node, Carried *carried)
{
    if (!node) return;
    if (node->kind == NODE_ASSIGN) {
        const Node *target = node->kids[0];
        if (target->kind != NODE_TUPLE) carry_name(l, env, target, carried);
        for (uint32_t k = 0; target->kind == NODE_TUPLE && k < target->kid_count; k++)
            carry_name(l, env, target->kids[k], carried);
        return;
    }
    bool holds_statements = node->kind == NODE_BLOCK || node->kind == NODE_TILE ||
                            node->kind == NODE_FOR || node->kind == NODE_IF ||
                            node->kind == NODE_WHILE;
    if (!holds_statements) return;
    for (uint32_t k = 0; k < node->kid_count; k++) carry_assigned(l, env, node->kids[k], carried);
}

static Type var_type(const Variable *var)
{
    return type_tile(dtype_info[var->dtype].arith, var->axes);
}

static Value *carried_now(Lower *l, const Carried *carried)
{
    Value *values = arena_array(l->arena, Value, carried->vars.count + 1);
    for (uint32_t k = 0; k < carried->vars.count; k++) values[k] = carried->vars.data[k]->now;
    return values;
}

static Type *carried_types(Lower *l, const Carried *carried)
{
    Type *types = arena_array(l->arena, Type, carried->vars.count + 1);
    for (uint32_t k = 0; k < carried->vars.count; k++) types[k] = var_type(carried->vars.data[k]);
    return types;
}

static void take_results(Lower *l, const Carried *carried, InstId id)
{
    for (uint32_t k = 0; k < carried->vars.count; k++) {
        Value v = inst_result(inst_at(l->f, id), k);
        carried->vars.data[k]->now = v;
        value_at(l->f, v)->name = carried->vars.data[k]->name;
    }
}

static bool no_return(Lower *l, const Node *node)
{
    if (!l->returned || !l->depth) return true;
    Diag *diag = lower_error(l, DIAG_MISPLACED, node->span,
                             "'return' under a condition that is not known at compile time");
    lower_hint(l, diag, "choose the value with ?:");
    l->returned = false;
    return false;
}

// Branches run in the lanes where the condition holds.
static void if_lanes(Lower *l, Env *env, const Node *node, Value c)
{
    Value outer = l->mask;
    for (unsigned k = 1; k <= 2; k++) {
        const Node *branch = ast_kid(node, k);
        if (!branch) continue;
        lower_at(l, node);
        l->mask = lanes_and(l, outer, k == 1 ? c : lanes_not(l, c));
        lower_statement(l, env, branch);
        no_return(l, node);
    }
    l->mask = outer;
}

// What a branch leaves: the variables, then the states of scans, which the other branch keeps.
static void yield_branch(Lower *l, const OpenIf *open, unsigned branch, uint32_t vars,
                         const Value *now)
{
    uint32_t count = vars + open->carries.count;
    Value *values = arena_array(l->arena, Value, count + 1);
    memcpy(values, now, sizeof *now * vars);
    for (uint32_t k = 0; k < open->carries.count; k++) {
        IfCarry entry = open->carries.data[k];
        const Carry *carry = &entry.note->carries.data[entry.index];
        values[vars + k] = entry.branch == branch ? carry->next : carry->now;
    }
    if (count) build_inst(&l->b, OP_YIELD, (BuildSpec){.args = values, .arg_count = count});
}

// The states of scans in the branches are results: what the loop, or the `if` around, goes on with.
static void take_states(Lower *l, const OpenIf *open, uint32_t vars, InstId id)
{
    for (uint32_t k = 0; k < open->carries.count; k++) {
        IfCarry entry = open->carries.data[k];
        entry.note->carries.data[entry.index].next = inst_result(inst_at(l->f, id), vars + k);
        carry_through(l, entry.note, entry.index);
    }
}

void carry_through(Lower *l, AxisNote *note, uint32_t index)
{
    OpenIf *open = l->open_if;
    if (l->b.region.i == note->body.i || !open) return;
    IfCarry entry = {note, index, open->branch.i == open->regions[1].i};
    vec_push(l->arena, &open->carries, entry);
}

bool carry_reaches(const Lower *l, const AxisNote *note)
{
    Region at = l->b.region;
    for (const OpenIf *open = l->open_if; open && at.i != note->body.i; open = open->up) {
        if (at.i != open->branch.i) return false;
        at = open->outer;
    }
    return at.i == note->body.i;
}

static void if_scalar(Lower *l, Env *env, const Node *node, Value c)
{
    Carried carried = {0};
    carry_assigned(l, env, node->kids[1], &carried);
    carry_assigned(l, env, ast_kid(node, 2), &carried);
    uint32_t vars = carried.vars.count;
    OpenIf open = {.up = l->open_if, .outer = l->b.region};
    for (unsigned k = 0; k < 2; k++) open.regions[k] = func_region(l->f);
    Value *before = carried_now(l, &carried), *now[2];
    Builder saved = l->b;
    l->open_if = &open;
    for (unsigned k = 0; k < 2; k++) {
        const Node *branch = ast_kid(node, k + 1);
        open.branch = open.regions[k];
        l->b = (Builder){l->f, open.branch, {0}, saved.span};
        for (uint32_t i = 0; i < vars; i++) carried.vars.data[i]->now = before[i];
        if (branch) lower_statement(l, env, branch);
        no_return(l, node);
        now[k] = carried_now(l, &carried);
    }
    lower_at(l, node);
    for (unsigned k = 0; k < 2; k++) {
        l->b.region = open.regions[k];
        yield_branch(l, &open, k, vars, now[k]);
    }
    l->open_if = open.up;
    l->b = saved;
    lower_at(l, node);
    uint32_t count = vars + open.carries.count;
    Type *types = arena_array(l->arena, Type, count + 1);
    memcpy(types, carried_types(l, &carried), sizeof *types * vars);
    for (uint32_t k = 0; k < open.carries.count; k++) {
        IfCarry entry = open.carries.data[k];
        types[vars + k] = value_type(l->f, entry.note->carries.data[entry.index].now);
    }
    InstId id = build_inst(&l->b, OP_IF,
                           (BuildSpec){.args = &c,
                                       .arg_count = 1,
                                       .results = types,
                                       .result_count = count,
                                       .regions = open.regions,
                                       .region_count = 2});
    l->effects = true;
    take_results(l, &carried, id);
    take_states(l, &open, vars, id);
}

void lower_if(Lower *l, Env *env, const Node *node, Thing c)
{
    uint64_t known;
    if (!lower_bool(l, &c, node->kids[0]->span, "the condition of if")) {
        lower_statement(l, env, node->kids[1]);
        if (ast_kid(node, 2)) lower_statement(l, env, node->kids[2]);
        return;
    }
    if (thing_const(l, &c, &known)) {
        const Node *branch = ast_kid(node, known ? 1 : 2);
        if (branch) lower_statement(l, env, branch);
        return;
    }
    if (thing_axes(l, &c))
        if_lanes(l, env, node, c.value);
    else
        if_scalar(l, env, node, c.value);
}

// ---- loops

typedef struct Loop {
    const Node *node;
    Binds binds;
    AxisNote **notes;
    Carried carried;
} Loop;

static void loop_level(Lower *l, Env *env, Loop *loop, uint32_t k);

// Constants were made in the body, the rest stands outside.
static Value carry_start(Lower *l, Value init)
{
    uint64_t bits;
    return value_const(l->f, init, &bits) ? build_bits(&l->b, value_type(l->f, init), bits) : init;
}

// Scans in the body carry on: their states become carried values of the loop, behind the variables.
// All region arguments are made anew, for they stand in a row. Yields all; returns how many they
// are.
static uint32_t carry_scans(Lower *l, const AxisNote *note, const Carried *carried, Value **args,
                            Type **types)
{
    Region body = note->body;
    uint32_t vars = carried->vars.count, count = vars + note->carries.count;
    Value *inits = arena_array(l->arena, Value, count + 3);
    Value *now = arena_array(l->arena, Value, count), *next = arena_array(l->arena, Value, count);
    Type *all = arena_array(l->arena, Type, count);
    memcpy(inits, *args, sizeof *inits * (vars + 3));
    for (uint32_t k = 0; k < count; k++) {
        const Carry *carry = k < vars ? NULL : &note->carries.data[k - vars];
        now[k] = carry ? carry->now : region_arg(l->f, body, k);
        next[k] = carry ? carry->next : carried->vars.data[k]->now;
        all[k] = value_type(l->f, now[k]);
    }
    region_at(l->f, body)->arg_count = 0;
    for (uint32_t k = 0; k < count; k++) {
        Value fresh = region_add_arg(l->f, body, all[k]);
        value_at(l->f, fresh)->name = value_at(l->f, now[k])->name;
        func_replace_uses(l->f, now[k], fresh);
        for (uint32_t j = 0; j < count; j++)
            if (next[j].i == now[k].i) next[j] = fresh;
    }
    build_inst(&l->b, OP_YIELD, (BuildSpec){.args = next, .arg_count = count});
    *args = inits;
    *types = all;
    return count;
}

static void loop_body(Lower *l, Env *env, Loop *loop, uint32_t k)
{
    AxisNote *note = loop->notes[k];
    Env *inner = env_new(l, env, false);
    lower_at(l, loop->node);
    axis_mask(l, note);
    Value live = axis_live(l, note);
    if (live.i) {
        Live entry = {note->axis, live};
        vec_push(l->arena, &l->live, entry);
    }
    binds_define(l, inner, &loop->binds, k, loop->notes);
    loop_level(l, inner, loop, k + 1);
    if (live.i) l->live.count--;
}

// One loop of the nest; the last holds the statements.
static void loop_level(Lower *l, Env *env, Loop *loop, uint32_t k)
{
    const Node *node = loop->node;
    if (k == loop->binds.items.count) {
        lower_block(l, env, node->kids[node->kid_count - 1]);
        no_return(l, node);
        return;
    }
    const Bind *bind = &loop->binds.items.data[k];
    if (bind->is_pack && bind->pack.length && !bind->pack_count) {
        Env *inner = env_new(l, env, false);
        binds_define(l, inner, &loop->binds, k, loop->notes);
        loop_level(l, inner, loop, k + 1);
        return;
    }
    lower_at(l, node);
    Value by = {0};
    AxisNote *note = loop->notes[k] =
        axis_open(l, env, bind, AXIS_LOOP, node->kind == NODE_FOR, &by);
    if (!note) {
        Env *inner = env_new(l, env, false);
        env_define(l, inner, bind->is_pack && bind->pack.length ? bind->pack : bind->name,
                   bind->span, thing_poison());
        if (!l->stopped && !bind->is_pack) loop_level(l, inner, loop, k + 1);
        return;
    }
    const Carried *carried = &loop->carried;
    Region region = func_region(l->f);
    Builder saved = l->b;
    uint32_t count = carried->vars.count;
    Value *args = arena_array(l->arena, Value, count + 3);
    args[0] = note->first, args[1] = note->end, args[2] = by;
    memcpy(args + 3, carried_now(l, carried), sizeof(Value) * count);
    Type *types = carried_types(l, carried);
    for (uint32_t i = 0; i < count; i++) {
        Variable *var = carried->vars.data[i];
        var->now = region_add_arg(l->f, region, types[i]);
        value_at(l->f, var->now)->name = var->name;
    }
    l->b = (Builder){l->f, region, {0}, saved.span};
    if (note->step.i && note->scalar) {
        Value turn = build_op2(&l->b, OP_MUL, build_index(&l->b, note->axis), note->step);
        note->index = build_op2(&l->b, OP_ADD, note->lo, turn);
    }
    note->body = region;
    note->reverse = bind->range && (bind->range->flags & NODE_FLAG_REVERSE);
    loop_body(l, env, loop, k);
    lower_at(l, node);
    if (note->carries.count)
        count = carry_scans(l, note, carried, &args, &types);
    else if (count)
        build_inst(&l->b, OP_YIELD,
                   (BuildSpec){.args = carried_now(l, carried), .arg_count = count});
    l->b = saved;
    lower_at(l, node);
    for (uint32_t i = 0; i < note->carries.count; i++)
        args[3 + carried->vars.count + i] = carry_start(l, note->carries.data[i].init);
    bool reverse = note->reverse;
    InstId id = build_inst(&l->b, OP_LOOP,
                           (BuildSpec){.args = args,
                                       .arg_count = count + 3,
                                       .results = types,
                                       .result_count = count,
                                       .regions = &region,
                                       .region_count = 1,
                                       .flags = reverse ? INST_REVERSE : 0,
                                       .attr = {.ref = note->axis.i}});
    axis_at(l->f, note->axis)->decl = id;
    l->effects = true;
    take_results(l, carried, id);
}

// ---- loops that are written out turn by turn

enum { TURNS_MAX = 64 };

typedef struct Turns {
    int64_t lo, hi, by;
    bool reverse;
} Turns;

static bool known_number(Lower *l, Env *env, const Node *node, int64_t otherwise, int64_t *x)
{
    *x = otherwise;
    if (!node) return true;
    Thing t = lower_integer(l, env, node, "a bound");
    return t.kind == THING_VALUE && value_const_int(l->f, t.value, x);
}

static bool known_turns(Lower *l, Env *env, const Node *bind, Turns *turns)
{
    const Node *range = bind->kids[0];
    if (range->kind != NODE_RANGE) return false;
    turns->reverse = (range->flags & NODE_FLAG_REVERSE) != 0;
    return known_number(l, env, range->kids[0], 0, &turns->lo) &&
           known_number(l, env, range->kids[1], 0, &turns->hi) &&
           known_number(l, env, ast_kid(range, 2), 1, &turns->by) && turns->by > 0 &&
           (turns->hi <= turns->lo || turns->hi - turns->lo <= TURNS_MAX * turns->by);
}

static void unroll(Lower *l, Env *env, const Node *node, uint32_t k)
{
    Turns turns;
    if (k + 1 == node->kid_count) {
        lower_block(l, env, node->kids[k]);
        return;
    }
    const Node *bind = node->kids[k];
    if (!known_turns(l, env, bind, &turns)) return;
    int64_t count = turns.hi > turns.lo ? (turns.hi - turns.lo + turns.by - 1) / turns.by : 0;
    for (int64_t turn = 0; turn < count && !l->stopped; turn++) {
        Env *inner = env_new(l, env, false);
        int64_t at = turns.lo + (turns.reverse ? count - 1 - turn : turn) * turns.by;
        env_define(l, inner, bind->text, bind->text_span, thing_value(build_i64(&l->b, at)));
        unroll(l, inner, node, k + 1);
    }
}

static bool unrolls(Lower *l, Env *env, const Node *node)
{
    Turns turns;
    bool known = l->unrolls && node->kind == NODE_FOR;
    for (uint32_t k = 0; known && k + 1 < node->kid_count; k++)
        known = known_turns(l, env, node->kids[k], &turns);
    return known;
}

void lower_loop(Lower *l, Env *env, const Node *node)
{
    if (unrolls(l, env, node)) {
        unroll(l, env, node, 0);
        return;
    }
    Loop loop = {.node = node};
    Env *inner = env_new(l, env, false);
    loop.binds = binds_flatten(l, inner, node, node->kid_count - 1);
    loop.notes = arena_array(l->arena, AxisNote *, loop.binds.items.count + 1);
    carry_assigned(l, env, node->kids[node->kid_count - 1], &loop.carried);
    loop_level(l, inner, &loop, 0);
}

// ---- while
//
// A loop over 0 .. bound + 1 that carries which lanes are active and ends when none is; whoever is
// active at the end has run too often.
//
//     active = c;  if (active) { body }  yield ..., active, any(active)

static const Str while_name = {"while", 5};

// What the condition varies along, from a trial: the variables that the body assigns vary along all
// their axes by then.
static bool while_axes(Lower *l, Env *env, const Node *node, const Carried *carried, AxisSet *axes)
{
    Trial trial;
    Value *before = carried_now(l, carried);
    Region region = trial_begin(l, &trial);
    for (uint32_t k = 0; k < carried->vars.count; k++)
        carried->vars.data[k]->now = func_value(l->f, var_type(carried->vars.data[k]));
    Thing c = lower_value(l, env, node->kids[0]);
    bool ok = lower_bool(l, &c, node->kids[0]->span, "the condition of while");
    *axes = ok ? thing_axes(l, &c) : 0;
    for (uint32_t k = 0; k < carried->vars.count; k++) carried->vars.data[k]->now = before[k];
    trial_end(l, &trial);
    trial_drop(l, &trial, region);
    return ok;
}

// The whole of one turn, in the loop's region.
static void while_turn(Lower *l, Env *env, const Node *node, const Carried *carried,
                       Variable *active)
{
    Value outer = l->mask;
    l->mask = lanes_and(l, outer, active->now);
    Thing c = lower_value(l, env, node->kids[0]);
    l->mask = outer;
    lower_bool(l, &c, node->kids[0]->span, "the condition of while");
    lower_at(l, node);
    active->now = lanes_and(l, active->now, c.value);
    Node choice = {.kind = NODE_IF,
                   .span = node->span,
                   .kid_count = 3,
                   .kids = (Node *[]){node->kids[0], node->kids[2], NULL}};
    if (active->axes)
        if_lanes(l, env, &choice, active->now);
    else
        if_scalar(l, env, &choice, active->now);
    lower_at(l, node);
    Value *values = arena_array(l->arena, Value, carried->vars.count + 1);
    memcpy(values, carried_now(l, carried), sizeof(Value) * carried->vars.count);
    values[carried->vars.count] = lanes_any(l, active->now, 0);
    build_inst(&l->b, OP_YIELD, (BuildSpec){.args = values, .arg_count = carried->vars.count + 1});
}

static void while_check(Lower *l, Value active, Value bound)
{
    int64_t times;
    Str message = STR("this while has run as often as its bound says, and would go on");
    if (value_const_int(l->f, bound, &times))
        message = str_format(l->arena, "this while has run %lld times, its bound, and would go on",
                             (long long)times);
    SiteInfo site = {.kind = SITE_ASSERT, .span = l->b.span, .message = message};
    Value ok = lanes_not(l, active);
    build_inst(&l->b, OP_CHECK,
               (BuildSpec){.args = &ok, .arg_count = 1, .attr = {.ref = func_site(l->f, site)}});
}

static void while_loop(Lower *l, Env *env, const Node *node, Carried *carried, Value bound,
                       AxisSet axes)
{
    lower_at(l, node);
    Value start = lanes_for(l, axes, axes_closure(l, axes));
    if (!start.i) start = build_bits(&l->b, type_scalar(DTYPE_BOOL), 1);
    Variable active = {.name = STR("active"),
                       .dtype = DTYPE_BOOL,
                       .axes = axes | value_axes(l->f, start),
                       .now = start};
    vec_push(l->arena, &carried->vars, &active);
    Value least = build_op2(&l->b, OP_MAX, bound, build_i64(&l->b, 0)), by = {0};
    Bind bind = {.name = while_name, .span = node->span};
    bind.size = build_op2(&l->b, OP_ADD, least, build_i64(&l->b, 1));
    AxisNote *note = axis_open(l, env, &bind, AXIS_LOOP, true, &by);
    if (!note) return;
    uint32_t count = carried->vars.count;
    Value *args = arena_array(l->arena, Value, count + 3);
    args[0] = note->first, args[1] = note->end, args[2] = by;
    memcpy(args + 3, carried_now(l, carried), sizeof(Value) * count);
    Type *types = carried_types(l, carried);
    Region region = func_region(l->f);
    for (uint32_t k = 0; k < count; k++) {
        Variable *var = carried->vars.data[k];
        var->now = region_add_arg(l->f, region, types[k]);
        value_at(l->f, var->now)->name = var->name;
    }
    Builder saved = l->b;
    l->b = (Builder){l->f, region, {0}, saved.span};
    while_turn(l, env, node, carried, &active);
    l->b = saved;
    lower_at(l, node);
    InstId id = build_inst(&l->b, OP_LOOP,
                           (BuildSpec){.args = args,
                                       .arg_count = count + 3,
                                       .results = types,
                                       .result_count = count,
                                       .regions = &region,
                                       .region_count = 1,
                                       .flags = INST_WHILE,
                                       .attr = {.ref = note->axis.i}});
    axis_at(l->f, note->axis)->decl = id;
    l->effects = true;
    take_results(l, carried, id);
    while_check(l, active.now, bound);
}

void lower_while(Lower *l, Env *env, const Node *node)
{
    Carried carried = {0};
    AxisSet axes;
    carry_assigned(l, env, node->kids[2], &carried);
    Thing bound = lower_integer(l, env, node->kids[1], "the bound of while");
    if (thing_axes(l, &bound)) {
        Diag *diag = lower_error(l, DIAG_NOT_SCALAR, node->kids[1]->span,
                                 "the bound of while varies along %.*s",
                                 STR_ARG(axes_text(l, thing_axes(l, &bound))));
        lower_hint(l, diag, "bound it by the largest; each lane stops by its condition");
        bound = thing_poison();
    }
    bool ok = while_axes(l, env, node, &carried, &axes) && bound.kind != THING_POISON;
    if (ok)
        while_loop(l, env, node, &carried, bound.value, axes);
    else
        lower_statement(l, env, node->kids[2]); // still look at the rest
}

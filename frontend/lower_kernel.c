// The top level of a kernel: the prologue, and phases with their grids.
//
// A top-level `let` of scalar arithmetic goes to the prologue; one that loads from an input is
// deferred, that is computed anew at the head of each phase that uses it; any other lives in a
// phase of one tile. Instructions with regions are built when their bodies are done, so what is
// appended to a phase's region meanwhile stands before the grid.
#include "frontend/lower.h"

// ---- code on trial

Region trial_begin(Lower *l, Trial *trial)
{
    Region region = func_region(l->f);
    *trial = (Trial){.saved = l->b,
                     .place = l->place,
                     .writes = l->writes,
                     .reads_written = l->reads_written,
                     .effects = l->effects,
                     .axis_count = l->f->axes.count,
                     .site_count = l->f->sites.count,
                     .deferred_count = l->deferred_count,
                     .mask = l->mask};
    l->b = (Builder){l->f, region, {0}, l->b.span};
    l->writes = l->reads_written = l->effects = false;
    return region;
}

void trial_end(Lower *l, Trial *trial)
{
    Span span = l->b.span;
    l->b = trial->saved;
    l->b.span = span;
    l->place = trial->place;
    l->mask = trial->mask;
    l->writes |= trial->writes;
    l->reads_written |= trial->reads_written;
    l->effects |= trial->effects;
}

void trial_drop(Lower *l, const Trial *trial, Region region)
{
    for_each_inst(l->f, region, id) inst_unlink(l->f, id);
    if (trial->deferred_count != l->deferred_count) return; // those may live on, outside
    for (uint32_t i = trial->axis_count; i < l->f->axes.count; i++) l->axes[i] = NULL;
    l->f->axes.count = trial->axis_count;
    l->f->sites.count = trial->site_count;
}

void trial_hoist(Lower *l, Region region)
{
    for (InstId id = region_at(l->f, region)->first; id.i;) {
        InstId next = inst_at(l->f, id)->next;
        inst_move(l->f, id, l->f->body, l->first_phase);
        id = next;
    }
}

static void prologue_builder(Lower *l)
{
    l->b.region = l->f->body;
    l->b.before = l->first_phase;
    l->place = PLACE_PROLOGUE;
}

Thing prologue_scalar(Lower *l, Env *env, const Node *node, const char *what)
{
    Trial trial;
    Region region = trial_begin(l, &trial);
    l->place = PLACE_PROLOGUE;
    l->mask = (Value){0};
    Thing t = lower_scalar(l, env, node, what);
    bool effects = l->effects;
    trial_end(l, &trial);
    if (!effects) {
        trial_hoist(l, region);
        return t;
    }
    trial_drop(l, &trial, region);
    if (t.kind != THING_POISON) {
        Diag *diag = lower_error(l, DIAG_NOT_CONSTANT, node->span,
                                 "%s must be known before the kernel runs", what);
        lower_hint(l, diag, "it may use dimensions and scalar arguments, not what tensors hold");
    }
    return thing_poison();
}

// ---- deferred things

static Thing deferred_constant(Lower *l, Deferred *d)
{
    Span outer = l->span;
    Value mask = l->mask;
    l->mask = (Value){0};
    Thing t = lower_expr(l, d->env, d->node);
    l->mask = mask;
    l->span = outer;
    return t;
}

static Thing deferred_here(Lower *l, Deferred *d)
{
    if (d->node->kind != NODE_BIND) {
        Thing t = lower_expr(l, d->env, d->node);
        if (d->part && t.kind == THING_TUPLE) t = t.tuple->items[d->part - 1];
        bool view = t.kind == THING_TENSOR && t.tensor->view;
        if (!view) t = thing_as_value(l, t, d->node);
        if (t.kind == THING_VALUE) value_at(l->f, t.value)->name = d->name;
        return t;
    }
    Node list = {.kind = NODE_AXIS,
                 .span = d->node->span,
                 .kid_count = 1,
                 .kids = (Node *[]){(Node *)d->node}};
    Env *scope = env_new(l, d->env, true);
    lower_axis_statement(l, scope, &list);
    return scope->names.count ? scope->names.data[scope->names.count - 1].thing : thing_poison();
}

// At the head of the open phase: there it stands before everything that may use it.
static Thing deferred_in_phase(Lower *l, Deferred *d)
{
    Builder saved = l->b;
    Value mask = l->mask;
    AxisSet bound = l->bound;
    uint32_t live = l->live.count;
    bool inside = l->phase_region.i && l->b.region.i != l->phase_region.i;
    if (inside) l->b = (Builder){l->f, l->phase_region, {0}, saved.span};
    l->mask = (Value){0};
    l->bound = 0;
    l->live.count = 0;
    Thing t = deferred_here(l, d);
    l->live.count = live;
    l->mask = mask;
    l->bound = bound;
    if (inside) l->b = saved;
    return t;
}

// A constant of a file that was evaluated before.
static Thing deferred_again(Lower *l, const Deferred *d)
{
    if (d->thing.kind != THING_VALUE) return d->thing;
    Thing t = thing_value(build_bits(&l->b, value_type(l->f, d->thing.value), d->bits));
    t.untyped = d->thing.untyped;
    return t;
}

Thing lower_deferred(Lower *l, Deferred *d, const Node *use)
{
    if (d->busy) {
        lower_error(l, DIAG_RECURSION, use->span, "'%.*s' is defined by itself", STR_ARG(d->name));
        return thing_poison();
    }
    bool caches = !d->constant && l->place != PLACE_PROLOGUE;
    uint32_t *phase = l->aside ? &d->aside : &d->phase;
    Thing *thing = l->aside ? &d->trial_thing : &d->thing;
    if (caches && *phase == l->phase) return *thing;
    if (d->known) return deferred_again(l, d);
    bool quiet = l->quiet;
    if (l->place == PLACE_PHASE) l->deferred_count++;
    l->quiet = quiet || d->reported;
    d->busy = true;
    Thing t = d->constant ? deferred_constant(l, d) : deferred_in_phase(l, d);
    d->busy = false;
    l->quiet = quiet;
    d->reported = true;
    if (caches) *phase = l->phase, *thing = t;
    if (d->constant && (thing_const(l, &t, &d->bits) || t.kind == THING_POISON))
        d->known = true, d->thing = t;
    lower_at(l, use);
    return t;
}

static void defer(Lower *l, Env *env, const Node *name, Deferred deferred)
{
    Deferred *d = arena_new(l->arena, Deferred);
    *d = deferred;
    d->env = env;
    d->name = name->text;
    Span span = name->text_span.line ? name->text_span : name->span;
    env_define(l, env, name->text, span, (Thing){.kind = THING_DEFERRED, .deferred = d});
}

// ---- phases

static Region phase_open(Lower *l)
{
    l->phase = l->open_phase = ++l->phase_count;
    l->phase_region = func_region(l->f);
    l->b.region = l->phase_region;
    l->b.before = (InstId){0};
    l->place = PLACE_PHASE;
    return l->phase_region;
}

static void phase_end(Lower *l, LoopKind kind)
{
    Region region = l->phase_region;
    lower_check_views(l, region);
    l->b.region = l->f->body;
    l->b.before = (InstId){0};
    InstId id =
        build_inst(&l->b, OP_PHASE,
                   (BuildSpec){.regions = &region, .region_count = 1, .attr = {.kind = kind}});
    if (!l->first_phase.i) l->first_phase = id;
    l->phase_region = (Region){0};
    l->open_phase = 0;
    prologue_builder(l);
}

// The open phase of one tile, if any, ends.
void phase_close(Lower *l)
{
    if (l->phase_region.i) phase_end(l, LOOP_SERIAL);
    l->mask = (Value){0};
}

static void single_open(Lower *l)
{
    if (!l->phase_region.i) {
        phase_open(l);
        l->phase_guard = lower_data_guard(l);
    }
    l->mask = lanes_and(l, l->guard, l->phase_guard);
}

// ---- nests

typedef struct Nest {
    const Node *node;
    Binds binds;
    AxisNote **notes;
} Nest;

static void nest_loop(Lower *l, Env *env, const Node *node);

static bool nest_shape(const Node *block)
{
    for (uint32_t k = 0; k < block->kid_count; k++) {
        NodeKind kind = block->kids[k]->kind;
        bool last = k + 1 == block->kid_count;
        bool loop =
            kind == NODE_TILE || (kind == NODE_FOR && !(block->kids[k]->flags & NODE_FLAG_SERIAL));
        if (last) return loop || kind == NODE_IF;
        if (kind != NODE_LET && kind != NODE_AXIS && kind != NODE_TUNE) return false;
        if (kind == NODE_LET && block->kids[k]->kids[1]->kind == NODE_ATOMIC) return false;
    }
    return false;
}

static void nest_block(Lower *l, Env *env, const Node *block);

// The body of the innermost grid, under what tensors say about the whole nest. `condition` is that
// of an `if`, which the body then is.
static void nest_body(Lower *l, Env *env, const Node *body, const Thing *condition)
{
    Builder saved = l->b;
    Region regions[2];
    if (l->phase_guard.i) {
        for (unsigned k = 0; k < 2; k++) regions[k] = func_region(l->f);
        l->b = (Builder){l->f, regions[0], {0}, saved.span};
    }
    if (condition)
        lower_if(l, env, body, *condition);
    else
        lower_block(l, env, body);
    if (!l->phase_guard.i) return;
    l->b = saved;
    build_inst(&l->b, OP_IF,
               (BuildSpec){
                   .args = &l->phase_guard, .arg_count = 1, .regions = regions, .region_count = 2});
    l->effects = true;
}

// A scalar `if` without `else` may stand between grids; what is known at compile time is chosen
// first.
static void nest_if(Lower *l, Env *env, const Node *node)
{
    Thing c = lower_value(l, env, node->kids[0]);
    uint64_t known;
    if (c.kind == THING_VALUE && thing_dtype(l, &c) == DTYPE_BOOL && thing_const(l, &c, &known)) {
        const Node *branch = ast_kid(node, known ? 1 : 2);
        if (!branch) return;
        if (branch->kind == NODE_IF)
            nest_if(l, env, branch);
        else
            nest_block(l, env, branch);
        return;
    }
    bool plain = c.kind == THING_VALUE && thing_dtype(l, &c) == DTYPE_BOOL && !thing_axes(l, &c) &&
                 !ast_kid(node, 2);
    if (!plain || !nest_shape(node->kids[1])) {
        lower_at(l, node);
        nest_body(l, env, node, &c);
        return;
    }
    Region regions[2];
    for (unsigned k = 0; k < 2; k++) regions[k] = func_region(l->f);
    Builder saved = l->b;
    l->b = (Builder){l->f, regions[0], {0}, saved.span};
    nest_block(l, env, node->kids[1]);
    l->b = saved;
    lower_at(l, node);
    build_inst(
        &l->b, OP_IF,
        (BuildSpec){.args = &c.value, .arg_count = 1, .regions = regions, .region_count = 2});
}

static void nest_block(Lower *l, Env *env, const Node *block)
{
    if (!nest_shape(block)) {
        nest_body(l, env, block, NULL);
        return;
    }
    Env *inner = env_new(l, env, false);
    for (uint32_t k = 0; k + 1 < block->kid_count; k++) lower_statement(l, inner, block->kids[k]);
    const Node *last = block->kids[block->kid_count - 1];
    lower_at(l, last);
    if (last->kind == NODE_IF)
        nest_if(l, inner, last);
    else
        nest_loop(l, inner, last);
}

static void nest_level(Lower *l, Env *env, Nest *nest, uint32_t k)
{
    const Node *node = nest->node;
    if (k == nest->binds.items.count) {
        nest_block(l, env, node->kids[node->kid_count - 1]);
        return;
    }
    Env *inner = env_new(l, env, false);
    const Bind *bind = &nest->binds.items.data[k];
    if (bind->is_pack && bind->pack.length && !bind->pack_count) {
        binds_define(l, inner, &nest->binds, k, nest->notes);
        nest_level(l, inner, nest, k + 1);
        return;
    }
    lower_at(l, node);
    Value by = {0};
    AxisNote *note = nest->notes[k] =
        axis_open(l, env, bind, AXIS_GRID, node->kind == NODE_FOR, &by);
    if (!note) {
        env_define(l, inner, bind->is_pack && bind->pack.length ? bind->pack : bind->name,
                   bind->span, thing_poison());
        if (!l->stopped && !bind->is_pack) nest_level(l, inner, nest, k + 1);
        return;
    }
    if (l->guard.i && l->b.region.i == l->phase_region.i)
        note->end = build_op3(&l->b, OP_SELECT, l->guard, note->end, note->first);
    int64_t free_block;
    bool has_by = !note->scalar && !(value_const_int(l->f, by, &free_block) && free_block == 0);
    Region region = func_region(l->f);
    Builder saved = l->b;
    l->b = (Builder){l->f, region, {0}, saved.span};
    if (note->step.i && note->scalar) {
        Value turn = build_op2(&l->b, OP_MUL, build_index(&l->b, note->axis), note->step);
        note->index = build_op2(&l->b, OP_ADD, note->lo, turn);
    }
    axis_mask(l, note);
    Value live = axis_live(l, note);
    if (live.i) {
        Live entry = {note->axis, live};
        vec_push(l->arena, &l->live, entry);
    }
    binds_define(l, inner, &nest->binds, k, nest->notes);
    nest_level(l, inner, nest, k + 1);
    if (live.i) l->live.count--;
    l->b = saved;
    lower_at(l, node);
    InstId id = build_inst(&l->b, OP_GRID,
                           (BuildSpec){.args = (Value[]){note->first, note->end, by},
                                       .arg_count = has_by ? 3 : 2,
                                       .regions = &region,
                                       .region_count = 1,
                                       .attr = {.ref = note->axis.i}});
    axis_at(l->f, note->axis)->decl = id;
}

static void nest_loop(Lower *l, Env *env, const Node *node)
{
    Nest nest = {.node = node};
    Env *inner = env_new(l, env, false);
    nest.binds = binds_flatten(l, inner, node, node->kid_count - 1);
    nest.notes = arena_array(l->arena, AxisNote *, nest.binds.items.count + 1);
    nest_level(l, inner, &nest, 0);
}

// ---- statements of the top level

static void top_statement(Lower *l, Env *env, const Node *node);

static void top_block(Lower *l, Env *env, const Node *block)
{
    Env *inner = env_new(l, env, false);
    for (uint32_t k = 0; k < block->kid_count; k++) top_statement(l, inner, block->kids[k]);
}

// A trial as if in a phase of its own, where what it defers goes too.
typedef struct Aside {
    Region region;
    uint32_t phase;
    bool aside;
} Aside;

static Aside aside_begin(Lower *l, Region region)
{
    Aside saved = {l->phase_region, l->phase, l->aside};
    l->phase_region = region;
    l->phase = ++l->phase_count;
    l->aside = true;
    l->place = PLACE_TRIAL;
    return saved;
}

static void aside_end(Lower *l, Aside saved)
{
    l->phase_region = saved.region;
    l->phase = saved.phase;
    l->aside = saved.aside;
}

static void top_let(Lower *l, Env *env, const Node *node)
{
    Trial trial;
    if (node->kids[1]->kind == NODE_ATOMIC) {
        single_open(l);
        lower_statement(l, env, node);
        return;
    }
    Region region = trial_begin(l, &trial);
    Aside saved = aside_begin(l, region);
    l->mask = (Value){0};
    Thing t = lower_expr(l, env, node->kids[1]);
    bool scalar = t.kind == THING_TENSOR && t.tensor->rank == 0;
    if (t.kind == THING_VAR || t.kind == THING_AXIS || scalar)
        t = thing_as_value(l, t, node->kids[1]);
    bool loaded = l->effects, local = l->writes || l->reads_written;
    aside_end(l, saved);
    if (!loaded && !local) {
        l->place = PLACE_PROLOGUE;
        lower_let(l, env, node, t);
        trial_end(l, &trial);
        trial_hoist(l, region);
        return;
    }
    trial_end(l, &trial);
    trial_drop(l, &trial, region);
    const Node *names = node->kids[0];
    bool view = t.kind == THING_TENSOR && t.tensor->view;
    bool tuple = t.kind == THING_TUPLE && t.tuple->count == names->kid_count && t.tuple->count > 1;
    bool one = names->kid_count == 1 && (t.kind == THING_VALUE || view);
    for (uint32_t k = 0; !local && (one || tuple) && k < names->kid_count; k++) {
        Deferred d = {.node = node->kids[1], .reported = true, .part = tuple ? k + 1 : 0};
        if (!str_is(names->kids[k]->text, "_")) defer(l, env, names->kids[k], d);
    }
    if (!local && (one || tuple)) return;
    bool quiet = l->quiet;
    single_open(l);
    lower_at(l, node);
    l->quiet = true;
    t = lower_expr(l, env, node->kids[1]);
    l->quiet = quiet;
    lower_let(l, env, node, t);
}

static void top_axis(Lower *l, Env *env, const Node *node)
{
    for (uint32_t k = 0; k < node->kid_count; k++) {
        const Node *bind = node->kids[k];
        if (bind->kind == NODE_BIND) defer(l, env, bind, (Deferred){.node = bind});
    }
}

static void top_buf(Lower *l, Env *env, const Node *node);

static void top_require(Lower *l, Env *env, const Node *node)
{
    Thing c = prologue_scalar(l, env, node->kids[0], "what require checks");
    if (!lower_bool(l, &c, node->kids[0]->span, "what require checks")) return;
    const Node *text = ast_kid(node, 1);
    uint64_t known;
    bool decided = thing_const(l, &c, &known);
    if (decided && known) return;
    if (decided && l->spec->absent.length) {
        l->stopped = true;
        return;
    }
    if (decided && l->spec->tensors_known) {
        lower_error(
            l, DIAG_REQUIRE_FAILED, node->span, "requirement not met: %.*s",
            STR_ARG(text ? text->text : STR("it is false for these compile-time parameters")));
        return;
    }
    lower_at(l, node);
    SiteInfo site = {.kind = SITE_REQUIRE,
                     .span = l->b.span,
                     .message = text ? text->text : STR("requirement not met")};
    Builder saved = l->b;
    l->b.region = l->f->body;
    l->b.before = l->first_phase;
    build_inst(
        &l->b, OP_REQUIRE,
        (BuildSpec){.args = &c.value, .arg_count = 1, .attr = {.ref = func_site(l->f, site)}});
    l->b = saved;
}

static bool holds_loop(const Node *node)
{
    if (!node) return false;
    if (node->kind == NODE_TILE || node->kind == NODE_FOR || node->kind == NODE_CALL_KERNEL)
        return true;
    if (node->kind != NODE_BLOCK && node->kind != NODE_IF) return false;
    for (uint32_t k = 0; k < node->kid_count; k++) {
        if (holds_loop(node->kids[k])) return true;
    }
    return false;
}

// The condition is computed once, in a phase of its own; each nest asks for it in its innermost
// tile.
static void data_if(Lower *l, Env *env, const Node *node)
{
    bool quiet = l->quiet;
    phase_close(l);
    single_open(l);
    l->quiet = true;
    Thing c = lower_value(l, env, node->kids[0]);
    l->quiet = quiet;
    c.phase = l->phase;
    if (thing_axes(l, &c)) {
        lower_error(l, DIAG_NOT_SCALAR, node->kids[0]->span,
                    "the condition around these loops varies along %.*s",
                    STR_ARG(axes_text(l, thing_axes(l, &c))));
        return;
    }
    phase_close(l);
    for (unsigned k = 1; k <= 2; k++) {
        const Node *branch = ast_kid(node, k);
        if (!branch) continue;
        vec_push(l->arena, &l->data_guards, (DataGuard){c, k == 1});
        top_statement(l, env, branch);
        phase_close(l);
        l->data_guards.count--;
    }
}

// Known at compile time: one branch. Else nests under it get empty ranges where it does not hold.
static void top_if(Lower *l, Env *env, const Node *node)
{
    Trial trial;
    Region region = trial_begin(l, &trial);
    Aside saved = aside_begin(l, region);
    Thing c = lower_value(l, env, node->kids[0]);
    bool effects = l->effects;
    aside_end(l, saved);
    trial_end(l, &trial);
    if (effects)
        trial_drop(l, &trial, region);
    else
        trial_hoist(l, region);
    uint64_t known;
    bool is_bool = lower_bool(l, &c, node->kids[0]->span, "the condition of if");
    if (is_bool && thing_const(l, &c, &known)) {
        const Node *branch = ast_kid(node, known ? 1 : 2);
        if (branch && branch->kind == NODE_IF)
            top_if(l, env, branch);
        else if (branch)
            top_block(l, env, branch);
        return;
    }
    if (!is_bool) c = literal_bool(l, true);
    if (!holds_loop(node)) {
        single_open(l);
        lower_statement(l, env, node);
        return;
    }
    if (effects) {
        data_if(l, env, node);
        return;
    }
    Value outer = l->guard;
    for (unsigned k = 1; k <= 2; k++) {
        const Node *branch = ast_kid(node, k);
        if (!branch) continue;
        phase_close(l);
        lower_at(l, node);
        l->guard = lanes_and(l, outer, k == 1 ? c.value : lanes_not(l, c.value));
        top_statement(l, env, branch);
        phase_close(l);
        l->guard = outer;
    }
}

void lower_top_block(Lower *l, Env *env, const Node *block)
{
    top_block(l, env, block);
}

static void top_statement(Lower *l, Env *env, const Node *node)
{
    if (l->stopped) return;
    lower_at(l, node);
    switch ((unsigned)node->kind) {
    case NODE_LET: top_let(l, env, node); return;
    case NODE_AXIS: top_axis(l, env, node); return;
    case NODE_BUF: top_buf(l, env, node); return;
    case NODE_REQUIRE: top_require(l, env, node); return;
    case NODE_TUNE: lower_tune(l, env, node); return;
    case NODE_IF: top_if(l, env, node); return;
    case NODE_BLOCK: top_block(l, env, node); return;
    case NODE_ERROR: return;
    case NODE_CALL_KERNEL:
        phase_close(l);
        lower_instance(l, env, node);
        return;
    case NODE_RETURN: lower_statement(l, env, node); return;
    case NODE_TILE:
    case NODE_FOR:
        phase_close(l);
        if (node->flags & NODE_FLAG_SERIAL) {
            lower_repeat(l, env, node);
            return;
        }
        phase_open(l);
        l->phase_guard = lower_data_guard(l);
        nest_loop(l, env, node);
        phase_end(l, LOOP_GRID);
        return;
    }
    single_open(l);
    lower_statement(l, env, node);
}

// Every element gets the value, in a phase of its own.
static void fill(Lower *l, const Tensor *t, Value v)
{
    Region at[RANK_MAX + 1];
    Axis axes[RANK_MAX];
    Value args[RANK_MAX + 1] = {v};
    phase_close(l);
    at[0] = phase_open(l);
    for (unsigned k = 0; k < t->rank; k++) {
        axes[k] = func_axis(l->f, str_format(l->arena, "%.*s_%u", STR_ARG(t->name), k), AXIS_GRID);
        if (!axes[k].i) {
            lower_error(l, DIAG_TOO_MANY_AXES, l->b.span, "more than 63 axes in one kernel");
            l->stopped = true;
            return;
        }
        at[k + 1] = func_region(l->f);
        args[k + 1] = build_index(&(Builder){l->f, at[k + 1], {0}, l->b.span}, axes[k]);
    }
    Builder b = {l->f, at[t->rank], {0}, l->b.span};
    build_inst(&b, OP_STORE_TILE,
               (BuildSpec){.args = args, .arg_count = t->rank + 1u, .attr = {.ref = t->mem.i}});
    for (unsigned k = t->rank; k-- > 0;) {
        b.region = at[k];
        Value range[2] = {build_i64(&b, 0), t->sizes[k]};
        InstId id = build_inst(&b, OP_GRID,
                               (BuildSpec){.args = range,
                                           .arg_count = 2,
                                           .regions = &at[k + 1],
                                           .region_count = 1,
                                           .attr = {.ref = axes[k].i}});
        axis_at(l->f, axes[k])->decl = id;
    }
    phase_end(l, t->rank ? LOOP_GRID : LOOP_SERIAL);
}

static void fill_all(Lower *l)
{
    for (uint32_t i = 0; i < l->fills.count && !l->stopped; i++)
        fill(l, l->fills.data[i].tensor, l->fills.data[i].value);
    l->fills.count = 0;
}

static void top_buf(Lower *l, Env *env, const Node *node)
{
    const Node *type = node->kids[0], *init = ast_kid(node, 1);
    DType dtype = lower_type(l, env, type);
    const Node *dims = type->kid_count ? type->kids[type->kid_count - 1] : NULL;
    dims = dims && dims->kind == NODE_DIMS ? dims : NULL;
    Tensor *tensor = arena_new(l->arena, Tensor);
    *tensor = (Tensor){.name = node->text, .dtype = dtype, .writable = true, .output = true};
    bool ok = dtype && tensor_shape(l, env, dims, tensor);
    MemInfo info = {.name = node->text,
                    .dtype = dtype,
                    .kind = MEM_WORKSPACE,
                    .rank = tensor->rank,
                    .span = node->text_span};
    Value start = ok && init ? tensor_init(l, env, init, tensor) : (Value){0};
    ok = ok && (!init || start.i);
    if (ok) {
        tensor->mem = func_mem(l->f, info);
        lower_at(l, node);
        tensor_declare(l, tensor);
        if (start.i) tensor_start(l, tensor, start);
        fill_all(l);
    }
    env_define(l, env, node->text, node->text_span,
               ok ? (Thing){.kind = THING_TENSOR, .tensor = tensor} : thing_poison());
}

void lower_kernel_body(Lower *l, Env *env, const Node *block)
{
    prologue_builder(l);
    fill_all(l);
    top_block(l, env, block);
    phase_close(l);
    lower_fold_starts(l);
}

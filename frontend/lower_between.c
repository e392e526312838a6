// What goes from phase to phase beside tensors: values that a phase of one tile computed,
// conditions around nests, and what folds start from.
//
//   let m = max[n in N](x[n]); tile i ... m ...     a workspace of rank 0: stored at the end of the
//   first phase, loaded at the head of each other that uses it
//   axis n in N; let e = t[n] * 2; tile i ... e ...     a workspace over n, which each phase that
//   uses e declares anew
#include "frontend/lower.h"

#include "ir/eval.h"

// Which of those kept it is; UINT32_MAX: none.
static uint32_t find_kept(const Lower *l, Value v)
{
    for (uint32_t i = 0; i < l->kept.count; i++)
        if (l->kept.data[i].value.i == v.i) return i;
    return UINT32_MAX;
}

static bool in_prologue(const Lower *l, Value v)
{
    uint64_t bits;
    const Inst *def = value_def(l->f, v);
    return value_const(l->f, v, &bits) || (def && def->parent.i == l->f->body.i);
}

// How many indices a whole axis has, where the launch knows that: {0}.
static Value axis_size(Lower *l, const AxisNote *note)
{
    int64_t x;
    if (!note || note->kind != AXIS_WHOLE || note->outer) return (Value){0};
    Value bounds[2] = {note->first, note->end};
    Builder b = {l->f, l->f->body, l->first_phase, l->b.span};
    for (unsigned k = 0; k < 2; k++) {
        if (!in_prologue(l, bounds[k])) return (Value){0};
        if (value_const_int(l->f, bounds[k], &x)) bounds[k] = build_i64(&b, x);
    }
    if (value_const_int(l->f, bounds[0], &x) && x == 0) return bounds[1];
    return build_op2(&b, OP_MAX, build_op2(&b, OP_SUB, bounds[1], bounds[0]), build_i64(&b, 0));
}

// The place of an index of the axis in the workspace.
static Value axis_place(Lower *l, Builder *b, const AxisNote *note)
{
    int64_t first;
    Value at = build_index(b, note->axis);
    bool from_0 = value_const_int(l->f, note->first, &first) && first == 0;
    return from_0 ? at : build_op2(b, OP_SUB, at, note->first);
}

// Stores v behind everything else that its phase does.
static uint32_t keep(Lower *l, Value v)
{
    const Inst *def = value_def(l->f, v);
    InstId owner = def ? region_at(l->f, def->parent)->owner : (InstId){0};
    if (!owner.i || inst_at(l->f, owner)->op != OP_PHASE) return UINT32_MAX;
    Builder b = {l->f, def->parent, {0}, l->b.span};
    Tensor *tensor = arena_new(l->arena, Tensor);
    Str name = value_at(l->f, v)->name;
    DType dtype = value_dtype(l->f, v);
    *tensor = (Tensor){.name = name.length ? name : STR("kept"), .dtype = dtype};
    Value args[RANK_MAX + 1] = {v};
    for (uint32_t i = 1; i < 64; i++) {
        if (!(value_axes(l->f, v) >> i & 1)) continue;
        Value size = tensor->rank < RANK_MAX ? axis_size(l, l->axes[i]) : (Value){0};
        if (!size.i) return UINT32_MAX;
        tensor->sizes[tensor->rank++] = size;
        args[tensor->rank] = axis_place(l, &b, l->axes[i]);
    }
    tensor->mem = func_mem(l->f, (MemInfo){.name = tensor->name,
                                                      .dtype = dtype,
                                                      .kind = MEM_WORKSPACE,
                                                      .rank = tensor->rank,
                                                      .span = l->b.span});
    tensor_declare(l, tensor);
    build_inst(&b, OP_STORE_TILE,
               (BuildSpec){
                   .args = args, .arg_count = tensor->rank + 1u, .attr = {.ref = tensor->mem.i}});
    vec_push(l->arena, &l->kept, (Kept){.value = v, .mem = tensor->mem});
    return l->kept.count - 1;
}

// The axes of v as the open phase has them, by name, in order. False: they are not all there.
static bool axes_here(Lower *l, Env *env, Value v, const Node *node, AxisNote **notes)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < 64; i++) {
        if (!(value_axes(l->f, v) >> i & 1)) continue;
        const Name *name = env && count < RANK_MAX ? env_find(env, l->axes[i]->name) : NULL;
        Thing axis = name ? thing_resolve(l, env, name, node) : thing_poison();
        if (axis.kind != THING_AXIS) return false;
        notes[count++] = axis.axis;
    }
    return true;
}

static AxisSet set_of(AxisNote *const *notes, uint32_t count)
{
    AxisSet axes = 0;
    for (uint32_t i = 0; i < count; i++) axes |= axis_bit(notes[i]->axis);
    return axes;
}

// The value at the head of the open phase.
static void load_kept(Lower *l, Kept *k, AxisNote *const *notes)
{
    uint32_t rank = mem_at(l->f, k->mem)->rank;
    Builder b = {l->f, l->phase_region, {0}, l->b.span};
    Value args[RANK_MAX];
    for (uint32_t i = 0; i < rank; i++) args[i] = axis_place(l, &b, notes[i]);
    Type type = type_tile(value_dtype(l->f, k->value), set_of(notes, rank));
    InstId id = build_inst(&b, OP_LOAD_TILE,
                           (BuildSpec){.args = args,
                                       .arg_count = rank,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.ref = k->mem.i}});
    k->loaded = inst_result(inst_at(l->f, id), 0);
    k->phase = l->phase;
}

bool lower_kept(Lower *l, Env *env, Thing *thing, const Node *node)
{
    AxisNote *notes[RANK_MAX];
    AxisSet axes = thing_axes(l, thing);
    if (l->place != PLACE_PHASE) { // not for the prologue; the trial of a let drops what it makes
        l->effects = l->reads_written = true;
        if (!axes || !l->aside) return true;
        if (!axes_here(l, env, thing->value, node, notes)) return false;
        Type type = type_tile(thing_dtype(l, thing),
                              set_of(notes, (uint32_t)__builtin_popcountll(axes)));
        thing->value = func_value(l->f, type);
        return true;
    }
    uint32_t k = find_kept(l, thing->value);
    if (k == UINT32_MAX) k = keep(l, thing->value);
    if (k == UINT32_MAX) return false;
    if (l->kept.data[k].phase != l->phase) {
        if (!axes_here(l, env, thing->value, node, notes)) return false;
        load_kept(l, &l->kept.data[k], notes);
    }
    thing->value = l->kept.data[k].loaded;
    thing->phase = l->phase;
    return true;
}

bool lower_kept_view(Lower *l, Env *env, Thing *thing, const Node *node)
{
    Tensor *view = arena_new(l->arena, Tensor);
    *view = *thing->tensor;
    for (uint32_t k = 0; k < view->rank; k++) {
        Value *parts[] = {&view->given[k], &view->from[k], &view->sizes[k]};
        for (unsigned i = 0; i < (view->from[k].i ? 3 : 2); i++) {
            if (!parts[i]->i || in_prologue(l, *parts[i])) continue;
            Thing index = thing_value(*parts[i]);
            if (!lower_kept(l, env, &index, node)) return false;
            *parts[i] = index.value;
        }
    }
    view->phase = l->place == PLACE_PHASE ? l->phase : 0;
    thing->tensor = view;
    return true;
}

Value lower_data_guard(Lower *l)
{
    Value all = {0};
    for (uint32_t i = 0; i < l->data_guards.count; i++) {
        const DataGuard *guard = &l->data_guards.data[i];
        Thing c = guard->condition;
        if (c.phase != l->phase && !lower_kept(l, NULL, &c, NULL)) continue;
        all = lanes_and(l, all, guard->holds ? c.value : lanes_not(l, c.value));
    }
    return all;
}

// ---- folds

static void region_writes(const Func *f, Region region, bool *written)
{
    for_each_inst(f, region, id) {
        const Inst *in = inst_at(f, id);
        if (op_info[in->op].traits & TRAIT_WRITES) written[in->attr.ref] = true;
        for (unsigned k = 0; k < in->region_count; k++)
            region_writes(f, inst_region(in, k), written);
    }
}

static void start_folds(Lower *l, Region region, bool again, const bool *written)
{
    for_each_inst(l->f, region, id) {
        const Inst *in = inst_at(l->f, id);
        for (unsigned k = 0; k < in->region_count; k++)
            start_folds(l, inst_region(in, k), again, written);
        if (in->op != OP_FOLD) continue;
        MemInfo *mem = mem_at(l->f, (Mem){in->attr.ref});
        if (mem->has_init || mem->kind == MEM_INOUT || (!again && !written[in->attr.ref])) continue;
        mem->has_init = true;
        mem->init_bits = reduce_identity((ReduceKind)in->attr.kind, dtype_info[mem->dtype].arith);
    }
}

// What was written before goes on from there: where nothing was, from the identity.
void lower_fold_starts(Lower *l)
{
    bool *written = arena_array(l->arena, bool, l->f->mems.count + 1);
    for_each_inst(l->f, l->f->body, id) {
        const Inst *in = inst_at(l->f, id);
        if (in->op != OP_PHASE) continue;
        start_folds(l, inst_region(in, 0), repeat_of(l->f, id).i != 0, written);
        region_writes(l->f, inst_region(in, 0), written);
    }
}

// ---- views

static InstId find_write(const Func *f, Region region, Mem mem)
{
    for_each_inst(f, region, id) {
        const Inst *in = inst_at(f, id);
        if ((op_info[in->op].traits & TRAIT_WRITES) && in->attr.ref == mem.i) return id;
        for (unsigned k = 0; k < in->region_count; k++) {
            InstId found = find_write(f, inst_region(in, k), mem);
            if (found.i) return found;
        }
    }
    return (InstId){0};
}

// A view is a name for elements, not a copy of them: what it names may not change meanwhile.
void lower_check_views(Lower *l, Region phase)
{
    for (uint32_t i = 0; i < l->view_reads.count; i++) {
        ViewRead read = l->view_reads.data[i];
        InstId write = read.phase == l->phase ? find_write(l->f, phase, read.mem) : (InstId){0};
        if (!write.i) continue;
        Str name = mem_at(l->f, read.mem)->name;
        Diag *diag =
            lower_error(l, DIAG_NOT_ASSIGNABLE, read.span,
                        "this reads a view of '%.*s', which the same phase writes", STR_ARG(name));
        if (diag != l->spare)
            diag_note(l->diags, diag, inst_at(l->f, write)->span, "it is written here");
        lower_hint(l, diag, "index '%.*s' itself: what it holds then is said by the order",
                   STR_ARG(name));
    }
    l->view_reads.count = 0;
}

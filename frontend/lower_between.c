// What goes from phase to phase beside tensors: scalars that a phase of one tile computed,
// conditions around nests, and what folds start from.
//
//   let m = max[n in N](x[n]); tile i ... m ...     a workspace of rank 0: stored at the end of the
//   first phase, loaded at the head of each other that uses it
#include "frontend/lower.h"

#include "ir/eval.h"

static Kept *find_kept(Lower *l, Value v)
{
    for (uint32_t i = 0; i < l->kept.count; i++)
        if (l->kept.data[i].value.i == v.i) return &l->kept.data[i];
    return NULL;
}

// Stores v behind everything else that its phase does.
static Kept *keep(Lower *l, Value v)
{
    const Inst *def = value_def(l->f, v);
    InstId owner = def ? region_at(l->f, def->parent)->owner : (InstId){0};
    if (!owner.i || inst_at(l->f, owner)->op != OP_PHASE) return NULL;
    Region region = def->parent;
    Tensor *tensor = arena_new(l->arena, Tensor);
    Str name = value_at(l->f, v)->name;
    DType dtype = value_dtype(l->f, v);
    *tensor = (Tensor){.name = name.length ? name : STR("kept"), .dtype = dtype};
    tensor->mem = func_mem(
        l->f,
        (MemInfo){.name = tensor->name, .dtype = dtype, .kind = MEM_WORKSPACE, .span = l->b.span});
    tensor_declare(l, tensor);
    Builder b = {l->f, region, {0}, l->b.span};
    build_inst(&b, OP_STORE_TILE,
               (BuildSpec){.args = &v, .arg_count = 1, .attr = {.ref = tensor->mem.i}});
    vec_push(l->arena, &l->kept, (Kept){.value = v, .mem = tensor->mem});
    return &vec_last(&l->kept);
}

bool lower_kept(Lower *l, Thing *thing)
{
    if (thing_axes(l, thing)) return false;
    if (l->place != PLACE_PHASE) { // not for the prologue
        l->effects = l->reads_written = true;
        return true;
    }
    Kept *k = find_kept(l, thing->value);
    if (!k) k = keep(l, thing->value);
    if (!k) return false;
    if (k->phase != l->phase) {
        Builder saved = l->b;
        l->b = (Builder){l->f, l->phase_region, {0}, saved.span};
        Type type = value_type(l->f, k->value);
        InstId id =
            build_inst(&l->b, OP_LOAD_TILE,
                       (BuildSpec){.results = &type, .result_count = 1, .attr = {.ref = k->mem.i}});
        k->loaded = inst_result(inst_at(l->f, id), 0);
        k->phase = l->phase;
        l->b = saved;
    }
    thing->value = k->loaded;
    thing->phase = l->phase;
    return true;
}

Value lower_data_guard(Lower *l)
{
    Value all = {0};
    for (uint32_t i = 0; i < l->data_guards.count; i++) {
        const DataGuard *guard = &l->data_guards.data[i];
        Thing c = guard->condition;
        if (c.phase != l->phase && !lower_kept(l, &c)) continue;
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

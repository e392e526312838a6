// Functions: making, cloning, and changing what is there. build.c makes new instructions.
//
// Law: element 0 of insts, values, regions, axes and mems is unused, so a handle of 0 means none.
#include "ir/ir.h"

#define vec_clone(arena, to, from)                                                                 \
    do {                                                                                           \
        (to)->count = (to)->capacity = (from)->count;                                              \
        (to)->data = arena_copy((arena), (from)->data, sizeof(*(from)->data) * (from)->count);     \
    } while (0)

Func *func_new(Arena *arena, uint8_t level, Str name)
{
    Func *f = arena_new(arena, Func);
    f->arena = arena;
    f->level = level;
    f->name = str_copy(arena, name);
    vec_push(arena, &f->insts, (Inst){0});
    vec_push(arena, &f->values, (ValueInfo){0});
    vec_push(arena, &f->regions, (RegionInfo){0});
    vec_push(arena, &f->axes, (AxisInfo){0});
    vec_push(arena, &f->mems, (MemInfo){0});
    f->body = func_region(f);
    return f;
}

// The clone may outlive the original's arena, so names are copied as well.
static void copy_names(Func *f)
{
    Arena *arena = f->arena;
    f->name = str_copy(arena, f->name);
    f->source_name = str_copy(arena, f->source_name);
    for (uint32_t i = 0; i < f->values.count; i++) {
        Str *name = &f->values.data[i].name;
        if (name->length) *name = str_copy(arena, *name);
    }
    for (uint32_t i = 0; i < f->axes.count; i++)
        f->axes.data[i].name = str_copy(arena, f->axes.data[i].name);
    for (uint32_t i = 0; i < f->mems.count; i++)
        f->mems.data[i].name = str_copy(arena, f->mems.data[i].name);
    for (uint32_t i = 0; i < f->dims.count; i++)
        f->dims.data[i].name = str_copy(arena, f->dims.data[i].name);
    for (uint32_t i = 0; i < f->args.count; i++)
        f->args.data[i].name = str_copy(arena, f->args.data[i].name);
    for (uint32_t i = 0; i < f->sites.count; i++) {
        f->sites.data[i].message = str_copy(arena, f->sites.data[i].message);
    }
}

Func *func_clone(Arena *arena, const Func *f)
{
    Func *g = arena_new(arena, Func);
    *g = *f;
    g->arena = arena;
    vec_clone(arena, &g->insts, &f->insts);
    vec_clone(arena, &g->values, &f->values);
    vec_clone(arena, &g->regions, &f->regions);
    vec_clone(arena, &g->operands, &f->operands);
    vec_clone(arena, &g->axes, &f->axes);
    vec_clone(arena, &g->mems, &f->mems);
    vec_clone(arena, &g->dims, &f->dims);
    vec_clone(arena, &g->args, &f->args);
    vec_clone(arena, &g->sites, &f->sites);
    if (arena != f->arena) copy_names(g);
    return g;
}

Value func_value(Func *f, Type type)
{
    vec_push(f->arena, &f->values, (ValueInfo){.type = type});
    f->version++;
    return (Value){f->values.count - 1};
}

Region func_region(Func *f)
{
    vec_push(f->arena, &f->regions, (RegionInfo){0});
    f->version++;
    return (Region){f->regions.count - 1};
}

Value region_add_arg(Func *f, Region r, Type type)
{
    Value v = func_value(f, type);
    RegionInfo *region = region_at(f, r);
    if (region->arg_count == 0) region->args = v.i;
    assert(region->args + region->arg_count == v.i &&
           "arguments of a region are consecutive values");
    value_at(f, v)->region = r;
    value_at(f, v)->index = region->arg_count++;
    return v;
}

static bool axis_name_taken(const Func *f, Str name)
{
    for (uint32_t i = 1; i < f->axes.count; i++) {
        if (str_equal(f->axes.data[i].name, name)) return true;
    }
    return false;
}

static bool mem_name_taken(const Func *f, Str name)
{
    for (uint32_t i = 1; i < f->mems.count; i++) {
        if (str_equal(f->mems.data[i].name, name)) return true;
    }
    return false;
}

// name, name_2, name_3 ...: the first that is free.
static Str unique_name(const Func *f, Str name, bool (*taken)(const Func *, Str))
{
    Str base = name.length ? name : STR("t");
    Str unique = str_copy(f->arena, base);
    for (unsigned k = 2; taken(f, unique); k++) {
        unique = str_format(f->arena, "%.*s_%u", STR_ARG(base), k);
    }
    return unique;
}

Axis func_axis(Func *f, Str name, AxisKind kind)
{
    if (f->axes.count >= 64) return (Axis){0};
    AxisInfo info = {.name = unique_name(f, name, axis_name_taken), .kind = kind};
    vec_push(f->arena, &f->axes, info);
    f->version++;
    return (Axis){f->axes.count - 1};
}

const Inst *mem_promise(const Func *f, Mem m)
{
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_REFINE && in->attr.ref == m.i) return in;
        if (in->op == OP_PHASE) break;
    }
    return NULL;
}

Axis tile_of_axis(const Func *f, Axis a)
{
    InstId id = axis_at(f, a)->decl;
    const Inst *in = inst_at(f, id);
    if (!id.i || in->arg_count < 2) return (Axis){0};
    const Inst *lo = value_def(f, inst_arg(f, in, 0)), *hi = value_def(f, inst_arg(f, in, 1));
    bool tile = lo && hi && lo->op == OP_TILEINFO && hi->op == OP_TILEINFO &&
                lo->attr.ref == hi->attr.ref && lo->attr.kind == INFO_BEGIN &&
                hi->attr.kind == INFO_END;
    return (Axis){tile ? lo->attr.ref : 0};
}

Mem func_mem(Func *f, MemInfo info)
{
    info.name = unique_name(f, info.name, mem_name_taken);
    vec_push(f->arena, &f->mems, info);
    f->version++;
    return (Mem){f->mems.count - 1};
}

uint32_t func_site(Func *f, SiteInfo info)
{
    vec_push(f->arena, &f->sites, info);
    f->version++;
    return f->sites.count - 1;
}

// ---- lists of instructions

static void list_remove(Func *f, InstId id)
{
    Inst *in = inst_at(f, id);
    RegionInfo *region = region_at(f, in->parent);
    if (in->prev.i)
        inst_at(f, in->prev)->next = in->next;
    else
        region->first = in->next;
    if (in->next.i)
        inst_at(f, in->next)->prev = in->prev;
    else
        region->last = in->prev;
}

static void mark_dead(Func *f, InstId id)
{
    Inst *in = inst_at(f, id);
    in->flags |= INST_DEAD;
    for (unsigned k = 0; k < in->region_count; k++) {
        for_each_inst(f, inst_region(in, k), inner) mark_dead(f, inner);
    }
}

// The dead instruction keeps its `next`, so a loop over the region may unlink the current one.
void inst_unlink(Func *f, InstId id)
{
    if (inst_at(f, id)->flags & INST_DEAD) return;
    list_remove(f, id);
    mark_dead(f, id);
    f->version++;
}

void inst_move(Func *f, InstId id, Region r, InstId before)
{
    if (before.i == id.i) return;
    list_remove(f, id);
    inst_insert(f, id, r, before);
}

void inst_insert(Func *f, InstId id, Region r, InstId before)
{
    Inst *in = inst_at(f, id);
    RegionInfo *region = region_at(f, r);
    in->parent = r;
    in->next = before;
    in->prev = before.i ? inst_at(f, before)->prev : region->last;
    if (in->prev.i)
        inst_at(f, in->prev)->next = id;
    else
        region->first = id;
    if (before.i)
        inst_at(f, before)->prev = id;
    else
        region->last = id;
    f->version++;
}

void func_replace_uses(Func *f, Value of, Value by)
{
    for (uint32_t i = 1; i < f->insts.count; i++) {
        Inst *in = &f->insts.data[i];
        if (in->flags & INST_DEAD) continue;
        Value *args = f->operands.data + in->args;
        for (unsigned k = 0; k < in->arg_count; k++) {
            if (args[k].i == of.i) args[k] = by;
        }
    }
    f->version++;
}

void func_set_arg(Func *f, InstId id, unsigned k, Value v)
{
    f->operands.data[inst_at(f, id)->args + k] = v;
    f->version++;
}

static bool region_writes(const Func *f, Region r, Mem mem)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if ((op_info[in->op].traits & TRAIT_WRITES) && in->attr.ref == mem.i) return true;
        for (unsigned k = 0; k < in->region_count; k++)
            if (region_writes(f, inst_region(in, k), mem)) return true;
    }
    return false;
}

bool phase_writes(const Func *f, const Inst *in, Mem mem)
{
    Region r = in->parent;
    for (InstId owner; (owner = region_at(f, r)->owner).i && inst_at(f, owner)->op != OP_PHASE;)
        r = inst_at(f, owner)->parent;
    return region_writes(f, r, mem);
}

bool value_inside(const Func *f, Value v, Region r)
{
    const ValueInfo *value = value_at(f, v);
    Region at = value->def.i ? inst_at(f, value->def)->parent : value->region;
    while (at.i != r.i) {
        InstId owner = region_at(f, at)->owner;
        if (!owner.i) return false;
        at = inst_at(f, owner)->parent;
    }
    return true;
}

bool combine_takes_last(const Func *f, const Inst *in)
{
    if (in->op != OP_COMBINE || in->attr.kind == COMBINE_SCAN) return false;
    Region region = inst_region(in, 0);
    const Inst *yield = inst_at(f, region_at(f, region)->last);
    for (unsigned k = 0; k < combine_width(in); k++)
        if (inst_arg(f, yield, k).i != region_arg(f, region, combine_width(in) + k).i) return false;
    return true;
}

bool region_has_loop(const Func *f, Region r)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_FOR) return true;
        for (unsigned k = 0; k < in->region_count; k++)
            if (region_has_loop(f, inst_region(in, k))) return true;
    }
    return false;
}

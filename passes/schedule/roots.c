// Finds the roots of a phase: what must happen at a place, in segments between structured
// instructions.
#include "passes/schedule/sched.h"

Slot *slot_new(Sched *s, AxisSet axes, DType dtype)
{
    Slot *slot = arena_new(s->arena, Slot);
    slot->axes = axes;
    slot->dtype = dtype;
    return slot;
}

bool root_computes(const Root *root)
{
    return root->kind == ROOT_REDUCE || root->kind == ROOT_COMBINE || root->kind == ROOT_SORT ||
           root->kind == ROOT_SEARCH;
}

Root *root_add(Sched *s, Segment *segment, RootKind kind, InstId inst, Value value,
               uint32_t position)
{
    Root *root = arena_new(s->arena, Root);
    *root = (Root){.kind = kind, .inst = inst, .value = value, .position = position};
    root->segment = segment;
    if (inst.i) {
        const Inst *in = inst_at(s->tile, inst);
        for_each_arg(s->tile, in, k, v) root->axes |= value_axes(s->tile, v);
        if (root_computes(root)) {
            root->reduced = kind == ROOT_SEARCH ? axis_bit((Axis){in->attr.ref}) : in->attr.bits;
            root->axes |= root->reduced;
            root->value = inst_result(in, 0);
            root->slots = arena_array(s->arena, Slot *, in->result_count);
        }
        if (kind == ROOT_ATOMIC) root->value = inst_result(in, 0);
    } else {
        root->axes = value_axes(s->tile, value);
    }
    uint32_t index = s->roots.count;
    vec_push(s->arena, &s->roots, root);
    if (kind == ROOT_KEEP || kind == ROOT_ATOMIC) s->values[root->value.i].root = index + 1;
    for (unsigned k = 0; root_computes(root) && k < inst_at(s->tile, inst)->result_count; k++)
        s->values[inst_result(inst_at(s->tile, inst), k).i].root = index + 1;
    uint32_t at = segment->roots.count;
    vec_push(s->arena, &segment->roots, index);
    while (at > 0 && s->roots.data[segment->roots.data[at - 1]]->position > position) {
        segment->roots.data[at] = segment->roots.data[at - 1];
        at--;
    }
    segment->roots.data[at] = index;
    return root;
}

static Segment *new_segment(Sched *s, Region region)
{
    Segment *segment = arena_new(s->arena, Segment);
    segment->region = region;
    vec_push(s->arena, &s->segments, segment);
    return segment;
}

// Values with axes travel through scratch: `into` names the slots of the owner's results.
static void add_carries(Sched *s, Segment *segment, const Inst *from, unsigned skip,
                        const Inst *owner)
{
    for (unsigned k = 0; k < owner->result_count; k++) {
        Slot *slot = s->values[inst_result(owner, k).i].slot;
        if (!slot) continue;
        Value v = inst_arg(s->tile, from, k + skip);
        Root *root = root_add(s, segment, ROOT_CARRY, (InstId){0}, v, (s->clock += 2));
        root->axes = slot->axes;
        root->slot = slot;
    }
}

static void add_slots(Sched *s, const Inst *owner)
{
    for (unsigned k = 0; k < owner->result_count; k++) {
        Value result = inst_result(owner, k);
        Type type = value_type(s->tile, result);
        if (!type.axes) continue;
        Slot *slot = slot_new(s, type.axes, (DType)type.dtype);
        s->values[result.i].slot = slot;
        if (owner->op == OP_LOOP)
            s->values[region_arg(s->tile, inst_region(owner, 0), k).i].slot = slot;
    }
}

static bool reads_written(const Sched *s, const Inst *in)
{
    return in->op == OP_LOAD_TILE && s->written[in->attr.ref];
}

// What a `take` reads lies in scratch, whole along the axes that it replaces.
static void collect_taken(Sched *s, const Inst *in)
{
    Value v = inst_arg(s->tile, in, 0);
    ValueState *state = &s->values[v.i];
    if (state->slot) state->slot->taken |= in->attr.bits;
    if (!is_boundary(s, v)) keep_value(s, v);
}

static Segment *collect_inst(Sched *s, Segment *segment, InstId id, const Inst *owner)
{
    const Inst *in = inst_at(s->tile, id);
    s->segment_at[id.i] = segment;
    s->order[id.i] = s->clock += 2;
    if (in->op == OP_REDUCE) root_add(s, segment, ROOT_REDUCE, id, (Value){0}, s->clock);
    if (in->op == OP_TAKE) collect_taken(s, in);
    if (in->op == OP_COMBINE) root_add(s, segment, ROOT_COMBINE, id, (Value){0}, s->clock);
    if (in->op == OP_SEARCH) root_add(s, segment, ROOT_SEARCH, id, (Value){0}, s->clock);
    if (in->op == OP_SORT) root_add(s, segment, ROOT_SORT, id, (Value){0}, s->clock);
    if (in->op == OP_STORE_TILE) root_add(s, segment, ROOT_STORE, id, (Value){0}, s->clock);
    if (in->op == OP_FOLD) root_add(s, segment, ROOT_FOLD, id, (Value){0}, s->clock);
    if (in->op == OP_ATOMIC_TILE) root_add(s, segment, ROOT_ATOMIC, id, (Value){0}, s->clock);
    if (in->op == OP_PRINT) root_add(s, segment, ROOT_PRINT, id, (Value){0}, s->clock);
    if (in->op == OP_CHECK) root_add(s, segment, ROOT_CHECK, id, (Value){0}, s->clock);
    if (reads_written(s, in)) {
        Root *root = root_add(s, segment, ROOT_KEEP, (InstId){0}, inst_result(in, 0), s->clock);
        root->inst = id;
        if (root->axes) root->slot = slot_new(s, root->axes, value_dtype(s->tile, root->value));
    }
    if (in->op == OP_YIELD && owner && owner->result_count) add_carries(s, segment, in, 0, owner);
    if (axis_breaks(s, in)) return new_segment(s, segment->region);
    if (!inst_structured(in)) return segment;
    add_slots(s, in);
    if (in->op == OP_LOOP) add_carries(s, segment, in, 3, in);
    for (unsigned k = 0; k < in->region_count; k++) roots_collect(s, inst_region(in, k));
    return new_segment(s, segment->region);
}

void roots_collect(Sched *s, Region region)
{
    Segment *segment = new_segment(s, region);
    InstId owner_id = region_at(s->tile, region)->owner;
    const Inst *owner = owner_id.i ? inst_at(s->tile, owner_id) : NULL;
    if (owner && (owner->op == OP_PHASE || owner->op == OP_GRID)) owner = NULL;
    for_each_inst(s->tile, region, id) segment = collect_inst(s, segment, id, owner);
    s->segment_last[region.i] = segment;
}

// Entry of the schedule: copies the prologue, then plans and emits phase by phase. See sched.h.
#include "passes/schedule/sched.h"

int64_t axis_block(const Sched *s, Axis a)
{
    const AxisInfo *info = axis_at(s->tile, a);
    if (info->kind == AXIS_WHOLE) return 0;
    if (info->scalar) return 1;
    const Inst *decl = inst_at(s->tile, info->decl);
    int64_t by = 0;
    if (decl->arg_count > 2 && info->has_by &&
        value_const_int(s->tile, inst_arg(s->tile, decl, 2), &by) && by > 0)
        return by;
    int64_t block = config_get_axis(s->context->config, "tile", info->name, 64);
    return block < 1 ? 1 : block;
}

static int64_t constant_extent(const Sched *s, const Inst *decl)
{
    int64_t lo, hi;
    if (!value_const_int(s->tile, inst_arg(s->tile, decl, 0), &lo)) return -1;
    if (!value_const_int(s->tile, inst_arg(s->tile, decl, 1), &hi)) return -1;
    return hi > lo ? hi - lo : 0;
}

static int64_t extent_bound(const Sched *s, Axis a)
{
    const Inst *decl = inst_at(s->tile, axis_at(s->tile, a)->decl);
    Axis tile = tile_of_axis(s->tile, a);
    if (tile.i && axis_block(s, tile) > 0) return axis_block(s, tile);
    int64_t low = value_lower(s->tile, inst_arg(s->tile, decl, 0)), size;
    int64_t high = value_upper(s->tile, inst_arg(s->tile, decl, 1));
    if (low == INT64_MIN || high == INT64_MAX || __builtin_sub_overflow(high, low, &size))
        return -1;
    return size > 0 ? size : 0;
}

void plan_axis_sizes(Sched *s)
{
    for (uint32_t a = 1; a < s->tile->axes.count; a++) {
        AxisState *axis = &s->axes[a];
        const Inst *decl = inst_at(s->tile, axis_at(s->tile, (Axis){a})->decl);
        *axis = (AxisState){.level = -1, .size_const = -1};
        if (decl->arg_count < 2) continue;
        int64_t extent = constant_extent(s, decl),
                bound = extent >= 0 ? extent : extent_bound(s, (Axis){a});
        axis->block = axis_block(s, (Axis){a});
        if (!axis->block) {
            axis->size_const = extent;
            axis->size_max = bound;
            continue;
        }
        if (extent >= 0 && axis->block > extent && !axis_at(s->tile, (Axis){a})->has_by)
            axis->block = extent > 0 ? extent : 1;
        if (extent >= 0 && extent % axis->block == 0) axis->size_const = axis->block;
        if (axis->block == 1) axis->size_const = 1;
        axis->size_max = bound >= 0 && bound < axis->block ? bound : axis->block;
    }
}

void plan_phase(Sched *s, Region region)
{
    roots_collect(s, region);
    keep_choose(s);
    keep_place(s);
    first_rows_choose(s);
}

static void copy_prologue_inst(Sched *s, const Inst *in)
{
    Value *args = arena_array(s->arena, Value, in->arg_count + 1u);
    Type *types = arena_array(s->arena, Type, in->result_count + 1u);
    for_each_arg(s->tile, in, k, v) args[k] = s->values[v.i].global;
    for (unsigned k = 0; k < in->result_count; k++)
        types[k] = value_type(s->tile, inst_result(in, k));
    Builder b = {s->f, s->f->body, {0}, in->span};
    InstId id = build_inst(&b, (Op)in->op,
                           (BuildSpec){.args = args,
                                       .arg_count = in->arg_count,
                                       .results = types,
                                       .result_count = in->result_count,
                                       .attr = in->attr,
                                       .flags = in->flags});
    for (unsigned k = 0; k < in->result_count; k++)
        s->values[inst_result(in, k).i].global = inst_result(inst_at(s->f, id), k);
    if (in->op == OP_TENSOR) mem_at(s->f, (Mem){in->attr.ref})->decl = id;
}

static void copy_tables(Func *to, const Func *from)
{
    Arena *arena = to->arena;
    to->source_name = from->source_name;
    for (uint32_t m = 1; m < from->mems.count; m++) func_mem(to, from->mems.data[m]);
    for (uint32_t k = 0; k < from->dims.count; k++) vec_push(arena, &to->dims, from->dims.data[k]);
    for (uint32_t k = 0; k < from->args.count; k++) vec_push(arena, &to->args, from->args.data[k]);
    for (uint32_t k = 0; k < from->sites.count; k++)
        vec_push(arena, &to->sites, from->sites.data[k]);
}

// Strides: given, or those of compact tensors where the sizes are constants.
static void find_strides(Sched *s)
{
    uint32_t count = s->tile->mems.count * RANK_MAX;
    s->strides = arena_array(s->arena, int64_t, count);
    for (uint32_t k = 0; k < count; k++)
        s->strides[k] = s->context->strides ? s->context->strides[k] : INT64_MIN;
    for (uint32_t m = 1; m < s->tile->mems.count; m++) {
        const MemInfo *mem = mem_at(s->tile, (Mem){m});
        bool ours = mem->kind == MEM_WORKSPACE;
        if ((s->context->strides && !ours) || !mem->decl.i) continue;
        int64_t stride = 1;
        for (unsigned k = mem->rank; k-- > 0;) {
            int64_t size = 0;
            s->strides[m * RANK_MAX + k] = stride;
            if (stride == INT64_MIN ||
                !value_const_int(s->tile, inst_arg(s->tile, inst_at(s->tile, mem->decl), k),
                                 &size) ||
                __builtin_mul_overflow(stride, size, &stride))
                stride = INT64_MIN;
            else if (k + 1 == mem->rank && dtype_info[mem->dtype].bits < 8)
                stride += stride & 1; // lines of four-bit elements are padded to bytes
        }
    }
}

static void sched_init(Sched *s, const Func *tile, const PassContext *context)
{
    Arena *arena = context->arena;
    *s = (Sched){.arena = arena, .tile = tile, .context = context};
    s->f = func_new(arena, LEVEL_LOOP, tile->name);
    s->values = arena_array(arena, ValueState, tile->values.count + 1);
    for (uint32_t v = 0; v < tile->values.count; v++) s->values[v].level = -1;
    s->region_level = arena_array(arena, int, tile->regions.count + 1);
    s->segment_at = arena_array(arena, Segment *, tile->insts.count + 1);
    s->segment_last = arena_array(arena, Segment *, tile->regions.count + 1);
    s->order = arena_array(arena, uint32_t, tile->insts.count + 1);
    s->partial = arena_array(arena, Mem, tile->mems.count + 1);
    s->fold_kind = arena_array(arena, uint32_t, tile->mems.count + 1);
    s->written = arena_array(arena, bool, tile->mems.count + 1);
    s->owner = arena_array(arena, Axis, tile->mems.count + 1);
    s->levels[0].region = s->f->body;
    find_strides(s);
}

Func *schedule(const Func *tile, const PassContext *context)
{
    Sched *s = arena_new(context->arena, Sched);
    uint32_t errors = context->diags->error_count;
    sched_init(s, tile, context);
    copy_tables(s->f, tile);
    plan_axis_sizes(s);
    for_each_inst(tile, tile->body, id) {
        const Inst *in = inst_at(tile, id);
        if (in->op == OP_PHASE)
            emit_phase(s, id);
        else if (!s->first_phase.i || in->op == OP_REPEAT || in->op == OP_AGAIN)
            copy_prologue_inst(s, in);
        if (s->failed) break;
    }
    bool asks = context->unbounded && *context->unbounded != UINT32_MAX;
    if (s->failed && !asks && context->diags->error_count == errors)
        diag_add(context->diags, DIAG_INTERNAL, s->span, "the scheduler cannot place kernel '%.*s'",
                 STR_ARG(tile->name));
    return s->failed ? NULL : s->f;
}

// fold: every unit of the phase (a chunk of tiles; their number is the Config's) combines into
// partial results of its own, in the arithmetic type; a last phase combines these in order and
// rounds once. So the bits do not depend on the number of threads.
#include "ir/eval.h"
#include "passes/schedule/sched.h"

enum { CHUNKS_DEFAULT = 16 };

static void find_folds(Sched *s, Region region, uint32_t *count)
{
    for_each_inst(s->tile, region, id) {
        const Inst *in = inst_at(s->tile, id);
        for (unsigned k = 0; k < in->region_count; k++) find_folds(s, inst_region(in, k), count);
        if (in->op != OP_FOLD) continue;
        s->fold_kind[in->attr.ref] = in->attr.kind + 1;
        ++*count;
    }
}

bool phase_has_fold(const Sched *s, Region region)
{
    uint32_t count = 0;
    Sched *mutable_state = (Sched *)s;
    for (uint32_t m = 0; m < s->tile->mems.count; m++) mutable_state->fold_kind[m] = 0;
    find_folds(mutable_state, region, &count);
    return count > 0;
}

static Value target_size(Sched *s, Mem mem, unsigned from, unsigned to)
{
    Builder b = {s->f, s->f->body, s->first_phase, s->span};
    const Inst *decl = inst_at(s->tile, mem_at(s->tile, mem)->decl);
    Value size = build_i64(&b, 1);
    for (unsigned k = from; k < to; k++)
        size = build_op2(&b, OP_MUL, size, s->values[inst_arg(s->tile, decl, k).i].global);
    return size;
}

static Value whole_size(Sched *s, Mem mem)
{
    return target_size(s, mem, 0, mem_at(s->tile, mem)->rank);
}

Value fold_chunks(Sched *s, Region region, Value tiles)
{
    (void)region;
    Builder b = {s->f, s->f->body, s->first_phase, s->span};
    int64_t chunks = CHUNKS_DEFAULT;
    config_get(s->context->config, STR("chunks"), &chunks);
    Value count = build_op2(&b, OP_MIN, tiles, build_i64(&b, chunks < 1 ? 1 : chunks));
    count = build_op2(&b, OP_MAX, count, build_i64(&b, 1));
    for (uint32_t m = 1; m < s->tile->mems.count; m++) {
        if (!s->fold_kind[m]) continue;
        const MemInfo *target = mem_at(s->tile, (Mem){m});
        Buf name = {.arena = s->arena};
        buf_printf(&name, "%.*s_partial", STR_ARG(target->name));
        Mem mem = func_mem(s->f, (MemInfo){.name = buf_view(&name),
                                           .kind = MEM_PARTIAL,
                                           .rank = 1,
                                           .dtype = dtype_info[target->dtype].arith});
        b.before = s->first_phase;
        Value size = build_op2(&b, OP_MUL, whole_size(s, (Mem){m}), count);
        InstId decl = build_inst(
            &b, OP_TENSOR, (BuildSpec){.args = &size, .arg_count = 1, .attr = {.ref = mem.i}});
        mem_at(s->f, mem)->decl = decl;
        s->partial[m] = mem;
    }
    s->chunk_count = count;
    return count;
}

static ReduceKind fold_kind(const Sched *s, uint32_t m)
{
    return (ReduceKind)(s->fold_kind[m] - 1);
}

static Value chunk_offset(Sched *s, uint32_t m, Value chunk)
{
    Value size = whole_size(s, (Mem){m});
    Builder b = sched_at(s, s->top);
    return build_op2(&b, OP_MUL, chunk, size);
}

static void store_at(Sched *s, Mem mem, Value v, Value offset)
{
    Builder b = sched_at(s, s->top);
    Value args[2] = {v, offset};
    build_inst(&b, OP_STORE, (BuildSpec){.args = args, .arg_count = 2, .attr = {.ref = mem.i}});
}

static Value load_at(Sched *s, Mem mem, Value offset, DType dtype)
{
    Builder b = sched_at(s, s->top);
    return build_load(&b, mem, type_scalar(dtype), offset, (Value){0});
}

void fold_clear(Sched *s)
{
    for (uint32_t m = 1; m < s->tile->mems.count; m++) {
        if (!s->fold_kind[m]) continue;
        Value base = chunk_offset(s, m, s->chunk), size = whole_size(s, (Mem){m}), index;
        Builder b = sched_at(s, s->top);
        open_for(s, build_i64(&b, 0), size, build_i64(&b, 1), NULL, 0, &index);
        b = sched_at(s, s->top);
        DType dtype = mem_at(s->f, s->partial[m])->dtype;
        Value identity =
            build_bits(&b, type_scalar(dtype), reduce_identity(fold_kind(s, m), dtype));
        store_at(s, s->partial[m], identity, build_op2(&b, OP_ADD, base, index));
        close_for(s, NULL, 0);
    }
}

void emit_fold(Sched *s, const Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    Mem partial = s->partial[in->attr.ref];
    Value tile = inst_arg(s->tile, in, 0);
    Value *values = emit_value(s, tile);
    Value chunk = chunk_offset(s, in->attr.ref, s->chunk);
    unsigned lanes = value_lanes(s, root->axes);
    Type type = type_vector(mem_at(s->f, partial)->dtype, lanes);
    for (unsigned i = 0; i < instances_of(s, root->axes); i++) {
        Value mask = fold_mask(s, in, root->axes, i);
        Value offset = fold_offset(s, in, root->axes, i);
        Builder b = sched_at(s, s->top);
        offset = build_op2(&b, OP_ADD, chunk, offset);
        Value v = values[instance_project(s, root->axes, i, value_axes(s->tile, tile))];
        v = build_cast(&b, v, (DType)type.dtype);
        uint8_t flags = mask.i ? INST_MASKED : 0;
        Value old = build_load(&b, partial, type, offset, mask);
        v = reduce_build(&b, (ReduceKind)in->attr.kind, old, v);
        Value args[3] = {v, offset, mask};
        build_inst(&b, OP_STORE,
                   (BuildSpec){.args = args,
                               .arg_count = mask.i ? 3 : 2,
                               .attr = {.ref = partial.i},
                               .flags = flags});
    }
}

static Value target_offset(Sched *s, Mem mem, Value flat)
{
    const Inst *decl = inst_at(s->tile, mem_at(s->tile, mem)->decl);
    Builder b = sched_at(s, s->top);
    Value offset = build_i64(&b, 0);
    for (unsigned k = mem_at(s->tile, mem)->rank; k-- > 0;) {
        Value size = s->values[inst_arg(s->tile, decl, k).i].global, stride;
        int64_t known = s->strides[mem.i * RANK_MAX + k];
        if (known != INT64_MIN) {
            stride = build_i64(&b, known);
        } else {
            Type type = type_scalar(DTYPE_I64);
            stride = inst_result(
                inst_at(s->f, build_inst(&b, OP_STRIDE,
                                         (BuildSpec){.results = &type,
                                                     .result_count = 1,
                                                     .attr = {.bits = k, .ref = mem.i}})),
                0);
        }
        Value at = k ? build_op2(&b, OP_REM, flat, size) : flat;
        if (k) flat = build_op2(&b, OP_DIV, flat, size);
        offset = build_op2(&b, OP_ADD, offset, build_op2(&b, OP_MUL, at, stride));
    }
    return offset;
}

void fold_combine(Sched *s)
{
    enum { PER_UNIT = 1024 };
    for (uint32_t m = 1; m < s->tile->mems.count; m++) {
        if (!s->fold_kind[m]) continue;
        const MemInfo *target = mem_at(s->tile, (Mem){m});
        DType dtype = dtype_info[target->dtype].arith;
        Value size = whole_size(s, (Mem){m});
        Builder b = {s->f, s->f->body, s->first_phase, s->span};
        Value units = build_op2(&b, OP_ADD, size, build_i64(&b, PER_UNIT - 1));
        units = build_op2(&b, OP_DIV, units, build_i64(&b, PER_UNIT));
        Region body = func_region(s->f);
        Value unit = region_add_arg(s->f, body, type_scalar(DTYPE_I64)), flat, chunk;
        b = (Builder){s->f, s->f->body, {0}, s->span};
        build_inst(&b, OP_PHASE,
                   (BuildSpec){.args = &units,
                               .arg_count = 1,
                               .regions = &body,
                               .region_count = 1,
                               .attr = {.kind = LOOP_GRID}});
        push_level(s, body);
        b = sched_at(s, s->top);
        Value from = build_op2(&b, OP_MUL, unit, build_i64(&b, PER_UNIT));
        Value to =
            build_op2(&b, OP_MIN, build_op2(&b, OP_ADD, from, build_i64(&b, PER_UNIT)), size);
        open_for(s, from, to, build_i64(&b, 1), NULL, 0, &flat);
        Value place = target_offset(s, (Mem){m}, flat);
        b = sched_at(s, s->top);
        Value start = build_bits(&b, type_scalar(dtype), reduce_identity(fold_kind(s, m), dtype));
        if (target->has_init || target->kind == MEM_INOUT) {
            start = load_at(s, (Mem){m}, place, target->dtype);
            b = sched_at(s, s->top);
            start = build_cast(&b, start, dtype);
        }
        Value *acc =
            open_for(s, build_i64(&b, 0), s->chunk_count, build_i64(&b, 1), &start, 1, &chunk);
        Value offset = chunk_offset(s, m, chunk);
        b = sched_at(s, s->top);
        Value v = load_at(s, s->partial[m], build_op2(&b, OP_ADD, offset, flat), dtype);
        b = sched_at(s, s->top);
        Value next = reduce_build(&b, fold_kind(s, m), acc[0], v);
        Value result = close_for(s, &next, 1)[0];
        b = sched_at(s, s->top);
        store_at(s, (Mem){m}, build_cast(&b, result, target->dtype), place);
        close_for(s, NULL, 0);
        pop_level(s);
    }
}

// Writes out short whole axes: what varies along one becomes as many values as it has indices.
//
//   axis c (0, 3)
//   %1 = tload p (%j, index c) : f32{c,j}       ->   three loads p (%j, 0), p (%j, 1), p (%j, 2)
//   %2 = reduce.sum[c] (mul (%1, %1)) : f32{j}  ->   fma (%1.2, %1.2, fma (%1.1, %1.1, mul (..)))
//   %3 = sort[c] c (%1)                         ->   a network of minima and maxima
//
// so that lanes run along another axis, and neither loops nor scratch are needed for three
// elements. Laws: the Config's expand_A is 1 and axis_expands says that it can be done; stores keep
// their order; reductions go from the first index to the last.
#include "passes/expand.h"
#include "ir/eval.h"

typedef struct Expand {
    Func *f;
    const PassContext *context;
    Axis axis;
    int64_t lo;
    unsigned count;
    Value *copies; // [value * count + index]
} Expand;

static bool varies(const Expand *x, Value v)
{
    return value_axes(x->f, v) >> x->axis.i & 1;
}

static Value copy_of(const Expand *x, Value v, unsigned k)
{
    return varies(x, v) ? x->copies[v.i * x->count + k] : v;
}

static void set_copy(Expand *x, Value v, unsigned k, Value copy)
{
    x->copies[v.i * x->count + k] = copy;
    Str *name = &value_at(x->f, copy)->name;
    if (!name->length) *name = value_at(x->f, v)->name;
}

static Type type_without(const Expand *x, Value v)
{
    Type type = value_type(x->f, v);
    type.axes &= ~axis_bit(x->axis);
    return type;
}

static bool touches(const Expand *x, const Inst *in)
{
    for_each_arg(x->f, in, k, v)
        if (varies(x, v)) return true;
    for (unsigned k = 0; k < in->result_count; k++)
        if (varies(x, inst_result(in, k))) return true;
    bool along = in->op == OP_REDUCE || in->op == OP_SORT || in->op == OP_TAKE;
    return along && (in->attr.bits >> x->axis.i & 1);
}

// ---- instructions that are the same for each index

static void expand_plain(Expand *x, Builder *b, const Inst *in)
{
    Value *args = arena_array(x->context->arena, Value, in->arg_count + 1u);
    Type *types = arena_array(x->context->arena, Type, in->result_count + 1u);
    for (unsigned k = 0; k < x->count; k++) {
        for_each_arg(x->f, in, a, v) args[a] = copy_of(x, v, k);
        for (unsigned r = 0; r < in->result_count; r++)
            types[r] = type_without(x, inst_result(in, r));
        InstId id = build_inst(b, (Op)in->op,
                               (BuildSpec){.args = args,
                                           .arg_count = in->arg_count,
                                           .results = types,
                                           .result_count = in->result_count,
                                           .attr = in->attr,
                                           .flags = in->flags});
        for (unsigned r = 0; r < in->result_count; r++)
            set_copy(x, inst_result(in, r), k, inst_result(inst_at(x->f, id), r));
    }
}

static void expand_index(Expand *x, Builder *b, const Inst *in)
{
    for (unsigned k = 0; k < x->count; k++)
        set_copy(x, inst_result(in, 0), k, build_i64(b, x->lo + k));
}

// ---- reductions, orders and choices along the axis

// v along all axes that its users count on: of one element the place is a constant, and the choice
// among one does not depend on the index.
static Value varying(Builder *b, Value v, AxisSet axes)
{
    AxisSet missing = axes & ~value_axes(b->f, v);
    for (unsigned a = 1; a < 64; a++) {
        if (!(missing >> a & 1)) continue;
        Value index = build_index(b, (Axis){a});
        v = build_op3(b, OP_SELECT, build_op2(b, OP_EQ, index, index), v, v);
    }
    return v;
}

static Copies copies_of(const Expand *x, const Inst *in)
{
    Arena *arena = x->context->arena;
    Copies c = {arena_array(arena, Value, x->count), NULL, x->count, x->lo};
    Value own = inst_mask(x->f, in);
    if (own.i) c.masks = arena_array(arena, Value, x->count);
    for (unsigned k = 0; k < x->count; k++) {
        c.values[k] = copy_of(x, inst_arg(x->f, in, 0), k);
        if (own.i) c.masks[k] = copy_of(x, own, k);
    }
    return c;
}

static void reduce_along(Expand *x, Builder *b, const Inst *in)
{
    ReduceKind kind = (ReduceKind)in->attr.kind;
    Copies c = copies_of(x, in);
    AxisSet rest = in->attr.bits & ~axis_bit(x->axis);
    Value result = inst_result(in, 0), v;
    if (kind == REDUCE_ARGMAX || kind == REDUCE_ARGMIN)
        v = expand_arg(b, &c, kind);
    else
        v = expand_reduce(b, x->context->arena, &c, kind, !x->context->machine->lacks_fma);
    if (rest) {
        Type type = value_type(x->f, result);
        InstId id = build_inst(b, OP_REDUCE,
                               (BuildSpec){.args = &v,
                                           .arg_count = 1,
                                           .results = &type,
                                           .result_count = 1,
                                           .attr = {.bits = rest, .kind = kind},
                                           .flags = in->flags & (uint8_t)~INST_MASKED});
        v = inst_result(inst_at(x->f, id), 0);
    }
    func_replace_uses(x->f, result, varying(b, v, value_axes(x->f, result)));
}

// A value that has the axis `along` again: at its n-th index the n-th of these.
static Value gathered(Builder *b, Axis along, int64_t lo, const Value *values, unsigned count)
{
    Value index = build_index(b, along), v = values[count - 1];
    for (unsigned k = count - 1; k-- > 0;)
        v = build_op3(b, OP_SELECT, build_op2(b, OP_EQ, index, build_i64(b, lo + k)), values[k], v);
    return v;
}

static bool is_used(const Func *f, Value v)
{
    for (uint32_t i = 1; i < f->insts.count; i++) {
        const Inst *in = &f->insts.data[i];
        if (in->flags & INST_DEAD) continue;
        for_each_arg(f, in, k, arg)
            if (arg.i == v.i) return true;
    }
    return false;
}

static void sort_along(Expand *x, Builder *b, const Inst *in)
{
    Arena *arena = x->context->arena;
    Copies c = copies_of(x, in);
    Axis to = {in->attr.ref};
    bool same = to.i == x->axis.i;
    int64_t lo = x->lo;
    unsigned wanted = x->count;
    if (!same) axis_whole(x->f, to, &lo, &wanted);
    Value *values = arena_array(arena, Value, wanted), *indices = NULL;
    if (!same || is_used(x->f, inst_result(in, 1))) indices = arena_array(arena, Value, wanted);
    expand_sort(b, arena, &c, in->flags & INST_REVERSE, same, wanted, values, indices);
    for (unsigned k = 0; same && k < wanted; k++) {
        AxisSet axes = type_without(x, inst_result(in, 0)).axes;
        set_copy(x, inst_result(in, 0), k, varying(b, values[k], axes));
        if (indices) set_copy(x, inst_result(in, 1), k, varying(b, indices[k], axes));
    }
    if (same) return;
    AxisSet axes = value_axes(x->f, inst_result(in, 0));
    Value v = gathered(b, to, lo, values, wanted), at = gathered(b, to, lo, indices, wanted);
    func_replace_uses(x->f, inst_result(in, 0), varying(b, v, axes));
    func_replace_uses(x->f, inst_result(in, 1), varying(b, at, axes));
}

// For index `at` of the result along the axis, where it has that.
static Value take_one(Expand *x, Builder *b, const Inst *in, unsigned at)
{
    unsigned place = 1; // of the index that replaces the axis
    AxisSet rest = in->attr.bits & ~axis_bit(x->axis), below = axis_bit(x->axis) - 1;
    place += (unsigned)__builtin_popcountll(in->attr.bits & below);
    Value index = copy_of(x, inst_arg(x->f, in, place), at), result = {0};
    Value own = inst_mask(x->f, in), mask = own.i ? copy_of(x, own, at) : own;
    Type type = type_without(x, inst_result(in, 0));
    Value zero = build_bits(b, type_scalar((DType)type.dtype), 0);
    Value *args = arena_array(x->context->arena, Value, in->arg_count);
    for (unsigned k = x->count; k-- > 0;) {
        Value v = copy_of(x, inst_arg(x->f, in, 0), k);
        unsigned n = 1;
        args[0] = v;
        for (unsigned a = 1; a < inst_plain_args(in); a++)
            if (a != place) args[n++] = copy_of(x, inst_arg(x->f, in, a), at);
        if (rest) {
            Type part = type_tile((DType)type.dtype, value_axes(x->f, v) & ~rest);
            for (unsigned a = 1; a < n; a++) part.axes |= value_axes(x->f, args[a]);
            if (mask.i) part.axes |= value_axes(x->f, mask), args[n++] = mask;
            InstId id = build_inst(b, OP_TAKE,
                                   (BuildSpec){.args = args,
                                               .arg_count = n,
                                               .results = &part,
                                               .result_count = 1,
                                               .attr = {.bits = rest},
                                               .flags = mask.i ? INST_MASKED : 0});
            v = inst_result(inst_at(x->f, id), 0);
        }
        Value here = build_op2(b, OP_EQ, index, build_i64(b, x->lo + k));
        result = result.i ? build_op3(b, OP_SELECT, here, v, result) : v;
    }
    return mask.i ? build_op3(b, OP_SELECT, mask, result, zero) : result;
}

static void take_along(Expand *x, Builder *b, const Inst *in)
{
    Value result = inst_result(in, 0);
    if (!varies(x, result)) {
        Value v = take_one(x, b, in, 0);
        func_replace_uses(x->f, result, varying(b, v, value_axes(x->f, result)));
        return;
    }
    AxisSet axes = type_without(x, result).axes;
    for (unsigned k = 0; k < x->count; k++)
        set_copy(x, result, k, varying(b, take_one(x, b, in, k), axes));
}

// ---- what regions yield and loops carry: all the copies of each

// Operands from the first-th on, one for each result of the owner: all copies of those that vary.
static unsigned spread(const Expand *x, const Inst *owner, const Inst *in, unsigned first,
                       Value *out)
{
    unsigned n = 0;
    for (unsigned k = first; k < in->arg_count; k++) {
        unsigned r = k - first;
        bool wide = r < owner->result_count && varies(x, inst_result(owner, r));
        for (unsigned c = 0; c < (wide ? x->count : 1); c++)
            out[n++] = copy_of(x, inst_arg(x->f, in, k), c);
    }
    return n;
}

static void expand_yield(Expand *x, Builder *b, const Inst *owner, const Inst *in)
{
    Value *args = arena_array(x->context->arena, Value, in->arg_count * x->count + 1);
    unsigned n = spread(x, owner, in, 0, args);
    build_inst(b, OP_YIELD, (BuildSpec){.args = args, .arg_count = n});
}

static bool results_vary(const Expand *x, const Inst *in)
{
    for (unsigned k = 0; k < in->result_count; k++)
        if (varies(x, inst_result(in, k))) return true;
    return false;
}

// The next of `values` for v, or as many as it has copies.
static unsigned stand_in(Expand *x, Value v, Value next)
{
    if (!varies(x, v)) {
        func_replace_uses(x->f, v, next);
        return 1;
    }
    for (unsigned c = 0; c < x->count; c++) set_copy(x, v, c, (Value){next.i + c});
    return x->count;
}

static void expand_region(Expand *x, Region r, const Inst *owner);

// A loop or choice whose results vary is built anew with all copies of them, and takes over what
// stands in its regions.
static InstId rebuild(Expand *x, InstId id)
{
    Func *f = x->f;
    Arena *arena = x->context->arena;
    const Inst in = *inst_at(f, id);
    unsigned first = in.op == OP_IF ? 1 : 3, n = 0;
    Value *args = arena_array(arena, Value, in.arg_count * x->count + first + 1);
    Type *types = arena_array(arena, Type, in.result_count * x->count + 1);
    for (unsigned k = 0; k < first; k++) args[k] = inst_arg(f, &in, k);
    unsigned arg_count = first + spread(x, &in, &in, first, args + first);
    for (unsigned r = 0; r < in.result_count; r++)
        for (unsigned c = 0; c < (varies(x, inst_result(&in, r)) ? x->count : 1); c++)
            types[n++] = type_without(x, inst_result(&in, r));
    Region regions[2];
    for (unsigned r = 0; r < in.region_count; r++) regions[r] = func_region(f);
    for (unsigned r = 0; r < in.region_count; r++)
        for (unsigned k = 0; region_at(f, inst_region(&in, r))->arg_count && k < n; k++)
            region_add_arg(f, regions[r], types[k]);
    Builder b = {f, in.parent, id, in.span};
    InstId fresh = build_inst(&b, (Op)in.op,
                              (BuildSpec){.args = args,
                                          .arg_count = arg_count,
                                          .results = types,
                                          .result_count = n,
                                          .regions = regions,
                                          .region_count = in.region_count,
                                          .attr = in.attr,
                                          .flags = in.flags});
    if (in.op == OP_LOOP) axis_at(f, (Axis){in.attr.ref})->decl = fresh;
    for (unsigned r = 0; r < in.region_count; r++) {
        Region old = inst_region(&in, r);
        for (unsigned k = 0, at = 0; k < region_at(f, old)->arg_count; k++)
            at += stand_in(x, region_arg(f, old, k), region_arg(f, regions[r], at));
        while (region_at(f, old)->first.i)
            inst_move(f, region_at(f, old)->first, regions[r], (InstId){0});
    }
    for (unsigned k = 0, at = 0; k < in.result_count; k++)
        at += stand_in(x, inst_result(&in, k), inst_result(inst_at(f, fresh), at));
    inst_unlink(f, id);
    return fresh;
}

static void expand_structure(Expand *x, InstId id)
{
    const Inst owner = *inst_at(x->f, id);
    bool vary = results_vary(x, &owner);
    if (vary) id = rebuild(x, id);
    for (unsigned r = 0; r < owner.region_count; r++)
        expand_region(x, inst_region(inst_at(x->f, id), r), vary ? &owner : NULL);
}

static void expand_inst(Expand *x, Builder *b, const Inst *in)
{
    bool along = in->attr.bits >> x->axis.i & 1;
    if (in->op == OP_INDEX)
        expand_index(x, b, in);
    else if (in->op == OP_REDUCE && along)
        reduce_along(x, b, in);
    else if (in->op == OP_SORT && along)
        sort_along(x, b, in);
    else if (in->op == OP_TAKE && along)
        take_along(x, b, in);
    else
        expand_plain(x, b, in);
}

// `owner`: as it was, where yields must give all copies.
static void expand_region(Expand *x, Region r, const Inst *owner)
{
    Func *f = x->f;
    for (InstId id = region_at(f, r)->first, next; id.i; id = next) {
        next = inst_at(f, id)->next;
        const Inst in = *inst_at(f, id);
        Builder b = {f, in.parent, id, in.span};
        if (inst_structured(&in)) {
            expand_structure(x, id);
        } else if (in.op == OP_YIELD) {
            if (owner) expand_yield(x, &b, owner, &in);
            if (owner) inst_unlink(f, id);
        } else if (touches(x, &in)) {
            expand_inst(x, &b, &in);
            inst_unlink(f, id);
        }
    }
}

// ---- which axes can be written out

bool axis_whole(const Func *f, Axis a, int64_t *lo, unsigned *count)
{
    const AxisInfo *axis = axis_at(f, a);
    int64_t hi, size;
    if (axis->kind != AXIS_WHOLE || axis->scalar || !axis->decl.i) return false;
    const Inst *decl = inst_at(f, axis->decl);
    if (decl->op != OP_AXIS || decl->flags & INST_DEAD ||
        !value_const_int(f, inst_arg(f, decl, 0), lo) ||
        !value_const_int(f, inst_arg(f, decl, 1), &hi) || __builtin_sub_overflow(hi, *lo, &size) ||
        size < 1 || size > EXPAND_LISTS)
        return false;
    *count = (unsigned)size;
    return true;
}

static bool sort_expands(const Func *f, const Inst *in, Axis a, unsigned count)
{
    int64_t lo;
    unsigned wanted;
    if (in->attr.ref == a.i)
        return in->attr.bits == axis_bit(a) && count <= EXPAND_MOST && !inst_mask(f, in).i;
    if (in->attr.bits != axis_bit(a)) return count <= EXPAND_MOST;
    return axis_whole(f, (Axis){in->attr.ref}, &lo, &wanted) && wanted <= EXPAND_WANTED;
}

// Elements that share a byte are stored side by side.
static bool packs_bytes(const Func *f, const Inst *in, Axis a)
{
    const MemInfo *mem = mem_at(f, (Mem){in->attr.ref});
    unsigned last = mem->rank + (in->op == OP_LOAD_TILE ? 0u : 1u);
    return dtype_info[mem->dtype].bits < 8 && mem->rank &&
           (value_axes(f, inst_arg(f, in, last - 1)) & axis_bit(a));
}

static bool inst_expands(const Func *f, const Inst *in, Axis a, unsigned count)
{
    bool touched = (in->op == OP_TILEINFO || in->op == OP_SEARCH) && in->attr.ref == a.i;
    if (touched) return false;
    touched = in->op == OP_COMBINE && (in->attr.bits >> a.i & 1); // of what does not vary
    for_each_arg(f, in, k, v) touched |= value_axes(f, v) >> a.i & 1;
    for (unsigned k = 0; k < in->result_count; k++)
        touched |= value_axes(f, inst_result(in, k)) >> a.i & 1;
    if (in->op == OP_SORT && (in->attr.ref == a.i || (in->attr.bits >> a.i & 1)))
        return sort_expands(f, in, a, count);
    if (in->op == OP_REDUCE && (in->attr.bits >> a.i & 1)) {
        bool arg = in->attr.kind == REDUCE_ARGMAX || in->attr.kind == REDUCE_ARGMIN;
        return !arg || in->attr.bits == axis_bit(a);
    }
    if (!touched) return true;
    if (in->op == OP_LOAD_TILE || in->op == OP_STORE_TILE || in->op == OP_FOLD)
        return !packs_bytes(f, in, a);
    return in->op != OP_COMBINE && in->op != OP_PRINT && in->op != OP_ATOMIC_TILE &&
           in->op != OP_SEARCH;
}

bool axis_expands(const Func *f, Axis a, int64_t *lo, unsigned *count)
{
    bool lists = false;
    if (!axis_whole(f, a, lo, count)) return false;
    for (uint32_t i = 1; i < f->insts.count; i++) {
        const Inst *in = &f->insts.data[i];
        if (in->flags & INST_DEAD) continue;
        if (!inst_expands(f, in, a, *count)) return false;
        lists |= in->op == OP_SORT && (in->attr.bits >> a.i & 1);
    }
    return lists || *count <= EXPAND_MOST;
}

static bool wanted(const Func *f, const PassContext *context, Axis a)
{
    return context->config &&
           config_get_axis(context->config, "expand", axis_at(f, a)->name, 0) == 1;
}

static bool expand_axis(Func *f, const PassContext *context, Axis a)
{
    Expand x = {.f = f, .context = context, .axis = a};
    if (!axis_expands(f, a, &x.lo, &x.count)) return false;
    x.copies = arena_array(context->arena, Value, (size_t)f->values.count * x.count);
    expand_region(&x, f->body, NULL);
    inst_unlink(f, axis_at(f, a)->decl);
    return true;
}

// Again, as topk's results can be written out once its operand is.
bool pass_expand(Func *f, const PassContext *context)
{
    bool changed = false, again = true;
    AxisSet done = 0;
    while (again) {
        again = false;
        for (unsigned a = 1; a < f->axes.count; a++) {
            if ((done >> a & 1) || !wanted(f, context, (Axis){a})) continue;
            if (!expand_axis(f, context, (Axis){a})) continue;
            done |= (AxisSet)1 << a;
            changed = again = true;
        }
    }
    return changed;
}

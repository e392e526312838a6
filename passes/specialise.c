// Turns what a launch would tell (sizes, strides) into constants, and folds what follows from them.
#include "passes/pass.h"

typedef bool KnownFn(const Func *f, const Inst *in, const int64_t *numbers, int64_t *x);

static bool known_dim(const Func *f, const Inst *in, const int64_t *dims, int64_t *x)
{
    (void)f;
    if (in->op != OP_DIM || dims[in->attr.ref] < 0) return false;
    *x = dims[in->attr.ref];
    return true;
}

static bool known_extent(const Func *f, const Inst *in, const int64_t *dims, int64_t *x)
{
    (void)dims;
    if (in->op != OP_EXTENT) return false;
    InstId decl = mem_at(f, (Mem){in->attr.ref})->decl;
    if (!decl.i || in->attr.bits >= inst_at(f, decl)->arg_count) return false;
    return value_const_int(f, inst_arg(f, inst_at(f, decl), (unsigned)in->attr.bits), x);
}

static bool known_stride(const Func *f, const Inst *in, const int64_t *strides, int64_t *x)
{
    (void)f;
    if (in->op != OP_STRIDE || in->attr.bits >= RANK_MAX) return false;
    *x = strides[in->attr.ref * (uint64_t)RANK_MAX + in->attr.bits];
    return *x != INT64_MIN;
}

// The instruction becomes the constant, so that its uses need no change.
static bool fill_in(Func *f, KnownFn *known, const int64_t *numbers)
{
    bool changed = false;
    for (uint32_t i = 1; i < f->insts.count; i++) {
        Inst *in = &f->insts.data[i];
        int64_t x;
        if ((in->flags & INST_DEAD) || !known(f, in, numbers, &x)) continue;
        in->op = OP_CONST;
        in->attr = (Attr){.bits = (uint64_t)x};
        f->version++;
        changed = true;
    }
    return changed;
}

void func_specialise(Func *f, const int64_t *dims)
{
    fill_in(f, known_dim, dims);
    pass_simplify(f, NULL);
    if (fill_in(f, known_extent, dims)) pass_simplify(f, NULL);
}

void func_bound_dim(Func *f, uint32_t dim, int64_t most)
{
    uint32_t count = f->insts.count; // without those that this adds
    for (uint32_t i = 1; i < count; i++) {
        Inst in = f->insts.data[i];
        if ((in.flags & INST_DEAD) || in.op != OP_DIM || in.attr.ref != dim) continue;
        Value old = inst_result(&in, 0);
        Builder b = {f, f->body, region_at(f, f->body)->first, in.span};
        Type type = value_type(f, old);
        BuildSpec again = {.results = &type, .result_count = 1, .attr = in.attr};
        Value size = inst_result(inst_at(f, build_inst(&b, OP_DIM, again)), 0);
        func_replace_uses(f, old, build_op2(&b, OP_MIN, size, build_i64(&b, most)));
    }
}

void func_specialise_strides(Func *f, const int64_t *strides)
{
    if (fill_in(f, known_stride, strides)) pass_simplify(f, NULL);
}

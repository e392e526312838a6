// A kernel of Loop IR for tests: y[i] = op(x0[i], x1[i], x2[i]), `lanes` elements a unit, compiled
// and run.
#ifndef HK_TESTS_UNIT_LOOP_KERNEL_H
#define HK_TESTS_UNIT_LOOP_KERNEL_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/llvm/llvm_backend.h"
#include "ir/eval.h"

typedef struct OpCase {
    Op op;
    DType t, to;           // of the operands, of the result (arithmetic types or storage types)
    uint32_t kind;         // Attr.kind
    unsigned arity, lanes; // lanes 0: scalar code
    bool first_is_bool;    // select
    bool scalar_result;    // vreduce
    bool cast_result;      // the op gives t, then a cast to `to`
} OpCase;

typedef struct Compiled {
    Arena arena;
    Func *f;
    LlvmCode *code;
} Compiled;

static inline Value const_i64(Builder *b, int64_t x)
{
    return build_i64(b, x);
}

static inline Mem kernel_mem(Builder *b, const char *name, DType t, MemKind kind, Value size)
{
    Mem m = func_mem(b->f, (MemInfo){.name = str_of(name), .dtype = t, .kind = kind, .rank = 1});
    InstId id =
        build_inst(b, OP_TENSOR, (BuildSpec){.args = &size, .arg_count = 1, .attr = {.ref = m.i}});
    mem_at(b->f, m)->decl = id;
    return m;
}

static inline Value kernel_load(Builder *b, Mem m, Type t, Value offset)
{
    InstId id = build_inst(b, OP_LOAD,
                           (BuildSpec){.args = &offset,
                                       .arg_count = 1,
                                       .results = &t,
                                       .result_count = 1,
                                       .attr = {.ref = m.i}});
    return inst_result(inst_at(b->f, id), 0);
}

// Opens the only phase: n units. Returns the unit's index; the builder stands inside.
static inline Value kernel_phase(Builder *b, Value units)
{
    Region r = func_region(b->f);
    Value u = region_add_arg(b->f, r, type_scalar(DTYPE_I64));
    build_inst(b, OP_PHASE,
               (BuildSpec){.args = &units,
                           .arg_count = 1,
                           .regions = &r,
                           .region_count = 1,
                           .attr = {.kind = LOOP_GRID}});
    b->region = r;
    return u;
}

static inline Compiled *kernel_begin(Builder *b)
{
    Compiled *k = calloc(1, sizeof *k);
    arena_init(&k->arena, NULL);
    k->f = func_new(&k->arena, LEVEL_LOOP, STR("test"));
    *b = (Builder){.f = k->f, .region = k->f->body};
    return k;
}

static inline void kernel_free(Compiled *k)
{
    llvm_code_free(k->code);
    arena_free(&k->arena);
    free(k);
}

// Compiles; on failure prints diagnostics and fails the test.
static inline void kernel_compile(Compiled *k, const LlvmTarget *target)
{
    DiagList diags = {.arena = &k->arena};
    k->code = llvm_compile(k->f, target, &diags);
    if (k->code) return;
    for (uint32_t i = 0; i < diags.diags.count; i++) {
        fprintf(stderr, "%.*s\n", STR_ARG(diags.diags.data[i]->message));
    }
    ck_abort_msg("the kernel does not compile");
}

// The body of a phase whose unit u does elements u * lanes and on.
static inline void op_unit(Builder *b, OpCase c, Value u, const Mem *in, Mem out)
{
    Value offset = build_op2(b, OP_MUL, u, const_i64(b, c.lanes ? c.lanes : 1)), args[3];
    for (unsigned i = 0; i < c.arity; i++) {
        Type t = type_vector(i == 0 && c.first_is_bool ? DTYPE_BOOL : c.t, c.lanes);
        args[i] = kernel_load(b, in[i], t, offset);
    }
    Type result = type_vector(c.cast_result ? c.t : c.to, c.scalar_result ? 0 : c.lanes);
    BuildSpec spec = {.args = args, .arg_count = c.arity, .results = &result, .result_count = 1};
    spec.attr.kind = c.kind;
    Value y = inst_result(inst_at(b->f, build_inst(b, c.op, spec)), 0);
    if (c.cast_result) y = build_cast(b, y, c.to);
    Value store[] = {y, offset};
    build_inst(b, OP_STORE, (BuildSpec){.args = store, .arg_count = 2, .attr = {.ref = out.i}});
    build_inst(b, OP_YIELD, (BuildSpec){0});
}

static inline Func *op_kernel(Compiled *k, Builder *b, OpCase c)
{
    Value n = const_i64(b, 1 << 20);
    Mem in[3];
    for (unsigned i = 0; i < c.arity; i++) {
        in[i] = kernel_mem(b, "x", i == 0 && c.first_is_bool ? DTYPE_BOOL : c.t, MEM_IN, n);
    }
    Mem out = kernel_mem(b, "y", c.to, MEM_OUT, n);
    op_unit(b, c, kernel_phase(b, n), in, out);
    return k->f;
}

// Runs over n elements (a multiple of the lanes); x and y are in memory format.
static inline void op_run(const Compiled *k, OpCase c, void *const *x, void *y, int64_t n)
{
    void *mems[5] = {NULL};
    for (unsigned i = 0; i < c.arity; i++) mems[i + 1] = x[i];
    mems[c.arity + 1] = y;
    Trap trap = {0};
    Frame frame = {.mems = mems, .trap = &trap};
    llvm_code_phase(k->code, 0)(&frame, 0, n / (c.lanes ? c.lanes : 1), NULL);
}

static inline Compiled *op_compile(OpCase c)
{
    Builder b;
    Compiled *k = kernel_begin(&b);
    op_kernel(k, &b, c);
    kernel_compile(k, NULL);
    return k;
}

#endif

// The writer of OpenCL C: its state, expressions with precedence, and what its files call in each
// other.
#ifndef HK_BACKENDS_OPENCL_EMIT_H
#define HK_BACKENDS_OPENCL_EMIT_H

#include "backends/opencl/helpers.h"
#include "backends/opencl/names.h"
#include "backends/opencl/program.h"

// C's precedences, as far as they are used.
enum {
    PREC_SELECT = 1,
    PREC_LOGIC_OR,
    PREC_LOGIC_AND,
    PREC_OR,
    PREC_XOR,
    PREC_AND,
    PREC_EQUAL,
    PREC_ORDER,
    PREC_SHIFT,
    PREC_SUM,
    PREC_PRODUCT,
    PREC_UNARY,
    PREC_ATOM
};

typedef struct Expr {
    Str text;
    uint8_t prec;
    bool is_literal; // of an integer: may lose its suffix where the other operand fixes the type
    bool is_int;     // an i64 that is proved small: its type in C is int, or intN
    uint8_t lanes;   // of an intN
    Str narrow;      // of constant vectors of i64, if it has text: the same as an intN
    bool is_widened; // an f16 value held as float: just loaded, or about to be stored
} Expr;

enum { EXPR_LENGTH_MAX = 64 }; // longer expressions get a name

typedef struct Emit {
    Arena *arena;
    const Func *f;
    const Facts *facts;
    DiagList *diags;
    Program *program;
    Kernel *kernel;   // being written
    Buf text;         // of the current kernel
    Expr *exprs;      // [Value.i]
    Str *mem_names;   // [Mem.i]
    bool *is_private; // [Mem.i]: a private array of the current kernel
    bool *is_shared;  // [Mem.i]: in its local memory
    Str *cell_names;  // of deal->cells
    uint32_t unroll;  // of innermost loops, as the driver is asked; 0: as it likes
    bool in_nest;     // what is written is a work-item's own iteration
    Str partials;     // local memory where a group's results are combined
    Str item;         // the work-item's number in its group
    Names names;
    Helpers helpers;
    unsigned indent;
    Span here; // of the instruction being written
    Span last; // of the last #line
} Emit;

// ---- emit.c
__attribute__((format(printf, 2, 3))) void ocl_line(Emit *e, const char *format, ...);
// A complaint about a construct that cannot be written; emission goes on to find more.
void ocl_unsupported(Emit *e, const Inst *in, const char *what);
// Declares `const TYPE name = text;` for v and makes its expression the name.
void ocl_named(Emit *e, Value v, Expr expr);
// A name for an expression that is about to be mentioned several times; itself if it is one
// already.
Str ocl_atom(Emit *e, Expr expr, Type type, const char *name);

void ocl_inst(Emit *e, InstId id);
void ocl_region(Emit *e, Region r);
// Declares a variable for result k of `in`, which starts at `initial` if that has text.
Str ocl_variable(Emit *e, const Inst *in, unsigned k, Value inner, Expr initial);
Str ocl_value_name(Emit *e, Value v, const char *otherwise); // a new one
bool ocl_counts_in_int(const Emit *e, const Inst *loop);     // its index, one step beyond included
void ocl_yield(Emit *e, Region r, const Str *targets);

// ---- nest.c
void ocl_nest(Emit *e, const Nest *nest);
void ocl_fence(Emit *e, uint8_t fences);
// Around a loop that uses the halves of some local memories in turn: before it, first and last in
// its body. `names`[Mem.i] keeps what they are called outside.
Str ocl_open_halves(Emit *e, InstId loop);
void ocl_take_halves(Emit *e, InstId loop, Str flip, Str *names);
void ocl_turn_halves(Emit *e, Str flip, const Str *names);
void ocl_shared(Emit *e); // declares local memory and what each work-item owns

// ---- expr.c
Expr ocl_expr_format(Emit *e, uint8_t prec, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
Expr ocl_expr_call(Emit *e, const char *name, const Expr *args, unsigned count);
bool ocl_is_small(Range r);     // may live in an int, with room for a few steps beyond
Expr ocl_long(Emit *e, Expr x); // as a long, or longN, should it be an int
Expr ocl_bare(
    Expr x); // an integer literal without its suffix, where something else settles the type
Str ocl_expr_at(Emit *e, Expr x,
                uint8_t prec); // its text, in parentheses if it binds less than prec
Expr ocl_expr_constant(Emit *e, Type type, uint64_t bits);
Expr ocl_expr_compute(Emit *e, const Inst *in); // of a pure instruction with one result
// Both operands are of `type`; `in` is what a complaint is about.
Expr ocl_expr_combine(Emit *e, const Inst *in, ReduceKind kind, Expr a, Expr b, Type type);
// Where the mask holds a, else b; of vectors lane by lane.
Expr ocl_expr_choose(Emit *e, Value mask, Expr a, Expr b, Type type);
Str ocl_expr_param(const Emit *e, ParamKind kind, Mem mem, uint32_t index); // the parameter's name
// PARAM_FIRST's name, if there is one; is it a multiple of 16 bytes, as 0 is?
Str ocl_expr_first(const Emit *e, Mem mem, bool *is_multiple);
// The value as it was written: of an i64, also as an int, or an intN.
static inline Expr ocl_expr_held(const Emit *e, Value v)
{
    return e->exprs[v.i];
}
// The same where vectors have the type of the value.
static inline Expr ocl_expr_of(Emit *e, Value v)
{
    Expr x = ocl_expr_held(e, v);
    return x.lanes > 1 ? ocl_long(e, x) : x;
}

// ---- convert.c
Expr ocl_expr_cast(Emit *e, Expr x, Type from, Type to);
Expr ocl_expr_cast_inst(Emit *e, const Inst *in);
Expr ocl_expr_quantise(Emit *e, Expr x, Type type, DType kind);
Expr ocl_expr_nearest(Emit *e, Expr x, Type from, Type to, DType kind);

// ---- memory.c
Expr ocl_expr_load(Emit *e, const Inst *in);
bool ocl_is_stored_half(const Emit *e, const Inst *cast); // its rounding is left to the store
void ocl_prefetch(Emit *e, const Inst *in);
void ocl_store(Emit *e, const Inst *in);
void ocl_check(Emit *e, const Inst *in);
void ocl_print(Emit *e, const Inst *in);

// ---- atomic.c
void ocl_atomic(Emit *e, const Inst *in);

#endif

// Atomic updates, lane by lane. What OpenCL C 1.2 has for whole words is called; everything else
// (floats, products, elements narrower than a word) compares and swaps the word that holds the
// element until nobody came in between.
//
//     uint seen = atomic_cmpxchg(word, 0, 0), was;  // a plain read would race
//     do {
//         was = seen;
//         seen = atomic_cmpxchg(word, was, as_uint(as_float(was) + value));
//     } while (seen != was);
#include "backends/opencl/emit.h"

typedef struct Update {
    const Inst *in;
    uint32_t kind; // AtomicKind
    DType dtype;   // of the element
    Type arith;    // a scalar of what it widens to
    unsigned bits, lanes;
    Str mem, first; // the buffer; where element (0, ..., 0) stands in it, or empty
    Str value, desired, offset, mask, old; // names; `old` is empty if nobody asks
} Update;

static bool is_wide(const Update *u)
{
    return u->bits == 64;
}

static const char *word_type(const Update *u)
{
    return is_wide(u) ? "ulong" : "uint";
}

static uint32_t code_mask(const Update *u)
{
    return u->bits >= 32 ? UINT32_MAX : ((uint32_t)1 << u->bits) - 1;
}

// The element's bits, in a word, for a value of the arithmetic type.
static Str encoded(Emit *e, const Update *u, Expr value)
{
    if (dtype_is_arith(u->dtype) && u->dtype != DTYPE_BOOL)
        return str_format(e->arena, "as_%s(%.*s)", word_type(u), STR_ARG(value.text));
    Type to = {.dtype = (uint8_t)u->dtype};
    Expr code = u->dtype == DTYPE_BOOL ? value : ocl_expr_cast(e, value, u->arith, to);
    Str text = str_format(e->arena, "(uint)%.*s", STR_ARG(ocl_expr_at(e, code, PREC_UNARY)));
    if (u->bits == 32) return text;
    return str_format(e->arena, "(%.*s & %uu)", STR_ARG(text), code_mask(u));
}

static Expr decoded(Emit *e, const Update *u, Str code)
{
    Type from = {.dtype = (uint8_t)u->dtype};
    Str name = ocl_ctype_register(e->arena, from);
    if (u->dtype == DTYPE_BOOL) return ocl_expr_format(e, PREC_EQUAL, "%.*s != 0", STR_ARG(code));
    if (dtype_is_arith(u->dtype))
        return ocl_expr_format(e, PREC_ATOM, "as_%.*s(%.*s)", STR_ARG(name), STR_ARG(code));
    Expr raw = ocl_expr_format(e, PREC_UNARY, "(%.*s)%.*s", STR_ARG(name), STR_ARG(code));
    return ocl_expr_cast(e, raw, from, u->arith);
}

// OpenCL's own function, NULL if there is none.
static const char *native(const Update *u)
{
    bool is_int = dtype_is_int(u->dtype);
    if (u->bits < 32) return NULL;
    if (u->kind == ATOMIC_XCHG) return is_wide(u) ? "atom_xchg" : "atomic_xchg";
    if (u->kind == ATOMIC_CAS) return is_wide(u) ? "atom_cmpxchg" : "atomic_cmpxchg";
    if (!is_int) return NULL;
    if (u->kind == REDUCE_SUM) return is_wide(u) ? "atom_add" : "atomic_add";
    if (is_wide(u)) return NULL; // min, max and bits of 64-bit words are another extension
    if (u->kind == REDUCE_MAX) return "atomic_max";
    if (u->kind == REDUCE_MIN) return "atomic_min";
    if (u->kind == REDUCE_AND) return "atomic_and";
    if (u->kind == REDUCE_OR) return "atomic_or";
    return u->kind == REDUCE_XOR ? "atomic_xor" : NULL;
}

static void assign_old(Emit *e, const Update *u, Str target, Str code)
{
    if (!target.length) return;
    ocl_line(e, "%.*s = %.*s;", STR_ARG(target), STR_ARG(decoded(e, u, code).text));
}

static void emit_native(Emit *e, const Update *u, const char *function, Str value, Str desired,
                        Str offset, Str old)
{
    bool is_signed = u->dtype == DTYPE_I32 && (u->kind == REDUCE_MAX || u->kind == REDUCE_MIN);
    Buf call = {.arena = e->arena};
    buf_printf(
        &call, "%s((volatile __global %s *)%.*s + %.*s, %.*s", function,
        is_signed ? "int" : word_type(u), STR_ARG(u->mem), STR_ARG(offset),
        STR_ARG(is_signed ? value : encoded(e, u, (Expr){.text = value, .prec = PREC_ATOM})));
    if (u->kind == ATOMIC_CAS)
        buf_printf(&call, ", %.*s",
                   STR_ARG(encoded(e, u, (Expr){.text = desired, .prec = PREC_ATOM})));
    buf_char(&call, ')');
    if (is_signed && old.length)
        ocl_line(e, "%.*s = %.*s;", STR_ARG(old), STR_ARG(buf_view(&call)));
    else if (old.length)
        assign_old(e, u, old, buf_view(&call));
    else
        ocl_line(e, "%.*s;", STR_ARG(buf_view(&call)));
}

// The bits of the element after the update, from those before.
static Str next_code(Emit *e, const Update *u, Str code, Str value, Str desired)
{
    Expr x = {.text = value, .prec = PREC_ATOM}, y = {.text = desired, .prec = PREC_ATOM};
    if (u->kind == ATOMIC_XCHG) return encoded(e, u, x);
    if (u->kind == ATOMIC_CAS)
        return str_format(e->arena, "(%.*s == %.*s ? %.*s : %.*s)", STR_ARG(code),
                          STR_ARG(encoded(e, u, x)), STR_ARG(encoded(e, u, y)), STR_ARG(code));
    if (u->kind == REDUCE_MAX || u->kind == REDUCE_MIN)
        x = ocl_expr_quantise(e, x, u->arith, u->dtype);
    Expr found = {.text = ocl_atom(e, decoded(e, u, code), u->arith, "found"), .prec = PREC_ATOM};
    Expr next = ocl_expr_combine(e, u->in, (ReduceKind)u->kind, found, x, u->arith);
    Str name = ocl_atom(e, next, u->arith, "next");
    return encoded(e, u, (Expr){.text = name, .prec = PREC_ATOM});
}

static void emit_swap(Emit *e, const Update *u, Str value, Str desired, Str offset, Str old)
{
    const char *word = word_type(u), *swap = is_wide(u) ? "atom_cmpxchg" : "atomic_cmpxchg";
    Str at = ocl_names_make(&e->names, STR("at")), p = ocl_names_make(&e->names, STR("word"));
    Str seen = ocl_names_make(&e->names, STR("seen")), was = ocl_names_make(&e->names, STR("was"));
    Str shift = {0}, code = was;
    ocl_line(e, "const long %.*s = %.*s;", STR_ARG(at), STR_ARG(offset));
    unsigned per = u->bits < 32 ? 32 / u->bits : 1, log = (unsigned)__builtin_ctz(per);
    if (per > 1) {
        shift = ocl_names_make(&e->names, STR("shift"));
        ocl_line(e, "volatile __global uint *%.*s = (volatile __global uint *)%.*s + (%.*s >> %u);",
                 STR_ARG(p), STR_ARG(u->mem), STR_ARG(at), log);
        ocl_line(e, "const uint %.*s = (uint)(%.*s & %u) * %uu;", STR_ARG(shift), STR_ARG(at),
                 per - 1, u->bits);
    } else {
        ocl_line(e, "volatile __global %s *%.*s = (volatile __global %s *)%.*s + %.*s;", word,
                 STR_ARG(p), word, STR_ARG(u->mem), STR_ARG(at));
    }
    ocl_line(e, "%s %.*s = %s(%.*s, 0, 0), %.*s;", word, STR_ARG(seen), swap, STR_ARG(p),
             STR_ARG(was));
    ocl_line(e, "do {");
    e->indent++;
    ocl_line(e, "%.*s = %.*s;", STR_ARG(was), STR_ARG(seen));
    if (per > 1) {
        Expr x = ocl_expr_format(e, PREC_AND, "(%.*s >> %.*s) & %uu", STR_ARG(was), STR_ARG(shift),
                                 code_mask(u));
        code = ocl_names_make(&e->names, STR("code"));
        ocl_line(e, "const uint %.*s = %.*s;", STR_ARG(code), STR_ARG(x.text));
    }
    assign_old(e, u, old, code);
    Str next = next_code(e, u, code, value, desired);
    if (per > 1)
        next = str_format(e->arena, "(%.*s & ~(%uu << %.*s)) | (%.*s << %.*s)", STR_ARG(was),
                          code_mask(u), STR_ARG(shift), STR_ARG(next), STR_ARG(shift));
    ocl_line(e, "%.*s = %s(%.*s, %.*s, %.*s);", STR_ARG(seen), swap, STR_ARG(p), STR_ARG(was),
             STR_ARG(next));
    e->indent--;
    ocl_line(e, "} while (%.*s != %.*s);", STR_ARG(seen), STR_ARG(was));
}

// Lane k of a vector by name; bools are masks there.
static Str lane(Emit *e, const Update *u, Str name, unsigned k, bool is_bool)
{
    if (u->lanes <= 1 || !name.length) return name;
    return str_format(e->arena, is_bool ? "(%.*s.s%c != 0)" : "%.*s.s%c", STR_ARG(name),
                      "0123456789abcdef"[k]);
}

static Str old_name(Emit *e, const Update *u)
{
    Str name = ocl_names_make(&e->names, STR("old"));
    ocl_line(e, "%.*s %.*s = 0;", STR_ARG(ocl_ctype_register(e->arena, u->arith)), STR_ARG(name));
    return name;
}

static Str emit_lane(Emit *e, const Update *u, unsigned k)
{
    bool is_bool = u->arith.dtype == DTYPE_BOOL;
    Str value = lane(e, u, u->value, k, is_bool), desired = lane(e, u, u->desired, k, is_bool),
        offset = lane(e, u, u->offset, k, false), mask = lane(e, u, u->mask, k, true);
    Str old = u->old.length ? old_name(e, u) : (Str){0};
    if (u->first.length)
        offset = str_format(e->arena, "(%.*s + %.*s)", STR_ARG(u->first), STR_ARG(offset));
    const char *function = native(u);
    if (mask.length)
        ocl_line(e, "if (%.*s) {", STR_ARG(mask));
    else
        ocl_line(e, "{");
    e->indent++;
    if (function)
        emit_native(e, u, function, value, desired, offset, old);
    else
        emit_swap(e, u, value, desired, offset, old);
    e->indent--;
    ocl_line(e, "}");
    return old;
}

static Str operand(Emit *e, const Inst *in, unsigned k, const char *name)
{
    Value v = inst_arg(e->f, in, k);
    Expr x = ocl_long(e, ocl_expr_of(e, v));
    return ocl_atom(e, x, value_type(e->f, v), name);
}

void ocl_atomic(Emit *e, const Inst *in)
{
    Value result = inst_result(in, 0);
    Type type = value_type(e->f, result);
    Update u = {.in = in, .kind = in->attr.kind, .lanes = type.lanes};
    u.dtype = mem_at(e->f, (Mem){in->attr.ref})->dtype;
    u.bits = u.dtype == DTYPE_BOOL ? 8 : dtype_info[u.dtype].bits;
    u.arith = (Type){.dtype = type.dtype};
    u.mem = e->mem_names[in->attr.ref];
    bool is_multiple;
    u.first = ocl_expr_first(e, (Mem){in->attr.ref}, &is_multiple);
    unsigned next = 0;
    u.value = operand(e, in, next++, "update");
    if (u.kind == ATOMIC_CAS) u.desired = operand(e, in, next++, "desired");
    u.offset = operand(e, in, next++, "offset");
    if (in->flags & INST_MASKED) u.mask = operand(e, in, next, "mask");
    bool wanted = e->facts->uses[result.i] > 0;
    if (wanted) u.old = STR("old");
    Buf all = {.arena = e->arena};
    for (unsigned k = 0; k < (u.lanes > 1 ? u.lanes : 1); k++) {
        Str old = emit_lane(e, &u, k);
        buf_printf(&all, u.arith.dtype == DTYPE_BOOL && u.lanes > 1 ? "%s-(int)%.*s" : "%s%.*s",
                   k ? ", " : "", STR_ARG(old));
    }
    if (!wanted) return;
    Str list = buf_view(&all);
    if (u.lanes > 1)
        list = str_format(e->arena, "(%.*s)(%.*s)", STR_ARG(ocl_ctype_register(e->arena, type)),
                          STR_ARG(list));
    ocl_named(e, result, (Expr){.text = list, .prec = PREC_UNARY});
}

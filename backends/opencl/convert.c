// Conversions between types: arithmetic ones are native, storage types are codes that helpers read
// and write.
#include "backends/opencl/emit.h"

static Type with_dtype(Type type, DType t)
{
    type.dtype = (uint8_t)t;
    return type;
}

static Expr call_helper(Emit *e, Helper helper, Expr x, Type lanes)
{
    return ocl_expr_call(e, ocl_helper_need(&e->helpers, helper, lanes).data, &x, 1);
}

// A C conversion: (float)x, convert_float4(x).
static Expr convert(Emit *e, Expr x, Type to)
{
    Str name = ocl_ctype_register(e->arena, to);
    if (to.lanes > 1) {
        return ocl_expr_format(e, PREC_ATOM, "convert_%.*s(%.*s)", STR_ARG(name), STR_ARG(x.text));
    }
    return ocl_expr_format(e, PREC_UNARY, "(%.*s)%.*s", STR_ARG(name),
                           STR_ARG(ocl_expr_at(e, x, PREC_UNARY)));
}

static Helper decoder(DType t)
{
    if (t == DTYPE_F16) return HELPER_F16_TO_F32;
    if (t == DTYPE_BF16) return HELPER_BF16_TO_F32;
    if (t == DTYPE_F8E4M3) return HELPER_F8E4M3_TO_F32;
    if (t == DTYPE_F8E5M2) return HELPER_F8E5M2_TO_F32;
    return HELPER_F4E2M1_TO_F32;
}

static Helper encoder(DType t)
{
    if (t == DTYPE_F16) return HELPER_F32_TO_F16;
    if (t == DTYPE_BF16) return HELPER_F32_TO_BF16;
    if (t == DTYPE_F8E4M3) return HELPER_F32_TO_F8E4M3;
    if (t == DTYPE_F8E5M2) return HELPER_F32_TO_F8E5M2;
    return HELPER_F32_TO_F4E2M1;
}

// The code of storage type `from` as a value of its arithmetic type.
static Expr decode(Emit *e, Expr x, Type from)
{
    const DType t = (DType)from.dtype;
    const Type arith = with_dtype(from, dtype_info[t].arith);
    if (dtype_is_float(t)) return call_helper(e, decoder(t), x, from);
    if (t != DTYPE_I4) return convert(e, x, arith);
    Type code = with_dtype(from, DTYPE_I32);
    Expr word = convert(e, x, code); // the sign bit of the nibble moves to the top and back
    return ocl_expr_format(e, PREC_SUM, "(%.*s ^ 8) - 8",
                           STR_ARG(ocl_expr_at(e, word, PREC_UNARY)));
}

static Expr encode(Emit *e, Expr x, Type to)
{
    const DType t = (DType)to.dtype;
    if (dtype_is_float(t)) return call_helper(e, encoder(t), x, to);
    if (t == DTYPE_I4 || t == DTYPE_U4) {
        Type word = with_dtype(to, DTYPE_I32);
        x = ocl_expr_format(e, PREC_AND, "%.*s & 15",
                            STR_ARG(ocl_expr_at(e, convert(e, x, word), PREC_UNARY)));
    }
    return convert(e, x, to);
}

static Expr cast_to_bool(Emit *e, Expr x, Type from)
{
    Expr r = ocl_expr_format(e, PREC_EQUAL, "%.*s != 0", STR_ARG(ocl_expr_at(e, x, PREC_SUM)));
    if (from.lanes <= 1 || dtype_info[from.dtype].bits == 32) return r;
    return ocl_expr_format(e, PREC_ATOM, "convert_int%u(%.*s)", from.lanes, STR_ARG(r.text));
}

static Expr cast_from_bool(Emit *e, Expr x, Type to)
{
    if (to.lanes > 1) {
        x = ocl_expr_format(e, PREC_AND, "%.*s & 1", STR_ARG(ocl_expr_at(e, x, PREC_UNARY)));
    }
    if (to.lanes > 1 && to.dtype == DTYPE_I32) return x;
    return convert(e, x, to);
}

// The C type of an integer dtype whose conversions saturate at the dtype's bounds; i4 and u4 are
// clamped later.
static const char *saturating_type(DType t)
{
    if (t == DTYPE_I4) return "char";
    if (t == DTYPE_BOOL) return "uchar";
    return ocl_ctype_memory(t);
}

// Float to integer dtype `to`, which may be narrow: saturates, NaN is 0. `mode` is "" or "_rte".
static Expr float_to_int(Emit *e, Expr x, Type from, Type to, const char *mode)
{
    Expr number = call_helper(e, HELPER_NUMBER, x, from);
    Str lanes = to.lanes > 1 ? str_format(e->arena, "%u", to.lanes) : STR("");
    Expr r = ocl_expr_format(e, PREC_ATOM, "convert_%s%.*s_sat%s(%.*s)",
                             saturating_type((DType)to.dtype), STR_ARG(lanes), mode,
                             STR_ARG(number.text));
    if (to.dtype == DTYPE_U4) {
        return ocl_expr_format(e, PREC_ATOM, "min(%.*s, (uchar%.*s)(15))", STR_ARG(r.text),
                               STR_ARG(lanes));
    }
    if (to.dtype != DTYPE_I4) return r;
    Str c = str_format(e->arena, "(char%.*s)", STR_ARG(lanes));
    return ocl_expr_format(e, PREC_ATOM, "clamp(%.*s, %.*s(-8), %.*s(7))", STR_ARG(r.text),
                           STR_ARG(c), STR_ARG(c));
}

// Both are arithmetic types.
static Expr cast_arith(Emit *e, Expr x, Type from, Type to)
{
    if (from.dtype == to.dtype) return x;
    if (to.dtype == DTYPE_BOOL) return cast_to_bool(e, x, from);
    if (from.dtype == DTYPE_BOOL) return cast_from_bool(e, x, to);
    if (dtype_is_float((DType)from.dtype) && !dtype_is_float((DType)to.dtype)) {
        return float_to_int(e, x, from, to, "");
    }
    return convert(e, x, to);
}

// To f32 for a second rounding to a narrower type: what the first one lost is kept in the last bit.
static Expr to_f32_odd(Emit *e, Expr x, Type from)
{
    if (from.dtype == DTYPE_F32) return x;
    if (from.dtype == DTYPE_F64) return call_helper(e, HELPER_F64_TO_ODD, x, from);
    if (from.dtype == DTYPE_BOOL) return cast_from_bool(e, x, with_dtype(from, DTYPE_F32));
    if (from.dtype != DTYPE_I64) x = convert(e, x, with_dtype(from, DTYPE_I64));
    return call_helper(e, HELPER_I64_TO_ODD, x, from);
}

Expr ocl_expr_cast(Emit *e, Expr x, Type from, Type to)
{
    if (from.dtype == to.dtype) return x;
    if (!dtype_is_arith((DType)from.dtype)) {
        x = decode(e, x, from);
        from = with_dtype(from, dtype_info[from.dtype].arith);
    }
    if (dtype_is_arith((DType)to.dtype)) return cast_arith(e, x, from, to);
    if (dtype_is_float((DType)to.dtype)) return encode(e, to_f32_odd(e, x, from), to);
    if (dtype_is_float((DType)from.dtype)) return encode(e, float_to_int(e, x, from, to, ""), to);
    if (from.dtype == DTYPE_BOOL) x = cast_from_bool(e, x, with_dtype(from, DTYPE_I32));
    return encode(e, x, to);
}

Expr ocl_expr_cast_inst(Emit *e, const Inst *in)
{
    Expr x = ocl_expr_held(e, inst_arg(e->f, in, 0));
    Type from = value_type(e->f, inst_arg(e->f, in, 0)), to = value_type(e->f, inst_result(in, 0));
    if (x.lanes > 1) {
        from.dtype = DTYPE_I32;
        x.lanes = 0;
        x.is_int = false;
    }
    if (x.is_int && to.dtype == DTYPE_I32) {
        x.is_int = false;
        return x;
    }
    if (from.dtype == DTYPE_I32 && to.dtype == DTYPE_I64) {
        x.is_int = ocl_is_small(e->facts->ranges[inst_arg(e->f, in, 0).i]);
        x.lanes = x.is_int ? (uint8_t)to.lanes : 0;
        if (x.is_int) return x;
    }
    if (x.is_widened) {
        from.dtype = DTYPE_F32;
        x.is_widened = false;
    }
    if (!ocl_is_stored_half(e, in) || !dtype_is_arith((DType)from.dtype)) {
        return ocl_expr_cast(e, x, from, to);
    }
    x = to_f32_odd(e, x, from);
    x.is_widened = true;
    return x;
}

Expr ocl_expr_quantise(Emit *e, Expr x, Type type, DType kind)
{
    if (kind == (DType)type.dtype) return x;
    Type stored = with_dtype(type, kind);
    return ocl_expr_cast(e, ocl_expr_cast(e, x, type, stored), stored, type);
}

// ---- nearest: rounds to even and saturates

static double largest_of(DType t)
{
    if (t == DTYPE_F64) return 0x1.fffffffffffffp1023;
    if (t == DTYPE_F32) return 0x1.fffffep127;
    if (t == DTYPE_F16) return 65504;
    if (t == DTYPE_BF16) return 0x1.fep127;
    if (t == DTYPE_F8E4M3) return 448;
    if (t == DTYPE_F8E5M2) return 57344;
    return 6;
}

static Expr nearest_float(Emit *e, Expr x, Type from, Type to, DType kind)
{
    if (!dtype_is_float((DType)from.dtype)) {
        x = to_f32_odd(e, x, from);
        from = with_dtype(from, DTYPE_F32);
    }
    if (kind == DTYPE_F64 && from.dtype == DTYPE_F32) return ocl_expr_cast(e, x, from, to);
    Expr top = {.prec = PREC_ATOM};
    top.text = str_format(e->arena, "%a%s", largest_of(kind), from.dtype == DTYPE_F64 ? "" : "f");
    Str name = ocl_helper_need(&e->helpers, HELPER_CLAMP, from);
    x = ocl_expr_call(e, name.data, (Expr[]){x, top}, 2);
    Type stored = with_dtype(from, kind);
    return ocl_expr_cast(e, ocl_expr_cast(e, x, from, stored), stored, to);
}

static Expr nearest_int(Emit *e, Expr x, Type from, Type to, DType kind)
{
    Range all = ocl_range_of_type((DType)from.dtype), some = ocl_range_of_type(kind);
    if (all.lo >= some.lo && all.hi <= some.hi) return ocl_expr_cast(e, x, from, to);
    int64_t lo = all.lo > some.lo ? all.lo : some.lo, hi = all.hi < some.hi ? all.hi : some.hi;
    Expr low = ocl_expr_constant(e, from, (uint64_t)lo),
         high = ocl_expr_constant(e, from, (uint64_t)hi);
    return ocl_expr_cast(e, ocl_expr_call(e, "clamp", (Expr[]){x, low, high}, 3), from, to);
}

Expr ocl_expr_nearest(Emit *e, Expr x, Type from, Type to, DType kind)
{
    if (dtype_is_float(kind)) return nearest_float(e, x, from, to, kind);
    if (from.dtype == DTYPE_BOOL) return ocl_expr_cast(e, x, from, to);
    if (!dtype_is_float((DType)from.dtype)) return nearest_int(e, x, from, to, kind);
    if (kind == DTYPE_BOOL) {
        return nearest_int(e, float_to_int(e, x, from, with_dtype(from, DTYPE_I64), "_rte"),
                           with_dtype(from, DTYPE_I64), to, kind);
    }
    Expr r = float_to_int(e, x, from, with_dtype(from, kind), "_rte");
    return convert(e, r, to);
}

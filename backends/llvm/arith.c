// Integer and float arithmetic, comparisons and rounding, exactly as ir/ops.def says. LLVM leaves division by
// zero, overlong shifts and the like undefined, so those are guarded here; constants need no guard.
#include "backends/llvm/emit.h"

static LLVMValueRef select_of(Emit *e, LLVMValueRef c, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(e->b, c, a, b, "");
}

// a / b or a % b with x / 0 = x % 0 = 0 and INT_MIN / -1 = INT_MIN.
static LLVMValueRef int_divide(Emit *e, LLVMValueRef a, LLVMValueRef c, bool remainder)
{
    int64_t known;
    if (const_int_value(c, &known) && known != 0 && known != -1) {
        return remainder ? LLVMBuildSRem(e->b, a, c, "") : LLVMBuildSDiv(e->b, a, c, "");
    }
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef zero = const_int(type, 0), one = const_int(type, 1);
    LLVMValueRef least = const_int(type, type_bits(type) == 64 ? INT64_MIN : INT32_MIN);
    LLVMValueRef by_zero = LLVMBuildICmp(e->b, LLVMIntEQ, c, zero, "");
    LLVMValueRef wraps = LLVMBuildAnd(e->b, LLVMBuildICmp(e->b, LLVMIntEQ, a, least, ""),
                                      LLVMBuildICmp(e->b, LLVMIntEQ, c, const_int(type, -1), ""), "");
    LLVMValueRef safe = select_of(e, LLVMBuildOr(e->b, by_zero, wraps, ""), one, c);
    if (remainder) return LLVMBuildSRem(e->b, a, safe, "");
    return select_of(e, by_zero, zero, LLVMBuildSDiv(e->b, a, safe, ""));
}

static LLVMValueRef int_shift(Emit *e, Op op, LLVMValueRef a, LLVMValueRef c)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    int64_t width = type_bits(type), known;
    bool in_range = const_int_value(c, &known) && known >= 0 && known < width;
    LLVMValueRef top = const_int(type, width - 1);
    if (op == OP_SHR) {
        LLVMValueRef by = in_range ? c : emit_intrinsic2(e, "llvm.umin", c, top);
        return LLVMBuildAShr(e->b, a, by, "");
    }
    if (in_range) return LLVMBuildShl(e->b, a, c, "");
    LLVMValueRef valid = LLVMBuildICmp(e->b, LLVMIntULE, c, top, "");
    LLVMValueRef shifted = LLVMBuildShl(e->b, a, LLVMBuildAnd(e->b, c, top, ""), "");
    return select_of(e, valid, shifted, const_int(type, 0));
}

static LLVMValueRef pick(Emit *e, LLVMRealPredicate p, LLVMValueRef a, LLVMValueRef c)
{
    return select_of(e, LLVMBuildFCmp(e->b, p, a, c, ""), a, c);
}

// x86's minps and maxps give the second operand for NaN and for equal zeros. With both orders: minima
// combine by OR (a NaN wins, -0 wins); maxima by AND (+0 wins), NaN put in after.
static LLVMValueRef float_min_max_x86(Emit *e, LLVMValueRef a, LLVMValueRef c, bool max)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMRealPredicate p = max ? LLVMRealOGT : LLVMRealOLT;
    double known;
    if (const_real_value(a, &known)) {
        LLVMValueRef swap = a;
        a = c;
        c = swap;
    }
    if (const_real_value(c, &known) && (known != 0 || (!max && !__builtin_signbit(known)))) {
        return pick(e, p, c, a);
    }
    if (const_real_value(c, &known) && max && !__builtin_signbit(known)) {
        return LLVMBuildFAdd(e->b, pick(e, p, c, a), c, ""); // -0 + 0 = 0
    }
    LLVMTypeRef word = emit_int_type(e, type_bits(type));
    LLVMValueRef x = emit_bitcast(e, pick(e, p, a, c), word);
    LLVMValueRef y = emit_bitcast(e, pick(e, p, c, a), word);
    if (!max) return LLVMBuildBitCast(e->b, LLVMBuildOr(e->b, x, y, ""), type, "");
    LLVMValueRef unordered = LLVMBuildFCmp(e->b, LLVMRealUNO, a, c, "");
    LLVMValueRef both = LLVMBuildAnd(e->b, x, y, "");
    LLVMValueRef ones = LLVMBuildSExt(e->b, unordered, LLVMTypeOf(both), "");
    return LLVMBuildBitCast(e->b, LLVMBuildOr(e->b, both, ones, ""), type, "");
}

static LLVMValueRef min_max(Emit *e, Op op, DType t, LLVMValueRef a, LLVMValueRef c)
{
    bool max = op == OP_MAX || op == OP_FMAX;
    if (t == DTYPE_BOOL) return max ? LLVMBuildOr(e->b, a, c, "") : LLVMBuildAnd(e->b, a, c, "");
    if (!dtype_is_float(t)) return emit_intrinsic2(e, max ? "llvm.smax" : "llvm.smin", a, c);
    if (op == OP_FMIN || op == OP_FMAX) {
        LLVMValueRef both = min_max(e, max ? OP_MAX : OP_MIN, t, a, c);
        LLVMValueRef some = select_of(e, LLVMBuildFCmp(e->b, LLVMRealUNO, c, c, ""), a, both);
        return select_of(e, LLVMBuildFCmp(e->b, LLVMRealUNO, a, a, ""), c, some);
    }
    if (e->target->is_x86 && value_lanes(a)) return float_min_max_x86(e, a, c, max);
    return emit_intrinsic2(e, max ? "llvm.maximum" : "llvm.minimum", a, c);
}

static LLVMValueRef sign_of(Emit *e, DType t, LLVMValueRef a)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    if (dtype_is_float(t)) {
        LLVMValueRef one = emit_intrinsic2(e, "llvm.copysign", const_real(type, 1), a);
        LLVMValueRef moves = LLVMBuildFCmp(e->b, LLVMRealONE, a, const_real(type, 0), "");
        return select_of(e, moves, one, a);
    }
    LLVMValueRef low = emit_intrinsic2(e, "llvm.smax", a, const_int(type, -1));
    return emit_intrinsic2(e, "llvm.smin", low, const_int(type, 1));
}

static LLVMValueRef is_inf(Emit *e, LLVMValueRef a)
{
    LLVMValueRef inf = const_real(LLVMTypeOf(a), __builtin_inf());
    return LLVMBuildFCmp(e->b, LLVMRealOEQ, emit_intrinsic1(e, "llvm.fabs", a), inf, "");
}

// clz and popcount; the result has the operand's dtype.
static LLVMValueRef count_bits(Emit *e, Op op, LLVMValueRef a)
{
    if (op == OP_POPCOUNT) return emit_intrinsic1(e, "llvm.ctpop", a);
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef defined = LLVMConstInt(emit_int_type(e, 1), 0, false);
    return emit_intrinsic(e, "llvm.ctlz", &type, 1, (LLVMValueRef[]){a, defined}, 2);
}

LLVMValueRef emit_unary(Emit *e, Op op, DType t, LLVMValueRef a)
{
    bool real = dtype_is_float(t);
    LLVMTypeRef type = LLVMTypeOf(a);
    bool numeric = op == OP_NEG || op == OP_SIGN || op == OP_ABS || op == OP_POPCOUNT || op == OP_CLZ;
    if (t == DTYPE_BOOL && numeric) return NULL;
    if (op == OP_NEG) return real ? LLVMBuildFNeg(e->b, a, "") : LLVMBuildNeg(e->b, a, "");
    if (op == OP_NOT) return LLVMBuildNot(e->b, a, "");
    if (op == OP_SIGN) return sign_of(e, t, a);
    if (op == OP_POPCOUNT || op == OP_CLZ) return count_bits(e, op, a);
    if (op == OP_ISNAN || op == OP_ISINF) {
        if (!real) return LLVMConstNull(type_shaped(a, emit_int_type(e, 1)));
        return op == OP_ISINF ? is_inf(e, a) : LLVMBuildFCmp(e->b, LLVMRealUNO, a, a, "");
    }
    if (op == OP_ABS && !real) {
        LLVMValueRef wraps = LLVMConstInt(emit_int_type(e, 1), 0, false);
        return emit_intrinsic(e, "llvm.abs", &type, 1, (LLVMValueRef[]){a, wraps}, 2);
    }
    if (!real) return op == OP_FLOOR || op == OP_CEIL || op == OP_ROUND || op == OP_TRUNC ? a : NULL;
    if (op == OP_ABS) return emit_intrinsic1(e, "llvm.fabs", a);
    if (op == OP_FLOOR) return emit_intrinsic1(e, "llvm.floor", a);
    if (op == OP_CEIL) return emit_intrinsic1(e, "llvm.ceil", a);
    if (op == OP_ROUND) return emit_intrinsic1(e, "llvm.roundeven", a);
    if (op == OP_TRUNC) return emit_intrinsic1(e, "llvm.trunc", a);
    return emit_math(e, op, t, a, NULL);
}

// Float remainder is exact only in libm's fmod; LLVM calls it for each lane, by these names.
static LLVMValueRef float_remainder(Emit *e, DType t, LLVMValueRef a, LLVMValueRef c)
{
    LLVMTypeRef lane = emit_dtype(e, t);
    LLVMTypeRef type = LLVMFunctionType(lane, (LLVMTypeRef[]){lane, lane}, 2, false);
    LLVMValueRef function = emit_import(e, t == DTYPE_F64 ? "fmod" : "fmodf", type);
    unsigned lanes = value_lanes(a);
    if (!lanes) return LLVMBuildCall2(e->b, type, function, (LLVMValueRef[]){a, c}, 2, "");
    LLVMValueRef all = LLVMGetPoison(LLVMTypeOf(a));
    for (unsigned i = 0; i < lanes; i++) {
        LLVMValueRef args[] = {emit_lane(e, a, i), emit_lane(e, c, i)};
        LLVMValueRef one = LLVMBuildCall2(e->b, type, function, args, 2, "");
        all = LLVMBuildInsertElement(e->b, all, one, const_int(emit_int_type(e, 32), i), "");
    }
    return all;
}

// Squares and multiplies, one step for each bit of the largest exponent among the lanes. A negative exponent
// leaves 1 and -1 their powers and makes all else 0.
static LLVMValueRef int_power(Emit *e, LLVMValueRef a, LLVMValueRef c)
{
    LLVMBuilderRef b = e->b;
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef one = const_int(type, 1), zero = const_int(type, 0);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(e->context, e->function, "power");
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(e->context, e->function, "after");
    LLVMBuildBr(b, body);
    LLVMPositionBuilderAtEnd(b, body);
    LLVMValueRef power = LLVMBuildPhi(b, type, ""), square = LLVMBuildPhi(b, type, ""), left = LLVMBuildPhi(b, type, "");
    LLVMValueRef odd = LLVMBuildICmp(b, LLVMIntNE, LLVMBuildAnd(b, left, one, ""), zero, "");
    LLVMValueRef power2 = select_of(e, odd, LLVMBuildMul(b, power, square, ""), power);
    LLVMValueRef square2 = LLVMBuildMul(b, square, square, ""), left2 = LLVMBuildLShr(b, left, one, "");
    LLVMBuildCondBr(b, emit_any(e, LLVMBuildICmp(b, LLVMIntNE, left2, zero, "")), body, after);
    LLVMBasicBlockRef from[] = {before, body};
    LLVMAddIncoming(power, (LLVMValueRef[]){one, power2}, from, 2);
    LLVMAddIncoming(square, (LLVMValueRef[]){a, square2}, from, 2);
    LLVMAddIncoming(left, (LLVMValueRef[]){c, left2}, from, 2);
    LLVMPositionBuilderAtEnd(b, after);
    LLVMValueRef magnitude = LLVMBuildMul(b, a, a, "");
    LLVMValueRef unit = LLVMBuildAnd(b, LLVMBuildICmp(b, LLVMIntEQ, magnitude, one, ""),
                                     LLVMBuildICmp(b, LLVMIntSLE, emit_unary(e, OP_ABS, DTYPE_I64, a), one, ""), "");
    LLVMValueRef kept = LLVMBuildOr(b, unit, LLVMBuildICmp(b, LLVMIntSGE, c, zero, ""), "");
    return select_of(e, kept, power2, zero);
}

LLVMValueRef emit_binary(Emit *e, Op op, DType t, LLVMValueRef a, LLVMValueRef c)
{
    bool real = dtype_is_float(t);
    LLVMBuilderRef b = e->b;
    if (op == OP_MIN || op == OP_MAX || op == OP_FMIN || op == OP_FMAX) return min_max(e, op, t, a, c);
    if (real) {
        if (op == OP_ADD) return LLVMBuildFAdd(b, a, c, "");
        if (op == OP_SUB) return LLVMBuildFSub(b, a, c, "");
        if (op == OP_MUL) return LLVMBuildFMul(b, a, c, "");
        if (op == OP_DIV) return LLVMBuildFDiv(b, a, c, "");
        if (op == OP_REM) return float_remainder(e, t, a, c);
        return emit_math(e, op, t, a, c);
    }
    if (op == OP_AND) return LLVMBuildAnd(b, a, c, "");
    if (op == OP_OR) return LLVMBuildOr(b, a, c, "");
    if (op == OP_XOR) return LLVMBuildXor(b, a, c, "");
    if (t == DTYPE_BOOL) { // as integers that wrap to "not 0"
        if (op == OP_ADD) return LLVMBuildOr(b, a, c, "");
        if (op == OP_SUB) return LLVMBuildXor(b, a, c, "");
        return op == OP_MUL ? LLVMBuildAnd(b, a, c, "") : NULL;
    }
    if (op == OP_ADD) return LLVMBuildAdd(b, a, c, "");
    if (op == OP_SUB) return LLVMBuildSub(b, a, c, "");
    if (op == OP_MUL) return LLVMBuildMul(b, a, c, "");
    if (op == OP_DIV || op == OP_REM) return int_divide(e, a, c, op == OP_REM);
    if (op == OP_SHL || op == OP_SHR) return int_shift(e, op, a, c);
    return op == OP_POW ? int_power(e, a, c) : NULL;
}

LLVMValueRef emit_compare(Emit *e, Op op, DType t, LLVMValueRef a, LLVMValueRef c)
{
    if (dtype_is_float(t)) {
        LLVMRealPredicate p = op == OP_EQ ? LLVMRealOEQ : op == OP_NE ? LLVMRealUNE
            : op == OP_LT ? LLVMRealOLT : LLVMRealOLE;
        return LLVMBuildFCmp(e->b, p, a, c, "");
    }
    bool without_sign = t == DTYPE_BOOL;
    LLVMIntPredicate p = op == OP_EQ ? LLVMIntEQ : op == OP_NE ? LLVMIntNE
        : op == OP_LT ? (without_sign ? LLVMIntULT : LLVMIntSLT) : (without_sign ? LLVMIntULE : LLVMIntSLE);
    return LLVMBuildICmp(e->b, p, a, c, "");
}

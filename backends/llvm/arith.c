// Integer and float arithmetic, comparisons and rounding, exactly as ir/ops.def says. LLVM leaves
// division by zero, overlong shifts and the like undefined, so those are guarded here; constants
// need no guard.
#include "backends/llvm/gen.h"

static LLVMValueRef select_of(Gen *g, LLVMValueRef c, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(g->b, c, a, b, "");
}

// CPUs have no vector division of integers. A quotient of 32-bit integers that is not whole differs
// from the next whole number by more than the rounding error of f64, so cutting it off is exact.
static LLVMValueRef divide_by_f64(Gen *g, LLVMValueRef a, LLVMValueRef c)
{
    LLVMTypeRef wide = lltype_shaped(a, LLVMDoubleTypeInContext(g->context));
    LLVMValueRef x = LLVMBuildSIToFP(g->b, a, wide, ""), y = LLVMBuildSIToFP(g->b, c, wide, "");
    return LLVMBuildFPToSI(g->b, LLVMBuildFDiv(g->b, x, y, ""), LLVMTypeOf(a), "");
}

// a / b or a % b with x / 0 = x % 0 = 0 and INT_MIN / -1 = INT_MIN.
static LLVMValueRef int_divide(Gen *g, LLVMValueRef a, LLVMValueRef c, bool remainder)
{
    int64_t known;
    if (gen_const_int_value(c, &known) && known != 0 && known != -1) {
        return remainder ? LLVMBuildSRem(g->b, a, c, "") : LLVMBuildSDiv(g->b, a, c, "");
    }
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef zero = gen_const_int(type, 0), one = gen_const_int(type, 1);
    LLVMValueRef least = gen_const_int(type, lltype_bits(type) == 64 ? INT64_MIN : INT32_MIN);
    LLVMValueRef by_zero = LLVMBuildICmp(g->b, LLVMIntEQ, c, zero, "");
    LLVMValueRef wraps =
        LLVMBuildAnd(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, a, least, ""),
                     LLVMBuildICmp(g->b, LLVMIntEQ, c, gen_const_int(type, -1), ""), "");
    LLVMValueRef safe = select_of(g, LLVMBuildOr(g->b, by_zero, wraps, ""), one, c);
    if (lanes_of(a) && lltype_bits(type) == 32) {
        LLVMValueRef whole = divide_by_f64(g, a, safe);
        if (!remainder) return select_of(g, by_zero, zero, whole);
        return LLVMBuildSub(g->b, a, LLVMBuildMul(g->b, whole, safe, ""), "");
    }
    if (remainder) return LLVMBuildSRem(g->b, a, safe, "");
    return select_of(g, by_zero, zero, LLVMBuildSDiv(g->b, a, safe, ""));
}

static LLVMValueRef int_shift(Gen *g, Op op, LLVMValueRef a, LLVMValueRef c)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    int64_t width = lltype_bits(type), known;
    bool in_range = gen_const_int_value(c, &known) && known >= 0 && known < width;
    LLVMValueRef top = gen_const_int(type, width - 1);
    if (op == OP_SHR) {
        LLVMValueRef by = in_range ? c : gen_intrinsic2(g, "llvm.umin", c, top);
        return LLVMBuildAShr(g->b, a, by, "");
    }
    if (in_range) return LLVMBuildShl(g->b, a, c, "");
    LLVMValueRef valid = LLVMBuildICmp(g->b, LLVMIntULE, c, top, "");
    LLVMValueRef shifted = LLVMBuildShl(g->b, a, LLVMBuildAnd(g->b, c, top, ""), "");
    return select_of(g, valid, shifted, gen_const_int(type, 0));
}

static LLVMValueRef pick(Gen *g, LLVMRealPredicate p, LLVMValueRef a, LLVMValueRef c)
{
    return select_of(g, LLVMBuildFCmp(g->b, p, a, c, ""), a, c);
}

static bool has_range(const Gen *g, LLVMTypeRef type)
{
    return g->target->has_avx512 && LLVMGetTypeKind(type) == LLVMVectorTypeKind &&
           LLVMGetElementType(type) == LLVMFloatTypeInContext(g->context);
}

// x86's minps and maxps give the second operand for NaN and for equal zeros. With both orders:
// minima combine by OR (a NaN wins, -0 wins); maxima by AND (+0 wins), NaN put in after. AVX-512's
// vrangeps tells zeros apart.
static LLVMValueRef float_min_max_x86(Gen *g, LLVMValueRef a, LLVMValueRef c, bool max)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMRealPredicate p = max ? LLVMRealOGT : LLVMRealOLT;
    double known;
    if (gen_const_real_value(a, &known)) {
        LLVMValueRef swap = a;
        a = c;
        c = swap;
    }
    if (gen_const_real_value(c, &known) && (known != 0 || (!max && !__builtin_signbit(known)))) {
        return pick(g, p, c, a);
    }
    if (gen_const_real_value(c, &known) && max && !__builtin_signbit(known)) {
        return LLVMBuildFAdd(g->b, pick(g, p, c, a), c, ""); // -0 + 0 = 0
    }
    if (has_range(g, type)) {
        LLVMValueRef unordered = LLVMBuildFCmp(g->b, LLVMRealUNO, a, c, "");
        LLVMValueRef nan = gen_const_real(type, __builtin_nan(""));
        return LLVMBuildSelect(g->b, unordered, nan, gen_range(g, a, c, max), "");
    }
    LLVMTypeRef word = gen_int_type(g, lltype_bits(type));
    LLVMValueRef x = gen_bitcast(g, pick(g, p, a, c), word);
    LLVMValueRef y = gen_bitcast(g, pick(g, p, c, a), word);
    if (!max) return LLVMBuildBitCast(g->b, LLVMBuildOr(g->b, x, y, ""), type, "");
    LLVMValueRef unordered = LLVMBuildFCmp(g->b, LLVMRealUNO, a, c, "");
    LLVMValueRef both = LLVMBuildAnd(g->b, x, y, "");
    LLVMValueRef ones = LLVMBuildSExt(g->b, unordered, LLVMTypeOf(both), "");
    return LLVMBuildBitCast(g->b, LLVMBuildOr(g->b, both, ones, ""), type, "");
}

static LLVMValueRef min_max(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c)
{
    bool max = op == OP_MAX || op == OP_FMAX;
    if (t == DTYPE_BOOL) return max ? LLVMBuildOr(g->b, a, c, "") : LLVMBuildAnd(g->b, a, c, "");
    if (!dtype_is_float(t)) return gen_intrinsic2(g, max ? "llvm.smax" : "llvm.smin", a, c);
    if (op == OP_FMIN || op == OP_FMAX) {
        LLVMValueRef both = has_range(g, LLVMTypeOf(a))
                                ? gen_range(g, a, c, max)
                                : min_max(g, max ? OP_MAX : OP_MIN, t, a, c);
        LLVMValueRef some = select_of(g, LLVMBuildFCmp(g->b, LLVMRealUNO, c, c, ""), a, both);
        return select_of(g, LLVMBuildFCmp(g->b, LLVMRealUNO, a, a, ""), c, some);
    }
    if (g->target->is_x86 && lanes_of(a)) return float_min_max_x86(g, a, c, max);
    return gen_intrinsic2(g, max ? "llvm.maximum" : "llvm.minimum", a, c);
}

static LLVMValueRef sign_of(Gen *g, DType t, LLVMValueRef a)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    if (dtype_is_float(t)) {
        LLVMValueRef one = gen_intrinsic2(g, "llvm.copysign", gen_const_real(type, 1), a);
        LLVMValueRef moves = LLVMBuildFCmp(g->b, LLVMRealONE, a, gen_const_real(type, 0), "");
        return select_of(g, moves, one, a);
    }
    LLVMValueRef low = gen_intrinsic2(g, "llvm.smax", a, gen_const_int(type, -1));
    return gen_intrinsic2(g, "llvm.smin", low, gen_const_int(type, 1));
}

static LLVMValueRef is_inf(Gen *g, LLVMValueRef a)
{
    LLVMValueRef inf = gen_const_real(LLVMTypeOf(a), __builtin_inf());
    return LLVMBuildFCmp(g->b, LLVMRealOEQ, gen_intrinsic1(g, "llvm.fabs", a), inf, "");
}

// clz and popcount; the result has the operand's dtype.
static LLVMValueRef count_bits(Gen *g, Op op, LLVMValueRef a)
{
    if (op == OP_POPCOUNT) return gen_intrinsic1(g, "llvm.ctpop", a);
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef defined = LLVMConstInt(gen_int_type(g, 1), 0, false);
    return gen_intrinsic(g, "llvm.ctlz", &type, 1, (LLVMValueRef[]){a, defined}, 2);
}

LLVMValueRef gen_unary(Gen *g, Op op, DType t, LLVMValueRef a)
{
    bool real = dtype_is_float(t);
    LLVMTypeRef type = LLVMTypeOf(a);
    bool numeric =
        op == OP_NEG || op == OP_SIGN || op == OP_ABS || op == OP_POPCOUNT || op == OP_CLZ;
    if (t == DTYPE_BOOL && numeric) return NULL;
    if (op == OP_NEG) return real ? LLVMBuildFNeg(g->b, a, "") : LLVMBuildNeg(g->b, a, "");
    if (op == OP_NOT) return LLVMBuildNot(g->b, a, "");
    if (op == OP_SIGN) return sign_of(g, t, a);
    if (op == OP_POPCOUNT || op == OP_CLZ) return count_bits(g, op, a);
    if (op == OP_ISNAN || op == OP_ISINF) {
        if (!real) return LLVMConstNull(lltype_shaped(a, gen_int_type(g, 1)));
        return op == OP_ISINF ? is_inf(g, a) : LLVMBuildFCmp(g->b, LLVMRealUNO, a, a, "");
    }
    if (op == OP_ABS && !real) {
        LLVMValueRef wraps = LLVMConstInt(gen_int_type(g, 1), 0, false);
        return gen_intrinsic(g, "llvm.abs", &type, 1, (LLVMValueRef[]){a, wraps}, 2);
    }
    if (!real) {
        return op == OP_FLOOR || op == OP_CEIL || op == OP_ROUND || op == OP_TRUNC ? a : NULL;
    }
    if (op == OP_ABS) return gen_intrinsic1(g, "llvm.fabs", a);
    if (op == OP_FLOOR) return gen_intrinsic1(g, "llvm.floor", a);
    if (op == OP_CEIL) return gen_intrinsic1(g, "llvm.ceil", a);
    if (op == OP_ROUND) return gen_intrinsic1(g, "llvm.roundeven", a);
    if (op == OP_TRUNC) return gen_intrinsic1(g, "llvm.trunc", a);
    return gen_math(g, op, t, a, NULL);
}

// libm's fmod, for each lane.
static LLVMValueRef call_remainder(Gen *g, DType t, LLVMValueRef a, LLVMValueRef c)
{
    LLVMTypeRef lane = gen_dtype(g, t);
    LLVMTypeRef type = LLVMFunctionType(lane, (LLVMTypeRef[]){lane, lane}, 2, false);
    LLVMValueRef function = gen_import(g, t == DTYPE_F64 ? "fmod" : "fmodf", type);
    unsigned lanes = lanes_of(a);
    if (!lanes) return LLVMBuildCall2(g->b, type, function, (LLVMValueRef[]){a, c}, 2, "");
    LLVMValueRef all = LLVMGetPoison(LLVMTypeOf(a));
    for (unsigned i = 0; i < lanes; i++) {
        LLVMValueRef args[] = {gen_lane(g, a, i), gen_lane(g, c, i)};
        LLVMValueRef one = LLVMBuildCall2(g->b, type, function, args, 2, "");
        all = LLVMBuildInsertElement(g->b, all, one, gen_const_int(gen_int_type(g, 32), i), "");
    }
    return all;
}

// With q = trunc(|a| / |c|), |a| - q |c| is exact in one multiply-add while q is exact, that is,
// has no more bits than a significand: it is a multiple of the last place of c and not larger than
// c. The quotient may have been rounded up to a whole number; then what is left is negative. libm
// does the rest: larger quotients, infinities and NaN.
static LLVMValueRef float_remainder(Gen *g, DType t, LLVMValueRef a, LLVMValueRef c)
{
    LLVMBuilderRef b = g->b;
    LLVMTypeRef type = LLVMTypeOf(a);
    bool fuses = !g->target->is_x86 || g->target->has_avx2;
    if (!lanes_of(a) || !fuses) return call_remainder(g, t, a, c);
    LLVMValueRef x = gen_intrinsic1(g, "llvm.fabs", a), y = gen_intrinsic1(g, "llvm.fabs", c);
    LLVMValueRef q = gen_intrinsic1(g, "llvm.trunc", LLVMBuildFDiv(b, x, y, ""));
    LLVMValueRef left = gen_fma(g, LLVMBuildFNeg(b, q, ""), y, x);
    LLVMValueRef negative = LLVMBuildFCmp(b, LLVMRealOLT, left, gen_const_real(type, 0), "");
    left = select_of(g, negative, LLVMBuildFAdd(b, left, y, ""), left);
    left = gen_intrinsic2(g, "llvm.copysign", left, a);
    double most = t == DTYPE_F64 ? 0x1p53 : 0x1p24;
    LLVMValueRef rare = LLVMBuildOr(
        b, LLVMBuildFCmp(b, LLVMRealUGE, q, gen_const_real(type, most), ""), is_inf(g, c), "");
    Guard guard = gen_guard_rare(g, gen_any(g, rare));
    return select_of(g, rare, gen_guard_end(g, guard, call_remainder(g, t, a, c)), left);
}

// Squares and multiplies, one step for each bit of the largest exponent among the lanes. A negative
// exponent leaves 1 and -1 their powers and makes all else 0.
static LLVMValueRef int_power(Gen *g, LLVMValueRef a, LLVMValueRef c)
{
    LLVMBuilderRef b = g->b;
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef one = gen_const_int(type, 1), zero = gen_const_int(type, 0);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
    LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(g->context, g->function, "power");
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(g->context, g->function, "after");
    LLVMBuildBr(b, body);
    LLVMPositionBuilderAtEnd(b, body);
    LLVMValueRef power = LLVMBuildPhi(b, type, ""), square = LLVMBuildPhi(b, type, ""),
                 left = LLVMBuildPhi(b, type, "");
    LLVMValueRef odd = LLVMBuildICmp(b, LLVMIntNE, LLVMBuildAnd(b, left, one, ""), zero, "");
    LLVMValueRef power2 = select_of(g, odd, LLVMBuildMul(b, power, square, ""), power);
    LLVMValueRef square2 = LLVMBuildMul(b, square, square, ""),
                 left2 = LLVMBuildLShr(b, left, one, "");
    LLVMBuildCondBr(b, gen_any(g, LLVMBuildICmp(b, LLVMIntNE, left2, zero, "")), body, after);
    LLVMBasicBlockRef from[] = {before, body};
    LLVMAddIncoming(power, (LLVMValueRef[]){one, power2}, from, 2);
    LLVMAddIncoming(square, (LLVMValueRef[]){a, square2}, from, 2);
    LLVMAddIncoming(left, (LLVMValueRef[]){c, left2}, from, 2);
    LLVMPositionBuilderAtEnd(b, after);
    LLVMValueRef magnitude = LLVMBuildMul(b, a, a, "");
    LLVMValueRef unit =
        LLVMBuildAnd(b, LLVMBuildICmp(b, LLVMIntEQ, magnitude, one, ""),
                     LLVMBuildICmp(b, LLVMIntSLE, gen_unary(g, OP_ABS, DTYPE_I64, a), one, ""), "");
    LLVMValueRef kept = LLVMBuildOr(b, unit, LLVMBuildICmp(b, LLVMIntSGE, c, zero, ""), "");
    return select_of(g, kept, power2, zero);
}

LLVMValueRef gen_binary(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c)
{
    bool real = dtype_is_float(t);
    LLVMBuilderRef b = g->b;
    if (op == OP_MIN || op == OP_MAX || op == OP_FMIN || op == OP_FMAX) {
        return min_max(g, op, t, a, c);
    }
    if (real) {
        if (op == OP_ADD) return LLVMBuildFAdd(b, a, c, "");
        if (op == OP_SUB) return LLVMBuildFSub(b, a, c, "");
        if (op == OP_MUL) return LLVMBuildFMul(b, a, c, "");
        if (op == OP_DIV) return LLVMBuildFDiv(b, a, c, "");
        if (op == OP_REM) return float_remainder(g, t, a, c);
        return gen_math(g, op, t, a, c);
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
    if (op == OP_DIV || op == OP_REM) return int_divide(g, a, c, op == OP_REM);
    if (op == OP_SHL || op == OP_SHR) return int_shift(g, op, a, c);
    return op == OP_POW ? int_power(g, a, c) : NULL;
}

LLVMValueRef gen_compare(Gen *g, Op op, DType t, LLVMValueRef a, LLVMValueRef c)
{
    if (dtype_is_float(t)) {
        LLVMRealPredicate p = op == OP_EQ   ? LLVMRealOEQ
                              : op == OP_NE ? LLVMRealUNE
                              : op == OP_LT ? LLVMRealOLT
                                            : LLVMRealOLE;
        return LLVMBuildFCmp(g->b, p, a, c, "");
    }
    bool without_sign = t == DTYPE_BOOL;
    LLVMIntPredicate p = op == OP_EQ   ? LLVMIntEQ
                         : op == OP_NE ? LLVMIntNE
                         : op == OP_LT ? (without_sign ? LLVMIntULT : LLVMIntSLT)
                                       : (without_sign ? LLVMIntULE : LLVMIntSLE);
    return LLVMBuildICmp(g->b, p, a, c, "");
}

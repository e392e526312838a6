// Pure instructions as expressions of OpenCL C.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "backends/opencl/emit.h"
#include "ir/eval.h"

Expr ocl_expr_format(Emit *e, uint8_t prec, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Str text = str_vformat(e->arena, format, args);
    va_end(args);
    return (Expr){.text = text, .prec = prec};
}

Str ocl_expr_at(Emit *e, Expr x, uint8_t prec)
{
    if (x.prec >= prec) return x.text;
    return str_format(e->arena, "(%.*s)", STR_ARG(x.text));
}

Expr ocl_expr_call(Emit *e, const char *name, const Expr *args, unsigned count)
{
    Buf buf = {.arena = e->arena};
    buf_printf(&buf, "%s(", name);
    for (unsigned i = 0; i < count; i++) {
        buf_printf(&buf, "%s%.*s", i ? ", " : "", STR_ARG(args[i].text));
    }
    buf_char(&buf, ')');
    return (Expr){.text = buf_view(&buf), .prec = PREC_ATOM};
}

// ---- literals

// Decimal where it is exact and short, hexadecimal else.
static Str float_text(Emit *e, double x, bool is_double)
{
    const char *suffix = is_double ? "" : "f";
    if (isnan(x)) return is_double ? STR("(double)NAN") : STR("NAN");
    if (isinf(x)) {
        if (is_double) return x < 0 ? STR("-(double)INFINITY") : STR("(double)INFINITY");
        return x < 0 ? STR("-INFINITY") : STR("INFINITY");
    }
    if (fabs(x) < 65536 && x * 64 == rint(x * 64)) {
        Str text = str_format(e->arena, "%.6f", x);
        while (text.data[text.length - 1] == '0' && text.data[text.length - 2] != '.') {
            text.length--;
        }
        return str_format(e->arena, "%.*s%s", STR_ARG(text), suffix);
    }
    return str_format(e->arena, "%a%s", x, suffix);
}

static Expr literal(Emit *e, DType t, uint64_t bits)
{
    Expr x = {.prec = PREC_ATOM};
    int64_t n = (int64_t)bits;
    if (t == DTYPE_BOOL) {
        x.text = bits & 1 ? STR("true") : STR("false");
        return x;
    }
    if (dtype_is_float(t) && dtype_info[t].bits < 32) { // storage types are codes
        x.text = str_format(e->arena, "0x%" PRIx64, bits);
        return x;
    }
    if (dtype_is_float(t)) {
        double value = scalar_to_double(t, bits);
        x.text = float_text(e, value, t == DTYPE_F64);
        if (x.text.data[0] == '-' || x.text.data[0] == '(') x.prec = PREC_UNARY;
        return x;
    }
    if (t == DTYPE_I32) n = (int32_t)n;
    if (n < 0) x.prec = PREC_UNARY;
    x.is_literal = true;
    if (t == DTYPE_I32 && n == INT32_MIN) {
        x.text = STR("INT_MIN");
    } else if (n == INT64_MIN) {
        x.text = STR("LONG_MIN");
    } else {
        x.text = str_format(e->arena, "%" PRId64 "%s", n, t == DTYPE_I64 ? "L" : "");
    }
    if (n == INT64_MIN || (t == DTYPE_I32 && n == INT32_MIN)) x.prec = PREC_ATOM;
    return x;
}

Expr ocl_bare(Expr x)
{
    if (!x.is_literal || x.text.length < 2 || x.text.length > 10) return x;
    if (x.text.data[x.text.length - 1] == 'L') x.text.length--;
    return x;
}

// Whether the operand is an int already, or a constant that can be one.
static bool can_be_int(Expr x)
{
    return x.is_int || x.narrow.length || (x.is_literal && ocl_bare(x).text.length < x.text.length);
}

// An operand that can be an int, or intN, as such.
static Expr as_int(Expr x)
{
    if (!x.narrow.length) return ocl_bare(x);
    return (Expr){.text = x.narrow, .prec = PREC_UNARY};
}

static Expr splat(Emit *e, Expr x, Type type)
{
    if (type.lanes <= 1) return x;
    if (type.dtype == DTYPE_BOOL) {
        return ocl_expr_format(e, PREC_UNARY, "(int%u)(-(int)%.*s)", type.lanes,
                               STR_ARG(ocl_expr_at(e, x, PREC_UNARY)));
    }
    if (type.dtype == DTYPE_I64 && x.is_int) {
        Expr all = ocl_expr_format(e, PREC_UNARY, "(int%u)(%.*s)", type.lanes, STR_ARG(x.text));
        all.is_int = true;
        all.lanes = (uint8_t)type.lanes;
        return all;
    }
    Expr all = ocl_expr_format(e, PREC_UNARY, "(%.*s)(%.*s)",
                               STR_ARG(ocl_ctype_register(e->arena, type)), STR_ARG(x.text));
    if (type.dtype == DTYPE_I64 && can_be_int(x))
        all.narrow = str_format(e->arena, "(int%u)(%.*s)", type.lanes, STR_ARG(ocl_bare(x).text));
    return all;
}

Expr ocl_expr_constant(Emit *e, Type type, uint64_t bits)
{
    return splat(e, literal(e, (DType)type.dtype, bits), type);
}

static Expr infix(Emit *e, Expr a, const char *sign, Expr b, uint8_t prec)
{
    bool is_wide = prec == PREC_SUM || prec == PREC_PRODUCT; // beside an int, L makes a long
    Expr x = prec == PREC_SHIFT || b.is_literal || (is_wide && b.is_int) ? a : ocl_bare(a),
         y = a.is_literal || (is_wide && a.is_int) ? b : ocl_bare(b);
    // Only sums and products may stand bare in one another: nobody should have to know the rest by
    // heart.
    uint8_t left = prec == PREC_SUM || prec == PREC_PRODUCT ? prec : PREC_SUM;
    if (prec > PREC_SUM && prec != PREC_PRODUCT) left = PREC_UNARY;
    if (prec == PREC_LOGIC_AND || prec == PREC_LOGIC_OR) left = PREC_ORDER;
    if (prec == PREC_SHIFT || prec == PREC_OR || prec == PREC_XOR || prec == PREC_AND) {
        left = PREC_UNARY;
    }
    uint8_t right = prec == PREC_SUM || prec == PREC_PRODUCT ? (uint8_t)(prec + 1) : left;
    return ocl_expr_format(e, prec, "%.*s %s %.*s", STR_ARG(ocl_expr_at(e, x, left)), sign,
                           STR_ARG(ocl_expr_at(e, y, right)));
}

// ---- integers

bool ocl_is_small(Range r)
{
    const int64_t room = 1 << 16;
    return r.lo >= INT32_MIN + room && r.hi <= INT32_MAX - room;
}

Expr ocl_long(Emit *e, Expr x)
{
    if (!x.is_int) return x;
    if (x.lanes > 1)
        return ocl_expr_format(e, PREC_ATOM, "convert_long%u(%.*s)", x.lanes, STR_ARG(x.text));
    return ocl_expr_format(e, PREC_UNARY, "(long)%.*s", STR_ARG(ocl_expr_at(e, x, PREC_UNARY)));
}

// Integers of 64 bits are computed in 32 where operands and result are proved small: GPUs have no
// others. False: `*result` is not set.
static bool narrow(Emit *e, Expr a, const char *sign, Expr b, uint8_t prec, Type type, Range range,
                   Expr *result)
{
    if (!can_be_int(a) || !can_be_int(b) || (a.is_literal && b.is_literal) ||
        !ocl_is_small(range)) {
        return false;
    }
    a = as_int(a), b = as_int(b);
    a.is_int = b.is_int = false;
    *result = infix(e, a, sign, b, prec);
    result->is_int = true;
    result->lanes = (uint8_t)type.lanes;
    return true;
}

static const char *unsigned_cast(Type type)
{
    return dtype_info[type.dtype].bits == 64 ? "ulong" : "uint";
}

static Str lanes_text(Emit *e, Type type)
{
    return type.lanes > 1 ? str_format(e->arena, "%u", type.lanes) : STR("");
}

// as_int(as_uint(a) + as_uint(b)): wraps.
static Expr wrapped(Emit *e, Expr a, const char *sign, Expr b, Type type)
{
    const char *u = unsigned_cast(type);
    a = ocl_long(e, a), b = ocl_long(e, b);
    Str lanes = lanes_text(e, type), to = ocl_ctype_register(e->arena, type);
    return ocl_expr_format(e, PREC_ATOM, "as_%.*s(as_%s%.*s(%.*s) %s as_%s%.*s(%.*s))", STR_ARG(to),
                           u, STR_ARG(lanes), STR_ARG(a.text), sign, u, STR_ARG(lanes),
                           STR_ARG(b.text));
}

static Range operand_range(const Emit *e, const Inst *in, unsigned k)
{
    return e->facts->ranges[inst_arg(e->f, in, k).i];
}

static Expr arithmetic(Emit *e, const Inst *in, Type type)
{
    const char *sign = in->op == OP_ADD ? "+" : in->op == OP_SUB ? "-" : "*";
    const uint8_t prec = in->op == OP_MUL ? PREC_PRODUCT : PREC_SUM;
    Expr a = ocl_expr_held(e, inst_arg(e->f, in, 0)), b = ocl_expr_held(e, inst_arg(e->f, in, 1));
    Range r;
    Expr x;
    if (dtype_is_float((DType)type.dtype)) return infix(e, a, sign, b, prec);
    bool is_proved = ocl_range_binary((Op)in->op, operand_range(e, in, 0), operand_range(e, in, 1),
                                      dtype_info[type.dtype].bits, &r);
    if (is_proved && narrow(e, a, sign, b, prec, type, r, &x)) return x;
    if (!is_proved && !e->facts->is_offset[inst_result(in, 0).i]) {
        return wrapped(e, a, sign, b, type);
    }
    if (type.lanes > 1) return infix(e, ocl_long(e, a), sign, ocl_long(e, b), prec);
    return infix(e, b.is_int ? ocl_long(e, a) : a, sign, b, prec);
}

enum { WIDE = 8 }; // lanes that only CPUs' vectors have

// Whether whole vectors of a CPU are divided by one number, whose reciprocal is then worth
// computing once. Powers of two are the driver's to multiply by.
static bool divides_by_one(const Emit *e, const Inst *in, Type type)
{
    const Inst *def = value_def(e->f, inst_arg(e->f, in, 1));
    int exponent;
    if (in->op != OP_DIV || type.dtype != DTYPE_F32 || type.lanes < WIDE || !def) return false;
    return def->op == OP_SPLAT ||
           (def->op == OP_CONST &&
            frexp(fabs(scalar_to_double(DTYPE_F32, def->attr.bits)), &exponent) != 0.5);
}

static Expr divide(Emit *e, const Inst *in, Type type)
{
    const bool is_div = in->op == OP_DIV;
    Expr args[2], x;
    for (unsigned k = 0; k < 2; k++) args[k] = ocl_expr_held(e, inst_arg(e->f, in, k));
    if (divides_by_one(e, in, type)) {
        Str by = ocl_helper_need(&e->helpers, HELPER_DIVIDE_BY, type);
        return ocl_expr_call(e, by.data, args, 2);
    }
    if (dtype_is_float((DType)type.dtype)) {
        return is_div ? infix(e, args[0], "/", args[1], PREC_PRODUCT)
                      : ocl_expr_call(e, "fmod", args, 2);
    }
    Range a = operand_range(e, in, 0), b = operand_range(e, in, 1);
    const char *sign = is_div ? "/" : "%";
    if (b.lo > 0 && narrow(e, args[0], sign, args[1], PREC_PRODUCT, type, a, &x)) return x;
    for (unsigned k = 0; k < 2; k++) args[k] = ocl_expr_of(e, inst_arg(e->f, in, k));
    if (b.lo > 0 || b.hi < -1) return infix(e, args[0], sign, args[1], PREC_PRODUCT);
    Str name = ocl_helper_need(&e->helpers, is_div ? HELPER_DIVIDE : HELPER_REMAINDER, type);
    return ocl_expr_call(e, name.data, args, 2);
}

static Expr shift(Emit *e, const Inst *in, Type type)
{
    Expr args[2] = {ocl_expr_of(e, inst_arg(e->f, in, 0)), ocl_expr_of(e, inst_arg(e->f, in, 1))};
    Range b = operand_range(e, in, 1);
    bool is_safe = b.lo >= 0 && b.hi < dtype_info[type.dtype].bits;
    if (is_safe && in->op == OP_SHR) {
        return infix(e, ocl_long(e, args[0]), ">>", args[1], PREC_SHIFT);
    }
    if (is_safe) return wrapped(e, args[0], "<<", args[1], type);
    Str name = ocl_helper_need(&e->helpers,
                               in->op == OP_SHL ? HELPER_SHIFT_LEFT : HELPER_SHIFT_RIGHT, type);
    return ocl_expr_call(e, name.data, args, 2);
}

// ---- comparisons, logic, choice

// Comparisons of vectors of 64-bit elements give long masks; all masks here are int.
static Expr mask_of(Emit *e, Expr x, Type operand)
{
    if (operand.lanes > 1 && dtype_info[operand.dtype].bits == 64) {
        return ocl_expr_format(e, PREC_ATOM, "convert_int%u(%.*s)", operand.lanes, STR_ARG(x.text));
    }
    return x;
}

static Expr compare(Emit *e, const Inst *in)
{
    const char *sign = in->op == OP_EQ   ? "=="
                       : in->op == OP_NE ? "!="
                       : in->op == OP_LT ? "<"
                                         : "<=";
    const uint8_t prec = in->op == OP_EQ || in->op == OP_NE ? PREC_EQUAL : PREC_ORDER;
    Expr a = ocl_expr_held(e, inst_arg(e->f, in, 0)), b = ocl_expr_held(e, inst_arg(e->f, in, 1));
    Type type = value_type(e->f, inst_arg(e->f, in, 0));
    if (type.lanes > 1 && type.dtype == DTYPE_I64) {
        if (can_be_int(a) && can_be_int(b)) return infix(e, as_int(a), sign, as_int(b), prec);
        a = ocl_long(e, a), b = ocl_long(e, b);
    }
    if (type.dtype == DTYPE_BOOL && type.lanes <= 1 && prec == PREC_ORDER) {
        a = ocl_expr_format(e, PREC_UNARY, "(int)%.*s", STR_ARG(ocl_expr_at(e, a, PREC_UNARY)));
        b = ocl_expr_format(e, PREC_UNARY, "(int)%.*s", STR_ARG(ocl_expr_at(e, b, PREC_UNARY)));
    }
    // True is -1 in a mask: false < true is b < a.
    if (type.dtype == DTYPE_BOOL && type.lanes > 1 && prec == PREC_ORDER) {
        Expr t = a;
        a = b;
        b = t;
    }
    return mask_of(e, infix(e, a, sign, b, prec), type);
}

static Expr bitwise(Emit *e, const Inst *in, Type type)
{
    Expr a = ocl_expr_of(e, inst_arg(e->f, in, 0)), b = ocl_expr_of(e, inst_arg(e->f, in, 1));
    if (type.dtype == DTYPE_BOOL && type.lanes <= 1) {
        if (in->op == OP_AND) return infix(e, a, "&&", b, PREC_LOGIC_AND);
        if (in->op == OP_OR) return infix(e, a, "||", b, PREC_LOGIC_OR);
        return infix(e, a, "!=", b, PREC_EQUAL);
    }
    a = ocl_long(e, a), b = ocl_long(e, b);
    if (in->op == OP_AND) return infix(e, a, "&", b, PREC_AND);
    if (in->op == OP_OR) return infix(e, a, "|", b, PREC_OR);
    return infix(e, a, "^", b, PREC_XOR);
}

Expr ocl_expr_choose(Emit *e, Value mask, Expr a, Expr b, Type type)
{
    Expr c = ocl_expr_of(e, mask);
    const unsigned bits = dtype_info[type.dtype].bits;
    const bool is_vector = type.lanes > 1 && value_type(e->f, mask).lanes > 1;
    const bool is_int = can_be_int(a) && can_be_int(b) && (is_vector || (a.is_int && b.is_int));
    if (is_vector && !is_int && type.dtype != DTYPE_BOOL && bits != 32) {
        const char *lane = bits == 64 ? "long" : bits == 16 ? "short" : "char";
        c = ocl_expr_format(e, PREC_ATOM, "convert_%s%u(%.*s)", lane, type.lanes, STR_ARG(c.text));
    }
    a = is_int ? as_int(a) : ocl_long(e, a), b = is_int ? as_int(b) : ocl_long(e, b);
    Expr x = ocl_expr_format(
        e, PREC_SELECT, "%.*s ? %.*s : %.*s", STR_ARG(ocl_expr_at(e, c, PREC_ORDER)),
        STR_ARG(ocl_expr_at(e, a, PREC_ORDER)), STR_ARG(ocl_expr_at(e, b, PREC_ORDER)));
    x.is_int = is_int;
    x.lanes = is_int ? (uint8_t)type.lanes : 0;
    return x;
}

static Expr extreme(Emit *e, Op op, const Expr *args, Type type)
{
    const bool is_min = op == OP_MIN || op == OP_FMIN;
    if (type.dtype == DTYPE_BOOL && type.lanes <= 1) {
        return infix(e, args[0], is_min ? "&&" : "||", args[1],
                     is_min ? PREC_LOGIC_AND : PREC_LOGIC_OR);
    }
    if (type.dtype == DTYPE_BOOL) {
        return infix(e, args[0], is_min ? "&" : "|", args[1], is_min ? PREC_AND : PREC_OR);
    }
    if (!dtype_is_float((DType)type.dtype)) {
        const bool is_int =
            can_be_int(args[0]) && can_be_int(args[1]) && (args[0].is_int || args[1].is_int);
        Expr x = is_int ? as_int(args[0]) : ocl_long(e, args[0]);
        Expr y = is_int ? as_int(args[1]) : ocl_long(e, args[1]);
        x = ocl_expr_call(e, is_min ? "min" : "max", (Expr[]){x, y}, 2);
        x.is_int = is_int;
        x.lanes = is_int ? (uint8_t)type.lanes : 0;
        return x;
    }
    const bool skips_nan = op == OP_FMIN || op == OP_FMAX;
    Helper helper = skips_nan ? (is_min ? HELPER_FMIN : HELPER_FMAX)
                    : is_min  ? HELPER_MIN
                              : HELPER_MAX;
    return ocl_expr_call(e, ocl_helper_need(&e->helpers, helper, type).data, args, 2);
}

// ---- one operand

static Expr negate(Emit *e, Expr a, Type type)
{
    if (dtype_is_float((DType)type.dtype)) {
        return ocl_expr_format(e, PREC_UNARY, "-%.*s", STR_ARG(ocl_expr_at(e, a, PREC_ATOM)));
    }
    return wrapped(e, ocl_expr_constant(e, type, 0), "-", a, type);
}

static Expr invert(Emit *e, Expr a, Type type)
{
    bool is_bool = type.dtype == DTYPE_BOOL && type.lanes <= 1;
    return ocl_expr_format(e, PREC_UNARY, "%s%.*s", is_bool ? "!" : "~",
                           STR_ARG(ocl_expr_at(e, a, PREC_ATOM)));
}

static Expr sign_of(Emit *e, Expr a, Type type)
{
    if (dtype_is_float((DType)type.dtype)) {
        return ocl_expr_call(e, ocl_helper_need(&e->helpers, HELPER_SIGN, type).data, &a, 1);
    }
    Str x = ocl_expr_at(e, a, PREC_SHIFT);
    if (type.lanes > 1) { // true is -1 there
        return ocl_expr_format(e, PREC_SUM, "(%.*s < 0) - (%.*s > 0)", STR_ARG(x), STR_ARG(x));
    }
    if (type.dtype == DTYPE_I64) {
        return ocl_expr_format(e, PREC_UNARY, "(long)((%.*s > 0) - (%.*s < 0))", STR_ARG(x),
                               STR_ARG(x));
    }
    return ocl_expr_format(e, PREC_SUM, "(%.*s > 0) - (%.*s < 0)", STR_ARG(x), STR_ARG(x));
}

static Expr reciprocal(Emit *e, Expr a, Type type)
{
    Expr one = {.text = type.dtype == DTYPE_F64 ? STR("1.0") : STR("1.0f"), .prec = PREC_ATOM};
    return infix(e, one, "/", a, PREC_PRODUCT);
}

static Expr classify(Emit *e, const char *name, Expr a, Type operand)
{
    if (!dtype_is_float((DType)operand.dtype)) {
        return ocl_expr_constant(e, type_vector(DTYPE_BOOL, operand.lanes), 0);
    }
    Expr x = ocl_expr_call(e, name, &a, 1);
    if (operand.lanes <= 1) return ocl_expr_format(e, PREC_EQUAL, "%.*s != 0", STR_ARG(x.text));
    return mask_of(e, x, operand);
}

// The built-in of OpenCL C of the same meaning, NULL if there is none.
static const char *builtin_name(unsigned op)
{
    static const char *const names[OP_COUNT] = {
        [OP_FMA] = "fma",     [OP_FLOOR] = "floor", [OP_CEIL] = "ceil",   [OP_ROUND] = "rint",
        [OP_TRUNC] = "trunc", [OP_SQRT] = "sqrt",   [OP_RSQRT] = "rsqrt", [OP_EXP] = "exp",
        [OP_EXP2] = "exp2",   [OP_EXPM1] = "expm1", [OP_LOG] = "log",     [OP_LOG2] = "log2",
        [OP_LOG10] = "log10", [OP_LOG1P] = "log1p", [OP_ASIN] = "asin",   [OP_ACOS] = "acos",
        [OP_ATAN] = "atan",   [OP_ATAN2] = "atan2", [OP_SINH] = "sinh",   [OP_COSH] = "cosh",
        [OP_TANH] = "tanh",   [OP_ERF] = "erf",     [OP_POW] = "pow"};
    return names[op];
}

// Powers of wide vectors, which are those of CPUs, whose drivers call a library for half a vector.
static Expr power(Emit *e, unsigned op, Expr a, Type type)
{
    const bool own = type.dtype == DTYPE_F32 && type.lanes >= WIDE;
    const Helper helper = op == OP_EXP ? HELPER_EXP : HELPER_EXP2;
    const char *name = own ? ocl_helper_need(&e->helpers, helper, type).data : builtin_name(op);
    return ocl_expr_call(e, name, &a, 1);
}

// A function of each lane. PoCL's sine of a vector is wrong for tiny lanes if another lane is huge.
static Expr each_lane(Emit *e, const char *name, Expr a, Type type)
{
    if (type.lanes <= 1) return ocl_expr_call(e, name, &a, 1);
    Str vector = ocl_atom(e, a, type, "angle");
    Buf buf = {.arena = e->arena};
    buf_printf(&buf, "(%.*s)(", STR_ARG(ocl_ctype_register(e->arena, type)));
    for (unsigned k = 0; k < type.lanes; k++) {
        buf_printf(&buf, "%s%s(%.*s.s%c)", k ? ", " : "", name, STR_ARG(vector),
                   "0123456789abcdef"[k]);
    }
    buf_char(&buf, ')');
    return (Expr){.text = buf_view(&buf), .prec = PREC_UNARY};
}

// The few built-in functions that integers have as well.
static Expr integer_function(Emit *e, const Inst *in, const Expr *args, Type type)
{
    if (in->op == OP_POW) {
        return ocl_expr_call(e, ocl_helper_need(&e->helpers, HELPER_POWER_INT, type).data, args, 2);
    }
    if (in->op == OP_FMA) {
        return wrapped(e, wrapped(e, args[0], "*", args[1], type), "+", args[2], type);
    }
    if (in->op == OP_FLOOR || in->op == OP_CEIL || in->op == OP_ROUND || in->op == OP_TRUNC) {
        return args[0];
    }
    ocl_unsupported(e, in, "of integers");
    return args[0];
}

static Expr absolute(Emit *e, Expr a, Type type)
{
    if (dtype_is_float((DType)type.dtype)) return ocl_expr_call(e, "fabs", &a, 1);
    Str to = ocl_ctype_register(e->arena, type);
    return ocl_expr_format(e, PREC_ATOM, "as_%.*s(abs(%.*s))", STR_ARG(to), STR_ARG(a.text));
}

static Expr erfinv(Emit *e, Expr a, Type type)
{
    Helper helper = type.dtype == DTYPE_F64 ? HELPER_ERFINV_F64 : HELPER_ERFINV_F32;
    return ocl_expr_call(e, ocl_helper_need(&e->helpers, helper, type).data, &a, 1);
}

static Expr bitcast(Emit *e, const Inst *in, Expr a, Type to)
{
    Type from = value_type(e->f, inst_arg(e->f, in, 0));
    if (from.dtype == to.dtype) return a;
    return ocl_expr_format(e, PREC_ATOM, "as_%.*s(%.*s)", STR_ARG(ocl_ctype_register(e->arena, to)),
                           STR_ARG(a.text));
}

// ---- lanes

static Expr iota(Emit *e, Type type)
{
    if (type.lanes <= 1) return ocl_expr_constant(e, type, 0);
    Buf buf = {.arena = e->arena};
    for (unsigned i = 0; i < type.lanes; i++) buf_printf(&buf, "%s%u", i ? ", " : "", i);
    Str lanes = buf_view(&buf);
    Expr x = ocl_expr_format(e, PREC_UNARY, "(%.*s)(%.*s)",
                             STR_ARG(ocl_ctype_register(e->arena, type)), STR_ARG(lanes));
    if (type.dtype == DTYPE_I64)
        x.narrow = str_format(e->arena, "(int%u)(%.*s)", type.lanes, STR_ARG(lanes));
    return x;
}

static Expr extract(Emit *e, const Inst *in, Expr a)
{
    Type type = value_type(e->f, inst_arg(e->f, in, 0));
    if (type.lanes <= 1) return a;
    Expr x = ocl_expr_format(e, PREC_ATOM, "%.*s.s%c", STR_ARG(ocl_expr_at(e, a, PREC_ATOM)),
                             "0123456789abcdef"[in->attr.bits & 15]);
    x.is_int = a.is_int;
    return type.dtype == DTYPE_BOOL ? ocl_expr_format(e, PREC_EQUAL, "%.*s != 0", STR_ARG(x.text))
                                    : x;
}

// Lanes of the operands in another order: zip, unzip and spread.
static Expr pick_lanes(Emit *e, const Inst *in, const Expr *args, Type type)
{
    Str names[2];
    for (unsigned k = 0; k < in->arg_count; k++) names[k] = ocl_atom(e, args[k], type, "lanes");
    Type held = args[0].is_widened ? type_vector(DTYPE_F32, type.lanes) : type;
    Buf buf = {.arena = e->arena};
    buf_printf(&buf, "(%.*s)(", STR_ARG(ocl_ctype_register(e->arena, held)));
    for (unsigned k = 0; k < type.lanes; k++) {
        unsigned bits = (unsigned)in->attr.bits, source = 0, lane = bits / 8 + (k >> bits % 8);
        if (in->op == OP_ZIP) source = k % 2, lane = bits * type.lanes / 2 + k / 2;
        if (in->op == OP_UNZIP) source = 2 * k >= type.lanes, lane = (2 * k + bits) % type.lanes;
        buf_printf(&buf, "%s%.*s.s%c", k ? ", " : "", STR_ARG(names[source]),
                   "0123456789abcdef"[lane]);
    }
    buf_char(&buf, ')');
    return (Expr){.text = buf_view(&buf), .prec = PREC_UNARY, .is_widened = args[0].is_widened};
}

Expr ocl_expr_combine(Emit *e, const Inst *in, ReduceKind kind, Expr a, Expr b, Type type)
{
    Expr args[2] = {a, b};
    const bool is_bool = type.dtype == DTYPE_BOOL && type.lanes <= 1;
    const bool is_float = dtype_is_float((DType)type.dtype);
    switch (kind) {
    case REDUCE_SUM: return is_float ? infix(e, a, "+", b, PREC_SUM) : wrapped(e, a, "+", b, type);
    case REDUCE_PROD:
        return is_float ? infix(e, a, "*", b, PREC_PRODUCT) : wrapped(e, a, "*", b, type);
    case REDUCE_MAX: return extreme(e, OP_MAX, args, type);
    case REDUCE_MIN: return extreme(e, OP_MIN, args, type);
    case REDUCE_ANY:
    case REDUCE_OR: return infix(e, a, is_bool ? "||" : "|", b, is_bool ? PREC_LOGIC_OR : PREC_OR);
    case REDUCE_ALL:
    case REDUCE_AND:
        return infix(e, a, is_bool ? "&&" : "&", b, is_bool ? PREC_LOGIC_AND : PREC_AND);
    case REDUCE_XOR: return infix(e, a, is_bool ? "!=" : "^", b, is_bool ? PREC_EQUAL : PREC_XOR);
    case REDUCE_ARGMAX:
    case REDUCE_ARGMIN:
    case REDUCE_COUNT: break;
    }
    ocl_unsupported(e, in, "by argmax or argmin");
    return a;
}

// Halves are combined, then quarters, ...; each step is a variable.
static Expr vreduce(Emit *e, const Inst *in, Expr a)
{
    Type type = value_type(e->f, inst_arg(e->f, in, 0));
    while (type.lanes > 1) {
        Str whole = ocl_atom(e, a, type, "folded");
        Type half = {.dtype = type.dtype, .lanes = (uint16_t)(type.lanes > 2 ? type.lanes / 2 : 0)};
        Expr lo = ocl_expr_format(e, PREC_ATOM, "%.*s.lo", STR_ARG(whole));
        Expr hi = ocl_expr_format(e, PREC_ATOM, "%.*s.hi", STR_ARG(whole));
        if (type.lanes == 2 && type.dtype == DTYPE_BOOL) {
            lo = ocl_expr_format(e, PREC_EQUAL, "%.*s != 0", STR_ARG(lo.text));
            hi = ocl_expr_format(e, PREC_EQUAL, "%.*s != 0", STR_ARG(hi.text));
        }
        a = ocl_expr_combine(e, in, (ReduceKind)in->attr.kind, lo, hi, half);
        type = half;
    }
    return a;
}

// ---- all

Str ocl_expr_param(const Emit *e, ParamKind kind, Mem mem, uint32_t index)
{
    for (uint32_t i = 0; i < e->kernel->params.count; i++) {
        const Param *p = &e->kernel->params.data[i];
        if (p->kind == kind && p->mem.i == mem.i && p->index == index) return p->name;
    }
    return STR("");
}

Str ocl_expr_first(const Emit *e, Mem mem, bool *is_multiple)
{
    Str any = ocl_expr_param(e, PARAM_FIRST, mem, 0);
    Str multiple = ocl_expr_param(e, PARAM_FIRST, mem, 1);
    *is_multiple = !any.length;
    return any.length ? any : multiple;
}

static Expr extent(Emit *e, const Inst *in)
{
    const Inst *decl = inst_at(e->f, mem_at(e->f, (Mem){in->attr.ref})->decl);
    return ocl_expr_of(e, inst_arg(e->f, decl, (unsigned)in->attr.bits));
}

static Expr leaf(Emit *e, const Inst *in, Type type)
{
    Expr x = {.prec = PREC_ATOM};
    if (in->op == OP_CONST) return ocl_expr_constant(e, type, in->attr.bits);
    if (in->op == OP_EXTENT) return extent(e, in);
    if (in->op == OP_DIM) x.text = ocl_expr_param(e, PARAM_DIM, (Mem){0}, in->attr.ref);
    if (in->op == OP_ARG) x.text = ocl_expr_param(e, PARAM_ARG, (Mem){0}, in->attr.ref);
    if (in->op == OP_STRIDE) {
        x.text = ocl_expr_param(e, PARAM_STRIDE, (Mem){in->attr.ref}, (uint32_t)in->attr.bits);
    }
    return x;
}

// Whether an i64 operand may be an int, which makes the result one, or not, as it is.
static bool takes_ints(Op op)
{
    return op == OP_MIN || op == OP_MAX || op == OP_SELECT || op == OP_SPLAT || op == OP_EXTRACT;
}

Expr ocl_expr_compute(Emit *e, const Inst *in)
{
    const Type type = value_type(e->f, inst_result(in, 0));
    Expr args[3] = {0};
    if (in->op == OP_ARG ||
        in->arg_count == 0) { // an argument's operand is its default, the host's business
        return in->op == OP_IOTA ? iota(e, type) : leaf(e, in, type);
    }
    for (unsigned k = 0; k < in->arg_count && k < 3; k++) {
        args[k] = ocl_expr_held(e, inst_arg(e->f, in, k));
        if (!takes_ints((Op)in->op)) args[k] = ocl_long(e, args[k]);
    }
    const Type operand = value_type(e->f, inst_arg(e->f, in, 0));
    switch (in->op) {
    case OP_ADD:
    case OP_SUB:
    case OP_MUL: return arithmetic(e, in, type);
    case OP_DIV:
    case OP_REM: return divide(e, in, type);
    case OP_SHL:
    case OP_SHR: return shift(e, in, type);
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LE: return compare(e, in);
    case OP_AND:
    case OP_OR:
    case OP_XOR: return bitwise(e, in, type);
    case OP_MIN:
    case OP_MAX:
    case OP_FMIN:
    case OP_FMAX: return extreme(e, (Op)in->op, args, type);
    case OP_SELECT: return ocl_expr_choose(e, inst_arg(e->f, in, 0), args[1], args[2], type);
    case OP_NEG: return negate(e, args[0], type);
    case OP_NOT: return invert(e, args[0], type);
    case OP_ABS: return absolute(e, args[0], type);
    case OP_SIGN: return sign_of(e, args[0], type);
    case OP_RCP: return reciprocal(e, args[0], type);
    case OP_ERFINV: return erfinv(e, args[0], type);
    case OP_EXP:
    case OP_EXP2: return power(e, in->op, args[0], type);
    case OP_SIN: return each_lane(e, "sin", args[0], type);
    case OP_COS: return each_lane(e, "cos", args[0], type);
    case OP_TAN: return each_lane(e, "tan", args[0], type);
    case OP_ISNAN: return classify(e, "isnan", args[0], operand);
    case OP_ISINF: return classify(e, "isinf", args[0], operand);
    case OP_POPCOUNT: return ocl_expr_call(e, "popcount", args, 1);
    case OP_CLZ: return ocl_expr_call(e, "clz", args, 1);
    case OP_CAST: return ocl_expr_cast_inst(e, in);
    case OP_QUANT: return ocl_expr_quantise(e, args[0], type, (DType)in->attr.kind);
    case OP_NEAREST: return ocl_expr_nearest(e, args[0], operand, type, (DType)in->attr.kind);
    case OP_BITCAST: return bitcast(e, in, args[0], type);
    case OP_SPLAT: return splat(e, args[0], type);
    case OP_EXTRACT: return extract(e, in, args[0]);
    case OP_SPREAD:
    case OP_ZIP:
    case OP_UNZIP: return pick_lanes(e, in, args, type);
    case OP_VREDUCE: return vreduce(e, in, args[0]);
    }
    const char *builtin = builtin_name(in->op);
    if (!builtin) {
        ocl_unsupported(e, in, "here");
    } else if (dtype_is_float((DType)type.dtype)) {
        return ocl_expr_call(e, builtin, args, in->arg_count);
    } else {
        return integer_function(e, in, args, type);
    }
    return args[0];
}

// Every elementwise operation and conversion of the CPU backend against ir/eval.h, for scalars and
// several numbers of lanes: specials in all pairs, then random bits. Results must not depend on the
// number of lanes.
#include <math.h>
#include <string.h>

#include "tests/unit/loop_kernel.h"
#include "tests/unit/suite.h"

enum { COUNT = 32 * 129, OPS_MAX = 96 };

static const unsigned lane_counts[] = {0, 1, 2, 3, 4, 8, 16, 32};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t wrap(DType t, uint64_t x)
{
    if (dtype_is_float(t)) return x & (UINT64_MAX >> (64 - dtype_info[t].bits));
    return scalar_from_int(t, (int64_t)x);
}

// ---- values

static const double float_specials[] = {
    0,        1,         -1,    0.5,    -0.5,           1.5,   2.5,   -2.5,  3,
    7,        10,        100,   0.1,    1e-3,           -1e-3, 88,    89,    -88,
    -104,     127,       128.5, 1e10,   -1e10,          3e9,   1e19,  -1e19, 0x1p-126,
    0x1p-149, -0x1p-140, 1e30,  3.4e38, 0x1.fffffep127, 709.5, -710.2};
static const int64_t int_specials[] = {
    0,    1,    -1,    2,     -2,    3,         5,         7,         -7,        10,     31,
    32,   33,   63,    64,    65,    100,       -100,      127,       128,       255,    256,
    -128, -129, 32767, 65535, 65536, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1234567};

static uint64_t special(DType t, unsigned i)
{
    i %= 40;
    if (!dtype_is_float(t)) return wrap(t, (uint64_t)int_specials[i % 32]);
    if (i == 36) return scalar_from_double(t, -0.0);
    if (i == 37) return scalar_from_double(t, INFINITY);
    if (i == 38) return scalar_from_double(t, -INFINITY);
    if (i == 39) return scalar_from_double(t, NAN);
    return scalar_from_double(t, float_specials[i % 34]);
}

// Operand `k` of element i: all pairs of specials, then random numbers of moderate size, then
// random bits.
static uint64_t sample(DType t, unsigned k, unsigned i, uint64_t *state)
{
    if (i < 40 * 40) return special(t, k == 0 ? i % 40 : k == 1 ? i / 40 : i % 39);
    uint64_t bits = next_random(state);
    if (i % 3 == 0) return wrap(t, bits);
    if (dtype_is_float(t))
        return scalar_from_double(t, ((double)(int64_t)bits) * 0x1p-63 * (i % 3 == 1 ? 1.2 : 40));
    return wrap(t, (uint64_t)((int64_t)bits >> (bits & 63)));
}

// ---- memory format

static void put(DType t, void *line, int64_t i, uint64_t bits)
{
    if (dtype_is_float(t) && !dtype_is_arith(t)) { // codes
        unsigned width = dtype_info[t].bits;
        if (width == 4)
            storage_store(DTYPE_U4, line, i, bits);
        else
            memcpy((char *)line + i * (width / 8), &bits, width / 8);
        return;
    }
    storage_store(t, line, i, bits);
}

static uint64_t get(DType t, const void *line, int64_t i)
{
    if (dtype_is_float(t) && !dtype_is_arith(t)) {
        DType code = dtype_info[t].bits == 4   ? DTYPE_U4
                     : dtype_info[t].bits == 8 ? DTYPE_U8
                                               : DTYPE_U16;
        return storage_load(code, line, i);
    }
    return storage_load(t, line, i);
}

// ---- comparing

static bool is_nan(DType t, uint64_t bits)
{
    return dtype_is_float(t) && isnan(scalar_to_double(t, bits));
}

// Distance in units of the last place; specials must match.
static double ulps(DType t, uint64_t got, uint64_t want)
{
    if (is_nan(t, got) || is_nan(t, want)) return is_nan(t, got) && is_nan(t, want) ? 0 : INFINITY;
    if (got == want) return 0;
    if (!dtype_is_float(t)) return INFINITY;
    uint64_t sign = (uint64_t)1 << (dtype_info[t].bits - 1);
    uint64_t a = got & (sign - 1), b = want & (sign - 1);
    if ((got & sign) != (want & sign)) return a + b == 0 ? INFINITY : (double)(a + b);
    return (double)(a > b ? a - b : b - a);
}

static double ulps_allowed(Op op, DType t)
{
    if (!dtype_is_float(t) || op < OP_RCP || op > OP_POW || op == OP_SQRT) return 0;
    return op == OP_ERFINV && t == DTYPE_F64 ? 6 : 2;
}

// ---- one module for all ops of a dtype and a number of lanes

typedef struct OpList {
    OpCase cases[OPS_MAX];
    void *y[OPS_MAX];
    unsigned count;
} OpList;

static void add_case(OpList *list, OpCase c)
{
    ck_assert_uint_lt(list->count, OPS_MAX);
    list->cases[list->count++] = c;
}

static OpList *ops_of(DType t)
{
    OpList *list = calloc(1, sizeof *list);
    for (Op op = OP_ADD; op <= OP_CLZ; op++) {
        uint64_t args[3] = {1, 1, 1}, result;
        unsigned arity = op_info[op].arity;
        if (!eval_op(op, t, t, 0, args, arity, &result)) continue;
        DType to = op_info[op].rule == RULE_BOOL ? DTYPE_BOOL : t;
        if (t == DTYPE_BOOL && (op == OP_FMA || op == OP_DIV || op == OP_REM || op == OP_NEG))
            continue;
        add_case(list, (OpCase){.op = op, .t = t, .to = to, .arity = arity});
    }
    add_case(list, (OpCase){.op = OP_SELECT, .t = t, .to = t, .arity = 3, .first_is_bool = true});
    for (DType k = DTYPE_BOOL; k < DTYPE_COUNT; k++) {
        if (t == DTYPE_BOOL) continue;
        add_case(list, (OpCase){.op = OP_QUANT, .t = t, .to = t, .kind = k, .arity = 1});
        add_case(
            list,
            (OpCase){.op = OP_NEAREST, .t = t, .to = dtype_info[k].arith, .kind = k, .arity = 1});
    }
    return list;
}

typedef struct Inputs {
    uint64_t *bits[4]; // 3: bool
    void *memory[4];
} Inputs;

static Inputs make_inputs(DType t)
{
    Inputs in;
    uint64_t state = 88172645463325252u;
    for (unsigned k = 0; k < 4; k++) {
        DType own = k == 3 ? DTYPE_BOOL : t;
        in.bits[k] = calloc(COUNT, sizeof *in.bits[k]);
        in.memory[k] = calloc(COUNT, 8);
        for (unsigned i = 0; i < COUNT; i++) {
            in.bits[k][i] = k == 3 ? next_random(&state) & 1 : sample(t, k, i, &state);
            put(own, in.memory[k], i, in.bits[k][i]);
        }
    }
    return in;
}

static void free_inputs(Inputs *in)
{
    for (unsigned k = 0; k < 4; k++) {
        free(in->bits[k]);
        free(in->memory[k]);
    }
}

static Compiled *build_ops(const OpList *list, DType t, unsigned lanes)
{
    Builder b;
    Compiled *k = kernel_begin(&b);
    Value n = const_i64(&b, COUNT);
    Mem in[4], out[OPS_MAX];
    for (unsigned i = 0; i < 4; i++)
        in[i] = kernel_mem(&b, "x", i == 3 ? DTYPE_BOOL : t, MEM_IN, n);
    for (unsigned i = 0; i < list->count; i++)
        out[i] = kernel_mem(&b, "y", list->cases[i].to, MEM_OUT, n);
    Region body = b.region;
    for (unsigned i = 0; i < list->count; i++) {
        OpCase c = list->cases[i];
        c.lanes = lanes;
        b.region = body;
        Value u = kernel_phase(&b, n);
        op_unit(&b, c, u, (Mem[]){c.first_is_bool ? in[3] : in[0], in[1], in[2]}, out[i]);
    }
    return k;
}

static void check_case(const OpCase *c, const Inputs *in, const void *y, unsigned lanes,
                       void **first)
{
    uint64_t *want = calloc(COUNT, sizeof *want);
    const uint64_t *args[] = {c->first_is_bool ? in->bits[3] : in->bits[0], in->bits[1],
                              in->bits[2]};
    ck_assert(eval_array(c->op, c->t, c->to, c->kind, args, c->arity, want, COUNT));
    double limit = ulps_allowed(c->op, c->t);
    for (unsigned i = 0; i < COUNT; i++) {
        uint64_t got = get(c->to, y, i), expected = wrap(c->to, want[i]);
        double error = ulps(c->to, got, expected);
        if (!(error <= limit)) {
            ck_abort_msg(
                "%s of %s (kind %s), %u lanes: of %g, %g (%llx, %llx, %llx) got %llx, want %llx",
                op_info[c->op].mnemonic, dtype_info[c->t].name,
                c->kind ? dtype_info[c->kind].name : "-", lanes, scalar_to_double(c->t, args[0][i]),
                scalar_to_double(c->t, args[1][i]), (unsigned long long)args[0][i],
                (unsigned long long)args[1][i], (unsigned long long)args[2][i],
                (unsigned long long)got, (unsigned long long)expected);
        }
        if (*first) {
            uint64_t scalar = get(c->to, *first, i);
            bool same = got == scalar || (is_nan(c->to, got) && is_nan(c->to, scalar));
            if (!same) {
                ck_abort_msg("%s of %s: %u lanes differ from scalar code at %llx",
                             op_info[c->op].mnemonic, dtype_info[c->t].name, lanes,
                             (unsigned long long)args[0][i]);
            }
        }
    }
    free(want);
    if (!*first) {
        *first = malloc(COUNT * 8);
        memcpy(*first, y, COUNT * 8);
    }
}

static void check_ops(DType t)
{
    OpList *list = ops_of(t);
    Inputs in = make_inputs(t);
    void *first[OPS_MAX] = {0}, *mems[OPS_MAX + 5];
    for (unsigned i = 0; i < list->count; i++) list->y[i] = calloc(COUNT, 8);
    for (unsigned k = 0; k < 4; k++) mems[k + 1] = in.memory[k];
    for (unsigned i = 0; i < list->count; i++) mems[i + 5] = list->y[i];
    for (unsigned l = 0; l < sizeof lane_counts / sizeof lane_counts[0]; l++) {
        unsigned lanes = lane_counts[l];
        Compiled *k = build_ops(list, t, lanes);
        kernel_compile(k, NULL);
        Trap trap = {0};
        Frame frame = {.mems = mems, .trap = &trap};
        for (unsigned i = 0; i < list->count; i++) {
            llvm_code_phase(k->code, i)(&frame, 0, COUNT / (lanes ? lanes : 1), NULL);
            check_case(&list->cases[i], &in, list->y[i], lanes, &first[i]);
        }
        kernel_free(k);
    }
    for (unsigned i = 0; i < list->count; i++) {
        free(first[i]);
        free(list->y[i]);
    }
    free_inputs(&in);
    free(list);
}

START_TEST(ops_of_f32)
{
    check_ops(DTYPE_F32);
}
END_TEST
START_TEST(ops_of_f64)
{
    check_ops(DTYPE_F64);
}
END_TEST
START_TEST(ops_of_i32)
{
    check_ops(DTYPE_I32);
}
END_TEST
START_TEST(ops_of_i64)
{
    check_ops(DTYPE_I64);
}
END_TEST
START_TEST(ops_of_bool)
{
    check_ops(DTYPE_BOOL);
}
END_TEST

// ---- conversions between all dtypes

// Codes of `from`; floats that are arithmetic get values around the rounding points of `to`
// instead.
static uint64_t cast_sample(DType from, DType to, unsigned i, uint64_t *state)
{
    if (!dtype_is_arith(from)) return wrap(from, i * (dtype_info[from].bits > 8 ? 21u : 1u));
    if (i < 40 || i % 4 == 0) return sample(from, 0, i, state);
    if (dtype_is_float(to) && !dtype_is_arith(to)) {
        uint32_t code = (uint32_t)next_random(state) & ((1u << (dtype_info[to].bits - 1)) - 1);
        double middle = (storage_decode(to, code) + storage_decode(to, code + 1)) / 2;
        if (i % 4 == 2) middle *= 1 + 0x1p-52;
        if (i % 4 == 3) middle *= 1 - 0x1p-23;
        return scalar_from_double(from, i & 4 ? -middle : middle);
    }
    return dtype_is_float(from)
               ? scalar_from_double(from, ((double)(next_random(state) & 0xfffff) - 0x80000) / 4)
               : wrap(from, next_random(state));
}

static void check_cast(DType from, DType to, const Compiled *k, unsigned phase, unsigned lanes,
                       void **mems)
{
    uint64_t state = 1234567 + from * 100 + to;
    uint64_t *bits = calloc(COUNT, sizeof *bits), want[1];
    void *x = mems[1 + from], *y = mems[1 + DTYPE_COUNT + to];
    memset(y, 0x55, COUNT * 8);
    for (unsigned i = 0; i < COUNT; i++) {
        bits[i] = cast_sample(from, to, i, &state);
        put(from, x, i, bits[i]);
    }
    Trap trap = {0};
    Frame frame = {.mems = mems, .trap = &trap};
    llvm_code_phase(k->code, phase)(&frame, 0, COUNT / (lanes ? lanes : 1), NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        if (!eval_op(OP_CAST, from, to, 0, &bits[i], 1, want)) ck_abort();
        uint64_t got = get(to, y, i), expected = wrap(to, want[0]);
        if (dtype_info[to].bits == 4) expected &= to == DTYPE_F4E2M1 ? 15 : UINT64_MAX;
        if (ulps(to, got, expected) != 0) {
            ck_abort_msg("cast %s to %s, %u lanes: of %g (%llx) got %llx, want %llx",
                         dtype_info[from].name, dtype_info[to].name, lanes,
                         scalar_to_double(from, bits[i]), (unsigned long long)bits[i],
                         (unsigned long long)got, (unsigned long long)expected);
        }
    }
    free(bits);
}

START_TEST(casts)
{
    unsigned lanes = (unsigned[]){0, 3, 8, 32}[_i];
    Builder b;
    Compiled *k = kernel_begin(&b);
    Value n = const_i64(&b, COUNT);
    Mem in[DTYPE_COUNT], out[DTYPE_COUNT];
    void *mems[2 * DTYPE_COUNT + 1] = {0};
    for (unsigned t = 0; t < DTYPE_COUNT; t++)
        in[t] = kernel_mem(&b, "x", t ? (DType)t : DTYPE_I32, MEM_IN, n);
    for (unsigned t = 0; t < DTYPE_COUNT; t++)
        out[t] = kernel_mem(&b, "y", t ? (DType)t : DTYPE_I32, MEM_OUT, n);
    for (unsigned i = 1; i <= 2 * DTYPE_COUNT; i++) mems[i] = calloc(COUNT, 8);
    Region body = b.region;
    for (DType from = DTYPE_BOOL; from < DTYPE_COUNT; from++) {
        for (DType to = DTYPE_BOOL; to < DTYPE_COUNT; to++) {
            b.region = body;
            Value u = kernel_phase(&b, n);
            OpCase c = {.op = OP_CAST, .t = from, .to = to, .arity = 1, .lanes = lanes};
            op_unit(&b, c, u, &in[from], out[to]);
        }
    }
    kernel_compile(k, NULL);
    unsigned phase = 0;
    for (DType from = DTYPE_BOOL; from < DTYPE_COUNT; from++) {
        for (DType to = DTYPE_BOOL; to < DTYPE_COUNT; to++)
            check_cast(from, to, k, phase++, lanes, mems);
    }
    for (unsigned i = 1; i <= 2 * DTYPE_COUNT; i++) free(mems[i]);
    kernel_free(k);
}
END_TEST

START_TEST(bitcasts)
{
    const DType pairs[][2] = {{DTYPE_F32, DTYPE_I32},
                              {DTYPE_I32, DTYPE_F32},
                              {DTYPE_F64, DTYPE_I64},
                              {DTYPE_I64, DTYPE_F64}};
    for (unsigned p = 0; p < 4; p++) {
        OpCase c = {.op = OP_BITCAST, .t = pairs[p][0], .to = pairs[p][1], .arity = 1, .lanes = 4};
        Compiled *k = op_compile(c);
        Inputs in = make_inputs(c.t);
        void *y = calloc(COUNT, 8);
        op_run(k, c, in.memory, y, COUNT);
        ck_assert(memcmp(in.memory[0], y, COUNT * dtype_info[c.t].bits / 8) == 0);
        free(y);
        free_inputs(&in);
        kernel_free(k);
    }
}
END_TEST

// LLVM ends the process where a target cannot do what it is given, so each one is tried with
// everything.
START_TEST(all_targets_take_all_ops)
{
    static const LlvmTarget targets[] = {
        {"x86_64-pc-linux-gnu", "x86-64-v2", NULL},
        {"x86_64-pc-linux-gnu", "x86-64-v4", NULL},
        {"aarch64-linux-gnu", NULL, NULL},
    };
    const unsigned few[] = {3, 16};
    DType t = (DType)(DTYPE_BOOL + _i / 3);
    OpList *list = ops_of(t);
    for (unsigned l = 0; l < 2; l++) {
        Compiled *k = build_ops(list, t, few[l]);
        DiagList diags = {.arena = &k->arena};
        Buf text = {.arena = &k->arena};
        ck_assert(llvm_emit(&text, k->f, &targets[_i % 3], LLVM_FORM_ASM, &diags));
        kernel_free(k);
    }
    free(list);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("ops");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, ops_of_f32);
    tcase_add_test(tests, ops_of_f64);
    tcase_add_test(tests, ops_of_i32);
    tcase_add_test(tests, ops_of_i64);
    tcase_add_test(tests, ops_of_bool);
    tcase_add_loop_test(tests, casts, 0, 4);
    tcase_add_test(tests, bitcasts);
    tcase_add_loop_test(tests, all_targets_take_all_ops, 0, 5 * 3);
    return run_cases("llvm ops", tests);
}

// OpenCL C against the scalar meaning of operations: each case is a kernel of one operation over
// all interesting operands, run on the first OpenCL device. Without a device the tests pass without
// having shown anything.
#include "backends/opencl/opencl_backend.h"
#include "ir/eval.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Case {
    Op op;
    DType from, to; // of the operands and of the result
    DType kind;     // of quant and nearest
    unsigned ulps;  // tolerance, in units of the last place of f32 or f64
} Case;

typedef struct Data {
    uint64_t *operands[3]; // bits as in eval.h
    int64_t count;
} Data;

static const Machine alone = {.group = 1}; // each work-item has units of its own

static bool has_device(void)
{
    char reason[256];
    Arena arena;
    arena_init(&arena, NULL);
    OpenclSystem *system = opencl_system_new(&arena);
    bool has = opencl_devices(system, NULL, 0, reason, sizeof reason) > 0;
    opencl_system_close(system);
    arena_free(&arena);
    return has;
}

static void show(const DiagList *diags)
{
    Buf buf = {.arena = diags->arena};
    diag_render_text(&buf, diags, false);
    if (buf.length) fprintf(stderr, "%s\n", buf.data);
}

// ---- operands

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static const double special_floats[] = {
    0.0, -0.0, 1.0, -1.0, 0.5,  -0.5,  1.5,  2.5,   -2.5,    3.0,  1e-3,     0.999,     448.0, -6.0,
    1e4, 1e9,  3e9, -3e9, 1e19, -1e19, 1e30, -1e30, 65520.0, 1e-7, INFINITY, -INFINITY, NAN};
static const int64_t special_ints[] = {0,
                                       1,
                                       -1,
                                       2,
                                       3,
                                       7,
                                       -8,
                                       15,
                                       31,
                                       32,
                                       63,
                                       64,
                                       100,
                                       -100,
                                       127,
                                       128,
                                       255,
                                       256,
                                       -129,
                                       32767,
                                       65536,
                                       INT32_MAX,
                                       INT32_MIN,
                                       INT32_MIN + 1,
                                       (int64_t)UINT32_MAX,
                                       INT64_MAX,
                                       INT64_MIN,
                                       INT64_MIN + 1,
                                       ((int64_t)1 << 53) + 1,
                                       -12345678901};

static uint64_t special(DType t, size_t i, bool *done)
{
    if (dtype_is_float(t)) {
        *done = i >= sizeof special_floats / sizeof *special_floats;
        return *done ? 0 : scalar_from_double(t, special_floats[i]);
    }
    *done = i >= (t == DTYPE_BOOL ? 2 : sizeof special_ints / sizeof *special_ints);
    return *done ? 0 : t == DTYPE_BOOL ? i : scalar_from_int(t, special_ints[i]);
}

static uint64_t random_value(DType t)
{
    uint64_t bits = random_bits();
    if (t == DTYPE_BOOL) return bits & 1;
    if (t == DTYPE_F32) {
        return bits & 1 ? bits >> 32
                        : scalar_from_double(t, (double)(int32_t)(bits >> 32) * 0x1p-27);
    }
    if (t == DTYPE_F64) {
        return bits & 1 ? random_bits() : scalar_from_double(t, (double)(int64_t)bits * 0x1p-59);
    }
    return scalar_from_int(t, (int64_t)(bits >> (bits & 31)));
}

// All pairs of special values, then random ones; a multiple of 16.
static Data make_data(Arena *arena, DType t)
{
    enum { COUNT = 2048 };
    Data data = {.count = COUNT};
    for (int k = 0; k < 3; k++) data.operands[k] = arena_array(arena, uint64_t, COUNT);
    int64_t n = 0;
    bool done = false;
    for (size_t i = 0; !done; i++) {
        uint64_t a = special(t, i, &done);
        bool inner = done;
        for (size_t j = 0; !inner && n < COUNT; j++) {
            uint64_t b = special(t, j, &inner);
            if (inner) break;
            data.operands[0][n] = a;
            data.operands[1][n] = b;
            data.operands[2][n++] = random_value(t);
        }
    }
    for (; n < COUNT; n++) {
        for (int k = 0; k < 3; k++) data.operands[k][n] = random_value(t);
    }
    return data;
}

// ---- one kernel for a list of cases with the same operands

static Mem add_mem(Func *f, const char *name, DType dtype, MemKind kind)
{
    return func_mem(f, (MemInfo){.name = str_of(name), .dtype = dtype, .kind = kind, .rank = 1});
}

static Value load(Builder *b, Mem m, Value offset, DType dtype, unsigned lanes)
{
    Type type = lanes ? type_vector(dtype, lanes) : type_scalar(dtype);
    InstId id = build_inst(b, OP_LOAD,
                           (BuildSpec){.args = &offset,
                                       .arg_count = 1,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.ref = m.i}});
    return inst_result(inst_at(b->f, id), 0);
}

static void build_case(Builder *b, const Case *c, const Value *operands, Mem out, Value offset,
                       unsigned lanes)
{
    Type type = lanes ? type_vector(c->to, lanes) : type_scalar(c->to);
    Value args[3] = {operands[0], operands[1], operands[2]};
    unsigned count = op_info[c->op].arity;
    if (c->op == OP_SELECT) { // of the two others by a comparison
        args[0] = build_op2(b, OP_EQ, operands[0], operands[1]);
        args[2] = operands[2];
    }
    if (c->op == OP_DIV && lanes >= 8) { // a row by one number
        const Type types[] = {type_scalar(c->from), type_vector(c->from, lanes)};
        for (int k = 0; k < 2; k++) {
            InstId part = build_inst(
                b, k ? OP_SPLAT : OP_EXTRACT,
                (BuildSpec){
                    .args = &args[1], .arg_count = 1, .results = &types[k], .result_count = 1});
            args[1] = inst_result(inst_at(b->f, part), 0);
        }
    }
    InstId id = build_inst(b, c->op,
                           (BuildSpec){.args = args,
                                       .arg_count = count,
                                       .results = &type,
                                       .result_count = 1,
                                       .attr = {.kind = c->kind}});
    Value stored[2] = {inst_result(inst_at(b->f, id), 0), offset};
    build_inst(b, OP_STORE, (BuildSpec){.args = stored, .arg_count = 2, .attr = {.ref = out.i}});
}

static Func *build_kernel(Arena *arena, const Case *cases, unsigned count, int64_t elements,
                          unsigned lanes)
{
    Func *f = func_new(arena, LEVEL_LOOP, STR("cases"));
    Builder b = {.f = f, .region = f->body};
    Mem in[3] = {add_mem(f, "a", cases[0].from, MEM_IN), add_mem(f, "b", cases[0].from, MEM_IN),
                 add_mem(f, "exp", cases[0].from, MEM_IN)};
    int64_t step = lanes ? lanes : 1;
    Value units = build_i64(&b, elements / step);
    Region body = func_region(f);
    Value unit = region_add_arg(f, body, type_scalar(DTYPE_I64));
    build_inst(&b, OP_PHASE,
               (BuildSpec){.args = &units,
                           .arg_count = 1,
                           .regions = &body,
                           .region_count = 1,
                           .attr = {.kind = LOOP_GRID}});
    b.region = body;
    Value offset = build_op2(&b, OP_MUL, unit, build_i64(&b, step)), operands[3];
    for (int k = 0; k < 3; k++) operands[k] = load(&b, in[k], offset, cases[0].from, lanes);
    for (unsigned i = 0; i < count; i++) {
        Mem out = add_mem(f, str_format(arena, "y%u", i).data, cases[i].to, MEM_OUT);
        build_case(&b, &cases[i], operands, out, offset, lanes);
    }
    return f;
}

// Bits as storage_load and storage_store take them, codes for storage types.
static void *pack(Arena *arena, DType t, const uint64_t *bits, int64_t count)
{
    unsigned char *line = arena_alloc(arena, (size_t)dtype_bytes(t, count) + 16);
    unsigned width = dtype_info[t].bits;
    for (int64_t i = 0; i < count; i++) {
        if (width == 4) {
            line[i >> 1] = (unsigned char)(line[i >> 1] | (bits[i] & 15) << ((i & 1) * 4));
        } else {
            memcpy(line + i * (width / 8), &bits[i], width / 8);
        }
    }
    return line;
}

static uint64_t unpack(DType t, const void *line, int64_t i)
{
    const unsigned char *bytes = line;
    unsigned width = dtype_info[t].bits;
    uint64_t code = 0;
    if (width == 4) {
        code = (bytes[i >> 1] >> ((i & 1) * 4)) & 15u;
    } else {
        memcpy(&code, bytes + i * (width / 8), width / 8);
    }
    return dtype_is_float(t) ? code : t == DTYPE_BOOL ? code : scalar_from_int(t, (int64_t)code);
}

static bool is_close(const Case *c, uint64_t want, uint64_t got)
{
    if (!dtype_is_float(c->to)) return want == got;
    double x = dtype_is_arith(c->to) ? scalar_to_double(c->to, want)
                                     : storage_decode(c->to, (uint32_t)want);
    double y =
        dtype_is_arith(c->to) ? scalar_to_double(c->to, got) : storage_decode(c->to, (uint32_t)got);
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
    if (want == got) return true;
    if (!c->ulps || isinf(x) || isinf(y)) return false;
    double unit = c->to == DTYPE_F64 ? 0x1p-52 : 0x1p-23;
    double least = c->to == DTYPE_F64 ? 0x1p-1022 : 0x1p-126;
    return fabs(x - y) <= c->ulps * unit * fmax(fabs(x), least);
}

static void expect_case(const Case *c, const Data *data, const void *line)
{
    int wrong = 0;
    for (int64_t i = 0; i < data->count && wrong < 4; i++) {
        uint64_t args[3] = {data->operands[0][i], data->operands[1][i], data->operands[2][i]},
                 want = 0;
        DType t = c->from;
        if (c->op == OP_SELECT) {
            eval_op(OP_EQ, t, DTYPE_BOOL, 0,
                    data->operands[0] ? (uint64_t[]){args[0], args[1]} : args, 2, &args[0]);
        }
        ck_assert(eval_op(c->op, t, c->to, c->kind, args, op_info[c->op].arity, &want));
        uint64_t got = unpack(c->to, line, i);
        if (is_close(c, want, got)) continue;
        wrong++;
        fprintf(stderr, "%s %s -> %s (%s): of %llx, %llx, %llx expected %llx, got %llx\n",
                op_info[c->op].mnemonic, dtype_info[c->from].name, dtype_info[c->to].name,
                dtype_info[c->kind].name ? dtype_info[c->kind].name : "",
                (unsigned long long)data->operands[0][i], (unsigned long long)data->operands[1][i],
                (unsigned long long)data->operands[2][i], (unsigned long long)want,
                (unsigned long long)got);
    }
    ck_assert_msg(!wrong, "%s differs", op_info[c->op].mnemonic);
}

static void run_cases(const Case *cases, unsigned count, Data (*make)(Arena *, DType),
                      unsigned lanes)
{
    if (!has_device()) return;
    Arena arena;
    arena_init(&arena, NULL);
    DiagList diags = {.arena = &arena};
    Data data = make(&arena, cases[0].from);
    Func *f = build_kernel(&arena, cases, count, data.count, lanes);
    void **mems = arena_array(&arena, void *, count + 4);
    int64_t *bytes = arena_array(&arena, int64_t, count + 4),
            *front = arena_array(&arena, int64_t, count + 4);
    for (unsigned i = 1; i < count + 4; i++) {
        bytes[i] = dtype_bytes(mem_at(f, (Mem){i})->dtype, data.count);
        mems[i] = i < 4 ? pack(&arena, cases[0].from, data.operands[i - 1], data.count)
                        : arena_alloc(&arena, (size_t)bytes[i] + 16);
    }
    Trap trap = {0};
    uint32_t number;
    Frame frame = {.mems = mems};
    OpenclLaunch launch = {.loop = f, .frame = &frame, .bytes = bytes, .front = front};
    OpenclSystem *system = opencl_system_new(&arena);
    OpenclCode *code = opencl_compile(system, 0, f, &alone, NULL, NULL, &diags);
    show(&diags);
    ck_assert_ptr_nonnull(code);
    OpenclStream *stream = opencl_stream_open(&arena, system, 0, NULL, &diags);
    bool ok = stream && opencl_run(stream, code, &launch, &diags) &&
              opencl_stream_wait(stream, &trap, &number, &diags);
    show(&diags);
    ck_assert(ok);
    for (unsigned i = 0; i < count; i++) expect_case(&cases[i], &data, mems[i + 4]);
    opencl_code_free(code);
    opencl_stream_close(stream);
    opencl_system_close(system);
    arena_free(&arena);
}

static void run_lanes(const Case *cases, unsigned count, Data (*make)(Arena *, DType))
{
    run_cases(cases, count, make, 0);
    run_cases(cases, count, make, 4);
}

// ---- the cases

#define SAME(op, t, ulps)                                                                          \
    {                                                                                              \
        OP_##op, DTYPE_##t, DTYPE_##t, DTYPE_NONE, ulps                                            \
    }
#define TEST_OF(op, t)                                                                             \
    {                                                                                              \
        OP_##op, DTYPE_##t, DTYPE_BOOL, DTYPE_NONE, 0                                              \
    }
#define ARITHMETIC(t)                                                                              \
    SAME(ADD, t, 0), SAME(SUB, t, 0), SAME(MUL, t, 0), SAME(DIV, t, 0), SAME(REM, t, 0),           \
        SAME(NEG, t, 0), SAME(FMA, t, 0), SAME(MIN, t, 0), SAME(MAX, t, 0), SAME(ABS, t, 0),       \
        SAME(SIGN, t, 0), SAME(SELECT, t, 0), TEST_OF(EQ, t), TEST_OF(NE, t), TEST_OF(LT, t),      \
        TEST_OF(LE, t), TEST_OF(ISNAN, t), TEST_OF(ISINF, t)
#define FUNCTIONS(t, n)                                                                            \
    SAME(FLOOR, t, 0), SAME(CEIL, t, 0), SAME(ROUND, t, 0), SAME(TRUNC, t, 0), SAME(RCP, t, 0),    \
        SAME(SQRT, t, 0), SAME(RSQRT, t, n), SAME(EXP, t, n), SAME(EXP2, t, n), SAME(EXPM1, t, n), \
        SAME(LOG, t, n), SAME(LOG2, t, n), SAME(LOG10, t, n), SAME(LOG1P, t, n), SAME(SIN, t, n),  \
        SAME(COS, t, n), SAME(TAN, t, n), SAME(ASIN, t, n), SAME(ACOS, t, n), SAME(ATAN, t, n),    \
        SAME(ATAN2, t, n), SAME(SINH, t, n), SAME(COSH, t, n), SAME(TANH, t, n), SAME(ERF, t, 16), \
        SAME(ERFINV, t, 32), SAME(POW, t, 16)
#define INTEGERS(t)                                                                                \
    SAME(AND, t, 0), SAME(OR, t, 0), SAME(XOR, t, 0), SAME(NOT, t, 0), SAME(SHL, t, 0),            \
        SAME(SHR, t, 0), SAME(POPCOUNT, t, 0), SAME(CLZ, t, 0), SAME(POW, t, 0)
#define TO(f, t)                                                                                   \
    {                                                                                              \
        OP_CAST, DTYPE_##f, DTYPE_##t, DTYPE_NONE, 0                                               \
    }
#define CASTS(f)                                                                                   \
    TO(f, BOOL), TO(f, I32), TO(f, I64), TO(f, F32), TO(f, F16), TO(f, BF16), TO(f, F8E4M3),       \
        TO(f, F8E5M2), TO(f, F4E2M1), TO(f, I8), TO(f, U8), TO(f, I16), TO(f, U16), TO(f, U32),    \
        TO(f, I4), TO(f, U4)
#define KIND(op, f, t, k)                                                                          \
    {                                                                                              \
        OP_##op, DTYPE_##f, DTYPE_##t, DTYPE_##k, 0                                                \
    }
#define QUANTS(f)                                                                                  \
    KIND(QUANT, f, f, F16), KIND(QUANT, f, f, BF16), KIND(QUANT, f, f, F8E4M3),                    \
        KIND(QUANT, f, f, F8E5M2), KIND(QUANT, f, f, F4E2M1)
#define NEARESTS(f)                                                                                \
    KIND(NEAREST, f, F32, F16), KIND(NEAREST, f, F32, BF16), KIND(NEAREST, f, F32, F8E4M3),        \
        KIND(NEAREST, f, F32, F8E5M2), KIND(NEAREST, f, F32, F4E2M1), KIND(NEAREST, f, I32, I8),   \
        KIND(NEAREST, f, I32, U8), KIND(NEAREST, f, I32, I16), KIND(NEAREST, f, I32, U16),         \
        KIND(NEAREST, f, I32, I4), KIND(NEAREST, f, I32, U4), KIND(NEAREST, f, I32, I32),          \
        KIND(NEAREST, f, I64, U32), KIND(NEAREST, f, I64, I64)
#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

START_TEST(test_f32)
{
    static const Case cases[] = {ARITHMETIC(F32),
                                 SAME(FMIN, F32, 0),
                                 SAME(FMAX, F32, 0),
                                 {OP_BITCAST, DTYPE_F32, DTYPE_I32, DTYPE_NONE, 0}};
    run_lanes(cases, COUNT_OF(cases), make_data);
}
END_TEST

START_TEST(test_f32_functions)
{
    static const Case cases[] = {FUNCTIONS(F32, 5)};
    run_lanes(cases, COUNT_OF(cases), make_data);
}
END_TEST

START_TEST(test_f64)
{
    static const Case cases[] = {ARITHMETIC(F64),
                                 {OP_BITCAST, DTYPE_F64, DTYPE_I64, DTYPE_NONE, 0}};
    run_lanes(cases, COUNT_OF(cases), make_data);
}
END_TEST

START_TEST(test_f64_functions)
{
    static const Case cases[] = {FUNCTIONS(F64, 5)};
    run_lanes(cases, COUNT_OF(cases), make_data);
}
END_TEST

START_TEST(test_i32)
{
    static const Case cases[] = {ARITHMETIC(I32), INTEGERS(I32)};
    run_lanes(cases, COUNT_OF(cases), make_data);
}
END_TEST

START_TEST(test_i64)
{
    static const Case cases[] = {ARITHMETIC(I64), INTEGERS(I64)};
    run_lanes(cases, COUNT_OF(cases), make_data);
}
END_TEST

START_TEST(test_bool)
{
    static const Case cases[] = {SAME(AND, BOOL, 0),    SAME(OR, BOOL, 0),  SAME(XOR, BOOL, 0),
                                 SAME(NOT, BOOL, 0),    SAME(MIN, BOOL, 0), SAME(MAX, BOOL, 0),
                                 SAME(SELECT, BOOL, 0), TEST_OF(EQ, BOOL),  TEST_OF(NE, BOOL),
                                 TEST_OF(LT, BOOL),     TEST_OF(LE, BOOL)};
    run_lanes(cases, COUNT_OF(cases), make_data);
}
END_TEST

// Wide vectors have powers of our own, with the errors that docs/math.md states for the CPU.
START_TEST(test_wide)
{
    static const Case cases[] = {SAME(EXP, F32, 2), SAME(EXP2, F32, 2), SAME(MIN, F32, 0),
                                 SAME(MAX, F32, 0)};
    run_cases(cases, COUNT_OF(cases), make_data, 8);
    run_cases(cases, COUNT_OF(cases), make_data, 16);
}
END_TEST

// Rows of 16 with one divisor: of moderate numbers, of such and others, by a moderate one or not.
static Data make_rows(Arena *arena, DType t)
{
    enum { ROW = 16 };
    Data data = make_data(arena, t);
    for (int64_t i = 0; i < data.count; i++) {
        uint64_t moderate = scalar_from_double(t, (double)(int32_t)random_bits() * 0x1p-27);
        if (i / ROW % 2) data.operands[0][i] = moderate;
        if (i / ROW % 4 == 1) data.operands[1][i] = moderate;
        data.operands[1][i] = data.operands[1][i - i % ROW];
    }
    return data;
}

START_TEST(test_divided_rows)
{
    static const Case cases[] = {SAME(DIV, F32, 0)};
    run_cases(cases, COUNT_OF(cases), make_rows, 8);
    run_cases(cases, COUNT_OF(cases), make_rows, 16);
}
END_TEST

START_TEST(test_casts)
{
    static const Case f32[] = {CASTS(F32), TO(F32, F64), QUANTS(F32), NEARESTS(F32)};
    static const Case f64[] = {CASTS(F64), QUANTS(F64), NEARESTS(F64),
                               KIND(NEAREST, F64, F32, F32)};
    static const Case i32[] = {CASTS(I32), TO(I32, F64), NEARESTS(I32)};
    static const Case i64[] = {CASTS(I64), TO(I64, F64), NEARESTS(I64)};
    static const Case boolean[] = {CASTS(BOOL), TO(BOOL, F64)};
    run_lanes(f32, COUNT_OF(f32), make_data);
    run_lanes(f64, COUNT_OF(f64), make_data);
    run_lanes(i32, COUNT_OF(i32), make_data);
    run_lanes(i64, COUNT_OF(i64), make_data);
    run_lanes(boolean, COUNT_OF(boolean), make_data);
}
END_TEST

// Every code of a storage type.
static Data make_codes(Arena *arena, DType t)
{
    unsigned width = dtype_info[t].bits > 16 ? 16 : dtype_info[t].bits;
    Data data = {.count = width < 8 ? 256 : (int64_t)1 << width};
    for (int k = 0; k < 3; k++) {
        data.operands[k] = arena_array(arena, uint64_t, data.count);
        for (int64_t i = 0; i < data.count; i++) {
            data.operands[k][i] = (uint64_t)i & ((1u << width) - 1);
            if (dtype_info[t].bits > 16) data.operands[k][i] *= 0x10001;
            if (!dtype_is_float(t)) {
                data.operands[k][i] = scalar_from_int(t, (int64_t)data.operands[k][i]);
            }
        }
    }
    return data;
}

START_TEST(test_storage)
{
    static const Case cases[][2] = {
        {TO(F16, F32), TO(F16, F64)},       {TO(BF16, F32), TO(BF16, I32)},
        {TO(F8E4M3, F32), TO(F8E4M3, F64)}, {TO(F8E5M2, F32), TO(F8E5M2, BF16)},
        {TO(F4E2M1, F32), TO(F4E2M1, F16)}, {TO(I8, I32), TO(I8, F32)},
        {TO(U8, I32), TO(U8, I64)},         {TO(I16, I32), TO(I16, F32)},
        {TO(U16, I32), TO(U16, I8)},        {TO(U32, I64), TO(U32, F32)},
        {TO(I4, I32), TO(I4, F32)},         {TO(U4, I32), TO(U4, I4)}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) run_lanes(cases[i], 2, make_codes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("opencl");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300);
    tcase_add_test(all, test_f32);
    tcase_add_test(all, test_f32_functions);
    tcase_add_test(all, test_f64);
    tcase_add_test(all, test_f64_functions);
    tcase_add_test(all, test_i32);
    tcase_add_test(all, test_i64);
    tcase_add_test(all, test_bool);
    tcase_add_test(all, test_wide);
    tcase_add_test(all, test_divided_rows);
    tcase_add_test(all, test_casts);
    tcase_add_test(all, test_storage);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

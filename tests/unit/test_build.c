// Builders: typing, folding, splats; and changing what is there.
#include "ir/eval.h"
#include "tests/unit/suite.h"

static Arena arena;
static Func *f;
static Builder b;

static void begin(uint8_t level)
{
    arena_init(&arena, NULL);
    f = func_new(&arena, level, STR("f"));
    b = (Builder){.f = f, .region = f->body};
}

static void end(void)
{
    arena_free(&arena);
}

// A value that no folding knows.
static Value opaque(Type type)
{
    InstId id = build_inst(&b, OP_DIM, (BuildSpec){.results = &type, .result_count = 1});
    return inst_result(inst_at(f, id), 0);
}

static Value i64(int64_t x)
{
    return build_i64(&b, x);
}

static void is_int(Value v, int64_t x)
{
    int64_t have;
    ck_assert(value_const_int(f, v, &have));
    ck_assert_int_eq(have, x);
}

START_TEST(constants_fold)
{
    begin(LEVEL_TILE);
    is_int(build_op2(&b, OP_ADD, i64(40), i64(2)), 42);
    is_int(build_op2(&b, OP_LT, i64(1), i64(2)), 1);
    is_int(build_op3(&b, OP_SELECT, build_op2(&b, OP_EQ, i64(1), i64(2)), i64(5), i64(6)), 6);
    is_int(build_cast(&b, build_float(&b, DTYPE_F32, -2.5), DTYPE_I32), -2);
    Value root = build_op1(&b, OP_SQRT, build_float(&b, DTYPE_F32, 4));
    uint64_t bits;
    ck_assert(value_const(f, root, &bits) && scalar_to_double(DTYPE_F32, bits) == 2);
    end();
}
END_TEST

START_TEST(identities_fold)
{
    begin(LEVEL_TILE);
    Value x = opaque(type_scalar(DTYPE_I64)), y = opaque(type_scalar(DTYPE_F32)),
          c = opaque(type_scalar(DTYPE_BOOL));
    ck_assert_uint_eq(build_op2(&b, OP_ADD, i64(0), x).i, x.i);
    ck_assert_uint_eq(build_op2(&b, OP_MUL, x, i64(1)).i, x.i);
    is_int(build_op2(&b, OP_MUL, x, i64(0)), 0);
    is_int(build_op2(&b, OP_SUB, x, x), 0);
    ck_assert_uint_eq(build_op2(&b, OP_DIV, x, i64(1)).i, x.i);
    ck_assert_uint_eq(build_op3(&b, OP_SELECT, c, x, x).i, x.i);
    ck_assert_uint_eq(build_op1(&b, OP_NOT, build_op1(&b, OP_NOT, c)).i, c.i);
    ck_assert_uint_eq(build_op2(&b, OP_MUL, y, build_float(&b, DTYPE_F32, 1)).i, y.i);
    ck_assert_uint_eq(build_cast(&b, build_cast(&b, y, DTYPE_F64), DTYPE_F32).i, y.i);
    // -0 + 0 is 0, and NaN * 0 is NaN: no identities of floats.
    ck_assert_uint_ne(build_op2(&b, OP_ADD, y, build_float(&b, DTYPE_F32, 0)).i, y.i);
    uint64_t bits;
    ck_assert(!value_const(f, build_op2(&b, OP_MUL, y, build_float(&b, DTYPE_F32, 0)), &bits));
    // A narrowing cast and back is not the identity.
    ck_assert_uint_ne(build_cast(&b, build_cast(&b, x, DTYPE_I32), DTYPE_I64).i, x.i);
    end();
}
END_TEST

START_TEST(sums_of_constants_join)
{
    begin(LEVEL_TILE);
    Value x = opaque(type_scalar(DTYPE_I64));
    Value sum = build_op2(&b, OP_ADD, build_op2(&b, OP_ADD, x, i64(3)), i64(4));
    const Inst *in = value_def(f, sum);
    ck_assert_uint_eq(inst_arg(f, in, 0).i, x.i);
    is_int(inst_arg(f, in, 1), 7);
    ck_assert_uint_eq(build_op2(&b, OP_ADD, sum, i64(-7)).i, x.i);
    end();
}
END_TEST

START_TEST(axes_unite_and_stay)
{
    begin(LEVEL_TILE);
    Value m = build_index(&b, func_axis(f, STR("m"), AXIS_GRID)),
          n = build_index(&b, func_axis(f, STR("n"), AXIS_WHOLE));
    ck_assert_uint_eq(value_axes(f, build_op2(&b, OP_ADD, m, n)),
                      value_axes(f, m) | value_axes(f, n));
    // m * 0 keeps its axis, so that no user of it needs another type.
    ck_assert_uint_eq(value_axes(f, build_op2(&b, OP_MUL, m, i64(0))), value_axes(f, m));
    ck_assert_uint_eq(value_dtype(f, build_op2(&b, OP_LT, m, n)), DTYPE_BOOL);
    end();
}
END_TEST

START_TEST(names_become_unique)
{
    begin(LEVEL_TILE);
    func_axis(f, STR("m"), AXIS_GRID);
    ck_assert_str_eq(axis_at(f, func_axis(f, STR("m"), AXIS_GRID))->name.data, "m_2");
    ck_assert_str_eq(axis_at(f, func_axis(f, STR("m"), AXIS_GRID))->name.data, "m_3");
    for (unsigned i = 3; i < 63; i++) ck_assert_uint_ne(func_axis(f, STR("a"), AXIS_LOOP).i, 0);
    ck_assert_uint_eq(func_axis(f, STR("a"), AXIS_LOOP).i, 0);
    end();
}
END_TEST

START_TEST(scalars_meeting_vectors_are_splat)
{
    begin(LEVEL_LOOP);
    Value v = opaque(type_vector(DTYPE_I64, 8)), x = opaque(type_scalar(DTYPE_I64));
    Value sum = build_op2(&b, OP_ADD, v, x);
    ck_assert(type_equal(value_type(f, sum), type_vector(DTYPE_I64, 8)));
    ck_assert_uint_eq(value_def(f, inst_arg(f, value_def(f, sum), 1))->op, OP_SPLAT);
    Value scaled = build_op2(&b, OP_MUL, i64(3), v);
    Value constant = inst_arg(f, value_def(f, scaled), 1);
    is_int(constant, 3);
    ck_assert_uint_eq(value_type(f, constant).lanes, 8);
    end();
}
END_TEST

START_TEST(instructions_move_and_go)
{
    begin(LEVEL_TILE);
    Value x = i64(1), y = i64(2), z = opaque(type_scalar(DTYPE_I64));
    Value sum = build_op2(&b, OP_ADD, z, x);
    InstId first = value_at(f, x)->def, second = value_at(f, y)->def, last = value_at(f, sum)->def;
    func_replace_uses(f, x, y);
    ck_assert_uint_eq(inst_arg(f, inst_at(f, last), 1).i, y.i);
    inst_unlink(f, first);
    ck_assert(inst_at(f, first)->flags & INST_DEAD);
    ck_assert_uint_eq(region_at(f, f->body)->first.i, second.i);
    inst_move(f, second, f->body, last);
    ck_assert_uint_eq(inst_at(f, last)->prev.i, second.i);
    inst_move(f, second, f->body, (InstId){0});
    ck_assert_uint_eq(region_at(f, f->body)->last.i, second.i);
    end();
}
END_TEST

START_TEST(prologue_gives_scalars)
{
    static const char text[] =
        "hako tile @f \"\"\nmem x: f32[2] in\ndim N\narg s: f32\narg t: i32\n{\n"
        "  %0 = dim N : i64\n  %1 = const 2 : i64\n  %2 = mul (%0, %1) : i64\n  tensor x (%0, %2)\n"
        "  %3 = extent x[1] : i64\n  %4 = cast (%3) : f32\n  %5 = arg s (%4) : f32\n  %6 = arg t : "
        "i32\n}\n";
    arena_init(&arena, NULL);
    DiagList diags = {.arena = &arena};
    f = func_parse(&arena, str_of(text), &diags, 0);
    ck_assert(f != NULL);
    uint64_t *values = arena_array(&arena, uint64_t, f->values.count);
    uint64_t args[2] = {0, 7};
    uint32_t missing;
    ck_assert(prologue_eval(f, (int64_t[]){5}, args, (bool[]){false, true}, values, &missing));
    ck_assert_int_eq((int64_t)values[4], 10); // the extent, value %3
    ck_assert(scalar_to_double(DTYPE_F32, values[6]) == 10);
    ck_assert(!prologue_eval(f, (int64_t[]){5}, args, (bool[]){false, false}, values, &missing));
    ck_assert_uint_eq(missing, 1);
    end();
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("build");
    tcase_add_test(cases, constants_fold);
    tcase_add_test(cases, identities_fold);
    tcase_add_test(cases, sums_of_constants_join);
    tcase_add_test(cases, axes_unite_and_stay);
    tcase_add_test(cases, names_become_unique);
    tcase_add_test(cases, scalars_meeting_vectors_are_splat);
    tcase_add_test(cases, instructions_move_and_go);
    tcase_add_test(cases, prologue_gives_scalars);
    return run_cases("build", cases);
}

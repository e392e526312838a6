// The verifier: each text breaks one law, and the message says which.
#include "ir/ir.h"
#include "tests/unit/ir_texts.h"
#include "tests/unit/suite.h"

typedef struct Broken {
    const char *message, *declarations, *body;
    bool loop;
} Broken;

#define X        "mem x: f32[1] in\naxis m: grid\naxis n: whole\nsite 0 assert\n"
#define PROLOGUE "%0 = const 0 : i64 %1 = const 8 : i64 tensor x (%1) %2 = const 1 : bool "
#define IN_GRID(text)                                                                              \
    PROLOGUE "phase grid { grid m (%0, %1) { axis n (%0, %1) %3 = index m : i64{m} " text " } }"

static const Broken broken[] = {
    {"its axes are not those of its operands", X, IN_GRID("%4 = add (%3, %0) : i64"), false},
    {"its operands differ in dtype", X, IN_GRID("%4 = add (%3, %2) : i64{m}"), false},
    {"its result should be bool", X, IN_GRID("%4 = lt (%3, %0) : i64{m}"), false},
    {"its condition is no bool", X, IN_GRID("%4 = select (%3, %0, %1) : i64{m}"), false},
    {"wrong number of operands", X, IN_GRID("%4 = add (%3) : i64{m}"), false},
    {"wrong number of operands", X, IN_GRID("%4 = tload x (%3, %3) : f32{m}"), false},
    {"its axes are not those of its indices", X, IN_GRID("%4 = tload x (%3) : f32"), false},
    {"its value should be f32", X, IN_GRID("tstore x (%0, %3)"), false},
    {"its value has an axis that no index has", X,
     IN_GRID("%4 = tload x (%3) : f32{m} tstore x (%4, %0)"), false},
    {"its mask is no bool", X, IN_GRID("%4 = tload x (%3, mask %3) : f32{m}"), false},
    {"checks a position that is not there", X, IN_GRID("%4 = tload x check[1] (%3) : f32{m}"),
     false},
    {"its axes are not those that remain", X, IN_GRID("%4 = reduce.sum[m] (%3) : i64{m}"), false},
    {"reduces over no axis", X, IN_GRID("%4 = reduce.sum (%3) : i64{m}"), false},
    {"its result should be i64", X,
     IN_GRID("%4 = tload x (%3) : f32{m} %5 = reduce.argmax[m] (%4) : f32"), false},
    {"operand 0 is not a scalar of type bool", X,
     IN_GRID("%4 = lt (%3, %0) : bool{m} if (%4) { } else { }"), false},
    {"the type of a result does not belong to this level", X, IN_GRID("%4 = cast (%3) : i8{m}"),
     false},
    {"should be a scalar of type i64", X, IN_GRID("%4 = extent x[0] : i32"), false},
    {"the memory has no such dimension", X, IN_GRID("%4 = extent x[1] : i64"), false},
    {"does not belong to this level", X, IN_GRID("%4 = iota : i64"), false},
    {"a yield ends its region", X, IN_GRID("yield %4 = add (%3, %0) : i64{m}"), false},
    {"1 results, but its region yields 0 values", X, IN_GRID("%4 = if (%2) : i64 { } else { }"),
     false},
    {"yielded value 0 does not have the type", X,
     IN_GRID("%4 = if (%2) : i64 { yield (%3) } else { yield (%0) }"), false},
    {"a phase stands at the top level only", X, IN_GRID("phase grid { }"), false},
    {"stands in the prologue only", X, IN_GRID("require #0 (%2)"), false},
    {"the axis is declared by another instruction", X, IN_GRID("axis n (%0, %1)"), false},
    {"only phases may follow a phase", X, PROLOGUE "phase grid { } %3 = const 1 : i64", false},
    {"not allowed in the prologue", X, PROLOGUE "%3 = tload x (%0) : f32", false},
    {"the axis is not declared here", X, PROLOGUE "phase grid { %3 = tileinfo m.begin : i64 }",
     false},
    {"varies over an axis that is not declared", X, PROLOGUE "phase grid { %3 = index m : i64{m} }",
     false},
    {"is not defined here", X,
     IN_GRID("if (%2) { %4 = const 1 : i64 } else { %5 = add (%4, %0) : i64 }"), false},
    {"not allowed between grids", X,
     PROLOGUE "phase grid { %3 = const 0x0 : f32 tstore x (%3, %0) grid m (%0, %1) { } }", false},
    {"a second nest beside a grid", X "axis k: grid\n",
     PROLOGUE "phase grid { grid m (%0, %1) { } grid k (%0, %1) { } }", false},
    {"a grid stands in a phase or a grid only", X "axis k: loop\n",
     PROLOGUE "phase grid { loop k (%0, %1, %0) { grid m (%0, %1) { } } }", false},
    {"its region has 0 arguments instead of 1", X "axis k: loop\n",
     PROLOGUE "phase grid { %4 = loop k (%0, %1, %0, %0) : i64 { yield (%0) } }", false},
    {"lanes differ", X,
     "%0 = const 0 : i64 phase grid (%0) { (%1 : i64) %2 = iota : i64x4 %3 = add (%2, %1) : i64x4 "
     "}",
     true},
    {"its value does not have the memory's dtype", X,
     "%0 = const 0 : i64 tensor x (%0) phase grid (%0) { (%1 : i64) %2 = load x (%1) : bf16x4 }",
     true},
    {"its offset is no i64 scalar", X,
     "%0 = const 0 : i64 tensor x (%0) phase grid (%0) { (%1 : i64) %2 = iota : i64x4 %3 = load x "
     "(%2) : f32x4 }",
     true},
    {"computes with a storage type", X,
     "%0 = const 0 : i64 phase grid (%0) { (%1 : i64) %2 = const 0x0 : bf16x4 %3 = neg (%2) : "
     "bf16x4 }",
     true},
    {"goes between a scalar and a vector", X,
     "%0 = const 0 : i64 phase grid (%0) { (%1 : i64) %2 = splat (%1) : i64 }", true},
    {"its vector is no 16 rows of 64 bytes", X,
     "%0 = const 0 : i64 tensor x (%0) phase grid (%0) { (%1 : i64) %2 = loadrows x (%1, %0) : "
     "f32x16 }",
     true},
    {"its value does not have the memory's dtype", X,
     "%0 = const 0 : i64 tensor x (%0) phase grid (%0) { (%1 : i64) %2 = loadrows x (%1, %0) : "
     "bf16x512 }",
     true},
    {"its offset or distance is no i64 scalar", X,
     "%0 = const 0 : i64 tensor x (%0) phase grid (%0) { (%1 : i64) %2 = iota : i64x4 %3 = "
     "loadrows x (%1, %2) : f32x256 }",
     true},
    {"has other dtypes than such products have", X,
     "%0 = const 0 : i64 phase grid (%0) { (%1 : i64) %2 = const 0x0 : bf16x512 %3 = const 0 : "
     "i32x256 %4 = dotrows (%2, %2, %3) : i32x256 }",
     true},
    {"its operands are no 16 rows of 64 bytes", X,
     "%0 = const 0 : i64 phase grid (%0) { (%1 : i64) %2 = const 0x0 : bf16x32 %3 = const 0x0 : "
     "f32x256 %4 = dotrows (%2, %2, %3) : f32x256 }",
     true},
    {"there is no such lane", X,
     "%0 = const 0 : i64 phase grid (%0) { (%1 : i64) %2 = iota : i64x4 %3 = extract 4 (%2) : i64 "
     "}",
     true},
};

START_TEST(broken_law_is_named)
{
    const Broken *b = &broken[_i];
    Arena arena;
    arena_init(&arena, NULL);
    DiagList diags = {.arena = &arena};
    Str text = str_format(&arena, "hako %s @f \"\"\n%s{ %s }", b->loop ? "loop" : "tile",
                          b->declarations, b->body);
    ck_assert_msg(!func_parse(&arena, text, &diags, 0), "accepted: %s", b->body);
    ck_assert_uint_ge(diags.diags.count, 1);
    const Diag *diag = diags.diags.data[0];
    ck_assert_msg(diag->code == DIAG_IR_INVALID && strstr(diag->message.data, b->message),
                  "expected '%s', got '%s'", b->message, diag->message.data);
    arena_free(&arena);
}
END_TEST

START_TEST(changed_functions_are_caught)
{
    static const char *const texts[] = {tile_text, loop_text};
    for (unsigned which = 0; which < 2; which++) {
        Arena arena;
        arena_init(&arena, NULL);
        DiagList diags = {.arena = &arena};
        Func *good = func_parse(&arena, str_of(texts[which]), &diags, 0);
        ck_assert(good && func_verify(good, &diags));
        // Whatever single operand is lost, the verifier says so and prints the instruction.
        for (uint32_t i = 0; i < good->operands.count; i++) {
            Func *f = func_clone(&arena, good);
            f->operands.data[i].i = i % 2 ? 0 : UINT32_MAX;
            ck_assert(!func_verify(f, &(DiagList){.arena = &arena}));
        }
        for (uint32_t i = 1; i < good->insts.count; i++) {
            Func *f = func_clone(&arena, good);
            f->insts.data[i].op = OP_COUNT + 3;
            ck_assert(!func_verify(f, &(DiagList){.arena = &arena}));
        }
        arena_free(&arena);
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("verify");
    tcase_add_loop_test(cases, broken_law_is_named, 0, sizeof broken / sizeof *broken);
    tcase_add_test(cases, changed_functions_are_caught);
    return run_cases("verify", cases);
}

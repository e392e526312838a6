// The text form: what is printed reads back to the same, and no text crashes the parser.
#include "ir/ir.h"
#include "tests/unit/ir_texts.h"
#include "tests/unit/suite.h"

#include <stdlib.h>

static Func *parse(Arena *arena, Str text, DiagList *diags)
{
    *diags = (DiagList){.arena = arena};
    return func_parse(arena, text, diags, 0);
}

static Str print(Arena *arena, const Func *f)
{
    Buf out = {.arena = arena};
    func_print(&out, f);
    return buf_view(&out);
}

static void check_identity(const char *text)
{
    Arena arena, other;
    DiagList diags;
    arena_init(&arena, NULL);
    arena_init(&other, NULL);
    Func *f = parse(&arena, str_of(text), &diags);
    ck_assert_msg(f != NULL, "%s",
                  diags.diags.count ? diags.diags.data[0]->message.data : "no message");
    ck_assert_str_eq(print(&arena, f).data, text);
    // A clone in another arena survives the original.
    Func *clone = func_clone(&other, f);
    arena_free(&arena);
    ck_assert_str_eq(print(&other, clone).data, text);
    arena_free(&other);
}

START_TEST(tile_text_is_the_identity)
{
    check_identity(tile_text);
}
END_TEST

START_TEST(loop_text_is_the_identity)
{
    check_identity(loop_text);
}
END_TEST

START_TEST(numbers_and_blanks_do_not_matter)
{
    Arena arena;
    DiagList diags;
    arena_init(&arena, NULL);
    Func *f = parse(&arena,
                    STR("hako tile @f \"\" // a comment\n {\n%7=const 1:i64 %3 = const 2 : "
                        "i64\n\t%9 = add(%7,%3):i64 }"),
                    &diags);
    ck_assert(f != NULL);
    ck_assert_str_eq(print(&arena, f).data,
                     "hako tile @f \"\"\n{\n  %0 = const 1 : i64\n  %1 = const 2 : i64\n"
                     "  %2 = add (%0, %1) : i64\n}\n");
    arena_free(&arena);
}
END_TEST

START_TEST(equal_names_stay_apart)
{
    check_identity(
        "hako tile @f \"\"\ndim N\ndim N\n{\n  %0 = dim N : i64\n  %1 = dim #1 : i64\n}\n");
}
END_TEST

START_TEST(malformed_text_is_refused)
{
    static const char *const texts[] = {
        "",
        "hako",
        "hako tile f",
        "hako tile @f \"\" {",
        "hako tile @f \"\" { %0 = }",
        "hako tile @f \"\" { %0 = add (%1, %2) : i64 }",
        "hako tile @f \"\" { %0 = const 1 : i65 }",
        "hako tile @f \"\" { %0 = const 1 : i64 %0 = const 2 : i64 }",
        "hako tile @f \"unfinished",
        "hako tile @f \"\" { %0 = const 99999999999999999999 : i64 }",
        "hako tile @f \"\" { tensor x }",
        "hako tile @f \"\" mem x: f32[9] in { }",
        "hako tile @f \"\" { } trailing",
        "hako tile @f \"\" { %4000000000 = const 1 : i64 }",
        "hako loop @f \"\" { %0 = const 1 : i64x99999 }",
        "hako tile @f \"\" { phase grid { phase grid { } } }",
        "hako tile @f \"\" { %0 = const 1 : i64 @0:0-0 }",
        "hako tile @f \"\" axis a: grid { phase grid { %0 = index a : i64{a} } }",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Arena arena;
        DiagList diags;
        arena_init(&arena, NULL);
        ck_assert_msg(!parse(&arena, str_of(texts[i]), &diags), "accepted: %s", texts[i]);
        ck_assert_msg(diags.error_count > 0, "no message for: %s", texts[i]);
        arena_free(&arena);
    }
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    Arena arena;
    DiagList diags;
    arena_init(&arena, NULL);
    Buf text = {.arena = &arena};
    buf_str(&text, STR("hako tile @f \"\" { %0 = const 1 : bool "));
    for (unsigned i = 0; i < 100000; i++) buf_str(&text, STR("if (%0) { "));
    ck_assert(!parse(&arena, buf_view(&text), &diags));
    ck_assert_uint_eq(diags.error_count, 1);
    arena_free(&arena);
}
END_TEST

// Random edits of good texts: either a message, or a function that prints and reads back the same.
static void mutate(const char *text, unsigned seed)
{
    static const char pieces[] = "%0123456789(){}[],:=.@#!\"-x \n";
    Arena arena;
    DiagList diags;
    arena_init(&arena, NULL);
    srand(seed);
    Str copy = str_copy(&arena, str_of(text));
    char *bytes = (char *)copy.data;
    for (int edits = rand() % 4 + 1; edits > 0; edits--) {
        size_t at = (size_t)rand() % copy.length, from = (size_t)rand() % copy.length;
        size_t length = (size_t)rand() % 12;
        if (rand() % 2)
            bytes[at] = pieces[(size_t)rand() % (sizeof pieces - 1)];
        else if (at + length < copy.length && from + length < copy.length)
            memmove(bytes + at, bytes + from, length);
    }
    if (rand() % 8 == 0) copy.length = (size_t)rand() % copy.length;
    Func *f = parse(&arena, copy, &diags);
    ck_assert(f != NULL || diags.error_count > 0);
    if (f) {
        Str first = print(&arena, f);
        Func *again = parse(&arena, first, &diags);
        ck_assert_msg(again != NULL, "does not read back:\n%s", first.data);
        ck_assert_str_eq(print(&arena, again).data, first.data);
    }
    arena_free(&arena);
}

START_TEST(no_text_crashes)
{
    for (unsigned seed = 0; seed < 4000; seed++) {
        mutate(tile_text, seed);
        mutate(loop_text, seed);
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("text");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, tile_text_is_the_identity);
    tcase_add_test(cases, loop_text_is_the_identity);
    tcase_add_test(cases, numbers_and_blanks_do_not_matter);
    tcase_add_test(cases, equal_names_stay_apart);
    tcase_add_test(cases, malformed_text_is_refused);
    tcase_add_test(cases, deep_nesting_is_refused);
    tcase_add_test(cases, no_text_crashes);
    return run_cases("text", cases);
}

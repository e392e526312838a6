// Diagnostics: collecting, and rendering as text and JSON.
#include "ir/base/diag.h"
#include "tests/unit/suite.h"

static Arena arena;
static SourceSet sources;
static DiagList list;

static void setup(void)
{
    arena_init(&arena, NULL);
    sources = (SourceSet){.arena = &arena};
    list = (DiagList){.arena = &arena, .sources = &sources};
}

static void teardown(void)
{
    arena_free(&arena);
}

static const char *text(void)
{
    Buf out = {.arena = &arena};
    diag_render_text(&out, &list, false);
    return buf_view(&out).data;
}

static Span at(uint32_t line, unsigned column, unsigned end)
{
    return (Span){line, line, (uint16_t)column, (uint16_t)end, 0};
}

START_TEST(carets_stand_under_the_span)
{
    source_add(&sources, STR("a.hk"), STR("first\n\tlet x = q;\r\nlast"));
    Diag *diag = diag_add(&list, DIAG_SYNTAX, at(2, 10, 11), "no value is named '%s'", "q");
    diag_note(&list, diag, at(1, 1, 6), "declared here");
    diag_note(&list, diag, (Span){0}, "without a place");
    diag_hint(&list, diag, "did you mean '%s'?", "x");
    ck_assert_str_eq(text(), "a.hk:2:10: error[HK0101]: no value is named 'q'\n"
                             "    2 |     let x = q;\n"
                             "      |             ^\n"
                             "a.hk:1:1: note: declared here\n"
                             "    1 | first\n"
                             "      | ^^^^^\n"
                             "note: without a place\n"
                             "help: did you mean 'x'?\n");
}
END_TEST

START_TEST(several_lines_show_the_first)
{
    source_add(&sources, STR("a.hk"), STR("one two\nthree"));
    diag_add(&list, DIAG_SYNTAX, (Span){1, 2, 5, 3, 0}, "m");
    ck_assert_str_eq(text(), "a.hk:1:5: error[HK0101]: m\n    1 | one two\n      |     ^^^\n");
}
END_TEST

START_TEST(long_lines_are_cut)
{
    Buf line = {.arena = &arena};
    for (unsigned i = 0; i < 1000; i++) buf_char(&line, i == 500 ? 'X' : '.');
    source_add(&sources, STR("a.hk"), buf_view(&line));
    diag_add(&list, DIAG_SYNTAX, at(1, 501, 502), "m");
    const char *shown = strstr(text(), "1 | "), *caret = strchr(shown, '^'),
               *next = strchr(shown, '\n') + 1;
    ck_assert(next - shown < 160);
    ck_assert_int_eq(strchr(shown, 'X') - (shown - 4), caret - next);
}
END_TEST

START_TEST(nothing_unprintable_is_shown)
{
    source_add(&sources, STR("a.hk"), STR("\x1b[31m \xff \xc2\x9b \xc3\xa9q"));
    diag_add(&list, DIAG_SYNTAX, at(1, 14, 15), "bad \x1b[0m");
    ck_assert_str_eq(text(), "a.hk:1:14: error[HK0101]: bad ?[0m\n    1 | ?[31m ? ? \xc3\xa9q\n"
                             "      |            ^\n");
}
END_TEST

START_TEST(colour_only_when_asked)
{
    Buf out = {.arena = &arena};
    diag_add(&list, DIAG_SYNTAX, (Span){0}, "m");
    ck_assert(!strchr(text(), '\033'));
    diag_render_text(&out, &list, true);
    ck_assert(strstr(buf_view(&out).data, "\033[1;31merror[HK0101]"));
}
END_TEST

START_TEST(places_outside_the_source_are_harmless)
{
    source_add(&sources, STR("a.hk"), STR("x"));
    diag_add(&list, DIAG_SYNTAX, at(7, 3, 9), "m");
    diag_add(&list, DIAG_SYNTAX, at(1, 30, 2), "m");
    diag_add(&list, DIAG_SYNTAX, (Span){1, 1, 1, 2, 99}, "m");
    ck_assert(strstr(text(), "a.hk:7:3: error") != NULL);
    ck_assert(source_line(&sources, at(7, 1, 1)).length == 0);
}
END_TEST

START_TEST(json_escapes)
{
    Buf out = {.arena = &arena};
    source_add(&sources, STR("a\"b.hk"), STR("x"));
    Diag *diag = diag_add(&list, DIAG_SYNTAX, at(1, 1, 2), "q\"\\\n\x01\xff\xc3\xa9");
    diag_note(&list, diag, (Span){0}, "n");
    diag_render_json(&out, &list);
    ck_assert_str_eq(
        buf_view(&out).data,
        "[{\"code\": \"HK0101\", \"severity\": \"error\", \"message\": "
        "\"q\\\"\\\\\\n\\u0001\\ufffd\xc3\xa9\", "
        "\"file\": \"a\\\"b.hk\", \"line\": 1, \"column\": 1, \"endLine\": 1, \"endColumn\": 2, "
        "\"hint\": null, \"notes\": [{\"message\": \"n\", \"file\": null, \"line\": null, "
        "\"column\": null, \"endLine\": null, \"endColumn\": null}]}]\n");
}
END_TEST

START_TEST(a_flood_is_counted)
{
    list.limit = 3;
    for (unsigned i = 0; i < 10; i++)
        diag_hint(&list, diag_add(&list, DIAG_SYNTAX, (Span){0}, "m"), "h");
    ck_assert_uint_eq(list.diags.count, 3);
    ck_assert_uint_eq(list.error_count, 10);
    ck_assert_uint_eq(list.dropped_count, 7);
    ck_assert(strstr(text(), "and 7 more\n"));
}
END_TEST

START_TEST(codes_have_titles)
{
    ck_assert(diag_known(101) && !diag_known(100));
    ck_assert_str_eq(diag_title(DIAG_INTERNAL), "internal error");
    ck_assert(diag_title((DiagCode)100) == NULL);
}
END_TEST

START_TEST(spans_join)
{
    Span joined = span_join(at(1, 3, 5), at(2, 7, 9));
    ck_assert(joined.line == 1 && joined.column == 3 && joined.end_line == 2 &&
              joined.end_column == 9);
    ck_assert_uint_eq(span_join((Span){0}, at(2, 7, 9)).column, 7);
    ck_assert_uint_eq(span_join(at(1, 3, 5), (Span){0}).end_column, 5);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("diag");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, carets_stand_under_the_span);
    tcase_add_test(cases, several_lines_show_the_first);
    tcase_add_test(cases, long_lines_are_cut);
    tcase_add_test(cases, nothing_unprintable_is_shown);
    tcase_add_test(cases, colour_only_when_asked);
    tcase_add_test(cases, places_outside_the_source_are_harmless);
    tcase_add_test(cases, json_escapes);
    tcase_add_test(cases, a_flood_is_counted);
    tcase_add_test(cases, codes_have_titles);
    tcase_add_test(cases, spans_join);
    return run_cases("diag", cases);
}

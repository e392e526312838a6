// Configs as text and as sets of knobs.
#include "ir/config.h"
#include "tests/unit/suite.h"

static Arena arena;

static Config *parse(const char *text, DiagList *diags)
{
    *diags = (DiagList){.arena = &arena};
    return config_parse(&arena, str_of(text), diags, 0);
}

static void setup(void)
{
    arena_init(&arena, NULL);
}

static void teardown(void)
{
    arena_free(&arena);
}

START_TEST(text_round_trips)
{
    DiagList diags;
    Config *config = parse("tile_m = 64, unroll_m=6;\n// a comment\n threads = -1", &diags);
    ck_assert(config != NULL);
    ck_assert_str_eq(config_print(&arena, config).data, "tile_m = 64, unroll_m = 6, threads = -1");
    Config *again = parse(config_print(&arena, config).data, &diags);
    ck_assert_uint_eq(config_hash(config), config_hash(again));
    Config *empty = parse(" \n", &diags);
    ck_assert(empty && empty->knobs.count == 0);
}
END_TEST

START_TEST(knobs_are_found)
{
    DiagList diags;
    Config *config = parse("tile_m = 64", &diags);
    int64_t x = 0;
    ck_assert(config_get(config, STR("tile_m"), &x) && x == 64);
    ck_assert(!config_get(config, STR("tile_n"), &x));
    ck_assert_int_eq(config_get_axis(config, "tile", STR("m"), 7), 64);
    ck_assert_int_eq(config_get_axis(config, "tile", STR("n"), 7), 7);
    ck_assert_int_eq(config_get_axis(NULL, "tile", STR("n"), 7), 7);
    config_set_axis(config, "tile", STR("m"), 8);
    ck_assert_uint_eq(config->knobs.count, 1);
    Config *clone = config_clone(&arena, config);
    config_set(config, STR("tile_m"), 9);
    ck_assert_int_eq(config_get_axis(clone, "tile", STR("m"), 0), 8);
}
END_TEST

START_TEST(order_does_not_change_the_hash)
{
    DiagList diags;
    ck_assert_uint_eq(config_hash(parse("a = 1, b = 2", &diags)),
                      config_hash(parse("b = 2, a = 1", &diags)));
    ck_assert_uint_ne(config_hash(parse("a = 1, b = 2", &diags)),
                      config_hash(parse("a = 2, b = 1", &diags)));
}
END_TEST

START_TEST(malformed_text_is_refused)
{
    static const char *const texts[] = {"tile_m",
                                        "tile_m =",
                                        "= 3",
                                        "tile_m = x",
                                        "a = 1 b = 2",
                                        "3 = 4",
                                        "a = 99999999999999999999",
                                        "a = 1.5",
                                        "a == 1",
                                        "\xff"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        DiagList diags;
        ck_assert_msg(!parse(texts[i], &diags), "accepted: %s", texts[i]);
        ck_assert_uint_eq(diags.error_count, 1);
        ck_assert_uint_eq(diags.diags.data[0]->code, DIAG_CONFIG_SYNTAX);
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("config");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, text_round_trips);
    tcase_add_test(cases, knobs_are_found);
    tcase_add_test(cases, order_does_not_change_the_hash);
    tcase_add_test(cases, malformed_text_is_refused);
    return run_cases("config", cases);
}

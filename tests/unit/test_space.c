// Rules of search spaces: which points they refuse, and how many are left.
#include <check.h>
#include <stdlib.h>

#include "passes/tune/space_internal.h"
#include "tests/unit/suite.h"

static Arena arena;

static void set_up(void)
{
    arena_init(&arena, NULL);
}

static void tear_down(void)
{
    arena_free(&arena);
}

static void add_knob(Space *space, const char *name, int64_t *choices, uint32_t count,
                     bool scheduled)
{
    SpaceKnob knob = {str_of(name), choices, count, scheduled};
    vec_push(&arena, &space->knobs, knob);
}

static int64_t tiles[] = {1, 8, 16, 64}, rows[] = {1, 2, 4, 8, 12}, vectors[] = {1, 2, 4};

static Space *space_new(void)
{
    Space *space = arena_new(&arena, Space);
    add_knob(space, "tile_m", tiles, 4, false);
    add_knob(space, "tile_n", tiles, 4, false);
    add_knob(space, "unroll_m", rows, 5, true);
    add_knob(space, "vectors_n", vectors, 3, true);
    return space;
}

static Config *config_of(const char *text)
{
    DiagList diags = {.arena = &arena};
    return config_parse(&arena, str_of(text), &diags, 0);
}

// By counting: every point that the given rule keeps.
static int kept(const Space *space, const SpaceRule *rule)
{
    int n = 0;
    for (int m = 0; m < 4; m++)
        for (int k = 0; k < 4; k++)
            for (int r = 0; r < 6; r++)
                for (int v = 0; v < 4; v++) {
                    int64_t values[] = {tiles[m], tiles[k], r < 5 ? rows[r] : SPACE_SCHEDULED,
                                        v < 3 ? vectors[v] : SPACE_SCHEDULED};
                    n += space_keeps(space, rule, values);
                }
    return n;
}

START_TEST(rules)
{
    Space *space = space_new();
    Config *config = config_of("tile_m = 64, tile_n = 16");
    SpaceRule within = {.kind = SPACE_WITHIN_TILE, .a = 2, .b = 0, .c = -1, .x = 1, .y = 64};
    // Tiles of 1 take one row only, those of 8 up to 8, others all; or what the scheduler chooses.
    ck_assert_int_eq(kept(space, &within), (2 + 5 + 6 + 6) * 4 * 4);
    within = (SpaceRule){.kind = SPACE_WITHIN_TILE, .a = 3, .b = 1, .c = -1, .x = 16, .y = 64};
    ck_assert_int_eq(kept(space, &within), (2 + 2 + 2 + 4) * 4 * 6);
    SpaceRule registers = {.kind = SPACE_REGISTERS,
                           .a = 2,
                           .b = 3,
                           .c = 1,
                           .x = 32,
                           .y = 16,
                           .text = STR("registers")};
    // Only 12 rows by 4 vectors, and 8 by 4, are too many, where the tile has 4 vectors.
    ck_assert_int_eq(kept(space, &registers), 4 * (4 * 24 - 2));
    SpaceRule panel = {
        .kind = SPACE_PANEL_FITS, .a = -1, .b = 1, .c = -1, .x = 4, .y = 100, .z = 6400};
    ck_assert_int_eq(kept(space, &panel), 3 * 4 * 24);
    SpaceRule fills = {.kind = SPACE_FILLS_THREADS, .a = -1, .b = -1, .c = -1, .x = 4};
    SpaceDim dims[] = {{0, 64, 1}, {1, 60, 1}};
    for (int k = 0; k < 2; k++) vec_push(&arena, &fills.dims, dims[k]);
    // 1 of 16: one tile of 64 by 64.
    ck_assert_int_eq(kept(space, &fills), 15 * 24);
    // In parts, as many as tile_m says: panels are as much shorter, and each part fills a thread.
    panel.c = fills.a = 0;
    ck_assert_int_eq(kept(space, &panel), (3 + 4 + 4 + 4) * 24);
    ck_assert_int_eq(kept(space, &fills), 16 * 24);
    fills.a = -1;
    SpaceRule parts = {.kind = SPACE_PARTS_LONG, .a = 0, .b = -1, .c = -1, .x = 1000, .y = 100};
    ck_assert_int_eq(kept(space, &parts), 2 * 4 * 24);
    space_add_rule(&arena, space, &registers, config);
    space_add_rule(&arena, space, &registers, config); // once is enough
    ck_assert_uint_eq(space->rules.count, 1);
    SpaceCount count = space_count(&arena, space);
    ck_assert(count.exact);
    ck_assert_double_eq(count.raw, 4 * 4 * 6 * 4);
    ck_assert_double_eq(count.legal, 4 * (4 * 24 - 2));
    ck_assert_double_eq_tol(count.refused[0], 2.0 / 96, 1e-12);
    // What the default breaks is no rule here.
    fills.text = STR("fills");
    space_add_rule(&arena, space, &fills, config_of("tile_m = 64, tile_n = 64"));
    ck_assert_uint_eq(space->rules.count, 1);
}
END_TEST

START_TEST(large_spaces_are_sampled)
{
    Space *space = space_new();
    static int64_t many[20];
    for (int k = 0; k < 20; k++) many[k] = k + 1;
    for (int k = 0; k < 4; k++) add_knob(space, "x", many, 20, false);
    SpaceRule panel = {
        .kind = SPACE_PANEL_FITS, .a = -1, .b = 1, .c = -1, .x = 4, .y = 100, .z = 6400};
    space_add_rule(&arena, space, &panel, config_of("tile_m = 64, tile_n = 16"));
    SpaceCount count = space_count(&arena, space);
    ck_assert(!count.exact);
    ck_assert_double_eq(count.raw, 384.0 * 160000);
    ck_assert_double_eq_tol(count.legal / count.raw, 0.75, 0.01);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("space");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, rules);
    tcase_add_test(tests, large_spaces_are_sampled);
    return run_cases("space", tests);
}

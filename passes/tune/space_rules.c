// Rules that a point of a space must keep: what they say, which hold for a kernel, and how many
// points keep them. They are checked before anything is scheduled or compiled.
#include <string.h>

#include "passes/tune/space_internal.h"

enum { COUNTED_MOST = 1000000, DRAWN = 200000 };

const char *const space_rule_names[SPACE_RULE_KINDS] = {
    [SPACE_WITHIN_TILE] = "within_tile",
    [SPACE_REGISTERS] = "register_budget",
    [SPACE_PANEL_FITS] = "panel_fits_l2",
    [SPACE_FILLS_THREADS] = "fills_threads",
    [SPACE_PARTS_LONG] = "parts_long",
};
const char *const space_rule_meanings[SPACE_RULE_KINDS] = {
    [SPACE_WITHIN_TILE] = "no more is bound at once than a tile has; the rest is the same code",
    [SPACE_REGISTERS] = "accumulators, a row of operands and a factor fit into vector registers",
    [SPACE_PANEL_FITS] = "a packed panel of columns fits into the second cache",
    [SPACE_FILLS_THREADS] = "there is a tile for each thread",
    [SPACE_PARTS_LONG] = "a part of a sum repays its result's way through memory",
};

int32_t space_knob_named(const Space *space, const char *kind, Str axis)
{
    size_t length = strlen(kind);
    for (uint32_t k = 0; k < space->knobs.count; k++) {
        Str name = space->knobs.data[k].name;
        if (name.length != length + 1 + axis.length || name.data[length] != '_') continue;
        if (memcmp(name.data, kind, length) != 0) continue;
        if (memcmp(name.data + length + 1, axis.data, axis.length) == 0) return (int32_t)k;
    }
    return -1;
}

// ---- checking

static int64_t value_of(const int64_t *values, int32_t knob, int64_t otherwise)
{
    return knob < 0 || values[knob] == SPACE_SCHEDULED ? otherwise : values[knob];
}

static int64_t divided_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

// The next smaller choice would not do.
static bool is_needed(const Space *space, const SpaceRule *rule, const int64_t *values)
{
    const SpaceKnob *knob = &space->knobs.data[rule->a];
    int64_t value = value_of(values, rule->a, 0), tile = value_of(values, rule->b, rule->y);
    if (value <= 0 || tile <= 0) return true;
    for (uint32_t k = 0; k < knob->choice_count; k++)
        if (knob->choices[k] < value && knob->choices[k] >= divided_up(tile, rule->x)) return false;
    return true;
}

static bool fits_registers(const SpaceRule *rule, const int64_t *values)
{
    int64_t rows = value_of(values, rule->a, 0), vectors = value_of(values, rule->b, 0);
    int64_t columns = value_of(values, rule->c, 0);
    if (columns > 0 && vectors > divided_up(columns, rule->y))
        vectors = divided_up(columns, rule->y);
    return rows <= 0 || vectors <= 0 || rows * vectors + vectors + 1 <= rule->x;
}

static bool panel_fits(const SpaceRule *rule, const int64_t *values)
{
    int64_t depth = value_of(values, rule->a, rule->y), columns = value_of(values, rule->b, 0), n;
    if (depth <= 0) depth = rule->y;
    const int64_t parts = value_of(values, rule->c, 1);
    if (parts > 1 && depth > rule->y / parts) depth = rule->y / parts;
    return columns <= 0 || depth <= 0 ||
           (!__builtin_mul_overflow(depth, columns * rule->x, &n) && n <= rule->z);
}

static bool fills(const SpaceRule *rule, const int64_t *values)
{
    double tiles = (double)value_of(values, rule->a, 1);
    for (uint32_t k = 0; k < rule->dims.count; k++) {
        const SpaceDim *dim = &rule->dims.data[k];
        int64_t tile = value_of(values, dim->knob, dim->tile);
        tiles *= (double)divided_up(dim->extent, tile > 0 ? tile : 1);
    }
    return tiles >= (double)rule->x;
}

bool space_keeps(const Space *space, const SpaceRule *rule, const int64_t *values)
{
    switch (rule->kind) {
    case SPACE_WITHIN_TILE: return is_needed(space, rule, values);
    case SPACE_REGISTERS: return fits_registers(rule, values);
    case SPACE_PANEL_FITS: return panel_fits(rule, values);
    case SPACE_FILLS_THREADS: return fills(rule, values);
    case SPACE_PARTS_LONG: return rule->x / value_of(values, rule->a, 1) >= rule->y;
    case SPACE_RULE_KINDS: break;
    }
    return true;
}

bool space_allows(const Space *space, const int64_t *values)
{
    for (uint32_t k = 0; k < space->rules.count; k++)
        if (!space_keeps(space, &space->rules.data[k], values)) return false;
    return true;
}

// A rule that the default Config breaks does not suit the kernel.
void space_add_rule(Arena *arena, Space *space, const SpaceRule *rule, const Config *config)
{
    int64_t *values = arena_array(arena, int64_t, space->knobs.count + 1);
    for (uint32_t k = 0; k < space->knobs.count; k++) {
        values[k] = SPACE_SCHEDULED;
        config_get(config, space->knobs.data[k].name, &values[k]);
    }
    for (uint32_t k = 0; k < space->rules.count; k++)
        if (str_equal(space->rules.data[k].text, rule->text)) return;
    if (space_keeps(space, rule, values)) vec_push(arena, &space->rules, *rule);
}

// ---- counting

typedef struct Counting {
    const Space *space;
    int64_t *values;
    double seen, legal, *refused;
} Counting;

static uint32_t levels_of(const SpaceKnob *knob)
{
    return knob->choice_count + knob->scheduled;
}

static void choose(Counting *c, uint32_t knob, uint32_t level)
{
    const SpaceKnob *k = &c->space->knobs.data[knob];
    c->values[knob] = level < k->choice_count ? k->choices[level] : SPACE_SCHEDULED;
}

static void count_point(Counting *c)
{
    bool legal = true;
    for (uint32_t k = 0; k < c->space->rules.count; k++) {
        bool keeps = space_keeps(c->space, &c->space->rules.data[k], c->values);
        c->refused[k] += !keeps;
        legal &= keeps;
    }
    c->seen++;
    c->legal += legal;
}

static void count_all(Counting *c, uint32_t knob)
{
    if (knob == c->space->knobs.count) {
        count_point(c);
        return;
    }
    uint32_t levels = levels_of(&c->space->knobs.data[knob]);
    for (uint32_t level = 0; level < levels; level++) {
        choose(c, knob, level);
        count_all(c, knob + 1);
    }
}

static void draw(Counting *c)
{
    uint64_t random = 1;
    for (int n = 0; n < DRAWN; n++) {
        for (uint32_t k = 0; k < c->space->knobs.count; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            choose(c, k, (uint32_t)(random >> 33) % levels_of(&c->space->knobs.data[k]));
        }
        count_point(c);
    }
}

SpaceCount space_count(Arena *arena, const Space *space)
{
    SpaceCount result = {.raw = 1};
    for (uint32_t k = 0; k < space->knobs.count; k++)
        result.raw *= levels_of(&space->knobs.data[k]);
    result.exact = result.raw <= COUNTED_MOST;
    result.refused = arena_array(arena, double, space->rules.count + 1);
    Counting c = {.space = space, .refused = result.refused};
    c.values = arena_array(arena, int64_t, space->knobs.count + 1);
    if (result.exact)
        count_all(&c, 0);
    else
        draw(&c);
    for (uint32_t k = 0; k < space->rules.count; k++) result.refused[k] /= c.seen;
    result.legal = result.raw * c.legal / c.seen;
    return result;
}

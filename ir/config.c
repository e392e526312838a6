// Configs: a small list of named integers and its text. "tile_m = 64, unroll_m = 6"
#include "ir/config.h"

Config *config_new(Arena *arena)
{
    Config *config = arena_new(arena, Config);
    config->arena = arena;
    return config;
}

Config *config_clone(Arena *arena, const Config *config)
{
    Config *clone = config_new(arena);
    for (uint32_t i = 0; config && i < config->knobs.count; i++) {
        config_set(clone, config->knobs.data[i].name, config->knobs.data[i].value);
    }
    return clone;
}

static Knob *find(const Config *config, Str name)
{
    for (uint32_t i = 0; config && i < config->knobs.count; i++) {
        if (str_equal(config->knobs.data[i].name, name)) return &config->knobs.data[i];
    }
    return NULL;
}

bool config_get(const Config *config, Str name, int64_t *value)
{
    const Knob *knob = find(config, name);
    if (knob) *value = knob->value;
    return knob != NULL;
}

static bool is_axis_knob(Str name, Str kind, Str axis)
{
    return name.length == kind.length + 1 + axis.length && name.data[kind.length] == '_' &&
           str_equal((Str){name.data, kind.length}, kind) &&
           str_equal((Str){name.data + kind.length + 1, axis.length}, axis);
}

int64_t config_get_axis(const Config *config, const char *kind, Str axis, int64_t otherwise)
{
    for (uint32_t i = 0; config && i < config->knobs.count; i++) {
        if (is_axis_knob(config->knobs.data[i].name, str_of(kind), axis))
            return config->knobs.data[i].value;
    }
    return otherwise;
}

void config_set(Config *config, Str name, int64_t value)
{
    Knob *knob = find(config, name);
    if (knob) {
        knob->value = value;
        return;
    }
    Knob added = {str_copy(config->arena, name), value};
    vec_push(config->arena, &config->knobs, added);
}

void config_set_axis(Config *config, const char *kind, Str axis, int64_t value)
{
    config_set(config, str_format(config->arena, "%s_%.*s", kind, STR_ARG(axis)), value);
}

Str config_print(Arena *arena, const Config *config)
{
    Buf out = {.arena = arena};
    for (uint32_t i = 0; i < config->knobs.count; i++) {
        const Knob *knob = &config->knobs.data[i];
        buf_printf(&out, "%s%.*s = %lld", i ? ", " : "", STR_ARG(knob->name),
                   (long long)knob->value);
    }
    return buf_view(&out);
}

uint64_t config_hash(const Config *config)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; config && i < config->knobs.count; i++) {
        uint64_t h = str_hash(config->knobs.data[i].name) ^
                     (uint64_t)config->knobs.data[i].value * 0x9e3779b97f4a7c15u;
        h = (h ^ (h >> 31)) * 0xbf58476d1ce4e5b9u;
        sum += h ^ (h >> 29);
    }
    return sum;
}

// ---- text

typedef struct Reader {
    Str text;
    size_t at;
    uint32_t line, source;
    size_t line_start;
    DiagList *diags;
} Reader;

static char peek(const Reader *r)
{
    return r->at < r->text.length ? r->text.data[r->at] : 0;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static Span here(const Reader *r)
{
    size_t column = r->at - r->line_start + 1;
    if (column > UINT16_MAX - 1) column = UINT16_MAX - 1;
    return (Span){r->line, r->line, (uint16_t)column, (uint16_t)(column + 1), r->source};
}

static void skip_blank(Reader *r, bool separators)
{
    while (r->at < r->text.length) {
        char c = peek(r);
        if (c == '/' && r->at + 1 < r->text.length && r->text.data[r->at + 1] == '/') {
            while (r->at < r->text.length && peek(r) != '\n') r->at++;
        } else if (c == '\n' && separators) {
            r->at++;
            r->line++;
            r->line_start = r->at;
        } else if (c == ' ' || c == '\t' || c == '\r' || (separators && (c == ',' || c == ';'))) {
            r->at++;
        } else {
            return;
        }
    }
}

static bool read_integer(Reader *r, int64_t *value)
{
    bool negative = peek(r) == '-';
    if (negative) r->at++;
    if (!is_digit(peek(r))) return false;
    int64_t x = 0;
    for (; is_digit(peek(r)); r->at++) {
        if (__builtin_mul_overflow(x, (int64_t)10, &x)) return false;
        if (__builtin_add_overflow(x, (int64_t)(peek(r) - '0'), &x)) return false;
    }
    *value = negative ? -x : x;
    return !is_name_char(peek(r));
}

// An integer, or `true` and `false` for 1 and 0.
static bool read_value(Reader *r, int64_t *value)
{
    const Str words[] = {STR("false"), STR("true")};
    for (int64_t k = 0; k < 2; k++) {
        size_t end = r->at + words[k].length;
        if (end > r->text.length || memcmp(r->text.data + r->at, words[k].data, words[k].length) ||
            (end < r->text.length && is_name_char(r->text.data[end])))
            continue;
        r->at = end;
        *value = k;
        return true;
    }
    return read_integer(r, value);
}

static bool syntax_error(const Reader *r, const char *expected)
{
    Diag *diag =
        diag_add(r->diags, DIAG_CONFIG_SYNTAX, here(r), "expected %s in the config", expected);
    diag_hint(r->diags, diag, "write a config as \"tile_m = 64, tile_n = 32\"");
    return false;
}

static bool read_knob(Reader *r, Config *config)
{
    size_t start = r->at;
    while (is_name_char(peek(r))) r->at++;
    Str name = {r->text.data + start, r->at - start};
    if (!name.length || is_digit(name.data[0])) return syntax_error(r, "the name of a knob");
    skip_blank(r, false);
    if (peek(r) != '=') return syntax_error(r, "'='");
    r->at++;
    skip_blank(r, false);
    int64_t value;
    if (!read_value(r, &value)) return syntax_error(r, "an integer");
    config_set(config, name, value);
    skip_blank(r, false);
    char c = peek(r);
    if (r->at < r->text.length && c != ',' && c != ';' && c != '\n')
        return syntax_error(r, "',' or a new line");
    return true;
}

Config *config_parse(Arena *arena, Str text, DiagList *diags, uint32_t source)
{
    Config *config = config_new(arena);
    Reader r = {.text = text, .line = 1, .source = source, .diags = diags};
    for (skip_blank(&r, true); r.at < text.length; skip_blank(&r, true)) {
        if (!read_knob(&r, config)) return NULL;
    }
    return config;
}

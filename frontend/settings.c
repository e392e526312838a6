// What a file says about tuning: `config` blocks that apply to a target and to dimensions, and
// `tune`. Both hold constant integer expressions:
//
//     config matmul when M >= 256 { tile_m = 64, tile_n = 4 * 32; }
//     tune SPLIT in pow2(1, 64) = 8;     ->  choices 1 2 4 ... 64, initial 8
#include "frontend/frontend.h"

enum { CHOICES_MAX = 4096, CONSTANT_DEPTH_MAX = 32, STEPS_MAX = 100000 };

typedef struct Evaluator {
    const Module *module;
    DiagList *diags; // NULL: say nothing
    const Str *names;
    const int64_t *values;
    uint32_t count;
    const Node *kernel; // whose packs may have other ranks here: no mistake in a condition
    uint32_t depth,
        steps; // of constants that name constants; of the evaluation, which may double at each
} Evaluator;

static bool eval(Evaluator *e, const Node *node, int64_t *value);

static bool fail(const Evaluator *e, Span span, const char *what)
{
    if (e->diags) diag_add(e->diags, DIAG_CONFIG_SYNTAX, span, "%s", what);
    return false;
}

static const Node *find_constant(const Module *module, Str name)
{
    for (uint32_t f = 0; f < module->files.count; f++) {
        const Node *file = module->files.data[f];
        for (uint32_t k = 0; k < file->kid_count; k++)
            if (file->kids[k]->kind == NODE_CONSTANT && str_equal(file->kids[k]->text, name))
                return file->kids[k];
    }
    return NULL;
}

// Whether a name is one of a pack's dimensions, of whatever rank: ..B has B, or B_0, B_1 ...
static bool is_of_pack(const Node *node, Str name)
{
    if (!node) return false;
    const size_t n = node->text.length;
    if (node->kind == NODE_PACK && name.length >= n && !memcmp(name.data, node->text.data, n) &&
        (name.length == n || name.data[n] == '_'))
        return true;
    for (uint32_t k = 0; k < node->kid_count; k++)
        if (is_of_pack(node->kids[k], name)) return true;
    return false;
}

static bool eval_name(Evaluator *e, const Node *node, int64_t *value)
{
    for (uint32_t k = 0; k < e->count; k++) {
        if (!str_equal(e->names[k], node->text)) continue;
        *value = e->values[k];
        return true;
    }
    const Node *constant = find_constant(e->module, node->text);
    if (constant && e->depth < CONSTANT_DEPTH_MAX) {
        e->depth++;
        bool good = eval(e, ast_kid(constant, 0), value);
        e->depth--;
        return good;
    }
    if (constant) return fail(e, node->span, "this constant names itself");
    if (e->diags && !is_of_pack(e->kernel, node->text))
        diag_add(e->diags, DIAG_CONFIG_SYNTAX, node->span,
                 "'%.*s' is not known here: dimensions and file-level"
                 " constants are",
                 STR_ARG(node->text));
    return false;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

static bool divide(const Evaluator *e, const Node *node, int64_t a, int64_t b, int64_t *value)
{
    if (b == 0) return fail(e, node->span, "division by zero");
    if (a == INT64_MIN && b == -1)
        return fail(e, node->span, "the quotient does not fit in 64 bits");
    *value = node->op == BINARY_DIV ? a / b : a % b;
    return true;
}

static bool shift(const Evaluator *e, const Node *node, int64_t a, int64_t b, int64_t *value)
{
    if (b < 0 || b > 62) return fail(e, node->span, "a shift by less than 0 or more than 62");
    if (node->op == BINARY_SHR)
        *value = a >> b;
    else if (__builtin_mul_overflow(a, (int64_t)1 << b, value))
        return fail(e, node->span, "the value does not fit in 64 bits");
    return true;
}

static bool arithmetic(const Evaluator *e, const Node *node, int64_t a, int64_t b, int64_t *value)
{
    bool overflow = false;
    switch ((BinaryOp)node->op) {
    case BINARY_ADD: overflow = __builtin_add_overflow(a, b, value); break;
    case BINARY_SUB: overflow = __builtin_sub_overflow(a, b, value); break;
    case BINARY_MUL: overflow = __builtin_mul_overflow(a, b, value); break;
    case BINARY_DIV:
    case BINARY_REM: return divide(e, node, a, b, value);
    case BINARY_SHL:
    case BINARY_SHR: return shift(e, node, a, b, value);
    case BINARY_AND: *value = a & b; break;
    case BINARY_OR: *value = a | b; break;
    case BINARY_XOR: *value = a ^ b; break;
    case BINARY_EQ: *value = a == b; break;
    case BINARY_NE: *value = a != b; break;
    case BINARY_LT: *value = a < b; break;
    case BINARY_LE: *value = a <= b; break;
    case BINARY_GT: *value = a > b; break;
    case BINARY_GE: *value = a >= b; break;
    case BINARY_ANDAND: *value = a && b; break;
    case BINARY_OROR: *value = a || b; break;
    case BINARY_COUNT: break;
    }
    return !overflow || fail(e, node->span, "the value does not fit in 64 bits");
}

static bool eval_binary(Evaluator *e, const Node *node, int64_t *value)
{
    int64_t a, b;
    if (!eval(e, node->kids[0], &a)) return false;
    bool lazy = (node->op == BINARY_ANDAND && !a) || (node->op == BINARY_OROR && a);
    if (lazy) {
        *value = node->op == BINARY_OROR;
        return true;
    }
    return eval(e, node->kids[1], &b) && arithmetic(e, node, a, b, value);
}

static bool eval_call(Evaluator *e, const Node *node, int64_t *value)
{
    const Node *callee = node->kids[0], *args = node->kids[1];
    int64_t a, b;
    bool two = callee->kind == NODE_NAME && args->kid_count == 2;
    bool known = two && (str_is(callee->text, "min") || str_is(callee->text, "max") ||
                         str_is(callee->text, "cdiv") || str_is(callee->text, "floordiv"));
    if (!known)
        return fail(e, node->span,
                    "only min, max, cdiv and floordiv of two integers can be called here");
    if (!eval(e, args->kids[0], &a) || !eval(e, args->kids[1], &b)) return false;
    if (str_is(callee->text, "min"))
        *value = a < b ? a : b;
    else if (str_is(callee->text, "max"))
        *value = a > b ? a : b;
    else if (b == 0 || (a == INT64_MIN && b == -1))
        return fail(e, node->span, "division by zero, or a quotient over 64 bits");
    else
        *value = str_is(callee->text, "cdiv") ? floor_div(a, b) + (a % b != 0) : floor_div(a, b);
    return true;
}

static bool eval_unary(Evaluator *e, const Node *node, int64_t *value)
{
    if (!eval(e, node->kids[0], value)) return false;
    if (node->op == '!')
        *value = !*value;
    else if (node->op == '~')
        *value = ~*value;
    else if (__builtin_sub_overflow((int64_t)0, *value, value))
        return fail(e, node->span, "the value does not fit in 64 bits");
    return true;
}

static bool eval(Evaluator *e, const Node *node, int64_t *value)
{
    if (!node) return false;
    if (++e->steps > STEPS_MAX) return fail(e, node->span, "too long a calculation for a constant");
    *value = 0;
    if (node->kind == NODE_INT || node->kind == NODE_BOOL) {
        *value = node->integer;
        return true;
    }
    if (node->kind == NODE_NAME) return eval_name(e, node, value);
    if (node->kind == NODE_UNARY) return eval_unary(e, node, value);
    if (node->kind == NODE_BINARY) return eval_binary(e, node, value);
    if (node->kind == NODE_CALL) return eval_call(e, node, value);
    if (node->kind == NODE_CHOICE)
        return eval(e, node->kids[0], value) && eval(e, node->kids[*value ? 1 : 2], value);
    if (node->kind == NODE_ERROR) return false;
    return fail(e, node->span, "this is not a constant integer expression");
}

// ---- config

static bool next_word(Str text, size_t *at, Str *word)
{
    while (*at < text.length && text.data[*at] == ' ') ++*at;
    size_t begin = *at;
    while (*at < text.length && text.data[*at] != ' ') ++*at;
    *word = (Str){text.data + begin, *at - begin};
    return word->length > 0;
}

// Every word of `on` is a word of the target: "avx512" fits "x86-64 avx512".
static bool fits_target(Str on, Str target)
{
    Str wanted, word;
    for (size_t k = 0; next_word(on, &k, &wanted);) {
        bool found = false;
        for (size_t j = 0; !found && next_word(target, &j, &word);) found = str_equal(wanted, word);
        if (!found) return false;
    }
    return true;
}

static void add_rows(Evaluator *e, const Node *block, Config *config)
{
    for (uint32_t r = 2; r < block->kid_count; r++) {
        const Node *row = block->kids[r];
        for (uint32_t k = 0; k < row->kid_count; k++) {
            int64_t value;
            if (eval(e, ast_kid(row->kids[k], 0), &value))
                config_set(config, row->kids[k]->text, value);
        }
    }
}

Config *module_config(Module *module, Str kernel, Str target, const Str *dim_names,
                      const int64_t *dims, uint32_t dim_count, DiagList *diags)
{
    Config *config = NULL;
    for (uint32_t f = 0; f < module->files.count; f++) {
        const Node *file = module->files.data[f];
        for (uint32_t k = 0; k < file->kid_count; k++) {
            const Node *block = file->kids[k];
            if (block->kind != NODE_CONFIG || !str_equal(block->text, kernel)) continue;
            const Node *on = ast_kid(block, 0), *when = ast_kid(block, 1);
            // Without dimensions a condition cannot be judged, which is no mistake of the file.
            Evaluator e = {.module = module,
                           .diags = dim_count ? diags : NULL,
                           .names = dim_names,
                           .values = dims,
                           .count = dim_count,
                           .kernel = module_find_kernel(module, kernel)};
            int64_t applies = 1;
            if ((on && !fits_target(on->text, target)) || (when && !eval(&e, when, &applies)) ||
                !applies)
                continue;
            e.diags = diags;
            e.kernel = NULL;
            if (!config) config = config_new(module->arena);
            add_rows(&e, block, config);
        }
    }
    return config;
}

// ---- tune

typedef struct Choices {
    VEC(int64_t) values;
} Choices;

static bool add_choice(const Evaluator *e, Choices *choices, Span span, int64_t value)
{
    if (choices->values.count == CHOICES_MAX) return fail(e, span, "more than 4096 choices");
    vec_push(e->module->arena, &choices->values, value);
    return true;
}

static bool is_pow2_call(const Node *set)
{
    return set->kind == NODE_CALL && set->kids[0]->kind == NODE_NAME &&
           str_is(set->kids[0]->text, "pow2") && set->kids[1]->kid_count == 2;
}

static bool add_powers(Evaluator *e, const Node *set, Choices *choices)
{
    int64_t lo, hi;
    if (!eval(e, set->kids[1]->kids[0], &lo) || !eval(e, set->kids[1]->kids[1], &hi)) return false;
    if (lo < 1) return fail(e, set->span, "powers of two begin at 1");
    for (int p = 0; p < 63; p++) {
        int64_t power = (int64_t)1 << p;
        if (power >= lo && power <= hi && !add_choice(e, choices, set->span, power)) return false;
    }
    return true;
}

static bool add_range(Evaluator *e, const Node *set, Choices *choices)
{
    int64_t lo = 0, hi, by = 1;
    if (set->kids[0] && !eval(e, set->kids[0], &lo)) return false;
    if (!eval(e, set->kids[1], &hi) || (set->kids[2] && !eval(e, set->kids[2], &by))) return false;
    if (by < 1) return fail(e, set->span, "a step below 1");
    for (int64_t value = lo; value < hi;) {
        if (!add_choice(e, choices, set->span, value)) return false;
        if (__builtin_add_overflow(value, by, &value)) break;
    }
    return true;
}

static bool add_set(Evaluator *e, const Node *set, Choices *choices)
{
    if (set->kind == NODE_RANGE) return add_range(e, set, choices);
    if (is_pow2_call(set)) return add_powers(e, set, choices);
    if (set->kind == NODE_ERROR) return false;
    if (set->kind != NODE_SET)
        return fail(e, set->span, "choices are written {1, 2, 4}, pow2(1, 64) or lo .. hi");
    for (uint32_t k = 0; k < set->kid_count; k++) {
        int64_t value;
        if (!eval(e, set->kids[k], &value) || !add_choice(e, choices, set->kids[k]->span, value))
            return false;
    }
    return true;
}

static bool tunable_from(Evaluator *e, const Node *tune, Tunable *tunable)
{
    Choices choices = {0};
    const Node *set = ast_kid(tune, 0), *initial = ast_kid(tune, 1);
    if (!add_set(e, set, &choices)) return false;
    if (!choices.values.count) return fail(e, set->span, "there is nothing to choose from");
    *tunable = (Tunable){.name = tune->text,
                         .choices = choices.values.data,
                         .choice_count = choices.values.count,
                         .initial = choices.values.data[0]};
    if (!initial) return true;
    if (!eval(e, initial, &tunable->initial)) return false;
    for (uint32_t k = 0; k < tunable->choice_count; k++)
        if (tunable->choices[k] == tunable->initial) return true;
    return fail(e, initial->span, "the default is none of the choices");
}

typedef struct Tunables {
    VEC(Tunable) list;
} Tunables;

static void collect(Evaluator *e, const Node *node, Arena *arena, Tunables *found)
{
    if (!node) return;
    Tunable tunable;
    if (node->kind == NODE_TUNE && tunable_from(e, node, &tunable))
        vec_push(arena, &found->list, tunable);
    for (uint32_t k = 0; k < node->kid_count; k++) collect(e, node->kids[k], arena, found);
}

uint32_t module_tunables(Module *module, Str kernel, Arena *arena, Tunable **tunables,
                         DiagList *diags)
{
    Evaluator e = {.module = module, .diags = diags};
    Tunables found = {0};
    for (uint32_t f = 0; f < module->files.count; f++) {
        const Node *file = module->files.data[f];
        for (uint32_t k = 0; k < file->kid_count; k++)
            if (file->kids[k]->kind == NODE_TUNE) collect(&e, file->kids[k], arena, &found);
    }
    collect(&e, module_find_kernel(module, kernel), arena, &found);
    *tunables = found.list.data;
    return found.list.count;
}

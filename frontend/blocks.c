// What `shapes`, `config` and `test` blocks say against the kernels that they are about: that there
// is such a kernel, and that it has what they set or expect. Values are looked at when they are
// used.
//
//     test softmax { x: f32[3, 5] = randn; expect z = 1; }      HK0217: softmax has no output 'z'
#include "frontend/frontend.h"

typedef struct Blocks {
    Module *module;
    DiagList *diags;
    const Node *kernel;
    const Tunable *tunables;
    uint32_t tunable_count;
} Blocks;

static void suggest(Blocks *b, Diag *diag, Str name, Str best, size_t distance)
{
    if (best.length && distance < 3 && distance < name.length)
        diag_hint(b->diags, diag, "did you mean '%.*s'?", STR_ARG(best));
}

static bool find_kernel(Blocks *b, Str name, Span span)
{
    b->kernel = module_find_kernel(b->module, name);
    b->tunable_count = 0;
    if (b->kernel) {
        DiagList ignored = {.arena = b->module->arena, .sources = b->module->sources};
        Tunable *list = NULL;
        b->tunable_count = module_tunables(b->module, name, b->module->arena, &list, &ignored);
        b->tunables = list;
        return true;
    }
    Diag *diag =
        diag_add(b->diags, DIAG_UNKNOWN_KERNEL, span, "unknown kernel '%.*s'", STR_ARG(name));
    Str best = {0};
    size_t distance = SIZE_MAX;
    for (uint32_t k = 0; k < module_kernel_count(b->module); k++) {
        Str other = module_kernel(b->module, k)->text;
        size_t d = str_distance(other, name);
        if (d < distance) distance = d, best = other;
    }
    suggest(b, diag, name, best, distance);
    return false;
}

// Whether a tree speaks of a name: a parameter, a size, a constant.
static bool mentions(const Node *node, Str name)
{
    if (!node) return false;
    if (str_equal(node->text, name)) return true;
    for (uint32_t k = 0; k < node->kid_count; k++)
        if (mentions(node->kids[k], name)) return true;
    return false;
}

static bool has_name(const Blocks *b, Str name)
{
    const Node *kernel = b->kernel;
    for (uint32_t k = 0; k + 1 < kernel->kid_count; k++) // all but the body
        if (mentions(kernel->kids[k], name)) return true;
    for (uint32_t k = 0; k < b->tunable_count; k++)
        if (str_equal(b->tunables[k].name, name)) return true;
    return false;
}

static const Node *param_named(const Node *params, Str name)
{
    for (uint32_t k = 0; params && k < params->kid_count; k++)
        if (str_equal(params->kids[k]->text, name)) return params->kids[k];
    return NULL;
}

static void nearest_param(const Node *params, Str name, Str *best, size_t *distance)
{
    for (uint32_t k = 0; params && k < params->kid_count; k++) {
        size_t d = str_distance(params->kids[k]->text, name);
        if (d < *distance) *distance = d, *best = params->kids[k]->text;
    }
}

static void complain(Blocks *b, const Node *node, const char *what, bool inputs)
{
    Diag *diag =
        diag_add(b->diags, DIAG_UNKNOWN_SETTING, node->text_span, "kernel '%.*s' has no %s '%.*s'",
                 STR_ARG(b->kernel->text), what, STR_ARG(node->text));
    Str best = {0};
    size_t distance = SIZE_MAX;
    if (inputs) nearest_param(ast_kid(b->kernel, 1), node->text, &best, &distance);
    nearest_param(ast_kid(b->kernel, 2), node->text, &best, &distance);
    suggest(b, diag, node->text, best, distance);
}

static void check_shapes(Blocks *b, const Node *block)
{
    const Node *names = ast_kid(block, 0);
    for (uint32_t n = 0; n < names->kid_count; n++) {
        if (!find_kernel(b, names->kids[n]->text, names->kids[n]->span)) continue;
        for (uint32_t r = 1; r < block->kid_count; r++) {
            const Node *row = block->kids[r];
            for (uint32_t k = 0; row && k < row->kid_count; k++)
                if (!has_name(b, row->kids[k]->text))
                    complain(b, row->kids[k], "size, parameter or tunable", true);
        }
    }
}

// Names that the kernel lacks may stand for sizes within the test, if something there uses them.
static bool used_in_test(const Node *test, const Node *setting)
{
    for (uint32_t k = 1; k < test->kid_count; k++) {
        const Node *item = test->kids[k];
        if (!item || item == setting) continue;
        for (uint32_t i = 0; i < item->kid_count; i++)
            if (mentions(item->kids[i], setting->text)) return true;
    }
    return false;
}

static void check_item(Blocks *b, const Node *test, const Node *item)
{
    const Node *inputs = ast_kid(b->kernel, 1), *results = ast_kid(b->kernel, 2);
    if (item->kind == NODE_TEST_TENSOR && !param_named(inputs, item->text)) {
        complain(b, item, "input", true);
    } else if (item->kind == NODE_SETTING && !has_name(b, item->text) &&
               !used_in_test(test, item)) {
        complain(b, item, "size, parameter or tunable", true);
    } else if (item->kind == NODE_EXPECT && !param_named(results, item->text)) {
        const Node *input = param_named(inputs, item->text);
        bool inout = input && (input->flags & NODE_FLAG_INOUT);
        if (!inout && !str_equal(item->text, str_of("fails"))) complain(b, item, "output", false);
    }
}

void module_check_blocks(Module *module, DiagList *diags)
{
    Blocks b = {.module = module, .diags = diags};
    const Node *file = module->files.data[0];
    for (uint32_t i = 0; i < file->kid_count; i++) {
        const Node *block = file->kids[i];
        if (block->kind == NODE_SHAPES) check_shapes(&b, block);
        if (block->kind == NODE_CONFIG) find_kernel(&b, block->text, block->text_span);
        if (block->kind != NODE_TEST || !find_kernel(&b, block->text, block->text_span)) continue;
        for (uint32_t k = 1; k < block->kid_count; k++)
            if (block->kids[k]) check_item(&b, block, block->kids[k]);
    }
}

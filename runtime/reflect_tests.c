// The `test` blocks of a module's main file, as texts: their values are the program's business.
#include "runtime/internal.h"

// `<f32, causal = true>`: what has no name is for the template parameter at its place.
static void reflect_defines(hk_module *module, const hk_kernel *kernel, const Node *list,
                            hk_test *test)
{
    if (!list) return;
    hk_define *defines = arena_array(&module->arena, hk_define, list->kid_count + 1);
    for (uint32_t i = 0; i < list->kid_count; i++) {
        const Node *node = list->kids[i];
        bool named = node && node->kind == NODE_SETTING;
        const Node *value = named ? ast_kid(node, 0) : node;
        if (!value) continue;
        const char *name = named ? str_copy(&module->arena, node->text).data
                           : kernel && i < kernel->template_count ? kernel->templates[i].name
                                                                  : "";
        defines[test->define_count++] =
            (hk_define){name, source_slice(module, &module->arena, value->span)};
    }
    test->defines = defines;
}

static const char *slice_or_null(const hk_module *module, Arena *arena, const Node *node)
{
    return node ? source_slice(module, arena, node->span) : NULL;
}

static void reflect_item(hk_module *module, const Node *node, hk_test_item *item)
{
    Arena *arena = &module->arena;
    bool tensor = node->kind == NODE_TEST_TENSOR;
    *item = (hk_test_item){.struct_size = sizeof *item,
                           .kind = tensor                      ? HK_TEST_TENSOR
                                   : node->kind == NODE_EXPECT ? HK_TEST_EXPECT
                                                               : HK_TEST_SETTING,
                           .name = str_copy(arena, node->text).data,
                           .type = tensor ? slice_or_null(module, arena, ast_kid(node, 0)) : NULL,
                           .value = slice_or_null(module, arena, ast_kid(node, tensor ? 1 : 0))};
    if (node->kind == NODE_EXPECT) item->within = slice_or_null(module, arena, ast_kid(node, 1));
}

static void reflect_test(hk_module *module, const Node *node, TestBlock *test)
{
    const char *name = str_copy(&module->arena, node->text).data;
    test->about = (hk_test){
        .struct_size = sizeof test->about,
        .kernel = name,
        .span = {
            str_copy(&module->arena, module->sources.sources.data[node->span.source].name).data,
            node->span.line, node->span.column, node->span.end_line, node->span.end_column}};
    reflect_defines(module, hk_module_kernel_named(module, name), ast_kid(node, 0), &test->about);
    test->items = arena_array(&module->arena, hk_test_item, node->kid_count + 1);
    for (uint32_t i = 1; i < node->kid_count; i++) {
        const Node *kid = node->kids[i];
        bool item = kid && (kid->kind == NODE_TEST_TENSOR || kid->kind == NODE_SETTING ||
                            kid->kind == NODE_EXPECT);
        if (item) reflect_item(module, kid, &test->items[test->about.item_count++]);
    }
}

void tests_reflect(hk_module *module)
{
    const Node *file = module->parsed->files.data[0];
    module->tests = arena_array(&module->arena, TestBlock, file->kid_count + 1);
    for (uint32_t k = 0; k < file->kid_count; k++) {
        if (file->kids[k]->kind == NODE_TEST)
            reflect_test(module, file->kids[k], &module->tests[module->test_count++]);
    }
}

size_t hk_module_test_count(const hk_module *module)
{
    return module ? module->test_count : 0;
}

hk_status hk_module_test(const hk_module *module, size_t index, hk_test *test)
{
    bool fits = module && test && test->struct_size == sizeof *test && index < module->test_count;
    if (!fits) return HK_ERROR_USAGE;
    *test = module->tests[index].about;
    return HK_OK;
}

hk_status hk_module_test_item(const hk_module *module, size_t index, size_t item, hk_test_item *out)
{
    bool fits = module && out && out->struct_size == sizeof *out && index < module->test_count &&
                item < module->tests[index].about.item_count;
    if (!fits) return HK_ERROR_USAGE;
    *out = module->tests[index].items[item];
    return HK_OK;
}

// What a generic kernel says of itself: parameters, template parameters, tunables, shapes. Texts
// are slices of the source, so they read as the author wrote them.
#include "runtime/internal.h"

const char *source_slice(const hk_module *module, Arena *arena, Span span)
{
    if (!span.line || span.source >= module->sources.sources.count) return "";
    Str text = module->sources.sources.data[span.source].text;
    size_t at = 0, line = 1;
    for (; at < text.length && line < span.line; at++) line += text.data[at] == '\n';
    size_t start = at + span.column - 1u;
    for (; at < text.length && line < span.end_line; at++) line += text.data[at] == '\n';
    size_t end = at + span.end_column - 1u;
    if (end > text.length) end = text.length;
    if (start > end) start = end;
    Buf out = {.arena = arena};
    buf_add(&out, "", 0);
    for (size_t i = start; i < end; i++) {
        bool blank = text.data[i] == ' ' || text.data[i] == '\n' || text.data[i] == '\t' ||
                     text.data[i] == '\r';
        if (!blank)
            buf_char(&out, text.data[i]);
        else if (out.length && out.data[out.length - 1] != ' ')
            buf_char(&out, ' ');
    }
    return out.data;
}

static void reflect_param(const hk_module *module, Arena *arena, const Node *node, bool result,
                          hk_param *param)
{
    const Node *type = ast_kid(node, 0), *dims = ast_kid(type, 1);
    bool tensor =
        result || (node->flags & NODE_FLAG_INOUT) || (type && (type->flags & NODE_FLAG_HAS_DIMS));
    *param = (hk_param){.struct_size = sizeof *param, .pack = -1};
    param->kind = !tensor                         ? HK_PARAM_SCALAR
                  : result                        ? HK_PARAM_OUT
                  : node->flags & NODE_FLAG_INOUT ? HK_PARAM_INOUT
                                                  : HK_PARAM_IN;
    param->name = str_copy(arena, node->text).data;
    param->text = source_slice(module, arena, node->span);
    const Node *args = ast_kid(type, 0);
    param->type = !type ? ""
                  : args && args->kid_count
                      ? str_format(arena, "%.*s(...)", STR_ARG(type->text)).data
                      : str_copy(arena, type->text).data;
    param->optional = (type && (type->flags & NODE_FLAG_OPTIONAL)) || (!tensor && ast_kid(node, 2));
    param->dim_count = dims ? dims->kid_count : 0;
    const char **texts = arena_array(arena, const char *, param->dim_count + 1);
    for (size_t i = 0; i < param->dim_count; i++) {
        const Node *dim = dims->kids[i];
        texts[i] = dim ? source_slice(module, arena, dim->span) : "";
        if (dim && dim->kind == NODE_PACK) param->pack = (int32_t)i;
    }
    param->dims = texts;
}

static void reflect_params(hk_module *module, hk_kernel *kernel)
{
    Arena *arena = &module->arena;
    const Node *inputs = ast_kid(kernel->node, 1), *results = ast_kid(kernel->node, 2);
    size_t in = inputs ? inputs->kid_count : 0, out = results ? results->kid_count : 0;
    kernel->params = arena_array(arena, hk_param, in + out + 1);
    kernel->param_spans = arena_array(arena, Span, in + out + 1);
    for (size_t i = 0; i < in + out; i++) {
        const Node *node = i < in ? inputs->kids[i] : results->kids[i - in];
        if (!node || node->kind != NODE_PARAM) continue;
        kernel->param_spans[kernel->param_count] = node->span;
        reflect_param(module, arena, node, i >= in, &kernel->params[kernel->param_count++]);
    }
}

static void reflect_templates(hk_module *module, hk_kernel *kernel)
{
    Arena *arena = &module->arena;
    const Node *list = ast_kid(kernel->node, 0);
    kernel->templates = arena_array(arena, hk_template, list ? list->kid_count + 1 : 1);
    for (uint32_t i = 0; list && i < list->kid_count; i++) {
        const Node *node = list->kids[i];
        if (!node || node->kind != NODE_TEMPLATE) continue;
        const Node *constraint = ast_kid(node, 0), *initial = ast_kid(node, 1);
        kernel->templates[kernel->template_count++] = (hk_template){
            .struct_size = sizeof(hk_template),
            .name = str_copy(arena, node->text).data,
            .constraint = constraint ? source_slice(module, arena, constraint->span) : "",
            .initial = initial ? source_slice(module, arena, initial->span) : NULL};
    }
}

// The value of integers under + - *, as sizes are written: `P = 8 * 2048`.
static bool whole_value(const Node *node, int64_t *x)
{
    if (node->kind == NODE_INT) return *x = node->integer, true;
    int64_t a, b;
    if (node->kind != NODE_BINARY || !whole_value(node->kids[0], &a) ||
        !whole_value(node->kids[1], &b))
        return false;
    if (node->op == BINARY_ADD) return !__builtin_add_overflow(a, b, x);
    if (node->op == BINARY_SUB) return !__builtin_sub_overflow(a, b, x);
    return node->op == BINARY_MUL && !__builtin_mul_overflow(a, b, x);
}

static void reflect_shapes(hk_module *module, hk_kernel *kernel)
{
    Arena *arena = &module->arena;
    ShapeRow *rows = NULL;
    uint32_t count = module_shapes(module->parsed, str_of(kernel->name), arena, &rows);
    kernel->shapes = arena_array(arena, const char *, count + 1);
    kernel->shape_is_test = arena_array(arena, bool, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        Buf out = {.arena = arena};
        buf_add(&out, "", 0);
        for (uint32_t k = 0; k < rows[i].row->kid_count; k++) {
            const Node *setting = rows[i].row->kids[k], *value = ast_kid(setting, 0);
            if (!setting || !value) continue;
            int64_t whole;
            const char *text = whole_value(value, &whole)
                                   ? str_format(arena, "%lld", (long long)whole).data
                                   : source_slice(module, arena, value->span);
            buf_printf(&out, "%s%.*s = %s", k ? ", " : "", STR_ARG(setting->text), text);
        }
        kernel->shapes[i] = out.data;
        kernel->shape_is_test[i] = rows[i].test;
    }
    kernel->shape_count = count;
}

static void reflect_tunables(hk_module *module, hk_kernel *kernel)
{
    Arena *arena = &module->arena;
    DiagList ignored = {.arena = arena,
                        .sources = &module->sources}; // told when the kernel is instantiated
    Tunable *list = NULL;
    uint32_t count = module_tunables(module->parsed, str_of(kernel->name), arena, &list, &ignored);
    kernel->tunables = arena_array(arena, hk_tunable, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        kernel->tunables[i] = (hk_tunable){.struct_size = sizeof(hk_tunable),
                                           .name = str_copy(arena, list[i].name).data,
                                           .choices = list[i].choices,
                                           .choice_count = list[i].choice_count,
                                           .initial = list[i].initial};
    }
    kernel->tunable_count = count;
}

void kernels_reflect(hk_module *module)
{
    uint32_t count = module_kernel_count(module->parsed);
    module->kernels = arena_array(&module->arena, hk_kernel, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        hk_kernel *kernel = &module->kernels[i];
        kernel->module = module;
        kernel->node = module_kernel(module->parsed, i);
        kernel->name = str_copy(&module->arena, kernel->node->text).data;
        reflect_params(module, kernel);
        reflect_templates(module, kernel);
        reflect_shapes(module, kernel);
        reflect_tunables(module, kernel);
    }
    module->kernel_count = count;
}

size_t hk_module_kernel_count(const hk_module *module)
{
    return module ? module->kernel_count : 0;
}

const hk_kernel *hk_module_kernel(const hk_module *module, size_t index)
{
    return module && index < module->kernel_count ? &module->kernels[index] : NULL;
}

const hk_kernel *hk_module_kernel_named(const hk_module *module, const char *name)
{
    if (!module) return NULL;
    if (!name) return hk_module_kernel(module, 0);
    for (size_t i = 0; i < module->kernel_count; i++) {
        if (strcmp(module->kernels[i].name, name) == 0) return &module->kernels[i];
    }
    return NULL;
}

const char *hk_kernel_name(const hk_kernel *kernel)
{
    return kernel ? kernel->name : NULL;
}

size_t hk_kernel_param_count(const hk_kernel *kernel)
{
    return kernel ? kernel->param_count : 0;
}

hk_status hk_kernel_param(const hk_kernel *kernel, size_t index, hk_param *param)
{
    if (!kernel || !param || param->struct_size != sizeof *param || index >= kernel->param_count) {
        return HK_ERROR_USAGE;
    }
    *param = kernel->params[index];
    return HK_OK;
}

size_t hk_kernel_template_count(const hk_kernel *kernel)
{
    return kernel ? kernel->template_count : 0;
}

hk_status hk_kernel_template(const hk_kernel *kernel, size_t index, hk_template *out)
{
    if (!kernel || !out || out->struct_size != sizeof *out || index >= kernel->template_count) {
        return HK_ERROR_USAGE;
    }
    *out = kernel->templates[index];
    return HK_OK;
}

size_t hk_kernel_tunable_count(const hk_kernel *kernel)
{
    return kernel ? kernel->tunable_count : 0;
}

hk_status hk_kernel_tunable(const hk_kernel *kernel, size_t index, hk_tunable *out)
{
    if (!kernel || !out || out->struct_size != sizeof *out || index >= kernel->tunable_count) {
        return HK_ERROR_USAGE;
    }
    *out = kernel->tunables[index];
    return HK_OK;
}

size_t hk_kernel_shape_count(const hk_kernel *kernel)
{
    return kernel ? kernel->shape_count : 0;
}

const char *hk_kernel_shape(const hk_kernel *kernel, size_t index, bool *is_test)
{
    if (!kernel || index >= kernel->shape_count) return NULL;
    if (is_test) *is_test = kernel->shape_is_test[index];
    return kernel->shapes[index];
}

// One file's text to its tree, and what a module of several files consists of.
#include "frontend/frontend.h"
#include "frontend/syntax.h"

// Follows the deepest children to where the tree gets too deep: the place that the user must
// divide.
static bool depth_is_fine(Parser *parser, const Node *file)
{
    if (file->depth <= TREE_DEPTH_MAX) return true;
    const Node *node = file;
    while (node->depth > TREE_DEPTH_MAX) {
        const Node *deepest = NULL;
        for (uint32_t k = 0; k < node->kid_count; k++)
            if (node->kids[k] && (!deepest || node->kids[k]->depth > deepest->depth))
                deepest = node->kids[k];
        node = deepest;
    }
    syntax_too_deep(parser, node->span, TREE_DEPTH_MAX);
    return false;
}

Node *parse_source(Arena *arena, SourceSet *sources, uint32_t source, DiagList *diags)
{
    Parser parser = {.arena = arena,
                     .sources = sources,
                     .diags = diags,
                     .source = source,
                     .text = sources->sources.data[source].text,
                     .line = 1,
                     .column = 1};
    if (parser.text.length > SOURCE_BYTES_MAX) {
        Diag *diag = diag_add(diags, DIAG_SOURCE_TOO_LARGE, (Span){.source = source},
                              "%.*s has %zu bytes; the most is %d",
                              STR_ARG(sources->sources.data[source].name), parser.text.length,
                              SOURCE_BYTES_MAX);
        diag_hint(diags, diag, "divide it and import the parts");
        return NULL;
    }
    Node *file = parse_tokens(&parser);
    return file && depth_is_fine(&parser, file) ? file : NULL;
}

static const Node *kernel_at(const Node *file, uint32_t index)
{
    for (uint32_t k = 0; k < file->kid_count; k++)
        if (file->kids[k]->kind == NODE_KERNEL && index-- == 0) return file->kids[k];
    return NULL;
}

uint32_t module_kernel_count(const Module *module)
{
    uint32_t count = 0;
    while (kernel_at(module->files.data[0], count)) count++;
    return count;
}

const Node *module_kernel(const Module *module, uint32_t index)
{
    return kernel_at(module->files.data[0], index);
}

const Node *module_find_kernel(const Module *module, Str name)
{
    for (uint32_t f = 0; f < module->files.count; f++) {
        const Node *file = module->files.data[f];
        for (uint32_t k = 0; k < file->kid_count; k++)
            if (file->kids[k]->kind == NODE_KERNEL && str_equal(file->kids[k]->text, name))
                return file->kids[k];
    }
    return NULL;
}

static bool names_kernel(const Node *shapes, Str kernel)
{
    const Node *names = ast_kid(shapes, 0);
    for (uint32_t k = 0; k < names->kid_count; k++)
        if (str_equal(names->kids[k]->text, kernel)) return true;
    return false;
}

uint32_t module_shapes(const Module *module, Str kernel, Arena *arena, ShapeRow **rows)
{
    VEC(ShapeRow) found = {0};
    for (uint32_t f = 0; f < module->files.count; f++) {
        const Node *file = module->files.data[f];
        for (uint32_t k = 0; k < file->kid_count; k++) {
            const Node *shapes = file->kids[k];
            if (shapes->kind != NODE_SHAPES || !names_kernel(shapes, kernel)) continue;
            for (uint32_t r = 1; r < shapes->kid_count; r++)
                vec_push(
                    arena, &found,
                    (ShapeRow){(shapes->kids[r]->flags & NODE_FLAG_TEST) != 0, shapes->kids[r]});
        }
    }
    *rows = found.data;
    return found.count;
}

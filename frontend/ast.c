// Constructors and the printer of the syntax tree.
//
//     x * 2   ->   (binary "*"
//                    (name "x")
//                    (int "2"))
#include "frontend/ast.h"

#include <stdarg.h>

static const char *const names[NODE_COUNT] = {
    [NODE_NONE] = "none",
#define NODE(id, name, children) [NODE_##id] = name,
#include "frontend/nodes.def"
};

static const char *const spellings[BINARY_COUNT] = {
    [BINARY_ADD] = "+",     [BINARY_SUB] = "-",   [BINARY_MUL] = "*", [BINARY_DIV] = "/",
    [BINARY_REM] = "%",     [BINARY_AND] = "&",   [BINARY_OR] = "|",  [BINARY_XOR] = "^",
    [BINARY_SHL] = "<<",    [BINARY_SHR] = ">>",  [BINARY_EQ] = "==", [BINARY_NE] = "!=",
    [BINARY_LT] = "<",      [BINARY_LE] = "<=",   [BINARY_GT] = ">",  [BINARY_GE] = ">=",
    [BINARY_ANDAND] = "&&", [BINARY_OROR] = "||",
};

const char *node_name(NodeKind kind)
{
    return names[kind];
}

const char *binary_spelling(BinaryOp op)
{
    return spellings[op];
}

Node *ast_node(Arena *arena, NodeKind kind, Span span)
{
    Node *node = arena_new(arena, Node);
    node->kind = kind;
    node->span = node->text_span = span;
    node->depth = 1;
    return node;
}

static void add_all(Arena *arena, Node *node, uint32_t count, va_list kids)
{
    for (uint32_t k = 0; k < count; k++) ast_add(arena, node, va_arg(kids, Node *));
}

Node *ast_tree(Arena *arena, NodeKind kind, Span span, uint32_t kid_count, ...)
{
    Node *node = ast_node(arena, kind, span);
    va_list kids;
    va_start(kids, kid_count);
    add_all(arena, node, kid_count, kids);
    va_end(kids);
    return node;
}

Node *ast_named(Arena *arena, NodeKind kind, Span span, Span text_span, Str text,
                uint32_t kid_count, ...)
{
    Node *node = ast_node(arena, kind, span);
    node->text = text;
    node->text_span = text_span;
    va_list kids;
    va_start(kids, kid_count);
    add_all(arena, node, kid_count, kids);
    va_end(kids);
    return node;
}

Node *ast_name(Arena *arena, Span span, Str text)
{
    return ast_named(arena, NODE_NAME, span, span, text, 0);
}

Node *ast_names(Arena *arena, Span span, Str text)
{
    return ast_tree(arena, NODE_NAMES, span, 1, ast_name(arena, span, text));
}

// The array of kids doubles at powers of two, so its capacity need not be kept.
void ast_add(Arena *arena, Node *node, Node *kid)
{
    uint32_t n = node->kid_count;
    if ((n & (n - 1)) == 0) {
        Node **kids = arena_array(arena, Node *, n ? 2 * n : 1);
        if (n) memcpy(kids, node->kids, n * sizeof *kids);
        node->kids = kids;
    }
    node->kids[node->kid_count++] = kid;
    if (kid && kid->depth >= node->depth) node->depth = kid->depth + 1;
}

void ast_insert(Arena *arena, Node *node, Node *kid)
{
    ast_add(arena, node, kid);
    memmove(node->kids + 1, node->kids, (node->kid_count - 1) * sizeof *node->kids);
    node->kids[0] = kid;
}

void ast_set(Arena *arena, Node *node, uint32_t k, Node *kid)
{
    while (node->kid_count <= k) ast_add(arena, node, NULL);
    node->kids[k] = kid;
    if (kid && kid->depth >= node->depth) node->depth = kid->depth + 1;
}

Node *ast_extend(Arena *arena, Node *list, Span span, Node *kid)
{
    ast_add(arena, list, kid);
    return ast_spread(list, span);
}

Node *ast_spread(Node *node, Span span)
{
    bool named = node->text.length > 0;
    node->span = span;
    if (!named) node->text_span = span;
    return node;
}

Node *ast_list(Node *list, NodeKind kind)
{
    list->kind = kind;
    return list;
}

Node *ast_parens(Node *tuple, Span span)
{
    if (tuple->kid_count > 1) return ast_spread(tuple, span);
    Node *inner = tuple->kids[0];
    inner->flags |= NODE_FLAG_PARENS;
    inner->span = span;
    return inner;
}

Node *ast_plain_range(Node *range)
{
    bool plain = range->kind == NODE_RANGE && !range->kids[0] && !range->kids[2] && !range->flags;
    return plain ? range->kids[1] : range;
}

static void print_flags(Buf *out, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } known[] = {
        {NODE_FLAG_INOUT, "inout"},       {NODE_FLAG_PARTIAL, "partial"},
        {NODE_FLAG_OPTIONAL, "optional"}, {NODE_FLAG_TWIN, "twin"},
        {NODE_FLAG_SERIAL, "serial"},     {NODE_FLAG_REVERSE, "reverse"},
        {NODE_FLAG_FOLD, "fold"},         {NODE_FLAG_UNORDERED, "unordered"},
        {NODE_FLAG_TEST, "test"},         {NODE_FLAG_PARENS, "parens"},
        {NODE_FLAG_QUOTED, "quoted"},
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (flags & known[k].flag) buf_printf(out, " :%s", known[k].name);
}

static void print_text(Buf *out, Str text)
{
    buf_add(out, " \"", 2);
    for (size_t k = 0; k < text.length; k++) {
        char c = text.data[k];
        if (c == '\n')
            buf_add(out, "\\n", 2);
        else if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else
            buf_char(out, c);
    }
    buf_char(out, '"');
}

static void print_operator(Buf *out, const Node *node)
{
    if (node->kind == NODE_BINARY) {
        buf_printf(out, " \"%s\"", binary_spelling((BinaryOp)node->op));
        return;
    }
    if (!node->op) return;
    bool shift = node->op == '<' || node->op == '>';
    const char *assigns = node->kind == NODE_ASSIGN ? "=" : "";
    buf_printf(out, " \"%.*s%s\"", shift ? 2 : 1, (char[]){(char)node->op, (char)node->op, 0},
               assigns);
}

static void print_node(Buf *out, const Node *node, int indent)
{
    for (int k = 0; k < indent; k++) buf_add(out, "  ", 2);
    if (!node) {
        buf_char(out, '-');
        return;
    }
    buf_printf(out, "(%s", node_name(node->kind));
    if (node->text.length || node->kind == NODE_STRING) print_text(out, node->text);
    if (node->kind == NODE_BOOL) buf_printf(out, " %s", node->integer ? "true" : "false");
    print_operator(out, node);
    print_flags(out, node->flags);
    for (uint32_t k = 0; k < node->kid_count; k++) {
        buf_char(out, '\n');
        print_node(out, node->kids[k], indent + 1);
    }
    buf_char(out, ')');
}

void ast_print(Buf *out, const Node *node)
{
    print_node(out, node, 0);
    buf_char(out, '\n');
}

// The syntax tree: one uniform node. What the children of each kind are stands in nodes.def.
#ifndef HK_FRONTEND_AST_H
#define HK_FRONTEND_AST_H

#include "ir/base/diag.h"

typedef enum NodeKind {
    NODE_NONE,
#define NODE(id, name, children) NODE_##id,
#include "frontend/nodes.def"
    NODE_COUNT
} NodeKind;

typedef enum BinaryOp {
    BINARY_ADD,
    BINARY_SUB,
    BINARY_MUL,
    BINARY_DIV,
    BINARY_REM,
    BINARY_AND,
    BINARY_OR,
    BINARY_XOR,
    BINARY_SHL,
    BINARY_SHR,
    BINARY_EQ,
    BINARY_NE,
    BINARY_LT,
    BINARY_LE,
    BINARY_GT,
    BINARY_GE,
    BINARY_ANDAND,
    BINARY_OROR,
    BINARY_COUNT
} BinaryOp;

enum {
    NODE_FLAG_INOUT = 1,
    NODE_FLAG_PARTIAL = 2,
    NODE_FLAG_OPTIONAL = 4,
    NODE_FLAG_HAS_DIMS = 8,
    NODE_FLAG_TWIN = 16,
    NODE_FLAG_SERIAL = 32,
    NODE_FLAG_REVERSE = 64,
    NODE_FLAG_FOLD = 128,
    NODE_FLAG_UNORDERED = 256,
    NODE_FLAG_TEST = 512,
    NODE_FLAG_PARENS = 1024,
    NODE_FLAG_QUOTED = 2048
};

typedef struct Node Node;
struct Node {
    NodeKind kind;
    uint32_t op, flags;
    Span span;      // all of it; of an expression in parentheses with them
    Span text_span; // where `text` stands, for a caret under a name; the whole span if there is no
                    // text
    Str text;
    int64_t integer;
    double number;
    uint32_t depth; // levels below and with this one; at most TREE_DEPTH_MAX, so recursion is safe
    uint32_t kid_count;
    Node **kids;
};

// ---- building: what the grammar's actions call. Kids may be NULL: an optional part that is
// absent.
Node *ast_node(Arena *arena, NodeKind kind, Span span);
Node *ast_tree(Arena *arena, NodeKind kind, Span span, uint32_t kid_count, ...);
Node *ast_named(Arena *arena, NodeKind kind, Span span, Span text_span, Str text,
                uint32_t kid_count, ...);
Node *ast_name(Arena *arena, Span span, Str text);  // NAME
Node *ast_names(Arena *arena, Span span, Str text); // NAMES with one NAME
void ast_add(Arena *arena, Node *node, Node *kid);
void ast_insert(Arena *arena, Node *node, Node *kid); // before all others
void ast_set(Arena *arena, Node *node, uint32_t k, Node *kid);
Node *ast_extend(Arena *arena, Node *list, Span span, Node *kid); // adds, and the list spans `span`
Node *ast_spread(Node *node, Span span);                          // gives it this span
Node *ast_list(Node *list, NodeKind kind);                        // makes a list of another kind
Node *ast_parens(Node *tuple, Span span);                         // (e): e itself; else the tuple
Node *ast_plain_range(Node *range); // 0 .. e without by and reverse: e itself

// ---- reading
const char *node_name(NodeKind kind);
const char *binary_spelling(BinaryOp op);
void ast_print(Buf *out, const Node *node); // an indented s-expression, one node a line

static inline Node *ast_kid(const Node *node, uint32_t k)
{
    return node && k < node->kid_count ? node->kids[k] : NULL;
}

#endif

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
    BINARY_ADD, BINARY_SUB, BINARY_MUL, BINARY_DIV, BINARY_REM, BINARY_AND, BINARY_OR, BINARY_XOR,
    BINARY_SHL, BINARY_SHR, BINARY_EQ, BINARY_NE, BINARY_LT, BINARY_LE, BINARY_GT, BINARY_GE,
    BINARY_ANDAND, BINARY_OROR,
    BINARY_COUNT
} BinaryOp;

enum { NODE_FLAG_INOUT = 1, NODE_FLAG_PARTIAL = 2, NODE_FLAG_OPTIONAL = 4, NODE_FLAG_HAS_DIMS = 8,
       NODE_FLAG_TWIN = 16, NODE_FLAG_SERIAL = 32, NODE_FLAG_REVERSE = 64, NODE_FLAG_FOLD = 128,
       NODE_FLAG_UNORDERED = 256, NODE_FLAG_TEST = 512, NODE_FLAG_PARENS = 1024, NODE_FLAG_QUOTED = 2048 };

typedef struct Node Node;
struct Node {
    NodeKind kind;
    uint32_t op, flags;
    Span span;
    Str text;
    int64_t integer;
    double number;
    uint32_t kid_count;
    Node **kids;
};

Node *ast_node(Arena *arena, NodeKind kind, Span span);
void ast_add(Arena *arena, Node *node, Node *kid); // kid may be NULL
const char *node_name(NodeKind kind);
void ast_print(Buf *out, const Node *node); // an indented s-expression, one node a line

static inline Node *ast_kid(const Node *node, uint32_t k)
{
    return node && k < node->kid_count ? node->kids[k] : NULL;
}

#endif

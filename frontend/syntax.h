// What the scanner, the grammar and the syntax diagnostics share. Nobody else includes this.
#ifndef HK_FRONTEND_SYNTAX_H
#define HK_FRONTEND_SYNTAX_H

#include "frontend/ast.h"

// Brackets, braces and parentheses inside each other; and levels of the tree, which long chains of
// operators or of `else if` make deep too. Every later recursion over the tree relies on both.
enum { NESTING_MAX = 256, TREE_DEPTH_MAX = 1024, NAME_LENGTH_MAX = 255 };

typedef struct Parser Parser;
struct Parser {
    Arena *arena;
    SourceSet *sources;
    DiagList *diags;
    Str text;      // of the source, which outlives the tree: texts in nodes point into it
    uint32_t source;
    size_t offset; // just behind the current token
    uint32_t line, column;
    uint32_t nesting;
    bool stopped; // an error after which going on makes no sense
    Node *file;
};

// ---- for the scanner
Span syntax_step(Parser *parser, const char *text, size_t length); // moves on over a token, gives its span
Str syntax_text(const Parser *parser, size_t length);              // the last `length` bytes, in the source
int64_t syntax_integer(Parser *parser, Span span, Str text);
double syntax_float(Parser *parser, Span span, Str text);
Str syntax_string(Parser *parser, Span span, Str text); // without quotes, escapes resolved
void syntax_name(Parser *parser, Span span, Str text);  // refuses what is too long
bool syntax_open(Parser *parser, Span span);            // one level deeper; false: too deep, stop
void syntax_close(Parser *parser);
void syntax_bad_bytes(Parser *parser, Span span, Str text);

// ---- for the grammar
typedef struct Expected {
    const char *const *names; // of the tokens that could stand here
    uint32_t count;
} Expected;
void syntax_unexpected(Parser *parser, Span span, const char *token, Expected expected);
// A word that has its meaning by position only: an error unless `text` is one of the `words`, "a|b".
void syntax_word(Parser *parser, Span span, Str text, const char *words);

void syntax_too_deep(Parser *parser, Span span, int most);
Node *syntax_call_kernel(Parser *parser, Span span, Node *call, Node *outputs);
Node *syntax_statement(Parser *parser, Span span, Node *expr); // an expression as a statement

void *scanner_new(Parser *parser);    // lexer.l
Node *parse_tokens(Parser *parser);   // parser.y; NULL: stopped

#endif

// What the scanner, the grammar and the syntax diagnostics share. Nobody else includes this.
#ifndef HK_FRONTEND_SYNTAX_H
#define HK_FRONTEND_SYNTAX_H

#include "frontend/ast.h"

// Brackets, braces and parentheses inside each other; and levels of the tree, which long chains of
// operators or of `else if` make deep too. Every later recursion over the tree relies on both.
enum {
    NESTING_MAX = 256,
    TREE_DEPTH_MAX = 1024,
    NAME_LENGTH_MAX = 255,
    SOURCE_BYTES_MAX = 16 << 20
};

typedef struct Token {
    int kind; // of parser.h
    Span span;
    Str text;
    uint32_t indent; // column of the first token of its line
} Token;

typedef struct Parser {
    Arena *arena;
    SourceSet *sources;
    DiagList *diags;
    Str text; // of the source, which outlives the tree: texts in nodes point into it
    uint32_t source;
    size_t offset; // just behind the current token
    uint32_t line, column;
    void *state;            // bison's
    Token now, last, last2; // the token being fed, the one before, and before that
    Token open[NESTING_MAX];
    uint32_t nesting;
    uint32_t error_nesting; // brackets that were open where the last syntax error was
    uint32_t doubtful;      // so many tokens to come are not complained about: the scanner just did
    bool inserting;         // what is pushed was not written
    bool stopped;           // take no more tokens
    bool hopeless;          // and there is no tree
    Node *file;
} Parser;

// ---- for the scanner
Span syntax_step(Parser *parser, const char *text,
                 size_t length);                       // moves on over a token, gives its span
Str syntax_text(const Parser *parser, size_t length);  // the last `length` bytes, in the source
void syntax_name(Parser *parser, Span span, Str text); // refuses what is too long
void syntax_bad_bytes(Parser *parser, Span span, Str text);
void syntax_bad_number(Parser *parser, Span span, Str text);

// ---- for the grammar's actions
int64_t syntax_integer(Parser *parser, Span span, Str text);
double syntax_float(Parser *parser, Span span, Str text);
Str syntax_string(Parser *parser, Span span, Str text); // without quotes, escapes resolved
void syntax_word(Parser *parser, Span span, Str text,
                 const char *word);                        // an error unless text is the word
void syntax_too_deep(Parser *parser, Span span, int most); // stops the parser
Node *syntax_call_kernel(Parser *parser, Span span, Node *call, Node *outputs);
Node *syntax_statement(Parser *parser, Span span, Node *expr); // an expression as a statement

// ---- from token to parser, in this order
void *scanner_new(Parser *parser);             // lexer.l
void syntax_feed(Parser *parser, Token token); // repair.c: pushes it and what it mends
bool parser_accepts(Parser *parser, int kind); // parser.y: could this token come now?
bool parser_discards(const Parser *parser);    // parser.y: in search of the end of what went wrong
void parser_push(Parser *parser, const Token *token); // parser.y
Node *parse_tokens(Parser *parser); // parser.y: all of the above; NULL: nothing came out

// ---- what does not fit: complain.c
typedef struct Expected {
    const char *const *names; // of all tokens that could stand here
    uint32_t count;
} Expected;
void syntax_unexpected(Parser *parser, Expected expected); // parser->now is what stands there

#endif

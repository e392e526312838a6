// Tokens of IR text, for parse.c only.
#ifndef HK_IR_SCAN_H
#define HK_IR_SCAN_H

#include "ir/base/diag.h"

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_PUNCTUATION
} TokenKind;

typedef struct Scanner {
    Arena *arena;
    Str text;
    size_t at, line_start;
    uint32_t line, source;
    DiagList *diags;
    bool failed; // one message is enough: what follows a syntax error is guesswork
    // The current token.
    TokenKind kind;
    Str word; // of a name or string (escapes resolved); one character of punctuation
    uint64_t number;
    Span span;
} Scanner;

void scan_next(Scanner *s);
bool scan_error(Scanner *s, const char *format, ...) __attribute__((format(printf, 2, 3))); // false
static inline bool scan_is(const Scanner *s, char c)
{
    return s->kind == TOKEN_PUNCTUATION && s->word.data[0] == c;
}
static inline bool scan_is_name(const Scanner *s, const char *word)
{
    return s->kind == TOKEN_NAME && str_is(s->word, word);
}
bool scan_accept(Scanner *s, char c);
bool scan_accept_name(Scanner *s, const char *word);
// False, with a message, if the token is another one.
bool scan_expect(Scanner *s, char c);
bool scan_expect_name(Scanner *s, Str *name); // a name or a string
bool scan_expect_string(Scanner *s, Str *text);
bool scan_expect_number(Scanner *s, uint64_t largest, uint64_t *x);
bool scan_expect_signed(Scanner *s, int64_t *x); // or hex bits

#endif

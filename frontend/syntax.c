// Positions, literals and diagnostics of the syntax: everything about text that is not a rule of
// the grammar. Messages say what stands there, what could stand there and, for common slips, how to
// mend it.
#include "frontend/syntax.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

// ---- positions

static uint16_t column_of(uint32_t column)
{
    return column > UINT16_MAX ? UINT16_MAX : (uint16_t)column;
}

Span syntax_step(Parser *parser, const char *text, size_t length)
{
    Span span = {
        .line = parser->line, .column = column_of(parser->column), .source = parser->source};
    for (size_t k = 0; k < length; k++) {
        if (text[k] == '\n') {
            parser->line++;
            parser->column = 1;
        } else {
            parser->column++;
        }
    }
    parser->offset += length;
    span.end_line = parser->line;
    span.end_column = column_of(parser->column);
    return span;
}

Str syntax_text(const Parser *parser, size_t length)
{
    return (Str){parser->text.data + parser->offset - length, length};
}

// ---- literals

int64_t syntax_integer(Parser *parser, Span span, Str text)
{
    unsigned base = 10;
    size_t k = 0;
    if (text.length > 2 && text.data[0] == '0' && (text.data[1] == 'x' || text.data[1] == 'b')) {
        base = text.data[1] == 'x' ? 16 : 2;
        k = 2;
    }
    uint64_t value = 0, most = base == 10 ? (uint64_t)INT64_MAX : UINT64_MAX;
    for (; k < text.length; k++) {
        char c = text.data[k];
        uint64_t digit = (uint64_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        if (value > (most - digit) / base) {
            Diag *diag = diag_add(parser->diags, DIAG_BAD_NUMBER, span,
                                  "this integer does not fit in 64 bits");
            diag_hint(parser->diags, diag,
                      "the largest is 9223372036854775807; a float is written with a "
                      "point or an exponent: 1e20");
            return 0;
        }
        value = value * base + digit;
    }
    return (int64_t)value;
}

// strtod follows the program's locale, in which the point may be a comma.
static double strtod_in_c(const char *text)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) return strtod(text, NULL);
    double value = strtod_l(text, NULL, c);
    freelocale(c);
    return value;
}

double syntax_float(Parser *parser, Span span, Str text)
{
    double value = strtod_in_c(str_copy(parser->arena, text).data);
    bool zero = true;
    for (size_t k = 0; k < text.length && (text.data[k] | 32) != 'e'; k++)
        if (text.data[k] >= '1' && text.data[k] <= '9') zero = false;
    if (isinf(value)) {
        Diag *diag =
            diag_add(parser->diags, DIAG_BAD_NUMBER, span, "this number is too large for f64");
        diag_hint(parser->diags, diag,
                  "the largest is 1.7976931348623157e308; infinity is written inf");
    } else if (value == 0 && !zero) {
        diag_add(parser->diags, DIAG_BAD_NUMBER, span,
                 "this number is too small for f64: it would be 0");
    }
    return isinf(value) ? 0 : value;
}

Str syntax_string(Parser *parser, Span span, Str text)
{
    Buf out = {.arena = parser->arena};
    for (size_t k = 1; k + 1 < text.length; k++) {
        char c = text.data[k];
        if (c == '\\') {
            c = text.data[++k];
            if (c == 'n')
                c = '\n';
            else if (c == 't')
                c = '\t';
            else if (c != '"' && c != '\\') {
                Diag *diag = diag_add(parser->diags, DIAG_BAD_CHARACTER, span,
                                      "unknown escape '\\%c' in a string", c);
                diag_hint(parser->diags, diag, "known are \\n \\t \\\" and \\\\");
            }
        }
        buf_char(&out, c);
    }
    return buf_view(&out);
}

void syntax_name(Parser *parser, Span span, Str text)
{
    if (text.length <= NAME_LENGTH_MAX) return;
    diag_add(parser->diags, DIAG_NAME_TOO_LONG, span,
             "a name of %zu characters; the longest has %d", text.length, NAME_LENGTH_MAX);
}

// ---- limits

void syntax_too_deep(Parser *parser, Span span, int most)
{
    parser->stopped = parser->hopeless = true;
    Diag *diag =
        diag_add(parser->diags, DIAG_TOO_DEEP, span, "nested more than %d levels deep", most);
    diag_hint(parser->diags, diag, "give parts of it a name with let");
}

// The length of the UTF-8 character that text begins with; 0 if it is none.
static size_t character_length(Str text)
{
    unsigned char first = (unsigned char)text.data[0];
    size_t length = first < 0x80                    ? 1
                    : first >= 0xF0 && first < 0xF5 ? 4
                    : first >= 0xE0                 ? 3
                    : first >= 0xC2                 ? 2
                                                    : 0;
    if (length > text.length || first >= 0xF5) return 0;
    for (size_t k = 1; k < length; k++)
        if ((text.data[k] & 0xC0) != 0x80) return 0;
    return length;
}

// What people paste or type for signs of the language.
static const char *ascii_for(Str character)
{
    static const char *const pairs[][2] = {
        {"×", "*"},   {"·", "*"},  {"÷", "/"},
        {"−", "-"},   {"–", "-"},  {"—", "-"},
        {"≤", "<="},  {"≥", ">="}, {"≠", "!="},
        {"“", "\""},  {"”", "\""}, {"‘", "\""},
        {"’", "\""},  {"→", "->"}, {"⇒", "=>"},
        {"∞", "inf"}, {"…", ".."}, {"\xC2\xA0", "a plain space"},
        {"；", ";"},  {"，", ","}, {"（", "("},
        {"）", ")"},
    };
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++)
        if (str_is(character, pairs[k][0])) return pairs[k][1];
    return NULL;
}

void syntax_bad_bytes(Parser *parser, Span span, Str text)
{
    size_t length = character_length(text);
    Str character = {text.data, length};
    unsigned char first = (unsigned char)text.data[0];
    bool visible = length > 1 || (first > ' ' && first < 0x7F);
    Diag *diag = visible ? diag_add(parser->diags, DIAG_BAD_CHARACTER, span,
                                    "'%.*s' has no meaning here", STR_ARG(character))
                         : diag_add(parser->diags, DIAG_BAD_CHARACTER, span,
                                    "the byte 0x%02X has no meaning here", first);
    const char *ascii = length ? ascii_for(character) : NULL;
    if (ascii)
        diag_hint(parser->diags, diag, "write %s", ascii);
    else if (!length)
        diag_hint(parser->diags, diag,
                  "the text must be UTF-8, with others than ASCII only in comments and strings");
    parser->doubtful = 1;
}

void syntax_bad_number(Parser *parser, Span span, Str text)
{
    bool point_last = text.data[text.length - 1] == '.', point_first = text.data[0] == '.';
    Diag *diag = point_last || point_first
                     ? diag_add(parser->diags, DIAG_BAD_NUMBER, span,
                                "a number needs digits on both sides of the point")
                     : diag_add(parser->diags, DIAG_BAD_NUMBER, span, "'%.*s' is not a number",
                                STR_ARG(text));
    if (point_last)
        diag_hint(parser->diags, diag, "write %.*s0", STR_ARG(text));
    else if (point_first)
        diag_hint(parser->diags, diag, "write 0%.*s", STR_ARG(text));
    else
        diag_hint(parser->diags, diag,
                  "numbers have no suffix and no '_': 64, 0x40, 0b1000000, 0.5, 5e-1");
}

// ---- what the grammar is too wide for

void syntax_word(Parser *parser, Span span, Str text, const char *word)
{
    if (str_is(text, word)) return;
    diag_add(parser->diags, DIAG_SYNTAX, span, "expected '%s', but found '%.*s'", word,
             STR_ARG(text));
}

Node *syntax_call_kernel(Parser *parser, Span span, Node *call, Node *outputs)
{
    const Node *callee = ast_kid(call, 0);
    if (call->kind != NODE_CALL || callee->kind != NODE_NAME) {
        Diag *diag = diag_add(parser->diags, DIAG_SYNTAX, call->span,
                              "only a kernel's call has outputs '-> (...)'");
        diag_hint(parser->diags, diag, "write name(inputs) -> (outputs);");
        return ast_node(parser->arena, NODE_ERROR, span);
    }
    return ast_named(parser->arena, NODE_CALL_KERNEL, span, callee->span, callee->text, 3, NULL,
                     call->kids[1], outputs);
}

Node *syntax_statement(Parser *parser, Span span, Node *expr)
{
    if (expr->kind == NODE_CALL) return ast_tree(parser->arena, NODE_EVAL, span, 1, expr);
    if (parser->inserting) return ast_node(parser->arena, NODE_ERROR, span);
    Diag *diag =
        diag_add(parser->diags, DIAG_SYNTAX, expr->span, "this expression is not a statement");
    diag_hint(parser->diags, diag, "give its value a name, let x = ...;, or store it, y[i] = ...;");
    return ast_node(parser->arena, NODE_ERROR, span);
}

// The scanner of IR text; see scan.h.
#include "ir/scan.h"

static char peek(const Scanner *s)
{
    return s->at < s->text.length ? s->text.data[s->at] : 0;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

bool scan_error(Scanner *s, const char *format, ...)
{
    if (s->failed) return false;
    s->failed = true;
    va_list args;
    va_start(args, format);
    Str message = str_vformat(s->arena, format, args);
    va_end(args);
    diag_add(s->diags, DIAG_IR_SYNTAX, s->span, "%.*s", STR_ARG(message));
    return false;
}

static void skip_blank(Scanner *s)
{
    while (s->at < s->text.length) {
        char c = peek(s);
        bool comment = c == '/' && s->at + 1 < s->text.length && s->text.data[s->at + 1] == '/';
        if (c == '\n') {
            s->line++;
            s->line_start = ++s->at;
        } else if (comment) {
            while (s->at < s->text.length && peek(s) != '\n') s->at++;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            s->at++;
        } else {
            return;
        }
    }
}

static void scan_number(Scanner *s)
{
    unsigned base = 10;
    s->number = 0;
    if (peek(s) == '0' && s->at + 1 < s->text.length && s->text.data[s->at + 1] == 'x') {
        base = 16;
        s->at += 2;
    }
    for (; digit_value(peek(s)) < (int)base; s->at++) {
        uint64_t digit = (uint64_t)digit_value(peek(s));
        if (s->number > (UINT64_MAX - digit) / base) {
            scan_error(s, "number too large");
            return;
        }
        s->number = s->number * base + digit;
    }
}

static int scan_hex_pair(Scanner *s)
{
    if (s->at + 1 >= s->text.length) return -1;
    int high = digit_value(s->text.data[s->at]), low = digit_value(s->text.data[s->at + 1]);
    s->at += 2;
    return high < 16 && low < 16 ? high * 16 + low : -1;
}

static void scan_string(Scanner *s)
{
    Buf text = {.arena = s->arena};
    for (s->at++; peek(s) != '"';) {
        if (s->at >= s->text.length || peek(s) == '\n') {
            scan_error(s, "string without end");
            return;
        }
        char c = s->text.data[s->at++];
        if (c == '\\') {
            c = peek(s);
            s->at++;
            int code = c == 'n' ? '\n' : c == 'x' ? scan_hex_pair(s) : c;
            if (code <= 0 && c != 'x') code = -1;
            if (code < 0) {
                scan_error(s, "unknown escape in a string");
                return;
            }
            c = (char)code;
        }
        buf_char(&text, c);
    }
    s->at++;
    s->word = buf_view(&text);
}

static uint16_t column(const Scanner *s, size_t at)
{
    size_t c = at - s->line_start + 1;
    return (uint16_t)(c > UINT16_MAX ? UINT16_MAX : c);
}

void scan_next(Scanner *s)
{
    skip_blank(s);
    size_t start = s->at;
    char c = peek(s);
    s->span = (Span){s->line, s->line, column(s, start), (uint16_t)(column(s, start)), s->source};
    if (s->failed || start >= s->text.length) {
        s->kind = TOKEN_END;
        return;
    }
    if (is_letter(c)) {
        s->kind = TOKEN_NAME;
        while (is_letter(peek(s)) || (peek(s) >= '0' && peek(s) <= '9')) s->at++;
        s->word = (Str){s->text.data + start, s->at - start};
    } else if (c >= '0' && c <= '9') {
        s->kind = TOKEN_NUMBER;
        scan_number(s);
    } else if (c == '"') {
        s->kind = TOKEN_STRING;
        scan_string(s);
    } else {
        s->kind = TOKEN_PUNCTUATION;
        s->at++;
        s->word = (Str){s->text.data + start, 1};
    }
    s->span.end_column = column(s, s->at);
    if (s->failed) s->kind = TOKEN_END;
}

bool scan_accept(Scanner *s, char c)
{
    if (!scan_is(s, c)) return false;
    scan_next(s);
    return true;
}

bool scan_accept_name(Scanner *s, const char *word)
{
    if (!scan_is_name(s, word)) return false;
    scan_next(s);
    return true;
}

bool scan_expect(Scanner *s, char c)
{
    return scan_accept(s, c) || scan_error(s, "expected '%c'", c);
}

bool scan_expect_name(Scanner *s, Str *name)
{
    if (s->kind != TOKEN_NAME && s->kind != TOKEN_STRING) return scan_error(s, "expected a name");
    *name = s->word;
    scan_next(s);
    return true;
}

bool scan_expect_string(Scanner *s, Str *text)
{
    if (s->kind != TOKEN_STRING) return scan_error(s, "expected a string");
    *text = s->word;
    scan_next(s);
    return true;
}

bool scan_expect_number(Scanner *s, uint64_t largest, uint64_t *x)
{
    if (s->kind != TOKEN_NUMBER) return scan_error(s, "expected a number");
    if (s->number > largest) return scan_error(s, "number too large");
    *x = s->number;
    scan_next(s);
    return true;
}

bool scan_expect_signed(Scanner *s, int64_t *x)
{
    bool negative = scan_accept(s, '-');
    uint64_t number = 0;
    if (!scan_expect_number(s, UINT64_MAX, &number)) return false;
    *x = (int64_t)(negative ? 0 - number : number);
    return true;
}

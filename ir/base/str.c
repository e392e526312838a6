// Text helpers; see str.h.
#include "ir/base/str.h"

#include <stdio.h>
#include <string.h>

Str str_of(const char *zero_terminated)
{
    return (Str){zero_terminated ? zero_terminated : "",
                 zero_terminated ? strlen(zero_terminated) : 0};
}

bool str_equal(Str a, Str b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

bool str_is(Str a, const char *b)
{
    return str_equal(a, str_of(b));
}

Str str_copy(Arena *arena, Str s)
{
    char *data = arena_alloc(arena, s.length + 1);
    if (s.length) memcpy(data, s.data, s.length);
    return (Str){data, s.length};
}

Str str_vformat(Arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) return (Str){"", 0};
    char *data = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(data, (size_t)length + 1, format, args);
    return (Str){data, (size_t)length};
}

Str str_format(Arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Str s = str_vformat(arena, format, args);
    va_end(args);
    return s;
}

uint64_t str_hash(Str s)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < s.length; i++) h = (h ^ (unsigned char)s.data[i]) * 1099511628211u;
    return h;
}

size_t str_distance(Str a, Str b)
{
    enum { LONGEST = 64 };
    if (a.length >= LONGEST || b.length >= LONGEST) return LONGEST;
    size_t row[3][LONGEST + 1];
    for (size_t j = 0; j <= b.length; j++) row[1][j] = j;
    for (size_t i = 1; i <= a.length; i++) {
        size_t *now = row[(i + 1) % 3], *prev = row[i % 3], *prev2 = row[(i + 2) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t best = prev[j - 1] + (a.data[i - 1] != b.data[j - 1]);
            if (prev[j] + 1 < best) best = prev[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1] && prev2[j - 2] + 1 < best)
                best = prev2[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[(a.length + 1) % 3][b.length];
}

void buf_add(Buf *buf, const void *data, size_t bytes)
{
    if (buf->length + bytes + 1 > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity * 2 : 256;
        if (capacity < buf->length + bytes + 1) capacity = buf->length + bytes + 1;
        char *grown = arena_alloc(buf->arena, capacity);
        if (buf->length) memcpy(grown, buf->data, buf->length);
        buf->data = grown;
        buf->capacity = capacity;
    }
    if (bytes) memcpy(buf->data + buf->length, data, bytes);
    buf->length += bytes;
    buf->data[buf->length] = 0;
}

void buf_str(Buf *buf, Str s)
{
    buf_add(buf, s.data, s.length);
}

void buf_char(Buf *buf, char c)
{
    buf_add(buf, &c, 1);
}

void buf_printf(Buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    Str s = str_vformat(buf->arena, format, args);
    va_end(args);
    buf_str(buf, s);
}

Str buf_view(const Buf *buf)
{
    return (Str){buf->data ? buf->data : "", buf->length};
}

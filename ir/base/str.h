// Borrowed text with a length (Str) and a growing text buffer in an arena (Buf).
#ifndef HK_IR_BASE_STR_H
#define HK_IR_BASE_STR_H

#include <stdbool.h>
#include <stdarg.h>

#include "ir/base/arena.h"

typedef struct Str {
    const char *data; // not zero-terminated in general; never NULL when length > 0
    size_t length;
} Str;

#define STR(literal) ((Str){("" literal), sizeof(literal) - 1})
#define STR_ARG(s) (int)(s).length, ((s).data ? (s).data : "") // for "%.*s"

Str str_of(const char *zero_terminated); // NULL gives the empty text
bool str_equal(Str a, Str b);
bool str_is(Str a, const char *b);
Str str_copy(Arena *arena, Str s);        // the copy is zero-terminated
Str str_format(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
Str str_vformat(Arena *arena, const char *format, va_list args);
uint64_t str_hash(Str s);                 // FNV-1a, stable across runs and machines
size_t str_distance(Str a, Str b);        // Damerau-Levenshtein (adjacent swaps count 1)

typedef struct Buf {
    Arena *arena;
    char *data; // zero-terminated once something was added
    size_t length, capacity;
} Buf;

void buf_add(Buf *buf, const void *data, size_t bytes);
void buf_str(Buf *buf, Str s);
void buf_char(Buf *buf, char c);
void buf_printf(Buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
Str buf_view(const Buf *buf);

#endif

// The text of a line that a kernel prints.
#include "runtime/line.h"

#include <stdio.h>
#include <string.h>

static int put_value(char *out, size_t room, DType t, uint64_t bits)
{
    float f32;
    double f64;
    if (t == DTYPE_BOOL) return snprintf(out, room, "%s", bits ? "true" : "false");
    if (!dtype_is_float(t)) return snprintf(out, room, "%lld", (long long)bits);
    memcpy(&f32, &bits, sizeof f32); // the low word
    memcpy(&f64, &bits, sizeof f64);
    return t == DTYPE_F64 ? snprintf(out, room, "%.17g", f64)
                          : snprintf(out, room, "%.9g", (double)f32);
}

size_t line_format(char out[LINE_MOST], Str text, const uint64_t *values)
{
    enum { MOST = LINE_MOST - 1 };
    size_t n = 0;
    for (size_t i = 0; i < text.length && n + 1 < MOST; i++) {
        const char *end = text.data[i] == '{' ? memchr(text.data + i, '}', text.length - i) : NULL;
        Str inside = end ? (Str){text.data + i + 1, (size_t)(end - text.data) - i - 1} : (Str){0};
        bool itself = text.data[i] == '{' && i + 1 < text.length && text.data[i + 1] == '{';
        DType t = end && !itself ? dtype_find(inside) : DTYPE_NONE;
        if (!t) {
            out[n++] = text.data[i];
            i += itself;
            continue;
        }
        int put = put_value(out + n, MOST - n, t, *values++);
        n += put > 0 ? (size_t)put : 0;
        if (n >= MOST) n = MOST - 1;
        i += inside.length + 1;
    }
    out[n++] = 0;
    return n;
}

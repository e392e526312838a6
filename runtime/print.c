// The lines of `print`: operands put into the site's text, kept until the launch is over.
#include "runtime/print.h"

#include <stdio.h>

#include "ir/eval.h"

enum { LINE_MOST = 1024 };
static const size_t TEXT_MOST = (size_t)16 << 20;

bool printed_any(const Func *f)
{
    for (uint32_t s = 0; s < f->sites.count; s++)
        if (f->sites.data[s].kind == SITE_PRINT) return true;
    return false;
}

static int put_value(char *out, size_t room, Str dtype, uint64_t bits)
{
    DType t = dtype_find(dtype);
    if (t == DTYPE_BOOL) return snprintf(out, room, "%s", bits ? "true" : "false");
    if (!dtype_is_float(t)) return snprintf(out, room, "%lld", (long long)scalar_to_int(t, bits));
    return snprintf(out, room, t == DTYPE_F64 ? "%.17g" : "%.9g", scalar_to_double(t, bits));
}

// Cut where the line is full.
static size_t put_line(char *out, Str text, const uint64_t *values)
{
    size_t n = 0;
    for (size_t i = 0; i < text.length && n + 1 < LINE_MOST; i++) {
        const char *end = text.data[i] == '{' ? memchr(text.data + i, '}', text.length - i) : NULL;
        Str inside = end ? (Str){text.data + i + 1, (size_t)(end - text.data) - i - 1} : (Str){0};
        bool itself = text.data[i] == '{' && i + 1 < text.length && text.data[i + 1] == '{';
        if (itself || !end || !dtype_find(inside)) {
            out[n++] = text.data[i];
            i += itself;
            continue;
        }
        int put = put_value(out + n, LINE_MOST - n, inside, *values++);
        n += put > 0 ? (size_t)put : 0;
        if (n >= LINE_MOST) n = LINE_MOST - 1;
        i += inside.length + 1;
    }
    out[n++] = 0;
    return n;
}

static void take_line(void *self, int64_t site, const uint64_t *values)
{
    Printed *p = self;
    char line[LINE_MOST + 1];
    size_t bytes = put_line(line, p->f->sites.data[site].message, values);
    pthread_mutex_lock(&p->lock);
    if (p->length + bytes > p->capacity && p->capacity < TEXT_MOST) {
        size_t capacity = p->capacity ? 2 * p->capacity : 4096;
        char *text = p->allocator->resize(p->allocator->self, p->text, p->capacity, capacity);
        if (text) p->text = text, p->capacity = capacity;
    }
    if (p->length + bytes <= p->capacity) {
        memcpy(p->text + p->length, line, bytes);
        p->length += bytes;
    } else {
        p->dropped++;
    }
    pthread_mutex_unlock(&p->lock);
}

void printed_begin(Printed *p, const Func *f, const Allocator *allocator)
{
    *p = (Printed){.f = f, .allocator = allocator};
    p->printer = (Printer){take_line, p};
    pthread_mutex_init(&p->lock, NULL);
}

void printed_end(Printed *p, const hk_context *context)
{
    char rest[80];
    for (size_t at = 0; at < p->length; at += strlen(p->text + at) + 1)
        context->log(context->log_self, HK_PRINTED, p->text + at);
    snprintf(rest, sizeof rest, "... %lld lines more", (long long)p->dropped);
    if (p->dropped) context->log(context->log_self, HK_PRINTED, rest);
    if (p->text) p->allocator->resize(p->allocator->self, p->text, p->capacity, 0);
    pthread_mutex_destroy(&p->lock);
}

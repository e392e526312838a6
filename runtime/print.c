// The lines of `print`: operands put into the site's text, kept until the launch is over.
#include "runtime/print.h"

#include <stdio.h>

#include "runtime/line.h"

static const size_t TEXT_MOST = (size_t)16 << 20;

bool printed_any(const Func *f)
{
    for (uint32_t s = 0; s < f->sites.count; s++)
        if (f->sites.data[s].kind == SITE_PRINT) return true;
    return false;
}

static void take_line(void *self, int64_t site, const uint64_t *values)
{
    Printed *p = self;
    char line[LINE_MOST];
    size_t bytes = line_format(line, p->f->sites.data[site].message, values);
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

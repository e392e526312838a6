// Collecting diagnostics and looking things up in sources; render.c turns them into text.
#include "ir/base/diag.h"

typedef struct DiagInfo {
    uint32_t number;
    Severity severity;
    const char *title;
} DiagInfo;

static const DiagInfo diag_info[] = {
#define DIAG(id, number, severity, title) {number, SEVERITY_##severity, title},
#include "ir/base/diag.def"
};

static const DiagInfo *info_find(uint32_t number)
{
    for (size_t i = 0; i < sizeof diag_info / sizeof *diag_info; i++) {
        if (diag_info[i].number == number) return &diag_info[i];
    }
    return NULL;
}

const char *diag_title(DiagCode code)
{
    const DiagInfo *info = info_find((uint32_t)code);
    return info ? info->title : NULL;
}

bool diag_known(uint32_t number)
{
    return info_find(number) != NULL;
}

Diag *diag_add(DiagList *list, DiagCode code, Span span, const char *format, ...)
{
    enum { LIMIT = 100 };
    const DiagInfo *info = info_find((uint32_t)code);
    Diag *diag = arena_new(list->arena, Diag);
    diag->code = code;
    diag->severity = info ? info->severity : SEVERITY_ERROR;
    diag->span = span;
    va_list args;
    va_start(args, format);
    diag->message = str_vformat(list->arena, format, args);
    va_end(args);
    if (diag->severity == SEVERITY_ERROR) list->error_count++;
    if (diag->severity == SEVERITY_WARNING) list->warning_count++;
    if (list->diags.count < (list->limit ? list->limit : LIMIT))
        vec_push(list->arena, &list->diags, diag);
    else
        list->dropped_count++;
    return diag;
}

void diag_note(DiagList *list, Diag *diag, Span span, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    DiagNote note = {.span = span, .text = str_vformat(list->arena, format, args)};
    va_end(args);
    vec_push(list->arena, &diag->notes, note);
}

void diag_hint(DiagList *list, Diag *diag, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    diag->hint = str_vformat(list->arena, format, args);
    va_end(args);
}

Span span_join(Span a, Span b)
{
    if (!a.line) return b;
    if (!b.line || a.source != b.source) return a;
    a.end_line = b.end_line;
    a.end_column = b.end_column;
    return a;
}

uint32_t source_add(SourceSet *set, Str name, Str text)
{
    Source source = {str_copy(set->arena, name), str_copy(set->arena, text)};
    vec_push(set->arena, &set->sources, source);
    return set->sources.count - 1;
}

Str source_line(const SourceSet *set, Span span)
{
    if (!set || !span.line || span.source >= set->sources.count) return (Str){"", 0};
    Str text = set->sources.data[span.source].text;
    size_t at = 0;
    for (uint32_t line = 1; line < span.line; line++) {
        const char *newline = memchr(text.data + at, '\n', text.length - at);
        if (!newline) return (Str){"", 0};
        at = (size_t)(newline - text.data) + 1;
    }
    size_t end = at;
    while (end < text.length && text.data[end] != '\n') end++;
    if (end > at && text.data[end - 1] == '\r') end--;
    return (Str){text.data + at, end - at};
}

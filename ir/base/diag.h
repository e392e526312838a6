// Diagnostics as data: code, severity, span, notes, hint. Rendering to text or JSON is separate.
#ifndef HK_IR_BASE_DIAG_H
#define HK_IR_BASE_DIAG_H

#include "ir/base/str.h"
#include "ir/base/vec.h"

// A place in a source. Lines and columns count from 1, columns in bytes; `end_column` is one past
// the last byte. line 0 means "no place".
typedef struct Span {
    uint32_t line, end_line;
    uint16_t column, end_column;
    uint32_t source; // index into SourceSet
} Span;

Span span_join(Span a, Span b); // from the start of a to the end of b; a place-less one is ignored

typedef struct Source {
    Str name; // as the user wrote the path
    Str text;
} Source;

typedef struct SourceSet {
    Arena *arena;
    VEC(Source) sources;
} SourceSet;

uint32_t source_add(SourceSet *set, Str name, Str text); // copies both
Str source_line(const SourceSet *set, Span span); // the first line of the span, without newline

typedef enum Severity { SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR } Severity;

typedef enum DiagCode {
#define DIAG(id, number, severity, title) DIAG_##id = number,
#include "ir/base/diag.def"
} DiagCode;

typedef struct DiagNote {
    Span span; // line 0: none
    Str text;
} DiagNote;

typedef struct Diag {
    DiagCode code;
    Severity severity;
    Span span;
    Str message;
    Str hint; // how to mend it; may be empty
    VEC(DiagNote) notes;
} Diag;

// Collects; never prints. Errors beyond `limit` are counted, not kept.
typedef struct DiagList {
    Arena *arena;
    const SourceSet *sources; // for rendering; may be NULL
    VEC(Diag *) diags;
    uint32_t error_count, warning_count, dropped_count;
    uint32_t limit; // 0: 100
} DiagList;

// Adds one diagnostic (severity from diag.def) and returns it so that notes and a hint can follow.
Diag *diag_add(DiagList *list, DiagCode code, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void diag_note(DiagList *list, Diag *diag, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void diag_hint(DiagList *list, Diag *diag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

const char *diag_title(DiagCode code); // NULL for an unknown number
bool diag_known(uint32_t number);

void diag_render_text(Buf *out, const DiagList *list, bool colour);
void diag_render_json(Buf *out,
                      const DiagList *list); // an array of objects; docs/cli.md has the schema

#endif

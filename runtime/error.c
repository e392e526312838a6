// Errors as objects: a status and the diagnostics that led to it, with the sources that they show.
// Also owned text.
#include "runtime/internal.h"

#include <stdlib.h>

struct hk_error {
    Arena arena;
    hk_status status;
    DiagList list;
    SourceSet sources;
    const char *message, *text[2], *json;
};

struct hk_text {
    Arena arena;
    Str text;
};

const char *hk_status_text(hk_status status)
{
    switch (status) {
    case HK_OK: return "ok";
    case HK_ERROR_DIAGNOSTICS: return "there are diagnostics";
    case HK_ERROR_USAGE: return "wrong call";
    case HK_ERROR_ENVIRONMENT: return "environment or file error";
    case HK_ERROR_TRAP: return "the kernel failed at run time";
    case HK_ERROR_MISMATCH: return "the result differs from the reference";
    case HK_ERROR_MEMORY: return "out of memory";
    case HK_ERROR_INTERNAL: return "internal error";
    }
    return "unknown status";
}

typedef struct CopyJob {
    hk_error *error; // in its own arena once made
    Arena *arena;
    hk_status status;
    const DiagList *from;
} CopyJob;

static void copy_sources(hk_error *error, const SourceSet *from)
{
    error->sources.arena = &error->arena;
    for (uint32_t i = 0; from && i < from->sources.count; i++) {
        source_add(&error->sources, from->sources.data[i].name, from->sources.data[i].text);
    }
}

static const char *first_line(hk_error *error)
{
    const Diag *first = NULL;
    for (uint32_t i = 0; i < error->list.diags.count; i++) {
        const Diag *diag = error->list.diags.data[i];
        if (!first || diag->severity > first->severity) first = diag;
    }
    if (!first) return hk_status_text(error->status);
    Str where = {"", 0};
    if (first->span.line && first->span.source < error->sources.sources.count) {
        where = str_format(&error->arena,
                           "%s:%u:%u: ", error->sources.sources.data[first->span.source].name.data,
                           first->span.line, first->span.column);
    }
    return str_format(&error->arena, "%.*s%.*s [HK%04u]", STR_ARG(where), STR_ARG(first->message),
                      (unsigned)first->code)
        .data;
}

static void copy_diags(void *self)
{
    CopyJob *job = self;
    hk_error *error = arena_new(job->arena, hk_error);
    error->arena = *job->arena; // from here on the object owns the arena
    error->arena.out_of_memory = job->arena->out_of_memory;
    job->error = error;
    error->status = job->status;
    copy_sources(error, job->from->sources);
    DiagList *list = &error->list;
    *list = *job->from;
    list->arena = &error->arena;
    list->sources = &error->sources;
    memset(&list->diags, 0, sizeof list->diags);
    for (uint32_t i = 0; i < job->from->diags.count; i++) {
        const Diag *from = job->from->diags.data[i];
        Diag *diag = arena_copy(&error->arena, from, sizeof *from);
        diag->message = str_copy(&error->arena, from->message);
        diag->hint = str_copy(&error->arena, from->hint);
        memset(&diag->notes, 0, sizeof diag->notes);
        for (uint32_t k = 0; k < from->notes.count; k++) {
            DiagNote note = {from->notes.data[k].span,
                             str_copy(&error->arena, from->notes.data[k].text)};
            vec_push(&error->arena, &diag->notes, note);
        }
        vec_push(&error->arena, &list->diags, diag);
    }
    error->message = first_line(error);
}

hk_status fail_with(const Allocator *allocator, hk_error **error, hk_status status,
                    const DiagList *diags)
{
    if (!error) return status;
    *error = NULL;
    Arena arena;
    arena_init(&arena, allocator);
    CopyJob job = {.arena = &arena, .status = status, .from = diags};
    if (!guarded(&arena, copy_diags, &job)) {
        if (job.error) arena = job.error->arena;
        arena_free(&arena);
        return HK_ERROR_MEMORY;
    }
    job.error->arena.out_of_memory = NULL;
    *error = job.error;
    return status;
}

typedef struct OneJob {
    Arena arena;
    DiagList list;
    DiagCode code;
    const char *format;
    va_list *args;
} OneJob;

static void add_one(void *self)
{
    OneJob *job = self;
    Str message = str_vformat(&job->arena, job->format, *job->args);
    diag_add(&job->list, job->code, (Span){0}, "%.*s", STR_ARG(message));
}

hk_status fail(const Allocator *allocator, hk_error **error, hk_status status, DiagCode code,
               const char *format, ...)
{
    if (!error) return status;
    va_list args;
    va_start(args, format);
    OneJob job = {.code = code, .format = format, .args = &args};
    arena_init(&job.arena, allocator);
    job.list.arena = &job.arena;
    bool ok = guarded(&job.arena, add_one, &job);
    va_end(args);
    if (ok)
        status = fail_with(allocator, error, status, &job.list);
    else
        *error = NULL;
    arena_free(&job.arena);
    return ok ? status : HK_ERROR_MEMORY;
}

hk_status fail_usage(hk_error **error, const char *message)
{
    return fail(NULL, error, HK_ERROR_USAGE, DIAG_USAGE, "%s", message);
}

hk_status hk_error_status(const hk_error *error)
{
    return error ? error->status : HK_OK;
}

const char *hk_error_message(const hk_error *error)
{
    return error ? error->message : "";
}

size_t hk_error_diag_count(const hk_error *error)
{
    return error ? error->list.diags.count : 0;
}

size_t hk_error_dropped_count(const hk_error *error)
{
    return error ? error->list.dropped_count : 0;
}

static hk_span public_span(const hk_error *error, Span span)
{
    bool known = span.line && span.source < error->sources.sources.count;
    return (hk_span){known ? error->sources.sources.data[span.source].name.data : "", span.line,
                     span.column, span.end_line, span.end_column};
}

hk_status hk_error_diag(const hk_error *error, size_t index, hk_diag *diag)
{
    if (!error || !diag || index >= error->list.diags.count || diag->struct_size < sizeof *diag) {
        return HK_ERROR_USAGE;
    }
    const Diag *from = error->list.diags.data[index];
    diag->number = (uint32_t)from->code;
    diag->severity = from->severity == SEVERITY_ERROR     ? HK_ERROR
                     : from->severity == SEVERITY_WARNING ? HK_WARNING
                                                          : HK_NOTE;
    diag->span = public_span(error, from->span);
    diag->message = from->message.data;
    diag->hint = from->hint.data;
    diag->note_count = from->notes.count;
    return HK_OK;
}

hk_status hk_error_note(const hk_error *error, size_t index, size_t note, hk_span *span,
                        const char **message)
{
    if (!error || index >= error->list.diags.count) return HK_ERROR_USAGE;
    const Diag *diag = error->list.diags.data[index];
    if (note >= diag->notes.count) return HK_ERROR_USAGE;
    if (span) *span = public_span(error, diag->notes.data[note].span);
    if (message) *message = diag->notes.data[note].text.data;
    return HK_OK;
}

typedef struct RenderJob {
    hk_error *error;
    bool colour, json;
} RenderJob;

static void render(void *self)
{
    RenderJob *job = self;
    Buf out = {.arena = &job->error->arena};
    buf_add(&out, "", 0);
    if (job->json)
        diag_render_json(&out, &job->error->list);
    else
        diag_render_text(&out, &job->error->list, job->colour);
    if (job->json)
        job->error->json = out.data;
    else
        job->error->text[job->colour] = out.data;
}

const char *hk_error_text(hk_error *error, bool colour)
{
    if (!error) return "";
    RenderJob job = {error, colour, false};
    if (!error->text[colour] && !guarded(&error->arena, render, &job)) return error->message;
    return error->text[colour];
}

const char *hk_error_json(hk_error *error)
{
    if (!error) return "[]";
    RenderJob job = {error, false, true};
    if (!error->json && !guarded(&error->arena, render, &job)) return "[]";
    return error->json;
}

void hk_error_free(hk_error *error)
{
    if (!error) return;
    Arena arena = error->arena;
    arena_free(&arena);
}

typedef struct TextJob {
    Arena arena;
    Str from;
    hk_text *text;
} TextJob;

static void copy_text(void *self)
{
    TextJob *job = self;
    job->text = arena_new(&job->arena, hk_text);
    job->text->text = str_copy(&job->arena, job->from);
}

hk_status text_new(const Allocator *allocator, Str s, hk_text **text, hk_error **error)
{
    TextJob job = {.from = s};
    arena_init(&job.arena, allocator);
    *text = NULL;
    if (!guarded(&job.arena, copy_text, &job)) {
        arena_free(&job.arena);
        return fail(NULL, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    }
    job.text->arena = job.arena;
    *text = job.text;
    return HK_OK;
}

const char *hk_text_data(const hk_text *text)
{
    return text ? text->text.data : "";
}

size_t hk_text_length(const hk_text *text)
{
    return text ? text->text.length : 0;
}

void hk_text_free(hk_text *text)
{
    if (!text) return;
    Arena arena = text->arena;
    arena_free(&arena);
}

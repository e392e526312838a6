// Diagnostics as text for people and as JSON for programs.
//
//   softmax.hk:4:22: error[HK0203]: no axis or value is named 'q'
//       4 |     let e = exp(x[i, q]);
//         |                      ^
//   help: did you mean 'n'?
//
// Laws: carets stand under the span whatever tabs and multi-byte characters come before it; no byte
// of a source reaches a terminal that is not printable; JSON is valid UTF-8 whatever the source
// holds.
#include "ir/base/diag.h"

enum { TAB = 4, WIDTH_MAX = 120, MARGIN = 30 };

typedef struct Paint {
    const char *bold, *error, *warning, *note, *help, *line, *reset;
} Paint;

static Paint paint_of(bool colour)
{
    if (!colour) return (Paint){"", "", "", "", "", "", ""};
    return (Paint){.bold = "\033[1m",
                   .error = "\033[1;31m",
                   .warning = "\033[1;35m",
                   .note = "\033[1;36m",
                   .help = "\033[1;32m",
                   .line = "\033[34m",
                   .reset = "\033[0m"};
}

static const char *const severity_name[] = {
    [SEVERITY_NOTE] = "note", [SEVERITY_WARNING] = "warning", [SEVERITY_ERROR] = "error"};

// ---- characters

// Bytes of the UTF-8 character at s[at], 0 if it is malformed.
static size_t utf8_length(Str s, size_t at)
{
    unsigned char c = (unsigned char)s.data[at];
    size_t length = c < 0x80                ? 1
                    : c >= 0xc2 && c < 0xe0 ? 2
                    : c >= 0xe0 && c < 0xf0 ? 3
                    : c >= 0xf0 && c < 0xf5 ? 4
                                            : 0;
    if (length == 0 || length > s.length - at) return 0;
    for (size_t k = 1; k < length; k++) {
        if (((unsigned char)s.data[at + k] & 0xc0) != 0x80) return 0;
    }
    unsigned char second = length > 1 ? (unsigned char)s.data[at + 1] : 0;
    bool overlong = (c == 0xe0 && second < 0xa0) || (c == 0xf0 && second < 0x90);
    bool surrogate = c == 0xed && second >= 0xa0, too_large = c == 0xf4 && second >= 0x90;
    return overlong || surrogate || too_large ? 0 : length;
}

// Writes the character at s[at] for a terminal; returns its bytes and adds its columns.
static size_t show_char(Buf *out, Str s, size_t at, size_t *columns)
{
    unsigned char c = (unsigned char)s.data[at];
    size_t length = utf8_length(s, at);
    if (c == '\t') {
        for (size_t k = 0; k < TAB; k++) buf_char(out, ' ');
        *columns += TAB;
        return 1;
    }
    // C1 controls (U+0080 .. U+009f) move cursors too.
    bool control =
        c < 32 || c == 127 || (length == 2 && c == 0xc2 && (unsigned char)s.data[at + 1] < 0xa0);
    if (length == 0 || control)
        buf_char(out, '?');
    else
        buf_add(out, s.data + at, length);
    ++*columns;
    return length ? length : 1;
}

static void show_text(Buf *out, Str s)
{
    size_t columns = 0;
    for (size_t at = 0; at < s.length;) {
        if (s.data[at] == '\n') {
            buf_char(out, '\n');
            at++;
        } else {
            at += show_char(out, s, at, &columns);
        }
    }
}

// ---- text

static void text_place(Buf *out, const DiagList *list, Span span)
{
    if (!span.line || !list->sources || span.source >= list->sources->sources.count) return;
    show_text(out, list->sources->sources.data[span.source].name);
    buf_printf(out, ":%u:%u: ", span.line, span.column);
}

// Lines may be very long: shows a window that has the start of the span in it.
static Str window(Str line, size_t start, size_t *from)
{
    *from = 0;
    if (line.length <= WIDTH_MAX) return line;
    if (start > WIDTH_MAX - MARGIN) *from = start - MARGIN;
    while (*from > 0 && ((unsigned char)line.data[*from] & 0xc0) == 0x80) --*from;
    size_t length = line.length - *from < WIDTH_MAX ? line.length - *from : WIDTH_MAX;
    return (Str){line.data + *from, length};
}

static void text_snippet(Buf *out, const DiagList *list, Span span, const Paint *paint,
                         const char *colour)
{
    bool known = span.line && list->sources && span.source < list->sources->sources.count;
    if (!known) return;
    Str line = source_line(list->sources, span);
    size_t start = span.column ? span.column - 1u : 0;
    bool one_line = span.end_line <= span.line;
    size_t end = one_line && span.end_column > span.column ? span.end_column - 1u
                 : one_line                                ? start + 1
                                                           : line.length;
    if (start > line.length) start = line.length;
    if (end > line.length) end = line.length;
    size_t from, columns = 0, lead = 0, carets = 0;
    Str shown = window(line, start, &from);
    const char *cut_left = from ? "..." : "",
               *cut_right = from + shown.length < line.length ? "..." : "";
    buf_printf(out, "%s%5u |%s %s", paint->line, span.line, paint->reset, cut_left);
    for (size_t at = 0; at < shown.length;) {
        size_t before = columns;
        size_t position = from + at;
        at += show_char(out, shown, at, &columns);
        if (position < start)
            lead = columns;
        else if (position < end)
            carets += columns - before;
    }
    buf_printf(out, "%s\n%s      |%s %*s%s", cut_right, paint->line, paint->reset,
               (int)(lead + strlen(cut_left)), "", colour);
    for (size_t k = 0; k < (carets ? carets : 1); k++) buf_char(out, '^');
    buf_printf(out, "%s\n", paint->reset);
}

static void text_diag(Buf *out, const DiagList *list, const Diag *diag, const Paint *paint)
{
    const char *colour = diag->severity == SEVERITY_ERROR     ? paint->error
                         : diag->severity == SEVERITY_WARNING ? paint->warning
                                                              : paint->note;
    buf_str(out, str_of(paint->bold));
    text_place(out, list, diag->span);
    buf_printf(out, "%s%s%s[HK%04u]%s%s: ", paint->reset, colour, severity_name[diag->severity],
               (unsigned)diag->code, paint->reset, paint->bold);
    show_text(out, diag->message);
    buf_printf(out, "%s\n", paint->reset);
    text_snippet(out, list, diag->span, paint, colour);
    for (uint32_t i = 0; i < diag->notes.count; i++) {
        const DiagNote *note = &diag->notes.data[i];
        text_place(out, list, note->span);
        buf_printf(out, "%snote%s: ", paint->note, paint->reset);
        show_text(out, note->text);
        buf_char(out, '\n');
        text_snippet(out, list, note->span, paint, paint->note);
    }
    if (!diag->hint.length) return;
    buf_printf(out, "%shelp%s: ", paint->help, paint->reset);
    show_text(out, diag->hint);
    buf_char(out, '\n');
}

void diag_render_text(Buf *out, const DiagList *list, bool colour)
{
    Paint paint = paint_of(colour);
    for (uint32_t i = 0; i < list->diags.count; i++)
        text_diag(out, list, list->diags.data[i], &paint);
    if (list->dropped_count) buf_printf(out, "and %u more\n", list->dropped_count);
}

// ---- JSON

static void json_string(Buf *out, Str s)
{
    buf_char(out, '"');
    for (size_t at = 0; at < s.length;) {
        unsigned char c = (unsigned char)s.data[at];
        size_t length = utf8_length(s, at);
        if (length == 0)
            buf_str(out, STR("\\ufffd"));
        else if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_str(out, STR("\\n"));
        else if (c == '\t')
            buf_str(out, STR("\\t"));
        else if (c < 32 || c == 127)
            buf_printf(out, "\\u%04x", c);
        else
            buf_add(out, s.data + at, length);
        at += length ? length : 1;
    }
    buf_char(out, '"');
}

static void json_member(Buf *out, const char *name, Str text)
{
    buf_printf(out, ", \"%s\": ", name);
    json_string(out, text);
}

static void json_place(Buf *out, const DiagList *list, Span span)
{
    if (!span.line || !list->sources || span.source >= list->sources->sources.count) {
        buf_str(out, STR(", \"file\": null, \"line\": null, \"column\": null, \"endLine\": null, "
                         "\"endColumn\": null"));
        return;
    }
    json_member(out, "file", list->sources->sources.data[span.source].name);
    buf_printf(out, ", \"line\": %u, \"column\": %u, \"endLine\": %u, \"endColumn\": %u", span.line,
               span.column, span.end_line, span.end_column);
}

static void json_diag(Buf *out, const DiagList *list, const Diag *diag)
{
    buf_printf(out, "{\"code\": \"HK%04u\", \"severity\": \"%s\"", (unsigned)diag->code,
               severity_name[diag->severity]);
    json_member(out, "message", diag->message);
    json_place(out, list, diag->span);
    if (diag->hint.length)
        json_member(out, "hint", diag->hint);
    else
        buf_str(out, STR(", \"hint\": null"));
    buf_str(out, STR(", \"notes\": ["));
    for (uint32_t i = 0; i < diag->notes.count; i++) {
        buf_str(out, i ? STR(", {\"message\": ") : STR("{\"message\": "));
        json_string(out, diag->notes.data[i].text);
        json_place(out, list, diag->notes.data[i].span);
        buf_char(out, '}');
    }
    buf_str(out, STR("]}"));
}

void diag_render_json(Buf *out, const DiagList *list)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < list->diags.count; i++) {
        buf_str(out, i ? STR(",\n ") : STR(""));
        json_diag(out, list, list->diags.data[i]);
    }
    buf_str(out, STR("]\n"));
}

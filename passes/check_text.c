// Accesses taken apart, and how messages name them: by the source text where there is one.
#include "passes/check.h"

#include <ctype.h>

bool access_of(const Func *f, InstId id, Access *out)
{
    const Inst *in = inst_at(f, id);
    bool load = in->op == OP_LOAD_TILE, atomic = in->op == OP_ATOMIC_TILE;
    if (!load && !atomic && in->op != OP_STORE_TILE && in->op != OP_FOLD) return false;
    *out = (Access){.inst = id,
                    .mem = {in->attr.ref},
                    .span = in->span,
                    .store = !load,
                    .fold = in->op == OP_FOLD,
                    .atomic = atomic,
                    .unordered = (in->flags & INST_UNORDERED) != 0,
                    .first = load                                    ? 0
                             : atomic && in->attr.kind == ATOMIC_CAS ? 2
                                                                     : 1,
                    .mask = inst_mask(f, in)};
    uint32_t plain = inst_plain_args(in);
    if (plain < out->first) return false;
    out->rank = plain - out->first;
    out->value = load ? inst_result(in, 0) : inst_arg(f, in, 0);
    out->axes = value_axes(f, out->value);
    for (unsigned k = 0; k < in->arg_count; k++) out->axes |= value_axes(f, inst_arg(f, in, k));
    return true;
}

Value access_index(const Func *f, const Access *access, uint32_t position)
{
    return inst_arg(f, inst_at(f, access->inst), access->first + position);
}

Poly access_poly(Sym *sym, const Access *access, uint32_t position)
{
    return sym_under_mask(sym, sym_value(sym, access_index(sym->f, access, position), NULL),
                          access->mask);
}

void access_collect(Arena *arena, const Func *f, Region region, AccessList *out)
{
    for_each_inst(f, region, id) {
        Access access;
        if (access_of(f, id, &access)) vec_push(arena, out, access);
        for (unsigned r = 0; r < inst_at(f, id)->region_count; r++)
            access_collect(arena, f, inst_region(inst_at(f, id), r), out);
    }
}

// The source text of a one-line span; empty if there is none.
static Str span_text(const PassContext *context, Span span)
{
    if (!context->diags || !context->diags->sources || !span.line || span.line != span.end_line)
        return (Str){0};
    if (span.source >= context->diags->sources->sources.count) return (Str){0};
    Str line = source_line(context->diags->sources, span);
    if (span.column < 1 || span.end_column <= span.column || span.end_column > line.length + 1)
        return (Str){0};
    return (Str){line.data + span.column - 1, (size_t)(span.end_column - span.column)};
}

static bool word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

// `name[...]` in the text of the access's span; *open is the place of its bracket.
static Str access_slice(const PassContext *context, const Func *f, const Access *access,
                        size_t *open)
{
    Str text = span_text(context, access->span), name = mem_at(f, access->mem)->name;
    for (size_t at = 0; name.length && at + name.length < text.length; at++) {
        if (memcmp(text.data + at, name.data, name.length) != 0 || (at && word(text.data[at - 1])))
            continue;
        size_t i = at + name.length;
        while (i < text.length && text.data[i] == ' ') i++;
        if (i == text.length || text.data[i] != '[') continue;
        *open = i - at;
        int depth = 0;
        for (; i < text.length; i++) {
            depth += text.data[i] == '[' || text.data[i] == '(';
            depth -= text.data[i] == ']' || text.data[i] == ')';
            if (depth == 0) return (Str){text.data + at, i + 1 - at};
        }
    }
    return (Str){0};
}

Str check_access_text(const PassContext *context, const Func *f, const Access *access)
{
    size_t open;
    Str text = access_slice(context, f, access, &open);
    return text.length ? text : mem_at(f, access->mem)->name;
}

Str check_index_text(const PassContext *context, Sym *sym, const Access *access, uint32_t position)
{
    size_t open = 0, from = 0;
    Str text = access_slice(context, sym->f, access, &open), found = {0};
    int depth = 0;
    uint32_t count = 0;
    for (size_t i = open; i < text.length; i++) {
        char c = text.data[i];
        depth += c == '[' || c == '(';
        if (i == open) from = i + 1;
        bool end = depth == 1 && (c == ',' || c == ']');
        if (end && count++ == position) found = (Str){text.data + from, i - from};
        if (end) from = i + 1;
        depth -= c == ']' || c == ')';
    }
    while (found.length && *found.data == ' ') found.data++, found.length--;
    while (found.length && found.data[found.length - 1] == ' ') found.length--;
    if (found.length && count == access->rank) return found;
    return check_poly_text(context, sym, access_poly(sym, access, position));
}

Str check_poly_text(const PassContext *context, const Sym *sym, Poly p)
{
    Buf buf = {.arena = context->arena};
    sym_print(sym, &buf, p);
    return buf_view(&buf);
}

Str check_axis_name(const Func *f, Axis a)
{
    Str name = axis_at(f, a)->name;
    size_t n = name.length;
    while (n && isdigit((unsigned char)name.data[n - 1])) n--;
    if (n < 2 || n == name.length || name.data[n - 1] != '_') return name;
    Str base = {name.data, n - 1};
    for (uint32_t i = 1; i < f->axes.count; i++)
        if (i != a.i && str_equal(f->axes.data[i].name, base)) return base;
    return name;
}

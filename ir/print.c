// Writes a function as text; docs/ir.md has the grammar.
//
// Laws: what is printed does not depend on handles, only on order of appearance; every member of
// Func that means something is printed; broken IR prints too, since the verifier quotes it.
#include "ir/text.h"

typedef struct Printer {
    Buf *out;
    const Func *f;
    const uint32_t *numbers;
} Printer;

// ---- names and small things

static bool is_plain_name(Str name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
    }
    return name.length > 0;
}

static void print_string(Buf *out, Str s)
{
    buf_char(out, '"');
    for (size_t i = 0; i < s.length; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_str(out, STR("\\n"));
        else if (c < 32 || c == 127)
            buf_printf(out, "\\x%02x", c);
        else
            buf_char(out, (char)c);
    }
    buf_char(out, '"');
}

static void print_name(Buf *out, Str name)
{
    if (is_plain_name(name))
        buf_str(out, name);
    else
        print_string(out, name);
}

// What is not the first of its name is written by its number, so that the text stays unambiguous.
static void print_ref(Buf *out, Str name, bool is_first, uint32_t index)
{
    if (is_first && name.length)
        print_name(out, name);
    else
        buf_printf(out, "#%u", index);
}

#define PRINT_REF(out, list, from, index)                                                          \
    do {                                                                                           \
        uint32_t ref = (index), first = (from);                                                    \
        if (ref >= (list).count) {                                                                 \
            buf_printf((out), "#%u", ref);                                                         \
            break;                                                                                 \
        }                                                                                          \
        while (!str_equal((list).data[first].name, (list).data[ref].name)) first++;                \
        print_ref((out), (list).data[ref].name, first == ref, ref);                                \
    } while (0)

static void print_mem(Buf *out, const Func *f, uint32_t mem)
{
    PRINT_REF(out, f->mems, 1, mem);
}

static void print_axis(Buf *out, const Func *f, uint32_t axis)
{
    PRINT_REF(out, f->axes, 1, axis);
}

static void print_span(Buf *out, Span span)
{
    if (!span.line) return;
    buf_str(out, STR(" @"));
    if (span.source) buf_printf(out, "%u/", span.source);
    buf_printf(out, "%u:%u-", span.line, span.column);
    if (span.end_line != span.line) buf_printf(out, "%u:", span.end_line);
    buf_printf(out, "%u", span.end_column);
}

static void print_word(Buf *out, const Words *words, uint32_t index)
{
    if (index < words->count)
        buf_str(out, str_of(words->words[index]));
    else
        buf_printf(out, "#%u", index);
}

static void print_axes(Buf *out, const Func *f, AxisSet axes)
{
    bool comma = false;
    for (uint32_t a = 0; a < 64; a++) {
        if (!(axes >> a & 1)) continue;
        if (comma) buf_char(out, ',');
        print_axis(out, f, a);
        comma = true;
    }
}

static void print_dtype(Buf *out, uint32_t t)
{
    buf_str(out, t < DTYPE_COUNT ? str_of(dtype_info[t].name) : STR("?"));
}

static void print_type(Buf *out, const Func *f, Type type)
{
    print_dtype(out, type.dtype);
    if (type.lanes) buf_printf(out, "x%u", type.lanes);
    if (!type.axes) return;
    buf_char(out, '{');
    print_axes(out, f, type.axes);
    buf_char(out, '}');
}

// ---- numbers of values

typedef struct Numbering {
    const Func *f;
    uint32_t *numbers, next;
} Numbering;

static void number_run(Numbering *n, uint32_t first, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        if (first + k < n->f->values.count) n->numbers[first + k] = n->next++;
    }
}

static void number_region(Numbering *n, Region r)
{
    const RegionInfo *region = region_at(n->f, r);
    number_run(n, region->args, region->arg_count);
    for_each_inst(n->f, r, id) {
        const Inst *in = inst_at(n->f, id);
        number_run(n, in->results, in->result_count);
        for (unsigned k = 0; k < in->region_count; k++) number_region(n, inst_region(in, k));
    }
}

const uint32_t *func_number_values(Arena *arena, const Func *f)
{
    Numbering n = {.f = f, .numbers = arena_array(arena, uint32_t, f->values.count)};
    memset(n.numbers, 0xff, sizeof(uint32_t) * f->values.count);
    number_region(&n, f->body);
    return n.numbers;
}

static void print_value(const Printer *p, uint32_t v)
{
    if (v < p->f->values.count && p->numbers[v] != UINT32_MAX)
        buf_printf(p->out, "%%%u", p->numbers[v]);
    else
        buf_printf(p->out, "%%?%u", v);
}

static void print_definition(const Printer *p, uint32_t v)
{
    print_value(p, v);
    if (v >= p->f->values.count || !p->f->values.data[v].name.length) return;
    buf_char(p->out, '.');
    print_name(p->out, p->f->values.data[v].name);
}

// ---- instructions

static void print_positions(Buf *out, uint64_t bits)
{
    bool comma = false;
    buf_str(out, STR(" check["));
    for (unsigned k = 0; k < 64; k++) {
        if (!(bits >> k & 1)) continue;
        buf_printf(out, comma ? ",%u" : "%u", k);
        comma = true;
    }
    buf_char(out, ']');
}

static void print_attr_mem(Buf *out, const Func *f, const Inst *in)
{
    if (in->op == OP_FOLD) {
        buf_char(out, '.');
        print_word(out, &words_reduce, in->attr.kind);
    }
    if (in->op == OP_ATOMIC_TILE || in->op == OP_ATOMIC) {
        buf_char(out, '.');
        print_word(out, &words_atomic, in->attr.kind);
    }
    buf_char(out, ' ');
    print_mem(out, f, in->attr.ref);
    bool is_access = in->op == OP_LOAD_TILE || in->op == OP_STORE_TILE || in->op == OP_FOLD ||
                     in->op == OP_ATOMIC_TILE;
    bool has_number = in->op == OP_EXTENT || in->op == OP_STRIDE || in->op == OP_SCRATCH;
    if (has_number)
        buf_printf(out, "[%llu]", (unsigned long long)in->attr.bits);
    else if (is_access && in->attr.bits)
        print_positions(out, in->attr.bits);
}

static void print_attr_const(Buf *out, const Func *f, const Inst *in)
{
    Type type = in->result_count ? value_type(f, inst_result(in, 0)) : type_scalar(DTYPE_I64);
    bool as_float = in->op == OP_CONST && dtype_is_float((DType)type.dtype);
    if (as_float)
        buf_printf(out, " 0x%llx", (unsigned long long)in->attr.bits);
    else
        buf_printf(out, " %lld", (long long)in->attr.bits);
}

static void print_attr(Buf *out, const Func *f, const Inst *in)
{
    switch ((OpAttr)op_info[in->op].attr) {
    case ATTR_NONE: return;
    case ATTR_CONST: print_attr_const(out, f, in); return;
    case ATTR_AXIS:
        buf_char(out, ' ');
        print_axis(out, f, in->attr.ref);
        return;
    case ATTR_AXES:
        if (in->op != OP_TAKE) {
            buf_char(out, '.');
            print_word(out, &words_reduce, in->attr.kind);
        }
        if (!in->attr.bits) return;
        buf_char(out, '[');
        print_axes(out, f, in->attr.bits);
        buf_char(out, ']');
        return;
    case ATTR_COMBINE:
        buf_char(out, '.');
        print_word(out, &words_combine, in->attr.kind);
        buf_char(out, '[');
        print_axes(out, f, in->attr.bits);
        buf_char(out, ']');
        return;
    case ATTR_SORT:
        buf_char(out, '[');
        print_axes(out, f, in->attr.bits);
        buf_char(out, ']');
        buf_char(out, ' ');
        print_axis(out, f, in->attr.ref);
        return;
    case ATTR_MEM: print_attr_mem(out, f, in); return;
    case ATTR_DIM:
        buf_char(out, ' ');
        PRINT_REF(out, f->dims, 0, in->attr.ref);
        return;
    case ATTR_ARG:
        buf_char(out, ' ');
        PRINT_REF(out, f->args, 0, in->attr.ref);
        return;
    case ATTR_DTYPE:
        buf_char(out, ' ');
        print_dtype(out, in->attr.kind);
        return;
    case ATTR_SITE: buf_printf(out, " #%u", in->attr.ref); return;
    case ATTR_LOOP:
        buf_char(out, ' ');
        print_word(out, &words_loop, in->attr.kind);
        return;
    case ATTR_INFO:
        buf_char(out, ' ');
        print_axis(out, f, in->attr.ref);
        buf_char(out, '.');
        print_word(out, &words_info, in->attr.kind);
        return;
    case ATTR_REFINE:
        buf_char(out, ' ');
        print_mem(out, f, in->attr.ref);
        buf_char(out, ' ');
        print_word(out, &words_refine, in->attr.kind);
        return;
    case ATTR_ALIGN:
        buf_char(out, ' ');
        print_mem(out, f, in->attr.ref);
        if (in->attr.bits) buf_printf(out, " align %llu", (unsigned long long)in->attr.bits);
        return;
    }
}

static void print_args(const Printer *p, const Inst *in)
{
    if (!in->arg_count) return;
    buf_str(p->out, STR(" ("));
    for (unsigned k = 0; k < in->arg_count; k++) {
        bool is_mask = (in->flags & INST_MASKED) && k == in->arg_count - 1u;
        if (k) buf_str(p->out, STR(", "));
        if (is_mask) buf_str(p->out, STR("mask "));
        print_value(p, inst_arg(p->f, in, k).i);
    }
    buf_char(p->out, ')');
}

static void print_head(const Printer *p, InstId id)
{
    const Inst *in = inst_at(p->f, id);
    if (in->op >= OP_COUNT) {
        buf_printf(p->out, "operation #%u", in->op);
        return;
    }
    for (unsigned k = 0; k < in->result_count; k++) {
        if (k) buf_str(p->out, STR(", "));
        print_definition(p, inst_result(in, k).i);
    }
    if (in->result_count) buf_str(p->out, STR(" = "));
    buf_str(p->out, str_of(op_info[in->op].mnemonic));
    for (unsigned bit = 0; bit < words_flag.count; bit++) {
        if (in->flags >> bit & 1 && words_flag.words[bit][0])
            buf_printf(p->out, " !%s", words_flag.words[bit]);
    }
    print_attr(p->out, p->f, in);
    print_args(p, in);
    for (unsigned k = 0; k < in->result_count; k++) {
        buf_str(p->out, k ? STR(", ") : STR(" : "));
        print_type(p->out, p->f, value_type(p->f, inst_result(in, k)));
    }
    print_span(p->out, in->span);
}

void print_inst(Buf *out, const Func *f, const uint32_t *numbers, InstId id)
{
    print_head(&(Printer){out, f, numbers}, id);
}

static void print_indent(Buf *out, unsigned depth)
{
    for (unsigned k = 0; k < depth; k++) buf_str(out, STR("  "));
}

static void print_region(const Printer *p, Region r, unsigned depth)
{
    const RegionInfo *region = region_at(p->f, r);
    buf_char(p->out, '{');
    for (uint32_t k = 0; k < region->arg_count; k++) {
        buf_str(p->out, k ? STR(", ") : STR(" ("));
        print_definition(p, region->args + k);
        buf_str(p->out, STR(" : "));
        print_type(p->out, p->f, value_type(p->f, region_arg(p->f, r, k)));
    }
    buf_str(p->out, region->arg_count ? STR(")\n") : STR("\n"));
    for_each_inst(p->f, r, id) {
        const Inst *in = inst_at(p->f, id);
        print_indent(p->out, depth + 1);
        print_head(p, id);
        for (unsigned k = 0; k < in->region_count; k++) {
            buf_str(p->out, k ? STR(" else ") : STR(" "));
            print_region(p, inst_region(in, k), depth + 1);
        }
        buf_char(p->out, '\n');
    }
    print_indent(p->out, depth);
    buf_char(p->out, '}');
}

// ---- declarations

static void print_dims_and_args(Buf *out, const Func *f)
{
    for (uint32_t i = 0; i < f->dims.count; i++) {
        const DimInfo *dim = &f->dims.data[i];
        buf_str(out, STR("dim "));
        print_name(out, dim->name);
        bool plain = dim->scale == 1 && dim->offset == 0;
        if (dim->mem.i) {
            buf_str(out, plain ? STR(" = ") : dim->scale ? STR(" = (") : STR(" solves "));
            print_mem(out, f, dim->mem.i);
            buf_printf(out, "[%u]", dim->position);
            if (!plain && dim->scale)
                buf_printf(out, " - %lld) / %lld", (long long)dim->offset, (long long)dim->scale);
        }
        print_span(out, dim->span);
        buf_char(out, '\n');
    }
    for (uint32_t i = 0; i < f->args.count; i++) {
        buf_str(out, STR("arg "));
        print_name(out, f->args.data[i].name);
        buf_str(out, STR(": "));
        print_dtype(out, f->args.data[i].dtype);
        print_span(out, f->args.data[i].span);
        buf_char(out, '\n');
    }
}

static void print_mems(Buf *out, const Func *f)
{
    for (uint32_t i = 1; i < f->mems.count; i++) {
        const MemInfo *mem = &f->mems.data[i];
        buf_str(out, STR("mem "));
        print_name(out, mem->name);
        buf_str(out, STR(": "));
        print_dtype(out, mem->dtype);
        buf_printf(out, "[%u] ", mem->rank);
        print_word(out, &words_mem, mem->kind);
        if (mem->partial) buf_str(out, STR(" partial"));
        if (mem->has_init) buf_printf(out, " = 0x%llx", (unsigned long long)mem->init_bits);
        print_span(out, mem->span);
        buf_char(out, '\n');
    }
}

static void print_axes_declared(Buf *out, const Func *f)
{
    for (uint32_t i = 1; i < f->axes.count; i++) {
        const AxisInfo *axis = &f->axes.data[i];
        buf_str(out, STR("axis "));
        print_name(out, axis->name);
        buf_str(out, STR(": "));
        print_word(out, &words_axis, axis->kind);
        if (axis->scalar) buf_str(out, STR(" scalar"));
        if (axis->has_by) buf_str(out, STR(" by"));
        print_span(out, axis->span);
        buf_char(out, '\n');
    }
}

static void print_sites(Buf *out, const Func *f)
{
    for (uint32_t i = 0; i < f->sites.count; i++) {
        const SiteInfo *site = &f->sites.data[i];
        buf_printf(out, "site %u ", i);
        print_word(out, &words_site, site->kind);
        if (site->mem.i) {
            buf_str(out, STR(" of "));
            print_mem(out, f, site->mem.i);
            buf_printf(out, "[%u]", site->position);
        }
        if (site->message.length) {
            buf_char(out, ' ');
            print_string(out, site->message);
        }
        print_span(out, site->span);
        buf_char(out, '\n');
    }
}

void func_print(Buf *out, const Func *f)
{
    buf_str(out, STR("hako "));
    print_word(out, &words_level, f->level);
    buf_str(out, STR(" @"));
    print_name(out, f->name);
    buf_char(out, ' ');
    print_string(out, f->source_name);
    buf_char(out, '\n');
    print_mems(out, f);
    print_dims_and_args(out, f);
    print_axes_declared(out, f);
    print_sites(out, f);
    Printer p = {out, f, func_number_values(out->arena, f)};
    print_region(&p, f->body, 0);
    buf_char(out, '\n');
}

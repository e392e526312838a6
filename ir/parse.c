// Reads the text form of a function; docs/ir.md has the grammar.
//
// Laws: any text gives a function that the verifier accepts, or a diagnostic. Depth is bounded,
// handles are checked where they are read.
#include "ir/scan.h"
#include "ir/text.h"

enum { DEPTH_MAX = 200, ARGS_MAX = UINT16_MAX };

typedef struct Parser {
    Scanner scan;
    Func *f;
    VEC(Value) values; // by the number in the text
    unsigned depth;
} Parser;

// The instruction being read.
typedef struct Draft {
    Op op;
    uint8_t flags;
    Attr attr;
    VEC(uint32_t) result_numbers;
    VEC(Str) result_names;
    VEC(Value) args;
    VEC(Type) types;
    Span span;
} Draft;

// ---- references

static bool parse_word(Parser *p, const Words *words, uint32_t *index)
{
    if (p->scan.kind == TOKEN_NAME && words_find(words, p->scan.word, index)) {
        scan_next(&p->scan);
        return true;
    }
    return scan_error(&p->scan, "expected one of %s, ...",
                      words->words[0][0] ? words->words[0] : words->words[1]);
}

// A name of the list, or #index where names are ambiguous.
#define PARSE_REF(p, list, from, what, index)                                                      \
    do {                                                                                           \
        Str ref_name;                                                                              \
        if (scan_accept(&(p)->scan, '#'))                                                          \
            return parse_index((p), (from), (list).count, what, (index));                          \
        Span ref_span = (p)->scan.span;                                                            \
        if (!scan_expect_name(&(p)->scan, &ref_name)) return false;                                \
        for (*(index) = (from); *(index) < (list).count; ++*(index)) {                             \
            if (str_equal((list).data[*(index)].name, ref_name)) return true;                      \
        }                                                                                          \
        (p)->scan.span = ref_span;                                                                 \
        return scan_error(&(p)->scan, "no " what " is named '%.*s'", STR_ARG(ref_name));           \
    } while (0)

static bool parse_index(Parser *p, uint32_t from, uint32_t count, const char *what, uint32_t *index)
{
    uint64_t x;
    if (!scan_expect_number(&p->scan, UINT32_MAX, &x)) return false;
    *index = (uint32_t)x;
    return (x >= from && x < count) || scan_error(&p->scan, "there is no %s #%u", what, *index);
}

static bool parse_mem(Parser *p, uint32_t *index)
{
    PARSE_REF(p, p->f->mems, 1, "memory", index);
}

static bool parse_axis(Parser *p, uint32_t *index)
{
    PARSE_REF(p, p->f->axes, 1, "axis", index);
}

static bool parse_dim(Parser *p, uint32_t *index)
{
    PARSE_REF(p, p->f->dims, 0, "dimension", index);
}

static bool parse_arg(Parser *p, uint32_t *index)
{
    PARSE_REF(p, p->f->args, 0, "argument", index);
}

static bool parse_mem_position(Parser *p, uint32_t *mem, uint64_t largest, uint64_t *position)
{
    return parse_mem(p, mem) && scan_expect(&p->scan, '[') &&
           scan_expect_number(&p->scan, largest, position) && scan_expect(&p->scan, ']');
}

static bool parse_axes(Parser *p, char close, AxisSet *axes)
{
    do {
        uint32_t a;
        if (!parse_axis(p, &a)) return false;
        *axes |= axis_bit((Axis){a});
    } while (scan_accept(&p->scan, ','));
    return scan_expect(&p->scan, close);
}

// f32, f32x16, f32{m,n}
static bool parse_dtype(Parser *p, DType *t, unsigned *lanes)
{
    Str word = p->scan.word;
    if (p->scan.kind != TOKEN_NAME) return scan_error(&p->scan, "expected a type");
    *lanes = 0;
    *t = dtype_find(word);
    for (size_t i = word.length; *t == DTYPE_NONE && i-- > 1;) {
        if (word.data[i] != 'x') continue;
        *t = dtype_find((Str){word.data, i});
        for (size_t k = i + 1; k < word.length; k++) {
            bool digit = word.data[k] >= '0' && word.data[k] <= '9';
            *lanes = digit && *lanes < UINT16_MAX ? *lanes * 10 + (unsigned)(word.data[k] - '0')
                                                  : UINT16_MAX + 1;
        }
        if (*lanes == 0 || *lanes > UINT16_MAX) return scan_error(&p->scan, "bad number of lanes");
    }
    if (*t == DTYPE_NONE) return scan_error(&p->scan, "'%.*s' is no type", STR_ARG(word));
    scan_next(&p->scan);
    return true;
}

static bool parse_type(Parser *p, Type *type)
{
    DType t;
    unsigned lanes;
    const char *end = p->scan.word.data + p->scan.word.length;
    if (!parse_dtype(p, &t, &lanes)) return false;
    *type = type_vector(t, lanes);
    // Axes follow at once: "i64 {" is a scalar before a region.
    bool has_axes = scan_is(&p->scan, '{') && p->scan.word.data == end;
    return !has_axes || (scan_accept(&p->scan, '{') && parse_axes(p, '}', &type->axes));
}

static bool parse_scalar_dtype(Parser *p, DType *t)
{
    unsigned lanes;
    return parse_dtype(p, t, &lanes) &&
           (lanes == 0 || scan_error(&p->scan, "a vector type is not meant here"));
}

// @ [source /] line : column - [line :] column
static bool parse_span(Parser *p, Span *span)
{
    uint64_t source = 0, line, column, end_line, end_column;
    *span = (Span){0};
    if (!scan_accept(&p->scan, '@')) return true;
    if (!scan_expect_number(&p->scan, UINT32_MAX, &line)) return false;
    if (scan_accept(&p->scan, '/')) {
        source = line;
        if (!scan_expect_number(&p->scan, UINT32_MAX, &line)) return false;
    }
    if (!scan_expect(&p->scan, ':') || !scan_expect_number(&p->scan, UINT16_MAX, &column))
        return false;
    if (!scan_expect(&p->scan, '-') || !scan_expect_number(&p->scan, UINT32_MAX, &end_column))
        return false;
    end_line = line;
    if (scan_accept(&p->scan, ':')) {
        end_line = end_column;
        if (!scan_expect_number(&p->scan, UINT16_MAX, &end_column)) return false;
    }
    if (line == 0 || end_column > UINT16_MAX) return scan_error(&p->scan, "a place that cannot be");
    *span = (Span){(uint32_t)line, (uint32_t)end_line, (uint16_t)column, (uint16_t)end_column,
                   (uint32_t)source};
    return true;
}

// ---- values

static bool parse_number(Parser *p, uint32_t *number)
{
    uint64_t x;
    // A definition takes more than one byte of text, so this bounds the table of values.
    if (!scan_expect(&p->scan, '%') || !scan_expect_number(&p->scan, p->scan.text.length, &x))
        return false;
    *number = (uint32_t)x;
    return true;
}

static bool parse_use(Parser *p, Value *v)
{
    uint32_t number;
    Span span = p->scan.span;
    if (!parse_number(p, &number)) return false;
    *v = number < p->values.count ? p->values.data[number] : (Value){0};
    if (v->i) return true;
    p->scan.span = span;
    return scan_error(&p->scan, "%%%u is not defined before its use", number);
}

static bool parse_definition(Parser *p, uint32_t *number, Str *name)
{
    *name = (Str){"", 0};
    if (!parse_number(p, number)) return false;
    return !scan_accept(&p->scan, '.') || scan_expect_name(&p->scan, name);
}

static bool define(Parser *p, uint32_t number, Value v, Str name)
{
    while (p->values.count <= number) vec_push(p->f->arena, &p->values, (Value){0});
    if (p->values.data[number].i) return scan_error(&p->scan, "%%%u is defined twice", number);
    p->values.data[number] = v;
    value_at(p->f, v)->name = str_copy(p->f->arena, name);
    return true;
}

// ---- attributes

static bool parse_positions(Parser *p, uint64_t *bits)
{
    if (!scan_accept_name(&p->scan, "check")) return true;
    if (!scan_expect(&p->scan, '[')) return false;
    do {
        uint64_t position;
        if (!scan_expect_number(&p->scan, RANK_MAX - 1, &position)) return false;
        *bits |= (uint64_t)1 << position;
    } while (scan_accept(&p->scan, ','));
    return scan_expect(&p->scan, ']');
}

static bool parse_attr_mem(Parser *p, Draft *d)
{
    bool has_number = d->op == OP_EXTENT || d->op == OP_STRIDE || d->op == OP_SCRATCH;
    if (d->op == OP_FOLD) {
        if (!scan_expect(&p->scan, '.') || !parse_word(p, &words_reduce, &d->attr.kind))
            return false;
    }
    if (d->op == OP_ATOMIC_TILE || d->op == OP_ATOMIC) {
        if (!scan_expect(&p->scan, '.') || !parse_word(p, &words_atomic, &d->attr.kind))
            return false;
    }
    if (has_number) return parse_mem_position(p, &d->attr.ref, UINT64_MAX, &d->attr.bits);
    if (!parse_mem(p, &d->attr.ref)) return false;
    bool is_access = d->op == OP_LOAD_TILE || d->op == OP_STORE_TILE || d->op == OP_FOLD ||
                     d->op == OP_ATOMIC_TILE;
    return !is_access || parse_positions(p, &d->attr.bits);
}

static bool parse_attr_axes(Parser *p, Draft *d)
{
    bool kind = d->op != OP_TAKE;
    if (kind && (!scan_expect(&p->scan, '.') || !parse_word(p, &words_reduce, &d->attr.kind)))
        return false;
    return !scan_accept(&p->scan, '[') || parse_axes(p, ']', &d->attr.bits);
}

static bool parse_attr_combine(Parser *p, Draft *d)
{
    return scan_expect(&p->scan, '.') && parse_word(p, &words_combine, &d->attr.kind) &&
           scan_expect(&p->scan, '[') && parse_axes(p, ']', &d->attr.bits);
}

static bool parse_attr_sort(Parser *p, Draft *d)
{
    return scan_expect(&p->scan, '[') && parse_axes(p, ']', &d->attr.bits) &&
           parse_axis(p, &d->attr.ref);
}

static bool parse_attr(Parser *p, Draft *d)
{
    int64_t number;
    DType t;
    switch ((OpAttr)op_info[d->op].attr) {
    case ATTR_NONE: return true;
    case ATTR_CONST:
        if (!scan_expect_signed(&p->scan, &number)) return false;
        d->attr.bits = (uint64_t)number;
        return true;
    case ATTR_AXIS: return parse_axis(p, &d->attr.ref);
    case ATTR_AXES: return parse_attr_axes(p, d);
    case ATTR_COMBINE: return parse_attr_combine(p, d);
    case ATTR_SORT: return parse_attr_sort(p, d);
    case ATTR_MEM: return parse_attr_mem(p, d);
    case ATTR_DIM: return parse_dim(p, &d->attr.ref);
    case ATTR_ARG: return parse_arg(p, &d->attr.ref);
    case ATTR_DTYPE:
        if (!parse_scalar_dtype(p, &t)) return false;
        d->attr.kind = t;
        return true;
    case ATTR_SITE:
        return scan_expect(&p->scan, '#') &&
               parse_index(p, 0, p->f->sites.count, "site", &d->attr.ref);
    case ATTR_LOOP: return parse_word(p, &words_loop, &d->attr.kind);
    case ATTR_INFO:
        return parse_axis(p, &d->attr.ref) && scan_expect(&p->scan, '.') &&
               parse_word(p, &words_info, &d->attr.kind);
    case ATTR_REFINE:
        return parse_mem(p, &d->attr.ref) && parse_word(p, &words_refine, &d->attr.kind);
    case ATTR_ALIGN:
        if (!parse_mem(p, &d->attr.ref)) return false;
        return !scan_accept_name(&p->scan, "align") ||
               scan_expect_number(&p->scan, UINT64_MAX, &d->attr.bits);
    }
    return false;
}

// ---- instructions

static bool parse_region(Parser *p, Region r);

static bool parse_results(Parser *p, Draft *d)
{
    if (!scan_is(&p->scan, '%')) return true;
    do {
        uint32_t number;
        Str name;
        if (!parse_definition(p, &number, &name)) return false;
        vec_push(p->f->arena, &d->result_numbers, number);
        vec_push(p->f->arena, &d->result_names, name);
    } while (scan_accept(&p->scan, ','));
    return scan_expect(&p->scan, '=');
}

static bool parse_operands(Parser *p, Draft *d)
{
    if (!scan_accept(&p->scan, '(')) return true;
    do {
        Value v;
        if (d->flags & INST_MASKED) return scan_error(&p->scan, "the mask is the last operand");
        if (scan_accept_name(&p->scan, "mask")) d->flags |= INST_MASKED;
        if (!parse_use(p, &v)) return false;
        if (d->args.count >= ARGS_MAX) return scan_error(&p->scan, "too many operands");
        vec_push(p->f->arena, &d->args, v);
    } while (scan_accept(&p->scan, ','));
    return scan_expect(&p->scan, ')');
}

static bool parse_types(Parser *p, Draft *d)
{
    if (d->result_numbers.count > ARGS_MAX) return scan_error(&p->scan, "too many results");
    for (uint32_t k = 0; k < d->result_numbers.count; k++) {
        Type type;
        if (!scan_expect(&p->scan, k ? ',' : ':') || !parse_type(p, &type)) return false;
        vec_push(p->f->arena, &d->types, type);
    }
    return true;
}

static bool parse_head(Parser *p, Draft *d)
{
    if (!parse_results(p, d)) return false;
    d->op = p->scan.kind == TOKEN_NAME ? op_find(p->scan.word) : OP_NONE;
    if (d->op == OP_NONE) return scan_error(&p->scan, "expected an operation");
    scan_next(&p->scan);
    while (scan_accept(&p->scan, '!')) {
        uint32_t bit;
        if (!parse_word(p, &words_flag, &bit)) return false;
        d->flags |= (uint8_t)(1u << bit);
    }
    return parse_attr(p, d) && parse_operands(p, d) && parse_types(p, d) && parse_span(p, &d->span);
}

static void note_declaration(Func *f, const Draft *d, InstId id)
{
    if (d->op == OP_TENSOR || d->op == OP_SCRATCH) mem_at(f, (Mem){d->attr.ref})->decl = id;
    if (d->op == OP_GRID || d->op == OP_LOOP || d->op == OP_AXIS)
        axis_at(f, (Axis){d->attr.ref})->decl = id;
}

static bool parse_inst(Parser *p, Region r)
{
    Draft d = {0};
    Func *f = p->f;
    if (!parse_head(p, &d)) return false;
    unsigned region_count = !(op_info[d.op].traits & TRAIT_REGION) ? 0 : d.op == OP_IF ? 2 : 1;
    Region regions[2] = {{0}, {0}};
    for (unsigned k = 0; k < region_count; k++) regions[k] = func_region(f);
    Type none;
    Builder b = {.f = f, .region = r, .span = d.span};
    InstId id = build_inst(&b, d.op,
                           (BuildSpec){.args = d.args.data,
                                       .arg_count = d.args.count,
                                       .regions = regions,
                                       .region_count = region_count,
                                       .results = d.types.count ? d.types.data : &none,
                                       .result_count = d.types.count,
                                       .attr = d.attr,
                                       .flags = d.flags});
    note_declaration(f, &d, id);
    for (uint32_t k = 0; k < d.result_numbers.count; k++) {
        Value v = inst_result(inst_at(f, id), k);
        if (!define(p, d.result_numbers.data[k], v, d.result_names.data[k])) return false;
    }
    for (unsigned k = 0; k < region_count; k++) {
        if (k && !scan_accept_name(&p->scan, "else"))
            return scan_error(&p->scan, "expected 'else'");
        if (!parse_region(p, regions[k])) return false;
    }
    return true;
}

static bool parse_region_args(Parser *p, Region r)
{
    if (!scan_accept(&p->scan, '(')) return true;
    do {
        uint32_t number;
        Str name;
        Type type;
        if (!parse_definition(p, &number, &name) || !scan_expect(&p->scan, ':')) return false;
        if (!parse_type(p, &type) || !define(p, number, region_add_arg(p->f, r, type), name))
            return false;
    } while (scan_accept(&p->scan, ','));
    return scan_expect(&p->scan, ')');
}

static bool parse_region(Parser *p, Region r)
{
    if (++p->depth > DEPTH_MAX) return scan_error(&p->scan, "regions nest too deep");
    if (!scan_expect(&p->scan, '{') || !parse_region_args(p, r)) return false;
    while (!scan_is(&p->scan, '}')) {
        if (p->scan.kind == TOKEN_END) return scan_error(&p->scan, "expected '}' before the end");
        if (!parse_inst(p, r)) return false;
    }
    scan_next(&p->scan);
    p->depth--;
    return true;
}

// ---- declarations

static bool parse_mem_decl(Parser *p)
{
    MemInfo mem = {0};
    uint64_t rank;
    uint32_t kind;
    if (!scan_expect_name(&p->scan, &mem.name) || !scan_expect(&p->scan, ':')) return false;
    if (!parse_scalar_dtype(p, &mem.dtype) || !scan_expect(&p->scan, '[')) return false;
    if (!scan_expect_number(&p->scan, RANK_MAX, &rank) || !scan_expect(&p->scan, ']')) return false;
    if (!parse_word(p, &words_mem, &kind)) return false;
    mem.rank = (uint8_t)rank;
    mem.kind = (MemKind)kind;
    mem.partial = scan_accept_name(&p->scan, "partial");
    mem.has_init = scan_accept(&p->scan, '=');
    if (mem.has_init && !scan_expect_number(&p->scan, UINT64_MAX, &mem.init_bits)) return false;
    if (!parse_span(p, &mem.span)) return false;
    mem.name = str_copy(p->f->arena, mem.name);
    vec_push(p->f->arena, &p->f->mems, mem);
    return true;
}

static bool parse_axis_decl(Parser *p)
{
    AxisInfo axis = {0};
    uint32_t kind;
    if (!scan_expect_name(&p->scan, &axis.name) || !scan_expect(&p->scan, ':')) return false;
    if (!parse_word(p, &words_axis, &kind)) return false;
    axis.kind = (AxisKind)kind;
    axis.scalar = scan_accept_name(&p->scan, "scalar");
    axis.has_by = scan_accept_name(&p->scan, "by");
    if (!parse_span(p, &axis.span)) return false;
    if (p->f->axes.count >= 64) return scan_error(&p->scan, "too many axes");
    axis.name = str_copy(p->f->arena, axis.name);
    vec_push(p->f->arena, &p->f->axes, axis);
    return true;
}

// dim N = x[0]        dim N = (x[0] - 1) / 2        dim N solves x[0]        dim N
static bool parse_dim_decl(Parser *p)
{
    DimInfo dim = {.scale = 1};
    uint64_t position = 0;
    if (!scan_expect_name(&p->scan, &dim.name)) return false;
    if (scan_accept_name(&p->scan, "solves")) {
        dim.scale = 0;
        if (!parse_mem_position(p, &dim.mem.i, RANK_MAX - 1, &position)) return false;
        dim.position = (uint32_t)position;
    } else if (scan_accept(&p->scan, '=')) {
        bool affine = scan_accept(&p->scan, '(');
        if (!parse_mem_position(p, &dim.mem.i, RANK_MAX - 1, &position)) return false;
        dim.position = (uint32_t)position;
        if (affine) {
            if (!scan_expect(&p->scan, '-') || !scan_expect_signed(&p->scan, &dim.offset))
                return false;
            if (!scan_expect(&p->scan, ')') || !scan_expect(&p->scan, '/')) return false;
            if (!scan_expect_signed(&p->scan, &dim.scale)) return false;
            if (dim.scale <= 0) return scan_error(&p->scan, "the divisor must be positive");
        }
    }
    if (!parse_span(p, &dim.span)) return false;
    dim.name = str_copy(p->f->arena, dim.name);
    vec_push(p->f->arena, &p->f->dims, dim);
    return true;
}

static bool parse_arg_decl(Parser *p)
{
    ArgInfo arg = {0};
    if (!scan_expect_name(&p->scan, &arg.name) || !scan_expect(&p->scan, ':')) return false;
    if (!parse_scalar_dtype(p, &arg.dtype) || !parse_span(p, &arg.span)) return false;
    if (!dtype_is_arith(arg.dtype))
        return scan_error(&p->scan, "an argument has an arithmetic type");
    arg.name = str_copy(p->f->arena, arg.name);
    vec_push(p->f->arena, &p->f->args, arg);
    return true;
}

static bool parse_site_decl(Parser *p)
{
    SiteInfo site = {0};
    uint64_t number, position = 0;
    uint32_t kind;
    if (!scan_expect_number(&p->scan, UINT32_MAX, &number)) return false;
    if (number != p->f->sites.count)
        return scan_error(&p->scan, "sites are numbered from 0 in order");
    if (!parse_word(p, &words_site, &kind)) return false;
    site.kind = (SiteKind)kind;
    if (scan_accept_name(&p->scan, "of")) {
        if (!parse_mem_position(p, &site.mem.i, RANK_MAX - 1, &position)) return false;
    }
    site.position = (uint32_t)position;
    if (p->scan.kind == TOKEN_STRING && !scan_expect_string(&p->scan, &site.message)) return false;
    if (!parse_span(p, &site.span)) return false;
    site.message = str_copy(p->f->arena, site.message);
    vec_push(p->f->arena, &p->f->sites, site);
    return true;
}

static bool parse_header(Parser *p, Arena *arena)
{
    uint32_t level;
    Str name, source_name;
    if (!scan_accept_name(&p->scan, "hako"))
        return scan_error(&p->scan, "expected 'hako tile' or 'hako loop'");
    if (!parse_word(p, &words_level, &level) || !scan_expect(&p->scan, '@')) return false;
    if (!scan_expect_name(&p->scan, &name) || !scan_expect_string(&p->scan, &source_name))
        return false;
    p->f = func_new(arena, (uint8_t)level, name);
    p->f->source_name = str_copy(arena, source_name);
    return true;
}

static bool parse_declarations(Parser *p)
{
    while (!scan_is(&p->scan, '{')) {
        bool ok = scan_accept_name(&p->scan, "mem")    ? parse_mem_decl(p)
                  : scan_accept_name(&p->scan, "axis") ? parse_axis_decl(p)
                  : scan_accept_name(&p->scan, "dim")  ? parse_dim_decl(p)
                  : scan_accept_name(&p->scan, "arg")  ? parse_arg_decl(p)
                  : scan_accept_name(&p->scan, "site")
                      ? parse_site_decl(p)
                      : scan_error(&p->scan, "expected a declaration or '{'");
        if (!ok) return false;
    }
    return true;
}

Func *func_parse(Arena *arena, Str text, DiagList *diags, uint32_t source)
{
    Parser p = {
        .scan = {.arena = arena, .text = text, .line = 1, .source = source, .diags = diags}};
    scan_next(&p.scan);
    if (!parse_header(&p, arena) || !parse_declarations(&p) || !parse_region(&p, p.f->body))
        return NULL;
    if (p.scan.kind != TOKEN_END) {
        scan_error(&p.scan, "text after the end of the function");
        return NULL;
    }
    return p.scan.failed || !func_verify(p.f, diags) ? NULL : p.f;
}

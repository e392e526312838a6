// Loads, stores and checks. Lanes that are not consecutive or not all active are written one by
// one.
#include "backends/opencl/emit.h"

// To which every buffer and local array is aligned, a caller's memory too; and what the driver
// itself made room for, which bears the widest type there is (OpenCL 1.2, 6.1.5).
enum { WIDE_BITS = 128, SCRATCH_BITS = 1024 };

typedef struct Access {
    Str name;         // of the array or buffer
    const char *half; // what makes it a pointer to half
    bool is_array;    // private or local, where halves are kept as ushort
    Type value;       // storage type and lanes
    Type offset_type;
    Expr offset;    // in elements from the start of the buffer
    Expr mask;      // empty text: none
    bool is_vector; // each lane has an offset of its own
    const char *space;
    bool is_wide; // all lanes are known to be aligned as a vector of their type
    bool streams; // a store past a CPU's caches
} Access;

static Access access_of(Emit *e, const Inst *in, unsigned offset_at, Type value)
{
    const Mem mem = {in->attr.ref};
    Access a = {.value = value, .name = e->mem_names[mem.i], .half = ""};
    if (e->is_private[mem.i]) a.half = "(__private half *)";
    if (e->is_shared[mem.i]) a.half = "(__local half *)";
    a.is_array = e->is_private[mem.i] || e->is_shared[mem.i];
    a.space = e->is_private[mem.i] ? "__private" : e->is_shared[mem.i] ? "__local" : "__global";
    const unsigned bits = dtype_info[value.dtype].bits * (value.lanes > 1 ? value.lanes : 1u);
    const bool is_scratch = !a.is_array && mem_at(e->f, mem)->kind == MEM_SCRATCH;
    a.is_wide = value.lanes > 1 && bits <= (is_scratch ? SCRATCH_BITS : WIDE_BITS) &&
                value.dtype != DTYPE_F16 && value.dtype != DTYPE_BOOL && !e->is_private[mem.i] &&
                affine_multiple(e->f, inst_arg(e->f, in, offset_at)) % value.lanes == 0;
    a.streams = (in->flags & INST_STREAM) && !e->kernel->deal && value.dtype != DTYPE_F16 &&
                value.dtype != DTYPE_BOOL;
    Value offset = inst_arg(e->f, in, offset_at), mask = inst_mask(e->f, in);
    a.offset = ocl_bare(ocl_expr_held(e, offset));
    a.offset_type = value_type(e->f, offset);
    a.is_vector = a.offset_type.lanes > 1;
    if (mask.i) a.mask = ocl_expr_of(e, mask);
    bool is_multiple;
    Str first = ocl_expr_first(e, mem, &is_multiple);
    a.is_wide = a.is_wide && is_multiple;
    if (first.length) {
        Type wide = {.dtype = DTYPE_I64, .lanes = a.offset_type.lanes};
        if (a.is_vector) a.offset = ocl_long(e, a.offset);
        a.offset = ocl_expr_cast(e, a.offset, a.offset_type, wide);
        a.offset = ocl_expr_format(e, PREC_SUM, "%.*s + %.*s", STR_ARG(first),
                                   STR_ARG(ocl_expr_at(e, a.offset, PREC_PRODUCT)));
        a.offset_type = wide;
    }
    return a;
}

// The buffer as a pointer to half, for vload_half and vstore_half.
static Str half_pointer(Emit *e, const Access *a)
{
    return str_format(e->arena, "%s%.*s", a->half, STR_ARG(a->name));
}

static bool is_nibble(const Access *a)
{
    return dtype_info[a->value.dtype].bits == 4;
}

// The offset of lane k.
static Str lane_offset(Emit *e, const Access *a, unsigned k)
{
    if (a->value.lanes <= 1) return a->offset.text;
    if (a->is_vector) {
        return str_format(e->arena, "%.*s.s%c", STR_ARG(a->offset.text), "0123456789abcdef"[k]);
    }
    return k ? str_format(e->arena, "%.*s + %u", STR_ARG(a->offset.text), k) : a->offset.text;
}

static Str lane_of(Emit *e, Str vector, unsigned k, unsigned lanes)
{
    return lanes > 1 ? str_format(e->arena, "%.*s.s%c", STR_ARG(vector), "0123456789abcdef"[k])
                     : vector;
}

// Makes what every lane mentions cheap to mention.
static void name_parts(Emit *e, Access *a)
{
    a->offset = (Expr){.text = ocl_atom(e, a->offset, a->offset_type, "offset"), .prec = PREC_ATOM};
    Type mask = {.dtype = DTYPE_BOOL, .lanes = a->value.lanes};
    if (a->mask.text.length) a->mask.text = ocl_atom(e, a->mask, mask, "mask");
}

void ocl_prefetch(Emit *e, const Inst *in)
{
    Access a = access_of(e, in, 0, (Type){.dtype = mem_at(e->f, (Mem){in->attr.ref})->dtype});
    Str helper = ocl_helper_need(&e->helpers, HELPER_PREFETCH, (Type){0});
    ocl_line(e, "%.*s(%.*s + %.*s);", STR_ARG(helper), STR_ARG(a.name),
             STR_ARG(ocl_expr_at(e, a.offset, PREC_SUM)));
}

// ---- loads

static Expr load_element(Emit *e, const Access *a, Str offset, bool widen)
{
    Str name = a->name;
    const bool is_array = a->is_array;
    if (is_nibble(a)) {
        Helper helper = is_array ? HELPER_LOAD_NIBBLE_PRIVATE : HELPER_LOAD_NIBBLE;
        Str call = ocl_helper_need(&e->helpers, helper, (Type){0});
        return ocl_expr_format(e, PREC_ATOM, "%.*s(%.*s, %.*s)", STR_ARG(call), STR_ARG(name),
                               STR_ARG(offset));
    }
    if (widen) {
        return ocl_expr_format(e, PREC_ATOM, "vload_half(%.*s, %.*s)", STR_ARG(offset),
                               STR_ARG(half_pointer(e, a)));
    }
    if (a->value.dtype == DTYPE_F16 && !is_array) {
        return ocl_expr_format(e, PREC_ATOM, "((const __global ushort *)%.*s)[%.*s]", STR_ARG(name),
                               STR_ARG(offset));
    }
    Expr x = ocl_expr_format(e, PREC_ATOM, "%.*s[%.*s]", STR_ARG(name), STR_ARG(offset));
    if (a->value.dtype == DTYPE_BOOL) {
        return ocl_expr_format(e, PREC_EQUAL, "%.*s != 0", STR_ARG(x.text));
    }
    return x;
}

static const char *zero_of(const Access *a, bool widen)
{
    if (a->value.dtype == DTYPE_BOOL) return "false";
    if (a->value.dtype == DTYPE_F64) return "0.0";
    return a->value.dtype == DTYPE_F32 || widen ? "0.0f" : "0";
}

static Expr load_lanes(Emit *e, Access *a, bool widen)
{
    Type type = a->value;
    if (widen) type.dtype = DTYPE_F32;
    name_parts(e, a);
    Buf buf = {.arena = e->arena};
    buf_printf(&buf, "(%.*s)(", STR_ARG(ocl_ctype_register(e->arena, type)));
    for (unsigned k = 0; k < a->value.lanes; k++) {
        Expr x = load_element(e, a, lane_offset(e, a, k), widen);
        if (k) buf_str(&buf, STR(", "));
        if (a->value.dtype == DTYPE_BOOL) buf_str(&buf, STR("-(int)"));
        bool is_bare = !a->mask.text.length && a->value.dtype != DTYPE_BOOL;
        if (!is_bare) buf_char(&buf, '(');
        if (a->mask.text.length) {
            buf_printf(&buf, "%.*s ? %.*s : %s",
                       STR_ARG(lane_of(e, a->mask.text, k, a->value.lanes)),
                       STR_ARG(ocl_expr_at(e, x, PREC_ORDER)), zero_of(a, widen));
        } else {
            buf_str(&buf, x.text);
        }
        if (!is_bare) buf_char(&buf, ')');
    }
    buf_char(&buf, ')');
    return (Expr){.text = buf_view(&buf), .prec = PREC_UNARY};
}

// PoCL 3.1 takes eight halves for aligned, so they are moved four at a time.
enum { HALVES = 4 };

static Expr load_halves(Emit *e, const Access *a, Str offset)
{
    const unsigned n = a->value.lanes, each = n < HALVES ? n : HALVES;
    Str from = half_pointer(e, a);
    Buf buf = {.arena = e->arena};
    if (n > HALVES) buf_printf(&buf, "(float%u)(", n);
    for (unsigned k = 0; k < n; k += each) {
        buf_printf(&buf, "%svload_half%u(0, %.*s + %.*s", k ? ", " : "", each, STR_ARG(from),
                   STR_ARG(offset));
        if (k) buf_printf(&buf, " + %u", k);
        buf_char(&buf, ')');
    }
    if (n > HALVES) buf_char(&buf, ')');
    return (Expr){.text = buf_view(&buf), .prec = n > HALVES ? PREC_UNARY : PREC_ATOM};
}

static void store_halves(Emit *e, const Access *a, Expr value, Str offset)
{
    static const char *const quarters[] = {".s0123", ".s4567", ".s89ab", ".scdef"};
    const unsigned n = a->value.lanes, each = n < HALVES ? n : HALVES;
    Type type = type_vector(DTYPE_F32, n);
    Str to = half_pointer(e, a), text = n > HALVES ? ocl_atom(e, value, type, "value") : value.text;
    for (unsigned k = 0; k < n; k += each) {
        Str more = k ? str_format(e->arena, " + %u", k) : STR("");
        ocl_line(e, "vstore_half%u_rte(%.*s%s, 0, %.*s + %.*s%.*s);", each, STR_ARG(text),
                 n > HALVES ? quarters[k / HALVES] : "", STR_ARG(to), STR_ARG(offset),
                 STR_ARG(more));
    }
}

// Consecutive elements, all active.
static Expr load_vector(Emit *e, const Access *a, bool widen)
{
    const unsigned n = a->value.lanes;
    Str name = a->name, offset = ocl_expr_at(e, a->offset, PREC_SUM);
    if (widen) return load_halves(e, a, offset);
    if (a->value.dtype == DTYPE_F16 && !a->is_array) {
        return ocl_expr_format(e, PREC_ATOM, "vload%u(0, (const __global ushort *)%.*s + %.*s)", n,
                               STR_ARG(name), STR_ARG(offset));
    }
    if (a->is_wide) {
        return ocl_expr_format(e, PREC_UNARY, "*(%s const %.*s *)(%.*s + %.*s)", a->space,
                               STR_ARG(ocl_ctype_register(e->arena, a->value)), STR_ARG(name),
                               STR_ARG(offset));
    }
    Expr x =
        ocl_expr_format(e, PREC_ATOM, "vload%u(0, %.*s + %.*s)", n, STR_ARG(name), STR_ARG(offset));
    if (a->value.dtype == DTYPE_BOOL) {
        return ocl_expr_format(e, PREC_EQUAL, "convert_int%u(%.*s) != 0", n, STR_ARG(x.text));
    }
    return x;
}

// The variable that stands for what is accessed; empty: it is memory.
static Str cell_of(const Emit *e, const Inst *in)
{
    const Deal *deal = e->kernel->deal;
    const uint32_t cell = deal ? deal->owned[in - e->f->insts.data] : 0;
    return cell ? e->cell_names[cell - 1] : (Str){0};
}

Expr ocl_expr_load(Emit *e, const Inst *in)
{
    Value v = inst_result(in, 0);
    Str cell = cell_of(e, in);
    if (cell.length) return (Expr){.text = cell, .prec = PREC_UNARY};
    Access a = access_of(e, in, 0, value_type(e->f, v));
    const bool widen = a.value.dtype == DTYPE_F16 && e->facts->is_cast_only[v.i];
    Expr x;
    if (a.value.lanes <= 1) {
        x = load_element(e, &a, a.offset.text, widen);
        if (a.mask.text.length) {
            x = ocl_expr_format(e, PREC_SELECT, "%.*s ? %.*s : %s",
                                STR_ARG(ocl_expr_at(e, a.mask, PREC_ORDER)),
                                STR_ARG(ocl_expr_at(e, x, PREC_ORDER)), zero_of(&a, widen));
        }
    } else if (a.is_vector || a.mask.text.length || is_nibble(&a)) {
        x = load_lanes(e, &a, widen);
    } else {
        x = load_vector(e, &a, widen);
    }
    x.is_widened = widen;
    return x;
}

// ---- stores

bool ocl_is_stored_half(const Emit *e, const Inst *cast)
{
    Value v = inst_result(cast, 0);
    if (value_dtype(e->f, v) != DTYPE_F16 || e->facts->uses[v.i] != 1) return false;
    const Inst *user = inst_at(e->f, e->facts->user[v.i]);
    return user->op == OP_STORE || user->op == OP_SCATTER;
}

static Expr store_element(Emit *e, const Access *a, Str offset, Expr value)
{
    Str name = a->name;
    const bool is_array = a->is_array;
    if (is_nibble(a)) {
        Helper helper = is_array ? HELPER_STORE_NIBBLE_PRIVATE : HELPER_STORE_NIBBLE;
        Str call = ocl_helper_need(&e->helpers, helper, (Type){0});
        return ocl_expr_format(e, PREC_ATOM, "%.*s(%.*s, %.*s, %.*s);", STR_ARG(call),
                               STR_ARG(name), STR_ARG(offset), STR_ARG(value.text));
    }
    if (value.is_widened) {
        return ocl_expr_format(e, PREC_ATOM, "vstore_half_rte(%.*s, %.*s, %.*s);",
                               STR_ARG(value.text), STR_ARG(offset), STR_ARG(half_pointer(e, a)));
    }
    if (a->value.dtype == DTYPE_F16 && !is_array) {
        return ocl_expr_format(e, PREC_ATOM, "((__global ushort *)%.*s)[%.*s] = %.*s;",
                               STR_ARG(name), STR_ARG(offset), STR_ARG(value.text));
    }
    return ocl_expr_format(e, PREC_ATOM, "%.*s[%.*s] = %.*s;", STR_ARG(name), STR_ARG(offset),
                           STR_ARG(value.text));
}

static void store_lanes(Emit *e, Access *a, Expr value)
{
    const unsigned lanes = a->value.lanes;
    Type type = a->value;
    if (value.is_widened) type.dtype = DTYPE_F32;
    name_parts(e, a);
    Str vector = ocl_atom(e, value, type, "value");
    for (unsigned k = 0; k < lanes; k++) {
        Expr lane = {.text = lane_of(e, vector, k, lanes),
                     .prec = PREC_ATOM,
                     .is_widened = value.is_widened};
        if (a->value.dtype == DTYPE_BOOL) {
            lane.text = str_format(e->arena, "%.*s & 1", STR_ARG(lane.text));
        }
        Expr store = store_element(e, a, lane_offset(e, a, k), lane);
        if (a->mask.text.length) {
            ocl_line(e, "if (%.*s) %.*s", STR_ARG(lane_of(e, a->mask.text, k, lanes)),
                     STR_ARG(store.text));
        } else {
            ocl_line(e, "%.*s", STR_ARG(store.text));
        }
    }
}

static void store_vector(Emit *e, const Access *a, Expr value)
{
    const unsigned n = a->value.lanes;
    Str name = a->name, offset = ocl_expr_at(e, a->offset, PREC_SUM), text = value.text;
    if (value.is_widened) {
        store_halves(e, a, value, offset);
        return;
    }
    if (a->value.dtype == DTYPE_BOOL) {
        text = str_format(e->arena, "convert_uchar%u(%.*s & 1)", n,
                          STR_ARG(ocl_expr_at(e, value, PREC_UNARY)));
    }
    if (a->streams) {
        Str helper = ocl_helper_need(&e->helpers, HELPER_STREAM, a->value);
        ocl_line(e, "%.*s(%.*s, %.*s + %.*s);", STR_ARG(helper), STR_ARG(text), STR_ARG(name),
                 STR_ARG(offset));
        return;
    }
    if (a->is_wide) {
        ocl_line(e, "*(%s %.*s *)(%.*s + %.*s) = %.*s;", a->space,
                 STR_ARG(ocl_ctype_register(e->arena, a->value)), STR_ARG(name), STR_ARG(offset),
                 STR_ARG(text));
        return;
    }
    const char *cast = a->value.dtype == DTYPE_F16 && !a->is_array ? "(__global ushort *)" : "";
    ocl_line(e, "vstore%u(%.*s, 0, %s%.*s + %.*s);", n, STR_ARG(text), cast, STR_ARG(name),
             STR_ARG(offset));
}

void ocl_store(Emit *e, const Inst *in)
{
    Value v = inst_arg(e->f, in, 0);
    Str cell = cell_of(e, in);
    Expr value = ocl_expr_of(e, v);
    if (cell.length) {
        ocl_line(e, "%.*s = %.*s;", STR_ARG(cell), STR_ARG(value.text));
        return;
    }
    Access a = access_of(e, in, 1, value_type(e->f, v));
    if (a.value.lanes > 1 && (a.is_vector || a.mask.text.length || is_nibble(&a))) {
        store_lanes(e, &a, value);
    } else if (a.value.lanes > 1) {
        store_vector(e, &a, value);
    } else {
        if (a.value.dtype == DTYPE_BOOL) {
            value = ocl_expr_format(e, PREC_UNARY, "(uchar)%.*s",
                                    STR_ARG(ocl_expr_at(e, value, PREC_UNARY)));
        }
        Expr store = store_element(e, &a, a.offset.text, value);
        if (a.mask.text.length) {
            ocl_line(e, "if (%.*s) %.*s", STR_ARG(a.mask.text), STR_ARG(store.text));
        } else {
            ocl_line(e, "%.*s", STR_ARG(store.text));
        }
    }
}

// ---- checks

// Operand k of a check for one lane: vectors give their lane, scalars themselves.
static Str check_operand(Emit *e, const Inst *in, const Str *names, unsigned k, unsigned lane)
{
    return lane_of(e, names[k], lane, value_type(e->f, inst_arg(e->f, in, k)).lanes);
}

void ocl_check(Emit *e, const Inst *in)
{
    unsigned lanes = 1;
    const unsigned count = inst_plain_args(in);
    Str names[4] = {{0}};
    for (unsigned k = 0; k < in->arg_count && k < 4; k++) {
        Type type = value_type(e->f, inst_arg(e->f, in, k));
        if (type.lanes > lanes) lanes = type.lanes;
        names[k] = type.lanes > 1
                       ? ocl_atom(e, ocl_expr_of(e, inst_arg(e->f, in, k)), type, "checked")
                       : ocl_expr_at(e, ocl_expr_of(e, inst_arg(e->f, in, k)), PREC_ATOM);
    }
    Str trap = ocl_expr_param(e, PARAM_TRAP, (Mem){0}, 0);
    Str call = ocl_helper_need(&e->helpers, HELPER_TRAP, (Type){0});
    for (unsigned lane = 0; lane < lanes; lane++) {
        Str index = count > 1 ? check_operand(e, in, names, 1, lane) : STR("0");
        Str bound = count > 2 ? check_operand(e, in, names, 2, lane) : STR("0");
        Str mask = in->flags & INST_MASKED ? check_operand(e, in, names, count, lane) : (Str){0};
        ocl_line(e, "if (%.*s%s!%.*s) %.*s(%.*s, %u, %.*s, %.*s);", STR_ARG(mask),
                 mask.length ? " && " : "", STR_ARG(check_operand(e, in, names, 0, lane)),
                 STR_ARG(call), STR_ARG(trap), in->attr.ref, STR_ARG(index), STR_ARG(bound));
    }
}

// A line: the site and how many operands, then their bits.
void ocl_print(Emit *e, const Inst *in)
{
    const unsigned count = inst_plain_args(in);
    Str lines = ocl_expr_param(e, PARAM_PRINT, (Mem){0}, 0);
    Str call = ocl_helper_need(&e->helpers, HELPER_PRINT, (Type){0});
    Str at = ocl_names_make(&e->names, STR("line")), mask = STR("1");
    if (in->flags & INST_MASKED)
        mask = ocl_expr_at(e, ocl_expr_of(e, inst_arg(e->f, in, count)), PREC_ATOM);
    ocl_line(e, "const int %.*s = %.*s ? %.*s(%.*s, %u) : 0;", STR_ARG(at), STR_ARG(mask),
             STR_ARG(call), STR_ARG(lines), count + 1);
    ocl_line(e, "if (%.*s) {", STR_ARG(at));
    ocl_line(e, "    %.*s[%.*s] = %lluL;", STR_ARG(lines), STR_ARG(at),
             (unsigned long long)(count + 1) << 32 | in->attr.ref);
    for (unsigned k = 0; k < count; k++) {
        Value v = inst_arg(e->f, in, k);
        DType t = value_dtype(e->f, v);
        Str text = ocl_expr_at(e, ocl_expr_of(e, v), PREC_ATOM);
        ocl_line(e, "    %.*s[%.*s + %u] = %s(%.*s);", STR_ARG(lines), STR_ARG(at), k + 1,
                 t == DTYPE_F32   ? "(long)as_uint"
                 : t == DTYPE_F64 ? "as_long"
                                  : "(long)",
                 STR_ARG(text));
    }
    ocl_line(e, "}");
}

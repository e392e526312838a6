// Nests dealt to the work-items of a group, barriers, and what a group shares.
//
//     for (int at = item; at < 512; at += 256) {      its iterations: every 256th
//         const int m = at / 16 * 4;
//         const int n = at % 16 * 4;
#include "backends/opencl/emit.h"
#include "ir/eval.h"

void ocl_fence(Emit *e, uint8_t fences)
{
    static const char *const flags[4] = {"", "CLK_LOCAL_MEM_FENCE", "CLK_GLOBAL_MEM_FENCE",
                                         "CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE"};
    if (fences) ocl_line(e, "barrier(%s);", flags[fences]);
}

// ---- what is shared

static const char *element_type(const MemInfo *mem)
{
    return mem->dtype == DTYPE_F16 ? "ushort" : ocl_ctype_memory(mem->dtype);
}

static int64_t elements_of(const Emit *e, Mem m)
{
    int64_t elements = (int64_t)inst_at(e->f, mem_at(e->f, m)->decl)->attr.bits;
    return elements > 0 ? elements : 1;
}

static int64_t half_elements(const Emit *e, Mem m)
{
    return deal_half_bytes(e->f, m) * 8 / dtype_info[mem_at(e->f, m)->dtype].bits;
}

// Whether another memory lies in the same place, at other times.
static bool has_company(const Emit *e, Mem m)
{
    const Deal *deal = e->kernel->deal;
    for (uint32_t i = 0; i < e->kernel->local_mems.count; i++) {
        Mem other = e->kernel->local_mems.data[i];
        int64_t from = deal->offset[m.i], at = deal->offset[other.i];
        if (other.i != m.i && from < at + deal_bytes(e->f, deal, other) &&
            at < from + deal_bytes(e->f, deal, m))
            return true;
    }
    return false;
}

static void emit_local(Emit *e)
{
    const Kernel *kernel = e->kernel;
    Str pool = {0};
    for (uint32_t i = 0; i < kernel->local_mems.count; i++) {
        Mem m = kernel->local_mems.data[i];
        const char *type = element_type(mem_at(e->f, m));
        Str name = e->mem_names[m.i];
        if (!has_company(e, m)) {
            const bool is_double = kernel->deal->turns[m.i] != 0;
            ocl_line(e, "__local %s %.*s[%lld] __attribute__((aligned(16)));", type, STR_ARG(name),
                     (long long)(is_double ? 2 * half_elements(e, m) : elements_of(e, m)));
            continue;
        }
        if (!pool.length) {
            pool = ocl_names_make(&e->names, STR("pool"));
            ocl_line(e, "__local uchar %.*s[%lld] __attribute__((aligned(16)));", STR_ARG(pool),
                     (long long)kernel->deal->local_bytes);
        }
        ocl_line(e, "__local %s *%.*s = (__local %s *)(%.*s + %lld);", type, STR_ARG(name), type,
                 STR_ARG(pool), (long long)kernel->deal->offset[m.i]);
    }
}

Str ocl_open_halves(Emit *e, InstId loop)
{
    const Kernel *kernel = e->kernel;
    Str flip = {0};
    for (uint32_t i = 0; kernel->deal && i < kernel->local_mems.count; i++)
        if (kernel->deal->turns[kernel->local_mems.data[i].i] == loop.i && !flip.length)
            flip = ocl_names_make(&e->names, STR("flip"));
    if (flip.length) ocl_line(e, "int %.*s = 0;", STR_ARG(flip));
    return flip;
}

void ocl_take_halves(Emit *e, InstId loop, Str flip, Str *names)
{
    const Kernel *kernel = e->kernel;
    for (uint32_t i = 0; flip.length && i < kernel->local_mems.count; i++) {
        const Mem m = kernel->local_mems.data[i];
        if (kernel->deal->turns[m.i] != loop.i) continue;
        names[m.i] = e->mem_names[m.i];
        e->mem_names[m.i] = ocl_names_make(&e->names, names[m.i]);
        ocl_line(e, "__local %s *%.*s = %.*s + %.*s * %lld;", element_type(mem_at(e->f, m)),
                 STR_ARG(e->mem_names[m.i]), STR_ARG(names[m.i]), STR_ARG(flip),
                 (long long)half_elements(e, m));
    }
}

void ocl_turn_halves(Emit *e, Str flip, const Str *names)
{
    if (!flip.length) return;
    ocl_line(e, "%.*s = 1 - %.*s;", STR_ARG(flip), STR_ARG(flip));
    for (uint32_t m = 1; m < e->f->mems.count; m++)
        if (names[m].length) e->mem_names[m] = names[m];
}

void ocl_shared(Emit *e)
{
    const Deal *deal = e->kernel->deal;
    emit_local(e);
    e->cell_names = arena_array(e->arena, Str, deal->cells.count + 1u);
    for (uint32_t k = 0; k < deal->cells.count; k++) {
        const Cell *cell = &deal->cells.data[k];
        e->cell_names[k] = ocl_names_make(&e->names, mem_at(e->f, cell->mem)->name);
        ocl_line(e, "%.*s %.*s;", STR_ARG(ocl_ctype_register(e->arena, cell->type)),
                 STR_ARG(e->cell_names[k]));
    }
    if (deal->reduce_bytes) {
        e->partials = ocl_names_make(&e->names, STR("partials"));
        ocl_line(e, "__local uchar %.*s[%lld] __attribute__((aligned(128)));", STR_ARG(e->partials),
                 (long long)deal->reduce_bytes);
    }
    e->item = ocl_names_make(&e->names, STR("item"));
    ocl_line(e, "const int %.*s = get_local_id(0);", STR_ARG(e->item));
}

// ---- what a nest carries

static Type memory_type(Type type)
{
    if (type.dtype == DTYPE_BOOL) type.dtype = DTYPE_I32;
    return type;
}

static Str group_function_name(Emit *e, const char *what, ReduceKind kind, Type type)
{
    Str name = str_format(e->arena, "hk_group_%s%s_%s", what, reduce_name[kind],
                          dtype_info[type.dtype].name);
    return type.lanes > 1 ? str_format(e->arena, "%.*sx%u", STR_ARG(name), type.lanes) : name;
}

// Where the driver has subgroups, each combines what its work-items have first, lane by lane.
// Empty: it has no function for that.
static Str subgroup_text(Emit *e, ReduceKind kind, Type type)
{
    Buf buf = {.arena = e->arena};
    const DType t = (DType)type.dtype;
    const bool is_max = kind == REDUCE_MAX;
    Str function = str_of(kind == REDUCE_SUM ? "sub_group_reduce_add"
                          : is_max           ? "sub_group_reduce_max"
                                             : "sub_group_reduce_min");
    if ((kind != REDUCE_SUM && !is_max && kind != REDUCE_MIN) || t == DTYPE_BOOL) return (Str){0};
    ocl_helper_need(&e->helpers, HELPER_SUBGROUPS, (Type){0});
    if (kind != REDUCE_SUM && dtype_is_float(t))
        function = ocl_helper_need(&e->helpers, is_max ? HELPER_SUBGROUP_MAX : HELPER_SUBGROUP_MIN,
                                   type_scalar(t));
    for (unsigned k = 0; k < (type.lanes > 1 ? type.lanes : 1u); k++) {
        Str lane =
            type.lanes > 1 ? str_format(e->arena, "mine.s%c", "0123456789abcdef"[k]) : STR("mine");
        buf_printf(&buf, "    %.*s = %.*s(%.*s);\n", STR_ARG(lane), STR_ARG(function),
                   STR_ARG(lane));
    }
    return buf_view(&buf);
}

// A function that halves the partial results until one is left, which all work-items get.
static Str combining_function(Emit *e, const Inst *loop, ReduceKind kind, Type type)
{
    Str ctype = ocl_ctype_register(e->arena, memory_type(type));
    Str name = group_function_name(e, "", kind, type);
    Expr a = {.text = STR("all[me]"), .prec = PREC_ATOM};
    Expr b = {.text = STR("all[me + half_of]"), .prec = PREC_ATOM};
    Expr both = ocl_expr_combine(e, loop, kind, a, b, type);
    if (!ocl_helper_add(&e->helpers, name)) return name;
    Str own = STR("    int left = get_local_size(0);\n"
                  "    barrier(CLK_LOCAL_MEM_FENCE);\n"
                  "    all[me] = mine;\n");
    Str subgroup = subgroup_text(e, kind, type);
    if (subgroup.length)
        own = str_format(e->arena,
                         "#ifdef HK_SUBGROUPS\n"
                         "    int left = get_num_sub_groups();\n"
                         "%.*s"
                         "    barrier(CLK_LOCAL_MEM_FENCE);\n"
                         "    if (get_sub_group_local_id() == 0) all[get_sub_group_id()] = mine;\n"
                         "#else\n"
                         "%.*s"
                         "#endif\n",
                         STR_ARG(subgroup), STR_ARG(own));
    buf_printf(&e->helpers.text,
               "// What the work-items of a group have, combined in a tree.\n"
               "static %.*s %.*s(%.*s mine, __local %.*s *all)\n"
               "{\n"
               "    const int me = get_local_id(0);\n"
               "%.*s"
               "    for (; left > 1; left = (left + 1) / 2) {\n"
               "        const int half_of = (left + 1) / 2;\n"
               "        barrier(CLK_LOCAL_MEM_FENCE);\n"
               "        if (me + half_of < left) all[me] = %.*s;\n"
               "    }\n"
               "    barrier(CLK_LOCAL_MEM_FENCE);\n"
               "    return all[0];\n"
               "}\n\n",
               STR_ARG(ctype), STR_ARG(name), STR_ARG(ctype), STR_ARG(ctype), STR_ARG(own),
               STR_ARG(both.text));
    return name;
}

// The same of the first largest (or smallest): a larger one replaces it, NaN being largest, or an
// equal one before it. A place below 0: there is none. Lane by lane.
static Str extreme_function(Emit *e, ReduceKind kind, Type type)
{
    Str ctype = ocl_ctype_register(e->arena, type_scalar((DType)type.dtype));
    Str name =
        str_format(e->arena, "hk_group_%s_%s", reduce_name[kind], dtype_info[type.dtype].name);
    const unsigned lanes = type.lanes > 1 ? type.lanes : 1;
    if (lanes > 1) name = str_format(e->arena, "%.*sx%u", STR_ARG(name), lanes);
    if (!ocl_helper_add(&e->helpers, name)) return name;
    Str mine = ocl_ctype_register(e->arena, type);
    Str places = ocl_ctype_register(e->arena, type_vector(DTYPE_I64, type.lanes));
    buf_printf(&e->helpers.text,
               "// The first %s that the work-items of a group have, and its place.\n"
               "static void %.*s(%.*s *value, %.*s *place, __local %.*s *values,\n"
               "    __local long *places)\n"
               "{\n"
               "    const int me = get_local_id(0);\n"
               "    barrier(CLK_LOCAL_MEM_FENCE);\n"
               "    ((__local %.*s *)values)[me] = *value;\n"
               "    ((__local %.*s *)places)[me] = *place;\n"
               "    for (int left = get_local_size(0); left > 1; left = (left + 1) / 2) {\n"
               "        const int half_of = (left + 1) / 2;\n"
               "        barrier(CLK_LOCAL_MEM_FENCE);\n"
               "        for (int lane = 0; me + half_of < left && lane < %u; lane++) {\n"
               "            const int i = me * %u + lane, k = i + half_of * %u;\n"
               "            const %.*s x = values[i], y = values[k];\n"
               "            const bool better = x %c y || (y != y && x == x);\n"
               "            const bool same = x == y || (x != x && y != y);\n"
               "            const bool sooner = same && places[k] < places[i];\n"
               "            if (places[k] >= 0 && (places[i] < 0 || better || sooner)) {\n"
               "                values[i] = y;\n"
               "                places[i] = places[k];\n"
               "            }\n"
               "        }\n"
               "    }\n"
               "    barrier(CLK_LOCAL_MEM_FENCE);\n"
               "    *value = ((__local %.*s *)values)[0];\n"
               "    *place = ((__local %.*s *)places)[0];\n"
               "}\n\n",
               kind == REDUCE_ARGMAX ? "largest" : "smallest", STR_ARG(name), STR_ARG(mine),
               STR_ARG(places), STR_ARG(ctype), STR_ARG(mine), STR_ARG(places), lanes, lanes, lanes,
               STR_ARG(ctype), kind == REDUCE_ARGMAX ? '<' : '>', STR_ARG(mine), STR_ARG(places));
    return name;
}

static bool is_bool_scalar(Type type)
{
    return type.dtype == DTYPE_BOOL && type.lanes <= 1;
}

static Expr emit_combined(Emit *e, const Inst *loop, ReduceKind kind, Type type, Str mine)
{
    Str ctype = ocl_ctype_register(e->arena, memory_type(type));
    Str function = combining_function(e, loop, kind, type);
    return ocl_expr_format(e, is_bool_scalar(type) ? PREC_EQUAL : PREC_ATOM,
                           "%.*s(%.*s, (__local %.*s *)%.*s)%s", STR_ARG(function), STR_ARG(mine),
                           STR_ARG(ctype), STR_ARG(e->partials),
                           is_bool_scalar(type) ? " != 0" : "");
}

static Expr identity_of(Emit *e, ReduceKind kind, Type type)
{
    uint64_t bits = reduce_identity(kind, (DType)type.dtype);
    Expr x = ocl_expr_constant(e, type_scalar((DType)type.dtype), bits);
    if (type.lanes <= 1) return x;
    if (type.dtype == DTYPE_BOOL) x.text = bits ? STR("-1") : STR("0");
    return ocl_expr_format(e, PREC_UNARY, "(%.*s)(%.*s)",
                           STR_ARG(ocl_ctype_register(e->arena, type)), STR_ARG(x.text));
}

static bool is_identity(const Emit *e, Value v, ReduceKind kind, Type type)
{
    const Inst *in = value_def(e->f, v);
    if (in && in->op == OP_SPLAT) in = value_def(e->f, inst_arg(e->f, in, 0));
    return in && in->op == OP_CONST && in->attr.bits == reduce_identity(kind, (DType)type.dtype);
}

// Each work-item began with what came in, as the extreme of that and itself is itself.
static void emit_extreme(Emit *e, const Inst *loop, const Carried *carried, unsigned k,
                         const Str *targets)
{
    const Type type = value_type(e->f, inst_result(loop, k));
    const unsigned lanes = type.lanes > 1 ? type.lanes : 1;
    const Str value = targets[k], place = targets[carried->place];
    Str ctype = ocl_ctype_register(e->arena, type_scalar((DType)type.dtype));
    // What is wider comes first, so that both are aligned.
    const int64_t places = 8 * lanes * (int64_t)e->kernel->deal->group;
    ocl_line(e, "%.*s(&%.*s, &%.*s, (__local %.*s *)(%.*s + %lld), (__local long *)%.*s);",
             STR_ARG(extreme_function(e, carried->kind, type)), STR_ARG(value), STR_ARG(place),
             STR_ARG(ctype), STR_ARG(e->partials), (long long)places, STR_ARG(e->partials));
    e->exprs[inst_result(loop, k).i] = (Expr){.text = value, .prec = PREC_ATOM};
    e->exprs[inst_result(loop, carried->place).i] = (Expr){.text = place, .prec = PREC_ATOM};
}

static void emit_results(Emit *e, const Nest *nest, const Str *targets)
{
    const Inst *loop = inst_at(e->f, nest->loops[0]);
    e->here = loop->span;
    for (unsigned k = 0; k < loop->result_count; k++) {
        const Carried *carried = &nest->carried[k];
        Type type = value_type(e->f, inst_result(loop, k));
        if (carried->place != NO_PLACE) emit_extreme(e, loop, carried, k, targets);
        if (carried->place != NO_PLACE || carried->is_place) continue;
        Expr all = emit_combined(e, loop, carried->kind, type, targets[k]);
        Value from = inst_arg(e->f, loop, k + 3);
        if (!is_identity(e, from, carried->kind, type)) {
            Str whole = ocl_atom(e, all, type, "whole");
            all = ocl_expr_combine(e, loop, carried->kind, ocl_expr_of(e, from),
                                   (Expr){.text = whole, .prec = PREC_ATOM}, type);
        }
        ocl_named(e, inst_result(loop, k), all);
    }
}

// ---- indices

typedef struct Dealt {
    const Nest *nest;
    Str at;                    // the iteration
    Str trips[NEST_DEPTH_MAX]; // of each loop
    Str *targets;              // of what is carried
    bool is_int;
} Dealt;

static const Inst *loop_at(const Emit *e, const Nest *nest, unsigned k)
{
    return inst_at(e->f, nest->loops[k]);
}

static Str trips_text(Emit *e, const Nest *nest, unsigned k)
{
    const Inst *loop = loop_at(e, nest, k);
    int64_t step = 1;
    if (nest->exact[k] && nest->trips[k] < NEST_LARGE)
        return str_format(e->arena, "%lld", (long long)nest->trips[k]);
    Expr lo = ocl_bare(ocl_expr_of(e, inst_arg(e->f, loop, 0)));
    Expr hi = ocl_bare(ocl_expr_of(e, inst_arg(e->f, loop, 1)));
    Expr by = ocl_bare(ocl_expr_of(e, inst_arg(e->f, loop, 2)));
    Expr span = ocl_expr_format(e, PREC_SUM, "%.*s - %.*s", STR_ARG(ocl_expr_at(e, hi, PREC_SUM)),
                                STR_ARG(ocl_expr_at(e, lo, PREC_PRODUCT)));
    bool is_one = value_const_int(e->f, inst_arg(e->f, loop, 2), &step) && step == 1;
    if (!is_one)
        span = ocl_expr_format(e, PREC_PRODUCT, "(%.*s + %.*s - 1) / %.*s", STR_ARG(span.text),
                               STR_ARG(ocl_expr_at(e, by, PREC_PRODUCT)),
                               STR_ARG(ocl_expr_at(e, by, PREC_ATOM)));
    Str name = ocl_names_make(&e->names, STR("turns")), type = STR("long");
    // Of no iterations the difference may be negative, and other loops' must not make it positive.
    ocl_line(e, "const %.*s %.*s = %.*s < %.*s ? %.*s : 0;", STR_ARG(type), STR_ARG(name),
             STR_ARG(ocl_expr_at(e, lo, PREC_SHIFT)), STR_ARG(ocl_expr_at(e, hi, PREC_SHIFT)),
             STR_ARG(span.text));
    return name;
}

static Str product_text(Emit *e, const Dealt *d, unsigned from)
{
    Str text = {0};
    int64_t known = 1;
    for (unsigned k = from; k < d->nest->depth; k++) {
        if (d->nest->exact[k] && d->nest->trips[k] < NEST_LARGE) {
            known *= d->nest->trips[k];
            continue;
        }
        text = text.length
                   ? str_format(e->arena, "%.*s * %.*s", STR_ARG(text), STR_ARG(d->trips[k]))
                   : d->trips[k];
    }
    if (!text.length) return str_format(e->arena, "%lld", (long long)known);
    if (known == 1) return text;
    return str_format(e->arena, "%.*s * %lld", STR_ARG(text), (long long)known);
}

static void emit_index(Emit *e, const Dealt *d, unsigned k)
{
    const Inst *loop = loop_at(e, d->nest, k);
    const Value index = region_arg(e->f, inst_region(loop, 0), 0);
    const bool is_int = d->is_int && ocl_counts_in_int(e, loop);
    Expr lo = ocl_bare(ocl_expr_of(e, inst_arg(e->f, loop, 0)));
    Expr by = ocl_bare(ocl_expr_of(e, inst_arg(e->f, loop, 2)));
    Expr at = {.text = d->at, .prec = PREC_ATOM};
    if (k + 1 < d->nest->depth) {
        Str inner = product_text(e, d, k + 1);
        at = ocl_expr_format(e, PREC_PRODUCT, "%.*s / (%.*s)", STR_ARG(at.text), STR_ARG(inner));
    }
    if (k > 0)
        at = ocl_expr_format(e, PREC_PRODUCT, "%.*s %% %.*s", STR_ARG(at.text),
                             STR_ARG(d->trips[k]));
    if (!str_is(by.text, "1"))
        at = ocl_expr_format(e, PREC_PRODUCT, "%.*s * %.*s",
                             STR_ARG(ocl_expr_at(e, at, PREC_PRODUCT)),
                             STR_ARG(ocl_expr_at(e, by, PREC_ATOM)));
    if (!str_is(lo.text, "0"))
        at = ocl_expr_format(e, PREC_SUM, "%.*s + %.*s", STR_ARG(ocl_expr_at(e, lo, PREC_SUM)),
                             STR_ARG(at.text));
    Str name = ocl_value_name(e, index, "i");
    ocl_line(e, "const %s %.*s = %.*s;", is_int ? "int" : "long", STR_ARG(name), STR_ARG(at.text));
    e->exprs[index.i] = (Expr){.text = name, .prec = PREC_ATOM, .is_int = is_int};
}

static void emit_inside(Emit *e, const Dealt *d, unsigned k)
{
    const Inst *loop = loop_at(e, d->nest, k);
    const Region body = inst_region(loop, 0);
    emit_index(e, d, k);
    for (unsigned n = 0; n < loop->result_count; n++) {
        Value inner = region_arg(e->f, body, n + 1);
        e->exprs[inner.i] = (Expr){.text = d->targets[n], .prec = PREC_ATOM};
    }
    if (k + 1 == d->nest->depth) {
        ocl_region(e, body);
        ocl_yield(e, body, d->targets);
        return;
    }
    for_each_inst(e->f, body, id) {
        if (id.i == d->nest->loops[k + 1].i)
            emit_inside(e, d, k + 1);
        else
            ocl_inst(e, id);
    }
}

// Opens the loop or guard around a work-item's iterations.
static void open_items(Emit *e, const Dealt *d)
{
    const Nest *nest = d->nest;
    const uint32_t group = e->kernel->deal->group;
    const char *type = d->is_int ? "int" : "long";
    Str total = product_text(e, d, 0);
    bool exact = true;
    for (unsigned k = 0; k < nest->depth; k++) exact &= nest->exact[k];
    if (nest->total > group) {
        ocl_line(e, "for (%s %.*s = %.*s; %.*s < %.*s; %.*s += %u) {", type, STR_ARG(d->at),
                 STR_ARG(e->item), STR_ARG(d->at), STR_ARG(total), STR_ARG(d->at), group);
    } else if (exact && nest->total == group) {
        ocl_line(e, "{");
    } else {
        ocl_line(e, "if (%.*s < %.*s) {", STR_ARG(e->item), STR_ARG(total));
    }
    e->indent++;
}

// ---- scans

// The prefix sums (or the like) of what the work-items have, in local memory until they meet again.
static Str scanning_function(Emit *e, const Inst *loop, ReduceKind kind, Type type)
{
    Str ctype = ocl_ctype_register(e->arena, memory_type(type));
    Str name = group_function_name(e, "scan_", kind, type);
    Expr a = {.text = STR("all[me - far]"), .prec = PREC_ATOM};
    Expr b = {.text = STR("mine"), .prec = PREC_ATOM};
    Expr both = ocl_expr_combine(e, loop, kind, a, b, type);
    if (!ocl_helper_add(&e->helpers, name)) return name;
    buf_printf(&e->helpers.text,
               "// all[i] becomes what the work-items up to the i-th have, combined.\n"
               "static void %.*s(%.*s mine, __local %.*s *all)\n"
               "{\n"
               "    const int me = get_local_id(0);\n"
               "    barrier(CLK_LOCAL_MEM_FENCE);\n"
               "    all[me] = mine;\n"
               "    for (int far = 1; far < (int)get_local_size(0); far *= 2) {\n"
               "        barrier(CLK_LOCAL_MEM_FENCE);\n"
               "        if (me >= far) mine = %.*s;\n"
               "        barrier(CLK_LOCAL_MEM_FENCE);\n"
               "        all[me] = mine;\n"
               "    }\n"
               "    barrier(CLK_LOCAL_MEM_FENCE);\n"
               "}\n\n",
               STR_ARG(name), STR_ARG(ctype), STR_ARG(ctype), STR_ARG(both.text));
    return name;
}

typedef struct Scan {
    const Nest *nest;
    const Inst *loop;
    Region body;
    Dealt dealt;  // its targets are the states before a strip
    Str *mine;    // [result]: what an iteration adds
    Str *next;    // [result]: the state after a strip
    bool *wanted; // [InstId.i]
    bool *before; // [result]: the state before the iteration is wanted
} Scan;

// Marks what v is computed from in an iteration. What becomes of a state is known already.
static void want(const Emit *e, Scan *s, Value v)
{
    const ValueInfo *info = value_at(e->f, v);
    if (!value_inside(e->f, v, s->body)) return;
    if (!info->def.i) {
        if (info->index > 0) s->before[info->index - 1] = true;
        return;
    }
    const Inst *yield = inst_at(e->f, region_at(e->f, s->body)->last);
    for_each_arg(e->f, yield, k, state)
        if (state.i == v.i) return;
    if (s->wanted[info->def.i]) return;
    s->wanted[info->def.i] = true;
    const Inst *in = inst_at(e->f, info->def);
    for_each_arg(e->f, in, k, arg) want(e, s, arg);
}

static void emit_wanted(Emit *e, Scan *s)
{
    emit_index(e, &s->dealt, 0);
    e->in_nest = true;
    for_each_inst(e->f, s->body, id)
        if (s->wanted[id.i]) ocl_inst(e, id);
    e->in_nest = false;
}

static void open_turn(Emit *e, const Scan *s)
{
    ocl_line(e, "if (%.*s < %.*s) {", STR_ARG(s->dealt.at), STR_ARG(s->dealt.trips[0]));
    e->indent++;
}

static void close_block(Emit *e, const Scan *s)
{
    e->indent--;
    e->here = s->loop->span;
    ocl_line(e, "}");
}

// What each work-item adds.
static void emit_added(Emit *e, Scan *s)
{
    s->wanted = arena_array(e->arena, bool, e->f->insts.count);
    for (unsigned k = 0; k < s->loop->result_count; k++) {
        const Carried *carried = &s->nest->carried[k];
        const Type type = value_type(e->f, inst_result(s->loop, k));
        s->mine[k] = ocl_variable(e, s->loop, k, (Value){0}, identity_of(e, carried->kind, type));
        want(e, s, carried->added);
        if (carried->mask.i) want(e, s, carried->mask);
    }
    open_turn(e, s);
    emit_wanted(e, s);
    for (unsigned k = 0; k < s->loop->result_count; k++) {
        const Carried *carried = &s->nest->carried[k];
        const Type type = value_type(e->f, inst_result(s->loop, k));
        Expr added = ocl_expr_of(e, carried->added), mine = {.text = s->mine[k], .prec = PREC_ATOM};
        if (carried->mask.i) added = ocl_expr_choose(e, carried->mask, added, mine, type);
        ocl_line(e, "%.*s = %.*s;", STR_ARG(mine.text), STR_ARG(added.text));
    }
    close_block(e, s);
}

static Str emit_state(Emit *e, const Scan *s, unsigned k, const char *index, const char *name)
{
    const Type type = value_type(e->f, inst_result(s->loop, k));
    Str ctype = ocl_ctype_register(e->arena, memory_type(type));
    Expr own = {.text = s->dealt.targets[k], .prec = PREC_ATOM};
    Expr prefix = ocl_expr_format(e, PREC_ATOM, "((__local %.*s *)%.*s)[%s]", STR_ARG(ctype),
                                  STR_ARG(e->partials), index);
    if (is_bool_scalar(type))
        prefix = ocl_expr_format(e, PREC_ATOM, "(%.*s != 0)", STR_ARG(prefix.text));
    Expr both = ocl_expr_combine(e, s->loop, s->nest->carried[k].kind, own, prefix, type);
    Str to = ocl_names_make(&e->names, str_of(name));
    ocl_line(e, "const %.*s %.*s = %.*s;", STR_ARG(ocl_ctype_register(e->arena, type)), STR_ARG(to),
             STR_ARG(both.text));
    return to;
}

// The states, as far as they are wanted.
static void emit_states(Emit *e, Scan *s)
{
    const Inst *yield = inst_at(e->f, region_at(e->f, s->body)->last);
    const uint32_t group = e->kernel->deal->group;
    Str before = str_format(e->arena, "%.*s - 1", STR_ARG(e->item));
    Str last = str_format(e->arena, "%u", group - 1);
    for (unsigned k = 0; k < s->loop->result_count; k++) {
        const Type type = value_type(e->f, inst_result(s->loop, k));
        Str ctype = ocl_ctype_register(e->arena, memory_type(type));
        Str function = scanning_function(e, s->loop, s->nest->carried[k].kind, type);
        ocl_line(e, "%.*s(%.*s, (__local %.*s *)%.*s);", STR_ARG(function), STR_ARG(s->mine[k]),
                 STR_ARG(ctype), STR_ARG(e->partials));
        Str here = emit_state(e, s, k, e->item.data, "state");
        e->exprs[inst_arg(e->f, yield, k).i] = (Expr){.text = here, .prec = PREC_ATOM};
        if (s->before[k]) {
            Str old = ocl_variable(e, s->loop, k, (Value){0},
                                   (Expr){.text = s->dealt.targets[k], .prec = PREC_ATOM});
            ocl_line(e, "if (%.*s > 0) {", STR_ARG(e->item));
            e->indent++;
            Str earlier = emit_state(e, s, k, before.data, "earlier");
            ocl_line(e, "%.*s = %.*s;", STR_ARG(old), STR_ARG(earlier));
            close_block(e, s);
            e->exprs[region_arg(e->f, s->body, k + 1).i] = (Expr){.text = old, .prec = PREC_ATOM};
        }
        s->next[k] = emit_state(e, s, k, last.data, "whole");
    }
}

//     for (int strip = 0; strip < 1000; strip += 256) {
//         const int turn = strip + item;
//         float mine = 0.0f;
//         if (turn < 1000) mine = x[turn];
//         hk_group_scan_sum_f32(mine, partials);
//         const float state = acc + partials[item], whole = acc + partials[255];
//         if (turn < 1000) y[turn] = state;
//         acc = whole;
//     }
static void emit_scan(Emit *e, const Nest *nest)
{
    const Inst *loop = inst_at(e->f, nest->loops[0]);
    const char *type = nest->total < NEST_LARGE ? "int" : "long";
    Scan s = {.nest = nest, .loop = loop, .body = inst_region(loop, 0)};
    s.dealt = (Dealt){.nest = nest, .is_int = nest->total < NEST_LARGE};
    s.dealt.targets = arena_array(e->arena, Str, loop->result_count);
    s.mine = arena_array(e->arena, Str, loop->result_count);
    s.next = arena_array(e->arena, Str, loop->result_count);
    s.before = arena_array(e->arena, bool, loop->result_count);
    s.dealt.trips[0] = trips_text(e, nest, 0);
    for (unsigned k = 0; k < loop->result_count; k++) {
        s.dealt.targets[k] = ocl_variable(e, loop, k, region_arg(e->f, s.body, k + 1),
                                          ocl_expr_of(e, inst_arg(e->f, loop, k + 3)));
        e->exprs[inst_result(loop, k).i] = (Expr){.text = s.dealt.targets[k], .prec = PREC_ATOM};
    }
    Str strip = ocl_names_make(&e->names, STR("strip"));
    ocl_line(e, "for (%s %.*s = 0; %.*s < %.*s; %.*s += %u) {", type, STR_ARG(strip),
             STR_ARG(strip), STR_ARG(s.dealt.trips[0]), STR_ARG(strip), e->kernel->deal->group);
    e->indent++;
    s.dealt.at = ocl_names_make(&e->names, STR("turn"));
    ocl_line(e, "const %s %.*s = %.*s + %.*s;", type, STR_ARG(s.dealt.at), STR_ARG(strip),
             STR_ARG(e->item));
    emit_added(e, &s);
    s.wanted = arena_array(e->arena, bool, e->f->insts.count);
    for_each_inst(e->f, s.body, id) {
        const Inst *in = inst_at(e->f, id);
        if (!(op_info[in->op].traits & TRAIT_WRITES)) continue;
        s.wanted[id.i] = true;
        for_each_arg(e->f, in, k, arg) want(e, &s, arg);
    }
    emit_states(e, &s);
    open_turn(e, &s);
    emit_wanted(e, &s);
    close_block(e, &s);
    for (unsigned k = 0; k < loop->result_count; k++)
        ocl_line(e, "%.*s = %.*s;", STR_ARG(s.dealt.targets[k]), STR_ARG(s.next[k]));
    close_block(e, &s);
}

// ---- all

void ocl_nest(Emit *e, const Nest *nest)
{
    const Inst *loop = inst_at(e->f, nest->loops[0]);
    if (nest->scans) {
        emit_scan(e, nest);
        return;
    }
    Dealt d = {.nest = nest, .at = e->item, .is_int = nest->total < NEST_LARGE};
    d.targets = arena_array(e->arena, Str, loop->result_count + 1u);
    for (unsigned k = 0; k < nest->depth; k++) d.trips[k] = trips_text(e, nest, k);
    for (unsigned k = 0; k < loop->result_count; k++) {
        Value inner = region_arg(e->f, inst_region(loop, 0), k + 1);
        Type type = value_type(e->f, inst_result(loop, k));
        const Carried *carried = &nest->carried[k];
        bool is_extreme = carried->place != NO_PLACE || carried->is_place;
        d.targets[k] = ocl_variable(e, loop, k, inner,
                                    is_extreme ? ocl_expr_of(e, inst_arg(e->f, loop, k + 3))
                                               : identity_of(e, carried->kind, type));
    }
    if (nest->total > e->kernel->deal->group) d.at = ocl_names_make(&e->names, STR("turn"));
    open_items(e, &d);
    e->in_nest = true;
    emit_inside(e, &d, 0);
    e->in_nest = false;
    e->indent--;
    e->here = loop->span;
    ocl_line(e, "}");
    emit_results(e, nest, d.targets);
}

// Loop IR -> OpenCL C 1.2: one kernel for each phase, one work-item for each of its units.
//
//     phase grid %n {           __kernel void axpy(__global const float *restrict x, ...)
//       ... store y ...         {
//                                   const long unit = get_global_id(0);
//                                   if (unit < 1000) {
//                                       y[unit] = fma(a, x[unit], y[unit]);
//
// Control stays structured and nothing returns early, so that barriers may be put anywhere later
// on. Integers that may overflow are computed unsigned (facts.c). Values used once stand in their
// user's expression.
#include "backends/opencl/emit.h"

#include <string.h>

// ---- lines

static Str file_name(const Emit *e, Span at)
{
    const SourceSet *sources = e->diags->sources;
    if (at.source && sources && at.source < sources->sources.count) {
        return sources->sources.data[at.source].name;
    }
    return e->f->source_name;
}

// `#line`, where the source line changes.
static void emit_position(Emit *e)
{
    if (!e->here.line || (e->here.line == e->last.line && e->here.source == e->last.source)) return;
    e->last = e->here;
    buf_printf(&e->text, "#line %u \"", e->here.line);
    Str name = file_name(e, e->here);
    for (size_t i = 0; i < name.length; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c == '"' || c == '\\') buf_char(&e->text, '\\');
        buf_char(&e->text, c < 32 || c == 127 ? '?' : (char)c);
    }
    buf_str(&e->text, STR("\"\n"));
}

void ocl_line(Emit *e, const char *format, ...)
{
    va_list args;
    emit_position(e);
    va_start(args, format);
    Str line = str_vformat(e->arena, format, args);
    va_end(args);
    for (unsigned i = 0; i < e->indent; i++) buf_str(&e->text, STR("    "));
    buf_str(&e->text, line);
    buf_char(&e->text, '\n');
}

void ocl_unsupported(Emit *e, const Inst *in, const char *what)
{
    diag_add(e->diags, DIAG_NOT_SUPPORTED, in->span, "the OpenCL backend does not support '%s' %s",
             op_info[in->op].mnemonic, what);
}

// ---- values

Str ocl_value_name(Emit *e, Value v, const char *otherwise)
{
    Str name = value_at(e->f, v)->name;
    return ocl_names_make(&e->names, name.length ? name : str_of(otherwise));
}

static const char *default_name(const Emit *e, Value v)
{
    const Inst *def = value_def(e->f, v);
    if (!def) return "v";
    if (def->op == OP_LOAD || def->op == OP_GATHER) return e->mem_names[def->attr.ref].data;
    if (e->facts->is_offset[v.i]) return "at";
    return value_dtype(e->f, v) == DTYPE_BOOL  ? "is"
           : value_dtype(e->f, v) == DTYPE_I64 ? "n"
                                               : "v";
}

static Type declared_type(Type type, Expr expr)
{
    if (expr.is_widened) type.dtype = DTYPE_F32;
    if (expr.is_int) type.dtype = DTYPE_I32;
    return type;
}

void ocl_named(Emit *e, Value v, Expr expr)
{
    Str name = ocl_value_name(e, v, default_name(e, v));
    if (expr.narrow.length) {
        expr = (Expr){
            .text = expr.narrow, .is_int = true, .lanes = (uint8_t)value_type(e->f, v).lanes};
    }
    Str type = ocl_ctype_register(e->arena, declared_type(value_type(e->f, v), expr));
    ocl_line(e, "const %.*s %.*s = %.*s;", STR_ARG(type), STR_ARG(name), STR_ARG(expr.text));
    expr.text = name;
    expr.prec = PREC_ATOM;
    expr.is_literal = false;
    e->exprs[v.i] = expr;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_identifier(Expr x)
{
    for (size_t i = 0; i < x.text.length; i++) {
        if (!is_word_char(x.text.data[i])) return false;
    }
    return x.text.length > 0 && !(x.text.data[0] >= '0' && x.text.data[0] <= '9');
}

Str ocl_atom(Emit *e, Expr expr, Type type, const char *name)
{
    if (is_identifier(expr) || expr.is_literal) return ocl_expr_at(e, expr, PREC_ATOM);
    Str atom = ocl_names_make(&e->names, str_of(name));
    ocl_line(e, "const %.*s %.*s = %.*s;",
             STR_ARG(ocl_ctype_register(e->arena, declared_type(type, expr))), STR_ARG(atom),
             STR_ARG(expr.text));
    return atom;
}

static bool has_native_lanes(unsigned lanes)
{
    return lanes <= 2 || lanes == 4 || lanes == 8 || lanes == 16;
}

static bool has_fence(const Emit *e, InstId id)
{
    return e->kernel->deal && e->kernel->deal->fences[id.i];
}

// A load may move down to the instruction in whose expression it stands unless its memory may be
// written in between. Distinct memories do not overlap.
static bool may_sink(const Emit *e, const Inst *load, InstId to)
{
    enum { LOOK_MAX = 200 };
    const Mem mem = {load->attr.ref};
    if (mem_at(e->f, mem)->kind == MEM_IN) return true; // which nobody writes
    InstId id = load->next;
    for (unsigned n = 0; id.i && id.i != to.i; id = inst_at(e->f, id)->next) {
        const Inst *in = inst_at(e->f, id);
        bool writes = (op_info[in->op].traits & TRAIT_WRITES) && in->attr.ref == mem.i;
        if (writes || in->region_count || has_fence(e, id) || ++n > LOOK_MAX) return false;
    }
    return id.i != 0 && !has_fence(e, to);
}

// Whether the value of `in` may stand where it is used instead of in a variable.
static bool is_inline(const Emit *e, const Inst *in, Expr expr)
{
    Value v = inst_result(in, 0);
    const bool is_load = (op_info[in->op].traits & TRAIT_READS) != 0;
    if (in->op == OP_CONST || (is_identifier(expr) && !is_load)) return true;
    if (e->facts->uses[v.i] != 1 || expr.text.length > EXPR_LENGTH_MAX) return false;
    if (inst_at(e->f, e->facts->user[v.i])->parent.i != in->parent.i) return false;
    return !is_load || may_sink(e, in, e->facts->written[v.i]);
}

static void emit_value(Emit *e, const Inst *in)
{
    Value v = inst_result(in, 0);
    if (!e->facts->uses[v.i]) return;
    if (!has_native_lanes(value_type(e->f, v).lanes)) {
        diag_add(e->diags, DIAG_NOT_SUPPORTED, in->span,
                 "the OpenCL backend supports vectors of 2, 4, 8 or 16 lanes, not %u",
                 value_type(e->f, v).lanes);
        return;
    }
    bool is_load = (op_info[in->op].traits & TRAIT_READS) != 0;
    Expr expr = is_load ? ocl_expr_load(e, in) : ocl_expr_compute(e, in);
    if (is_inline(e, in, expr)) {
        e->exprs[v.i] = expr;
    } else {
        ocl_named(e, v, expr);
    }
}

// ---- control

// Whether the identifier `name` occurs in the expression `text`.
static bool mentions(Str text, Str name)
{
    for (size_t i = 0; i + name.length <= text.length; i++) {
        if (memcmp(text.data + i, name.data, name.length) != 0) continue;
        bool joins = (i > 0 && is_word_char(text.data[i - 1])) ||
                     (i + name.length < text.length && is_word_char(text.data[i + name.length]));
        if (!joins) return true;
    }
    return false;
}

// All targets receive their values at once: a value that mentions a target assigned before it goes
// through a temporary.
static void emit_assignments(Emit *e, const Inst *yield, const Str *targets)
{
    Str *texts = arena_array(e->arena, Str, yield->arg_count);
    for (unsigned k = 0; k < yield->arg_count; k++) {
        Value v = inst_arg(e->f, yield, k);
        texts[k] = ocl_expr_of(e, v).text;
        bool is_late = false;
        for (unsigned j = 0; j < k && !is_late; j++) {
            is_late = !str_equal(texts[j], targets[j]) && mentions(texts[k], targets[j]);
        }
        if (!is_late) continue;
        Str name =
            ocl_names_make(&e->names, str_format(e->arena, "next_%.*s", STR_ARG(targets[k])));
        ocl_line(e, "const %.*s %.*s = %.*s;",
                 STR_ARG(ocl_ctype_register(e->arena, value_type(e->f, v))), STR_ARG(name),
                 STR_ARG(texts[k]));
        texts[k] = name;
    }
    for (unsigned k = 0; k < yield->arg_count; k++) {
        if (!str_equal(texts[k], targets[k])) {
            ocl_line(e, "%.*s = %.*s;", STR_ARG(targets[k]), STR_ARG(texts[k]));
        }
    }
}

void ocl_yield(Emit *e, Region r, const Str *targets)
{
    const RegionInfo *region = region_at(e->f, r);
    if (!region->last.i) return;
    const Inst *yield = inst_at(e->f, region->last);
    if (yield->op != OP_YIELD || !yield->arg_count) return;
    e->here = yield->span;
    emit_assignments(e, yield, targets);
}

// A mutable variable for result k of `in`, which starts at `initial` if that has text.
Str ocl_variable(Emit *e, const Inst *in, unsigned k, Value inner, Expr initial)
{
    Value result = inst_result(in, k);
    Value named = inner.i && value_at(e->f, inner)->name.length ? inner : result;
    Str name = ocl_value_name(e, named, in->op == OP_FOR ? "acc" : "chosen");
    Str type = ocl_ctype_register(e->arena, value_type(e->f, result));
    if (initial.text.length) {
        ocl_line(e, "%.*s %.*s = %.*s;", STR_ARG(type), STR_ARG(name), STR_ARG(initial.text));
    } else {
        ocl_line(e, "%.*s %.*s;", STR_ARG(type), STR_ARG(name));
    }
    return name;
}

// Whether a loop's index can count in an int, one step past its end included.
bool ocl_counts_in_int(const Emit *e, const Inst *in)
{
    Range lo = e->facts->ranges[inst_arg(e->f, in, 0).i];
    Range hi = e->facts->ranges[inst_arg(e->f, in, 1).i];
    Range step = e->facts->ranges[inst_arg(e->f, in, 2).i];
    return ocl_is_small(lo) && ocl_is_small(hi) && ocl_is_small(step) &&
           ocl_is_small((Range){lo.lo, hi.hi + step.hi});
}

static bool is_innermost(const Emit *e, Region body)
{
    for_each_inst(e->f, body, id)
        if (inst_at(e->f, id)->region_count) return false;
    return true;
}

static void emit_for(Emit *e, InstId id)
{
    const Inst *in = inst_at(e->f, id);
    const Region body = inst_region(in, 0);
    const Value index = region_arg(e->f, body, 0);
    const Type index_type = value_type(e->f, index);
    Str *targets = arena_array(e->arena, Str, in->result_count + 1u), go = STR("");
    for (unsigned k = 0; k < in->result_count; k++) {
        Value inner = region_arg(e->f, body, k + 1);
        targets[k] = ocl_variable(e, in, k, inner, ocl_expr_of(e, inst_arg(e->f, in, k + 3)));
        e->exprs[inner.i] = (Expr){.text = targets[k], .prec = PREC_ATOM};
    }
    Str hi = ocl_atom(e, ocl_bare(ocl_expr_of(e, inst_arg(e->f, in, 1))), index_type, "end");
    Str step =
        ocl_atom(e, ocl_bare(ocl_expr_of(e, inst_arg(e->f, in, 2))), index_type, "step_size");
    Str i = ocl_value_name(e, index, "i"),
        lo = ocl_bare(ocl_expr_of(e, inst_arg(e->f, in, 0))).text;
    const Expr expr = {.text = i,
                       .prec = PREC_ATOM,
                       .is_int = index_type.dtype == DTYPE_I64 && ocl_counts_in_int(e, in)};
    Str type = ocl_ctype_register(e->arena, declared_type(index_type, expr));
    e->exprs[index.i] = expr;
    if (in->flags & INST_WHILE) {
        Str name = targets[in->result_count] = ocl_names_make(&e->names, STR("more"));
        ocl_line(e, "bool %.*s = true;", STR_ARG(name));
        go = str_format(e->arena, " && %.*s", STR_ARG(name));
    }
    const Str flip = ocl_open_halves(e, id);
    Str *outside = arena_array(e->arena, Str, e->f->mems.count);
    if (e->unroll && e->in_nest && is_innermost(e, body))
        ocl_line(e, "#pragma unroll %u", e->unroll);
    bool is_unit_step = str_is(step, "1");
    if (is_unit_step) {
        ocl_line(e, "for (%.*s %.*s = %.*s; %.*s < %.*s%.*s; %.*s++) {", STR_ARG(type), STR_ARG(i),
                 STR_ARG(lo), STR_ARG(i), STR_ARG(hi), STR_ARG(go), STR_ARG(i));
    } else {
        ocl_line(e, "for (%.*s %.*s = %.*s; %.*s < %.*s%.*s; %.*s += %.*s) {", STR_ARG(type),
                 STR_ARG(i), STR_ARG(lo), STR_ARG(i), STR_ARG(hi), STR_ARG(go), STR_ARG(i),
                 STR_ARG(step));
    }
    e->indent++;
    ocl_take_halves(e, id, flip, outside);
    ocl_region(e, body);
    ocl_yield(e, body, targets);
    ocl_turn_halves(e, flip, outside);
    e->indent--;
    e->here = in->span;
    ocl_line(e, "}");
    for (unsigned k = 0; k < in->result_count; k++) {
        e->exprs[inst_result(in, k).i] = (Expr){.text = targets[k], .prec = PREC_ATOM};
    }
}

static bool is_empty(const Emit *e, Region r)
{
    const RegionInfo *region = region_at(e->f, r);
    if (!region->first.i) return true;
    const Inst *first = inst_at(e->f, region->first);
    return first->op == OP_YIELD && !first->arg_count;
}

static void emit_if(Emit *e, const Inst *in)
{
    Str *targets = arena_array(e->arena, Str, in->result_count + 1u);
    for (unsigned k = 0; k < in->result_count; k++) {
        targets[k] = ocl_variable(e, in, k, (Value){0}, (Expr){0});
    }
    ocl_line(e, "if (%.*s) {", STR_ARG(ocl_expr_of(e, inst_arg(e->f, in, 0)).text));
    for (unsigned k = 0; k < in->region_count; k++) {
        if (k > 0 && is_empty(e, inst_region(in, k))) break;
        if (k > 0) ocl_line(e, "} else {");
        e->indent++;
        ocl_region(e, inst_region(in, k));
        ocl_yield(e, inst_region(in, k), targets);
        e->indent--;
    }
    e->here = in->span;
    ocl_line(e, "}");
    for (unsigned k = 0; k < in->result_count; k++) {
        e->exprs[inst_result(in, k).i] = (Expr){.text = targets[k], .prec = PREC_ATOM};
    }
}

static void emit_write(Emit *e, const Inst *in)
{
    if (in->op == OP_ATOMIC)
        ocl_atomic(e, in);
    else
        ocl_store(e, in);
}

// What a group does once.
static void emit_by_first(Emit *e, const Inst *in)
{
    ocl_line(e, "if (%.*s == 0) {", STR_ARG(e->item));
    e->indent++;
    emit_write(e, in);
    e->indent--;
    ocl_line(e, "}");
}

void ocl_inst(Emit *e, InstId id)
{
    const Inst *in = inst_at(e->f, id);
    const Deal *deal = e->kernel->deal;
    e->here = in->span;
    if (deal) ocl_fence(e, deal->fences[id.i]);
    if (deal && deal->nest_of[id.i]) {
        ocl_nest(e, &deal->nests.data[deal->nest_of[id.i] - 1]);
    } else if (deal && !e->in_nest && (op_info[in->op].traits & TRAIT_WRITES)) {
        emit_by_first(e, in);
    } else if (in->op == OP_FOR) {
        emit_for(e, id);
    } else if (in->op == OP_IF) {
        emit_if(e, in);
    } else if (op_info[in->op].traits & TRAIT_WRITES) {
        emit_write(e, in);
    } else if (in->op == OP_PRINT) {
        ocl_print(e, in);
    } else if (in->op == OP_CHECK) {
        ocl_check(e, in);
    } else if (in->op != OP_YIELD && in->result_count == 1) {
        emit_value(e, in);
    } else if (in->op == OP_PREFETCH) {
        ocl_prefetch(e, in);
    } else if (in->op != OP_YIELD) {
        ocl_unsupported(e, in, "inside a phase");
    }
}

void ocl_region(Emit *e, Region r)
{
    for_each_inst(e->f, r, id) ocl_inst(e, id);
}

// ---- kernels

static Str param_text(Emit *e, const Param *p)
{
    const MemInfo *mem = p->mem.i ? mem_at(e->f, p->mem) : NULL;
    const char *scalar = "long";
    switch (p->kind) {
    case PARAM_MEM:
        return str_format(e->arena, "__global %s%s *restrict %.*s",
                          mem->kind == MEM_IN ? "const " : "", ocl_ctype_memory(mem->dtype),
                          STR_ARG(p->name));
    case PARAM_SCRATCH:
        return str_format(e->arena, "__global %s *restrict %.*s", ocl_ctype_memory(mem->dtype),
                          STR_ARG(p->name));
    case PARAM_TRAP: return str_format(e->arena, "__global struct hk_trap *%.*s", STR_ARG(p->name));
    case PARAM_PRINT: return str_format(e->arena, "__global long *%.*s", STR_ARG(p->name));
    case PARAM_ARG: scalar = ocl_ctype_memory(e->f->args.data[p->index].dtype); break;
    case PARAM_FIRST:
    case PARAM_DIM:
    case PARAM_STRIDE: break;
    }
    return str_format(e->arena, "const %s %.*s", scalar, STR_ARG(p->name));
}

static Str param_wanted(Emit *e, const Param *p)
{
    Str mem = p->mem.i ? e->mem_names[p->mem.i] : STR("");
    switch (p->kind) {
    case PARAM_MEM: return mem;
    case PARAM_SCRATCH: return str_format(e->arena, "%.*s_slices", STR_ARG(mem));
    case PARAM_FIRST: return str_format(e->arena, "%.*s_first", STR_ARG(mem));
    case PARAM_STRIDE: return str_format(e->arena, "%.*s_stride%u", STR_ARG(mem), p->index);
    case PARAM_DIM: return e->f->dims.data[p->index].name;
    case PARAM_ARG: return e->f->args.data[p->index].name;
    case PARAM_TRAP: return STR("trap");
    case PARAM_PRINT: return STR("lines");
    }
    return STR("");
}

static void name_params(Emit *e)
{
    Kernel *kernel = e->kernel;
    for (uint32_t i = 0; i < kernel->params.count; i++) {
        Param *p = &kernel->params.data[i];
        if (p->kind == PARAM_MEM || p->kind == PARAM_SCRATCH) {
            e->mem_names[p->mem.i] = ocl_names_make(&e->names, mem_at(e->f, p->mem)->name);
        }
        p->name = p->kind == PARAM_MEM ? e->mem_names[p->mem.i]
                                       : ocl_names_make(&e->names, param_wanted(e, p));
    }
    for (uint32_t i = 0; i < kernel->private_mems.count; i++) {
        Mem m = kernel->private_mems.data[i];
        e->mem_names[m.i] = ocl_names_make(&e->names, mem_at(e->f, m)->name);
        e->is_private[m.i] = true;
    }
    for (uint32_t i = 0; i < kernel->local_mems.count; i++) {
        Mem m = kernel->local_mems.data[i];
        e->mem_names[m.i] = ocl_names_make(&e->names, mem_at(e->f, m)->name);
        e->is_shared[m.i] = true;
    }
}

static void emit_signature(Emit *e)
{
    const Kernel *kernel = e->kernel;
    buf_str(&e->text, STR("__kernel "));
    if (kernel_group(kernel))
        buf_printf(&e->text, "__attribute__((reqd_work_group_size(%u, 1, 1)))\n",
                   kernel_group(kernel));
    buf_printf(&e->text, "void %.*s(", STR_ARG(kernel->name));
    for (uint32_t i = 0; i < kernel->params.count; i++) {
        Str text = param_text(e, &kernel->params.data[i]);
        buf_printf(&e->text, "%s\n    %.*s", i ? "," : "", STR_ARG(text));
    }
    buf_str(&e->text, STR(")\n{\n"));
}

static int64_t scratch_elements(const Emit *e, Mem m)
{
    const MemInfo *mem = mem_at(e->f, m);
    int64_t elements = (int64_t)inst_at(e->f, mem->decl)->attr.bits;
    return dtype_info[mem->dtype].bits == 4 ? (elements + 15) / 16 * 8 : elements;
}

// Per-thread memories: private arrays, or this work-item's slices.
static void emit_scratch(Emit *e)
{
    const Kernel *kernel = e->kernel;
    for (uint32_t i = 0; i < kernel->private_mems.count; i++) {
        Mem m = kernel->private_mems.data[i];
        DType t = mem_at(e->f, m)->dtype;
        int64_t elements = scratch_elements(e, m);
        // Lanes past the end of a row are read, though not used, by vectors of CPUs.
        ocl_line(e, "%s %.*s[%lld]%s;", t == DTYPE_F16 ? "ushort" : ocl_ctype_memory(t),
                 STR_ARG(e->mem_names[m.i]), (long long)(elements > 0 ? elements : 1),
                 kernel->deal ? "" : " = {0}");
    }
    for (uint32_t i = 0; i < kernel->params.count; i++) {
        const Param *p = &kernel->params.data[i];
        if (p->kind != PARAM_SCRATCH) continue;
        ocl_line(e, "__global %s *%.*s = %.*s + %s(0) * %lld;",
                 ocl_ctype_memory(mem_at(e->f, p->mem)->dtype), STR_ARG(e->mem_names[p->mem.i]),
                 STR_ARG(p->name), kernel->deal ? "get_group_id" : "get_global_id",
                 (long long)scratch_elements(e, p->mem));
    }
    if (kernel->deal) ocl_shared(e);
}

// The loop or guard that turns work-items, or groups of them, into units.
static void emit_units(Emit *e, Expr unit, Str units)
{
    const Kernel *kernel = e->kernel;
    const char *type = unit.is_int ? "int" : "long";
    const char *id = kernel->deal ? "get_group_id(0)" : "get_global_id(0)";
    const char *count = kernel->deal ? "get_num_groups(0)" : "get_global_size(0)";
    Str u = unit.text;
    if (kernel->is_serial) {
        ocl_line(e, "const %s begin = %s == 0 ? 0 : %.*s;", type, id, STR_ARG(units));
        ocl_line(e, "for (%s %.*s = begin; %.*s < %.*s; %.*s++) {", type, STR_ARG(u), STR_ARG(u),
                 STR_ARG(units), STR_ARG(u));
    } else if (kernel->has_slices) {
        ocl_line(e, "for (%s %.*s = %s; %.*s < %.*s; %.*s += %s) {", type, STR_ARG(u), id,
                 STR_ARG(u), STR_ARG(units), STR_ARG(u), count);
    } else {
        ocl_line(e, "const %s %.*s = %s;", type, STR_ARG(u), id);
        ocl_line(e, "if (%.*s < %.*s) {", STR_ARG(u), STR_ARG(units));
    }
    e->indent++;
}

static void emit_kernel(Emit *e)
{
    const Inst *phase = inst_at(e->f, e->kernel->phase);
    const Region body = inst_region(phase, 0);
    e->text = (Buf){.arena = e->arena};
    e->names = (Names){.arena = e->arena};
    e->is_private = arena_array(e->arena, bool, e->f->mems.count);
    e->is_shared = arena_array(e->arena, bool, e->f->mems.count);
    e->in_nest = false;
    e->last = e->here = (Span){0};
    e->indent = 1;
    ocl_names_make(&e->names, STR("begin"));
    name_params(e);
    emit_signature(e);
    for (uint32_t i = 0; i < e->kernel->prologue.count; i++) {
        ocl_inst(e, e->kernel->prologue.data[i]);
    }
    e->here = phase->span;
    Type i64 = type_scalar(DTYPE_I64);
    Str units = ocl_atom(e, ocl_bare(ocl_expr_of(e, inst_arg(e->f, phase, 0))), i64, "units");
    // The global size, which is rounded up, may pass the number of units, at most by its double.
    const bool is_int = e->facts->ranges[inst_arg(e->f, phase, 0).i].hi < 1 << 30;
    Expr unit = {
        .text = ocl_names_make(&e->names, STR("unit")), .prec = PREC_ATOM, .is_int = is_int};
    emit_scratch(e);
    emit_units(e, unit, units);
    if (region_at(e->f, body)->arg_count > 0) e->exprs[region_arg(e->f, body, 0).i] = unit;
    ocl_region(e, body);
    e->here = (Span){0};
    if (e->kernel->deal && (e->kernel->has_slices || e->kernel->is_serial))
        ocl_fence(e, e->kernel->deal->last_fences);
    buf_str(&e->text, STR("    }\n}\n"));
}

static void name_kernels(Emit *e)
{
    Names names = {.arena = e->arena};
    Program *program = e->program;
    for (uint32_t i = 0; i < program->kernels.count; i++) {
        Str wanted = e->f->name.length ? e->f->name : STR("phase");
        if (program->kernels.count > 1) {
            wanted = str_format(e->arena, "%.*s_phase%u", STR_ARG(wanted), i);
        }
        program->kernels.data[i].name = ocl_names_make(&names, wanted);
    }
}

static void emit_header(Emit *e, Buf *out)
{
    buf_str(out, STR("// "));
    buf_str(out, ocl_name_clean(e->arena, e->f->name));
    buf_printf(out, ": OpenCL C 1.2, %u kernel%s, written by hako.\n", e->program->kernels.count,
               e->program->kernels.count == 1 ? "" : "s, to be run in order");
    buf_str(out, STR("#pragma OPENCL FP_CONTRACT OFF\n"));
    if (e->program->needs_fp64) {
        buf_str(out, STR("#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"));
    }
    if (e->program->needs_int64_atomics) {
        buf_str(out, STR("#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable\n"));
    }
    buf_char(out, '\n');
    buf_str(out, buf_view(&e->helpers.text));
}

bool ocl_program_emit(Program *program, Arena *arena, const Func *f, const Machine *machine,
                      DiagList *diags)
{
    const uint32_t errors = diags->error_count;
    Facts *facts = ocl_facts_of(arena, f);
    if (!ocl_program_plan(program, arena, f, facts, machine, diags)) return false;
    Emit e = {.arena = arena, .f = f, .facts = facts, .diags = diags, .program = program};
    e.unroll = machine->unroll;
    e.helpers = (Helpers){.arena = arena, .text = {.arena = arena}};
    e.exprs = arena_array(arena, Expr, f->values.count);
    e.mem_names = arena_array(arena, Str, f->mems.count);
    name_kernels(&e);
    Buf kernels = {.arena = arena}, out = {.arena = arena};
    for (uint32_t i = 0; i < program->kernels.count; i++) {
        e.kernel = &program->kernels.data[i];
        emit_kernel(&e);
        if (i) buf_char(&kernels, '\n');
        buf_str(&kernels, buf_view(&e.text));
    }
    emit_header(&e, &out);
    buf_str(&out, buf_view(&kernels));
    program->text = buf_view(&out);
    return diags->error_count == errors;
}

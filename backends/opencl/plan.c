// From phases to kernels: which memories, dimensions, strides and arguments each one needs.
#include "ir/eval.h"
#include "backends/opencl/program.h"

typedef struct Planner {
    Arena *arena;
    const Func *f;
    const Facts *facts;
    const Machine *machine;
    const OpenclPlace *places; // [Mem.i], may be NULL
    DiagList *diags;
    Kernel *kernel;
    bool *needed;   // [Value.i] defined in the function's body and used by this phase
    bool *uses_mem; // [Mem.i]
    bool *first;    // [Mem.i]: an offset may be negative
    bool traps;
    bool prints;
} Planner;

static void add_param(Planner *p, ParamKind kind, Mem mem, uint32_t index)
{
    for (uint32_t i = 0; i < p->kernel->params.count; i++) {
        const Param *have = &p->kernel->params.data[i];
        if (have->kind == kind && have->mem.i == mem.i && have->index == index) return;
    }
    vec_push(p->arena, &p->kernel->params, (Param){.kind = kind, .mem = mem, .index = index});
}

static void see_memory(Planner *p, const Inst *in, InstId id)
{
    if (p->kernel->deal && p->kernel->deal->owned[id.i]) return; // an array of its own
    unsigned at = in->op == OP_STORE || in->op == OP_SCATTER || in->op == OP_ATOMIC ? 1 : 0;
    if (in->op == OP_ATOMIC && in->attr.kind == ATOMIC_CAS) at = 2;
    if (in->op != OP_LOAD && in->op != OP_GATHER && at == 0) return;
    p->uses_mem[in->attr.ref] = true;
    if (p->facts->ranges[inst_arg(p->f, in, at).i].lo < 0) p->first[in->attr.ref] = true;
}

// The operand of the tensor's declaration that states its extent, {0} if there is none.
static Value extent_operand(const Func *f, const Inst *in)
{
    const MemInfo *mem = mem_at(f, (Mem){in->attr.ref});
    if (!mem->decl.i || inst_at(f, mem->decl)->op != OP_TENSOR) return (Value){0};
    const Inst *decl = inst_at(f, mem->decl);
    if (in->attr.bits >= decl->arg_count) return (Value){0};
    Value v = inst_arg(f, decl, (unsigned)in->attr.bits);
    const Inst *def = value_def(f, v);
    return def && def->op == OP_EXTENT ? (Value){0} : v;
}

static bool see_leaf(Planner *p, const Inst *in)
{
    const Mem mem = {in->attr.ref};
    if (in->op == OP_DIM) add_param(p, PARAM_DIM, (Mem){0}, in->attr.ref);
    if (in->op == OP_ARG) add_param(p, PARAM_ARG, (Mem){0}, in->attr.ref);
    if (in->op == OP_STRIDE) add_param(p, PARAM_STRIDE, mem, (uint32_t)in->attr.bits);
    if (in->op == OP_EXTENT) {
        Value v = extent_operand(p->f, in);
        if (!v.i) {
            diag_add(p->diags, DIAG_NOT_SUPPORTED, in->span,
                     "the OpenCL backend cannot tell the extent of dimension %u of '%.*s'",
                     (unsigned)in->attr.bits, STR_ARG(mem_at(p->f, mem)->name));
            return false;
        }
        p->needed[v.i] = true;
    }
    return true;
}

static bool see_region(Planner *p, Region r)
{
    for_each_inst(p->f, r, id) {
        const Inst *in = inst_at(p->f, id);
        see_memory(p, in, id);
        if (in->op == OP_CHECK) p->traps = true;
        if (in->op == OP_PRINT) p->prints = true;
        if (!see_leaf(p, in)) return false;
        for_each_arg(p->f, in, k, v) p->needed[v.i] = true;
        for (unsigned k = 0; k < in->region_count; k++)
            if (!see_region(p, inst_region(in, k))) return false;
    }
    return true;
}

// What the phase needs of the function's body, last instruction first, then turned round.
static bool see_prologue(Planner *p)
{
    VEC(InstId) found = {0};
    for (InstId id = inst_at(p->f, p->kernel->phase)->prev; id.i; id = inst_at(p->f, id)->prev) {
        const Inst *in = inst_at(p->f, id);
        bool wanted = false;
        for (unsigned k = 0; k < in->result_count; k++) wanted |= p->needed[inst_result(in, k).i];
        if (!wanted) continue;
        if (in->region_count || !(op_info[in->op].traits & TRAIT_PURE)) {
            diag_add(p->diags, DIAG_NOT_SUPPORTED, in->span,
                     "the OpenCL backend does not support '%s' before a phase",
                     op_info[in->op].mnemonic);
            return false;
        }
        if (!see_leaf(p, in)) return false;
        if (in->op != OP_ARG) {
            for_each_arg(p->f, in, k, v) p->needed[v.i] = true;
        }
        vec_push(p->arena, &found, id);
    }
    for (uint32_t i = found.count; i-- > 0;) {
        vec_push(p->arena, &p->kernel->prologue, found.data[i]);
    }
    return true;
}

// Of a work-item with a unit of its own: what still fits into private arrays, in order.
static Place place_alone(const Planner *p, Mem m, int64_t *private_bytes)
{
    const MemInfo *mem = mem_at(p->f, m);
    uint64_t elements = inst_at(p->f, mem->decl)->attr.bits;
    int64_t bytes = elements > PRIVATE_BYTES_MAX ? PRIVATE_BYTES_MAX + 1
                                                 : dtype_bytes(mem->dtype, (int64_t)elements);
    if (*private_bytes + bytes > PRIVATE_BYTES_MAX) return PLACE_SLICE;
    *private_bytes += bytes;
    return PLACE_PRIVATE;
}

static void place_memories(Planner *p)
{
    int64_t private_bytes = 0;
    const Deal *deal = p->kernel->deal;
    for (uint32_t i = 1; i < p->f->mems.count; i++) {
        if (!p->uses_mem[i]) continue;
        if (mem_at(p->f, (Mem){i})->kind != MEM_SCRATCH) {
            add_param(p, PARAM_MEM, (Mem){i}, 0);
            continue;
        }
        Place place = deal ? deal->place[i] : place_alone(p, (Mem){i}, &private_bytes);
        if (place == PLACE_PRIVATE) {
            vec_push(p->arena, &p->kernel->private_mems, (Mem){i});
        } else if (place == PLACE_LOCAL) {
            vec_push(p->arena, &p->kernel->local_mems, (Mem){i});
        } else {
            add_param(p, PARAM_SCRATCH, (Mem){i}, 0);
            p->kernel->has_slices = true;
        }
    }
}

static bool plan_kernel(Planner *p)
{
    const Inst *phase = inst_at(p->f, p->kernel->phase);
    p->needed = arena_array(p->arena, bool, p->f->values.count);
    p->uses_mem = arena_array(p->arena, bool, p->f->mems.count);
    p->first = arena_array(p->arena, bool, p->f->mems.count);
    p->traps = p->prints = false;
    if (phase->arg_count != 1) {
        diag_add(p->diags, DIAG_IR_INVALID, phase->span,
                 "a phase of Loop IR states its number of units");
        return false;
    }
    p->needed[inst_arg(p->f, phase, 0).i] = true;
    p->kernel->is_serial = phase->attr.kind == LOOP_SERIAL;
    p->kernel->deal = deal_phase(p->arena, p->f, p->kernel->phase, p->machine);
    if (!see_region(p, inst_region(phase, 0))) return false;
    place_memories(p);
    if (p->traps) add_param(p, PARAM_TRAP, (Mem){0}, 0);
    if (p->prints) add_param(p, PARAM_PRINT, (Mem){0}, 0);
    for (uint32_t i = 1; i < p->f->mems.count; i++) {
        OpenclPlace place = p->places ? p->places[i] : OPENCL_AT_START;
        bool is_buffer = p->uses_mem[i] && mem_at(p->f, (Mem){i})->kind != MEM_SCRATCH;
        if (is_buffer && (p->first[i] || place != OPENCL_AT_START))
            add_param(p, PARAM_FIRST, (Mem){i}, !p->first[i] && place == OPENCL_AT_MULTIPLE);
    }
    return see_prologue(p);
}

static bool is_fp64(const Func *f, const Facts *facts)
{
    for (uint32_t i = 0; i < facts->order.count; i++) {
        const Inst *in = inst_at(f, facts->order.data[i]);
        for (unsigned k = 0; k < in->result_count; k++) {
            if (value_dtype(f, inst_result(in, k)) == DTYPE_F64) return true;
        }
    }
    for (uint32_t i = 1; i < f->mems.count; i++) {
        if (mem_at(f, (Mem){i})->dtype == DTYPE_F64) return true;
    }
    return false;
}

static bool has_wide_atomic(const Func *f, const Facts *facts)
{
    for (uint32_t i = 0; i < facts->order.count; i++) {
        const Inst *in = inst_at(f, facts->order.data[i]);
        if (in->op != OP_ATOMIC) continue;
        if (dtype_info[mem_at(f, (Mem){in->attr.ref})->dtype].bits == 64) return true;
    }
    return false;
}

bool ocl_program_plan(Program *program, Arena *arena, const Func *f, const Facts *facts,
                      const Machine *machine, DiagList *diags)
{
    Planner p = {.arena = arena,
                 .f = f,
                 .facts = facts,
                 .machine = machine,
                 .places = program->places,
                 .diags = diags};
    if (f->level != LEVEL_LOOP) {
        diag_add(diags, DIAG_IR_INVALID, (Span){0}, "OpenCL C is made from Loop IR");
        return false;
    }
    program->needs_fp64 = is_fp64(f, facts);
    program->needs_int64_atomics = has_wide_atomic(f, facts);
    for_each_inst(f, f->body, id) {
        if (inst_at(f, id)->op != OP_PHASE) continue;
        Kernel kernel = {.phase = id, .is_repeated = repeat_of(f, id).i != 0};
        p.kernel = &kernel;
        if (!plan_kernel(&p)) return false;
        vec_push(arena, &program->kernels, kernel);
    }
    return true;
}

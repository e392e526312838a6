// Launches again: what a launch found out about its arguments is kept with the exec, so that the
// next one with such arguments only compares, fills in addresses and runs. No allocation, no
// message, nothing read of the data. Whatever differs in more than addresses (or in scalars that no
// size and no promise depends on) takes the long way of launch.c, which also says what is wrong.
//
// Laws: a Warm does not change once it is in the exec's list, and lives as long as the exec; two
// launches at once share all of it but the workspaces, which the second one finds taken.
#include "runtime/warm.h"

#include <stdlib.h>

#include "runtime/launch.h"
#include "runtime/threads.h"

enum { KEPT_MOST = 4, MEMS_MOST = 24, ARGS_MOST = 24 };

typedef struct WarmArg {
    const char *name; // NULL: by position
    hk_arg_kind kind;
    uint32_t scalar; // index of the Func's argument; UINT32_MAX: none reads it
    bool fixed;      // sizes or promises depend on the scalar: it must be the same
    int64_t integer;
    double number;
    DLDataType dtype;
    bool writes, compact;
    TensorView view;
} WarmArg;

typedef struct WarmMem {
    uint32_t arg;   // index of the argument, UINT32_MAX: a workspace
    TensorView own; // a workspace
    size_t clear;   // its bytes, if they are cleared before each launch
    bool has_init;
    char init[8]; // an element as in memory
} WarmMem;

typedef struct WarmPhase {
    PhaseFn *code;
    int64_t units;
    unsigned threads;
} WarmPhase;

struct Warm {
    Arena arena;
    Warm *next;
    uint32_t arg_count, mem_count, scalar_count, phase_count;
    WarmArg *args;
    WarmMem *mems; // by Mem.i
    WarmPhase *phases;
    int64_t *dims, *strides;
    uint64_t *scalars;
    Pool *pool;
    size_t scratch_bytes;
    bool has_workspace, lacks_memory;
    VEC(Block) blocks;
    atomic_flag taken; // the workspaces
};

// ---- the quick way

static bool same_name(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool tensor_fits(const WarmArg *known, const DLTensor *t)
{
    const TensorView *view = &known->view;
    if (!t || t->ndim != (int32_t)view->rank || memcmp(&t->dtype, &known->dtype, sizeof t->dtype))
        return false;
    if (t->device.device_type != kDLCPU || !t->data || (!t->strides && !known->compact))
        return false;
    for (uint32_t p = 0; p < view->rank; p++) {
        if (t->shape[p] != view->shape[p]) return false;
        if (t->strides && view->shape[p] > 1 && t->strides[p] != view->strides[p]) return false;
    }
    uintptr_t at = (uintptr_t)t->data + t->byte_offset;
    return at % ((dtype_info[view->dtype].bits + 7) / 8) == 0;
}

// The bits of a scalar that may differ. False where the long way has something to say.
static bool scalar_fits(const hk_exec *exec, const WarmArg *known, const hk_arg *arg,
                        uint64_t *bits)
{
    if (arg->kind == known->kind && arg->integer == known->integer && arg->number == known->number)
        return true;
    if (known->fixed || known->scalar == UINT32_MAX) return false;
    DType t = exec->tile->args.data[known->scalar].dtype;
    bool whole = arg->kind == HK_ARG_INT;
    if (dtype_is_float(t)) {
        *bits = scalar_from_double(t, whole ? (double)arg->integer : arg->number);
        return true;
    }
    if (!whole || (t != DTYPE_I64 && (t != DTYPE_I32 || arg->integer != (int32_t)arg->integer)))
        return false;
    *bits = scalar_from_int(t, arg->integer);
    return true;
}

static bool apart(const Warm *w, char *const *data)
{
    for (uint32_t i = 0; i < w->arg_count; i++) {
        for (uint32_t j = 0; w->args[i].writes && j < w->arg_count; j++) {
            if (i == j || w->args[j].kind != HK_ARG_TENSOR) continue;
            const TensorView *a = &w->args[i].view, *b = &w->args[j].view;
            if (data[i] + a->low < data[j] + b->high && data[j] + b->low < data[i] + a->high)
                return false;
        }
    }
    return true;
}

static bool fits(const hk_exec *exec, const Warm *w, const hk_arg *args, size_t count, char **data,
                 uint64_t *scalars)
{
    if (count != w->arg_count) return false;
    for (uint32_t i = 0; i < w->arg_count; i++) {
        const WarmArg *known = &w->args[i];
        const hk_arg *arg = &args[i];
        bool tensor = known->kind == HK_ARG_TENSOR;
        if (tensor != (arg->kind == HK_ARG_TENSOR) || !same_name(known->name, arg->name))
            return false;
        if (!tensor && !scalar_fits(exec, known, arg, &scalars[known->scalar])) return false;
        if (tensor && !tensor_fits(known, arg->tensor)) return false;
        if (tensor) data[i] = (char *)arg->tensor->data + arg->tensor->byte_offset;
    }
    return apart(w, data);
}

static void fill_in(const Warm *w, char *const *data, void **mems)
{
    for (uint32_t m = 1; m < w->mem_count; m++) {
        const WarmMem *mem = &w->mems[m];
        bool own = mem->arg == UINT32_MAX;
        mems[m] = own ? mem->own.data : data[mem->arg];
        if (mem->clear) memset(mems[m], 0, mem->clear);
        if (!mem->has_init) continue;
        TensorView view = own ? mem->own : w->args[mem->arg].view;
        view.data = mems[m];
        view_fill(&view, mem->init);
    }
}

typedef struct Units {
    PhaseFn *code;
    const Frame *frame;
} Units;

static void run_units(void *context, int64_t begin, int64_t end, void *scratch)
{
    const Units *units = context;
    units->code(units->frame, begin, end, scratch);
}

static bool run_phases(const Warm *w, const Frame *frame)
{
    for (uint32_t k = 0; k < w->phase_count && !frame->trap->state; k++) {
        const WarmPhase *phase = &w->phases[k];
        Units units = {phase->code, frame};
        PoolJob job = {.fn = run_units,
                       .context = &units,
                       .units = phase->units,
                       .scratch_bytes = w->scratch_bytes,
                       .threads_max = phase->threads};
        if (phase->units > 0 && !pool_run(w->pool, &job)) return false;
    }
    return true;
}

// The launch that was like this one, with the places of its tensors and its scalars.
static Warm *find(const hk_exec *exec, const hk_arg *args, size_t count, char **data,
                  uint64_t *scalars)
{
    Warm *w = atomic_load_explicit(&exec->warm, memory_order_acquire);
    for (; w; w = w->next) {
        memcpy(scalars, w->scalars, sizeof *scalars * w->scalar_count);
        if (fits(exec, w, args, count, data, scalars)) break;
    }
    return w;
}

bool warm_fits(const hk_exec *exec, const hk_arg *args, size_t count)
{
    char *data[ARGS_MOST];
    uint64_t scalars[ARGS_MOST + 1];
    return find(exec, args, count, data, scalars) != NULL;
}

bool warm_run(const hk_exec *exec, const hk_arg *args, size_t count, hk_status *status,
              hk_error **error)
{
    char *data[ARGS_MOST];
    void *mems[MEMS_MOST];
    uint64_t scalars[ARGS_MOST + 1];
    Warm *w = find(exec, args, count, data, scalars);
    if (!w || (w->has_workspace && atomic_flag_test_and_set(&w->taken))) return false;
    Trap trap = {0};
    Frame frame = {
        .mems = mems, .dims = w->dims, .strides = w->strides, .args = scalars, .trap = &trap};
    fill_in(w, data, mems);
    bool enough = run_phases(w, &frame);
    if (w->has_workspace) atomic_flag_clear(&w->taken);
    *status = !enough      ? fail(&exec->kernel->module->context->allocator, error, HK_ERROR_MEMORY,
                                  DIAG_MEMORY, "kernel %s: out of memory", exec->kernel->name)
              : trap.state ? launch_trapped(exec, &trap, error)
                           : HK_OK;
    return true;
}

// ---- what is kept

// Which scalars some size, promise or number of units depends on.
static void mark_fixed(const Func *f, Value v, bool *fixed)
{
    const Inst *in = value_def(f, v);
    if (!in) return;
    if (in->op == OP_ARG) fixed[in->attr.ref] = true;
    for (unsigned k = 0; k < in->arg_count; k++) mark_fixed(f, inst_arg(f, in, k), fixed);
}

static void mark_all(const Func *f, bool *fixed)
{
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        bool decides = in->op == OP_TENSOR || in->op == OP_REQUIRE || in->op == OP_PHASE;
        for (unsigned k = 0; decides && k < in->arg_count; k++)
            mark_fixed(f, inst_arg(f, in, k), fixed);
    }
}

static uint32_t arg_of_slot(const Launch *launch, uint32_t slot)
{
    const hk_kernel *kernel = launch->exec->kernel;
    for (uint32_t i = 0; i < launch->arg_count; i++) {
        const char *name = launch->args[i].name;
        if (name ? strcmp(name, kernel->params[slot].name) == 0 : i == slot) return i;
    }
    return UINT32_MAX;
}

static void keep_arg(Warm *w, const Launch *launch, uint32_t i, const bool *fixed)
{
    const hk_exec *exec = launch->exec;
    const hk_kernel *kernel = exec->kernel;
    const hk_arg *arg = &launch->args[i];
    WarmArg *kept = &w->args[i];
    *kept = (WarmArg){
        .kind = arg->kind, .integer = arg->integer, .number = arg->number, .scalar = UINT32_MAX};
    if (arg->name) kept->name = str_copy(&w->arena, str_of(arg->name)).data;
    uint32_t slot = 0;
    while (slot < kernel->param_count && arg_of_slot(launch, slot) != i) slot++;
    if (arg->kind == HK_ARG_TENSOR) {
        kept->dtype = arg->tensor->dtype;
        kept->view = launch->slots[slot].view;
        kept->compact = view_is_compact(&kept->view);
        kept->writes = kernel->params[slot].kind != HK_PARAM_IN;
        return;
    }
    for (uint32_t a = 0; a < exec->tile->args.count; a++) {
        if (exec->slot_of_arg[a] != slot) continue;
        kept->scalar = a;
        kept->fixed = fixed[a];
    }
}

// NULL: no memory.
static void *workspace_new(Warm *w, int64_t bytes)
{
    Block block;
    vec_reserve(&w->arena, &w->blocks, w->blocks.count + 1);
    if (bytes < 0 || !block_new(&block, &w->arena.allocator, (size_t)bytes)) return NULL;
    vec_push(&w->arena, &w->blocks, block);
    return block.data;
}

static void keep_mem(Warm *w, const Launch *launch, Mem m)
{
    const MemInfo *mem = mem_at(launch->f, m);
    WarmMem *kept = &w->mems[m.i];
    uint32_t slot = launch->exec->slot_of_loop_mem[m.i];
    *kept = (WarmMem){.arg = UINT32_MAX, .has_init = mem->has_init};
    storage_store(mem->dtype, kept->init, 0, mem->init_bits);
    if (mem->kind == MEM_SCRATCH) return;
    if (slot != UINT32_MAX) {
        kept->arg = arg_of_slot(launch, slot);
        return;
    }
    int64_t bytes = mem_bytes(launch->f, m, launch->f_values);
    kept->own = (TensorView){.given = true, .dtype = mem->dtype, .rank = mem->rank};
    for (uint32_t p = 0; p < mem->rank; p++)
        kept->own.shape[p] = mem_size(launch->f, m, p, launch->f_values);
    compact_strides(mem->dtype, mem->rank, kept->own.shape, kept->own.strides);
    kept->own.data = workspace_new(w, bytes);
    w->has_workspace = true;
    w->lacks_memory |= !kept->own.data;
    bool clear = mem->kind == MEM_WORKSPACE && m.i < launch->exec->tile->mems.count;
    if (clear && !mem->has_init) kept->clear = (size_t)bytes;
}

static void keep_phases(Warm *w, const Launch *launch)
{
    const hk_exec *exec = launch->exec;
    const Func *f = exec->loop;
    w->phase_count = llvm_code_phase_count(exec->llvm);
    w->phases = arena_array(&w->arena, WarmPhase, w->phase_count + 1);
    uint32_t k = 0;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op != OP_PHASE) continue;
        w->phases[k] = (WarmPhase){.code = llvm_code_phase(exec->llvm, k),
                                   .units = (int64_t)launch->f_values[inst_arg(f, in, 0).i],
                                   .threads = in->attr.kind == LOOP_GRID ? launch->team : 1};
        k++;
    }
}

typedef struct KeepJob {
    Arena arena;
    const Launch *launch;
    Warm *warm;
} KeepJob;

static void keep(void *self)
{
    KeepJob *job = self;
    Warm *w = arena_new(&job->arena, Warm);
    w->arena = job->arena; // from here on the object owns the arena
    job->warm = w;
    const Launch *launch = job->launch;
    const hk_exec *exec = launch->exec;
    const Func *f = launch->f;
    Arena *arena = &w->arena;
    bool *fixed = arena_array(arena, bool, exec->tile->args.count + 1);
    mark_all(exec->tile, fixed);
    mark_all(exec->loop, fixed);
    w->arg_count = (uint32_t)launch->arg_count;
    w->args = arena_array(arena, WarmArg, w->arg_count + 1);
    for (uint32_t i = 0; i < w->arg_count; i++) keep_arg(w, launch, i, fixed);
    w->mem_count = f->mems.count;
    w->mems = arena_array(arena, WarmMem, w->mem_count + 1);
    for (uint32_t m = 1; m < w->mem_count; m++) keep_mem(w, launch, (Mem){m});
    w->dims = arena_copy(arena, launch->dims, sizeof(int64_t) * (f->dims.count + 1));
    w->strides = arena_copy(arena, launch->strides, sizeof(int64_t) * f->mems.count * RANK_MAX);
    w->scalar_count = exec->tile->args.count;
    w->scalars = arena_copy(arena, launch->scalars, sizeof(uint64_t) * (w->scalar_count + 1));
    w->scratch_bytes = (size_t)llvm_code_scratch_bytes(exec->llvm);
    w->pool = context_pool(exec->kernel->module->context);
    w->lacks_memory |= !w->pool;
    keep_phases(w, launch);
    atomic_flag_clear(&w->taken);
}

static bool may_keep(const Launch *launch)
{
    const hk_exec *exec = launch->exec;
    const Func *f = exec->tile;
    if (launch->variant || !exec->llvm || launch->f != exec->loop) return false;
    if (launch->arg_count > ARGS_MOST || f->args.count > ARGS_MOST ||
        exec->loop->mems.count > MEMS_MOST || exec->kernel->module->context->parallel_for)
        return false;
    for (size_t i = 0; i < launch->arg_count; i++) {
        const hk_arg *arg = &launch->args[i];
        if (arg->kind == HK_ARG_TENSOR && (!arg->tensor || !arg->tensor->data)) return false;
    }
    // Promises about data are checked each time; repeated phases are walked.
    for_each_inst(f, f->body, id)
        if (inst_at(f, id)->op == OP_REFINE || inst_at(f, id)->op == OP_REPEAT) return false;
    return true;
}

static void warm_free(Warm *w)
{
    for (uint32_t k = 0; k < w->blocks.count; k++)
        block_free(&w->blocks.data[k], &w->arena.allocator);
    Arena arena = w->arena;
    arena_free(&arena);
}

void warm_keep(const Launch *launch)
{
    hk_exec *exec = (hk_exec *)launch->exec; // the list is a cache, not part of its meaning
    uint32_t kept = 0;
    for (const Warm *w = atomic_load(&exec->warm); w; w = w->next) kept++;
    if (kept >= KEPT_MOST || !may_keep(launch)) return;
    KeepJob job = {.launch = launch};
    arena_init(&job.arena, &exec->kernel->module->context->allocator);
    bool enough = guarded(&job.arena, keep, &job);
    if (!enough || job.warm->lacks_memory) { // it was only for speed
        if (job.warm)
            warm_free(job.warm);
        else
            arena_free(&job.arena);
        return;
    }
    job.warm->arena.out_of_memory = NULL;
    job.warm->next = atomic_load(&exec->warm);
    while (!atomic_compare_exchange_weak(&exec->warm, &job.warm->next, job.warm)) {
    }
}

void warm_free_all(hk_exec *exec)
{
    for (Warm *w = atomic_exchange(&exec->warm, NULL), *next; w; w = next) {
        next = w->next;
        warm_free(w);
    }
}

// compare FILE.tile SIZES CONFIG SEED [VECTOR_BYTES|opencl[VECTOR_BYTES]]: runs a program in Tile
// IR text on random data, by the interpreter and through passes, schedule and JIT (or the first
// OpenCL device), and compares traps, outputs and the bytes around them. Exit code 0: the same; 1:
// a difference (told); 2: the program or the Config is no good; 3: no code.
#include "backends/interp/interp.h"
#include "backends/llvm/llvm_backend.h"
#include "backends/opencl/opencl_backend.h"
#include "ir/eval.h"
#include "passes/pass.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIMS_MAX = 16, TEXT_MAX = 1 << 20, GUARD = 256, GUARD_BYTE = 0xAA };

typedef struct Machinery {
    Arena arena;
    DiagList diags;
    Func *tile, *loop;
    Config *config;
    LlvmCode *code;
    OpenclCode *opencl; // instead of code
    OpenclSystem *system;
    int64_t dims[DIMS_MAX];
    uint64_t args[DIMS_MAX];
    bool given[DIMS_MAX];
    uint64_t *values; // of the Loop IR's prologue
    int64_t *strides, *counts;
} Machinery;

// One set of memories; the two sides start with the same contents.
typedef struct Side {
    void **mems;
    Trap trap;
} Side;

static int complain(const Machinery *m, const char *what, int code)
{
    printf("%s:", what);
    for (uint32_t i = 0; i < m->diags.diags.count; i++) {
        const Diag *diag = m->diags.diags.data[i];
        printf(" %u:%u %.*s", diag->span.line, diag->span.column, STR_ARG(diag->message));
    }
    printf("\n");
    return code;
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool read_program(Machinery *m, const char *path, const char *sizes)
{
    static char text[TEXT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    size_t length = fread(text, 1, sizeof text, file);
    fclose(file);
    m->tile = func_parse(&m->arena, (Str){text, length}, &m->diags, 0);
    if (!m->tile || m->tile->dims.count > DIMS_MAX || m->tile->args.count > DIMS_MAX) return false;
    char *at = (char *)(uintptr_t)sizes;
    for (uint32_t d = 0; d < m->tile->dims.count; d++) {
        m->dims[d] = strtoll(at, &at, 10);
        at += *at == ',';
    }
    for (uint32_t a = 0; a < m->tile->args.count; a++) {
        m->given[a] = true;
        m->args[a] = scalar_from_double(m->tile->args.data[a].dtype, 3);
    }
    return true;
}

static bool compile(Machinery *m, const char *target)
{
    Machine machine = {.l1_bytes = 32 << 10, .l2_bytes = 1 << 20, .l3_bytes = 8 << 20, .cores = 2};
    const bool is_opencl = strncmp(target, "opencl", 6) == 0;
    const int vector_bytes = atoi(is_opencl ? target + 6 : target);
    if (!llvm_machine(NULL, &machine, NULL)) return false;
    const char *group = strchr(target, ':');
    if (is_opencl) opencl_machine(m->system, 0, group ? atoi(group + 1) : 1, 1, false, &machine);
    if (vector_bytes) machine.vector_bytes = (uint32_t)vector_bytes;
    Func *tile = func_clone(&m->arena, m->tile);
    func_specialise(tile, m->dims);
    Config *config = config_default(&m->arena, tile, &machine);
    for (uint32_t i = 0; i < m->config->knobs.count; i++) {
        config_set(config, m->config->knobs.data[i].name, m->config->knobs.data[i].value);
    }
    PassContext context = {.arena = &m->arena,
                           .diags = &m->diags,
                           .machine = &machine,
                           .verify = true,
                           .config = config};
    if (!passes_run(tile, passes_tile, passes_tile_count, &context)) return false;
    m->loop = schedule(tile, &context);
    if (!m->loop || !func_verify(m->loop, &m->diags)) return false;
    if (!passes_run(m->loop, passes_loop, passes_loop_count, &context)) return false;
    if (is_opencl)
        m->opencl = opencl_compile(m->system, 0, m->loop, &machine, NULL, NULL, &m->diags);
    else
        m->code = llvm_compile(m->loop, NULL, &m->diags);
    return m->code || m->opencl;
}

// ---- memory

static void find_shapes(Machinery *m)
{
    const Func *f = m->loop;
    uint32_t missing;
    m->values = arena_array(&m->arena, uint64_t, f->values.count);
    m->strides = arena_array(&m->arena, int64_t, f->mems.count * RANK_MAX);
    m->counts = arena_array(&m->arena, int64_t, f->mems.count);
    prologue_eval(f, m->dims, m->args, m->given, m->values, &missing);
    for (uint32_t k = 1; k < f->mems.count; k++) {
        const MemInfo *mem = mem_at(f, (Mem){k});
        if (mem->kind == MEM_SCRATCH) continue;
        m->counts[k] = 1;
        for (unsigned p = mem->rank; p-- > 0;) {
            m->strides[k * RANK_MAX + p] = m->counts[k];
            m->counts[k] *= (int64_t)m->values[inst_arg(f, inst_at(f, mem->decl), p).i];
        }
    }
}

// Small values, so that sums stay comparable: quarters for floats, 0 .. 6 for integers.
static uint64_t random_value(DType t, uint64_t *state)
{
    uint64_t x = random_next(state);
    if (dtype_is_float(t)) return scalar_from_double(t, (double)(x % 2001) / 500 - 2);
    return t == DTYPE_BOOL ? x & 1 : x % 7;
}

static void make_side(Machinery *m, Side *side, uint64_t seed)
{
    const Func *f = m->loop;
    side->mems = arena_array(&m->arena, void *, f->mems.count);
    for (uint32_t k = 1; k < f->mems.count; k++) {
        const MemInfo *mem = mem_at(f, (Mem){k});
        if (mem->kind == MEM_SCRATCH) continue;
        DType arith = dtype_info[mem->dtype].arith;
        size_t bytes = (size_t)dtype_bytes(mem->dtype, m->counts[k]);
        char *data = arena_alloc(&m->arena, bytes + 2 * GUARD + 64);
        data += (64 - (uintptr_t)data % 64) % 64;
        memset(data, GUARD_BYTE, bytes + 2 * GUARD);
        side->mems[k] = data + GUARD;
        bool random = mem->kind == MEM_IN || mem->kind == MEM_INOUT;
        if (mem->kind == MEM_WORKSPACE) memset(side->mems[k], 0, bytes);
        for (int64_t i = 0; i < m->counts[k] && (random || mem->has_init); i++) {
            uint64_t bits = mem->has_init ? mem->init_bits : random_value(arith, &seed);
            storage_store(mem->dtype, side->mems[k], i, bits);
        }
    }
}

// ---- running

static void run_reference(Machinery *m, Side *side)
{
    Frame frame = {side->mems, m->dims, m->strides, m->args, &side->trap, NULL};
    InterpOptions options = {.config = m->config};
    InterpResult result;
    interp_run(&m->arena, m->tile, &frame, &options, &result);
}

// The second half of the units first: their order must not matter.
static void run_code(Machinery *m, Side *side)
{
    Frame frame = {side->mems, m->dims, m->strides, m->args, &side->trap, NULL};
    size_t scratch_bytes = (size_t)llvm_code_scratch_bytes(m->code);
    char *scratch = arena_alloc(&m->arena, scratch_bytes + 64);
    scratch += (64 - (uintptr_t)scratch % 64) % 64;
    memset(scratch, 0x55, scratch_bytes);
    uint32_t phase = 0;
    for_each_inst(m->loop, m->loop->body, id) {
        const Inst *in = inst_at(m->loop, id);
        if (in->op != OP_PHASE) continue;
        int64_t units = (int64_t)m->values[inst_arg(m->loop, in, 0).i], half = units / 2;
        PhaseFn *code = llvm_code_phase(m->code, phase++);
        if (units > half) code(&frame, half, units, scratch);
        if (half > 0) code(&frame, 0, half, scratch);
        if (side->trap.state) return;
    }
}

static bool run_opencl(Machinery *m, Side *side)
{
    Frame frame = {side->mems, m->dims, m->strides, m->args, &side->trap, NULL};
    const Func *f = m->loop;
    int64_t *bytes = arena_array(&m->arena, int64_t, f->mems.count);
    int64_t *front = arena_array(&m->arena, int64_t, f->mems.count);
    for (uint32_t k = 1; k < f->mems.count; k++) {
        bytes[k] = dtype_bytes(mem_at(f, (Mem){k})->dtype, m->counts[k]);
    }
    uint32_t number;
    OpenclLaunch launch = {.loop = f, .frame = &frame, .bytes = bytes, .front = front};
    OpenclStream *stream = opencl_stream_open(&m->arena, m->system, 0, NULL, &m->diags);
    bool ok = stream && opencl_run(stream, m->opencl, &launch, &m->diags) &&
              opencl_stream_wait(stream, &side->trap, &number, &m->diags);
    if (stream) opencl_stream_close(stream);
    return ok;
}

// ---- comparing

static bool guards_hold(const Machinery *m, const Side *side)
{
    for (uint32_t k = 1; k < m->loop->mems.count; k++) {
        const unsigned char *data = side->mems[k];
        if (!data) continue;
        const unsigned char *end =
            data + dtype_bytes(mem_at(m->loop, (Mem){k})->dtype, m->counts[k]);
        for (int g = 0; g < GUARD; g++) {
            if (data[-1 - g] != GUARD_BYTE || end[g] != GUARD_BYTE) return false;
        }
    }
    return true;
}

static bool same_value(DType stored, uint64_t x, uint64_t y)
{
    DType t = dtype_info[stored].arith;
    if (x == y || !dtype_is_float(t)) return x == y;
    double a = scalar_to_double(t, x), b = scalar_to_double(t, y);
    double tolerance = stored == DTYPE_F64 ? 1e-12 : stored == DTYPE_F32 ? 2e-5 : 1.0 / 64;
    return (isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * (1 + fabs(a));
}

static bool same_mem(const Machinery *m, uint32_t k, const Side *a, const Side *b)
{
    const MemInfo *mem = mem_at(m->tile, (Mem){k});
    for (int64_t i = 0; i < m->counts[k]; i++) {
        uint64_t x = storage_load(mem->dtype, a->mems[k], i),
                 y = storage_load(mem->dtype, b->mems[k], i);
        if (same_value(mem->dtype, x, y)) continue;
        DType t = dtype_info[mem->dtype].arith;
        printf("%.*s, element %lld of %lld: interpreter %g, code %g\n", STR_ARG(mem->name),
               (long long)i, (long long)m->counts[k], scalar_to_double(t, x),
               scalar_to_double(t, y));
        return false;
    }
    return true;
}

static bool same(const Machinery *m, const Side *a, const Side *b)
{
    if (!guards_hold(m, a) || !guards_hold(m, b)) {
        printf("memory around a tensor was written\n");
        return false;
    }
    if (a->trap.state != b->trap.state || (a->trap.state && a->trap.site != b->trap.site)) {
        printf("trap: interpreter %lld at site %lld, code %lld at site %lld\n",
               (long long)a->trap.state, (long long)a->trap.site, (long long)b->trap.state,
               (long long)b->trap.site);
        return false;
    }
    bool ok = true;
    for (uint32_t k = 1; k < m->tile->mems.count && !a->trap.state; k++) {
        ok = same_mem(m, k, a, b) && ok;
    }
    return ok;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr,
                "usage: compare FILE.tile SIZES CONFIG SEED [VECTOR_BYTES|opencl[BYTES]]\n");
        return 2;
    }
    Machinery m = {0};
    arena_init(&m.arena, NULL);
    m.diags.arena = &m.arena;
    m.system = opencl_system_new(&m.arena);
    m.config = config_parse(&m.arena, str_of(argv[3]), &m.diags, 0);
    if (!m.config || !read_program(&m, argv[1], argv[2])) return complain(&m, "program", 2);
    if (!compile(&m, argc > 5 ? argv[5] : "")) return complain(&m, "compile", 3);
    find_shapes(&m);
    uint64_t seed = strtoull(argv[4], NULL, 10);
    Side reference = {0}, code = {0};
    make_side(&m, &reference, seed);
    make_side(&m, &code, seed);
    run_reference(&m, &reference);
    if (m.opencl && !run_opencl(&m, &code)) return complain(&m, "run", 1);
    if (m.code) run_code(&m, &code);
    bool ok = same(&m, &reference, &code);
    if (m.code) llvm_code_free(m.code);
    opencl_code_free(m.opencl);
    opencl_system_close(m.system);
    arena_free(&m.arena);
    return ok ? 0 : 1;
}

// What the model of time is told of a program: the loops that are dealt, where scratch lies, and
// what a device has. Drivers tell little of that, so the rest is that of a discrete GPU of the
// middle class.
#include "backends/opencl/program.h"
#include "backends/opencl/system.h"

enum { KIB = 1024, MIB = 1024 * KIB };

// ---- a device

static double within(double x, double low, double high, double unknown)
{
    if (!(x > 0)) return unknown;
    return x < low ? low : x > high ? high : x;
}

void opencl_group_device(OpenclSystem *system, uint32_t number, GroupDevice *out)
{
    OpenclDevice devices[OPENCL_DEVICES_MAX], device = {0};
    char reason[256];
    if (opencl_devices(system, devices, OPENCL_DEVICES_MAX, reason, sizeof reason) > number &&
        !devices[number].is_cpu)
        device = devices[number];
    const double units = within(device.compute_units, 1, 512, 64);
    const double clock = within(device.clock_mhz, 200, 4000, 1500) * 1e6;
    const double local = within((double)device.local_bytes, 16 * KIB, 256 * KIB, 64 * KIB);
    *out = (GroupDevice){
        .units = units,
        .clock = clock,
        .lanes = 128,
        .items = 1536,
        .groups = 24,
        .registers = 64 * KIB,
        .local_bytes = (int64_t)(local < 64 * KIB ? 64 * KIB : local),
        .l2_bytes = (int64_t)within((double)device.cache_bytes, 512 * KIB, 128 * MIB, 4 * MIB),
        .l2_rate = units * clock * 32,
        .memory_rate = units * clock * 8,
        .local_rate = clock * 128,
        .memory_cycles = 600,
        .l2_cycles = 250,
        .local_cycles = 30,
        .barrier_cycles = 40,
        .launch_seconds = 5e-6};
}

// ---- a program

static void mark_accesses(const Func *f, const Kernel *kernel, Region r, GroupPlan *plan)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        if (deal_is_scratch(f, in)) {
            const Place place = kernel->deal ? kernel->deal->place[in->attr.ref] : PLACE_PRIVATE;
            const bool owned = kernel->deal && kernel->deal->owned[id.i];
            plan->place[id.i] = owned || place == PLACE_PRIVATE ? GROUP_OWN
                                : place == PLACE_LOCAL          ? GROUP_LOCAL
                                                                : GROUP_GLOBAL;
        }
        if (kernel->deal && kernel->deal->fences[id.i]) plan->waits[id.i] = true;
        for (unsigned k = 0; k < in->region_count; k++)
            mark_accesses(f, kernel, inst_region(in, k), plan);
    }
}

bool opencl_group_plan(Arena *arena, const Func *loop, const Machine *machine, GroupPlan *plan)
{
    DiagList diags = {.arena = arena};
    Program program = {0};
    *plan = (GroupPlan){.dealt = arena_array(arena, bool, loop->regions.count + 1),
                        .waits = arena_array(arena, bool, loop->insts.count + 1),
                        .place = arena_array(arena, uint8_t, loop->insts.count + 1)};
    if (!ocl_program_plan(&program, arena, loop, ocl_facts_of(arena, loop), machine, &diags))
        return false;
    for (uint32_t i = 0; i < program.kernels.count; i++) {
        const Kernel *kernel = &program.kernels.data[i];
        const Deal *deal = kernel->deal;
        GroupPhase phase = {.phase = kernel->phase, .group = deal ? deal->group : 1};
        phase.local_bytes = deal ? deal->local_bytes + deal->reduce_bytes : 0;
        vec_push(arena, &plan->phases, phase);
        mark_accesses(loop, kernel, inst_region(inst_at(loop, kernel->phase), 0), plan);
        for (uint32_t n = 0; deal && n < deal->nests.count; n++) {
            const Nest *nest = &deal->nests.data[n];
            for (unsigned d = 0; d < nest->depth; d++)
                plan->dealt[inst_region(inst_at(loop, nest->loops[d]), 0).i] = true;
        }
    }
    return true;
}

// What this machine has: caches, cores that the process may use, vectors. Figures from virtual
// machines are often absurd, so each is held to a plausible range.
#include "runtime/internal.h"

#include "runtime/cpus.h"
#include "runtime/sources.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

static int64_t within(int64_t x, int64_t low, int64_t high, int64_t unknown)
{
    if (x <= 0) return unknown;
    return x < low ? low : x > high ? high : x;
}

// Until `hako machine` has measured: a core of 2.5 GHz with two units for multiply-adds, loads that
// keep up with them, and what its caches give in a cycle as a rule.
void machine_assume_rates(Machine *machine)
{
    double cycles = 2.5e9, cores = machine->cores;
    machine->fma_rate = 2 * cycles;
    machine->l1_rate = 2 * cycles * machine->vector_bytes;
    machine->l2_rate = cycles * 32;
    machine->l3_rate = cycles * 8 * cores;
    machine->memory_rate = cycles * 4 * (cores < 8 ? cores : 8);
    machine->launch_seconds = 200e-9;
}

bool machine_detect(Machine *machine, const LlvmTarget *target, DiagList *diags)
{
    *machine = (Machine){.vector_bytes = 16, .vector_registers = 16};
    if (!llvm_machine(target, machine, diags)) return false;
    MachineSource sources[SOURCES_MAX];
    uint32_t count = sources_ask(sources, false);
    int64_t bytes[CACHE_LEVELS];
    const char *from;
    for (int k = 0; k < CACHE_LEVELS; k++) bytes[k] = sources_cache(sources, count, k + 1, &from);
    machine->l1_bytes = within(bytes[0], 16 * KIB, 192 * KIB, 32 * KIB);
    machine->l2_bytes = within(bytes[1], 128 * KIB, 4 * MIB, 512 * KIB);
    machine->l3_bytes = within(bytes[2], 1 * MIB, 64 * MIB, 4 * MIB);
    machine->cores = cpus_available();
    machine_assume_rates(machine);
    return true;
}

void machine_measured(Machine *machine, const hk_rates *rates)
{
    double threads = rates->threads > 0 ? rates->threads : 1;
    double flops = 2.0 * machine->vector_bytes / 4; // of a vector
    if (rates->flops > 0) machine->fma_rate = rates->flops / flops;
    if (rates->launch > 0) machine->launch_seconds = rates->launch;
    double *to[] = {&machine->l1_rate, &machine->l2_rate, &machine->l3_rate, &machine->memory_rate};
    // Each level is at least as fast as the next, whatever was measured.
    double least = 0;
    for (int k = 3; k >= 0; k--) {
        double rate = rates->read[k] / (k < 2 ? threads : 1);
        if (k == 1) least /= threads;
        if (rate > 0) *to[k] = rate > least ? rate : least;
        least = *to[k];
    }
}

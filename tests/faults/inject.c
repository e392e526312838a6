// Faults of candidates, drawn by their Configs from HAKO_TUNE_FAULT in the environment:
//
//     HAKO_TUNE_FAULT=crash:5,hang:2,abort:3,oom:2,wrong:10,seed:7,family:1,times:1
//
// in per cent; `times` puts times of which the best is known in the place of measured ones,
// `wild:9` makes each up to e^0.09 times as long.
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/fault.h"
#include "tests/faults/faults.h"

typedef enum Fault { CRASH, HANG, ABORT, OOM, WRONG, FAULTS } Fault;

static const char *const names[FAULTS] = {"crash", "hang", "abort", "oom", "wrong"};

uint64_t mutant_seed;
const char *mutant_change;

uint64_t fault_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double setting(const char *name)
{
    const char *text = getenv("HAKO_TUNE_FAULT");
    size_t length = strlen(name);
    for (const char *at = text; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, name, length) == 0 && at[length] == ':')
            return strtod(at + length + 1, NULL);
    return 0;
}

static uint64_t hash_of(const char *config)
{
    uint64_t state = str_hash(str_of(config)) + (uint64_t)setting("seed");
    return fault_random(&state);
}

// What this Config does wrong; FAULTS: nothing.
static Fault fault_of(const char *config)
{
    double drawn = (double)(hash_of(config) % 100000) / 1000, below = 0;
    for (int k = 0; k < FAULTS; k++) {
        below += setting(names[k]);
        if (drawn < below) return (Fault)k;
    }
    return FAULTS;
}

static int overflow_stack(volatile char *above, uint64_t depth)
{
    volatile char here[4096];
    here[0] = above ? above[0] : 0;
    return depth ? overflow_stack(here, depth - 1) + here[0] : 0;
}

static void crash(uint64_t kind)
{
    switch (kind % 4) {
    case 0: raise(SIGSEGV); break;
    case 1: __builtin_trap();
    case 2: overflow_stack(NULL, UINT64_MAX); break;
    case 3: _exit(0);
    }
}

static void hang(uint64_t kind)
{
    // With `family` another, that nobody knows of, hangs too.
    if (kind % 4 == 0 && setting("family") && fork() == 0) kind++;
    for (;;)
        if (kind % 2) pause();
}

// On huge pages, since small ones take seconds.
static void take_all_memory(void)
{
    enum { HUGE = 2 << 20, PIECE = 8 * HUGE };
    for (char *piece; (piece = aligned_alloc(HUGE, PIECE));) {
        (void)madvise(piece, PIECE, MADV_HUGEPAGE);
        for (size_t at = 0; at < PIECE; at += 4096) ((volatile char *)piece)[at] = 1;
    }
    abort(); // as LLVM does
}

void fault_candidate(const char *config)
{
    switch (fault_of(config)) {
    case CRASH: crash(hash_of(config) / 100000); break;
    case HANG: hang(hash_of(config) / 100000); break;
    case ABORT: abort();
    case OOM: take_all_memory(); break;
    case WRONG:
    case FAULTS: break;
    }
}

void fault_results(const char *config, const TensorView *views, size_t count)
{
    if (fault_of(config) != WRONG) return;
    for (size_t k = 0; k < count; k++) {
        if (!views[k].given || views[k].high < 4) continue;
        uint64_t at = hash_of(config) / 100000 % (uint64_t)(views[k].high / 4) * 4 + 3;
        views[k].data[at] ^= 0x41; // sign and exponent of an f32
        return;
    }
}

bool fault_times(const char *config, uint32_t runs, hk_evaluation *e)
{
    static uint64_t weather;
    if (!setting("times")) return false;
    double wild = setting("wild") / 100; // a call is up to e^wild times as slow
    if (!weather) weather = (uint64_t)getpid();
    e->count = runs ? runs : 3;
    for (size_t k = 0; k < e->count; k++)
        e->seconds[k] = 1e-3 * (1 + (double)(hash_of(config) / 7 % 100003) / 100003);
    double slower = exp(wild * (double)(fault_random(&weather) % 1000) / 1000);
    for (size_t k = 0; k < e->count; k++) e->seconds[k] *= slower;
    e->median = e->seconds[0];
    e->outcome = HK_OUTCOME_OK;
    return true;
}

void fault_loop(Func *loop)
{
    if (mutant_seed) mutant_change = mutate(loop, mutant_seed);
}

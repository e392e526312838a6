// The interpreter's entry: prologue, phases, and the choice of tiles where there is no time for all
// of them.
#include "backends/interp/state.h"

static const double FIRST_TILE_SECONDS = 300;
enum { PHASES_MAX = 250, GROUPS_MAX = 1 << 20 }; // a mark is a byte; memory for noted tiles

// ---- what is known before anything runs

typedef struct Uses {
    InstId user;
    uint32_t count;
} Uses;

// A value that only one reduction uses, in the same region, is never stored whole.
static void find_fused(Interp *it)
{
    const Func *f = it->f;
    Uses *uses = arena_array(it->arena, Uses, f->values.count);
    for (uint32_t i = 1; i < f->insts.count; i++) {
        const Inst *in = &f->insts.data[i];
        if (in->flags & INST_DEAD) continue;
        for_each_arg(f, in, k, v) {
            uses[v.i].count++;
            uses[v.i].user = (InstId){i};
        }
    }
    for (uint32_t v = 1; v < f->values.count; v++) {
        const Inst *def = value_def(f, (Value){v}),
                   *user = uses[v].count == 1 ? inst_at(f, uses[v].user) : NULL;
        it->fused[v] = def && user && user->op == OP_REDUCE && user->parent.i == def->parent.i;
    }
}

static uint8_t region_height(Interp *it, Region r)
{
    uint8_t height = 0;
    for_each_inst(it->f, r, id) {
        const Inst *in = inst_at(it->f, id);
        uint8_t own = 0;
        for (unsigned k = 0; k < in->region_count; k++) {
            uint8_t inner = region_height(it, inst_region(in, k));
            own = inner > own ? inner : own;
        }
        own = (uint8_t)(own + (in->op == OP_GRID));
        it->grid_height[id.i] = own;
        height = own > height ? own : height;
    }
    return height;
}

// Whether a grid's tiles can be named by one number for each level: one grid in each region, in no
// branch beside another.
static bool region_is_nest(const Interp *it, Region r)
{
    unsigned inside = 0;
    bool nest = true;
    for_each_inst(it->f, r, id) {
        const Inst *in = inst_at(it->f, id);
        if (!it->grid_height[id.i]) continue;
        inside++;
        unsigned branches = 0;
        for (unsigned k = 0; k < in->region_count; k++) {
            Region inner = inst_region(in, k);
            const RegionInfo *info = region_at(it->f, inner);
            branches += info->first.i != info->last.i || inst_at(it->f, info->first)->op == OP_GRID;
            nest = nest && region_is_nest(it, inner);
        }
        nest = nest && branches <= 1;
    }
    return nest && inside <= 1;
}

// What a phase does to each memory.
typedef struct Touch {
    bool reads, writes, folds, updates; // updates: atomically
    ReduceKind kind;
} Touch;

static void region_touches(const Func *f, Region r, Touch *touches)
{
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        for (unsigned k = 0; k < in->region_count; k++) {
            region_touches(f, inst_region(in, k), touches);
        }
        bool load = in->op == OP_LOAD_TILE, store = in->op == OP_STORE_TILE,
             fold = in->op == OP_FOLD, update = in->op == OP_ATOMIC_TILE;
        if (!load && !store && !fold && !update) continue;
        Touch *touch = &touches[in->attr.ref];
        touch->reads |= load || update;
        touch->writes |= store || fold || update;
        touch->folds |= fold;
        touch->updates |= update;
        touch->kind = fold ? (ReduceKind)in->attr.kind : touch->kind;
    }
}

typedef struct Phase {
    const Inst *inst;
    Touch *touches;             // by Mem
    uint8_t number;             // from 1
    bool nest, has_fold, feeds; // has_fold: or atomic updates, which also need every tile; feeds: a
                                // later phase touches what this one writes
} Phase;

typedef struct Plan {
    VEC(Phase) phases;
    bool *touched_before; // by Mem: an earlier phase wrote it
    uint8_t *cut;         // by Mem: the last phase that wrote it and did not run entirely; 0: none
} Plan;

static void plan_make(Interp *it, Plan *plan)
{
    const Func *f = it->f;
    plan->touched_before = arena_array(it->arena, bool, f->mems.count);
    plan->cut = arena_array(it->arena, uint8_t, f->mems.count);
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op != OP_PHASE) continue;
        Phase phase = {.inst = in, .touches = arena_array(it->arena, Touch, f->mems.count)};
        phase.number = (uint8_t)(plan->phases.count + 1);
        uint8_t height = region_height(it, inst_region(in, 0));
        phase.nest = height && height <= WALK_DEPTH_MAX && region_is_nest(it, inst_region(in, 0));
        region_touches(f, inst_region(in, 0), phase.touches);
        for (uint32_t m = 1; m < f->mems.count; m++) {
            phase.has_fold |= phase.touches[m].folds || phase.touches[m].updates;
            for (uint32_t p = 0; p < plan->phases.count; p++) {
                Phase *earlier = &plan->phases.data[p];
                bool touches = phase.touches[m].reads || phase.touches[m].writes;
                earlier->feeds |= earlier->touches[m].writes && touches;
            }
        }
        vec_push(it->arena, &plan->phases, phase);
    }
}

// ---- phases

// A splitmix64 generator: small, and the same everywhere.
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// Runs the noted groups of tiles in random order until all are done or the time is over.
static void phase_replay(Interp *it, Region body, unsigned levels, uint64_t *seed)
{
    Walk *walk = &it->walk;
    uint32_t count = walk->records.count / levels;
    uint32_t *order = arena_array(it->arena, uint32_t, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = (uint32_t)(random_next(seed) % (i + 1));
        order[i] = order[j];
        order[j] = i;
    }
    walk->mode = WALK_REPLAY;
    for (uint32_t i = 0; i < count && !it->trapped && !it->stopped; i++) {
        memcpy(walk->tile, walk->records.data + (size_t)order[i] * levels,
               levels * sizeof *walk->tile);
        StackMark mark = stack_mark(&it->stack);
        exec_region(it, body);
        stack_release(&it->stack, mark);
    }
}

static void phase_walk(Interp *it, const Phase *phase, double deadline, bool limited,
                       uint64_t *seed)
{
    Walk *walk = &it->walk;
    Region body = inst_region(phase->inst, 0);
    uint8_t levels = 0;
    for_each_inst(it->f, body, id) {
        levels = it->grid_height[id.i] > levels ? it->grid_height[id.i] : levels;
    }
    *walk =
        (Walk){.limited = limited, .deadline = deadline, .patience = deadline + it->first_seconds};
    if (limited && phase->nest) {
        walk->mode = WALK_RECORD;
        exec_region(it, body);
        bool shuffle =
            !phase->has_fold; // a fold needs every tile, so these may as well come in order
        if (shuffle && !it->trapped) {
            walk->group = walk->total / GROUPS_MAX + 1;
            walk->total = 0;
            exec_region(it, body);
            phase_replay(it, body, levels, seed);
            return;
        }
        walk->mode = WALK_RUN;
    }
    exec_region(it, body);
    walk->ran += levels == 0 && !it->stopped; // a phase without a grid is one tile
    walk->total = it->stopped ? (walk->total > walk->ran ? walk->total : walk->ran + 1) : walk->ran;
}

static size_t mem_elements(const Interp *it, Mem mem)
{
    size_t count = 1;
    for (unsigned p = 0; p < mem_at(it->f, mem)->rank; p++) {
        count *= (size_t)it->extents[mem.i * RANK_MAX + p];
    }
    return count;
}

// Marks every element of what the phase folded into or updated: it is all defined.
static void mark_whole(Interp *it, Mem mem, size_t count)
{
    if (it->marks && it->marks[mem.i]) {
        memset(it->marks[mem.i], it->phase, count);
    }
}

static void phase_run(Interp *it, Plan *plan, const Phase *phase, double deadline, bool limited,
                      uint64_t *seed)
{
    const Func *f = it->f;
    StackMark mark = stack_mark(&it->stack);
    it->phase = phase->number;
    it->stopped = false;
    for (uint32_t m = 1; m < f->mems.count; m++) {
        const Touch *touch = &phase->touches[m];
        it->written[m] = touch->writes;
        if (!touch->folds) continue;
        const MemInfo *info = mem_at(f, (Mem){m});
        fold_begin(it, (Mem){m}, touch->kind,
                   info->has_init || info->kind == MEM_INOUT || plan->touched_before[m]);
    }
    phase_walk(it, phase, deadline, limited, seed);
    for (uint32_t m = 1; m < f->mems.count && !it->trapped; m++) {
        const Touch *touch = &phase->touches[m];
        if (touch->writes && it->stopped) {
            plan->cut[m] =
                (uint8_t)(phase->number + (it->walk.ran == 0)); // given up: not one is known
        }
        if (touch->folds) {
            size_t count = it->folds[m].count;
            fold_end(it, (Mem){m}, !it->stopped);
            if (!it->stopped) mark_whole(it, (Mem){m}, count);
        }
        if (touch->updates && !it->stopped) mark_whole(it, (Mem){m}, mem_elements(it, (Mem){m}));
        plan->touched_before[m] |= touch->writes;
    }
    stack_release(&it->stack, mark);
}

// Whether the phase touches what an earlier one left incomplete; then what it writes is incomplete
// too.
static bool phase_skip(const Interp *it, Plan *plan, const Phase *phase)
{
    bool skip = false;
    for (uint32_t m = 1; m < it->f->mems.count; m++) {
        skip |= plan->cut[m] && (phase->touches[m].reads || phase->touches[m].writes);
    }
    for (uint32_t m = 1; m < it->f->mems.count && skip; m++) {
        if (phase->touches[m].writes) {
            plan->cut[m] = phase->number;
        }
    }
    return skip;
}

// ---- the run

static void marks_make(Interp *it)
{
    it->marks = arena_array(it->arena, uint8_t *, it->f->mems.count);
    for (uint32_t m = 1; m < it->f->mems.count; m++) {
        MemKind kind = mem_at(it->f, (Mem){m})->kind;
        if (kind == MEM_IN || kind == MEM_SCRATCH) continue;
        it->marks[m] = arena_alloc(it->arena, mem_elements(it, (Mem){m}));
    }
}

// From the number of the phase that stored an element last to whether that is its final value.
static void marks_finish(Interp *it, const Plan *plan)
{
    for (uint32_t m = 1; m < it->f->mems.count; m++) {
        size_t count = it->marks[m] ? mem_elements(it, (Mem){m}) : 0;
        for (size_t i = 0; i < count; i++) {
            it->marks[m][i] = it->marks[m][i] && it->marks[m][i] >= plan->cut[m];
        }
    }
}

static void evaluate_prologue(void *self)
{
    Interp *it = self;
    uint32_t missing = 0;
    prologue_eval(it->f, it->frame->dims, it->frame->args, it->given, it->prologue, &missing);
}

static void run_prologue(Interp *it)
{
    const Func *f = it->f;
    uint64_t *bits = it->prologue = arena_array(it->arena, uint64_t, f->values.count);
    it->given = arena_array(it->arena, bool, f->args.count + 1);
    memset(it->given, true, f->args.count);
    evaluate_prologue(it);
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        for (unsigned k = 0; k < in->result_count; k++) {
            it->values[inst_result(in, k).i] = &bits[inst_result(in, k).i];
        }
        if (in->op != OP_TENSOR) continue;
        for (unsigned p = 0; p < in->arg_count; p++) {
            it->extents[in->attr.ref * RANK_MAX + p] = (int64_t)bits[inst_arg(f, in, p).i];
        }
    }
}

static Interp *interp_new(Arena *arena, const Func *f, const Frame *frame, const Config *config)
{
    Interp *it = arena_new(arena, Interp);
    it->arena = it->stack.arena = arena;
    it->f = f;
    it->frame = frame;
    it->config = config;
    it->values = arena_array(arena, const uint64_t *, f->values.count);
    it->fused = arena_array(arena, bool, f->values.count);
    it->grid_height = arena_array(arena, uint8_t, f->insts.count);
    it->extents = arena_array(arena, int64_t, f->mems.count * RANK_MAX);
    it->written = arena_array(arena, bool, f->mems.count);
    it->folds = arena_array(arena, FoldTarget, f->mems.count);
    for (unsigned a = 1; a < f->axes.count && a < AXES_MAX; a++) {
        it->full.order[it->full.count++] = (uint8_t)a;
        it->lanes[a].block = 1;
    }
    return it;
}

bool interp_run(Arena *arena, const Func *tile, const Frame *frame, const InterpOptions *options,
                InterpResult *result)
{
    Interp *it = interp_new(arena, tile, frame, options->config);
    Plan plan = {0};
    plan_make(it, &plan);
    find_fused(it);
    run_prologue(it);
    bool repeats = false; // a part of a phase that runs again says little of the whole
    for_each_inst(tile, tile->body, id) repeats |= inst_at(tile, id)->op == OP_REPEAT;
    bool limited = options->seconds_max > 0 && plan.phases.count <= PHASES_MAX && !repeats;
    if (limited) marks_make(it);
    double end = clock_seconds() + options->seconds_max;
    it->first_seconds = options->first_seconds > 0 ? options->first_seconds : FIRST_TILE_SECONDS;
    uint64_t seed = options->sample_seed;
    *result = (InterpResult){0};
    PhaseWalk phases = {.f = tile,
                        .args = frame->args,
                        .values = it->prologue,
                        .evaluate = evaluate_prologue,
                        .self = it};
    for (uint32_t p; !it->trapped && phase_next(&phases, &p);) {
        const Phase *phase = &plan.phases.data[p];
        if (limited && phase_skip(it, &plan, phase)) {
            result->tiles_total++; // how many there are is not known
            continue;
        }
        double start = clock_seconds(), share = phase->feeds ? 1 : plan.phases.count - p;
        phase_run(it, &plan, phase, start + (end - start) / share, limited, &seed);
        result->tiles_total += it->walk.total;
        result->tiles_run += it->walk.ran;
    }
    if (limited && result->tiles_run < result->tiles_total) {
        marks_finish(it, &plan);
        result->written = it->marks;
    }
    return !it->trapped;
}

// The search space of a kernel instance, derived from the loops of its Tile IR; see space.h.
#include "passes/tune/space.h"

enum { CHOICES_MAX = 24 };

typedef struct Finder {
    Arena *arena;
    const Func *f;
    const Machine *machine;
    const Config *config;
    Space *space;
} Finder;

static void add_choice(SpaceKnob *knob, int64_t value)
{
    uint32_t at = 0;
    while (at < knob->choice_count && knob->choices[at] < value) at++;
    if (at < knob->choice_count && knob->choices[at] == value) return;
    if (knob->choice_count == CHOICES_MAX) return;
    for (uint32_t k = knob->choice_count; k > at; k--) knob->choices[k] = knob->choices[k - 1];
    knob->choices[at] = value;
    knob->choice_count++;
}

static void add_knob(Finder *finder, const char *kind, Str axis, const int64_t *values,
                     uint32_t count, int64_t most, int64_t initial)
{
    Str name =
        axis.length ? str_format(finder->arena, "%s_%.*s", kind, STR_ARG(axis)) : str_of(kind);
    for (uint32_t k = 0; k < finder->space->knobs.count; k++)
        if (str_equal(finder->space->knobs.data[k].name, name)) return;
    SpaceKnob knob = {.name = name, .choices = arena_array(finder->arena, int64_t, CHOICES_MAX)};
    for (uint32_t k = 0; k < count; k++)
        if (values[k] <= most || most < 0) add_choice(&knob, values[k]);
    int64_t set = initial;
    config_get(finder->config, name, &set);
    add_choice(&knob, set);
    if (knob.choice_count > 1) vec_push(finder->arena, &finder->space->knobs, knob);
}

static int64_t extent_of(const Func *f, const Inst *decl)
{
    int64_t lo, hi;
    if (!value_const_int(f, inst_arg(f, decl, 0), &lo)) return -1;
    if (!value_const_int(f, inst_arg(f, decl, 1), &hi)) return -1;
    return hi > lo ? hi - lo : 0;
}

static void add_axis(Finder *finder, const Inst *in)
{
    static const int64_t tiles[] = {1,   2,   4,   8,   16,  24,   32,   48,   64,   96,
                                    128, 192, 256, 384, 512, 1024, 2048, 4096, 8192, 16384};
    static const int64_t blocks[] = {128, 192, 256, 384, 512, 768, 1024};
    const AxisInfo *axis = axis_at(finder->f, (Axis){in->attr.ref});
    int64_t extent = extent_of(finder->f, in);
    int64_t set = config_get_axis(finder->config, "tile", axis->name, 1);
    if (in->op != OP_AXIS && !axis->scalar && !axis->has_by)
        add_knob(finder, "tile", axis->name, tiles, sizeof tiles / sizeof *tiles, extent, set);
    set = config_get_axis(finder->config, "block", axis->name, 0);
    if (in->op == OP_AXIS && set > 0)
        add_knob(finder, "block", axis->name, blocks, sizeof blocks / sizeof *blocks, extent, set);
}

// Rows and vectors of register blocks, and packing, matter where there are products to be summed.
static void add_product(Finder *finder, const Inst *in)
{
    static const int64_t rows[] = {1, 2, 4, 5, 6, 8, 12}, vectors[] = {1, 2, 3, 4}, yes[] = {0, 1};
    const Inst *product = value_def(finder->f, inst_arg(finder->f, in, 0));
    if (in->attr.kind != REDUCE_SUM || !product || product->op != OP_MUL) return;
    AxisSet result = value_axes(finder->f, inst_result(in, 0));
    if (__builtin_popcountll(result) < 2) return;
    unsigned last = 63u - (unsigned)__builtin_clzll(result);
    AxisSet others = result & ~((AxisSet)1 << last);
    unsigned row = 63u - (unsigned)__builtin_clzll(others);
    add_knob(finder, "unroll", axis_at(finder->f, (Axis){row})->name, rows, 7, -1, 6);
    add_knob(finder, "vectors", axis_at(finder->f, (Axis){last})->name, vectors, 4, -1, 4);
    add_knob(finder, "order", axis_at(finder->f, (Axis){last})->name, yes, 2, -1, 1);
    for (unsigned k = 0; k < 2; k++) {
        const Inst *load = value_def(finder->f, inst_arg(finder->f, product, k));
        if (load && load->op == OP_LOAD_TILE)
            add_knob(finder, "pack", mem_at(finder->f, (Mem){load->attr.ref})->name, yes, 2, -1, 1);
    }
}

static void walk(Finder *finder, Region region)
{
    for_each_inst(finder->f, region, id) {
        const Inst *in = inst_at(finder->f, id);
        if (in->op == OP_GRID || in->op == OP_LOOP || in->op == OP_AXIS) add_axis(finder, in);
        if (in->op == OP_REDUCE) add_product(finder, in);
        for (unsigned k = 0; k < in->region_count; k++) walk(finder, inst_region(in, k));
    }
}

Space *space_find(Arena *arena, const Func *tile, const Machine *machine, const Config *config)
{
    Finder finder = {arena, tile, machine, config, arena_new(arena, Space)};
    for_each_inst(tile, tile->body, id) {
        const Inst *in = inst_at(tile, id);
        if (in->op == OP_PHASE) walk(&finder, inst_region(in, 0));
    }
    static const int64_t yes[] = {0, 1};
    for (uint32_t m = 1; m < tile->mems.count; m++) {
        const MemInfo *mem = mem_at(tile, (Mem){m});
        int64_t set;
        if (mem->kind == MEM_OUT &&
            config_get(config, str_format(arena, "stream_%.*s", STR_ARG(mem->name)), &set))
            add_knob(&finder, "stream", mem->name, yes, 2, -1, set);
    }
    int64_t chunks;
    static const int64_t counts[] = {4, 8, 16, 32, 64};
    if (config_get(config, STR("chunks"), &chunks))
        add_knob(&finder, "chunks", STR(""), counts, 5, -1, chunks);
    return finder.space;
}

double space_points(const Space *space)
{
    double n = 1;
    for (uint32_t k = 0; k < space->knobs.count; k++) n *= space->knobs.data[k].choice_count;
    return n;
}

// ---- checking a Config

typedef struct KnobKind {
    const char *prefix;
    bool of_tensor; // else of an axis
    int64_t least, most;
} KnobKind;

static const KnobKind kinds[] = {
    {"tile_", false, 1, (int64_t)1 << 40},
    {"block_", false, 0, (int64_t)1 << 40},
    {"unroll_", false, 1, 32},
    {"vectors_", false, 1, 16},
    {"order_", false, 0, 9},
    {"pack_", true, 0, 1},
    {"stream_", true, 0, 1},
    {"prefetch_", true, 0, 1},
};

static bool has_name(const Func *f, const KnobKind *kind, Str name)
{
    if (kind->of_tensor) {
        for (uint32_t m = 1; m < f->mems.count; m++)
            if (str_equal(f->mems.data[m].name, name)) return true;
        return false;
    }
    for (uint32_t a = 1; a < f->axes.count; a++)
        if (str_equal(f->axes.data[a].name, name)) return true;
    return false;
}

static const KnobKind *kind_of(const Func *f, Str name)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        Str prefix = str_of(kinds[k].prefix);
        if (name.length <= prefix.length || !str_equal((Str){name.data, prefix.length}, prefix))
            continue;
        Str rest = {name.data + prefix.length, name.length - prefix.length};
        if (has_name(f, &kinds[k], rest)) return &kinds[k];
    }
    return NULL;
}

static void list_axes(const Func *f, DiagList *diags, Diag *diag)
{
    Buf out = {.arena = diags->arena};
    for (uint32_t a = 1; a < f->axes.count; a++)
        buf_printf(&out, "%s%.*s", a > 1 ? ", " : "", STR_ARG(f->axes.data[a].name));
    diag_hint(
        diags, diag,
        "knobs are tile_A, block_A, unroll_A, vectors_A, order_A for an axis A (here: %.*s), "
        "pack_T and prefetch_T for an input tensor T, stream_T for an output, chunks, dots and the "
        "kernel's own tunables",
        STR_ARG(buf_view(&out)));
}

bool space_check(const Func *tile, const Config *config, const Str *tunables,
                 uint32_t tunable_count, DiagList *diags)
{
    bool ok = true;
    for (uint32_t k = 0; config && k < config->knobs.count; k++) {
        const Knob *knob = &config->knobs.data[k];
        const KnobKind *kind = kind_of(tile, knob->name);
        bool known = kind || str_is(knob->name, "chunks") || str_is(knob->name, "dots");
        for (uint32_t t = 0; t < tunable_count; t++) known |= str_equal(tunables[t], knob->name);
        if (!known) {
            Diag *diag =
                diag_add(diags, DIAG_KNOB_UNKNOWN, (Span){0}, "kernel '%.*s' has no knob '%.*s'",
                         STR_ARG(tile->name), STR_ARG(knob->name));
            list_axes(tile, diags, diag);
            ok = false;
        }
        int64_t least = kind ? kind->least : 1, most = kind ? kind->most : 4096;
        bool in_range = knob->value >= least && knob->value <= most;
        if ((kind || str_is(knob->name, "chunks")) && !in_range) {
            diag_add(diags, DIAG_KNOB_RANGE, (Span){0}, "%.*s = %lld is out of range: %lld to %lld",
                     STR_ARG(knob->name), (long long)knob->value, (long long)least,
                     (long long)most);
            ok = false;
        }
    }
    return ok;
}

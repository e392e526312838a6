// The search space of a kernel instance, derived from the loops of its Tile IR; see space.h.
#include "passes/pass.h"
#include "passes/tune/space_internal.h"

enum { CHOICES_MAX = 24, PRODUCTS_MAX = 32, PART_LEAST = 256 };

typedef struct Product { // summed along `depth`
    Axis row, column, depth;
} Product;

typedef struct Finder {
    Arena *arena;
    const Func *f;
    const Machine *machine;
    const Config *config;
    Space *space;
    Product products[PRODUCTS_MAX];
    uint32_t product_count;
    AxisSet ends;      // last in some access of the phase
    VEC(InstId) grids; // of the phase
    uint32_t *reached; // by value: from which root last
    bool again;        // some value may be kept, or computed again where it is used again
    int64_t dots;      // the best instruction for products of narrow elements, as the knob has it
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

// `most` < 0: no limit. What the default Config does not set is left to the scheduler, which is one
// value more.
static void add_knob(Finder *finder, const char *kind, Str axis, const int64_t *values,
                     uint32_t count, int64_t most)
{
    Str name =
        axis.length ? str_format(finder->arena, "%s_%.*s", kind, STR_ARG(axis)) : str_of(kind);
    for (uint32_t k = 0; k < finder->space->knobs.count; k++)
        if (str_equal(finder->space->knobs.data[k].name, name)) return;
    SpaceKnob knob = {.name = name, .choices = arena_array(finder->arena, int64_t, CHOICES_MAX)};
    for (uint32_t k = 0; k < count; k++)
        if (values[k] <= most || most < 0) add_choice(&knob, values[k]);
    int64_t set;
    knob.scheduled = !config_get(finder->config, name, &set);
    if (!knob.scheduled) add_choice(&knob, set);
    if (knob.choice_count + knob.scheduled > 1)
        vec_push(finder->arena, &finder->space->knobs, knob);
}

static int64_t extent_of(const Func *f, const Inst *decl)
{
    int64_t lo, hi;
    if (!value_const_int(f, inst_arg(f, decl, 0), &lo)) return -1;
    if (!value_const_int(f, inst_arg(f, decl, 1), &hi)) return -1;
    return hi > lo ? hi - lo : 0;
}

static int64_t range_of(const Finder *finder, Axis a)
{
    return a.i ? extent_of(finder->f, inst_at(finder->f, axis_at(finder->f, a)->decl)) : -1;
}

static void add_axis(Finder *finder, const Inst *in)
{
    static const int64_t tiles[] = {1,   2,   4,   8,   16,  24,   32,   48,   64,   96,
                                    128, 192, 256, 384, 512, 1024, 2048, 4096, 8192, 16384};
    static const int64_t blocks[] = {128, 192, 256, 384, 512, 768, 1024};
    static const int64_t staged[] = {4, 8, 16, 32, 64}; // by a group, in local memory
    static const int64_t yes[] = {0, 1};
    const AxisInfo *axis = axis_at(finder->f, (Axis){in->attr.ref});
    int64_t extent = extent_of(finder->f, in);
    if (in->op != OP_AXIS && !axis->scalar && !axis->has_by)
        add_knob(finder, "tile", axis->name, tiles, sizeof tiles / sizeof *tiles, extent);
    if (in->op == OP_AXIS && config_get_axis(finder->config, "expand", axis->name, 0) > 0)
        add_knob(finder, "expand", axis->name, yes, 2, -1);
    if (in->op == OP_AXIS && config_get_axis(finder->config, "block", axis->name, 0) > 0)
        add_knob(finder, "block", axis->name, finder->machine->is_gpu_style ? staged : blocks,
                 finder->machine->is_gpu_style ? sizeof staged / sizeof *staged
                                               : sizeof blocks / sizeof *blocks,
                 extent);
}

static Axis last_axis(AxisSet axes)
{
    return (Axis){axes ? 63u - (unsigned)__builtin_clzll(axes) : 0};
}

static bool is_byte(DType t)
{
    return t == DTYPE_I8 || t == DTYPE_U8;
}

// What the CPU has for products of such elements.
static void note_dots(Finder *finder, const Inst *product)
{
    const Machine *machine = finder->machine;
    DType types[2];
    for (unsigned k = 0; k < 2; k++) {
        const Inst *load = value_def(finder->f, inst_arg(finder->f, product, k));
        if (!load || load->op != OP_LOAD_TILE) return;
        types[k] = mem_at(finder->f, (Mem){load->attr.ref})->dtype;
    }
    bool bytes = is_byte(types[0]) && is_byte(types[1]);
    bool halves = types[0] == DTYPE_BF16 && types[1] == DTYPE_BF16;
    bool groups = (bytes && machine->dots_i8) || (halves && machine->dots_bf16);
    bool tiles = (bytes && machine->tiles_i8) || (halves && machine->tiles_bf16);
    int64_t best = tiles ? 2 : groups;
    if (best > finder->dots) finder->dots = best;
}

// Rows and vectors of register blocks, and packing, matter where there are products to be summed.
static void add_product(Finder *finder, InstId id)
{
    const Inst *in = inst_at(finder->f, id);
    static const int64_t rows[] = {1, 2, 4, 5, 6, 8, 12}, vectors[] = {1, 2, 3, 4}, yes[] = {0, 1};
    static const int64_t packs[] = {0, 1, 2}; // 2: of columns, on the way
    static const int64_t parts[] = {2, 4, 8, 16, 32, 64};
    const Inst *product = value_def(finder->f, inst_arg(finder->f, in, 0));
    if (in->attr.kind != REDUCE_SUM || !product || product->op != OP_MUL) return;
    AxisSet result = value_axes(finder->f, inst_result(in, 0));
    if (__builtin_popcountll(result) < 2) return;
    Axis column = last_axis(result), row = last_axis(result & ~axis_bit(column));
    add_knob(finder, "unroll", axis_at(finder->f, row)->name, rows, 7, -1);
    add_knob(finder, "vectors", axis_at(finder->f, column)->name, vectors, 4, -1);
    add_knob(finder, "order", axis_at(finder->f, column)->name, yes, 2, -1);
    for (unsigned k = 0; k < 2; k++) {
        Value x = inst_arg(finder->f, product, k);
        const Inst *load = value_def(finder->f, x);
        bool ways = value_axes(finder->f, x) & axis_bit(column) && !finder->machine->group;
        if (load && load->op == OP_LOAD_TILE)
            add_knob(finder, "pack", mem_at(finder->f, (Mem){load->attr.ref})->name, packs,
                     ways ? 3 : 2, -1);
    }
    note_dots(finder, product);
    Axis split = split_axis(finder->f, id);
    if (split.i && !finder->machine->is_gpu_style)
        add_knob(finder, "split", axis_at(finder->f, split)->name, parts, 6,
                 range_of(finder, split) / PART_LEAST);
    if (finder->product_count < PRODUCTS_MAX)
        finder->products[finder->product_count++] =
            (Product){row, column, last_axis(in->attr.bits)};
}

// What the default Config shares out may be shared otherwise, or not at all.
static void add_split(Finder *finder, InstId id)
{
    static const int64_t parts[] = {1, 2, 4, 8, 16, 32, 64};
    Axis split = split_axis(finder->f, id);
    if (split.i && config_get_axis(finder->config, "split", axis_at(finder->f, split)->name, 0))
        add_knob(finder, "split", axis_at(finder->f, split)->name, parts, 7,
                 range_of(finder, split) / SPLIT_ROUND);
}

// What is computed for a root (a reduction, a store) on demand. A value that another root needs
// too, or this one once for each index of an axis that it lacks, may be kept instead.
static void note_again(Finder *finder, Value v, AxisSet axes, uint32_t root)
{
    const Inst *in = value_def(finder->f, v);
    AxisSet own = value_axes(finder->f, v);
    bool computed = in && in->arg_count && !in->region_count && in->op != OP_LOAD_TILE &&
                    in->op != OP_REDUCE && in->op != OP_SORT;
    if (!computed || finder->reached[v.i] == root) return;
    finder->again |= own && (finder->reached[v.i] || axes & ~own);
    finder->reached[v.i] = root;
    for_each_arg(finder->f, in, k, arg) note_again(finder, arg, axes, root);
}

static void note_root(Finder *finder, const Inst *in)
{
    AxisSet axes = 0;
    uint32_t root = (uint32_t)(in - finder->f->insts.data);
    for_each_arg(finder->f, in, k, v) axes |= value_axes(finder->f, v);
    for_each_arg(finder->f, in, n, v) note_again(finder, v, axes, root);
}

static void note_end(Finder *finder, const Inst *in)
{
    unsigned first = in->op == OP_STORE_TILE ? 1 : 0;
    unsigned rank = mem_at(finder->f, (Mem){in->attr.ref})->rank;
    AxisSet axes = rank ? value_axes(finder->f, inst_arg(finder->f, in, first + rank - 1)) : 0;
    if (__builtin_popcountll(axes) == 1) finder->ends |= axes;
}

static void walk(Finder *finder, Region region)
{
    for_each_inst(finder->f, region, id) {
        const Inst *in = inst_at(finder->f, id);
        if (in->op == OP_GRID) vec_push(finder->arena, &finder->grids, id);
        if (in->op == OP_GRID || in->op == OP_LOOP || in->op == OP_AXIS) add_axis(finder, in);
        if (in->op == OP_REDUCE) add_product(finder, id);
        if (in->op == OP_REDUCE || in->op == OP_STORE_TILE) add_split(finder, id);
        if (in->op == OP_LOAD_TILE || in->op == OP_STORE_TILE) note_end(finder, in);
        if (in->op == OP_REDUCE || in->op == OP_STORE_TILE) note_root(finder, in);
        for (unsigned k = 0; k < in->region_count; k++) walk(finder, inst_region(in, k));
    }
}

// ---- rules

static int64_t lanes_of(const Finder *finder)
{
    return finder->machine->vector_bytes >= 8 ? finder->machine->vector_bytes / 4 : 1;
}

static void add_rule(Finder *finder, SpaceRule rule)
{
    space_add_rule(finder->arena, finder->space, &rule, finder->config);
}

static void add_within(Finder *finder, const char *kind, Axis a, int64_t group)
{
    Str name = axis_at(finder->f, a)->name;
    int32_t knob = space_knob_named(finder->space, kind, name),
            tile = space_knob_named(finder->space, "tile", name);
    int64_t extent = range_of(finder, a);
    if (knob < 0 || (tile < 0 && extent < 0)) return;
    Str limit = tile < 0 ? str_format(finder->arena, "%lld", (long long)extent)
                         : str_format(finder->arena, "tile_%.*s", STR_ARG(name));
    Str text = group > 1 ? str_format(finder->arena, "%s_%.*s * %lld < %.*s, or just above", kind,
                                      STR_ARG(name), (long long)group, STR_ARG(limit))
                         : str_format(finder->arena, "%s_%.*s < %.*s, or just above", kind,
                                      STR_ARG(name), STR_ARG(limit));
    add_rule(finder, (SpaceRule){.kind = SPACE_WITHIN_TILE,
                                 .text = text,
                                 .a = knob,
                                 .b = tile,
                                 .c = -1,
                                 .x = group,
                                 .y = extent});
}

static void add_product_rules(Finder *finder, const Product *p)
{
    Str row = axis_at(finder->f, p->row)->name, column = axis_at(finder->f, p->column)->name;
    int32_t rows = space_knob_named(finder->space, "unroll", row),
            vectors = space_knob_named(finder->space, "vectors", column),
            columns = space_knob_named(finder->space, "tile", column);
    int64_t registers = finder->machine->vector_registers, depth = range_of(finder, p->depth);
    add_within(finder, "unroll", p->row, 1);
    add_within(finder, "vectors", p->column, lanes_of(finder));
    if (rows >= 0 && vectors >= 0)
        add_rule(finder,
                 (SpaceRule){.kind = SPACE_REGISTERS,
                             .text = str_format(
                                 finder->arena, "(unroll_%.*s + 1) * vectors_%.*s + 1 <= %lld",
                                 STR_ARG(row), STR_ARG(column), (long long)registers),
                             .a = rows,
                             .b = vectors,
                             .c = columns,
                             .x = registers,
                             .y = lanes_of(finder)});
    if (depth <= 0) return;
    Str along = axis_at(finder->f, p->depth)->name;
    int32_t block = space_knob_named(finder->space, "block", along),
            split = space_knob_named(finder->space, "split", along);
    if (split >= 0)
        add_rule(finder, (SpaceRule){.kind = SPACE_PARTS_LONG,
                                     .text = str_format(finder->arena, "%lld / split_%.*s >= %d",
                                                        (long long)depth, STR_ARG(along),
                                                        PART_LEAST),
                                     .a = split,
                                     .b = -1,
                                     .c = -1,
                                     .x = depth,
                                     .y = PART_LEAST});
    if (columns < 0) return;
    long long bytes = (long long)finder->machine->l2_bytes;
    Str text = block < 0 ? str_format(finder->arena, "%lld * tile_%.*s * 4 <= %lld",
                                      (long long)depth, STR_ARG(column), bytes)
                         : str_format(finder->arena, "block_%.*s * tile_%.*s * 4 <= %lld",
                                      STR_ARG(along), STR_ARG(column), bytes);
    add_rule(finder, (SpaceRule){.kind = SPACE_PANEL_FITS,
                                 .text = text,
                                 .a = block,
                                 .b = columns,
                                 .c = split,
                                 .x = 4,
                                 .y = depth,
                                 .z = bytes});
}

// Only where sizes are known, and there can be so many tiles.
static void add_grid_rule(Finder *finder, const Product *products, uint32_t count)
{
    SpaceRule rule = {.kind = SPACE_FILLS_THREADS, .a = -1, .b = -1, .c = -1};
    Buf text = {.arena = finder->arena};
    rule.x = finder->machine->cores;
    for (uint32_t k = 0; k < finder->grids.count; k++) {
        const Inst *in = inst_at(finder->f, finder->grids.data[k]);
        const AxisInfo *axis = axis_at(finder->f, (Axis){in->attr.ref});
        SpaceDim dim = {space_knob_named(finder->space, "tile", axis->name),
                        extent_of(finder->f, in), 1};
        int64_t by;
        if (axis->has_by && in->arg_count > 2 &&
            value_const_int(finder->f, inst_arg(finder->f, in, 2), &by))
            dim.tile = by;
        if (dim.extent < 0) return;
        vec_push(finder->arena, &rule.dims, dim);
        buf_printf(&text, "%s%.*s", k ? ", " : "tiles of ", STR_ARG(axis->name));
    }
    if (!rule.dims.count) return;
    for (uint32_t k = 0; k < count; k++) {
        Str along = axis_at(finder->f, products[k].depth)->name;
        int32_t split = space_knob_named(finder->space, "split", along);
        if (split >= 0 && rule.a < 0) buf_printf(&text, ", parts of %.*s", STR_ARG(along));
        if (split >= 0) rule.a = split;
    }
    buf_printf(&text, " >= %lld", (long long)rule.x);
    rule.text = buf_view(&text);
    add_rule(finder, rule);
}

// ---- a phase, and all of them

static void add_phase(Finder *finder, const Inst *phase)
{
    static const int64_t vectors[] = {1, 2, 4, 8}, first[] = {0};
    uint32_t before = finder->product_count;
    finder->grids.count = 0;
    finder->ends = 0;
    walk(finder, inst_region(phase, 0));
    bool products = finder->product_count > before;
    // Independent vectors: accumulators of sums and the like, and less of the loop's own work.
    for (unsigned a = 1; a < 64 && !products && !finder->machine->group; a++)
        if (finder->ends >> a & 1)
            add_knob(finder, "vectors", axis_at(finder->f, (Axis){a})->name, vectors, 4, -1);
    for (uint32_t k = 1; k < finder->grids.count; k++) {
        const Inst *in = inst_at(finder->f, finder->grids.data[k]);
        if (extent_of(finder->f, in) > 1)
            add_knob(finder, "grid", axis_at(finder->f, (Axis){in->attr.ref})->name, first, 1, -1);
    }
    for (unsigned a = 1; a < 64 && !products; a++)
        if (finder->ends >> a & 1) add_within(finder, "vectors", (Axis){a}, lanes_of(finder));
    for (uint32_t k = before; k < finder->product_count; k++)
        add_product_rules(finder, &finder->products[k]);
    add_grid_rule(finder, &finder->products[before], finder->product_count - before);
}

static int64_t bytes_of(const Func *f, const MemInfo *mem)
{
    const Inst *decl = inst_at(f, mem->decl);
    int64_t elements = 1, size;
    for (unsigned k = 0; k < decl->arg_count; k++)
        if (!value_const_int(f, inst_arg(f, decl, k), &size) ||
            __builtin_mul_overflow(elements, size, &elements))
            return 0;
    return dtype_bytes(mem->dtype, elements);
}

static void add_memory(Finder *finder, const MemInfo *mem)
{
    static const int64_t yes[] = {0, 1}, no[] = {0};
    int64_t set;
    Str stream = str_format(finder->arena, "stream_%.*s", STR_ARG(mem->name));
    if (mem->kind == MEM_OUT && config_get(finder->config, stream, &set))
        add_knob(finder, "stream", mem->name, yes, 2, -1);
    bool reads = mem->kind == MEM_IN || mem->kind == MEM_INOUT;
    reads &= !finder->machine->is_gpu_style;
    if (reads && bytes_of(finder->f, mem) > finder->machine->l2_bytes)
        add_knob(finder, "prefetch", mem->name, no, 1, -1);
}

Space *space_find(Arena *arena, const Func *tile, const Machine *machine, const Config *config)
{
    static const int64_t counts[] = {4, 8, 16, 32, 64}, groups[] = {64, 128, 256, 512},
                         lanes[] = {4, 8, 16}, buffers[] = {2}, unrolls[] = {2, 4, 8},
                         kept[] = {2, 32}, dots[] = {0, 1, 2};
    Finder *finder = arena_new(arena, Finder);
    *finder = (Finder){.arena = arena, .f = tile, .machine = machine, .config = config};
    finder->space = arena_new(arena, Space);
    finder->reached = arena_array(arena, uint32_t, tile->values.count + 1);
    for_each_inst(tile, tile->body, id) {
        const Inst *in = inst_at(tile, id);
        if (in->op == OP_PHASE) add_phase(finder, in);
    }
    for (uint32_t m = 1; m < tile->mems.count; m++) add_memory(finder, mem_at(tile, (Mem){m}));
    int64_t chunks, threads[16];
    if (config_get(config, STR("chunks"), &chunks))
        add_knob(finder, "chunks", STR(""), counts, 5, -1);
    if (finder->again) add_knob(finder, "keep", STR(""), kept, 2, -1);
    if (finder->dots) add_knob(finder, "dots", STR(""), dots, 3, finder->dots);
    uint32_t count = 0;
    for (int64_t n = 1; n < machine->cores && count < 16; n *= 2) threads[count++] = n;
    if (!machine->group) add_knob(finder, "threads", STR(""), threads, count, -1);
    if (machine->is_gpu_style) add_knob(finder, "group", STR(""), groups, 4, -1);
    if (machine->is_gpu_style && finder->product_count) {
        add_knob(finder, "buffers", STR(""), buffers, 1, -1);
        add_knob(finder, "unroll", STR(""), unrolls, 3, -1);
        if (finder->grids.count > 1) add_knob(finder, "swizzle", STR(""), unrolls, 3, -1);
    }
    // Wide vectors are for CPUs: those of a GPU's work-items are loads of 16 bytes.
    if (machine->group && !machine->is_gpu_style) add_knob(finder, "lanes", STR(""), lanes, 3, -1);
    return finder->space;
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
    {"split_", false, 1, 4096},
    {"expand_", false, 0, 1},
    {"unroll_", false, 1, 32},
    {"vectors_", false, 1, 16},
    {"order_", false, 0, 9},
    {"grid_", false, 0, 9},
    {"pack_", true, 0, 2},
    {"stream_", true, 0, 1},
    {"prefetch_", true, 0, 1},
};

static const KnobKind plain_kinds[] = {
    {"chunks", false, 1, 4096}, {"threads", false, 1, 4096}, {"group", false, 1, 4096},
    {"lanes", false, 1, 16},    {"buffers", false, 1, 2},    {"unroll", false, 1, 32},
    {"swizzle", false, 1, 64},  {"keep", false, 1, 4096},
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
    for (size_t k = 0; k < sizeof plain_kinds / sizeof *plain_kinds; k++)
        if (str_is(name, plain_kinds[k].prefix)) return &plain_kinds[k];
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
    diag_hint(diags, diag,
              "knobs are tile_A, block_A, split_A, expand_A, unroll_A, vectors_A, order_A, grid_A "
              "for an axis A (here: %.*s), "
              "pack_T and prefetch_T for an input tensor T, stream_T for an output, chunks, "
              "threads, keep, dots, swizzle, of OpenCL group, lanes, buffers and unroll, and the "
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
        bool known = kind || str_is(knob->name, "dots");
        for (uint32_t t = 0; t < tunable_count; t++) known |= str_equal(tunables[t], knob->name);
        if (!known) {
            Diag *diag =
                diag_add(diags, DIAG_KNOB_UNKNOWN, (Span){0}, "kernel '%.*s' has no knob '%.*s'",
                         STR_ARG(tile->name), STR_ARG(knob->name));
            list_axes(tile, diags, diag);
            ok = false;
        }
        if (!kind) continue;
        bool in_range = knob->value >= kind->least && knob->value <= kind->most;
        if (str_is(knob->name, "lanes"))
            in_range = in_range && (knob->value & (knob->value - 1)) == 0;
        if (!in_range) {
            diag_add(diags, DIAG_KNOB_RANGE, (Span){0}, "%.*s = %lld is out of range: %lld to %lld",
                     STR_ARG(knob->name), (long long)knob->value, (long long)kind->least,
                     (long long)kind->most);
            ok = false;
        }
    }
    return ok;
}

// The Config without tuning: tile sizes from the loops of a kernel and the caches of a machine,
// deterministic. It must cost next to nothing: the model of time takes a hundred times as long.
//
// Laws: tile sizes divide the range where a divisor is near (no edge code then). A contraction over
// two grids gets tiles one register block wide and as high as balance allows: its packed panel of
// block_k * tile_n elements stays in a quarter of L2 while all rows of the tile pass by. Where rows
// must be converted, tiles are wide as well, and panels come one after the other (order). Other
// kernels get tiles of some ten thousand elements. All cores have equally much before tiles grow.
#include "ir/eval.h"
#include "passes/expand.h"

enum {
    TILE_ELEMENTS = 16 * 1024,
    ROWS = 6,
    ROW_TILE = 96,    // of contractions in a nest with others, over whole axes
    LOOP_ROWS = 256,  // with a loop over blocks of columns, packed for all these rows
    SLAB_LEAST = 192, // rows that repay packing a panel
    SLAB_MOST = 1024,
    COLUMN_TILE = 64,
    REGISTER_TILE = 32, // rows and columns of a block in tile registers
    REGISTER_ROWS = 512,
    REGISTER_COLUMNS = 256,
    COLUMNS_MORE = 256, // where the last axis is short
    COLUMN_SLAB = 1024, // where rows are converted too, once for all these columns
    STREAM_ROWS = 20,
    STREAM_DEPTH = 32, // lines of STREAM columns: consecutive in memory
    DOT_ROWS = 12,     // with fewer, sums run over lanes if memory does (order.c)
    BLOCK_LEAST = 256,
    BLOCK_MOST = 2048,
    LOOP_TILE = 512,
    VECTOR_TILE_MIN = 128,
    TILES_PER_CORE = 4,
    OWNERS_PER_CORE = 2, // rows in pieces that are long in memory
    GROUP_ROWS = 8,      // of a work-item's block of registers, which is one vector wide
    GROUP_LOOP_ROWS = 4,
    GROUP_LOOP = 32,   // columns of a loop's block
    GROUP_BLOCK = 16,  // of a reduced axis: what lies in local memory of both operands
    GROUP_DEPTH = 128, // of one that stays whole within a loop's block
    GROUP_LEAST = 32,
    SHORT_ROW = 64,   // a work-item's own
    SPLIT_SUM = 2048, // of a sum that units share: each updates all results once
    SPLIT_LEAST = 256,
    PART = 1024, // of a sum that is split: its panel stays in L2
    PART_LEAST = 512,
    GROUP_PART_LEAST = 128, // there are many groups, and memory is far
    RESULTS_MOST = 1 << 16,
    PARTS_BYTES = 1 << 26,
    UNKNOWN_BLOCK = 128,
    UNKNOWN_TILE = 512, // leaves something to tiles of further axes
    UNKNOWN_EXTENT = 4096,
    CHUNKS_PER_CORE = 8,
    ACROSS_VECTORS = 32,
    LINE_VECTORS = 64, // of a sum over columns that reads lines
    LINES = 16,        // and so many lines at a time
    TURNED_VECTORS = 2,
    ACROSS_ROWS = 64,
    ARG_DEPTH = 12,
    AXES_MAX = 64
};
static const double BALANCE = 0.95; // of the cores' time

typedef struct Plan {
    const Func *f;
    const Machine *machine;
    Config *config;
    AxisSet rows, columns, reduced;  // of contractions
    AxisSet more_rows, more_columns; // other axes of one operand, but not of the other
    AxisSet across;                  // contiguous where something is reduced along another axis
    AxisSet lines, summed, again;    // that other axis; reduced along; reduced along more than once
    AxisSet expanded;                // written out
    AxisSet ends;                    // last in some access to several axes
    AxisSet owners;                  // last indices of updates that may collide along other axes
    bool collide;                    // there are updates without such an index
    AxisSet ragged; // data tells how long other axes are for each of their indices; or each has
                    // ranges of its own
    bool converts;  // an operand that varies along the rows is not read in place
    bool tiles;     // products in tile registers
    Axis split;     // along which the only product may be split
    AxisSet splits; // along which other reductions and stores may be
    unsigned products;
    bool streams, dots;       // few rows: the columns' operand is read once, from memory
    int64_t extent[AXES_MAX]; // -1: unknown
    Axis grid[AXES_MAX];
    unsigned grid_count;
    double whole; // elements of whole axes met in the phase (the largest product in one value)
} Plan;

static int64_t extent_of(const Func *f, Axis a)
{
    const Inst *decl = inst_at(f, axis_at(f, a)->decl);
    Axis tile = tile_of_axis(f, a);
    int64_t lo, hi;
    if (tile.i) { // a twin is as long as its tile
        decl = inst_at(f, axis_at(f, tile)->decl);
        bool by = decl->arg_count > 2 && axis_at(f, tile)->has_by;
        return by && value_const_int(f, inst_arg(f, decl, 2), &hi) ? hi : -1;
    }
    if (decl->arg_count < 2 || !value_const_int(f, inst_arg(f, decl, 0), &lo) ||
        !value_const_int(f, inst_arg(f, decl, 1), &hi))
        return -1;
    return hi > lo ? hi - lo : 0;
}

static int64_t round_up(int64_t x, int64_t to)
{
    return (x + to - 1) / to * to;
}

// At most about `most`, a multiple of `unit`: a divisor of the extent if one is at least 3/5 of
// that, else even parts.
static int64_t balanced(int64_t extent, int64_t most, int64_t unit)
{
    if (extent < 0) return most;
    if (extent <= most) return extent > 0 ? extent : 1;
    for (int64_t size = most / unit * unit; size > 0 && size * 5 >= most * 3; size -= unit)
        if (extent % size == 0) return size;
    for (int64_t size = most; size * 5 >= most * 3; size--)
        if (extent % size == 0 && unit <= ROWS) return size;
    int64_t parts = (extent + most - 1) / most;
    return round_up((extent + parts - 1) / parts, unit);
}

static AxisSet big(const Plan *plan, AxisSet axes)
{
    AxisSet result = 0;
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((axes >> a & 1) && plan->extent[a] != 1) result |= (AxisSet)1 << a;
    return result;
}

static unsigned last_axis(AxisSet axes)
{
    return axes ? 63u - (unsigned)__builtin_clzll(axes) : 0;
}

static bool is_byte(DType t)
{
    return t == DTYPE_I8 || t == DTYPE_U8;
}

// Whether there is an instruction for products of such factors (schedule/dot.c).
static bool by_groups(const Plan *plan, Value x, Value y)
{
    const Inst *a = value_def(plan->f, x), *b = value_def(plan->f, y);
    if (!a || !b || a->op != OP_LOAD_TILE || b->op != OP_LOAD_TILE) return false;
    DType s = mem_at(plan->f, (Mem){a->attr.ref})->dtype;
    DType t = mem_at(plan->f, (Mem){b->attr.ref})->dtype;
    const Machine *machine = plan->machine;
    return (machine->dots_bf16 && !machine->slow_dots_bf16 && s == DTYPE_BF16 && t == DTYPE_BF16) ||
           (machine->tiles_bf16 && s == DTYPE_BF16 && t == DTYPE_BF16) ||
           ((machine->dots_i8 || machine->tiles_i8) && is_byte(s) && is_byte(t));
}

static bool fits_bf16(DType t)
{
    return t == DTYPE_BF16 || t == DTYPE_F8E4M3 || t == DTYPE_F8E5M2 || t == DTYPE_F4E2M1;
}

// Whether tile registers take products of what is loaded so (schedule/tiles.c).
static bool by_tiles(const Plan *plan, Value x, Value y)
{
    const Inst *a = value_def(plan->f, x), *b = value_def(plan->f, y);
    if (!a || !b || a->op != OP_LOAD_TILE || b->op != OP_LOAD_TILE) return false;
    DType s = mem_at(plan->f, (Mem){a->attr.ref})->dtype;
    DType t = mem_at(plan->f, (Mem){b->attr.ref})->dtype;
    return (plan->machine->tiles_bf16 && fits_bf16(s) && fits_bf16(t)) ||
           (plan->machine->tiles_i8 && is_byte(s) && is_byte(t));
}

// Whether the scheduler reads rows of x where they are: of their own type, reduced along the last
// index.
static bool in_place(const Plan *plan, Value x, Value other, AxisSet reduced)
{
    const Func *f = plan->f;
    const Inst *in = value_def(f, x);
    if (!in || in->op != OP_LOAD_TILE) return false;
    const MemInfo *mem = mem_at(f, (Mem){in->attr.ref});
    if (dtype_info[mem->dtype].arith != mem->dtype && !by_groups(plan, x, other)) return false;
    return mem->rank && value_axes(f, inst_arg(f, in, mem->rank - 1)) & reduced;
}

// Few rows: the columns' operand x is not packed but read once, by lines or along the reduced axis.
static void note_stream(Plan *plan, Value x, unsigned column, unsigned row, unsigned reduced)
{
    const Inst *in = value_def(plan->f, x);
    int64_t n = plan->extent[column], k = plan->extent[reduced], elements;
    if (plan->extent[row] < 0 || plan->extent[row] > STREAM_ROWS || n <= 0 || k <= 0 ||
        __builtin_mul_overflow(n, k, &elements) || elements * 4 < plan->machine->l2_bytes)
        return;
    while (in && in->op != OP_LOAD_TILE && in->arg_count)
        in = value_def(plan->f, inst_arg(plan->f, in, 0));
    unsigned rank = in && in->op == OP_LOAD_TILE ? mem_at(plan->f, (Mem){in->attr.ref})->rank : 0;
    if (!rank) return;
    AxisSet last = value_axes(plan->f, inst_arg(plan->f, in, rank - 1));
    plan->streams |= last >> column & 1;
    plan->dots |= last >> reduced & 1 && plan->extent[row] <= DOT_ROWS;
}

static void note_contraction(Plan *plan, InstId id)
{
    const Func *f = plan->f;
    const Inst *in = inst_at(f, id);
    AxisSet result = big(plan, value_axes(f, inst_result(in, 0)));
    Value pair[2];
    Pair kind = contraction_pair(f, in, result, pair);
    if (kind == PAIR_NONE || (kind == PAIR_OTHER && plan->machine->is_gpu_style)) return;
    AxisSet left = value_axes(f, pair[0]), right = value_axes(f, pair[1]);
    unsigned column = last_axis(result), second = left >> column & 1 ? 1 : 0;
    AxisSet rows = result & ~((AxisSet)1 << column), apart = rows & ~(second ? left : right);
    unsigned row = last_axis(apart ? apart : rows);
    plan->columns |= (AxisSet)1 << column;
    plan->rows |= (AxisSet)1 << row;
    plan->split = plan->products++ ? (Axis){0} : split_axis(f, id);
    plan->more_rows |= apart & ~((AxisSet)1 << row);
    plan->more_columns |= rows & ~(second ? right : left);
    plan->reduced |= in->attr.bits;
    plan->converts |= !in_place(plan, pair[second], pair[1 - second], in->attr.bits);
    plan->tiles |= kind == PAIR_PRODUCT && by_tiles(plan, pair[0], pair[1]) &&
                   (plan->extent[row] < 0 || plan->extent[row] >= REGISTER_TILE / 2);
    note_stream(plan, pair[1 - second], column, row, last_axis(in->attr.bits));
}

// Two tensors whose last indices run along different axes: one of them is read or written across.
static void note_end(Plan *plan, const Inst *in)
{
    unsigned first = in->op == OP_STORE_TILE ? 1 : 0;
    unsigned rank = mem_at(plan->f, (Mem){in->attr.ref})->rank;
    AxisSet all = 0, last = 0;
    for (unsigned k = 0; k < rank; k++) {
        last = big(plan, value_axes(plan->f, inst_arg(plan->f, in, first + k)));
        all |= last;
    }
    if (last && __builtin_popcountll(all) > 1 && __builtin_popcountll(last) == 1)
        plan->ends |= last;
}

// Sums over columns, and scans: what is read of a row is as wide as the tile.
static void note_across(Plan *plan, Value v, AxisSet reduced, int depth)
{
    const Inst *in = value_def(plan->f, v);
    if (!in || !depth || in->region_count) return;
    if (in->op != OP_LOAD_TILE) {
        for_each_arg(plan->f, in, k, arg) note_across(plan, arg, reduced, depth - 1);
        return;
    }
    unsigned rank = mem_at(plan->f, (Mem){in->attr.ref})->rank;
    AxisSet axes = rank ? value_axes(plan->f, inst_arg(plan->f, in, rank - 1)) : 0;
    bool strided = rank && (value_axes(plan->f, v) & reduced) && !(axes & reduced);
    for (unsigned a = 1; a < AXES_MAX && strided; a++)
        if ((axes >> a & 1) && axis_at(plan->f, (Axis){a})->kind == AXIS_GRID) {
            plan->across |= (AxisSet)1 << a;
            plan->lines |= reduced;
        }
}

// Units along the last index of an update have elements of their own (schedule/own.c).
static void note_update(Plan *plan, const Inst *in)
{
    unsigned rank = mem_at(plan->f, (Mem){in->attr.ref})->rank;
    const Inst *last = rank ? value_def(plan->f, inst_arg(plan->f, in, rank)) : NULL;
    bool own = last && last->op == OP_INDEX && in->attr.kind < REDUCE_COUNT &&
               axis_at(plan->f, (Axis){last->attr.ref})->kind == AXIS_GRID;
    if (own)
        plan->owners |= (AxisSet)1 << last->attr.ref;
    else
        plan->collide = true;
}

static void note_size(Plan *plan, AxisSet axes)
{
    double n = 1;
    for (unsigned a = 1; a < AXES_MAX; a++) {
        if (!((axes & ~plan->expanded) >> a & 1) || axis_at(plan->f, (Axis){a})->kind == AXIS_GRID)
            continue;
        n *= plan->extent[a] > 0 ? (double)plan->extent[a] : 1;
    }
    if (n > plan->whole) plan->whole = n;
}

// The axes along which what a bound is computed from is loaded, or found in data.
static AxisSet loaded_along(const Func *f, Value v)
{
    const Inst *in = value_def(f, v);
    if (!in) return 0;
    if (in->op == OP_LOAD_TILE || in->op == OP_SEARCH) return value_axes(f, v);
    AxisSet axes = 0;
    for (unsigned k = 0; k < in->arg_count; k++) axes |= loaded_along(f, inst_arg(f, in, k));
    return axes;
}

// An integer with index `at` of one axis and the first of all others. False: data or a size
// decides.
static bool bound_at(const Func *f, Value v, unsigned axis, int64_t at, int64_t *result)
{
    const Inst *in = value_def(f, v);
    uint64_t args[3], bits;
    if (value_const_int(f, v, result)) return true;
    if (!in || in->arg_count > 3 || value_at(f, v)->type.dtype != DTYPE_I64) return false;
    if (in->op == OP_INDEX) *result = in->attr.ref == axis ? at : 0;
    if (in->op == OP_INDEX) return true;
    if (in->op == OP_REDUCE) return bound_at(f, inst_arg(f, in, 0), axis, at, result); // of bounds
    for (unsigned k = 0; k < in->arg_count; k++) {
        int64_t arg;
        if (!bound_at(f, inst_arg(f, in, k), axis, at, &arg)) return false;
        args[k] = (uint64_t)arg;
    }
    if (!eval_op(in->op, DTYPE_I64, DTYPE_I64, 0, args, in->arg_count, &bits)) return false;
    *result = (int64_t)bits;
    return true;
}

// Parts of a sum: the range of the next index begins where this one's ends. Side by side each would
// take as long as all of them together.
static AxisSet parted_along(const Func *f, const Inst *in)
{
    AxisSet parted = 0;
    Value low = inst_arg(f, in, 0), high = inst_arg(f, in, 1);
    for (unsigned a = 1; a < AXES_MAX && a < f->axes.count; a++) {
        int64_t begin, end, next;
        if (axis_at(f, (Axis){a})->kind != AXIS_GRID) continue;
        if (bound_at(f, low, a, 0, &begin) && bound_at(f, high, a, 0, &end) &&
            bound_at(f, low, a, 1, &next) && end > begin && next >= end)
            parted |= (AxisSet)1 << a;
    }
    return parted;
}

static void walk(Plan *plan, Region region)
{
    const Func *f = plan->f;
    for_each_inst(f, region, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_GRID || in->op == OP_LOOP || in->op == OP_AXIS) {
            plan->extent[in->attr.ref] = extent_of(f, (Axis){in->attr.ref});
            for (unsigned k = 0; k < in->arg_count && k < 2; k++)
                plan->ragged |= loaded_along(f, inst_arg(f, in, k));
            if (in->op == OP_AXIS && in->arg_count > 1) plan->ragged |= parted_along(f, in);
        }
        if (in->op == OP_GRID) plan->grid[plan->grid_count++] = (Axis){in->attr.ref};
        if (in->op == OP_LOAD_TILE || in->op == OP_STORE_TILE) note_end(plan, in);
        if (in->op == OP_REDUCE || in->op == OP_STORE_TILE)
            plan->splits |= (AxisSet)1 << split_axis(f, id).i;
        if (in->op == OP_ATOMIC_TILE) note_update(plan, in);
        if (in->op == OP_REDUCE) {
            note_contraction(plan, id);
            note_across(plan, inst_arg(f, in, 0), in->attr.bits, ARG_DEPTH);
            plan->again |= plan->summed & in->attr.bits;
            plan->summed |= in->attr.bits;
        }
        if (in->op == OP_COMBINE && !plan->machine->is_gpu_style)
            for_each_arg(f, in, k, v) note_across(plan, v, in->attr.bits, ARG_DEPTH);
        for (unsigned k = 0; k < in->result_count; k++)
            note_size(plan, value_axes(f, inst_result(in, k)));
        for (unsigned k = 0; k < in->region_count; k++) walk(plan, inst_region(in, k));
    }
}

static bool is_free(const Plan *plan, Axis a)
{
    const AxisInfo *axis = axis_at(plan->f, a);
    return !axis->scalar && !axis->has_by && axis->kind != AXIS_WHOLE;
}

// Sequences of different lengths side by side would all take as long as the longest.
static void set_tile(Plan *plan, Axis a, int64_t size)
{
    if (plan->ragged >> a.i & 1) size = 1;
    if (is_free(plan, a))
        config_set_axis(plan->config, "tile", axis_at(plan->f, a)->name, size < 1 ? 1 : size);
}

static int64_t lanes_of(const Plan *plan)
{
    return plan->machine->vector_bytes >= 8 ? plan->machine->vector_bytes / 4 : 1;
}

static double tiles_of(const Plan *plan)
{
    double tiles = 1;
    for (unsigned k = 0; k < plan->grid_count; k++) {
        Axis a = plan->grid[k];
        int64_t size = config_get_axis(plan->config, "tile", axis_at(plan->f, a)->name, 1);
        int64_t extent = plan->extent[a.i] < 0 ? UNKNOWN_EXTENT : plan->extent[a.i];
        if (extent > 0) tiles *= (double)((extent + size - 1) / size);
    }
    return tiles;
}

static bool has_grid(const Plan *plan, AxisSet axes)
{
    for (unsigned k = 0; k < plan->grid_count; k++)
        if (axes >> plan->grid[k].i & 1) return true;
    return false;
}

// Rows of a tile that goes along a loop over blocks of columns. Where the loop's range depends on
// the rows (a triangle), what lies past it in the last block is wasted, and more of it for more
// rows.
static int64_t nest_rows(const Plan *plan)
{
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((plan->columns >> a & 1) && axis_at(plan->f, (Axis){a})->kind == AXIS_LOOP)
            return plan->extent[a] < 0 ? LOOP_ROWS / 2 : LOOP_ROWS;
    return ROW_TILE;
}

static double depth_of(const Plan *plan)
{
    double depth = 1;
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((plan->reduced >> a & 1) && plan->extent[a] > 1) depth *= (double)plan->extent[a];
    return depth;
}

// Rows of a tile pass by a packed panel, and those of one tile are read again for the next panel:
// from this core's share of L3. Where the sum's range depends on the rows (a triangle), what lies
// past it is wasted, and more of it for more rows.
static int64_t slab_rows(const Plan *plan)
{
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((plan->reduced >> a & 1) && plan->extent[a] < 0) return UNKNOWN_BLOCK / 2;
    double rows = (double)plan->machine->l3_bytes / plan->machine->cores / 2 / (4 * depth_of(plan));
    return rows < SLAB_LEAST ? SLAB_LEAST : rows > SLAB_MOST ? SLAB_MOST : (int64_t)rows;
}

// The share of the cores' time that is used if all tiles take equally long.
static double balance_of(const Plan *plan)
{
    double tiles = tiles_of(plan), cores = plan->machine->cores;
    double rounds = (double)(int64_t)((tiles + cores - 1) / cores);
    return tiles / (rounds * cores);
}

static void share_out(Plan *plan, Axis a, int64_t least, int64_t unit)
{
    int64_t size = config_get_axis(plan->config, "tile", axis_at(plan->f, a)->name, 1);
    int64_t parts = (plan->extent[a.i] + size - 1) / (size > 0 ? size : 1) + 1;
    for (; balance_of(plan) < BALANCE && size / 2 >= least; parts++) {
        size = round_up((plan->extent[a.i] + parts - 1) / parts, unit);
        if (size < least) break;
        set_tile(plan, a, size);
    }
}

// Short rows and columns: as many of them along further axes as one long axis would have, as far as
// the cores have equally much.
static void set_more(Plan *plan, AxisSet axes, AxisSet with, int64_t most)
{
    axes &= ~(plan->rows | plan->columns | plan->ragged);
    for (unsigned k = 0; k < plan->grid_count; k++)
        if (with >> plan->grid[k].i & 1)
            most /= config_get_axis(plan->config, "tile", axis_at(plan->f, plan->grid[k])->name, 1);
    for (unsigned k = plan->grid_count; k-- > 0;) {
        Axis a = plan->grid[k];
        if (!(axes >> a.i & 1) || !is_free(plan, a)) continue;
        set_tile(plan, a, balanced(plan->extent[a.i], most < 1 ? 1 : most, 1));
        share_out(plan, a, 1, 1);
        most /= config_get_axis(plan->config, "tile", axis_at(plan->f, a)->name, 1);
    }
}

// A group's tile is as many register blocks as it has work-items, in a square or nearly so.
static void set_group_contraction(Plan *plan)
{
    int64_t lanes = lanes_of(plan), width = 1, group = plan->machine->group;
    while (width * 2 * width * 2 <= group) width *= 2;
    bool grid = has_grid(plan, plan->columns);
    int64_t unroll = grid ? GROUP_ROWS : GROUP_LOOP_ROWS, rows = group / width * unroll;
    for (unsigned k = 0; k < plan->grid_count; k++) {
        Axis a = plan->grid[k];
        int64_t size = 1;
        if (plan->columns >> a.i & 1) {
            size = balanced(plan->extent[a.i], width * lanes, lanes);
        } else if (plan->rows >> a.i & 1) {
            size = balanced(plan->extent[a.i], rows, unroll);
            config_set_axis(plan->config, "unroll", axis_at(plan->f, a)->name, unroll);
        }
        set_tile(plan, a, size);
    }
}

// Too few results for all cores: they share the sum. False: they have enough, or there are so many
// results that these are better shared out.
static bool set_split(Plan *plan)
{
    int64_t extent = plan->split.i ? plan->extent[plan->split.i] : 0, parts = extent / PART;
    double tiles = tiles_of(plan), cores = plan->machine->cores, results = 1;
    if (plan->ragged >> plan->split.i & 1 || tiles >= cores) return false;
    for (unsigned k = 0; k < plan->grid_count; k++) {
        if (plan->extent[plan->grid[k].i] < 0) return false;
        results *= (double)plan->extent[plan->grid[k].i];
    }
    if ((double)parts * tiles < cores) parts = (int64_t)(cores / tiles + 0.5);
    if (parts > extent / PART_LEAST) parts = extent / PART_LEAST;
    if (parts < 2 || results > RESULTS_MOST || results * 4 * (double)parts > PARTS_BYTES)
        return false;
    config_set_axis(plan->config, "split", axis_at(plan->f, plan->split)->name, parts);
    return true;
}

static void set_contraction(Plan *plan)
{
    int64_t lanes = lanes_of(plan);
    int64_t rows = has_grid(plan, plan->columns) ? slab_rows(plan) : nest_rows(plan);
    bool converts = plan->converts && has_grid(plan, plan->columns) && !plan->streams;
    int64_t columns = converts || plan->streams ? COLUMN_SLAB : COLUMN_TILE;
    int64_t high = ROWS, wide = lanes; // of a block of registers
    if (plan->tiles && has_grid(plan, plan->columns)) {
        high = wide = REGISTER_TILE;
        rows = rows > REGISTER_ROWS ? REGISTER_ROWS : rows;
        columns = columns < REGISTER_COLUMNS ? REGISTER_COLUMNS : columns;
    }
    for (unsigned k = 0; k < plan->grid_count; k++) {
        Axis a = plan->grid[k];
        int64_t size = 1;
        if (plan->columns >> a.i & 1)
            size = balanced(plan->extent[a.i], columns, wide);
        else if (plan->rows >> a.i & 1)
            size = balanced(plan->extent[a.i], rows, high);
        else if (plan->reduced >> a.i & 1)
            size = balanced(plan->extent[a.i], SPLIT_SUM, 1);
        set_tile(plan, a, size);
    }
    set_more(plan, plan->more_rows, plan->rows, rows);
    double most = (double)plan->machine->l2_bytes / 4 / (4 * depth_of(plan));
    set_more(plan, plan->more_columns, plan->columns,
             most > COLUMNS_MORE ? COLUMNS_MORE : (int64_t)most);
    bool split = set_split(plan);
    for (unsigned k = 0; k < plan->grid_count; k++) {
        Axis a = plan->grid[k];
        if (converts && (plan->columns >> a.i & 1))
            config_set_axis(plan->config, "order", axis_at(plan->f, a)->name, 0);
        if (split) continue;
        if (plan->reduced >> a.i & 1) share_out(plan, a, SPLIT_LEAST, 1);
        if (plan->rows >> a.i & 1) share_out(plan, a, 4 * high, high);
        if (plan->columns >> a.i & 1) share_out(plan, a, 2 * lanes, lanes);
    }
}

// One long row to a group, whose work-items are no more than it has vectors; of short ones one to
// a work-item; elements to all of them.
static void set_group_plain(Plan *plan)
{
    int64_t lanes = lanes_of(plan), group = plan->machine->group, least = GROUP_LEAST;
    bool turns = !plan->across && __builtin_popcountll(plan->ends) > 1, split = plan->across != 0;
    double left = plan->whole > SHORT_ROW ? 1 : (double)(plan->whole > 1 ? group : group * lanes);
    if (plan->whole > SHORT_ROW)
        while (least < group && (double)(least * lanes) < plan->whole) least *= 2;
    if (least < group && (split || plan->whole > SHORT_ROW))
        config_set(plan->config, STR("group"), split ? 2 * GROUP_LEAST : least);
    for (unsigned k = plan->grid_count; k-- > 0;) {
        Axis a = plan->grid[k];
        int64_t most = left < 1 ? 1 : (int64_t)left;
        if (turns && (plan->ends >> a.i & 1)) most = 16 * lanes;
        if (split) most = plan->across >> a.i & 1 ? 2 * GROUP_LEAST * lanes : 1;
        int64_t size = balanced(plan->extent[a.i], most, plan->whole <= 1 ? lanes : 1);
        set_tile(plan, a, size);
        if (!(plan->ragged >> a.i & 1)) left /= (double)size;
    }
}

// A long sum over columns reads some whole lines at a time, in the order of memory, and has its
// results in scratch: then what it lasts is what reading takes.
static bool reads_lines(const Plan *plan)
{
    if (!plan->lines || (plan->lines & (plan->lines - 1)) || (plan->lines & plan->again) ||
        plan->rows)
        return false;
    double elements = (double)plan->extent[last_axis(plan->lines)];
    for (unsigned k = 0; k < plan->grid_count; k++) {
        int64_t extent = plan->extent[plan->grid[k].i];
        if (extent != 1 && !(plan->across >> plan->grid[k].i & 1)) return false;
        elements *= (double)extent;
    }
    return elements >= TILE_ELEMENTS;
}

// Smaller tiles until there are enough of them for the cores; but not of less than some vectors
// where the lanes are.
static void split_plain(Plan *plan)
{
    int64_t lanes = lanes_of(plan);
    bool turns = !plan->across && __builtin_popcountll(plan->ends) > 1;
    bool lines = reads_lines(plan);
    double want = (double)plan->machine->cores * (lines ? 1 : TILES_PER_CORE);
    int64_t vectors = lines ? LINE_VECTORS : ACROSS_VECTORS;
    for (unsigned k = 0; k < plan->grid_count; k++) {
        Axis a = plan->grid[k];
        bool across = plan->across >> a.i & 1, last = k + 1 == plan->grid_count;
        bool turned = turns && (plan->ends >> a.i & 1);
        if (turned) set_tile(plan, a, balanced(plan->extent[a.i], TURNED_VECTORS * lanes, lanes));
        if (turned) continue; // blocks that are transposed in registers
        if (across) set_tile(plan, a, balanced(plan->extent[a.i], vectors * lanes, lanes));
        if (!across && plan->across) set_tile(plan, a, balanced(plan->extent[a.i], ACROSS_ROWS, 1));
        int64_t least = across ? 4 * lanes : last && plan->whole <= 1 ? 16 * lanes : 1;
        if (last && plan->expanded && least < lanes) least = lanes;
        int64_t size = config_get_axis(plan->config, "tile", axis_at(plan->f, a)->name, 1);
        while (tiles_of(plan) < want && size > least) {
            int64_t half = round_up(size / 2, across ? lanes : 1);
            size = balanced(plan->extent[a.i], half < least ? least : half, across ? lanes : 1);
            set_tile(plan, a, size);
        }
    }
}

// The last grid axis is the contiguous one as a rule: it gets vectors first, then the others share
// the rest.
static void set_plain(Plan *plan)
{
    int64_t lanes = lanes_of(plan);
    double left = TILE_ELEMENTS / (plan->whole < 1 ? 1 : plan->whole);
    for (unsigned k = plan->grid_count; k-- > 0;) {
        Axis a = plan->grid[k];
        bool inner = k + 1 == plan->grid_count && plan->whole <= 1;
        double most = left;
        if (k + 1 == plan->grid_count) {
            int64_t least = inner || plan->whole > TILE_ELEMENTS ? 1 : 4;
            if (!inner && plan->expanded)
                least = 4 * lanes;
            else if (!inner && plan->extent[a.i] >= VECTOR_TILE_MIN && plan->columns == 0)
                least = 8;
            if (most < (double)least) most = (double)least;
        }
        if (plan->extent[a.i] < 0 && most > UNKNOWN_TILE) most = UNKNOWN_TILE;
        int64_t size = balanced(plan->extent[a.i], most < 1 ? 1 : (int64_t)most, inner ? lanes : 1);
        set_tile(plan, a, size);
        if (!(plan->ragged >> a.i & 1)) left /= (double)size;
    }
    split_plain(plan);
}

// Reductions to so few results that most cores would have none: they share the longest axis.
static void set_parts(Plan *plan)
{
    double tiles = tiles_of(plan), cores = plan->machine->cores, results = 1;
    for (unsigned k = 0; k < plan->grid_count; k++)
        results *= (double)plan->extent[plan->grid[k].i];
    double units = plan->whole * results / (2 * TILE_ELEMENTS);
    if (units > TILES_PER_CORE * cores) units = TILES_PER_CORE * cores;
    if (units > cores) units = (double)(int64_t)(units / cores) * cores; // all cores have as many
    double least = plan->machine->is_gpu_style ? GROUP_PART_LEAST : PART_LEAST;
    double parts = (double)(int64_t)(units / tiles), most = plan->whole / least;
    if (parts > most) parts = (double)(int64_t)most;
    if (tiles * 2 > cores || parts < 2) return;
    for (unsigned a = 1; a < AXES_MAX; a++)
        if ((plan->splits >> a & 1) && !(plan->ragged >> a & 1) &&
            plan->extent[a] >= (int64_t)parts * SPLIT_ROUND)
            config_set_axis(plan->config, "split", axis_at(plan->f, (Axis){a})->name,
                            (int64_t)parts);
}

// Where one axis tells the elements of updates apart and is long enough for all cores, units differ
// along it alone: no update needs to be indivisible.
static void set_owners(Plan *plan)
{
    int64_t lanes = lanes_of(plan), cores = plan->machine->cores;
    if (plan->collide || __builtin_popcountll(plan->owners) != 1) return;
    int64_t extent = plan->extent[last_axis(plan->owners)];
    for (unsigned k = 0; k < plan->grid_count; k++)
        if (plan->extent[plan->grid[k].i] < 0 || !is_free(plan, plan->grid[k])) return;
    if (plan->ragged || extent < cores * lanes) return;
    int64_t parts = cores * OWNERS_PER_CORE, part = (extent + parts - 1) / parts;
    for (unsigned k = 0; k < plan->grid_count; k++) {
        Axis a = plan->grid[k];
        bool owner = plan->owners >> a.i & 1;
        set_tile(plan, a, owner ? round_up(part, lanes) : plan->extent[a.i]);
    }
}

// An axis that is bound as a whole: how many of its indices at a time.
static void set_whole(Plan *plan, Axis a, int64_t depth)
{
    const Func *f = plan->f;
    Str name = axis_at(f, a)->name;
    const int64_t extent = plan->extent[a.i];
    const bool split = config_get_axis(plan->config, "split", name, 1) > 1;
    if ((plan->reduced >> a.i & 1) && extent > depth && !split)
        config_set_axis(plan->config, "block", name, balanced(extent, depth, 8));
    if ((plan->lines >> a.i & 1) && extent > LINES && !plan->machine->is_gpu_style &&
        reads_lines(plan))
        config_set_axis(plan->config, "block", name, balanced(extent, LINES, LINES / 2));
    // A range that only data tells is rolled in blocks, so that what is kept of it has a known
    // size.
    if (extent < 0 && !tile_of_axis(f, a).i)
        config_set_axis(plan->config, "block", name, UNKNOWN_BLOCK);
}

static void set_inner(Plan *plan, Region region)
{
    const Func *f = plan->f;
    bool gpu = plan->machine->is_gpu_style;
    int64_t depth = plan->machine->l2_bytes / 4 / (4 * COLUMN_TILE);
    depth = depth < BLOCK_LEAST ? BLOCK_LEAST : depth > BLOCK_MOST ? BLOCK_MOST : depth;
    if (plan->streams) depth = STREAM_DEPTH;
    if (plan->dots) depth = INT64_MAX;
    if (gpu) depth = has_grid(plan, plan->columns) ? GROUP_BLOCK : GROUP_DEPTH;
    for_each_inst(f, region, id) {
        const Inst *in = inst_at(f, id);
        Axis a = {in->attr.ref};
        if (in->op == OP_LOOP && is_free(plan, a)) {
            int64_t most =
                plan->columns >> a.i & 1 || plan->reduced >> a.i & 1 ? LOOP_TILE : 4 * LOOP_TILE;
            if (plan->extent[a.i] < 0 && most == LOOP_TILE) most /= 2;
            if (gpu && most > LOOP_TILE)
                most = plan->machine->group * lanes_of(plan);
            else if (gpu)
                most = GROUP_LOOP;
            set_tile(plan, a, balanced(plan->extent[a.i], most, lanes_of(plan)));
        }
        if (in->op == OP_AXIS) set_whole(plan, a, depth);
        for (unsigned k = 0; k < in->region_count; k++) set_inner(plan, inst_region(in, k));
    }
}

static bool has_fold(const Func *f, Region region)
{
    for_each_inst(f, region, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_FOLD) return true;
        for (unsigned k = 0; k < in->region_count; k++)
            if (has_fold(f, inst_region(in, k))) return true;
    }
    return false;
}

static bool only_stored(const Func *f, Region region, Mem mem)
{
    for_each_inst(f, region, id) {
        const Inst *in = inst_at(f, id);
        bool touches = in->op == OP_LOAD_TILE || in->op == OP_FOLD || in->op == OP_ATOMIC_TILE;
        if (touches && in->attr.ref == mem.i) return false;
        for (unsigned k = 0; k < in->region_count; k++)
            if (!only_stored(f, inst_region(in, k), mem)) return false;
    }
    return true;
}

static int64_t bytes_of(const Func *f, Mem mem)
{
    const Inst *decl = inst_at(f, mem_at(f, mem)->decl);
    int64_t elements = 1, size;
    for (unsigned k = 0; k < decl->arg_count; k++) {
        if (!value_const_int(f, inst_arg(f, decl, k), &size) ||
            __builtin_mul_overflow(elements, size, &elements))
            return 0;
    }
    return dtype_bytes(mem_at(f, mem)->dtype, elements);
}

// Outputs that would sweep half of the last cache bypass it. What is smaller is likely to be read
// there by whoever comes next; the tuner asks for those that leave the second cache.
static void set_streams(const Func *f, const Machine *machine, Config *config)
{
    for (uint32_t m = 1; m < f->mems.count && !machine->is_gpu_style; m++) {
        const MemInfo *mem = mem_at(f, (Mem){m});
        if (mem->kind != MEM_OUT || !only_stored(f, f->body, (Mem){m})) continue;
        int64_t bytes = bytes_of(f, (Mem){m});
        if (bytes > machine->l2_bytes)
            config_set_axis(config, "stream", mem->name, bytes >= machine->l3_bytes / 2);
    }
}

Config *config_default(Arena *arena, const Func *tile, const Machine *machine)
{
    Config *config = config_new(arena);
    AxisSet expanded = expand_worth(tile);
    for (unsigned a = 1; a < tile->axes.count; a++)
        if (expanded >> a & 1) config_set_axis(config, "expand", axis_at(tile, (Axis){a})->name, 1);
    for_each_inst(tile, tile->body, id) {
        const Inst *in = inst_at(tile, id);
        if (in->op != OP_PHASE) continue;
        Plan *plan = arena_new(arena, Plan);
        *plan = (Plan){.f = tile, .machine = machine, .config = config, .whole = 1};
        plan->expanded = expanded;
        walk(plan, inst_region(in, 0));
        if (plan->rows)
            machine->is_gpu_style ? set_group_contraction(plan) : set_contraction(plan);
        else
            machine->is_gpu_style ? set_group_plain(plan) : set_plain(plan);
        if (!plan->rows) set_parts(plan);
        if (!plan->rows && !machine->is_gpu_style) set_owners(plan);
        set_inner(plan, inst_region(in, 0));
        if (has_fold(tile, inst_region(in, 0)))
            config_set(config, STR("chunks"), (int64_t)machine->cores * CHUNKS_PER_CORE);
    }
    set_streams(tile, machine, config);
    int64_t set;
    if (machine->is_gpu_style && !config_get(config, STR("group"), &set))
        config_set(config, STR("group"), machine->group);
    return config;
}

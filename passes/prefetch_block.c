// Blocks of results whose innermost loop sums in registers leave memory idle while they compute,
// and wait for it in between. The loop has slots to spare: in each iteration it asks for a line
//
//   of the next block's rows,
//   of what is stored or loaded after it,
//   of what all blocks of the next unit share, if that begins at a known distance:
//
//   m by 6 { k { a(m .. m + 5, k); b(k, 0 .. 63) } store c(m .. m + 5, 0 .. 63) }
//     ->     k { prefetch a(m + 6, k * 6); prefetch c(m, k); prefetch b(k, m / 6 % 4 * 16) of the
//                next unit; .. }
//
// Rows must lie one after the other in memory, as those of small products do: then the next line
// takes one addition.
#include "passes/prefetch.h"

enum {
    LINE = 64,
    ROWS_MOST = 16,
    ACCESSES_MOST = 64,
    TRIPS_LEAST = 8,
    VECTORS_LEAST = 16,
    DEPTH = 16
};

typedef struct Block { // accesses at base + first + row * stride + column * line, in elements
    uint32_t mem;
    Value base;
    int64_t first, rows, stride, columns, line;
} Block;

static Value offset_of(const Func *f, const Inst *access)
{
    return inst_arg(f, access, access->op == OP_STORE ? 1 : 0);
}

static void sort(int64_t *x, unsigned n)
{
    for (unsigned i = 1; i < n; i++)
        for (unsigned k = i; k > 0 && x[k - 1] > x[k]; k--) {
            int64_t kept = x[k];
            x[k] = x[k - 1];
            x[k - 1] = kept;
        }
}

// Whether offsets, ascending, are rows of so many lines each, evenly apart.
static bool is_grid(const int64_t *at, unsigned n, Block *block)
{
    int64_t columns = 1;
    while (columns < n && at[columns] == at[0] + columns * block->line) columns++;
    block->first = at[0];
    block->columns = columns;
    block->rows = n / columns;
    block->stride = block->rows > 1 ? at[columns] - at[0] : 0;
    bool even = n % columns == 0 && block->rows <= ROWS_MOST;
    for (unsigned k = 0; k < n && even; k++)
        even = at[k] == at[0] + k / columns * block->stride + k % columns * block->line;
    return even;
}

// A load or store of a tensor of the caller's: of vectors, or of single elements.
static bool touches(const Prefetcher *p, const Inst *in, bool vectors)
{
    if ((in->op != OP_LOAD && in->op != OP_STORE) || !p->wanted[in->attr.ref]) return false;
    Value v = in->op == OP_STORE ? inst_arg(p->f, in, 0) : inst_result(in, 0);
    return (value_type(p->f, v).lanes > 1) == vectors;
}

// The accesses to one memory from `first` to the next loop; false: no regular block.
static bool find_block(const Prefetcher *p, InstId first, bool vectors, Block *block)
{
    const Func *f = p->f;
    uint32_t mem = inst_at(f, first)->attr.ref;
    int64_t at[ACCESSES_MOST];
    unsigned n = 0;
    *block = (Block){.mem = mem, .line = LINE * 8 / dtype_info[mem_at(f, (Mem){mem})->dtype].bits};
    for (InstId id = first; id.i && !inst_at(f, id)->region_count; id = inst_at(f, id)->next) {
        const Inst *in = inst_at(f, id);
        if (!touches(p, in, vectors) || in->attr.ref != mem) continue;
        if (n == ACCESSES_MOST) return false;
        Value base = value_base(f, offset_of(f, in), &at[n]);
        if (n++ && base.i != block->base.i) return false;
        block->base = base;
    }
    sort(at, n);
    return is_grid(at, n, block);
}

// v, which region r computes, again where b stands; {0}: not by plain arithmetic.
static Value again(Builder *b, Value v, Region r, int depth)
{
    const Inst *def = value_def(b->f, v);
    if (!def || def->parent.i != r.i) return v;
    Op op = (Op)def->op;
    int64_t x;
    if (value_const_int(b->f, v, &x)) return build_i64(b, x);
    if (!depth || (op != OP_ADD && op != OP_SUB && op != OP_MUL)) return (Value){0};
    Value left = again(b, inst_arg(b->f, def, 0), r, depth - 1);
    Value right = again(b, inst_arg(b->f, value_def(b->f, v), 1), r, depth - 1);
    return left.i && right.i ? build_op2(b, op, left, right) : (Value){0};
}

static void ask(Prefetcher *p, Builder *b, uint32_t mem, Value offset)
{
    build_inst(b, OP_PREFETCH, (BuildSpec){.args = &offset, .arg_count = 1, .attr = {.ref = mem}});
    p->changed = true;
}

static Value scaled(Builder *b, Value base, Value by, int64_t scale)
{
    return build_op2(b, OP_ADD, base, build_op2(b, OP_MUL, by, build_i64(b, scale)));
}

// One line in each turn of the loop: where rows lie one after the other as they come, so many
// elements ahead. Not if they do not (each line would cost several additions, in slots that the
// products use), nor if the loop is too short for all.
static void ask_dense(Prefetcher *p, Builder *b, const Block *block, const Inst *loop,
                      int64_t along)
{
    int64_t turns = prefetch_trips(p->f, loop);
    int64_t width = along ? turns * along : block->columns * block->line;
    int64_t step = (block->rows * width + turns - 1) / turns;
    if ((block->rows > 1 && block->stride != width) || step > block->line) return;
    Value turn = region_arg(p->f, inst_region(loop, 0), 0);
    turn = build_op2(b, OP_SUB, turn, inst_arg(p->f, loop, 0));
    Value at = scaled(b, block->base, turn, step - along);
    ask(p, b, block->mem, build_op2(b, OP_ADD, at, build_i64(b, block->first)));
}

// What comes after the loop.
static void ask_results(Prefetcher *p, InstId inner)
{
    Func *f = p->f;
    Region body = inst_region(inst_at(f, inner), 0), r = inst_at(f, inner)->parent;
    uint64_t asked = 0; // few memories: what does not fit is asked for again
    InstId id = inst_at(f, inner)->next;
    for (; id.i && !inst_at(f, id)->region_count; id = inst_at(f, id)->next) {
        const Inst *in = inst_at(f, id);
        Block block;
        if (!touches(p, in, true) || (asked >> in->attr.ref % 64 & 1)) continue;
        asked |= (uint64_t)1 << in->attr.ref % 64;
        if (!find_block(p, id, true, &block)) continue;
        Builder outside = {f, r, inner, in->span};
        block.base = again(&outside, block.base, r, DEPTH);
        if (!block.base.i) continue;
        Builder b = {f, body, region_at(f, body)->first, in->span};
        ask_dense(p, &b, &block, inst_at(f, inner), 0);
    }
}

// The next block's rows, whose elements this loop goes along.
static void ask_rows(Prefetcher *p, InstId inner, InstId outer, InstId load)
{
    Func *f = p->f;
    const Inst *in = inst_at(f, load);
    int64_t along = prefetch_advance(f, in, inst_at(f, inner)),
            ahead = prefetch_advance(f, in, inst_at(f, outer));
    Block block;
    if (along <= 0 || along >= LINE || !ahead || !find_block(p, load, false, &block)) return;
    Region body = inst_region(inst_at(f, inner), 0);
    Builder b = {f, body, load, in->span};
    int64_t bits = dtype_info[mem_at(f, (Mem){block.mem})->dtype].bits;
    block.first += ahead * 8 / bits;
    ask_dense(p, &b, &block, inst_at(f, inner), along * 8 / bits);
}

// What all rows share, of the next unit: one column of it for each block.
static void ask_shared(Prefetcher *p, InstId inner, InstId outer, InstId load)
{
    Func *f = p->f;
    const Inst *in = inst_at(f, load), *loop = inst_at(f, outer);
    int64_t ahead = prefetch_advance(f, in, inst_at(f, p->phase)), step;
    Block block;
    if (!ahead || outer.i == p->phase.i || prefetch_advance(f, in, loop) ||
        !value_const_int(f, inst_arg(f, loop, 2), &step) || !find_block(p, load, true, &block) ||
        block.rows != 1 || prefetch_trips(f, loop) < block.columns)
        return;
    Region body = inst_region(inst_at(f, inner), 0);
    Builder outside = {f, inst_at(f, inner)->parent, inner, in->span},
            b = {f, body, load, in->span};
    Value turn = region_arg(f, inst_region(loop, 0), 0);
    turn = build_op2(&outside, OP_SUB, turn, inst_arg(f, loop, 0));
    turn = build_op2(&outside, OP_DIV, turn, build_i64(&outside, step));
    turn = build_op2(&outside, OP_REM, turn, build_i64(&outside, block.columns));
    block.first += ahead * 8 / dtype_info[mem_at(f, (Mem){block.mem})->dtype].bits;
    Value at = scaled(&b, block.base, turn, block.line);
    ask(p, &b, block.mem, build_op2(&b, OP_ADD, at, build_i64(&b, block.first)));
}

// A sum in registers that reads rows one element at a time.
static bool is_product(const Func *f, const Inst *loop)
{
    unsigned vectors = 0, elements = 0;
    for (unsigned k = 0; k < loop->result_count; k++)
        vectors += value_type(f, inst_result(loop, k)).lanes > 1;
    for_each_inst(f, inst_region(loop, 0), id) {
        const Inst *in = inst_at(f, id);
        elements += in->op == OP_LOAD && value_type(f, inst_result(in, 0)).lanes < 2;
    }
    return vectors >= VECTORS_LEAST && elements;
}

void prefetch_block(Prefetcher *p, InstId inner, InstId outer)
{
    Func *f = p->f;
    if (!is_product(f, inst_at(f, inner)) || prefetch_trips(f, inst_at(f, inner)) < TRIPS_LEAST)
        return;
    uint64_t asked = 0;
    ask_results(p, inner);
    for_each_inst(f, inst_region(inst_at(f, inner), 0), id) {
        const Inst *in = inst_at(f, id);
        bool vectors = touches(p, in, true);
        if ((!vectors && !touches(p, in, false)) || in->op != OP_LOAD ||
            (asked >> in->attr.ref % 64 & 1))
            continue;
        asked |= (uint64_t)1 << in->attr.ref % 64;
        if (vectors)
            ask_shared(p, inner, outer, id);
        else
            ask_rows(p, inner, outer, id);
    }
}

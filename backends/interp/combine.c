// Reductions and scans by a function: its region is run for one index after the other, each time
// over all elements of the other axes (a row). All in the value's own type, so that every target
// can give the same bits.
//
//   combine.reduce[n] (s0, x): s = s0; for each n: s = f(s, x[n])
//   combine.scan[n]   (s0, x): the same, and gives out each s, or (exclusive) the one before
#include "backends/interp/state.h"

typedef struct Combine {
    const Inst *in;
    Region body;
    unsigned width;
    AxisSet left;
    size_t row;
    uint64_t **state, **next; // [width][row]
    uint64_t **out;           // [width]: scans, at each index a row; else NULL
} Combine;

static uint64_t **rows_make(Interp *it, unsigned width, size_t size)
{
    _Static_assert(sizeof(void *) == sizeof(uint64_t), "pointers are stored as words");
    uint64_t **rows = (uint64_t **)(void *)stack_words(&it->stack, width);
    for (unsigned k = 0; k < width; k++) rows[k] = stack_words(&it->stack, size);
    return rows;
}

static void constant_fill(const Inst *in, uint64_t *data, size_t row)
{
    for (size_t i = 0; i < row; i++) data[i] = in->attr.bits;
}

// Room for what the region computes; values that stay the same are filled in.
static void combine_begin(Interp *it, Combine *c, const Box *all)
{
    const Func *f = it->f;
    unsigned plain = inst_plain_args(c->in);
    c->state = rows_make(it, c->width, c->row);
    c->next = rows_make(it, c->width, c->row);
    for (unsigned k = 0; k < c->width; k++)
        memcpy(c->state[k], value_spread(it, all, inst_arg(f, c->in, k), c->left),
               c->row * sizeof **c->state);
    for (unsigned k = 2 * c->width; k < plain; k++)
        it->values[region_arg(f, c->body, k).i] =
            value_spread(it, all, inst_arg(f, c->in, k), c->left);
    for_each_inst(f, c->body, id) {
        const Inst *inner = inst_at(f, id);
        if (inner->op == OP_YIELD) continue;
        uint64_t *data = stack_words(&it->stack, c->row);
        if (inner->op == OP_CONST) constant_fill(inner, data, c->row);
        it->values[inst_result(inner, 0).i] = data;
    }
}

static void region_run(Interp *it, const Combine *c)
{
    const Func *f = it->f;
    for_each_inst(f, c->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op == OP_CONST || in->op == OP_YIELD) continue;
        const uint64_t *args[3] = {0};
        for (unsigned k = 0; k < in->arg_count && k < 3; k++)
            args[k] = it->values[inst_arg(f, in, k).i];
        DType from = value_dtype(f, inst_arg(f, in, in->op == OP_SELECT ? 1 : 0));
        Value result = inst_result(in, 0);
        eval_array((Op)in->op, from, value_dtype(f, result), in->attr.kind, args, in->arg_count,
                   (uint64_t *)(uintptr_t)it->values[result.i], c->row);
    }
}

// One index: `values` point to its rows.
static void combine_step(Interp *it, Combine *c, const uint64_t *const *values,
                         const uint64_t *mask, size_t at)
{
    const Func *f = it->f;
    bool before = (c->in->flags & INST_EXCLUSIVE) != 0;
    for (unsigned k = 0; k < c->width; k++) {
        it->values[region_arg(f, c->body, k).i] = c->state[k];
        it->values[region_arg(f, c->body, c->width + k).i] = values[k] + at;
    }
    region_run(it, c);
    const Inst *yield = inst_at(f, region_at(f, c->body)->last);
    for (unsigned k = 0; k < c->width; k++) {
        const uint64_t *fresh = it->values[inst_arg(f, yield, k).i];
        for (size_t i = 0; i < c->row; i++)
            c->next[k][i] = !mask || mask[at + i] ? fresh[i] : c->state[k][i];
        if (c->out)
            memcpy(c->out[k] + at, before ? c->state[k] : c->next[k], c->row * sizeof **c->out);
    }
    uint64_t **swap = c->state;
    c->state = c->next;
    c->next = swap;
}

// All indices in `chunk`, in order.
static void combine_chunk(Interp *it, Combine *c, const Box *chunk)
{
    const Func *f = it->f;
    AxisSet over = c->in->attr.bits, set = over | c->left;
    Value own = inst_mask(f, c->in);
    const uint64_t **values = (const uint64_t **)(void *)stack_words(&it->stack, c->width);
    for (unsigned k = 0; k < c->width; k++)
        values[k] = value_spread(it, chunk, inst_arg(f, c->in, c->width + k), set);
    const uint64_t *mask = own.i ? value_spread(it, chunk, own, set) : NULL;
    size_t count = box_count(chunk, over);
    for (size_t r = 0; r < count && !it->trapped; r++) {
        size_t turn = c->in->flags & INST_REVERSE ? count - 1 - r : r;
        combine_step(it, c, values, mask, turn * c->row);
    }
}

// A row for each index of the axis becomes an array over the full box.
static const uint64_t *scan_layout(Interp *it, const Box *all, AxisSet set, const uint64_t *rows)
{
    int64_t from[AXES_MAX], to[AXES_MAX];
    size_t count = box_count(&it->full, set);
    uint64_t *result = stack_words(&it->stack, count);
    box_strides(all, set, from);
    box_strides(&it->full, set, to);
    for (size_t i = 0; i < count; i++) {
        int64_t at = 0;
        for (AxisSet rest = set; rest; rest &= rest - 1) {
            unsigned a = (unsigned)__builtin_ctzll(rest);
            at += (int64_t)i / to[a] % it->full.size[a] * from[a];
        }
        result[i] = rows[at];
    }
    return result;
}

void combine_exec(Interp *it, const Inst *in)
{
    const Func *f = it->f;
    bool scans = in->attr.kind == COMBINE_SCAN;
    Combine c = {.in = in, .body = inst_region(in, 0), .width = combine_width(in)};
    c.left = value_axes(f, inst_result(in, in->result_count - 1u));
    Box all;
    reduce_box(it, &it->full, in->attr.bits, c.left, &all);
    c.row = box_count(&all, c.left);
    combine_begin(it, &c, &all);
    size_t indices = box_count(&all, in->attr.bits);
    if (scans) c.out = rows_make(it, c.width, indices * c.row);
    bool whole = scans || (in->flags & INST_REVERSE);
    int64_t elements = c.row < CHUNK_MAX ? CHUNK_MAX / (int64_t)(c.row ? c.row : 1) : 1;
    Chunks chunks;
    for (bool more =
             c.row && chunks_first(&chunks, &all, in->attr.bits, whole ? INT64_MAX : elements);
         more && !it->trapped; more = chunks_next(&chunks)) {
        StackMark mark = stack_mark(&it->stack);
        chunks.box.memo = box_memo(it);
        combine_chunk(it, &c, &chunks.box);
        stack_release(&it->stack, mark);
    }
    for (unsigned k = 0; k < c.width; k++) {
        unsigned last = scans ? c.width + k : k;
        if (scans)
            it->values[inst_result(in, k).i] =
                scan_layout(it, &all, c.left | in->attr.bits, c.out[k]);
        it->values[inst_result(in, last).i] = c.state[k];
    }
}

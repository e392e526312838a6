// Asks early for what the CPU's own prefetchers do not foresee: they follow consecutive lines
// within a page, but not far enough where there is much to compute of each line; and neither rows
// of far strides nor the row that comes after the passes over this one.
//
//   n { load x (n) }                      for n: load x (..); prefetch x (.. + 4096 bytes)
//   m { load x (m * N + n) }              for m: load x (..); prefetch x (.. + 8 * N)
//   i { n { max }  n { sum }  n { y } }   one of the passes over row i asks for row i + 1
//   m by 6 { k { .. } store c }           the loop asks for what comes next (prefetch_block.c)
//
// Which pass: the one that leaves the least time in all, when a pass over a line takes as long as
// its arithmetic or the memory behind it, whichever is longer. Only tensors that leave the second
// cache are asked for, of them whole lines, and never what the Config's prefetch_T = 0 names.
#include "passes/prefetch.h"

enum {
    LINE = 64,
    NEAR = 512,
    BYTES_AHEAD = 4096,
    LINES_AHEAD = 48,
    ITERATIONS_MOST = 16,
    SUMS_LEAST = 16,
    ROWS_SEEN = 64,
    DEPTH = 24,
    PASSES_MOST = 32
};
// Cycles for a line of this size from and to memory. Their proportion to arithmetic is what counts.
static const double READ_CYCLES = 14, WRITE_CYCLES = 9, BOTH_CYCLES = 20;
static const double BUSY_CYCLES = 4; // of arithmetic: then the CPU does not look far ahead itself

typedef struct Pass { // an innermost loop
    InstId loop;
    double cycles; // of arithmetic, an iteration
    unsigned stores;
} Pass;

// How much v grows with the index, all else equal. False if it is not known or not constant.
static bool slope(const Func *f, Value v, Value index, Region inside, int depth, int64_t *out)
{
    int64_t a, b, factor;
    *out = v.i == index.i;
    if (*out || !value_inside(f, v, inside)) return true;
    const Inst *in = value_def(f, v);
    if (in && in->op == OP_CONST) return true;
    bool known = in && depth && (in->op == OP_ADD || in->op == OP_SUB || in->op == OP_MUL);
    if (!known) return in == NULL; // another loop's index or carried value: held still
    if (!slope(f, inst_arg(f, in, 0), index, inside, depth - 1, &a) ||
        !slope(f, inst_arg(f, in, 1), index, inside, depth - 1, &b))
        return false;
    if (in->op == OP_ADD) return !__builtin_add_overflow(a, b, out);
    if (in->op == OP_SUB) return !__builtin_sub_overflow(a, b, out);
    if (!a && !b) return true;
    return value_const_int(f, inst_arg(f, in, 1), &factor) &&
           !__builtin_mul_overflow(a, factor, out);
}

int64_t prefetch_advance(const Func *f, const Inst *access, const Inst *loop)
{
    int64_t step = 1, by, bytes;
    Region body = inst_region(loop, 0);
    Value offset = inst_arg(f, access, access->op == OP_STORE ? 1 : 0);
    if (loop->op == OP_FOR && !value_const_int(f, inst_arg(f, loop, 2), &step)) return 0;
    if (!region_at(f, body)->arg_count ||
        !slope(f, offset, region_arg(f, body, 0), body, DEPTH, &by))
        return 0;
    unsigned bits = dtype_info[mem_at(f, (Mem){access->attr.ref})->dtype].bits;
    return __builtin_mul_overflow(by, step * (int64_t)bits / 8, &bytes) ? 0 : bytes;
}

static bool is_large_load(const Prefetcher *p, const Inst *in)
{
    return in->op == OP_LOAD && p->large[in->attr.ref];
}

// Of scalars, many would ask for one line.
static bool is_row_load(const Prefetcher *p, const Inst *in)
{
    return is_large_load(p, in) && value_type(p->f, inst_result(in, 0)).lanes > 1;
}

// Of several loads of one line the first: the others are the same, or lie a part of a line behind.
static bool begins_line(const Func *f, const Inst *load)
{
    Value offset = inst_arg(f, load, 0);
    const Inst *at = value_def(f, offset);
    int64_t plus;
    for (InstId id = load->prev; id.i; id = inst_at(f, id)->prev) {
        const Inst *in = inst_at(f, id);
        bool same = in->op == OP_LOAD && in->attr.ref == load->attr.ref;
        if (same && inst_arg(f, in, 0).i == offset.i) return false;
    }
    if (!at || at->op != OP_ADD || !value_const_int(f, inst_arg(f, at, 1), &plus)) return true;
    return plus * dtype_info[mem_at(f, (Mem){load->attr.ref})->dtype].bits / 8 % LINE == 0;
}

static void prefetch_at(Prefetcher *p, InstId load, int64_t bytes)
{
    const Inst in = *inst_at(p->f, load);
    unsigned bits = dtype_info[mem_at(p->f, (Mem){in.attr.ref})->dtype].bits;
    Builder b = {p->f, in.parent, load, in.span};
    Value at = build_op2(&b, OP_ADD, inst_arg(p->f, &in, 0), build_i64(&b, bytes * 8 / bits));
    build_inst(&b, OP_PREFETCH,
               (BuildSpec){.args = &at, .arg_count = 1, .attr = {.ref = in.attr.ref}});
    p->changed = true;
}

// ---- far strides

// A loop that computes much of each line waits for none: the CPU looks far enough ahead, and more
// lines on their way would displace those that it is about to use.
static bool packs_on_the_way(const Func *f, const Inst *loop)
{
    unsigned sums = 0;
    for (unsigned k = 0; k < loop->result_count; k++)
        sums += value_type(f, inst_result(loop, k)).lanes > 1;
    for_each_inst(f, inst_region(loop, 0), id)
        if (inst_at(f, id)->op == OP_STORE) return sums >= SUMS_LEAST;
    return false;
}

// A few rows, of each of which the next piece is what the next turn of `outer` takes: the CPU sees
// so many rows of consecutive lines itself, if they are long.
static bool is_seen(const Prefetcher *p, InstId loop, InstId outer, unsigned lines)
{
    const Func *f = p->f;
    int64_t trips = prefetch_trips(f, inst_at(f, loop));
    if (inst_at(f, outer)->op != OP_FOR || !trips || trips > ROWS_SEEN) return false;
    int64_t turns = prefetch_trips(f, inst_at(f, outer));
    for_each_inst(f, inst_region(inst_at(f, loop), 0), id) {
        const Inst *in = inst_at(f, id);
        if (!is_large_load(p, in) || !begins_line(f, in)) continue;
        int64_t by = prefetch_advance(f, in, inst_at(f, outer));
        if (by <= 0 || by > lines * LINE || by * turns < BYTES_AHEAD) return false;
    }
    return true;
}

static void prefetch_far(Prefetcher *p, InstId loop, InstId outer)
{
    Func *f = p->f;
    Region body = inst_region(inst_at(f, loop), 0);
    if (packs_on_the_way(f, inst_at(f, loop))) return;
    unsigned lines = 0;
    for_each_inst(f, body, id) {
        const Inst *in = inst_at(f, id);
        lines += is_large_load(p, in) && begins_line(f, in);
    }
    if (!lines || is_seen(p, loop, outer, lines)) return;
    int64_t ahead = LINES_AHEAD / lines;
    ahead = ahead < 1 ? 1 : ahead > ITERATIONS_MOST ? ITERATIONS_MOST : ahead;
    for_each_inst(f, body, id) {
        const Inst *in = inst_at(f, id);
        if (!is_large_load(p, in) || !begins_line(f, in)) continue;
        int64_t by = prefetch_advance(f, in, inst_at(f, loop));
        if (by >= NEAR || -by >= NEAR) prefetch_at(p, id, by * ahead);
    }
}

// ---- consecutive lines

// Whether what follows the loop's lines in memory is what comes next, or far away enough.
static bool runs_on(const Prefetcher *p, const Inst *load, InstId loop, InstId outer, int64_t by)
{
    int64_t bytes = by * prefetch_trips(p->f, inst_at(p->f, loop));
    return !bytes || bytes >= 2 * BYTES_AHEAD ||
           prefetch_advance(p->f, load, inst_at(p->f, outer)) == bytes;
}

static void prefetch_near(Prefetcher *p, InstId load, InstId loop, InstId outer)
{
    const Inst *in = inst_at(p->f, load);
    int64_t by = prefetch_advance(p->f, in, inst_at(p->f, loop));
    if (by >= LINE && by < NEAR && begins_line(p->f, in) && runs_on(p, in, loop, outer, by))
        prefetch_at(p, load, BYTES_AHEAD);
}

// ---- the next row

static double cycles_of(const Inst *in)
{
    if (in->op >= OP_EXP && in->op <= OP_POW) return 8;
    if (in->op == OP_DIV || in->op == OP_RCP || in->op == OP_SQRT || in->op == OP_RSQRT) return 4;
    return op_info[in->op].traits & TRAIT_PURE ? 0.5 : 0.25;
}

static Pass pass_of(const Func *f, InstId loop)
{
    Pass pass = {.loop = loop};
    for_each_inst(f, inst_region(inst_at(f, loop), 0), id) {
        const Inst *in = inst_at(f, id);
        if (in->result_count && value_type(f, inst_result(in, 0)).lanes < 2) continue;
        pass.cycles += cycles_of(in);
        pass.stores += in->op == OP_STORE && mem_at(f, (Mem){in->attr.ref})->kind != MEM_SCRATCH;
    }
    return pass;
}

static bool same_row(const Prefetcher *p, const Pass *pass, const Inst *load, const Inst *outer,
                     int64_t row, unsigned *lines)
{
    *lines = 0;
    for_each_inst(p->f, inst_region(inst_at(p->f, pass->loop), 0), id) {
        const Inst *in = inst_at(p->f, id);
        bool same = is_row_load(p, in) && in->attr.ref == load->attr.ref &&
                    prefetch_advance(p->f, in, outer) == row;
        *lines += same && begins_line(p->f, in);
    }
    return *lines > 0;
}

static unsigned lines_of(const Prefetcher *p, InstId loop)
{
    unsigned lines = 0;
    for_each_inst(p->f, inst_region(inst_at(p->f, loop), 0), id) {
        const Inst *in = inst_at(p->f, id);
        lines += is_row_load(p, in) && begins_line(p->f, in);
    }
    return lines;
}

static double longer(double a, double b)
{
    return a > b ? a : b;
}

// Cycles for a line of the row in all passes, when pass `at` asks for the next one.
static double total(const Pass *passes, unsigned count, unsigned at, unsigned lines)
{
    double sum = 0;
    for (unsigned k = 0; k < count; k++) {
        double memory = k != at            ? passes[k].stores ? WRITE_CYCLES : 0
                        : passes[k].stores ? BOTH_CYCLES
                                           : READ_CYCLES;
        sum += longer(passes[k].cycles / lines, memory);
    }
    return sum;
}

int64_t prefetch_trips(const Func *f, const Inst *loop)
{
    int64_t lo = 0, hi, step;
    Value first = inst_arg(f, loop, 0), end = inst_arg(f, loop, 1);
    const Inst *sum = value_def(f, end);
    bool block = sum && sum->op == OP_ADD && inst_arg(f, sum, 0).i == first.i;
    bool known = value_const_int(f, block ? inst_arg(f, sum, 1) : end, &hi) &&
                 (block || value_const_int(f, first, &lo)) &&
                 value_const_int(f, inst_arg(f, loop, 2), &step) && step > 0;
    return known && hi > lo ? (hi - lo + step - 1) / step : 0;
}

// False: the rows are not taken one after the other.
static bool prefetch_row(Prefetcher *p, const Pass *passes, unsigned count, unsigned first,
                         InstId load, InstId outer)
{
    const Func *f = p->f;
    const Inst *in = inst_at(f, load), *loop = inst_at(f, passes[first].loop);
    int64_t row = prefetch_advance(f, in, inst_at(f, outer)), by = prefetch_advance(f, in, loop);
    int64_t bytes = by * prefetch_trips(f, loop);
    bool walks = by >= LINE / 4 && by < 64 * LINE && row >= bytes && bytes >= 4 * LINE &&
                 bytes <= p->context->machine->l2_bytes / 4;
    if (!walks) return false;
    unsigned best = count, lines = 0, own;
    for (unsigned k = first; k < count; k++) {
        if (!same_row(p, &passes[k], in, inst_at(f, outer), row, &own)) continue;
        if (best == count) lines = own;
        if (best == count || total(passes, count, k, lines) < total(passes, count, best, lines))
            best = k;
    }
    for_each_inst(f, inst_region(inst_at(f, passes[best].loop), 0), id) {
        const Inst *other = inst_at(f, id);
        bool same = is_row_load(p, other) && other->attr.ref == in->attr.ref &&
                    begins_line(f, other) && prefetch_advance(f, other, inst_at(f, outer)) == row;
        if (same) prefetch_at(p, id, row);
    }
    return true;
}

// The passes over a row: loops side by side in the body of `outer`. Each tensor is asked for once.
// Where there is one pass, or rows are too long to keep, the lines that follow come next.
static void prefetch_rows(Prefetcher *p, Region r, InstId outer)
{
    Func *f = p->f;
    Pass passes[PASSES_MOST];
    unsigned count = 0;
    for_each_inst(f, r, id) {
        const Inst *in = inst_at(f, id);
        bool inner = in->op == OP_FOR && !region_has_loop(f, inst_region(in, 0));
        if (inner && count < PASSES_MOST) passes[count++] = pass_of(f, id);
    }
    bool *asked = arena_array(p->context->arena, bool, f->mems.count + 1);
    for (unsigned k = 0; k < count; k++) {
        bool ahead =
            !passes[k].stores || passes[k].cycles >= BUSY_CYCLES * lines_of(p, passes[k].loop);
        for_each_inst(f, inst_region(inst_at(f, passes[k].loop), 0), id) {
            const Inst *in = inst_at(f, id);
            if (!is_row_load(p, in) || asked[in->attr.ref]) continue;
            asked[in->attr.ref] = count > 1 && prefetch_row(p, passes, count, k, id, outer);
            if (!asked[in->attr.ref] && ahead) prefetch_near(p, id, passes[k].loop, outer);
        }
    }
}

static void walk(Prefetcher *p, Region r, InstId outer)
{
    for_each_inst(p->f, r, id) {
        const Inst *in = inst_at(p->f, id);
        bool innermost = in->op == OP_FOR && !region_has_loop(p->f, inst_region(in, 0));
        if (innermost) prefetch_far(p, id, outer);
        if (innermost && outer.i) prefetch_block(p, id, outer);
        for (unsigned k = 0; k < inst_at(p->f, id)->region_count && !innermost; k++) {
            bool loops = in->op == OP_FOR || in->op == OP_PHASE;
            walk(p, inst_region(inst_at(p->f, id), k), loops ? id : outer);
        }
    }
    if (outer.i) prefetch_rows(p, r, outer);
}

static int64_t bytes_of(const Func *f, Mem mem)
{
    InstId decl = mem_at(f, mem)->decl;
    int64_t elements = 1, size;
    for (unsigned k = 0; decl.i && k < inst_at(f, decl)->arg_count; k++) {
        if (!value_const_int(f, inst_arg(f, inst_at(f, decl), k), &size) ||
            __builtin_mul_overflow(elements, size, &elements))
            return 0;
    }
    return decl.i ? dtype_bytes(mem_at(f, mem)->dtype, elements) : 0;
}

bool pass_prefetch(Func *f, const PassContext *context)
{
    const Machine *machine = context->machine;
    if (!machine || machine->is_gpu_style) return false;
    bool *large = arena_array(context->arena, bool, f->mems.count + 1);
    bool *wanted = arena_array(context->arena, bool, f->mems.count + 1);
    int64_t all = 0;
    for (uint32_t m = 1; m < f->mems.count; m++) {
        const MemInfo *mem = mem_at(f, (Mem){m});
        bool callers = mem->kind == MEM_IN || mem->kind == MEM_INOUT || mem->kind == MEM_OUT;
        wanted[m] = callers && dtype_info[mem->dtype].bits >= 8 &&
                    config_get_axis(context->config, "prefetch", mem->name, 1) &&
                    !config_get_axis(context->config, "stream", mem->name, 0);
        int64_t bytes = bytes_of(f, (Mem){m});
        large[m] = wanted[m] && mem->kind != MEM_OUT && bytes > machine->l2_bytes;
        if (callers && __builtin_add_overflow(all, bytes, &all)) all = INT64_MAX;
    }
    if (all <= machine->l2_bytes) return false;
    Prefetcher p = {.f = f, .context = context, .large = large, .wanted = wanted};
    for_each_inst(f, f->body, id) {
        if (inst_at(f, id)->op != OP_PHASE) continue;
        p.phase = id;
        walk(&p, inst_region(inst_at(f, id), 0), id);
    }
    return p.changed;
}

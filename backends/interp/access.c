// Memory: which elements a load, store or fold means, whether they are there, and moving them.
#include "backends/interp/state.h"

// The elements that an instruction touches in a box, in the box's layout over `set`.
typedef struct Access {
    Mem mem;
    AxisSet set;
    size_t count;
    uint64_t *offset;     // in elements from element (0, ..., 0), through the frame's strides
    uint64_t *row_major;  // number of the element in the tensor's logical order
    const uint64_t *mask; // NULL: all
} Access;

void trap_set(Interp *it, int64_t site, int64_t index, int64_t bound)
{
    it->trapped = true;
    if (it->frame->trap->state) return;
    *it->frame->trap = (Trap){.state = 2, .site = site, .index = index, .bound = bound};
}

// The site that the pass `bounds` made for a position of this access; -1 if there is none, that is
// if the access was not marked as needing a check.
static int64_t bounds_site(const Interp *it, const Inst *in, unsigned position)
{
    int64_t found = -1;
    for (uint32_t s = 0; s < it->f->sites.count; s++) {
        const SiteInfo *site = &it->f->sites.data[s];
        if (site->kind != SITE_BOUNDS || site->mem.i != in->attr.ref || site->position != position)
            continue;
        bool here = site->span.line == in->span.line && site->span.column == in->span.column;
        if (here) return s;
        found = found < 0 ? (int64_t)s : found;
    }
    return found;
}

// Traps if a lane in which the mask holds has an index outside of 0 .. bound. Most often no lane at
// all has.
static void index_check(Interp *it, const Box *box, const Inst *in, const Access *access,
                        unsigned position, Value v, int64_t bound)
{
    AxisSet own = value_axes(it->f, v);
    const uint64_t *index = value_fetch(it, box, v);
    size_t count = box_count(box, own), i = 0;
    while (i < count && index[i] < (uint64_t)bound) {
        i++;
    }
    if (i == count) return;
    index = box_expand(it, box, own, index, access->set);
    for (i = 0; i < access->count; i++) {
        if (index[i] < (uint64_t)bound || (access->mask && !access->mask[i])) continue;
        trap_set(it, bounds_site(it, in, position), (int64_t)index[i], bound);
        return;
    }
}

// sum += index * scale over the access's axes.
static void index_add(Interp *it, const Box *box, const Access *access, Value v, int64_t scale,
                      uint64_t *sum)
{
    AxisSet own = value_axes(it->f, v);
    const uint64_t *index = value_fetch(it, box, v);
    size_t count = box_count(box, own);
    uint64_t *scaled = stack_words(&it->stack, count);
    for (size_t i = 0; i < count; i++) {
        scaled[i] = index[i] * (uint64_t)scale;
    }
    box_add_expanded(box, own, scaled, access->set, sum);
}

static uint64_t *zeros(Interp *it, size_t count)
{
    uint64_t *result = stack_words(&it->stack, count);
    memset(result, 0, count * sizeof *result);
    return result;
}

// `first` is the number of the first index operand. False after a trap.
static bool access_make(Interp *it, const Box *box, const Inst *in, unsigned first, AxisSet set,
                        Access *access)
{
    Mem mem = {in->attr.ref};
    const int64_t *strides = it->frame->strides + mem.i * RANK_MAX,
                  *extents = it->extents + mem.i * RANK_MAX;
    bool logical = it->folds[mem.i].sums || (it->marks && it->marks[mem.i]);
    Value mask = inst_mask(it->f, in);
    *access = (Access){.mem = mem, .set = set, .count = box_count(box, set)};
    access->mask = mask.i ? value_spread(it, box, mask, set) : NULL;
    access->offset = zeros(it, access->count);
    access->row_major = logical ? zeros(it, access->count) : NULL;
    int64_t pitch = 1;
    for (unsigned p = mem_at(it->f, mem)->rank; p-- > 0;) {
        Value index = inst_arg(it->f, in, first + p);
        index_check(it, box, in, access, p, index, extents[p]);
        index_add(it, box, access, index, strides[p], access->offset);
        if (logical) {
            index_add(it, box, access, index, pitch, access->row_major);
            pitch *= extents[p];
        }
    }
    return !it->trapped;
}

static uint64_t element_load(DType t, const void *base, int64_t at)
{
    uint32_t word;
    uint64_t bits;
    if (t == DTYPE_F32) {
        memcpy(&word, (const char *)base + at * 4, sizeof word);
        return word;
    }
    if (t == DTYPE_I64 || t == DTYPE_F64) {
        memcpy(&bits, (const char *)base + at * 8, sizeof bits);
        return bits;
    }
    return storage_load(t, base, at);
}

const uint64_t *load_compute(Interp *it, const Box *box, const Inst *in)
{
    Access access;
    AxisSet set = value_axes(it->f, inst_result(in, 0));
    if (!access_make(it, box, in, 0, set, &access)) return zeros(it, access.count);
    DType t = mem_at(it->f, access.mem)->dtype;
    const void *base = it->frame->mems[access.mem.i];
    uint64_t *result = access.offset; // each element replaces its offset
    for (size_t i = 0; i < access.count; i++) {
        bool on = !access.mask || access.mask[i];
        result[i] = on ? element_load(t, base, (int64_t)access.offset[i]) : 0;
    }
    return result;
}

static void store_chunk(Interp *it, const Box *box, const Inst *in, AxisSet set)
{
    Access access;
    const uint64_t *value = value_spread(it, box, inst_arg(it->f, in, 0), set);
    if (!access_make(it, box, in, 1, set, &access)) return;
    DType t = mem_at(it->f, access.mem)->dtype;
    void *base = it->frame->mems[access.mem.i];
    uint8_t *marks = it->marks ? it->marks[access.mem.i] : NULL;
    for (size_t i = 0; i < access.count; i++) {
        if (access.mask && !access.mask[i]) continue;
        storage_store(t, base, (int64_t)access.offset[i], value[i]);
        if (marks) {
            marks[access.row_major[i]] = it->phase;
        }
    }
}

static void fold_chunk(Interp *it, const Box *box, const Inst *in, AxisSet set)
{
    Access access;
    Value v = inst_arg(it->f, in, 0);
    const uint64_t *value = value_spread(it, box, v, set);
    if (!access_make(it, box, in, 1, set, &access)) return;
    DType t = value_dtype(it->f, v), wide = dtype_is_float(t) ? DTYPE_F64 : t;
    uint64_t *sums = it->folds[access.mem.i].sums;
    for (size_t i = 0; i < access.count; i++) {
        if (access.mask && !access.mask[i]) continue;
        uint64_t x =
            t == DTYPE_F32 ? scalar_from_double(wide, scalar_to_double(t, value[i])) : value[i];
        uint64_t *sum = &sums[access.row_major[i]];
        *sum = reduce_combine((ReduceKind)in->attr.kind, wide, *sum, x);
    }
}

// Runs `chunk` over all lanes of the instruction's operands. What a load reads of memory that this
// phase writes is stored before (it is never lazy), so that going chunk by chunk cannot be
// observed.
static void exec_chunks(Interp *it, const Inst *in,
                        void (*chunk)(Interp *it, const Box *box, const Inst *in, AxisSet set))
{
    AxisSet set = 0;
    for (unsigned k = 0; k < in->arg_count; k++) {
        set |= value_axes(it->f, inst_arg(it->f, in, k));
    }
    Chunks chunks;
    for (bool more = chunks_first(&chunks, &it->full, set, STORED_MAX); more && !it->trapped;
         more = chunks_next(&chunks)) {
        StackMark mark = stack_mark(&it->stack);
        chunks.box.memo = box_memo(it);
        chunk(it, &chunks.box, in, set);
        stack_release(&it->stack, mark);
    }
}

void exec_store(Interp *it, const Inst *in)
{
    exec_chunks(it, in, store_chunk);
}
void exec_fold(Interp *it, const Inst *in)
{
    exec_chunks(it, in, fold_chunk);
}

// What element `at` of a line holds once it is combined with the value's bits (of the arithmetic
// type).
static void element_update(uint32_t kind, DType t, void *base, int64_t at, const uint64_t *value)
{
    DType arith = dtype_info[t].arith;
    uint64_t old = storage_load(t, base, at), next = value[0];
    if (atomic_is_update(kind)) next = reduce_combine((ReduceKind)kind, arith, old, value[0]);
    if (kind == ATOMIC_CAS) {
        uint64_t expected[2] = {0}; // as a store would leave it
        storage_store(t, expected, 0, value[0]);
        if (storage_load(t, expected, 0) != old) return;
        next = value[1];
    }
    storage_store(t, base, at, next);
}

// One lane after the other. Gives out what was there if `old` is given.
static void atomic_chunk(Interp *it, const Box *box, const Inst *in, AxisSet set, uint64_t *old)
{
    Access access;
    unsigned values = in->attr.kind == ATOMIC_CAS ? 2 : 1;
    const uint64_t *value = value_spread(it, box, inst_arg(it->f, in, 0), set),
                   *desired =
                       values > 1 ? value_spread(it, box, inst_arg(it->f, in, 1), set) : value;
    if (!access_make(it, box, in, values, set, &access)) return;
    DType t = mem_at(it->f, access.mem)->dtype;
    void *base = it->frame->mems[access.mem.i];
    for (size_t i = 0; i < access.count; i++) {
        bool on = !access.mask || access.mask[i];
        old[i] = on ? storage_load(t, base, (int64_t)access.offset[i]) : 0;
        uint64_t both[2] = {value[i], desired[i]};
        if (on) element_update(in->attr.kind, t, base, (int64_t)access.offset[i], both);
    }
}

// Chunks come in the order of the result's elements.
void exec_atomic(Interp *it, const Inst *in)
{
    Value result = inst_result(in, 0);
    AxisSet set = value_axes(it->f, result);
    uint64_t *old = stack_words(&it->stack, box_count(&it->full, set));
    it->values[result.i] = old;
    Chunks chunks;
    for (bool more = chunks_first(&chunks, &it->full, set, STORED_MAX); more && !it->trapped;
         more = chunks_next(&chunks)) {
        StackMark mark = stack_mark(&it->stack);
        chunks.box.memo = box_memo(it);
        atomic_chunk(it, &chunks.box, in, set, old);
        old += box_count(&chunks.box, set);
        stack_release(&it->stack, mark);
    }
}

// Operands: ok [, index, bound] [, mask].
static void check_chunk(Interp *it, const Box *box, const Inst *in, AxisSet set)
{
    Value mask = inst_mask(it->f, in);
    const uint64_t *ok = value_spread(it, box, inst_arg(it->f, in, 0), set);
    const uint64_t *on = mask.i ? value_spread(it, box, mask, set) : NULL;
    bool told = inst_plain_args(in) == 3;
    for (size_t i = 0, count = box_count(box, set); i < count; i++) {
        if (ok[i] || (on && !on[i])) continue;
        int64_t index = told ? (int64_t)value_spread(it, box, inst_arg(it->f, in, 1), set)[i] : 0;
        int64_t bound = told ? (int64_t)value_spread(it, box, inst_arg(it->f, in, 2), set)[i] : 0;
        trap_set(it, in->attr.ref, index, bound);
        return;
    }
}

void exec_check(Interp *it, const Inst *in)
{
    exec_chunks(it, in, check_chunk);
}

static void print_chunk(Interp *it, const Box *box, const Inst *in, AxisSet set)
{
    Value mask = inst_mask(it->f, in);
    const uint64_t *on = mask.i ? value_spread(it, box, mask, set) : NULL;
    unsigned count = inst_plain_args(in);
    const uint64_t **values = (const uint64_t **)(void *)stack_words(&it->stack, count + 1);
    uint64_t *line = stack_words(&it->stack, count + 1);
    for (unsigned k = 0; k < count; k++)
        values[k] = value_spread(it, box, inst_arg(it->f, in, k), set);
    for (size_t i = 0, lanes = box_count(box, set); i < lanes; i++) {
        if (on && !on[i]) continue;
        for (unsigned k = 0; k < count; k++) line[k] = values[k][i];
        it->frame->printer->line(it->frame->printer->self, in->attr.ref, line);
    }
}

void exec_print(Interp *it, const Inst *in)
{
    if (it->frame->printer) exec_chunks(it, in, print_chunk);
}

// Moves one element of a fold's target, given by its number in logical order, between memory and
// the sums.
static void fold_element(Interp *it, Mem mem, size_t number, bool load)
{
    const MemInfo *info = mem_at(it->f, mem);
    DType arith = dtype_info[info->dtype].arith;
    int64_t offset = 0;
    size_t rest = number;
    for (unsigned p = info->rank; p-- > 0;) {
        size_t extent = (size_t)it->extents[mem.i * RANK_MAX + p];
        offset += (int64_t)(rest % extent) * it->frame->strides[mem.i * RANK_MAX + p];
        rest /= extent;
    }
    uint64_t *sum = &it->folds[mem.i].sums[number];
    void *base = it->frame->mems[mem.i];
    if (load) {
        uint64_t bits = storage_load(info->dtype, base, offset);
        *sum = arith == DTYPE_F32 ? scalar_from_double(DTYPE_F64, scalar_to_double(arith, bits))
                                  : bits;
        return;
    }
    uint64_t bits =
        arith == DTYPE_F32 ? scalar_from_double(arith, scalar_to_double(DTYPE_F64, *sum)) : *sum;
    storage_store(info->dtype, base, offset, bits);
}

void fold_begin(Interp *it, Mem mem, ReduceKind kind, bool keep)
{
    const MemInfo *info = mem_at(it->f, mem);
    DType arith = dtype_info[info->dtype].arith;
    FoldTarget *fold = &it->folds[mem.i];
    fold->count = 1;
    for (unsigned p = 0; p < info->rank; p++) {
        fold->count *= (size_t)it->extents[mem.i * RANK_MAX + p];
    }
    fold->sums = stack_words(&it->stack, fold->count);
    uint64_t identity = reduce_identity(kind, dtype_is_float(arith) ? DTYPE_F64 : arith);
    for (size_t i = 0; i < fold->count; i++) {
        fold->sums[i] = identity;
        if (keep) {
            fold_element(it, mem, i, true);
        }
    }
}

void fold_end(Interp *it, Mem mem, bool keep)
{
    for (size_t i = 0; i < it->folds[mem.i].count && keep; i++) {
        fold_element(it, mem, i, false);
    }
    it->folds[mem.i] = (FoldTarget){0};
}

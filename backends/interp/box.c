// Boxes: where the elements of a value lie, copying them between layouts, chunks, and the memory of
// values.
#include "backends/interp/state.h"

#include <stdlib.h>

uint64_t *stack_words(Stack *stack, size_t words)
{
    words = (words + 7) & ~(size_t)7;
    for (; stack->at < stack->parts.count; stack->at++, stack->used = 0) {
        StackPart *part = &stack->parts.data[stack->at];
        if (part->capacity - stack->used >= words) {
            stack->used += words;
            return part->data + stack->used - words;
        }
    }
    size_t capacity = words > (size_t)1 << 17 ? words : (size_t)1 << 17;
    StackPart part = {.data = arena_array(stack->arena, uint64_t, capacity), .capacity = capacity};
    vec_push(stack->arena, &stack->parts, part);
    stack->used = words;
    return part.data;
}

StackMark stack_mark(const Stack *stack)
{
    return (StackMark){.at = stack->at, .used = stack->used};
}

void stack_release(Stack *stack, StackMark mark)
{
    stack->at = mark.at;
    stack->used = mark.used;
}

size_t box_count(const Box *box, AxisSet set)
{
    size_t count = 1;
    for (; set; set &= set - 1) {
        count *= (size_t)box->size[__builtin_ctzll(set)];
    }
    return count;
}

void box_strides(const Box *box, AxisSet set, int64_t *strides)
{
    int64_t stride = 1;
    for (unsigned k = box->count; k-- > 0;) {
        unsigned a = box->order[k];
        strides[a] = 0;
        if (set >> a & 1) {
            strides[a] = stride;
            stride *= box->size[a];
        }
    }
}

// The axes `to` of a box as nested loops over one strided source, outermost first; loops that run
// on in each other are one.
typedef struct Nest {
    unsigned rank;
    int64_t size[AXES_MAX], stride[AXES_MAX];
} Nest;

static void nest_make(Nest *nest, const Box *box, AxisSet to, const int64_t *strides)
{
    nest->rank = 0;
    for (unsigned k = 0; k < box->count; k++) {
        unsigned a = box->order[k];
        if (!(to >> a & 1) || box->size[a] == 1) continue;
        unsigned last = nest->rank - 1;
        if (nest->rank && nest->stride[last] == strides[a] * box->size[a]) {
            nest->size[last] *= box->size[a];
            nest->stride[last] = strides[a];
            continue;
        }
        nest->size[nest->rank] = box->size[a];
        nest->stride[nest->rank++] = strides[a];
    }
}

// One line of the innermost loop.
static void line_copy(uint64_t *to, const uint64_t *from, int64_t stride, int64_t count)
{
    if (stride == 1) {
        memcpy(to, from, (size_t)count * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        to[i] = from[i * stride];
    }
}

static void line_add(uint64_t *to, const uint64_t *from, int64_t stride, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] += from[i * stride];
    }
}

static void nest_run(const Nest *nest, const uint64_t *from, uint64_t *to, bool add)
{
    int64_t at[AXES_MAX] = {0};
    unsigned inner = nest->rank ? nest->rank - 1 : 0;
    int64_t count = nest->rank ? nest->size[inner] : 1,
            stride = nest->rank ? nest->stride[inner] : 1;
    for (;;) {
        (add ? line_add : line_copy)(to, from, stride, count);
        to += count;
        unsigned k = inner;
        while (k > 0 && at[k - 1] + 1 == nest->size[k - 1]) {
            k--;
            from -= at[k] * nest->stride[k];
            at[k] = 0;
        }
        if (k == 0) return;
        at[k - 1]++;
        from += nest->stride[k - 1];
    }
}

const uint64_t *box_expand(Interp *it, const Box *box, AxisSet from, const uint64_t *data,
                           AxisSet to)
{
    if (from == to) return data;
    size_t count = box_count(box, to);
    uint64_t *result = stack_words(&it->stack, count);
    if (!count) return result;
    int64_t strides[AXES_MAX];
    Nest nest;
    box_strides(box, from, strides);
    nest_make(&nest, box, to, strides);
    nest_run(&nest, data, result, false);
    return result;
}

void box_add_expanded(const Box *box, AxisSet from, const uint64_t *data, AxisSet to, uint64_t *sum)
{
    if (!box_count(box, to)) return;
    int64_t strides[AXES_MAX];
    Nest nest;
    box_strides(box, from, strides);
    nest_make(&nest, box, to, strides);
    nest_run(&nest, data, sum, true);
}

static bool box_is_full(const Interp *it, const Box *box, AxisSet set)
{
    if (box == &it->full) return true;
    unsigned last = 0;
    for (unsigned k = 0; k < box->count; k++) {
        unsigned a = box->order[k];
        if (!(set >> a & 1)) continue;
        if (a < last || box->lo[a] != it->full.lo[a] || box->size[a] != it->full.size[a])
            return false;
        last = a;
    }
    return true;
}

const uint64_t *box_slice(Interp *it, const Box *box, AxisSet set, const uint64_t *whole)
{
    if (box_is_full(it, box, set)) return whole;
    size_t count = box_count(box, set);
    uint64_t *result = stack_words(&it->stack, count);
    if (!count) return result;
    int64_t strides[AXES_MAX];
    Nest nest;
    box_strides(&it->full, set, strides);
    for (AxisSet rest = set; rest; rest &= rest - 1) {
        unsigned a = (unsigned)__builtin_ctzll(rest);
        whole += (box->lo[a] - it->full.lo[a]) * strides[a];
    }
    nest_make(&nest, box, set, strides);
    nest_run(&nest, whole, result, false);
    return result;
}

const uint64_t **box_memo(Interp *it)
{
    _Static_assert(sizeof(void *) == sizeof(uint64_t), "pointers are stored as words");
    void *memo = stack_words(&it->stack, it->f->values.count);
    memset(memo, 0, it->f->values.count * sizeof(uint64_t));
    return memo;
}

bool chunks_first(Chunks *chunks, const Box *of, AxisSet set, int64_t elements)
{
    Box *box = &chunks->box;
    *box = *of;
    box->memo = NULL;
    chunks->of = of;
    chunks->set = set;
    for (unsigned k = box->count; k-- > 0;) {
        unsigned a = box->order[k];
        if (!(set >> a & 1)) continue;
        if (of->size[a] <= 0) return false;
        int64_t step = of->size[a] < elements ? of->size[a] : elements;
        box->size[a] = chunks->step[a] = step;
        elements /= step;
        if (elements < 1 || step < of->size[a]) elements = 1;
    }
    return true;
}

bool chunks_next(Chunks *chunks)
{
    Box *box = &chunks->box;
    for (unsigned k = box->count; k-- > 0;) {
        unsigned a = box->order[k];
        if (!(chunks->set >> a & 1)) continue;
        int64_t end = chunks->of->lo[a] + chunks->of->size[a], next = box->lo[a] + box->size[a];
        bool more = next < end;
        box->lo[a] = more ? next : chunks->of->lo[a];
        box->size[a] = end - box->lo[a] < chunks->step[a] ? end - box->lo[a] : chunks->step[a];
        if (more) return true;
    }
    return false;
}

// Memories of a launch: arguments, copies of those whose strides the code does not know, and
// workspaces in one block, which is kept for the next launch.
#include "runtime/aot/rt.h"

#include <stdlib.h>

enum { ALIGNMENT = 64 };
static const size_t KEPT_MOST = (size_t)64 << 20;

// ---- copies

static void put(const TensorView *to, const TensorView *from)
{
    int64_t index[RANK_MAX] = {0};
    unsigned bits = dtype_info[to->dtype].bits;
    if (view_is_empty(to)) return;
    do {
        int64_t a = view_offset(to, index), b = view_offset(from, index);
        if (bits < 8) {
            int code = element_int(from->dtype, from->data, b) & 15, shift = (int)(a & 1) * 4;
            unsigned char *byte = (unsigned char *)to->data + (a >> 1);
            *byte = (unsigned char)((*byte & ~(15 << shift)) | code << shift);
        } else {
            memcpy(to->data + a * (bits / 8), from->data + b * (bits / 8), bits / 8);
        }
    } while (view_next(to, index));
}

// The argument as the caller has it, and how it lies in the copy.
static void both_views(const Call *c, uint32_t m, TensorView *own, TensorView *copy)
{
    DiagCode code;
    char why[WHY_MOST];
    tensor_view(call_tensor(c, m), own, &code, why); // it was fine before
    *copy = *own;
    copy->data = c->copies[m];
    compact_strides(copy->dtype, copy->rank, copy->shape, copy->strides);
}

bool place_copy(Call *c, uint32_t m)
{
    TensorView *v = &c->views[m], own, copy;
    int64_t bytes = 0;
    if (c->copies[m]) return true;
    compact_bytes(v->dtype, v->rank, v->shape, &bytes);
    c->copies[m] = malloc((size_t)bytes + 1);
    if (!c->copies[m]) return call_fail(c, HAKO_MEMORY, DIAG_MEMORY, "out of memory");
    both_views(c, m, &own, &copy);
    put(&copy, &own); // of outputs too: not every element need be written
    v->data = c->copies[m];
    v->low = 0;
    v->high = bytes;
    compact_strides(v->dtype, v->rank, v->shape, v->strides);
    return true;
}

// ---- workspaces

static int64_t place_sizes(const Call *c, const AotPlace *place, int64_t *shape)
{
    int64_t bytes;
    for (uint32_t p = 0; p < place->rank; p++) shape[p] = (int64_t)c->counts[place->sizes + p];
    return compact_bytes((DType)place->dtype, place->rank, shape, &bytes) ? bytes : -1;
}

static bool workspace_bytes(const Call *c, size_t *total)
{
    const AotPlace *places = call_at(c, c->variant->places);
    *total = 0;
    for (uint32_t k = 0; k < c->variant->place_count; k++) {
        int64_t shape[RANK_MAX];
        if (places[k].absent || places[k].mem != AOT_NONE) continue;
        int64_t bytes = place_sizes(c, &places[k], shape);
        if (bytes < 0 || (size_t)bytes > PTRDIFF_MAX / 2 - *total) return false;
        *total += ((size_t)bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return true;
}

// One block that the last launch left.
static Block kept;
static volatile char kept_taken; // by __atomic_test_and_set

static bool block_take(Block *block, size_t bytes)
{
    if (!__atomic_test_and_set(&kept_taken, __ATOMIC_ACQUIRE)) {
        if (bytes <= kept.bytes) {
            *block = kept;
            kept = (Block){0};
        }
        __atomic_clear(&kept_taken, __ATOMIC_RELEASE);
    }
    return block->data || block_new(block, &rt_allocator, bytes);
}

static void block_leave(Block *block)
{
    if (block->bytes <= KEPT_MOST && !__atomic_test_and_set(&kept_taken, __ATOMIC_ACQUIRE)) {
        if (block->bytes > kept.bytes) {
            Block old = kept;
            kept = *block;
            *block = old;
        }
        __atomic_clear(&kept_taken, __ATOMIC_RELEASE);
    }
    block_free(block, &rt_allocator);
}

// ---- all

static void place_one(Call *c, uint32_t k, const AotPlace *place, char **next)
{
    TensorView own = {.dtype = (DType)place->dtype, .rank = place->rank}, *view = &own;
    int64_t bytes = 0;
    if (place->mem == AOT_NONE) {
        bytes = place_sizes(c, place, own.shape);
        compact_strides(own.dtype, own.rank, own.shape, own.strides);
        own.data = *next;
        *next += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    } else {
        view = &c->views[place->mem];
    }
    c->mems[k] = view->data;
    memcpy(&c->strides[k * RANK_MAX], view->strides, sizeof view->strides);
    if (place->has_init)
        view_fill(view, place->init);
    else if (place->clears)
        memset(view->data, 0, (size_t)bytes);
}

bool place_all(Call *c)
{
    const AotVariant *v = c->variant;
    const AotPlace *places = call_at(c, v->places);
    const int64_t *strides = call_at(c, v->strides);
    for (uint32_t m = 0; m < c->instance->mem_count; m++)
        if (!strides_fit(&c->views[m], &strides[m * RANK_MAX]) && !place_copy(c, m)) return false;
    call_values(c, v->values)(&c->frame, c->counts);
    size_t bytes;
    if (!workspace_bytes(c, &bytes) || (bytes && !block_take(&c->workspace, bytes)))
        return call_fail(c, HAKO_MEMORY, DIAG_MEMORY, "out of memory");
    char *next = c->workspace.data;
    for (uint32_t k = 0; k < v->place_count; k++)
        if (!places[k].absent) place_one(c, k, &places[k], &next);
    return true;
}

void place_free(Call *c)
{
    for (uint32_t m = 0; m < c->instance->mem_count; m++) {
        if (!c->copies[m]) continue;
        TensorView own, copy;
        both_views(c, m, &own, &copy);
        if (call_mem(c, m)->written) put(&own, &copy);
        free(c->copies[m]);
    }
    block_leave(&c->workspace);
}

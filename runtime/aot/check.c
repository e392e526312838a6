// Whether arguments fit: the checks of runtime/args.c, on tables and without memory of their own,
// with the same messages.
#include "runtime/aot/rt.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/scan.h"

static const char *name_of(const Call *c, uint32_t m)
{
    return call_text(c, call_param(c, call_mem(c, m)->param)->name);
}

static const AotParam *param_of(const Call *c, uint32_t m)
{
    return call_param(c, call_mem(c, m)->param);
}

// ---- packs of dimensions: the code knows one, the argument may have any number

// The stride of the dimensions first .. first + count as one. False: there is none.
static bool join(const TensorView *v, uint32_t first, uint32_t count, int64_t *stride)
{
    int64_t size = 1;
    *stride = 0;
    for (uint32_t p = first + count; p-- > first;) {
        if (v->shape[p] == 1) continue;
        if (size == 1) *stride = v->strides[p];
        if (size > 1 && v->strides[p] != size * *stride) return false;
        size *= v->shape[p];
    }
    return true;
}

static bool check_pack(Call *c, uint32_t m, uint32_t first, uint32_t count)
{
    for (uint32_t k = 0; k < m; k++) { // the first tensor with the pack decides
        const AotParam *other = param_of(c, k), *own = param_of(c, m);
        if (other->pack < 0 ||
            strcmp(call_text(c, other->pack_name), call_text(c, own->pack_name)) != 0)
            continue;
        const DLTensor *a = call_tensor(c, k), *b = call_tensor(c, m);
        if (c->spread[k] != count)
            return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_RANK,
                             "argument %s has %d dimensions; expected %u (%s)", name_of(c, m),
                             b->ndim, (uint32_t)b->ndim - count + c->spread[k],
                             call_text(c, own->text));
        for (uint32_t p = 0; p < count; p++) {
            int64_t want = a->shape[(uint32_t)other->pack + p], got = b->shape[first + p];
            if (want != got)
                return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_SHAPE,
                                 "dimension %u of argument %s is %lld; expected %lld", first + p,
                                 name_of(c, m), (long long)got, (long long)want);
        }
        return true;
    }
    return true;
}

static void put_joined(TensorView *v, uint32_t first, uint32_t count, uint32_t plain,
                       int64_t stride)
{
    int64_t size = 1;
    for (uint32_t p = first; p < first + count; p++) size *= v->shape[p];
    for (uint32_t p = 0; p < plain - first; p++) { // those behind it move
        uint32_t to = count ? first + 1 + p : plain - p, from = to + count - 1;
        v->shape[to] = v->shape[from];
        v->strides[to] = v->strides[from];
    }
    v->shape[first] = size;
    v->strides[first] = stride;
    v->rank = plain + 1;
}

static bool fold_pack(Call *c, uint32_t m)
{
    const AotParam *param = param_of(c, m);
    TensorView *v = &c->views[m];
    uint32_t first = (uint32_t)param->pack, plain = param->dim_count - 1;
    if (v->rank < plain)
        return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_RANK,
                         "argument %s has %u dimensions; expected at least %u (%s)", name_of(c, m),
                         v->rank, plain, call_text(c, param->text));
    uint32_t count = c->spread[m] = v->rank - plain;
    if (!check_pack(c, m, first, count)) return false;
    if (count == 1) return true;
    if (dtype_info[v->dtype].bits < 8 && first == plain && count)
        return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_RANK,
                         "argument %s has %u dimensions in the place of %s, which must be one "
                         "where elements are packed in bytes",
                         name_of(c, m), count, call_text(c, param->pack_name));
    int64_t stride;
    bool joined = join(v, first, count, &stride);
    put_joined(v, first, count, plain, stride);
    return joined || place_copy(c, m);
}

// The position in the caller's tensor.
static uint32_t position_of(const Call *c, uint32_t m, uint32_t p)
{
    int32_t pack = param_of(c, m)->pack;
    return pack >= 0 && p > (uint32_t)pack ? p + c->spread[m] - 1 : p;
}

// ---- dtypes, ranks, overlaps

static bool check_tensor(Call *c, uint32_t m)
{
    const AotMem *mem = call_mem(c, m);
    const AotParam *param = param_of(c, m);
    TensorView *v = &c->views[m];
    if (v->dtype != mem->dtype)
        return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_DTYPE,
                         "argument %s has dtype %s; expected %s (%s)", name_of(c, m),
                         dtype_info[v->dtype].name, dtype_info[mem->dtype].name,
                         call_text(c, param->text));
    if (mem->written && view_self_overlaps(v)) {
        char strides[SHAPE_MOST];
        shape_format(strides, v->rank, v->strides);
        return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_STRIDE,
                         "elements of the output %s overlap each other (its strides are %s)",
                         name_of(c, m), strides);
    }
    c->spread[m] = 1;
    if (param->pack >= 0 || v->rank == mem->rank) return true;
    return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_RANK,
                     "argument %s has %u dimensions; expected %u (%s)", name_of(c, m), v->rank,
                     mem->rank, call_text(c, param->text));
}

static bool check_overlaps(Call *c)
{
    for (uint32_t i = 0; i < c->instance->mem_count; i++) {
        if (!call_mem(c, i)->written) continue;
        for (uint32_t j = 0; j < c->instance->mem_count; j++) {
            if (i == j || (call_mem(c, j)->written && j > i)) continue;
            if (views_overlap(&c->views[i], &c->views[j]))
                return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_OVERLAP,
                                 "output %s overlaps argument %s in memory", name_of(c, i),
                                 name_of(c, j));
        }
    }
    return true;
}

bool check_tensors(Call *c)
{
    uint32_t count = c->instance->mem_count;
    for (uint32_t m = 0; m < count; m++) {
        const DLTensor *tensor = call_tensor(c, m);
        DiagCode code = DIAG_ARG_NULL;
        char why[WHY_MOST];
        if (!tensor)
            return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_MISSING, "argument %s is missing",
                             name_of(c, m));
        if (!tensor_view(tensor, &c->views[m], &code, why))
            return call_fail(c, HAKO_ARGUMENTS, code, "argument %s %s", name_of(c, m), why);
        if (!c->views[m].data && !view_is_empty(&c->views[m]))
            return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_NULL, "argument %s has no data (NULL)",
                             name_of(c, m));
    }
    for (uint32_t m = 0; m < count; m++)
        if (!check_tensor(c, m)) return false;
    if (!check_overlaps(c)) return false;
    for (uint32_t m = 0; m < count; m++)
        if (param_of(c, m)->pack >= 0 && !fold_pack(c, m)) return false;
    return true;
}

// ---- sizes

static const char *written_size(const Call *c, uint32_t m, uint32_t p)
{
    const AotParam *param = param_of(c, m);
    if (param->pack >= 0 || p >= param->dim_count) return NULL;
    return call_text(c, ((const At *)call_at(c, param->dims))[p]);
}

// The size that the tensor's declaration gives dimension d's place, if d were x.
static int64_t size_with(Call *c, uint32_t d, int64_t x)
{
    const AotDim *dim = (const AotDim *)call_at(c, c->instance->dims) + d;
    c->dims[d] = x;
    call_values(c, c->instance->values)(&c->frame, c->values);
    return (int64_t)c->values[call_mem(c, dim->mem)->sizes + dim->position];
}

static bool bind_dim(Call *c, uint32_t d)
{
    const AotDim *dim = (const AotDim *)call_at(c, c->instance->dims) + d;
    int64_t extent = c->views[dim->mem].shape[dim->position];
    int64_t scale = dim->scale, offset = dim->offset;
    if (!scale) {
        offset = size_with(c, d, 0);
        if (__builtin_sub_overflow(size_with(c, d, 1), offset, &scale)) scale = 0;
    }
    if (dim_solve(extent, scale, offset, &c->dims[d])) return true;
    char affine[96] = "";
    const char *written = dim->scale ? NULL : written_size(c, dim->mem, dim->position);
    if (!written) {
        int n = 0;
        if (dim->scale != 1) n = snprintf(affine, 32, "%lld * ", (long long)dim->scale);
        n += snprintf(affine + n, 40, "%.32s", call_text(c, dim->name));
        if (dim->offset)
            snprintf(affine + n, 28, " %c %lld", dim->offset < 0 ? '-' : '+',
                     dim->offset < 0 ? -(long long)dim->offset : (long long)dim->offset);
    }
    return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_SHAPE,
                     "dimension %u of argument %s is %lld, which is not %s for any %s",
                     position_of(c, dim->mem, dim->position), name_of(c, dim->mem),
                     (long long)extent, written ? written : affine, call_text(c, dim->name));
}

// Indices are computed from products of sizes, which must not wrap.
static bool check_products(Call *c)
{
    int64_t first = 0, second = 0, product;
    for (uint32_t d = 0; d < c->instance->dim_count; d++) {
        int64_t low = c->dims[d] < first ? c->dims[d] : first;
        first = c->dims[d] < first ? first : c->dims[d];
        second = low > second ? low : second;
    }
    if (!__builtin_mul_overflow(first, second, &product) && product < (int64_t)1 << 62) return true;
    return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_TOO_LARGE,
                     "the product of two dimensions, %lld and %lld, overflows", (long long)first,
                     (long long)second);
}

static bool check_shape(Call *c, uint32_t m)
{
    const TensorView *v = &c->views[m];
    for (uint32_t p = 0; p < v->rank; p++) {
        int64_t want = (int64_t)c->values[call_mem(c, m)->sizes + p];
        const char *written = written_size(c, m, p);
        if (v->shape[p] == want) continue;
        return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_SHAPE,
                         "dimension %u of argument %s is %lld; expected %lld%s%s%s",
                         position_of(c, m, p), name_of(c, m), (long long)v->shape[p],
                         (long long)want, written ? " (" : "", written ? written : "",
                         written ? ")" : "");
    }
    return true;
}

// ---- requirements and promises

static bool check_requires(Call *c)
{
    const AotText *all = call_at(c, c->instance->requires);
    for (uint32_t k = 0; k < c->instance->require_count; k++) {
        if (c->values[all[k].value] & 1) continue;
        return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_REQUIRE, "%s", call_text(c, all[k].text));
    }
    return true;
}

static bool check_refine(Call *c, const AotRefine *refine)
{
    Scan scan = {.view = &c->views[refine->mem], .kind = (Refine)refine->kind};
    scan.low = refine->low == AOT_NONE ? 0 : (int64_t)c->values[refine->low];
    scan.high = (int64_t)c->values[refine->high];
    size_t bytes = scan_seen_bytes(&scan);
    if (bytes && !(scan.seen = calloc(bytes, 1)))
        return call_fail(c, HAKO_MEMORY, DIAG_MEMORY, "out of memory");
    char text[SCAN_TEXT_MOST], hint[SCAN_TEXT_MOST];
    bool ok = scan_run(&scan, name_of(c, refine->mem), text, hint);
    free(scan.seen);
    return ok || call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_REFINEMENT, "%s%s%s", text,
                           hint[0] ? "; " : "", hint);
}

bool check_sizes(Call *c)
{
    const AotInstance *instance = c->instance;
    for (uint32_t d = 0; d < instance->dim_count; d++) c->dims[d] = -1;
    for (uint32_t d = 0; d < instance->dim_count; d++)
        if (!bind_dim(c, d)) return false;
    if (!check_products(c)) return false;
    call_values(c, instance->values)(&c->frame, c->values);
    for (uint32_t m = 0; m < instance->mem_count; m++)
        if (!check_shape(c, m)) return false;
    if (!check_requires(c)) return false;
    const AotRefine *refines = call_at(c, instance->refines);
    for (uint32_t k = 0; k < instance->refine_count; k++)
        if (!check_refine(c, &refines[k])) return false;
    return true;
}

// Scans of integer tensors: their values lie in a range, are a partition, a permutation, distinct.
#include "runtime/scan.h"

#include <stdio.h>

static bool scan_value(Scan *scan, int64_t x)
{
    switch (scan->kind) {
    case REFINE_RANGE: scan->why = "outside the range"; return x >= scan->low && x < scan->high;
    case REFINE_PARTITION:
        scan->why = scan->position == 0 ? "not 0, where a partition starts"
                                        : "less than the one before, or past the end";
        if (scan->position == 0 ? x != 0 : x < scan->last || x > scan->high) return false;
        scan->last = x;
        return true;
    case REFINE_PERMUTATION:
    case REFINE_DISTINCT:
        scan->why = "outside the range";
        if (x < 0 || x >= scan->high) return false;
        scan->why = "there already";
        if (scan->seen[x / 8] & (1 << (x % 8))) return false;
        scan->seen[x / 8] |= (unsigned char)(1 << (x % 8));
        return true;
    case REFINE_KINDS: break;
    }
    return true;
}

// ---- whole lines of the types that indices have: all at once, by vectors; what does not pass is
// looked at element by element

enum { BLOCK = 256 }; // a constant, so that the compiler makes vectors of the loop over it

#define DEFINE_LINES(T)                                                                            \
    static bool within_##T(const T *x, int64_t count, T low, T high)                               \
    {                                                                                              \
        int out = 0;                                                                               \
        for (; count >= BLOCK && !out; count -= BLOCK, x += BLOCK)                                 \
            for (int k = 0; k < BLOCK; k++) out |= (x[k] < low) | (x[k] > high);                   \
        for (int64_t k = 0; k < count; k++) out |= (x[k] < low) | (x[k] > high);                   \
        return !out;                                                                               \
    }                                                                                              \
    static bool ascends_##T(const T *x, int64_t count)                                             \
    {                                                                                              \
        int out = 0;                                                                               \
        for (; count > BLOCK && !out; count -= BLOCK, x += BLOCK)                                  \
            for (int k = 0; k < BLOCK; k++) out |= x[k + 1] < x[k];                                \
        for (int64_t k = 0; k + 1 < count; k++) out |= x[k + 1] < x[k];                            \
        return !out;                                                                               \
    }
DEFINE_LINES(int32_t)
DEFINE_LINES(int64_t)

static bool range_passes(const Scan *scan, const void *line, int64_t count)
{
    int64_t low = scan->low, high = scan->high;
    if (low >= high) return false;
    high--;
    if (scan->view->dtype == DTYPE_I64) return within_int64_t(line, count, low, high);
    if (low > INT32_MAX || high < INT32_MIN) return false;
    return within_int32_t(line, count, (int32_t)(low < INT32_MIN ? INT32_MIN : low),
                          (int32_t)(high > INT32_MAX ? INT32_MAX : high));
}

static bool partition_passes(Scan *scan, const void *line, int64_t count)
{
    DType t = scan->view->dtype;
    int64_t first = element_int(t, line, 0), last = element_int(t, line, count - 1);
    bool fits = scan->position == 0 ? first == 0 : first >= scan->last;
    if (!fits || last > scan->high ||
        !(t == DTYPE_I64 ? ascends_int64_t(line, count) : ascends_int32_t(line, count)))
        return false;
    scan->last = last;
    return true;
}

static bool line_passes(Scan *scan, const void *line, int64_t count)
{
    if (scan->kind == REFINE_RANGE) return range_passes(scan, line, count);
    return scan->kind == REFINE_PARTITION && partition_passes(scan, line, count);
}

// False: the element at `index` fails.
static bool scan_line(Scan *scan, int64_t *index, int64_t *bad)
{
    const TensorView *v = scan->view;
    int64_t offset = view_offset(v, index), count = v->rank ? v->shape[v->rank - 1] : 1;
    int64_t stride = v->rank ? v->strides[v->rank - 1] : 1;
    bool plain = v->dtype == DTYPE_I32 || v->dtype == DTYPE_I64;
    const char *line = plain ? v->data + offset * (int64_t)(dtype_info[v->dtype].bits / 8) : NULL;
    if (plain && stride == 1 && line_passes(scan, line, count)) {
        scan->position += count;
        return true;
    }
    for (int64_t k = 0; k < count; k++) {
        if (v->rank) index[v->rank - 1] = k;
        *bad = element_int(v->dtype, v->data, offset + k * stride);
        if (!scan_value(scan, *bad)) return false;
        scan->position++;
    }
    return true;
}

// Visits all elements in order; stops at the first that fails and leaves its index in `index`.
static bool scan_view(Scan *scan, int64_t *index, int64_t *bad)
{
    const TensorView *v = scan->view;
    for (uint32_t p = 0; p < v->rank; p++) index[p] = 0;
    if (view_is_empty(v)) return true;
    do {
        if (!scan_line(scan, index, bad)) return false;
        if (v->rank) index[v->rank - 1] = v->shape[v->rank - 1] - 1; // the line's end
    } while (view_next(v, index));
    return true;
}

static void explain(const Scan *scan, const char *name, const int64_t *index, int64_t bad,
                    char *text, char *hint)
{
    char at[SHAPE_MOST];
    long long low = (long long)scan->low, high = (long long)scan->high;
    shape_format(at, scan->view->rank, index);
    snprintf(text, SCAN_TEXT_MOST, "element %s of argument %s is %lld, %s", at, name,
             (long long)bad, scan->why);
    switch (scan->kind) {
    case REFINE_RANGE:
        snprintf(hint, SCAN_TEXT_MOST, "its values lie in %lld .. %lld", low, high);
        break;
    case REFINE_PARTITION:
        snprintf(hint, SCAN_TEXT_MOST, "it starts at 0, never descends, and ends at %lld", high);
        break;
    case REFINE_PERMUTATION:
        snprintf(hint, SCAN_TEXT_MOST, "it holds each of 0 .. %lld once", high);
        break;
    case REFINE_DISTINCT:
        snprintf(hint, SCAN_TEXT_MOST, "its values are all different and lie in 0 .. %lld", high);
        break;
    case REFINE_KINDS: break;
    }
}

// No tensor has so many elements, so that any value would do.
static bool is_absurd(const Scan *scan)
{
    return scan->high < 0 || scan->high > (int64_t)1 << 40;
}

size_t scan_seen_bytes(const Scan *scan)
{
    if (scan->kind != REFINE_PERMUTATION && scan->kind != REFINE_DISTINCT) return 0;
    return is_absurd(scan) ? 1 : (size_t)scan->high / 8 + 1;
}

bool scan_run(Scan *scan, const char *name, char text[SCAN_TEXT_MOST], char hint[SCAN_TEXT_MOST])
{
    int64_t index[RANK_MAX], bad = 0;
    text[0] = hint[0] = 0;
    if (scan_seen_bytes(scan) && is_absurd(scan)) scan->high = 0;
    if (!scan_view(scan, index, &bad)) {
        explain(scan, name, index, bad, text, hint);
    } else if (scan->kind == REFINE_PERMUTATION && scan->position != scan->high) {
        snprintf(text, SCAN_TEXT_MOST, "argument %s has %lld elements, not a permutation of %lld",
                 name, (long long)scan->position, (long long)scan->high);
    } else if (scan->kind == REFINE_PARTITION &&
               (scan->position == 0 || scan->last != scan->high)) {
        snprintf(text, SCAN_TEXT_MOST,
                 "the last element of argument %s is %lld; a partition of %lld ends there", name,
                 (long long)scan->last, (long long)scan->high);
    }
    return !text[0];
}

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

// Visits all elements in order; stops at the first that fails and leaves its index in `index`.
static bool scan_view(Scan *scan, int64_t *index, int64_t *bad)
{
    const TensorView *v = scan->view;
    for (uint32_t p = 0; p < v->rank; p++) index[p] = 0;
    if (view_is_empty(v)) return true;
    do {
        *bad = element_int(v->dtype, v->data, view_offset(v, index));
        if (!scan_value(scan, *bad)) return false;
        scan->position++;
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

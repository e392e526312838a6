// What a launch checks by evaluating or reading: `require`, and the promises of refined integer
// tensors, each in one linear scan. After that, compiled code relies on them.
#include "runtime/internal.h"

#include "ir/eval.h"

bool requires_check(const Func *f, const char *kernel, const uint64_t *values, DiagList *diags)
{
    uint32_t errors = diags->error_count;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op != OP_REQUIRE || (values[inst_arg(f, in, 0).i] & 1)) continue;
        const SiteInfo *site = &f->sites.data[in->attr.ref];
        if (site->message.length) {
            diag_add(diags, DIAG_ARG_REQUIRE, site->span, "kernel %s: %.*s", kernel,
                     STR_ARG(site->message));
        } else {
            diag_add(diags, DIAG_ARG_REQUIRE, site->span, "kernel %s: a `require` does not hold",
                     kernel);
        }
    }
    return diags->error_count == errors;
}

typedef struct Scan {
    const TensorView *view;
    Refine kind;
    int64_t low, high; // RANGE: [low, high); else [0, high)
    int64_t last;      // PARTITION: the previous value
    int64_t position;
    uint8_t *seen; // a bit for each value
    const char *why;
} Scan;

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
        scan->seen[x / 8] |= (uint8_t)(1 << (x % 8));
        return true;
    case REFINE_KINDS: break;
    }
    return true;
}

// Visits all elements in order; stops at the first that fails and leaves its index in `index`.
static bool scan_view(Scan *scan, int64_t *index, int64_t *bad)
{
    const TensorView *v = scan->view;
    for (uint32_t p = 0; p < v->rank; p++) {
        index[p] = 0;
        if (v->shape[p] == 0) return true;
    }
    for (;;) {
        int64_t offset = 0;
        for (uint32_t p = 0; p < v->rank; p++) offset += index[p] * v->strides[p];
        *bad = scalar_to_int(dtype_info[v->dtype].arith, storage_load(v->dtype, v->data, offset));
        if (!scan_value(scan, *bad)) return false;
        scan->position++;
        uint32_t p = v->rank;
        while (p > 0 && ++index[p - 1] == v->shape[p - 1]) index[--p] = 0;
        if (p == 0) return true;
    }
}

static void explain_scan(const Scan *scan, const char *kernel, const char *name,
                         const int64_t *index, int64_t bad, Span span, DiagList *diags)
{
    const char *at = shape_text(diags->arena, scan->view->rank, index);
    Diag *diag = diag_add(diags, DIAG_ARG_REFINEMENT, span,
                          "kernel %s: element %s of argument %s is %lld, %s", kernel, at, name,
                          (long long)bad, scan->why);
    switch (scan->kind) {
    case REFINE_RANGE:
        diag_hint(diags, diag, "its values lie in %lld .. %lld", (long long)scan->low,
                  (long long)scan->high);
        break;
    case REFINE_PARTITION:
        diag_hint(diags, diag, "it starts at 0, never descends, and ends at %lld",
                  (long long)scan->high);
        break;
    case REFINE_PERMUTATION:
        diag_hint(diags, diag, "it holds each of 0 .. %lld once", (long long)scan->high);
        break;
    case REFINE_DISTINCT:
        diag_hint(diags, diag, "its values are all different and lie in 0 .. %lld",
                  (long long)scan->high);
        break;
    case REFINE_KINDS: break;
    }
}

static void check_refine(const hk_exec *exec, const Inst *in, const TensorView *view,
                         const uint64_t *values, DiagList *diags)
{
    const Func *f = exec->tile;
    const char *kernel = exec->kernel->name;
    Mem mem = {in->attr.ref};
    const char *name = str_copy(diags->arena, mem_at(f, mem)->name).data;
    Scan scan = {.view = view, .kind = (Refine)in->attr.kind};
    bool range = scan.kind == REFINE_RANGE;
    scan.low = range ? (int64_t)values[inst_arg(f, in, 0).i] : 0;
    scan.high = (int64_t)values[inst_arg(f, in, range ? 1 : 0).i];
    if (scan.kind == REFINE_PERMUTATION || scan.kind == REFINE_DISTINCT) {
        if (scan.high < 0 || scan.high > (int64_t)1 << 40) scan.high = 0;
        scan.seen = arena_alloc(diags->arena, (size_t)scan.high / 8 + 1);
    }
    int64_t index[RANK_MAX], bad = 0;
    if (!scan_view(&scan, index, &bad)) {
        explain_scan(&scan, kernel, name, index, bad, in->span, diags);
        return;
    }
    if (scan.kind == REFINE_PERMUTATION && scan.position != scan.high) {
        diag_add(diags, DIAG_ARG_REFINEMENT, in->span,
                 "kernel %s: argument %s has %lld elements, not a permutation of %lld", kernel,
                 name, (long long)scan.position, (long long)scan.high);
    }
    if (scan.kind == REFINE_PARTITION && (scan.position == 0 || scan.last != scan.high)) {
        diag_add(
            diags, DIAG_ARG_REFINEMENT, in->span,
            "kernel %s: the last element of argument %s is %lld; a partition of %lld ends there",
            kernel, name, (long long)scan.last, (long long)scan.high);
    }
}

bool refinements_check(const hk_exec *exec, const Slot *slots, const uint64_t *values,
                       DiagList *diags)
{
    const Func *f = exec->tile;
    uint32_t errors = diags->error_count;
    for_each_inst(f, f->body, id) {
        const Inst *in = inst_at(f, id);
        if (in->op != OP_REFINE) continue;
        uint32_t slot = exec->slot_of_mem[in->attr.ref];
        if (slot < exec->kernel->param_count && slots[slot].view.given) {
            check_refine(exec, in, &slots[slot].view, values, diags);
        }
    }
    return diags->error_count == errors;
}

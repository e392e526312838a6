// What a launch checks by evaluating or reading: `require`, and the promises of refined integer
// tensors, each in one linear scan. After that, compiled code relies on them.
#include "runtime/internal.h"
#include "runtime/scan.h"

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

static void check_refine(const hk_exec *exec, const Inst *in, const TensorView *view,
                         const uint64_t *values, DiagList *diags)
{
    const Func *f = exec->tile;
    const char *name = str_copy(diags->arena, mem_at(f, (Mem){in->attr.ref})->name).data;
    Scan scan = {.view = view, .kind = (Refine)in->attr.kind};
    bool range = scan.kind == REFINE_RANGE;
    scan.low = range ? (int64_t)values[inst_arg(f, in, 0).i] : 0;
    scan.high = (int64_t)values[inst_arg(f, in, range ? 1 : 0).i];
    scan.seen = arena_alloc(diags->arena, scan_seen_bytes(&scan) + 1);
    char text[SCAN_TEXT_MOST], hint[SCAN_TEXT_MOST];
    if (scan_run(&scan, name, text, hint)) return;
    Diag *diag =
        diag_add(diags, DIAG_ARG_REFINEMENT, in->span, "kernel %s: %s", exec->kernel->name, text);
    if (hint[0]) diag_hint(diags, diag, "%s", hint);
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

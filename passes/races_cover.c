// Coverage: the boxes that the stores write must together be the whole tensor.
//
// 1. Stores under opposite conditions (if and else) become one without that condition.
// 2. Boxes of interleaved elements (y[2 * r], y[2 * r + 1]) become one of consecutive elements.
// 3. What has conditions left covers nothing. Along the first position, ranges are chained from 0
// to the
//    size; those that continue the chain must cover the other positions in the same way.
#include "ir/eval.h"
#include "passes/races.h"

enum { BOXES_MAX = 64 };

typedef struct Cover {
    Sym *sym;
    Poly sizes[RANK_MAX];
    uint32_t rank;
    Box boxes[BOXES_MAX];
    uint32_t count;
    const Access *update; // an atomic one
} Cover;

static bool same_place(const Cover *c, const Box *a, const Box *b, uint32_t but)
{
    for (uint32_t p = 0; p < c->rank; p++) {
        if (p == but || (!a->sized && poly_equal(a->index[p], b->index[p]))) continue;
        if (!a->sized || !poly_equal(a->lo[p], b->lo[p]) || !poly_equal(a->hi[p], b->hi[p]))
            return false;
        if (a->stride[p] != b->stride[p] || a->residue[p] != b->residue[p]) return false;
    }
    return a->sized == b->sized;
}

static bool has_literal(const Box *box, const Literal *l)
{
    for (uint32_t i = 0; i < box->literal_count; i++)
        if (literal_same(&box->literals[i], l)) return true;
    return false;
}

static void remove_literal(Box *box, uint32_t k)
{
    box->literals[k] = box->literals[--box->literal_count];
}

// What holds where a literal fails, as literals of a box: `v` is false for v = a && b.
static Box denied(Sym *sym, const Box *box, const Literal *l)
{
    Box parts = {.store = box->store};
    if (!l->v.i) return parts;
    literal_parts(sym, &parts, l->v, !l->truth);
    literal_drop_true(sym, &parts);
    return parts;
}

// a holds where `l` of b fails: b without l, if the rest of a and b are the same conditions.
static bool complement(Cover *c, const Box *a, const Box *b, uint32_t k, Box *out)
{
    Box parts = denied(c->sym, b, &b->literals[k]);
    if (!parts.literal_count) return false;
    for (uint32_t i = 0; i < parts.literal_count; i++)
        if (!has_literal(a, &parts.literals[i])) return false;
    *out = *b;
    remove_literal(out, k);
    if (out->literal_count + parts.literal_count != a->literal_count) return false;
    for (uint32_t i = 0; i < out->literal_count; i++)
        if (!has_literal(a, &out->literals[i])) return false;
    return true;
}

static InstId turns_of(const Cover *c, const Box *box)
{
    return repeat_of(c->sym->f, inst_phase(c->sym->f, box->store->inst));
}

// One box for two under opposite conditions.
static bool join_opposite(Cover *c, const Box *a, const Box *b, Box *out)
{
    if (!same_place(c, a, b, RANK_MAX) || turns_of(c, a).i != turns_of(c, b).i) return false;
    for (uint32_t k = 0; k < b->literal_count; k++)
        if (complement(c, a, b, k, out)) return true;
    if (a->literal_count != b->literal_count) return false;
    for (uint32_t i = 0; i < a->literal_count; i++) {
        for (uint32_t k = 0; k < b->literal_count; k++) {
            if (!literal_opposite(c->sym, &a->literals[i], &b->literals[k])) continue;
            *out = *b;
            remove_literal(out, k);
            bool rest = true;
            for (uint32_t j = 0; j < out->literal_count; j++)
                rest &= has_literal(a, &out->literals[j]);
            if (rest) return true;
        }
    }
    return false;
}

static bool known_box(const Cover *c, const Box *box)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const Box *b = &c->boxes[i];
        if (b->literal_count != box->literal_count || !same_place(c, b, box, RANK_MAX)) continue;
        bool same = true;
        for (uint32_t k = 0; k < box->literal_count; k++) same &= has_literal(b, &box->literals[k]);
        if (same) return true;
    }
    return false;
}

static void join_boxes(Cover *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            Box made;
            bool ok = join_opposite(c, &c->boxes[i], &c->boxes[j], &made) ||
                      join_opposite(c, &c->boxes[j], &c->boxes[i], &made);
            if (ok && c->count < BOXES_MAX && !known_box(c, &made)) c->boxes[c->count++] = made;
        }
    }
}

// Boxes with all residues of a stride at position p are one box of consecutive elements.
static bool join_residues(Cover *c, uint32_t i, uint32_t p, Box *out)
{
    const Box *a = &c->boxes[i];
    int64_t k = a->stride[p];
    if (!a->sized || k < 2 || k > BOXES_MAX) return false;
    for (int64_t residue = 0; residue < k; residue++) {
        bool found = false;
        for (uint32_t j = 0; j < c->count && !found; j++) {
            const Box *b = &c->boxes[j];
            found = b->sized && b->residue[p] == residue && b->stride[p] == k &&
                    !b->literal_count && same_place(c, a, b, p) && poly_equal(a->lo[p], b->lo[p]) &&
                    poly_equal(a->hi[p], b->hi[p]);
        }
        if (!found) return false;
    }
    *out = *a;
    out->stride[p] = 1;
    out->residue[p] = 0;
    out->lo[p] = poly_scale(c->sym->arena, a->lo[p], k);
    out->hi[p] = poly_scale(c->sym->arena, a->hi[p], k);
    return true;
}

static bool chain(Cover *c, const bool *take, uint32_t p)
{
    Arena *arena = c->sym->arena;
    bool used[BOXES_MAX] = {0};
    Poly reached = {0};
    if (p == c->rank) {
        for (uint32_t i = 0; i < c->count; i++)
            if (take[i]) return true;
        return false;
    }
    for (bool more = true; more;) {
        more = false;
        if (cover_nonneg(c->sym, poly_sub(arena, reached, c->sizes[p]))) return true;
        for (uint32_t i = 0; i < c->count && !more; i++) {
            const Box *a = &c->boxes[i];
            if (!take[i] || used[i] || a->stride[p] != 1) continue;
            if (!cover_nonneg(c->sym, poly_sub(arena, reached, a->lo[p]))) continue;
            bool with[BOXES_MAX] = {0};
            for (uint32_t j = 0; j < c->count; j++) {
                const Box *b = &c->boxes[j];
                bool same = poly_equal(a->lo[p], b->lo[p]) && poly_equal(a->hi[p], b->hi[p]);
                with[j] = take[j] && b->stride[p] == 1 &&
                          (same || (cover_nonneg(c->sym, poly_sub(arena, reached, b->lo[p])) &&
                                    cover_nonneg(c->sym, poly_sub(arena, b->hi[p], a->hi[p]))));
            }
            used[i] = true;
            if (!chain(c, with, p + 1)) continue;
            reached = sym_max(c->sym, reached, a->hi[p]);
            more = true;
        }
    }
    return false;
}

static void gap_note(CoverGap *gap, Span where, Str why)
{
    gap->where[gap->count] = where;
    gap->why[gap->count++] = why;
}

// Along one position, how far the stores reach without a gap; *last is the store that reaches
// there, *next one that begins behind the gap.
static Poly reach(Cover *c, uint32_t p, const Box **last, const Box **next, uint32_t *joined)
{
    Poly reached = {0};
    bool used[BOXES_MAX] = {0};
    *last = *next = NULL;
    *joined = 0;
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < c->count && !more; i++) {
            const Box *a = &c->boxes[i];
            if (used[i] || a->stride[p] != 1 ||
                !cover_nonneg(c->sym, poly_sub(c->sym->arena, reached, a->lo[p])))
                continue;
            used[i] = more = true;
            if (cover_nonneg(c->sym, poly_sub(c->sym->arena, reached, a->hi[p]))) continue;
            reached = sym_max(c->sym, reached, a->hi[p]);
            *last = a;
            ++*joined;
        }
    }
    for (uint32_t i = 0; i < c->count && !*next; i++)
        if (!used[i] && c->boxes[i].stride[p] == 1) *next = &c->boxes[i];
    return reached;
}

static void explain_position(const PassContext *context, Cover *c, uint32_t p, CoverGap *gap)
{
    const Box *last, *next, *first = &c->boxes[0];
    uint32_t joined;
    Poly reached = reach(c, p, &last, &next, &joined), from = {0};
    if (cover_nonneg(c->sym, poly_sub(c->sym->arena, reached, c->sizes[p]))) return;
    if (!last && first->stride[p] > 1) {
        gap_note(gap, first->store->span,
                 str_format(context->arena,
                            "this store writes only one in %lld elements of dimension %u",
                            (long long)first->stride[p], p));
        return;
    }
    if (!last) last = first, from = first->lo[p];
    if (joined < 2) reached = last->hi[p];
    gap_note(gap, last->store->span,
             str_format(context->arena, "%s %.*s .. %.*s of dimension %u, whose size is %.*s",
                        joined > 1 ? "the stores up to this one cover" : "this store covers",
                        STR_ARG(check_poly_text(context, c->sym, from)),
                        STR_ARG(check_poly_text(context, c->sym, reached)), p,
                        STR_ARG(check_poly_text(context, c->sym, c->sizes[p]))));
    if (next && next != last)
        gap_note(gap, next->store->span,
                 str_format(context->arena, "this store begins at %.*s",
                            STR_ARG(check_poly_text(context, c->sym, next->lo[p]))));
}

static void explain(const PassContext *context, Cover *c, CoverGap *gap)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const Box *box = &c->boxes[i];
        if (box->sized && !box->literal_count) continue;
        gap_note(gap, box->store->span,
                 box->sized ? STR("this store happens only under a condition") : box->why);
        return;
    }
    if (!c->count)
        gap_note(gap, c->update ? c->update->span : (Span){0},
                 c->update ? STR("an atomic update goes on from what there is")
                           : STR("no store writes it"));
    for (uint32_t p = 0; p < c->rank && c->count && !gap->count; p++)
        explain_position(context, c, p, gap);
    if (!gap->count)
        gap_note(gap, c->boxes[0].store->span,
                 STR("this store and the others leave elements between them"));
}

static bool gather_stores(const PassContext *context, Cover *c, Mem mem, InstId before)
{
    const Func *f = c->sym->f;
    for_each_inst(f, f->body, id) {
        if (id.i == before.i) break;
        if (inst_at(f, id)->op != OP_PHASE) continue;
        AccessList *list = arena_new(context->arena, AccessList);
        access_collect(context->arena, f, inst_region(inst_at(f, id), 0), list);
        for (uint32_t i = 0; i < list->count; i++) {
            const Access *a = &list->data[i];
            if (a->mem.i == mem.i && a->atomic) c->update = a;
            if (a->mem.i != mem.i || !a->store || a->atomic) continue;
            if (a->fold) return true; // starts from its identity
            if (c->count == BOXES_MAX) continue;
            c->boxes[c->count] = box_of(c->sym, a);
            c->boxes[c->count++].before = before;
        }
    }
    return false;
}

bool cover_proved(const PassContext *context, Sym *sym, Mem mem, InstId before, CoverGap *gap)
{
    Cover *c = arena_new(context->arena, Cover);
    c->sym = sym;
    c->rank = mem_at(sym->f, mem)->rank;
    *gap = (CoverGap){0};
    for (uint32_t p = 0; p < c->rank; p++) c->sizes[p] = sym_size(sym, mem, p);
    if (gather_stores(context, c, mem, before)) return true;
    join_boxes(c);
    for (uint32_t i = 0; i < c->count; i++) box_size(sym, &c->boxes[i]);
    join_boxes(c);
    for (uint32_t p = 0; p < c->rank; p++) {
        uint32_t count = c->count;
        for (uint32_t i = 0; i < count; i++) {
            Box made;
            if (!c->boxes[i].literal_count && join_residues(c, i, p, &made) &&
                c->count < BOXES_MAX && !known_box(c, &made))
                c->boxes[c->count++] = made;
        }
    }
    bool take[BOXES_MAX] = {0};
    for (uint32_t i = 0; i < c->count; i++)
        take[i] = c->boxes[i].sized && !c->boxes[i].literal_count;
    if (chain(c, take, 0)) return true;
    explain(context, c, gap);
    return false;
}

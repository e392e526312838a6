// One meaning for every block size. A tile without `by` is free: its block is the Config's choice.
// A value is *partial* over a free tile n if it comes from a reduction over n (or over an axis
// bounded by its tile), from what tells about the tile (n.begin, n.id ...), or from a partial
// value. Inside the loop over n such a value may not be stored, used in a bound, or decide an `if`;
// it may be folded, and it may update what the loop carries if the update reads what the loop
// carries. After the loop it is whole.
//
//     tile m in M, n in N { y[m, n] = x[m, n] / sum[n](x[m, n]); }    refused: sum[n] is of one
//     block tile n in N { s = s + sum[n](x[m, n]); }                        fine tile n in N { s =
//     sum[n](x[m, n]); }                            refused: the last block wins
//
// A scan that carries on over the tiles of n (flag `implicit`) is whole. What is last in a tile, in
// the loop's direction, may overwrite what the loop carries: after the loop it is that of the whole
// range.
//
// Laws: instructions flagged `implicit` (hulls of dependent ranges, activity of lanes) add nothing
// of their own. Sets only grow, so that iterating over carried values ends.
#include "passes/block_rule.h"

typedef struct Rule {
    Func *f;
    const PassContext *context;
    Marks *marks; // [value]
    AxisSet free; // tiles without `by`
    AxisSet open; // free tiles around the current instruction
    bool changed, report;
    VEC(InstId) told; // origins that an error has named
} Rule;

static Marks join(Marks a, Marks b)
{
    return (Marks){a.partial | b.partial, a.uses | b.uses, a.reads | b.reads, a.last | b.last,
                   a.mixed | b.mixed};
}

static Marks of(const Rule *r, Value v)
{
    return v.i ? r->marks[v.i] : (Marks){0};
}

static void grow(Rule *r, Value v, Marks m)
{
    Marks now = join(r->marks[v.i], m);
    if (memcmp(&now, &r->marks[v.i], sizeof now) != 0) r->changed = true;
    r->marks[v.i] = now;
}

// The axis itself if it is a free tile, and the tiles over whose current block it runs.
static AxisSet family(const Rule *r, Axis a)
{
    AxisSet set = axis_bit(a) & r->free;
    const AxisInfo *info = axis_at(r->f, a);
    if (!info->decl.i) return set;
    const Inst *decl = inst_at(r->f, info->decl);
    for (unsigned k = 0; k < decl->arg_count && k < 2; k++)
        set |= of(r, inst_arg(r->f, decl, k)).partial;
    return set;
}

static AxisSet families(const Rule *r, AxisSet axes)
{
    AxisSet set = 0;
    for (uint32_t a = 1; a < r->f->axes.count; a++)
        if (axes >> a & 1) set |= family(r, (Axis){a});
    return set;
}

// ---- messages

static Marks own_marks(const Rule *r, const Inst *in);

// The instruction that made v partial over the axis; 0 if it is not found.
static InstId origin(const Rule *r, Value v, Axis a, unsigned depth, bool *seen)
{
    const Inst *in = v.i ? value_def(r->f, v) : NULL;
    if (!in || !depth || seen[v.i] || !(of(r, v).partial & axis_bit(a))) return (InstId){0};
    seen[v.i] = true;
    for (unsigned k = 0; k < in->arg_count; k++) {
        InstId found = origin(r, inst_arg(r->f, in, k), a, depth - 1, seen);
        if (found.i) return found;
    }
    if (own_marks(r, in).partial & axis_bit(a)) return value_at(r->f, v)->def;
    if (in->op == OP_LOOP || in->op == OP_IF) {
        for (unsigned k = 0; k < in->region_count; k++) {
            const Inst *y = inst_at(r->f, region_at(r->f, inst_region(in, k))->last);
            uint32_t which = value_at(r->f, v)->index;
            InstId found = which < y->arg_count
                               ? origin(r, inst_arg(r->f, y, which), a, depth - 1, seen)
                               : (InstId){0};
            if (found.i) return found;
        }
    }
    return (InstId){0};
}

static Axis first_axis(AxisSet set)
{
    return (Axis){set ? (uint32_t)__builtin_ctzll(set) : 0};
}

// Where the dependence comes from; *again if an error has said so already.
static InstId first_origin(Rule *r, Value v, Axis a, bool *again)
{
    bool *seen = arena_array(r->context->arena, bool, r->f->values.count);
    InstId from = origin(r, v, a, 200, seen);
    if (!from.i && v.i) from = value_at(r->f, v)->def; // reads what the loop carries
    *again = false;
    for (uint32_t i = 0; i < r->told.count; i++) *again |= r->told.data[i].i == from.i && from.i;
    if (!*again) vec_push(r->context->arena, &r->told, from);
    return from;
}

static void explain(Rule *r, Diag *d, InstId from, Axis a)
{
    DiagList *diags = r->context->diags;
    Str name = check_axis_name(r->f, a);
    if (from.i && inst_at(r->f, from)->span.line) {
        const Inst *in = inst_at(r->f, from);
        if (in->op == OP_REDUCE || in->op == OP_COMBINE || in->op == OP_SORT)
            diag_note(diags, d, in->span, "this %s one block of `%.*s` only",
                      in->op == OP_SORT                                 ? "sorts"
                      : in->op == OP_COMBINE && in->attr.kind == COMBINE_SCAN ? "scans"
                                                                        : "reduces over",
                      STR_ARG(name));
        else if (in->op == OP_TILEINFO)
            diag_note(diags, d, in->span, "this tells about one block of `%.*s` only",
                      STR_ARG(name));
        else
            diag_note(diags, d, in->span,
                      "this reads a variable that the blocks of `%.*s` before changed",
                      STR_ARG(name));
    }
    diag_note(diags, d, axis_at(r->f, a)->span,
              "the block of `%.*s` is free: any size may be chosen", STR_ARG(name));
}

static void refuse(Rule *r, DiagCode code, Span span, Value v, AxisSet set, const char *what)
{
    Axis a = first_axis(set);
    Str name = check_axis_name(r->f, a);
    DiagList *diags = r->context->diags;
    bool again;
    InstId from = first_origin(r, v, a, &again);
    if (again) return;
    Diag *d =
        diag_add(diags, code, span, "%s depends on the block size of `%.*s`", what, STR_ARG(name));
    explain(r, d, from, a);
    if (axis_at(r->f, a)->kind == AXIS_GRID)
        diag_hint(diags, d,
                  "make `%.*s` an `axis` (whole range), loop over it inside the grid with a `var`, "
                  "`fold`, or fix "
                  "its block with `by`",
                  STR_ARG(name));
    else
        diag_hint(diags, d,
                  "carry it in a `var` and use it after the loop, make `%.*s` an `axis`, or fix "
                  "its block with `by`",
                  STR_ARG(name));
}

// Contributions of blocks that do not add up to that of the range.
static void refuse_combining(Rule *r, const Combining *c, ReduceKind kind, Span span, Str what)
{
    bool again;
    Str name = check_axis_name(r->f, c->axis);
    DiagList *diags = r->context->diags;
    bool sum = kind == REDUCE_SUM, product = kind == REDUCE_PROD;
    Diag *d = diag_add(diags, DIAG_BLOCK_COMBINE, span,
                       "%.*s depends on the block size of `%.*s`: %s", STR_ARG(what), STR_ARG(name),
                       c->left   ? "each block takes once more what those before it left"
                       : sum     ? "what each block adds is no sum over it"
                       : product ? "what each block multiplies by is no product over it"
                                 : "what each block compares is a sum or product over it");
    InstId def = value_at(r->f, c->culprit)->def;
    if (c->left) {
        Span of = def.i && inst_at(r->f, def)->span.line ? inst_at(r->f, def)->span : span;
        diag_note(diags, d, of, "this happens once for each block, however large it is");
        diag_note(diags, d, axis_at(r->f, c->axis)->span,
                  "the block of `%.*s` is free: any size may be chosen", STR_ARG(name));
        diag_hint(diags, d, "loop with `for`, or fix the block of `%.*s` with `by`", STR_ARG(name));
        return;
    }
    if (def.i && inst_at(r->f, def)->span.line)
        diag_note(diags, d, inst_at(r->f, def)->span, "this, of two blocks together, is not the %s",
                  sum       ? "sum of what it is of each"
                  : product ? "product of what it is of each"
                            : "larger or smaller of what it is of each");
    InstId from = first_origin(r, c->culprit, c->axis, &again);
    if (from.i != def.i)
        explain(r, d, from, c->axis);
    else
        diag_note(diags, d, axis_at(r->f, c->axis)->span,
                  "the block of `%.*s` is free: any size may be chosen", STR_ARG(name));
    diag_hint(diags, d,
              "carry the %s itself and compute with it after the loop, make `%.*s` an `axis`, or "
              "fix its block with `by`",
              sum || !product ? "sum" : "product", STR_ARG(name));
}

// What a fold or an atomic update takes of each block.
static void check_combined(Rule *r, const Inst *in, Value v, bool fold)
{
    AxisSet partial = of(r, v).partial & r->open;
    for (uint32_t a = 1; a < r->f->axes.count; a++) {
        Combining c = {.f = r->f, .marks = r->marks, .axis = {a}};
        if (!(partial >> a & 1) || !combine_breaks(&c, (ReduceKind)in->attr.kind, v)) continue;
        refuse_combining(r, &c, (ReduceKind)in->attr.kind, in->span,
                         fold ? STR("this fold") : STR("this atomic update"));
        return;
    }
}

// ---- instructions

// Two axes of one family among those of a store are pairs within one block: which, its size says.
static bool stores_pairs(Rule *r, const Inst *in)
{
    AxisSet axes = 0, met = 0;
    for (unsigned k = 0; k < in->arg_count; k++) axes |= value_axes(r->f, inst_arg(r->f, in, k));
    for (uint32_t a = 1; a < r->f->axes.count; a++) {
        if (!(axes >> a & 1)) continue;
        AxisSet own = family(r, (Axis){a}) & r->open, both = own & met;
        met |= own;
        if (!both) continue;
        Str tile = check_axis_name(r->f, first_axis(both)), name = check_axis_name(r->f, (Axis){a});
        Diag *d = diag_add(r->context->diags, DIAG_BLOCK_STORE, in->span,
                           "which elements are stored depends on the block size of `%.*s`",
                           STR_ARG(tile));
        diag_note(r->context->diags, d, axis_at(r->f, (Axis){a})->span,
                  "`%.*s` runs over the same block: these are the pairs in one block",
                  STR_ARG(name));
        diag_note(r->context->diags, d, axis_at(r->f, first_axis(both))->span,
                  "the block of `%.*s` is free: any size may be chosen", STR_ARG(tile));
        diag_hint(r->context->diags, d, "fix the block of `%.*s` with `by`, or reduce over `%.*s`",
                  STR_ARG(tile), STR_ARG(name));
        return true;
    }
    return false;
}

static void check_access(Rule *r, InstId id)
{
    Access a;
    if (!access_of(r->f, id, &a) || !r->report) return;
    const Inst *in = inst_at(r->f, id);
    const char *name = "what is stored";
    AxisSet bad;
    if (a.store && stores_pairs(r, in)) return;
    for (uint32_t p = 0; p < a.rank && a.store; p++) {
        Value index = access_index(r->f, &a, p);
        bad = of(r, index).partial & r->open;
        if (!bad) continue;
        refuse(r, DIAG_BLOCK_INDEX, in->span, index, bad, "an index of this store");
        return;
    }
    if (in->op == OP_STORE_TILE) {
        Value v = of(r, a.value).partial & r->open ? a.value : a.mask;
        bad = of(r, v).partial & r->open;
        if (v.i != a.value.i) name = "whether this is stored";
        if (bad)
            refuse(r, v.i == a.value.i ? DIAG_BLOCK_STORE : DIAG_BLOCK_CONDITION, in->span, v, bad,
                   name);
    }
    if (!a.fold && !a.atomic) return;
    bad = of(r, a.mask).partial & r->open;
    if (bad) {
        refuse(r, DIAG_BLOCK_CONDITION, in->span, a.mask, bad, "whether this happens");
        return;
    }
    check_combined(r, in, a.value, a.fold);
    AxisSet uses = 0;
    for (unsigned k = 0; k < in->arg_count; k++) uses |= of(r, inst_arg(r->f, in, k)).uses;
    bad = r->open & ~uses;
    if (!bad) return;
    Str axis = check_axis_name(r->f, first_axis(bad));
    Diag *d = diag_add(r->context->diags, DIAG_BLOCK_FOLD, in->span,
                       "this %s happens once for each block of `%.*s`, whose size is free: it "
                       "does not use `%.*s`",
                       a.fold ? "fold" : "atomic update", STR_ARG(axis), STR_ARG(axis));
    diag_note(r->context->diags, d, axis_at(r->f, first_axis(bad))->span, "`%.*s` is a tile here",
              STR_ARG(axis));
    diag_hint(
        r->context->diags, d,
        "move it out of the loop over `%.*s`, or combine something that is reduced over `%.*s`",
        STR_ARG(axis), STR_ARG(axis));
}

// Whether an assertion holds is seen as well as a result is.
static void check_assert(Rule *r, InstId id)
{
    const Inst *in = inst_at(r->f, id);
    if (in->op != OP_CHECK || !r->report || r->f->sites.data[in->attr.ref].kind != SITE_ASSERT)
        return;
    for_each_arg(r->f, in, k, v)
    {
        AxisSet bad = of(r, v).partial & r->open;
        if (!bad) continue;
        refuse(r, DIAG_BLOCK_CONDITION, in->span, v, bad, "whether this assertion holds");
        return;
    }
}

static bool is_tileinfo(const Func *f, Value v, TileInfo kind, Axis *a)
{
    const Inst *in = value_def(f, v);
    if (!in || in->op != OP_TILEINFO || in->attr.kind != kind) return false;
    *a = (Axis){in->attr.ref};
    return true;
}

// A range may not be partial, but for exactly the current tile of another axis.
static void check_range(Rule *r, const Inst *in)
{
    Axis x, y;
    if (!r->report || in->arg_count < 2) return;
    Value lo = inst_arg(r->f, in, 0), hi = inst_arg(r->f, in, 1);
    bool of_tile =
        is_tileinfo(r->f, lo, INFO_BEGIN, &x) && is_tileinfo(r->f, hi, INFO_END, &y) && x.i == y.i;
    bool has_by = in->op != OP_AXIS && axis_at(r->f, (Axis){in->attr.ref})->has_by;
    if (of_tile && !has_by) return;
    for (unsigned k = 0; k < 2; k++) {
        Value v = k ? hi : lo;
        AxisSet bad = of(r, v).partial & r->open;
        if (!bad) continue;
        refuse(r, DIAG_BLOCK_INDEX, in->span, v, bad, "this range");
        return;
    }
}

static void walk(Rule *r, Region region);

static const Inst *terminator(const Func *f, Region region)
{
    InstId last = region_at(f, region)->last;
    return last.i && inst_at(f, last)->op == OP_YIELD ? inst_at(f, last) : NULL;
}

// ---- updates of carried values
//
// `if (c) v = e` is v = c ? e : v. What counts is e where c holds: there, other selections by c are
// decided.

enum { KNOWN_MAX = 16, DEPTH_MAX = 400, ARMS_DEPTH = 6 };

typedef struct Update {
    Value value, old;
    Value known[KNOWN_MAX];
    bool truth[KNOWN_MAX];
    uint32_t known_count;
    Marks under; // of the conditions
} Update;

static void assume(const Rule *r, Update *u, Value c, bool truth)
{
    const Inst *in = value_def(r->f, c);
    if (u->known_count == KNOWN_MAX) return;
    u->known[u->known_count] = c;
    u->truth[u->known_count++] = truth;
    if (in && in->op == OP_NOT) assume(r, u, inst_arg(r->f, in, 0), !truth);
    for (unsigned k = 0; in && in->op == OP_AND && truth && k < 2; k++)
        assume(r, u, inst_arg(r->f, in, k), true);
}

// v itself, or what loops that leave it alone began with.
static Value unchanged(const Rule *r, Value v)
{
    for (const Inst *in = value_def(r->f, v); in && in->op == OP_LOOP; in = value_def(r->f, v)) {
        Region body = inst_region(in, 0);
        const Inst *yield = terminator(r->f, body);
        uint32_t k = value_at(r->f, v)->index, carried = region_at(r->f, body)->arg_count;
        if (!yield || k >= carried) break;
        if (unchanged(r, inst_arg(r->f, yield, k)).i != region_arg(r->f, body, k).i) break;
        v = inst_arg(r->f, in, in->arg_count - carried + k);
    }
    return v;
}

// v where the known conditions hold.
static Value decided(const Rule *r, const Update *u, Value v)
{
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        const Inst *in = value_def(r->f, v);
        uint32_t k = 0;
        if (!in || in->op != OP_SELECT) break;
        while (k < u->known_count && u->known[k].i != inst_arg(r->f, in, 0).i) k++;
        if (k == u->known_count) break;
        v = inst_arg(r->f, in, u->truth[k] ? 1 : 2);
    }
    return v;
}

static unsigned first_operand(const Inst *in);
static unsigned result_operands(const Inst *in);

static Marks marks_where_known(const Rule *r, const Update *u, Value v, bool *seen, unsigned depth)
{
    Marks m = {0};
    v = decided(r, u, v);
    const Inst *in = v.i ? value_def(r->f, v) : NULL;
    if (v.i == u->old.i)
        return (Marks){
            .partial = of(r, v).partial, .reads = of(r, v).reads, .mixed = of(r, v).mixed};
    if (!in || in->region_count || depth == 0) return of(r, v);
    if (seen[v.i]) return m;
    seen[v.i] = true;
    m = own_marks(r, in);
    for (unsigned k = first_operand(in); k < result_operands(in); k++)
        m = join(m, marks_where_known(r, u, inst_arg(r->f, in, k), seen, depth - 1));
    return m;
}

static Str variable_name(const Rule *r, const Inst *loop, const Update *u)
{
    Str name = value_at(r->f, u->old)->name;
    if (!name.length) name = value_at(r->f, inst_result(loop, value_at(r->f, u->old)->index))->name;
    return name.length ? name : STR("a variable");
}

// One way in which the variable gets a new value. True if it is refused.
static bool check_update(Rule *r, const Inst *loop, const Update *u)
{
    Axis a = {loop->attr.ref};
    AxisSet bit = axis_bit(a);
    bool *seen = arena_array(r->context->arena, bool, r->f->values.count), again;
    Marks m = marks_where_known(r, u, u->value, seen, DEPTH_MAX), all = join(m, u->under);
    bool whole = (all.last & bit) && !(all.mixed & bit); // ends as that of the whole range
    bool last = (all.partial & bit) && (!(all.reads & bit) || (all.last & bit)) && !whole,
         count = (m.reads & bit) && !(m.uses & bit);
    Combining c = {.f = r->f, .marks = r->marks, .axis = a, .old = u->old};
    ReduceKind kind;
    bool always = !((u->under.reads | u->under.partial) & bit); // else an arm is not all of it
    bool breaks = !last && !count && always && update_breaks(&c, u->value, &kind);
    if (!last && !count && !breaks) return false;
    const Inst *def = value_def(r->f, u->value);
    Span span = def && def->span.line ? def->span : loop->span;
    Str name = variable_name(r, loop, u), axis = check_axis_name(r->f, a);
    DiagList *diags = r->context->diags;
    if (breaks) {
        refuse_combining(r, &c, kind, span,
                         str_format(r->context->arena, "the update of `%.*s`", STR_ARG(name)));
        return true;
    }
    if (last) {
        Diag *d = diag_add(diags, DIAG_BLOCK_LAST_TILE, span,
                           "`%.*s` keeps only what the last block of `%.*s` gave", STR_ARG(name),
                           STR_ARG(axis));
        Value why = u->value;
        for (uint32_t k = 0; k < u->known_count && !(of(r, why).partial & bit); k++)
            why = u->known[k];
        explain(r, d, first_origin(r, why, a, &again), a);
        diag_hint(diags, d, "combine it with its old value (`%.*s = max(%.*s, ...)`, `+=`)",
                  STR_ARG(name), STR_ARG(name));
        return true;
    }
    Diag *d = diag_add(diags, DIAG_BLOCK_COUNT, span,
                       "`%.*s` changes once for each block of `%.*s`, whose size is free: the "
                       "update does not use `%.*s`",
                       STR_ARG(name), STR_ARG(axis), STR_ARG(axis));
    diag_note(diags, d, axis_at(r->f, a)->span, "`%.*s` is a tile here", STR_ARG(axis));
    diag_hint(diags, d, "count what the tile holds (`+= sum[%.*s](1)`), or loop with `for`",
              STR_ARG(axis));
    return true;
}

// Follows the selections at the end of an update, each arm under its condition; what keeps the old
// value is no update. True once one is refused.
static bool check_updates(Rule *r, const Inst *loop, Update u, unsigned depth)
{
    u.value = unchanged(r, decided(r, &u, u.value));
    if (u.value.i == u.old.i) return false;
    const Inst *in = value_def(r->f, u.value);
    if (!in || in->op != OP_SELECT || depth == 0) return check_update(r, loop, &u);
    for (unsigned arm = 0; arm < 2; arm++) {
        Update next = u;
        assume(r, &next, inst_arg(r->f, in, 0), arm == 0);
        next.under = join(u.under, of(r, inst_arg(r->f, in, 0)));
        next.value = inst_arg(r->f, in, arm + 1);
        if (check_updates(r, loop, next, depth - 1)) return true;
    }
    return false;
}

static void check_carried(Rule *r, InstId id)
{
    const Inst *in = inst_at(r->f, id);
    const Inst *yield = terminator(r->f, inst_region(in, 0));
    for (unsigned k = 0; yield && k < yield->arg_count && k < in->result_count; k++) {
        Update u = {.value = inst_arg(r->f, yield, k),
                    .old = region_arg(r->f, inst_region(in, 0), k)};
        check_updates(r, in, u, ARMS_DEPTH);
    }
}

static void walk_loop(Rule *r, InstId id)
{
    const Inst *in = inst_at(r->f, id);
    Axis a = {in->attr.ref};
    AxisSet bit = axis_bit(a) & r->free, before = r->open;
    Region body = inst_region(in, 0);
    check_range(r, in);
    uint32_t carried = region_at(r->f, body)->arg_count, first = in->arg_count - carried;
    r->open |= bit;
    const Inst *yield = terminator(r->f, body);
    for (uint32_t k = 0; k < carried; k++) {
        Marks m = of(r, inst_arg(r->f, in, first + k));
        m.reads |= bit;
        Value next = yield && k < yield->arg_count ? inst_arg(r->f, yield, k) : (Value){0};
        m = join(m, of(r, next));
        // What a tile finds is what the tiles before it left: unless nothing changes it, that is
        // partial.
        bool same = next.i && unchanged(r, next).i == region_arg(r->f, body, k).i;
        if (!same) m.partial |= bit, m.mixed |= bit;
        grow(r, region_arg(r->f, body, k), m);
    }
    walk(r, body);
    if (r->report && (in->flags & INST_WHILE)) {
        Value go = inst_arg(r->f, yield, yield->arg_count - 1u);
        AxisSet bad = of(r, go).partial & r->open;
        if (bad)
            refuse(r, DIAG_BLOCK_CONDITION, in->span, go, bad, "the condition of this `while`");
    }
    if (r->report && bit) check_carried(r, id);
    r->open = before;
    for (unsigned k = 0; k < in->result_count && k < carried; k++) {
        Marks m = join(of(r, region_arg(r->f, body, k)), of(r, inst_arg(r->f, in, first + k)));
        m.partial &= ~bit;
        m.reads &= ~bit;
        m.last &= ~bit;
        m.mixed &= ~bit;
        grow(r, inst_result(in, k), m);
    }
}

static void walk_if(Rule *r, InstId id)
{
    const Inst *in = inst_at(r->f, id);
    Value condition = inst_arg(r->f, in, 0);
    AxisSet bad = of(r, condition).partial & r->open;
    InstId owner = inst_owner(r->f, id); // the turns of a `while` stand in an `if`
    bool turn = owner.i && (inst_at(r->f, owner)->flags & INST_WHILE) &&
                memcmp(&inst_at(r->f, owner)->span, &in->span, sizeof in->span) == 0;
    if (r->report && bad)
        refuse(r, DIAG_BLOCK_CONDITION, in->span, condition, bad,
               turn ? "the condition of this `while`" : "the condition of this `if`");
    for (unsigned k = 0; k < in->region_count; k++) {
        walk(r, inst_region(in, k));
        const Inst *yield = terminator(r->f, inst_region(in, k));
        for (unsigned j = 0; yield && j < yield->arg_count && j < in->result_count; j++)
            grow(r, inst_result(in, j), join(of(r, inst_arg(r->f, yield, j)), of(r, condition)));
    }
}

// The loop of which a `combine` gives what is last in the tile.
static AxisSet last_of_loop(const Rule *r, const Inst *in)
{
    if (!combine_takes_last(r->f, in) || (in->attr.bits & (in->attr.bits - 1))) return 0;
    InstId decl = axis_at(r->f, first_axis(in->attr.bits))->decl;
    const Inst *loop = decl.i ? inst_at(r->f, decl) : NULL;
    bool along = loop && loop->op == OP_LOOP && ((loop->flags ^ in->flags) & INST_REVERSE) == 0;
    return along ? in->attr.bits : 0;
}

// What an instruction adds to the marks of its operands.
static Marks own_marks(const Rule *r, const Inst *in)
{
    Marks m = {0};
    bool names = in->op == OP_INDEX || in->op == OP_SEARCH || in->op == OP_TILEINFO;
    AxisSet axis = names ? axis_bit((Axis){in->attr.ref}) : 0;
    if (in->op == OP_INDEX) m.uses = axis | family(r, (Axis){in->attr.ref});
    if (in->op == OP_SEARCH) m.uses = m.partial = family(r, (Axis){in->attr.ref}), m.uses |= axis;
    if (in->op == OP_COMBINE || in->op == OP_SORT) m.uses = in->attr.bits;
    if (in->flags & INST_IMPLICIT) return m;
    if (in->op == OP_TILEINFO)
        m.partial = family(r, (Axis){in->attr.ref}), m.uses = axis | m.partial;
    if (in->op == OP_REDUCE)
        m.partial = families(r, in->attr.bits), m.uses = in->attr.bits | m.partial;
    if (in->op == OP_COMBINE || in->op == OP_SORT) {
        m.partial = families(r, in->attr.bits);
        m.uses |= m.partial;
        m.last = m.partial & last_of_loop(r, in);
    }
    m.mixed = m.partial & ~m.last;
    return m;
}

// The operands on which the result depends. An element, where it is loaded, is that element: the
// condition of the load is also that of what uses it.
static unsigned result_operands(const Inst *in)
{
    return in->op == OP_LOAD_TILE ? inst_plain_args(in) : in->arg_count;
}

// A scan that carries on does not depend on where the tile before it ended.
static unsigned first_operand(const Inst *in)
{
    bool carries_on = in->op == OP_COMBINE && (in->flags & INST_IMPLICIT);
    return carries_on ? combine_width(in) : 0;
}

static void mark_results(Rule *r, InstId id)
{
    const Inst *in = inst_at(r->f, id);
    Marks m = own_marks(r, in);
    for (unsigned k = first_operand(in); k < result_operands(in); k++)
        m = join(m, of(r, inst_arg(r->f, in, k)));
    for (unsigned k = 0; k < in->result_count; k++) grow(r, inst_result(in, k), m);
}

static void walk(Rule *r, Region region)
{
    for_each_inst(r->f, region, id) {
        const Inst *in = inst_at(r->f, id);
        if (in->op == OP_LOOP) {
            walk_loop(r, id);
        } else if (in->op == OP_IF) {
            walk_if(r, id);
        } else if (in->op == OP_GRID) {
            AxisSet before = r->open;
            check_range(r, in);
            r->open |= axis_bit((Axis){in->attr.ref}) & r->free;
            walk(r, inst_region(in, 0));
            r->open = before;
        } else if (in->op == OP_PHASE) {
            walk(r, inst_region(in, 0));
        } else {
            if (in->op == OP_AXIS) check_range(r, in);
            mark_results(r, id);
            check_access(r, id);
            check_assert(r, id);
        }
    }
}

bool pass_block_rule(Func *f, const PassContext *context)
{
    Rule r = {.f = f, .context = context};
    r.marks = arena_array(context->arena, Marks, f->values.count);
    for (uint32_t a = 1; a < f->axes.count; a++) {
        const AxisInfo *info = &f->axes.data[a];
        if (info->kind != AXIS_WHOLE && !info->scalar && !info->has_by) r.free |= (AxisSet)1 << a;
    }
    do {
        r.changed = false;
        walk(&r, f->body);
    } while (r.changed);
    r.report = true;
    walk(&r, f->body);
    return false;
}

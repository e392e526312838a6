// Proves that accesses are in bounds. What is not proved is an error if small sizes are found for
// which it goes wrong; else, as with every index that depends on data, the position is marked
// (attr.bits) for a check at run time. Masks of loads that no proof needs are dropped.
//
//     x: f32[N], n in 0 .. N:   x[n]        proved
//                               x[n + 1]    error: n = N - 1
//                               x[ids[n]]   checked, unless ids promises its range
#include "ir/eval.h"
#include "passes/check.h"

typedef struct Bounds {
    Func *f;
    const PassContext *context;
    Sym *sym;
    bool changed;
} Bounds;

static const int64_t ARG_MAX = (int64_t)1 << 31;

typedef enum Proof { PROOF_NONE, PROOF_MASKED, PROOF_PLAIN } Proof;

// ---- messages

static bool has_foreign_dim(const Sym *sym, Poly p, Poly size)
{
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomId id = (AtomId)(m & 0xffff);
            if (sym->atoms.data[id].kind == ATOM_DIM && !poly_has(size, id)) return true;
        }
    }
    return false;
}

// The lane in p whose range ends at sizes that the dimension does not have, and that are not
// always larger; 0 if there is none.
static Axis foreign_axis(Sym *sym, Poly p, Poly size)
{
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            Poly lo, hi;
            if (x.kind != ATOM_LANE) continue;
            sym_range(sym, (Axis){x.ref}, &lo, &hi);
            if (has_foreign_dim(sym, hi, size) &&
                !sym_quick_nonneg(sym, poly_sub(sym->arena, hi, size)))
                return (Axis){x.ref};
        }
    }
    return (Axis){0};
}

static void note_ranges(Bounds *b, Diag *diag, Poly index)
{
    AxisSet done = 0;
    for (uint32_t i = 0; i < index.count; i++) {
        for (Mono m = index.terms[i].mono; m; m >>= 16) {
            AtomInfo x = b->sym->atoms.data[m & 0xffff];
            Axis a = {x.ref};
            Poly lo, hi;
            if (x.kind != ATOM_LANE || (done & axis_bit(a))) continue;
            done |= axis_bit(a);
            sym_range(b->sym, a, &lo, &hi);
            diag_note(b->context->diags, diag, axis_at(b->f, a)->span,
                      "`%.*s` runs over %.*s .. %.*s", STR_ARG(check_axis_name(b->f, a)),
                      STR_ARG(check_poly_text(b->context, b->sym, lo)),
                      STR_ARG(check_poly_text(b->context, b->sym, hi)));
        }
    }
}

static void note_example(Bounds *b, Diag *diag, const Example *e, Str index)
{
    Buf buf = {.arena = b->context->arena};
    for (uint32_t i = 0; i < e->name_count; i++)
        buf_printf(&buf, "%s%.*s = %lld", i ? ", " : "", STR_ARG(e->names[i].name),
                   (long long)e->names[i].value);
    if (!e->name_count) return;
    diag_note(b->context->diags, diag, (Span){0},
              "for example %.*s: `%.*s` is %lld, the size is %lld", STR_ARG(buf_view(&buf)),
              STR_ARG(index), (long long)e->index, (long long)e->size);
}

static void report(Bounds *b, const Access *access, uint32_t position, const Example *e)
{
    DiagList *diags = b->context->diags;
    Poly index = access_poly(b->sym, access, position);
    Poly size = sym_size(b->sym, access->mem, position);
    Str text = check_index_text(b->context, b->sym, access, position);
    Str size_text = check_poly_text(b->context, b->sym, size);
    AtomId alone;
    Axis foreign = e->index >= 0 && poly_is_atom(index, &alone) ? foreign_axis(b->sym, index, size)
                                                                : (Axis){0};
    Poly lo, hi;
    int64_t constant;
    Diag *diag = diag_add(
        diags, foreign.i ? DIAG_SIZES_UNRELATED : DIAG_OUT_OF_BOUNDS, access->span,
        "`%.*s` is out of bounds: index `%.*s` can be %lld where dimension %u of `%.*s` has size "
        "%.*s",
        STR_ARG(check_access_text(b->context, b->f, access)), STR_ARG(text), (long long)e->index,
        position, STR_ARG(mem_at(b->f, access->mem)->name), STR_ARG(size_text));
    note_example(b, diag, e, text);
    note_ranges(b, diag, index);
    if (foreign.i) {
        sym_range(b->sym, foreign, &lo, &hi);
        diag_hint(diags, diag,
                  "use the same name for both sizes, or write `require %.*s <= %.*s, \"...\";`",
                  STR_ARG(check_poly_text(b->context, b->sym, hi)), STR_ARG(size_text));
    } else if (poly_is_const(index, &constant)) {
        diag_hint(diags, diag, "the dimension has the elements 0 .. %.*s", STR_ARG(size_text));
    } else if (e->index < 0 && memchr(text.data, '%', text.length)) {
        diag_hint(diags, diag,
                  "`%%` has the sign of what is divided; `mod(a, b)` is never negative");
    } else if (e->index < 0) {
        diag_hint(diags, diag, "shorten the range, or guard the access: `%.*s >= 0 ? ... : 0`",
                  STR_ARG(text));
    } else {
        diag_hint(diags, diag, "shorten the range, or guard the access: `%.*s < %.*s ? ... : 0`",
                  STR_ARG(text), STR_ARG(size_text));
    }
}

// ---- proofs

static Proof prove_position(Bounds *b, const Access *access, uint32_t position)
{
    Sym *sym = b->sym;
    Poly index = access_poly(sym, access, position);
    Poly room = poly_offset(sym->arena,
                            poly_sub(sym->arena, sym_size(sym, access->mem, position), index), -1);
    bool low = sym_quick_nonneg(sym, index), high = sym_quick_nonneg(sym, room);
    for (int masked = 0; masked < 2 && !(low && high); masked++) {
        if (masked && !access->mask.i) return PROOF_NONE;
        Query q;
        query_start(&q, sym);
        query_scope(&q, access->inst);
        query_axes(&q, access->axes);
        if (masked) query_assume(&q, access->mask, true, NULL);
        bool l = low || query_nonneg(&q, index), h = high || query_nonneg(&q, room);
        if (l && h) return masked ? PROOF_MASKED : PROOF_PLAIN;
    }
    return low && high ? PROOF_PLAIN : PROOF_NONE;
}

// Whether p depends on nothing but sizes, through the ranges of its lanes as well.
static bool by_sizes(Sym *sym, Poly p, unsigned depth)
{
    for (uint32_t i = 0; i < p.count && depth; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            if (x.kind == ATOM_LOAD || x.kind == ATOM_OPAQUE || x.kind == ATOM_PURE ||
                x.kind == ATOM_ARG)
                return false;
            Poly lo = x.a, hi = x.b;
            if (x.kind == ATOM_LANE) sym_range(sym, (Axis){x.ref}, &lo, &hi);
            if (!by_sizes(sym, lo, depth - 1) || !by_sizes(sym, hi, depth - 1)) return false;
        }
    }
    return depth && !p.bad;
}

// Made of lanes and sizes alone, also through quotients; *lane: of a lane at all.
static bool of_lanes(const Sym *sym, Poly p, bool *lane, unsigned depth)
{
    for (uint32_t i = 0; i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            bool quotient = x.kind == ATOM_QUOTIENT && depth &&
                            of_lanes(sym, x.a, lane, depth - 1) &&
                            of_lanes(sym, x.b, lane, depth - 1);
            if (x.kind != ATOM_LANE && x.kind != ATOM_DIM && !quotient) return false;
            *lane |= x.kind == ATOM_LANE;
        }
    }
    return !p.bad;
}

// Only lanes and sizes, and at least one lane that runs past the end: then a small example is an
// error. A single element (`x[Q - 1]`) is checked, as sizes may well be large enough.
static bool is_affine(Sym *sym, Poly p)
{
    int64_t c;
    bool lane = poly_is_const(p, &c) && c < 0;
    return of_lanes(sym, p, &lane, 8) && lane && by_sizes(sym, p, 8);
}

static void mark(Bounds *b, const Access *access, uint32_t position)
{
    inst_at(b->f, access->inst)->attr.bits |= (uint64_t)1 << position;
    func_site(b->f, (SiteInfo){.kind = SITE_BOUNDS,
                               .mem = access->mem,
                               .position = position,
                               .span = access->span});
    b->changed = true;
}

static void drop_mask(Bounds *b, const Access *access)
{
    Inst *in = inst_at(b->f, access->inst);
    in->arg_count--;
    in->flags &= (uint8_t)~INST_MASKED;
    b->f->version++;
    b->changed = true;
}

static void check_access(Bounds *b, const Access *access, const bool *written)
{
    Func *f = b->f;
    bool plain = true;
    AxisSet index_axes = 0;
    for (uint32_t p = 0; p < access->rank; p++) {
        Proof proof = prove_position(b, access, p);
        Example example;
        index_axes |= value_axes(f, access_index(f, access, p));
        plain &= proof == PROOF_PLAIN;
        if (proof != PROOF_NONE) continue;
        if (is_affine(b->sym, access_poly(b->sym, access, p)) &&
            example_find(b->context->arena, f, access, p, &example))
            report(b, access, p, &example);
        else
            mark(b, access, p);
    }
    // A tensor that this phase writes keeps its masks: what lies beyond is not this tile's to read.
    bool lanes_kept = !(value_axes(f, access->value) & ~index_axes);
    if (!access->store && access->mask.i && plain && lanes_kept && !written[access->mem.i])
        drop_mask(b, access);
}

// Takes the condition `ok`, which always holds, out of the masks of `take`.
static void unmask_takes(Func *f, Value ok)
{
    for (uint32_t i = 1; i < f->insts.count; i++) {
        Inst *in = &f->insts.data[i];
        Value mask = inst_mask(f, in);
        const Inst *both = mask.i ? value_def(f, mask) : NULL;
        if (in->op != OP_TAKE || (in->flags & INST_DEAD) || !mask.i) continue;
        for (unsigned k = 0; k < 2 && both->op == OP_AND; k++)
            if (inst_arg(f, both, k).i == ok.i)
                func_set_arg(f, (InstId){i}, in->arg_count - 1u, inst_arg(f, both, 1 - k));
        if (mask.i != ok.i) continue;
        in->arg_count--;
        in->flags &= (uint8_t)~INST_MASKED;
        f->version++;
    }
}

// A local value at another index: ok is lo <= index && index < hi. What is proved wherever the
// lanes are is true; under the mask of the check only, the check goes and its use stays.
static void check_lane(Bounds *b, InstId id)
{
    Func *f = b->f;
    const Inst *in = inst_at(f, id);
    const Inst *ok = value_def(f, inst_arg(f, in, 0)), *low, *high;
    Value mask = inst_mask(f, in);
    if (!ok || ok->op != OP_AND) return;
    low = value_def(f, inst_arg(f, ok, 0)), high = value_def(f, inst_arg(f, ok, 1));
    if (!low || !high || low->op != OP_LE || high->op != OP_LT) return;
    Arena *arena = b->sym->arena;
    Poly at = sym_value(b->sym, inst_arg(f, high, 0), NULL);
    Poly above = poly_sub(arena, at, sym_value(b->sym, inst_arg(f, low, 0), NULL));
    Poly room = poly_sub(arena, sym_value(b->sym, inst_arg(f, high, 1), NULL), at);
    room = poly_offset(arena, room, -1);
    for (int masked = 0; masked < (mask.i ? 2 : 1); masked++) {
        Query q;
        query_start(&q, b->sym);
        query_scope(&q, id);
        query_axes(&q, value_axes(f, inst_arg(f, in, 0)) | (mask.i ? value_axes(f, mask) : 0));
        if (masked) query_assume(&q, mask, true, NULL);
        if (!query_nonneg(&q, above) || !query_nonneg(&q, room)) continue;
        if (!masked) unmask_takes(f, inst_arg(f, in, 0));
        inst_unlink(f, id);
        b->changed = true;
        return;
    }
}

static void check_lanes(Bounds *b, Region region)
{
    Func *f = b->f;
    for (InstId id = region_at(f, region)->first, next; id.i; id = next) {
        next = inst_at(f, id)->next;
        const Inst *in = inst_at(f, id);
        if (in->op == OP_CHECK && f->sites.data[in->attr.ref].kind == SITE_LANE) check_lane(b, id);
        for (unsigned k = 0; k < inst_at(f, id)->region_count; k++)
            check_lanes(b, inst_region(inst_at(f, id), k));
    }
}

static void require_small(Bounds *b, uint32_t arg, InstId before)
{
    Func *f = b->f;
    Value v = {0};
    for_each_inst(f, f->body, id)
        if (inst_at(f, id)->op == OP_ARG && inst_at(f, id)->attr.ref == arg)
            v = inst_result(inst_at(f, id), 0);
    if (!v.i) return;
    Builder build = {.f = f, .region = f->body, .before = before, .span = f->args.data[arg].span};
    Value low = build_op2(&build, OP_LE, build_i64(&build, -ARG_MAX), v);
    Value ok =
        build_op2(&build, OP_AND, low, build_op2(&build, OP_LE, v, build_i64(&build, ARG_MAX)));
    Str message =
        str_format(f->arena, "%.*s takes part in an index, so it must lie between -2^31 and 2^31",
                   STR_ARG(f->args.data[arg].name));
    SiteInfo site = {.kind = SITE_REQUIRE, .span = build.span, .message = message};
    build_inst(&build, OP_REQUIRE,
               (BuildSpec){.args = &ok, .arg_count = 1, .attr = {.ref = func_site(f, site)}});
    b->changed = true;
}

// Proofs are about integers, the machine wraps: scalar arguments that take part in index arithmetic
// are bounded at launch, unless the kernel requires so itself.
static void bound_arguments(Bounds *b)
{
    Sym *sym = b->sym;
    InstId phase = {0};
    for_each_inst(b->f, b->f->body, id)
        if (inst_at(b->f, id)->op == OP_PHASE && !phase.i) phase = id;
    for (uint32_t i = 1; i < sym->atoms.count && phase.i; i++) {
        AtomInfo x = sym->atoms.data[i];
        if (x.kind != ATOM_ARG || arg_is_turn(b->f, x.ref) || !x.computed_with ||
            b->f->args.data[x.ref].dtype != DTYPE_I64)
            continue;
        Query q;
        query_start(&q, sym);
        query_scope(&q, phase);
        Poly arg = poly_atom(sym->arena, i);
        if (query_nonneg(&q, poly_offset(sym->arena, arg, ARG_MAX)) &&
            query_nonneg(&q, poly_offset(sym->arena, poly_scale(sym->arena, arg, -1), ARG_MAX)))
            continue;
        require_small(b, x.ref, phase);
    }
}

bool pass_bounds(Func *f, const PassContext *context)
{
    Bounds b = {.f = f, .context = context, .sym = sym_new(context->arena, f)};
    bool *written = arena_array(context->arena, bool, f->mems.count + 1);
    for_each_inst(f, f->body, id) {
        AccessList list = {0};
        if (inst_at(f, id)->op != OP_PHASE) continue;
        access_collect(context->arena, f, inst_region(inst_at(f, id), 0), &list);
        memset(written, 0, f->mems.count);
        for (uint32_t i = 0; i < list.count; i++)
            if (list.data[i].store) written[list.data[i].mem.i] = true;
        for (uint32_t i = 0; i < list.count; i++) check_access(&b, &list.data[i], written);
        check_lanes(&b, inst_region(inst_at(f, id), 0));
    }
    bound_arguments(&b);
    return b.changed;
}

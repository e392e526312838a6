// The same polynomial seen from elsewhere: as another tile has it, or where a mask holds.
#include "ir/symbolic.h"

static bool mask_has(const Func *f, Value mask, Value part, unsigned depth)
{
    if (mask.i == part.i) return true;
    const Inst *in = mask.i ? value_def(f, mask) : NULL;
    return depth && in && in->op == OP_AND &&
           (mask_has(f, inst_arg(f, in, 0), part, depth - 1) ||
            mask_has(f, inst_arg(f, in, 1), part, depth - 1));
}

static bool mask_implies(const Func *f, Value mask, Value weaker, unsigned depth)
{
    if (mask_has(f, mask, weaker, 16)) return true;
    const Inst *in = value_def(f, weaker);
    return depth && in && in->op == OP_AND &&
           mask_implies(f, mask, inst_arg(f, in, 0), depth - 1) &&
           mask_implies(f, mask, inst_arg(f, in, 1), depth - 1);
}

Poly sym_under_mask(Sym *sym, Poly p, Value mask)
{
    for (uint32_t i = 0; mask.i && i < p.count; i++) {
        for (Mono m = p.terms[i].mono; m; m >>= 16) {
            AtomInfo x = sym->atoms.data[m & 0xffff];
            if (x.kind != ATOM_LOAD || !x.mask.i || x.env ||
                !mask_implies(sym->f, mask, x.mask, 16))
                continue;
            x.mask = (Value){0};
            x.sign = 0;
            Poly *index = arena_array(sym->arena, Poly, x.index_count + 1);
            for (uint32_t k = 0; k < x.index_count; k++)
                index[k] = sym_under_mask(sym, x.index[k], mask);
            x.index = index;
            x.lanes = x.tiles = 0;
            for (uint32_t k = 0; k < x.index_count; k++) sym_depend_on(sym, &x, index[k]);
            return sym_under_mask(
                sym, poly_substitute(sym->arena, p, (AtomId)(m & 0xffff), sym_atom(sym, x)), mask);
        }
    }
    return p;
}

// ---- copies

static Poly copy_atom(Sym *sym, AtomId id)
{
    AtomInfo *x = &sym->atoms.data[id];
    AxisSet tiles = sym->same_tiles;
    if (x->origin || (!(x->lanes & ~sym->same_lanes) && !(x->tiles & ~tiles)))
        return poly_atom(sym->arena, id);
    if (x->copy) return poly_atom(sym->arena, x->copy);
    AtomInfo info = *x;
    info.origin = id;
    Poly p = sym_atom(sym, info);
    AtomId made = 0;
    if (poly_is_atom(p, &made)) sym->atoms.data[id].copy = made;
    return p;
}

Poly sym_copy(Sym *sym, Poly p)
{
    Poly out = {0};
    if (p.bad) return p;
    for (uint32_t i = 0; i < p.count; i++) {
        Poly part = poly_const(sym->arena, p.terms[i].coeff);
        for (Mono m = p.terms[i].mono; m; m >>= 16)
            part = poly_mul(sym->arena, part, copy_atom(sym, (AtomId)(m & 0xffff)));
        out = poly_add(sym->arena, out, part);
    }
    return out;
}

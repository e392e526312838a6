// Polynomials as source would say them: `2 * n + 1`, `H - R + 1`, `off[b + 1] - 1`.
#include "ir/symbolic.h"

static void print_poly(const Sym *sym, Buf *out, Poly p, unsigned depth);

static void print_pair(const Sym *sym, Buf *out, const char *name, AtomInfo x, unsigned depth)
{
    buf_printf(out, "%s(", name);
    print_poly(sym, out, x.a, depth - 1);
    buf_printf(out, ", ");
    print_poly(sym, out, x.b, depth - 1);
    buf_char(out, ')');
}

static void print_factor(const Sym *sym, Buf *out, Poly p, unsigned depth)
{
    bool simple = p.count == 1;
    if (!simple) buf_char(out, '(');
    print_poly(sym, out, p, depth - 1);
    if (!simple) buf_char(out, ')');
}

static void print_load(const Sym *sym, Buf *out, AtomInfo x, unsigned depth)
{
    buf_str(out, mem_at(sym->f, (Mem){x.ref})->name);
    buf_char(out, '[');
    for (uint32_t k = 0; k < x.index_count; k++) {
        if (k) buf_printf(out, ", ");
        print_poly(sym, out, x.index[k], depth - 1);
    }
    buf_char(out, ']');
}

static void print_value(const Sym *sym, Buf *out, Value v)
{
    Str name = value_at(sym->f, v)->name;
    const Inst *in = value_def(sym->f, v);
    if (name.length)
        buf_str(out, name);
    else if (in && in->op == OP_LOAD_TILE)
        buf_printf(out, "%.*s[...]", STR_ARG(mem_at(sym->f, (Mem){in->attr.ref})->name));
    else
        buf_printf(out, "(...)");
}

static void print_atom(const Sym *sym, Buf *out, AtomId id, unsigned depth)
{
    const Func *f = sym->f;
    AtomInfo x = sym->atoms.data[id];
    if (depth == 0) {
        buf_printf(out, "...");
        return;
    }
    switch (x.kind) {
    case ATOM_DIM: buf_str(out, f->dims.data[x.ref].name); break;
    case ATOM_ARG: buf_str(out, f->args.data[x.ref].name); break;
    case ATOM_LANE: buf_str(out, axis_at(f, (Axis){x.ref})->name); break;
    case ATOM_ID: buf_printf(out, "%.*s.id", STR_ARG(axis_at(f, (Axis){x.ref})->name)); break;
    case ATOM_BLOCK: buf_printf(out, "%.*s.block", STR_ARG(axis_at(f, (Axis){x.ref})->name)); break;
    case ATOM_END: buf_printf(out, "%.*s.end", STR_ARG(axis_at(f, (Axis){x.ref})->name)); break;
    case ATOM_COUNT: buf_printf(out, "%.*s.count", STR_ARG(axis_at(f, (Axis){x.ref})->name)); break;
    case ATOM_QUOTIENT:
        print_factor(sym, out, x.a, depth);
        buf_printf(out, " / ");
        print_factor(sym, out, x.b, depth);
        break;
    case ATOM_MIN: print_pair(sym, out, "min", x, depth); break;
    case ATOM_MAX: print_pair(sym, out, "max", x, depth); break;
    case ATOM_SELECT: print_pair(sym, out, "either", x, depth); break;
    case ATOM_LOAD: print_load(sym, out, x, depth); break;
    case ATOM_PURE: print_pair(sym, out, op_info[x.ref].mnemonic, x, depth); break;
    case ATOM_OPAQUE: print_value(sym, out, (Value){x.ref}); break;
    }
}

static void print_term(const Sym *sym, Buf *out, Term t, bool first, unsigned depth)
{
    int64_t c = t.coeff;
    if (first && c < 0) buf_char(out, '-');
    if (!first) buf_printf(out, c < 0 ? " - " : " + ");
    uint64_t size = c < 0 ? 0 - (uint64_t)c : (uint64_t)c;
    if (size != 1 || !t.mono) buf_printf(out, "%llu", (unsigned long long)size);
    bool factor = size != 1 && t.mono;
    for (Mono m = t.mono; m; m >>= 16) {
        if (factor) buf_printf(out, " * ");
        factor = true;
        print_atom(sym, out, (AtomId)(m & 0xffff), depth);
    }
}

// Positive terms first, the constant last.
static void print_poly(const Sym *sym, Buf *out, Poly p, unsigned depth)
{
    bool first = true;
    if (p.bad)
        buf_printf(out, "(...)");
    else if (p.count == 0)
        buf_char(out, '0');
    for (int pass = 0; pass < 3; pass++) {
        for (uint32_t i = 0; i < p.count; i++) {
            int turn = p.terms[i].mono == 0 ? 2 : p.terms[i].coeff < 0;
            if (turn != pass) continue;
            print_term(sym, out, p.terms[i], first, depth);
            first = false;
        }
    }
}

void sym_print(const Sym *sym, Buf *out, Poly p)
{
    print_poly(sym, out, p, 6);
}

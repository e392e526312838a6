// Which short axes are written out by default: those that are sorted, and those that are reduced
// where another axis can take the lanes.
//
//   sum[u in 3, v in 3](x[i + u, j + v])        u and v: lanes along j, nine loads
//   sum[j](w{i,j} * (p[j, c] - p[i, c]))        c in 3: three sums share w
//   sum[n in 16](x[m, n])                       none: x lies along n, which fills a vector
//   sum[s, c in 8](x[s, g, c])                  c: lanes along g, eight loads of neighbours
//   sum[c, u, v](x[..] * w[f, c, u, v])         none: a product with rows and columns
#include "ir/eval.h"
#include "passes/expand.h"

enum {
    LANES_LEAST = 8, // of the axis that takes the lanes
    LANES_MOST = 16,
    ALONG_MOST = 7,    // indices of an axis that memory lies along
    BESIDE_MOST = 4,   // of one that is not reduced
    NEXT_MOST = 8,     // of one within the lanes' axis in memory ...
    NEXT_FEW = 2,      // ... of any sum, or else of one over so many indices that the first cache
    LONG_LEAST = 512,  // does not have their lines when they are read again
    INSTS_MOST = 2500, // after all is written out: compilers of OpenCL take a minute for as many
    KEY_INSTS = 24,    // that make a key of an element, and an element of a key
    ARG_DEPTH = 12
};

typedef struct Finder {
    const Func *f;
    AxisSet able;
    int64_t count[64]; // of able ones
    AxisSet worth;
} Finder;

// Whether an axis of the set has indices for many lanes.
static bool has_lanes(const Finder *x, AxisSet axes)
{
    for (unsigned a = 1; a < x->f->axes.count; a++) {
        int64_t lo, hi;
        if (!(axes >> a & 1)) continue;
        const Inst *decl = inst_at(x->f, axis_at(x->f, (Axis){a})->decl);
        bool known = decl->arg_count >= 2 && value_const_int(x->f, inst_arg(x->f, decl, 0), &lo) &&
                     value_const_int(x->f, inst_arg(x->f, decl, 1), &hi);
        if (!known || hi - lo >= LANES_LEAST) return true;
    }
    return false;
}

// Whether something that v is computed from lies in memory along this axis alone.
static bool lies_along(const Func *f, Value v, Axis a, int depth)
{
    const Inst *in = value_def(f, v);
    if (!in || !depth || in->region_count || !(value_axes(f, v) & axis_bit(a))) return false;
    if (in->op == OP_LOAD_TILE) {
        unsigned rank = mem_at(f, (Mem){in->attr.ref})->rank;
        return rank && value_axes(f, inst_arg(f, in, rank - 1)) == axis_bit(a);
    }
    for_each_arg(f, in, k, arg)
        if (lies_along(f, arg, a, depth - 1)) return true;
    return false;
}

// Whether a factor lies along the axis and has the lanes' as well, as w[c, i] in
// sum[i](x[t + i, c] * w[c, i]): each copy would gather it again for every t.
static bool gathers_factor(const Finder *x, Value v, Axis a, AxisSet lanes)
{
    const Inst *in = value_def(x->f, v);
    if (!in) return false;
    if (in->op == OP_LOAD_TILE) return (value_axes(x->f, v) & lanes) && lies_along(x->f, v, a, 1);
    if (in->op != OP_MUL && in->op != OP_SELECT) return false;
    for_each_arg(x->f, in, k, arg)
        if (gathers_factor(x, arg, a, lanes)) return true;
    return false;
}

// Whether something that v is computed from has the lanes' axis next to this one in memory: then
// the lanes of all its indices are whole lines.
static bool lies_next(const Finder *x, Value v, Axis a, AxisSet lanes, int depth)
{
    const Inst *in = value_def(x->f, v);
    if (!in || !depth || in->region_count || !(value_axes(x->f, v) & axis_bit(a))) return false;
    if (in->op == OP_LOAD_TILE) {
        unsigned rank = mem_at(x->f, (Mem){in->attr.ref})->rank;
        return rank > 1 && value_axes(x->f, inst_arg(x->f, in, rank - 1)) == axis_bit(a) &&
               value_axes(x->f, inst_arg(x->f, in, rank - 2)) == lanes;
    }
    for_each_arg(x->f, in, k, arg)
        if (lies_next(x, arg, a, lanes, depth - 1)) return true;
    return false;
}

// Of all these axes together; large if it is not known.
static int64_t indices_of(const Finder *x, AxisSet axes)
{
    int64_t count = 1, lo, hi;
    for (unsigned a = 1; a < x->f->axes.count; a++) {
        if (!(axes >> a & 1)) continue;
        const Inst *decl = inst_at(x->f, axis_at(x->f, (Axis){a})->decl);
        bool known = decl->arg_count >= 2 && value_const_int(x->f, inst_arg(x->f, decl, 0), &lo) &&
                     value_const_int(x->f, inst_arg(x->f, decl, 1), &hi);
        if (!known || __builtin_mul_overflow(count, hi > lo ? hi - lo : 0, &count))
            return INT64_MAX;
    }
    return count;
}

static void note_reduce(Finder *x, const Inst *in)
{
    AxisSet result = value_axes(x->f, inst_result(in, 0));
    Value v = inst_arg(x->f, in, 0);
    const Inst *def = value_def(x->f, v);
    int64_t copies = 1;
    AxisSet last = result & ~x->able; // the last of these has the lanes as a rule
    if (last) last = (AxisSet)1 << (63 - __builtin_clzll(last));
    if (in->flags & INST_IMPLICIT ||
        contraction_pair(x->f, in, result, (Value[2]){{0}}) == PAIR_PRODUCT)
        return;
    for (unsigned a = 1; a < 64; a++) {
        if (!(in->attr.bits >> a & 1) || copies > EXPAND_MOST) continue;
        bool along = lies_along(x->f, v, (Axis){a}, ARG_DEPTH);
        if (def && def->op != OP_LOAD_TILE && last && gathers_factor(x, v, (Axis){a}, last)) return;
        bool fits = (x->able >> a & 1) && (!along || x->count[a] <= ALONG_MOST);
        copies = fits ? copies * x->count[a] : EXPAND_MOST + 1;
    }
    if (copies <= EXPAND_MOST && has_lanes(x, result & ~x->able)) x->worth |= in->attr.bits;
    for (unsigned a = 1; a < 64 && copies > EXPAND_MOST; a++) {
        if (!((in->attr.bits & x->able) >> a & 1) || x->count[a] > NEXT_MOST) continue;
        AxisSet others = in->attr.bits & ~((AxisSet)1 << a);
        bool few = x->count[a] <= NEXT_FEW || indices_of(x, others) >= LONG_LEAST;
        if (few && has_lanes(x, last) && lies_next(x, v, (Axis){a}, last, ARG_DEPTH))
            x->worth |= (AxisSet)1 << a;
    }
    if (!def || def->op == OP_LOAD_TILE || copies <= EXPAND_MOST) return;
    for (unsigned a = 1; a < 64; a++)
        if (((result & x->able) >> a & 1) && x->count[a] <= BESIDE_MOST &&
            has_lanes(x, result & ~x->able))
            x->worth |= (AxisSet)1 << a;
}

static void note_sort(Finder *x, const Inst *in)
{
    AxisSet result = value_axes(x->f, inst_result(in, 0)), to = (AxisSet)1 << in->attr.ref;
    if ((in->attr.bits & ~x->able) || !has_lanes(x, result & ~to & ~x->able)) return;
    int64_t lo;
    unsigned wanted;
    if (axis_whole(x->f, (Axis){in->attr.ref}, &lo, &wanted)) x->count[in->attr.ref] = wanted;
    x->worth |= in->attr.bits | to;
}

// Instructions of a network, or of lists.
static int64_t sort_insts(const Finder *x, const Inst *in)
{
    unsigned from = (unsigned)__builtin_ctzll(in->attr.bits);
    int64_t n = x->count[from], log = 0;
    while ((int64_t)1 << log < n) log++;
    if (in->attr.ref != from) return n * (KEY_INSTS / 2 + 2 * x->count[in->attr.ref]);
    return n * KEY_INSTS + n * log * (log + 1) / 2;
}

// Instructions of one copy: narrow elements across memory go lane by lane.
static int64_t weight_of(const Finder *x, const Inst *in)
{
    if (in->op != OP_LOAD_TILE && in->op != OP_STORE_TILE) return 1;
    const MemInfo *mem = mem_at(x->f, (Mem){in->attr.ref});
    if (!mem->rank || dtype_info[mem->dtype].bits >= 32) return 1;
    unsigned last = mem->rank - (in->op == OP_LOAD_TILE ? 1u : 0u);
    AxisSet axes = value_axes(x->f, inst_arg(x->f, in, last));
    return axes && !(axes & ~x->worth) ? LANES_MOST : 1;
}

static bool is_affordable(const Finder *x)
{
    int64_t sum = 0;
    for (uint32_t i = 1; i < x->f->insts.count; i++) {
        const Inst *in = &x->f->insts.data[i];
        if (in->flags & INST_DEAD) continue;
        AxisSet axes = in->op == OP_REDUCE ? in->attr.bits : 0;
        for_each_arg(x->f, in, k, v) axes |= value_axes(x->f, v);
        int64_t copies = 1;
        for (unsigned a = 1; a < 64 && copies < INSTS_MOST; a++)
            if (axes >> a & x->worth >> a & 1) copies *= x->count[a] ? x->count[a] : 1;
        sum += copies > 1 ? copies * weight_of(x, in) : copies;
        if (in->op == OP_SORT && !(in->attr.bits & ~x->worth)) sum += sort_insts(x, in);
    }
    return sum < INSTS_MOST;
}

AxisSet expand_worth(const Func *f)
{
    Finder x = {.f = f};
    for (unsigned a = 1; a < f->axes.count; a++) {
        int64_t lo;
        unsigned count = 0;
        if (!axis_expands(f, (Axis){a}, &lo, &count)) continue;
        x.able |= (AxisSet)1 << a;
        x.count[a] = count;
    }
    for (uint32_t i = 1; i < f->insts.count && x.able; i++) {
        const Inst *in = &f->insts.data[i];
        if (in->flags & INST_DEAD) continue;
        if (in->op == OP_REDUCE) note_reduce(&x, in);
        if (in->op == OP_SORT) note_sort(&x, in);
    }
    return is_affordable(&x) ? x.worth : 0;
}

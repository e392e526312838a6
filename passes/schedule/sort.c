// Sorting along an axis. A loop over the axis turns each element into a key that integers order and
// puts it into scratch; then either bottom-up merges of runs, or, for a few results, insertion into
// a short sorted list; at last keys become elements and indices again, which lie in scratch along
// the axis of the results.
//
//   f32, i32: one i64 that holds key, index and the sign of zero; f64, i64: two, the second with
//   the latter
#include "ir/eval.h"
#include "passes/schedule/sched.h"

enum { LIST_MAX = 64 }; // results up to which insertion is quicker than merges

typedef struct Sorter {
    Sched *s;
    const Root *root;
    Axis from, to;
    DType type;
    bool wide, descending, lists;
    int64_t size; // elements of one work area
} Sorter;

static bool is_wide(DType t)
{
    return t == DTYPE_F64 || t == DTYPE_I64;
}

static Sorter sorter_of(Sched *s, const Root *root)
{
    const Inst *in = inst_at(s->tile, root->inst);
    Sorter x = {.s = s, .root = root, .to = {in->attr.ref}};
    x.from = (Axis){(uint32_t)__builtin_ctzll(in->attr.bits)};
    x.type = value_dtype(s->tile, inst_arg(s->tile, in, 0));
    x.wide = is_wide(x.type);
    x.descending = (in->flags & INST_REVERSE) != 0;
    int64_t few = s->axes[x.to.i].size_max;
    x.lists = x.to.i != x.from.i && !x.wide && few > 0 && few <= LIST_MAX;
    x.size = x.lists ? few : s->axes[x.from.i].size_max;
    if (x.size < 1) x.size = 1;
    return x;
}

static AxisSet left_axes(const Sorter *x)
{
    const Inst *in = inst_at(x->s->tile, x->root->inst);
    return value_axes(x->s->tile, inst_result(in, 0)) & ~axis_bit(x->to);
}

// ---- building blocks

static Value number(Builder *b, DType t, int64_t n)
{
    return build_bits(b, type_scalar(t), (uint64_t)n);
}

static Value convert_bits(Builder *b, Value v, DType to)
{
    Type type = type_scalar(to);
    BuildSpec spec = {.args = &v, .arg_count = 1, .results = &type, .result_count = 1};
    return inst_result(inst_at(b->f, build_inst(b, OP_BITCAST, spec)), 0);
}

static Value mem_load(Builder *b, Mem mem, DType t, Value offset)
{
    return build_load(b, mem, type_scalar(t), offset, (Value){0});
}

static void mem_store(Builder *b, Mem mem, Value v, Value offset)
{
    Value args[2] = {v, offset};
    build_inst(b, OP_STORE, (BuildSpec){.args = args, .arg_count = 2, .attr = {.ref = mem.i}});
}

typedef struct Turn { // an open `for`
    InstId loop;
    Builder body;
    Value index, carried[2];
} Turn;

static Turn turn_open(Builder *b, Value lo, Value hi, const Value *inits, unsigned count)
{
    Turn turn;
    Value args[5] = {lo, hi, build_i64(b, 1)};
    Region body = func_region(b->f);
    turn.index = region_add_arg(b->f, body, type_scalar(DTYPE_I64));
    for (unsigned k = 0; k < count; k++) {
        args[3 + k] = inits[k];
        turn.carried[k] = region_add_arg(b->f, body, value_type(b->f, inits[k]));
    }
    turn.loop = build_inst(b, OP_FOR,
                           (BuildSpec){.args = args,
                                       .arg_count = 3 + count,
                                       .regions = &body,
                                       .region_count = 1,
                                       .attr = {.kind = LOOP_SERIAL}});
    turn.body = (Builder){b->f, body, {0}, b->span};
    return turn;
}

static void turn_close(Turn *turn, const Value *yields, unsigned count)
{
    build_inst(&turn->body, OP_YIELD, (BuildSpec){.args = yields, .arg_count = count});
}

// ---- keys

// An integer of the value's width in whose order the values are, and whether the value is -0.
static Value key_of(Builder *b, const Sorter *x, Value v, Value *minus)
{
    bool floats = dtype_is_float(x->type);
    DType whole = x->wide ? DTYPE_I64 : DTYPE_I32;
    int64_t top = x->wide ? INT64_MAX : INT32_MAX;
    *minus = number(b, DTYPE_BOOL, 0);
    Value key = v;
    if (floats) {
        Value raw = convert_bits(b, v, whole);
        Value sign = build_op2(b, OP_SHR, raw, number(b, whole, x->wide ? 63 : 31));
        key = build_op2(b, OP_XOR, raw, build_op2(b, OP_AND, sign, number(b, whole, top)));
        Value zero = build_op2(b, OP_EQ, v, build_float(b, x->type, 0));
        *minus = build_op2(b, OP_AND, zero, build_op2(b, OP_LT, raw, number(b, whole, 0)));
        key = build_op3(b, OP_SELECT, zero, number(b, whole, 0), key);
        key = build_op3(b, OP_SELECT, build_op1(b, OP_ISNAN, v), number(b, whole, top), key);
    }
    return x->descending ? build_op1(b, OP_NOT, key) : key;
}

static Value value_of_key(Builder *b, const Sorter *x, Value key, Value minus)
{
    DType whole = x->wide ? DTYPE_I64 : DTYPE_I32;
    if (x->descending) key = build_op1(b, OP_NOT, key);
    if (!dtype_is_float(x->type)) return key;
    Value sign = build_op2(b, OP_SHR, key, number(b, whole, x->wide ? 63 : 31));
    int64_t top = x->wide ? INT64_MAX : INT32_MAX;
    Value raw = build_op2(b, OP_XOR, key, build_op2(b, OP_AND, sign, number(b, whole, top)));
    Value least = number(b, whole, x->wide ? INT64_MIN : INT32_MIN);
    return convert_bits(b, build_op3(b, OP_SELECT, minus, least, raw), x->type);
}

// The words that stand for an element: one, or two if it is wide.
static void pack(Builder *b, const Sorter *x, Value v, Value place, Value *words)
{
    Value minus, key = key_of(b, x, v, &minus);
    Value low = build_op2(b, OP_SHL, place, build_i64(b, 1));
    low =
        build_op2(b, OP_OR, low, build_op3(b, OP_SELECT, minus, build_i64(b, 1), build_i64(b, 0)));
    words[0] = key;
    words[1] = low;
    if (x->wide) return;
    key = build_op2(b, OP_SHL, build_cast(b, key, DTYPE_I64), build_i64(b, 32));
    words[0] = build_op2(b, OP_OR, key, low);
}

static Value unpack(Builder *b, const Sorter *x, const Value *words, Value *place)
{
    Value low = words[1], key = words[0];
    if (!x->wide) {
        low = build_op2(b, OP_AND, words[0], build_i64(b, UINT32_MAX));
        key = build_cast(b, build_op2(b, OP_SHR, words[0], build_i64(b, 32)), DTYPE_I32);
    }
    *place = build_op2(b, OP_SHR, low, build_i64(b, 1));
    Value minus = build_op2(b, OP_NE, build_op2(b, OP_AND, low, build_i64(b, 1)), build_i64(b, 0));
    return value_of_key(b, x, key, minus);
}

// ---- work areas: for each instance two halves of one or two words for each element

static unsigned words_count(const Sorter *x)
{
    return x->wide ? 2 : 1;
}

static Value area(Builder *b, const Sorter *x, unsigned instance, Value half, unsigned word)
{
    int64_t start = ((int64_t)instance * words_count(x) + word) * 2 * x->size;
    Value offset = build_op2(b, OP_MUL, half, build_i64(b, x->size));
    return build_op2(b, OP_ADD, offset, build_i64(b, start));
}

static void list_insert(Builder *b, const Sorter *x, unsigned instance, Value word)
{
    Sched *s = x->s;
    Value base = area(b, x, instance, build_i64(b, 0), 0);
    Value last = build_op2(b, OP_ADD, base, build_i64(b, x->size - 1));
    Value better = build_op2(b, OP_LT, word, mem_load(b, x->root->work, DTYPE_I64, last));
    Region regions[2];
    for (unsigned k = 0; k < 2; k++) regions[k] = func_region(s->f);
    build_inst(b, OP_IF,
               (BuildSpec){.args = &better, .arg_count = 1, .regions = regions, .region_count = 2});
    Builder in = {s->f, regions[0], {0}, b->span};
    Turn turn = turn_open(&in, build_i64(&in, 1), build_i64(&in, x->size), NULL, 0);
    Builder *t = &turn.body; // from the end, so that each is read before it is overwritten
    Value at = build_op2(t, OP_SUB, last, build_op2(t, OP_SUB, turn.index, build_i64(t, 1)));
    Value before = mem_load(t, x->root->work, DTYPE_I64, build_op2(t, OP_SUB, at, build_i64(t, 1)));
    Value here = mem_load(t, x->root->work, DTYPE_I64, at);
    mem_store(t, x->root->work, build_op2(t, OP_MIN, here, build_op2(t, OP_MAX, word, before)), at);
    turn_close(&turn, NULL, 0);
    Value first = mem_load(&in, x->root->work, DTYPE_I64, base);
    mem_store(&in, x->root->work, build_op2(&in, OP_MIN, first, word), base);
    build_inst(&in, OP_YIELD, (BuildSpec){0});
    Builder none = {s->f, regions[1], {0}, b->span};
    build_inst(&none, OP_YIELD, (BuildSpec){0});
}

// One pass: runs of `width` elements in one half become runs of twice as many in the other.
static void merge_pass(Builder *b, const Sorter *x, unsigned instance, Value pass, Value count)
{
    Value one = build_i64(b, 1), half = build_op2(b, OP_AND, pass, one);
    Value width = build_op2(b, OP_SHL, one, pass), step = build_op2(b, OP_SHL, width, one);
    Value clear = build_op1(b, OP_NOT, build_op2(b, OP_SUB, step, one));
    Value end = build_op2(b, OP_SUB, count, one), zero[2] = {build_i64(b, 0), build_i64(b, 0)};
    Value from[2], to[2];
    for (unsigned w = 0; w < words_count(x); w++) {
        from[w] = area(b, x, instance, half, w);
        to[w] = area(b, x, instance, build_op2(b, OP_SUB, one, half), w);
    }
    Turn turn = turn_open(b, zero[0], count, zero, 2);
    Builder *t = &turn.body;
    Value start = build_op2(t, OP_AND, turn.index, clear);
    Value middle = build_op2(t, OP_MIN, build_op2(t, OP_ADD, start, width), count);
    Value stop = build_op2(t, OP_MIN, build_op2(t, OP_ADD, start, step), count);
    Value fresh = build_op2(t, OP_EQ, turn.index, start);
    Value i = build_op3(t, OP_SELECT, fresh, start, turn.carried[0]);
    Value j = build_op3(t, OP_SELECT, fresh, middle, turn.carried[1]);
    Value left[2], right[2];
    for (unsigned w = 0; w < words_count(x); w++) {
        left[w] = mem_load(t, x->root->work, DTYPE_I64,
                           build_op2(t, OP_ADD, from[w], build_op2(t, OP_MIN, i, end)));
        right[w] = mem_load(t, x->root->work, DTYPE_I64,
                            build_op2(t, OP_ADD, from[w], build_op2(t, OP_MIN, j, end)));
    }
    Value takes =
        build_op2(t, OP_OR, build_op2(t, OP_LE, stop, j), build_op2(t, OP_LE, left[0], right[0]));
    takes = build_op2(t, OP_AND, takes, build_op2(t, OP_LT, i, middle));
    for (unsigned w = 0; w < words_count(x); w++)
        mem_store(t, x->root->work, build_op3(t, OP_SELECT, takes, left[w], right[w]),
                  build_op2(t, OP_ADD, to[w], turn.index));
    Value moved = build_op3(t, OP_SELECT, takes, one, zero[0]);
    Value yields[2] = {build_op2(t, OP_ADD, i, moved),
                       build_op2(t, OP_ADD, j, build_op2(t, OP_SUB, one, moved))};
    turn_close(&turn, yields, 2);
}

// An even number of passes, so that the result is where the keys were.
static void merge_all(Builder *b, const Sorter *x, unsigned instance, Value count)
{
    Value rest =
        build_op2(b, OP_MAX, build_op2(b, OP_SUB, count, build_i64(b, 1)), build_i64(b, 0));
    Value passes = build_op2(b, OP_SUB, build_i64(b, 64), build_op1(b, OP_CLZ, rest));
    passes = build_op2(b, OP_ADD, passes, build_op2(b, OP_AND, passes, build_i64(b, 1)));
    Turn turn = turn_open(b, build_i64(b, 0), passes, NULL, 0);
    merge_pass(&turn.body, x, instance, turn.index, count);
    turn_close(&turn, NULL, 0);
}

// ---- the root

static Mem declare_work(const Sorter *x, unsigned instances)
{
    Func *f = x->s->f;
    Str name = str_format(x->s->arena, "s%u", f->mems.count);
    Mem mem =
        func_mem(f, (MemInfo){.name = name, .dtype = DTYPE_I64, .kind = MEM_SCRATCH, .rank = 1});
    Builder b = {f, f->body, region_at(f, f->body)->first, {0}};
    uint64_t words = (uint64_t)x->size * 2 * words_count(x) * instances;
    InstId decl = build_inst(&b, OP_SCRATCH, (BuildSpec){.attr = {.bits = words, .ref = mem.i}});
    mem_at(f, mem)->decl = decl;
    return mem;
}

// Carried along for each instance: how many elements take part so far, and where the first of them
// is.
void sort_begin(Sched *s, Root *root)
{
    Sorter x = sorter_of(s, root);
    if (!x.lists && s->axes[x.from.i].size_max < 0) {
        const AxisInfo *axis = axis_at(s->tile, x.from);
        if (!s->failed && !ask_for_bound(s, x.from)) {
            Diag *diag = diag_add(s->context->diags, DIAG_NOT_SUPPORTED, axis->span,
                                  "axis '%.*s', whose size is not known when compiling, must be "
                                  "sorted",
                                  STR_ARG(axis->name));
            diag_hint(s->context->diags, diag, "bound its range by a dimension");
        }
        s->failed = true;
        return;
    }
    root->acc_count = instances_of(s, left_axes(&x));
    root->acc_copies = 2;
    root->acc_index = NULL;
    root->acc = arena_array(s->arena, Value, root->acc_count * 2);
    root->work = declare_work(&x, root->acc_count);
    Builder b = sched_at(s, s->top);
    for (unsigned i = 0; i < root->acc_count; i++) {
        root->acc[i] = build_i64(&b, 0);
        root->acc[root->acc_count + i] = build_i64(&b, 0);
        if (!x.lists) continue;
        Turn turn = turn_open(&b, build_i64(&b, 0), build_i64(&b, x.size), NULL, 0);
        Value base = area(&turn.body, &x, i, build_i64(&turn.body, 0), 0);
        mem_store(&turn.body, root->work, build_i64(&turn.body, INT64_MAX),
                  build_op2(&turn.body, OP_ADD, base, turn.index));
        turn_close(&turn, NULL, 0);
    }
}

void sort_step(Sched *s, Root *root)
{
    Sorter x = sorter_of(s, root);
    const Inst *in = inst_at(s->tile, root->inst);
    const AxisState *axis = &s->axes[x.from.i];
    Value own = inst_mask(s->tile, in), v = inst_arg(s->tile, in, 0);
    Value *values = emit_value(s, v), *masks = own.i ? emit_value(s, own) : NULL;
    Builder b = sched_at(s, s->top);
    b.span = in->span;
    Value index = axis->level < 0 ? axis->begin : axis->base;
    Value place = build_op2(&b, OP_SUB, index, axis->begin), one = build_i64(&b, 1);
    for (unsigned i = 0; i < root->acc_count; i++) {
        AxisSet left = left_axes(&x);
        Value words[2], *count = &root->acc[i], *first = &root->acc[root->acc_count + i];
        pack(&b, &x, values[instance_project(s, left, i, value_axes(s->tile, v))], place, words);
        Value takes = {0}, more = one;
        if (own.i) {
            takes = masks[instance_project(s, left, i, value_axes(s->tile, own))];
            more = build_op3(&b, OP_SELECT, takes, one, build_i64(&b, 0));
            Value starts = build_op2(&b, OP_EQ, *count, build_i64(&b, 0));
            *first = build_op3(&b, OP_SELECT, starts, place, *first);
        }
        if (x.lists) {
            if (own.i)
                words[0] = build_op3(&b, OP_SELECT, takes, words[0], build_i64(&b, INT64_MAX));
            list_insert(&b, &x, i, words[0]);
        } else {
            for (unsigned w = 0; w < words_count(&x); w++)
                mem_store(&b, root->work, words[w],
                          build_op2(&b, OP_ADD, area(&b, &x, i, build_i64(&b, 0), w), *count));
        }
        *count = build_op2(&b, OP_ADD, *count, more);
    }
}

// The sorted elements of one instance go to where the results lie.
static void put_results(Builder *b, const Sorter *x, unsigned instance, Value count, Value first)
{
    Sched *s = x->s;
    const AxisState *to = &s->axes[x->to.i];
    bool same = x->to.i == x->from.i;
    Value zero = build_i64(b, 0), base = area(b, x, instance, zero, 0), rows[2] = {{0}};
    for (unsigned k = 0; k < 2; k++)
        if (x->root->slots[k]) rows[k] = slot_row(s, x->root->slots[k], left_axes(x), instance);
    Value limit = same ? count : build_op2(b, OP_SUB, to->end, to->begin);
    Value last = build_op2(b, OP_MAX, build_op2(b, OP_SUB, count, build_i64(b, 1)), zero);
    if (x->lists) last = build_op2(b, OP_MIN, last, build_i64(b, x->size - 1));
    Turn turn = turn_open(b, zero, limit, NULL, 0);
    Builder *t = &turn.body;
    Value words[2] = {{0}}, place, out[2], at = build_op2(t, OP_MIN, turn.index, last);
    for (unsigned w = 0; w < words_count(x); w++) {
        Value start = w ? area(t, x, instance, zero, w) : base;
        words[w] = mem_load(t, x->root->work, DTYPE_I64, build_op2(t, OP_ADD, start, at));
    }
    out[0] = unpack(t, x, words, &place);
    out[1] = build_op2(t, OP_ADD, s->axes[x->from.i].begin, place);
    if (!same) {
        Value there = build_op2(t, OP_LT, turn.index, count);
        uint64_t none = reduce_identity(x->descending ? REDUCE_MAX : REDUCE_MIN, x->type);
        out[0] = build_op3(t, OP_SELECT, there, out[0], build_bits(t, type_scalar(x->type), none));
        out[1] = build_op3(t, OP_SELECT, there, out[1], build_i64(t, -1));
    }
    Value where = same ? build_op2(t, OP_ADD, turn.index, first) : turn.index;
    for (unsigned k = 0; k < 2; k++)
        if (x->root->slots[k])
            mem_store(t, x->root->slots[k]->mem, out[k], build_op2(t, OP_ADD, rows[k], where));
    turn_close(&turn, NULL, 0);
}

void sort_finish(Sched *s, Root *root)
{
    Sorter x = sorter_of(s, root);
    for (unsigned i = 0; i < root->acc_count; i++) {
        Builder b = sched_at(s, s->top);
        Value count = root->acc[i];
        if (!x.lists) merge_all(&b, &x, i, count);
        put_results(&b, &x, i, count, root->acc[root->acc_count + i]);
    }
    root->acc = NULL;
}

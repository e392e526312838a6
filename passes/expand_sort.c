// Sorting what is written out: Batcher's odd-even merges of keys, or, where few results are wanted,
// insertion into a list of as many.
//
// A key is an integer in whose order the values are. Equal values have equal keys and are the same,
// but for zeros: these have keys of their own, in the order of their indices, between the negative
// numbers and the positive ones, which make room. So keys alone are sorted where nobody asks for
// indices. With indices, a key of 32 bits and the index share one of 64; a wider key has the index
// beside it.
#include "ir/eval.h"
#include "passes/expand.h"

enum { ZEROS = 2 * EXPAND_LISTS }; // keys of zeros: 0 .. ZEROS

typedef struct Item {
    Value key, place; // place {0}: none is needed, or it is part of the key
} Item;

typedef struct Sorter {
    Builder *b;
    const Copies *x;
    DType type, whole; // whole: the integer of its width
    bool descending, places, joined;
} Sorter;

static Value number(const Sorter *s, DType t, int64_t n)
{
    return build_bits(s->b, type_scalar(t), t == DTYPE_I32 ? (uint32_t)n : (uint64_t)n);
}

static Value bits_as(const Sorter *s, Value v, DType to)
{
    Type type = value_type(s->b->f, v);
    type.dtype = (uint8_t)to;
    InstId id =
        build_inst(s->b, OP_BITCAST,
                   (BuildSpec){.args = &v, .arg_count = 1, .results = &type, .result_count = 1});
    return inst_result(inst_at(s->b->f, id), 0);
}

static int64_t top_of(const Sorter *s)
{
    return s->whole == DTYPE_I64 ? INT64_MAX : INT32_MAX;
}

static Value key_of(const Sorter *s, Value v, unsigned place)
{
    Builder *b = s->b;
    Value key = v;
    if (dtype_is_float(s->type)) {
        DType t = s->whole;
        Value raw = bits_as(s, v, t), top = number(s, t, top_of(s)), zero = number(s, t, 0);
        Value sign = build_op2(b, OP_SHR, raw, number(s, t, t == DTYPE_I64 ? 63 : 31));
        Value negative = build_op2(b, OP_XOR, raw, build_op2(b, OP_AND, sign, top));
        Value positive = build_op2(b, OP_ADD, raw, number(s, t, ZEROS));
        unsigned turn = s->descending ? s->x->count - 1 - place : place;
        Value nought = build_op2(b, OP_SUB, number(s, t, 2 * turn), sign);
        key = build_op3(b, OP_SELECT, build_op2(b, OP_LT, raw, zero), negative, positive);
        Value is_zero = build_op2(b, OP_EQ, build_op2(b, OP_AND, raw, top), zero);
        key = build_op3(b, OP_SELECT, is_zero, nought, key);
        key = build_op3(b, OP_SELECT, build_op1(b, OP_ISNAN, v), top, key);
    }
    return s->descending ? build_op1(b, OP_NOT, key) : key;
}

static Value value_of(const Sorter *s, Value key)
{
    Builder *b = s->b;
    if (s->descending) key = build_op1(b, OP_NOT, key);
    if (!dtype_is_float(s->type)) return key;
    DType t = s->whole;
    Value top = number(s, t, top_of(s)), zero = number(s, t, 0), room = number(s, t, ZEROS);
    Value high = number(s, t, t == DTYPE_I64 ? 63 : 31);
    Value negative = build_op2(b, OP_XOR, key, top);
    Value positive = build_op2(b, OP_SUB, key, room), nought = build_op2(b, OP_SHL, key, high);
    Value nan = build_op3(b, OP_SELECT, build_op2(b, OP_EQ, key, top), top, positive);
    Value raw = build_op3(b, OP_SELECT, build_op2(b, OP_LT, key, room), nought, nan);
    raw = build_op3(b, OP_SELECT, build_op2(b, OP_LT, key, zero), negative, raw);
    return bits_as(s, raw, s->type);
}

static Item item_of(const Sorter *s, unsigned k)
{
    Builder *b = s->b;
    Item item = {key_of(s, s->x->values[k], k), {0}};
    if (!s->places) return item;
    item.place = build_i64(b, k);
    if (s->joined) {
        item.key = build_op2(b, OP_SHL, build_cast(b, item.key, DTYPE_I64), build_i64(b, 32));
        item = (Item){build_op2(b, OP_OR, item.key, item.place), {0}};
    }
    return item;
}

static Item absent(const Sorter *s)
{
    Value most = build_i64(s->b, INT64_MAX);
    return (Item){most, s->joined ? (Value){0} : most};
}

static Item choose(Builder *b, Value c, Item x, Item y)
{
    Item item = {build_op3(b, OP_SELECT, c, x.key, y.key), {0}};
    if (x.place.i) item.place = build_op3(b, OP_SELECT, c, x.place, y.place);
    return item;
}

static void put_in_order(Builder *b, Item *x, Item *y)
{
    Item low, high;
    if (!x->place.i) {
        low.key = build_op2(b, OP_MIN, x->key, y->key), low.place = (Value){0};
        high.key = build_op2(b, OP_MAX, x->key, y->key), high.place = (Value){0};
    } else {
        Value same = build_op2(b, OP_EQ, y->key, x->key);
        same = build_op2(b, OP_AND, same, build_op2(b, OP_LT, y->place, x->place));
        Value swap = build_op2(b, OP_OR, build_op2(b, OP_LT, y->key, x->key), same);
        low = choose(b, swap, *y, *x);
        high = choose(b, swap, *x, *y);
    }
    *x = low;
    *y = high;
}

static void merge_all(Builder *b, Item *items, unsigned n)
{
    for (unsigned p = 1; p < n; p *= 2)
        for (unsigned k = p; k; k /= 2)
            for (unsigned j = k % p; j + k < n; j += 2 * k)
                for (unsigned i = j; i < j + k && i + k < n; i++)
                    if (i / (2 * p) == (i + k) / (2 * p)) put_in_order(b, &items[i], &items[i + k]);
}

static void insert_all(const Sorter *s, Item *list, unsigned wanted)
{
    for (unsigned t = 0; t < wanted; t++) list[t] = absent(s);
    for (unsigned k = 0; k < s->x->count; k++) {
        Item item = item_of(s, k);
        if (s->x->masks) item = choose(s->b, s->x->masks[k], item, absent(s));
        for (unsigned t = 0; t < wanted; t++) put_in_order(s->b, &list[t], &item);
    }
}

static void put_result(const Sorter *s, Item item, bool whole, Value *value, Value *index)
{
    Builder *b = s->b;
    Value there = build_op2(b, OP_NE, s->joined ? item.key : item.place, build_i64(b, INT64_MAX));
    Value key = item.key, place = item.place;
    if (s->joined) {
        place = build_op2(b, OP_AND, key, build_i64(b, UINT32_MAX));
        key = build_cast(b, build_op2(b, OP_SHR, key, build_i64(b, 32)), DTYPE_I32);
    }
    *value = value_of(s, key);
    *index = build_op2(b, OP_ADD, place, build_i64(b, s->x->lo));
    if (whole) return;
    uint64_t none = reduce_identity(s->descending ? REDUCE_MAX : REDUCE_MIN, s->type);
    *value = build_op3(b, OP_SELECT, there, *value, build_bits(b, type_scalar(s->type), none));
    *index = build_op3(b, OP_SELECT, there, *index, build_i64(b, -1));
}

void expand_sort(Builder *b, Arena *arena, const Copies *x, bool descending, bool same,
                 unsigned wanted, Value *values, Value *indices)
{
    Sorter s = {.b = b, .x = x, .descending = descending, .places = indices != NULL};
    s.type = value_dtype(b->f, x->values[0]);
    s.whole = s.type == DTYPE_F64 || s.type == DTYPE_I64 ? DTYPE_I64 : DTYPE_I32;
    s.joined = s.places && s.whole == DTYPE_I32;
    Item *items = arena_array(arena, Item, x->count > wanted ? x->count : wanted);
    for (unsigned k = 0; same && k < x->count; k++) items[k] = item_of(&s, k);
    if (same)
        merge_all(b, items, x->count);
    else
        insert_all(&s, items, wanted);
    for (unsigned k = 0; k < wanted; k++) {
        if (s.places)
            put_result(&s, items[k], same || (!x->masks && k < x->count), &values[k], &indices[k]);
        else
            values[k] = value_of(&s, items[k].key);
    }
}

// Elements of four bits: two in a byte, the low half first; offsets count elements. In registers a
// code is an i8 below 16. A line may begin in the middle of a byte, so stores of single elements
// change half a byte atomically: its other half may belong to another thread.
#include "backends/llvm/gen.h"

static LLVMTypeRef byte_lane(Gen *g)
{
    return gen_int_type(g, 8);
}

static bool is_even(const Inst *in, LLVMValueRef offset)
{
    int64_t known;
    return in->attr.bits >= 1 || (gen_const_int_value(offset, &known) && known % 2 == 0);
}

static LLVMValueRef byte_offset(Gen *g, LLVMValueRef offset)
{
    return LLVMBuildAShr(g->b, offset, gen_const_int(LLVMTypeOf(offset), 1), "");
}

// 0 or 4 for each offset, as i8.
static LLVMValueRef half_shift(Gen *g, LLVMValueRef offset)
{
    LLVMTypeRef type = LLVMTypeOf(offset);
    LLVMValueRef odd = LLVMBuildAnd(g->b, offset, gen_const_int(type, 1), "");
    LLVMValueRef shift = LLVMBuildShl(g->b, odd, gen_const_int(type, 2), "");
    return LLVMBuildTrunc(g->b, shift, lltype_shaped(offset, byte_lane(g)), "");
}

static LLVMValueRef pick_half(Gen *g, LLVMValueRef bytes, LLVMValueRef offset)
{
    LLVMValueRef low = LLVMBuildLShr(g->b, bytes, half_shift(g, offset), "");
    return LLVMBuildAnd(g->b, low, gen_const_int(LLVMTypeOf(bytes), 15), "");
}

static LLVMValueRef load_bytes(Gen *g, Mem mem, LLVMValueRef at, unsigned lanes)
{
    LLVMTypeRef type = lltype_with_lanes(byte_lane(g), lanes);
    LLVMValueRef load = LLVMBuildLoad2(g->b, type, gen_address(g, mem, byte_lane(g), at), "");
    LLVMSetAlignment(load, 1);
    gen_note_access(g, load, mem);
    return load;
}

// Twice as many lanes: both halves of each byte in order.
static LLVMValueRef unpack(Gen *g, LLVMValueRef bytes)
{
    unsigned count = lanes_of(bytes);
    LLVMTypeRef type = LLVMTypeOf(bytes), i32 = gen_int_type(g, 32);
    LLVMValueRef low = LLVMBuildAnd(g->b, bytes, gen_const_int(type, 15), "");
    LLVMValueRef high = LLVMBuildLShr(g->b, bytes, gen_const_int(type, 4), "");
    LLVMValueRef *at = arena_array(g->arena, LLVMValueRef, 2 * count);
    for (unsigned i = 0; i < 2 * count; i++)
        at[i] = gen_const_int(i32, i / 2 + (i % 2 ? count : 0));
    return LLVMBuildShuffleVector(g->b, low, high, LLVMConstVector(at, 2 * count), "");
}

// Lanes first, first + 2, ... of v.
static LLVMValueRef every_second(Gen *g, LLVMValueRef v, unsigned first)
{
    unsigned count = lanes_of(v) / 2;
    LLVMTypeRef i32 = gen_int_type(g, 32);
    LLVMValueRef *at = arena_array(g->arena, LLVMValueRef, count);
    for (unsigned i = 0; i < count; i++) at[i] = gen_const_int(i32, first + 2 * i);
    return LLVMBuildShuffleVector(g->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(at, count),
                                  "");
}

static LLVMValueRef gather_halves(Gen *g, Mem mem, LLVMValueRef offsets, LLVMValueRef mask)
{
    unsigned lanes = lanes_of(offsets);
    LLVMTypeRef type = lltype_with_lanes(byte_lane(g), lanes);
    LLVMValueRef pointers = gen_address(g, mem, byte_lane(g), byte_offset(g, offsets));
    LLVMValueRef all = gen_const_int(lltype_with_lanes(gen_int_type(g, 1), lanes), 1);
    LLVMValueRef bytes = gen_masked_gather(g, mem, type, pointers, 1, mask ? mask : all);
    return pick_half(g, bytes, offsets); // inactive lanes gave 0
}

static LLVMValueRef lane_offsets(Gen *g, LLVMValueRef offset, unsigned lanes)
{
    LLVMTypeRef type = LLVMTypeOf(offset);
    LLVMValueRef *iota = arena_array(g->arena, LLVMValueRef, lanes);
    for (unsigned i = 0; i < lanes; i++) iota[i] = gen_const_int(type, i);
    return LLVMBuildAdd(g->b, gen_splat(g, offset, lanes), LLVMConstVector(iota, lanes), "");
}

// Reads exactly the bytes that hold the lanes. Where the start may be odd, both readings are made
// and one chosen.
static LLVMValueRef load_line(Gen *g, const Inst *in, LLVMValueRef offset, unsigned lanes)
{
    Mem mem = {in->attr.ref};
    LLVMValueRef bytes = load_bytes(g, mem, byte_offset(g, offset), (lanes + 1) / 2);
    if (is_even(in, offset)) return gen_slice(g, unpack(g, bytes), 0, lanes);
    LLVMTypeRef type = LLVMTypeOf(offset);
    if (lanes % 2 == 0) {
        LLVMValueRef last = LLVMBuildAdd(g->b, offset, gen_const_int(type, lanes - 1), "");
        bytes = gen_concat(g, bytes, load_bytes(g, mem, byte_offset(g, last), 1));
    }
    LLVMValueRef halves = unpack(g, bytes);
    LLVMValueRef odd = LLVMBuildTrunc(g->b, offset, gen_int_type(g, 1), "");
    return LLVMBuildSelect(g->b, odd, gen_slice(g, halves, 1, lanes),
                           gen_slice(g, halves, 0, lanes), "");
}

LLVMValueRef gen_subbyte_load(Gen *g, const Inst *in, LLVMValueRef offset, LLVMValueRef mask,
                              unsigned lanes)
{
    Mem mem = {in->attr.ref};
    if (!lanes) return pick_half(g, load_bytes(g, mem, byte_offset(g, offset), 0), offset);
    if (lanes_of(offset)) return gather_halves(g, mem, offset, mask);
    if (mask) return gather_halves(g, mem, lane_offsets(g, offset, lanes), mask);
    return load_line(g, in, offset, lanes);
}

static void store_half(Gen *g, Mem mem, LLVMValueRef code, LLVMValueRef offset)
{
    LLVMValueRef at = gen_address(g, mem, byte_lane(g), byte_offset(g, offset));
    LLVMValueRef shift = half_shift(g, offset), fifteen = gen_const_int(byte_lane(g), 15);
    LLVMValueRef keep = LLVMBuildNot(g->b, LLVMBuildShl(g->b, fifteen, shift, ""), "");
    LLVMValueRef bits = LLVMBuildShl(g->b, LLVMBuildAnd(g->b, code, fifteen, ""), shift, "");
    LLVMAtomicOrdering order = LLVMAtomicOrderingMonotonic;
    gen_note_access(g, LLVMBuildAtomicRMW(g->b, LLVMAtomicRMWBinOpAnd, at, keep, order, false),
                    mem);
    gen_note_access(g, LLVMBuildAtomicRMW(g->b, LLVMAtomicRMWBinOpOr, at, bits, order, false), mem);
}

void gen_subbyte_store(Gen *g, const Inst *in, LLVMValueRef value, LLVMValueRef offset,
                       LLVMValueRef mask)
{
    Mem mem = {in->attr.ref};
    unsigned lanes = lanes_of(value);
    if (!lanes) {
        store_half(g, mem, value, offset);
        return;
    }
    if (!mask && lanes % 2 == 0 && !lanes_of(offset) && is_even(in, offset)) {
        LLVMValueRef low = every_second(g, value, 0), high = every_second(g, value, 1);
        LLVMTypeRef type = LLVMTypeOf(low);
        low = LLVMBuildAnd(g->b, low, gen_const_int(type, 15), "");
        LLVMValueRef bytes =
            LLVMBuildOr(g->b, low, LLVMBuildShl(g->b, high, gen_const_int(type, 4), ""), "");
        LLVMValueRef at = gen_address(g, mem, byte_lane(g), byte_offset(g, offset));
        LLVMValueRef store = LLVMBuildStore(g->b, bytes, at);
        LLVMSetAlignment(store, 1);
        gen_note_access(g, store, mem);
        return;
    }
    LLVMValueRef offsets = lanes_of(offset) ? offset : lane_offsets(g, offset, lanes);
    for (unsigned i = 0; i < lanes; i++) {
        Guard guard = {0};
        if (mask) guard = gen_guard_begin(g, gen_lane(g, mask, i));
        store_half(g, mem, gen_lane(g, value, i), gen_lane(g, offsets, i));
        if (mask) gen_guard_end(g, guard, NULL);
    }
}

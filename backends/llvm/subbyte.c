// Elements of four bits: two in a byte, the low half first; offsets count elements. In registers a code is an i8
// below 16. A line may begin in the middle of a byte, so stores of single elements change half a byte atomically:
// its other half may belong to another thread.
#include "backends/llvm/emit.h"

static LLVMTypeRef byte_lane(Emit *e) { return emit_int_type(e, 8); }

static bool is_even(const Inst *in, LLVMValueRef offset)
{
    int64_t known;
    return in->attr.bits >= 1 || (const_int_value(offset, &known) && known % 2 == 0);
}

static LLVMValueRef byte_offset(Emit *e, LLVMValueRef offset)
{
    return LLVMBuildAShr(e->b, offset, const_int(LLVMTypeOf(offset), 1), "");
}

// 0 or 4 for each offset, as i8.
static LLVMValueRef half_shift(Emit *e, LLVMValueRef offset)
{
    LLVMTypeRef type = LLVMTypeOf(offset);
    LLVMValueRef odd = LLVMBuildAnd(e->b, offset, const_int(type, 1), "");
    LLVMValueRef shift = LLVMBuildShl(e->b, odd, const_int(type, 2), "");
    return LLVMBuildTrunc(e->b, shift, type_shaped(offset, byte_lane(e)), "");
}

static LLVMValueRef pick_half(Emit *e, LLVMValueRef bytes, LLVMValueRef offset)
{
    LLVMValueRef low = LLVMBuildLShr(e->b, bytes, half_shift(e, offset), "");
    return LLVMBuildAnd(e->b, low, const_int(LLVMTypeOf(bytes), 15), "");
}

static LLVMValueRef load_bytes(Emit *e, Mem mem, LLVMValueRef at, unsigned lanes)
{
    LLVMTypeRef type = type_with_lanes(byte_lane(e), lanes);
    LLVMValueRef load = LLVMBuildLoad2(e->b, type, emit_address(e, mem, byte_lane(e), at), "");
    LLVMSetAlignment(load, 1);
    note_access(e, load, mem);
    return load;
}

// Twice as many lanes: both halves of each byte in order.
static LLVMValueRef unpack(Emit *e, LLVMValueRef bytes)
{
    unsigned count = value_lanes(bytes);
    LLVMTypeRef type = LLVMTypeOf(bytes), i32 = emit_int_type(e, 32);
    LLVMValueRef low = LLVMBuildAnd(e->b, bytes, const_int(type, 15), "");
    LLVMValueRef high = LLVMBuildLShr(e->b, bytes, const_int(type, 4), "");
    LLVMValueRef *at = arena_array(e->arena, LLVMValueRef, 2 * count);
    for (unsigned i = 0; i < 2 * count; i++) at[i] = const_int(i32, i / 2 + (i % 2 ? count : 0));
    return LLVMBuildShuffleVector(e->b, low, high, LLVMConstVector(at, 2 * count), "");
}

// Lanes first, first + 2, ... of v.
static LLVMValueRef every_second(Emit *e, LLVMValueRef v, unsigned first)
{
    unsigned count = value_lanes(v) / 2;
    LLVMTypeRef i32 = emit_int_type(e, 32);
    LLVMValueRef *at = arena_array(e->arena, LLVMValueRef, count);
    for (unsigned i = 0; i < count; i++) at[i] = const_int(i32, first + 2 * i);
    return LLVMBuildShuffleVector(e->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(at, count), "");
}

static LLVMValueRef gather_halves(Emit *e, Mem mem, LLVMValueRef offsets, LLVMValueRef mask)
{
    unsigned lanes = value_lanes(offsets);
    LLVMTypeRef type = type_with_lanes(byte_lane(e), lanes);
    LLVMValueRef pointers = emit_address(e, mem, byte_lane(e), byte_offset(e, offsets));
    LLVMValueRef all = const_int(type_with_lanes(emit_int_type(e, 1), lanes), 1);
    LLVMValueRef bytes = emit_masked_gather(e, mem, type, pointers, 1, mask ? mask : all);
    return pick_half(e, bytes, offsets); // inactive lanes gave 0
}

static LLVMValueRef lane_offsets(Emit *e, LLVMValueRef offset, unsigned lanes)
{
    LLVMTypeRef type = LLVMTypeOf(offset);
    LLVMValueRef *iota = arena_array(e->arena, LLVMValueRef, lanes);
    for (unsigned i = 0; i < lanes; i++) iota[i] = const_int(type, i);
    return LLVMBuildAdd(e->b, emit_splat(e, offset, lanes), LLVMConstVector(iota, lanes), "");
}

// Reads exactly the bytes that hold the lanes. Where the start may be odd, both readings are made and one chosen.
static LLVMValueRef load_line(Emit *e, const Inst *in, LLVMValueRef offset, unsigned lanes)
{
    Mem mem = {in->attr.ref};
    LLVMValueRef bytes = load_bytes(e, mem, byte_offset(e, offset), (lanes + 1) / 2);
    if (is_even(in, offset)) return emit_slice(e, unpack(e, bytes), 0, lanes);
    LLVMTypeRef type = LLVMTypeOf(offset);
    if (lanes % 2 == 0) {
        LLVMValueRef last = LLVMBuildAdd(e->b, offset, const_int(type, lanes - 1), "");
        bytes = emit_concat(e, bytes, load_bytes(e, mem, byte_offset(e, last), 1));
    }
    LLVMValueRef halves = unpack(e, bytes);
    LLVMValueRef odd = LLVMBuildTrunc(e->b, offset, emit_int_type(e, 1), "");
    return LLVMBuildSelect(e->b, odd, emit_slice(e, halves, 1, lanes), emit_slice(e, halves, 0, lanes), "");
}

LLVMValueRef emit_subbyte_load(Emit *e, const Inst *in, LLVMValueRef offset, LLVMValueRef mask, unsigned lanes)
{
    Mem mem = {in->attr.ref};
    if (!lanes) return pick_half(e, load_bytes(e, mem, byte_offset(e, offset), 0), offset);
    if (value_lanes(offset)) return gather_halves(e, mem, offset, mask);
    if (mask) return gather_halves(e, mem, lane_offsets(e, offset, lanes), mask);
    return load_line(e, in, offset, lanes);
}

static void store_half(Emit *e, Mem mem, LLVMValueRef code, LLVMValueRef offset)
{
    LLVMValueRef at = emit_address(e, mem, byte_lane(e), byte_offset(e, offset));
    LLVMValueRef shift = half_shift(e, offset), fifteen = const_int(byte_lane(e), 15);
    LLVMValueRef keep = LLVMBuildNot(e->b, LLVMBuildShl(e->b, fifteen, shift, ""), "");
    LLVMValueRef bits = LLVMBuildShl(e->b, LLVMBuildAnd(e->b, code, fifteen, ""), shift, "");
    LLVMAtomicOrdering order = LLVMAtomicOrderingMonotonic;
    note_access(e, LLVMBuildAtomicRMW(e->b, LLVMAtomicRMWBinOpAnd, at, keep, order, false), mem);
    note_access(e, LLVMBuildAtomicRMW(e->b, LLVMAtomicRMWBinOpOr, at, bits, order, false), mem);
}

void emit_subbyte_store(Emit *e, const Inst *in, LLVMValueRef value, LLVMValueRef offset, LLVMValueRef mask)
{
    Mem mem = {in->attr.ref};
    unsigned lanes = value_lanes(value);
    if (!lanes) {
        store_half(e, mem, value, offset);
        return;
    }
    if (!mask && lanes % 2 == 0 && !value_lanes(offset) && is_even(in, offset)) {
        LLVMValueRef low = every_second(e, value, 0), high = every_second(e, value, 1);
        LLVMTypeRef type = LLVMTypeOf(low);
        low = LLVMBuildAnd(e->b, low, const_int(type, 15), "");
        LLVMValueRef bytes = LLVMBuildOr(e->b, low, LLVMBuildShl(e->b, high, const_int(type, 4), ""), "");
        LLVMValueRef at = emit_address(e, mem, byte_lane(e), byte_offset(e, offset));
        LLVMValueRef store = LLVMBuildStore(e->b, bytes, at);
        LLVMSetAlignment(store, 1);
        note_access(e, store, mem);
        return;
    }
    LLVMValueRef offsets = value_lanes(offset) ? offset : lane_offsets(e, offset, lanes);
    for (unsigned i = 0; i < lanes; i++) {
        Guard guard = {0};
        if (mask) guard = guard_begin(e, emit_lane(e, mask, i));
        store_half(e, mem, emit_lane(e, value, i), emit_lane(e, offsets, i));
        if (mask) guard_end(e, guard, NULL);
    }
}

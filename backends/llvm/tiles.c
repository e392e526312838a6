// Tile registers (AMX): products of 16 rows of 64 bytes. All tiles have this one shape, so that
// LLVM loads one configuration at the function's entry; it assigns the registers, of which the
// scheduler takes no more than eight at once.
#include "backends/llvm/gen.h"

enum { ROWS = 16, LINE = 64 };

bool gen_is_tile(Type t)
{
    return t.lanes * dtype_info[t.dtype].bits == ROWS * LINE * 8;
}

static LLVMValueRef tile_size(Gen *g, int64_t size)
{
    return gen_const_int(gen_int_type(g, 16), size);
}

LLVMValueRef gen_tile_zero(Gen *g)
{
    LLVMValueRef args[] = {tile_size(g, ROWS), tile_size(g, LINE)};
    return gen_intrinsic(g, "llvm.x86.tilezero.internal", NULL, 0, args, 2);
}

static bool lacks_tiles(Gen *g, const Inst *in)
{
    if (g->target->has_tiles) return false;
    gen_unsupported(g, in, "the CPU has no tile registers, or the system does not save them");
    return true;
}

// Where the first row is, and the bytes from row to row.
static void place_of(Gen *g, const Inst *in, unsigned k, LLVMValueRef *out)
{
    Mem mem = {in->attr.ref};
    DType t = mem_at(g->f, mem)->dtype;
    LLVMValueRef bytes = gen_const_int(gen_int_type(g, 64), dtype_info[t].bits / 8);
    out[0] = gen_address(g, mem, gen_memory_dtype(g, t), gen_arg(g, in, k));
    out[1] = LLVMBuildMul(g->b, gen_arg(g, in, k + 1), bytes, "");
}

void gen_tile_load(Gen *g, const Inst *in)
{
    if (lacks_tiles(g, in)) return;
    LLVMValueRef args[4] = {tile_size(g, ROWS), tile_size(g, LINE)};
    place_of(g, in, 0, args + 2);
    gen_result(g, in, 0, gen_intrinsic(g, "llvm.x86.tileloadd64.internal", NULL, 0, args, 4));
}

void gen_tile_store(Gen *g, const Inst *in)
{
    if (lacks_tiles(g, in)) return;
    LLVMValueRef args[5] = {tile_size(g, ROWS), tile_size(g, LINE)};
    place_of(g, in, 1, args + 2);
    args[4] = gen_arg(g, in, 0);
    gen_intrinsic(g, "llvm.x86.tilestored64.internal", NULL, 0, args, 5);
}

static const char *product_name(DType a, DType b)
{
    if (a == DTYPE_BF16) return "llvm.x86.tdpbf16ps.internal";
    if (a == DTYPE_I8)
        return b == DTYPE_I8 ? "llvm.x86.tdpbssd.internal" : "llvm.x86.tdpbsud.internal";
    return b == DTYPE_I8 ? "llvm.x86.tdpbusd.internal" : "llvm.x86.tdpbuud.internal";
}

void gen_tile_dot(Gen *g, const Inst *in)
{
    if (lacks_tiles(g, in)) return;
    const char *name = product_name(value_dtype(g->f, inst_arg(g->f, in, 0)),
                                    value_dtype(g->f, inst_arg(g->f, in, 1)));
    LLVMValueRef args[6] = {tile_size(g, ROWS), tile_size(g, LINE), tile_size(g, LINE)};
    args[3] = gen_arg(g, in, 2);
    args[4] = gen_arg(g, in, 0);
    args[5] = gen_arg(g, in, 1);
    gen_result(g, in, 0, gen_intrinsic(g, name, NULL, 0, args, 6));
}

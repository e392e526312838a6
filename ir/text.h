// Words of the text form that printer and parser share, and how one instruction reads in a message.
#ifndef HK_IR_TEXT_H
#define HK_IR_TEXT_H

#include "ir/ir.h"

typedef struct Words {
    const char *const *words;
    unsigned count;
} Words;

extern const Words words_level;  // by LEVEL_TILE, LEVEL_LOOP
extern const Words words_axis;   // by AxisKind
extern const Words words_mem;    // by MemKind
extern const Words words_site;   // by SiteKind
extern const Words words_loop;   // by LoopKind
extern const Words words_combine; // by CombineKind
extern const Words words_info;   // by TileInfo
extern const Words words_refine; // by Refine
extern const Words words_reduce; // by ReduceKind
extern const Words words_atomic; // by AtomicKind
extern const Words words_flag;   // by bit of Inst.flags; "" for those that print otherwise

bool words_find(const Words *words, Str word, uint32_t *index);

// Value numbers in order of appearance, by Value.i; UINT32_MAX where a value never appears.
const uint32_t *func_number_values(Arena *arena, const Func *f);
// One instruction without its regions: "%7 = add (%5, %6) : f32{m} @4:9-14". Safe for broken IR.
void print_inst(Buf *out, const Func *f, const uint32_t *numbers, InstId id);

#endif

// The reference interpreter: runs Tile IR tile by tile, slowly and obviously. It defines the
// result.
#ifndef HK_BACKENDS_INTERP_INTERP_H
#define HK_BACKENDS_INTERP_INTERP_H

#include "ir/config.h"
#include "ir/frame.h"
#include "ir/ir.h"

typedef struct InterpOptions {
    const Config *config; // tile sizes (tile_AXIS); NULL or missing: a small default
    double seconds_max;   // 0: no limit. Else stop after about this time ...
    uint64_t sample_seed; // ... having run grid tiles in an order shuffled by this seed
    double first_seconds; // ... and not even one if that takes so much longer; 0: 300
} InterpOptions;

typedef struct InterpResult {
    int64_t tiles_total, tiles_run;
    // If tiles_run < tiles_total: for each Mem a byte per element, 1 where a tile that ran stored;
    // else NULL.
    uint8_t *const *written;
} InterpResult;

// frame->mems of inputs, outputs, workspaces and partials must be allocated and outputs filled with
// their initial values. All memory else is from arena. False after a trap (frame->trap is set).
bool interp_run(Arena *arena, const Func *tile, const Frame *frame, const InterpOptions *options,
                InterpResult *result);

#endif

// The pass driver: runs, verifies, times, dumps, names the culprit.
#ifndef HK_PASSES_PASS_H
#define HK_PASSES_PASS_H

#include "ir/config.h"
#include "ir/ir.h"
#include "ir/machine.h"

typedef enum PassId {
#define PASS(id, level, required, purpose) PASS_##id,
#include "passes/passes.def"
    PASS_COUNT
} PassId;

typedef struct PassContext {
    Arena *arena;    // of the compilation
    DiagList *diags; // checks report here
    const Config *config;
    const Machine *machine;
    const int64_t
        *strides; // [Mem.i * RANK_MAX + position] in elements; INT64_MIN: known only at launch.
                  // NULL: every tensor is compact. For `schedule`: what may be a vector load
    // Driver options; all optional.
    bool verify;       // after each pass
    uint64_t disabled; // bit per PassId: skipped unless required
    Str stop_after;    // pass name
    Str dump;          // pass name or "all"
    Buf *dump_to;
    double *time_ms; // [PASS_COUNT], added to
    // Where `schedule` puts the dimension without bound for whose want it gave up, saying nothing.
    // NULL: it says so.
    uint32_t *unbounded;
} PassContext;

typedef struct PassInfo {
    const char *name, *purpose;
    uint8_t level; // LEVEL_*
    bool required;
    bool (*run)(Func *f, const PassContext *context); // whether it changed anything
} PassInfo;

extern const PassInfo pass_info[PASS_COUNT];
bool pass_find(Str name, PassId *id);

// Runs the passes in order; stops when one adds an error to diags or breaks the verifier. False
// then.
bool passes_run(Func *f, const PassId *ids, uint32_t count, const PassContext *context);

extern const PassId passes_check[]; // after the front end: bounds, races, coverage, the block rule
extern const uint32_t passes_check_count;
extern const PassId passes_axes[]; // before there is a Config: what there is to choose
extern const uint32_t passes_axes_count;
extern const PassId passes_tile[]; // before scheduling
extern const uint32_t passes_tile_count;
extern const PassId passes_loop[]; // after scheduling
extern const uint32_t passes_loop_count;

#define PASS(id, level, required, purpose) bool pass_##id(Func *f, const PassContext *context);
#include "passes/passes.def"

// Replaces dims, extents and what follows from them by constants. dims[i] < 0 stays symbolic;
// strides [Mem.i * RANK_MAX + position], INT64_MIN stays symbolic (Loop IR only).
void func_specialise(Func *f, const int64_t *dims);
// Replaces dim by the lesser of it and `most`, so that what depends on it has a bound.
void func_bound_dim(Func *f, uint32_t dim, int64_t most);
void func_specialise_strides(Func *f, const int64_t *strides);

// The axis along which the Config may split the reduction or store (split.c); {0}: it may not
Axis split_axis(const Func *f, InstId root);
enum { SPLIT_ROUND = 64 }; // of its parts each is a multiple of so many indices, but the last

// The product that a reduction sums, in a choice between it and 0 or not; NULL: none
const Inst *sum_product(const Func *f, const Inst *reduce);
// The two values of which all that a reduction takes is computed, each lacking some of the result's
// axes that the other has: the factors of a sum of products, or the parts of a distance or of a
// shortest path
typedef enum Pair { PAIR_NONE, PAIR_PRODUCT, PAIR_OTHER } Pair;
Pair contraction_pair(const Func *f, const Inst *reduce, AxisSet axes, Value *pair);

// The Config without tuning (dims specialised where possible): a value for every free tile and
// block.
Config *config_default(Arena *arena, const Func *tile, const Machine *machine);

// Tile IR + Config + Machine -> new Loop IR. NULL after errors, or where *unbounded was set.
Func *schedule(const Func *tile, const PassContext *context);

#endif

// What a library that was compiled ahead of time knows of its kernels: tables of constants beside
// the code, which runtime/build.c writes and run.c reads. No pointers: places are offsets from the
// table's start, so that a table is the same bytes on every 64-bit little-endian machine. Functions
// are numbered; their addresses stand in a list of their own.
//
//   kernel (one function of the library)
//     parameters
//     instances: which optional tensors are given
//       memories, dimensions, scalar arguments, checks, messages
//       variants: sizes, strides and a CPU for which there is code, best first
#ifndef HK_RUNTIME_AOT_TABLES_H
#define HK_RUNTIME_AOT_TABLES_H

#include <stdint.h>

typedef uint32_t At; // offset; 0: nothing

// Limits of the arrays that a launch puts on its stack.
enum { AOT_PARAMS = 32, AOT_MEMS = 96, AOT_DIMS = 48, AOT_ARGS = 48, AOT_VALUES = 512 };
enum { AOT_NONE = UINT32_MAX };

typedef struct AotKernel {
    uint32_t param_count, instance_count;
    At name, params, instances;
    At built_for; // text: the sizes of the variants, for a message
    At cpu;       // text: the least CPU
} AotKernel;

typedef struct AotParam {
    At name, text; // "x", "x: T[..P, N]"
    At dims;       // At[dim_count], as written
    uint32_t dim_count;
    int32_t pack;    // which of dims stands for any number of dimensions, or -1
    At pack_name;    // "..P"
    uint8_t scalar;  // 1: a scalar
    uint8_t written; // output or inout
    uint8_t optional, unused;
} AotParam;

typedef struct AotInstance {
    uint32_t given; // a bit for each parameter that is an optional tensor
    uint32_t mem_count, dim_count, arg_count, require_count, refine_count;
    At mems, dims, requires, refines, variants;
    At args; // uint32_t[arg_count]: the parameter; AOT_NONE: the turn of a repeat
    uint32_t variant_count;
    uint32_t values; // function: sizes of all memories, requirements, bounds of promises
    uint32_t value_count;
} AotInstance;

typedef struct AotMem { // a tensor argument
    uint32_t param;
    uint8_t dtype, rank, written, unused;
    uint32_t sizes; // index of the first among the values
} AotMem;

typedef struct AotDim { // as DimInfo
    At name;
    uint32_t mem, position;
    uint32_t unused;
    int64_t scale, offset;
} AotDim;

typedef struct AotText { // of a requirement, which is a value
    At text;
    uint32_t value;
} AotText;

typedef struct AotRefine { // a promise about the values of a tensor
    uint32_t mem, kind;    // Refine
    uint32_t low, high;    // values; low AOT_NONE: 0
} AotRefine;

typedef struct AotSite {
    uint32_t kind, code; // SiteKind; HKnnnn
    At place, text;      // ", file.hk:3"; the tensor's name, a message, the axis
    uint32_t position;
} AotSite;

typedef struct AotVariant {
    uint32_t level; // of the CPU
    At dims;        // int64_t[dim_count]: needed sizes, -1: any
    At most;        // int64_t[dim_count]: largest sizes, 0: any
    At strides;     // int64_t[mem_count * RANK_MAX]: needed strides, INT64_MIN: any
    uint32_t place_count, step_count, site_count;
    At places, steps, sites;
    uint32_t values, value_count; // function: sizes of workspaces, units of phases
    uint32_t phases;              // function of the first phase; the others follow
    int64_t scratch_bytes;
} AotVariant;

typedef struct AotPlace { // a memory of the code, in its order
    uint32_t mem;         // of the instance, or AOT_NONE: a workspace; of neither: no address
    uint32_t sizes;       // a workspace's, among the variant's values
    uint8_t dtype, rank, has_init, clears;
    uint8_t absent, unused[3];
    uint8_t init[8]; // an element as in memory
} AotPlace;

enum { AOT_PHASE, AOT_REPEAT, AOT_AGAIN };
typedef struct AotStep {
    uint32_t kind;
    uint32_t count;    // value: units of a phase, turns of a repeat
    uint32_t parallel; // of a phase
    uint32_t arg;      // repeat: the argument that is the turn
    uint32_t end;      // repeat: the step of its `again`
} AotStep;

typedef void AotValues(const void *frame, uint64_t *out);

#endif

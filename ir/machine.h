// What the scheduler may know of a target. Sizes in bytes.
#ifndef HK_IR_MACHINE_H
#define HK_IR_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Machine {
    uint32_t vector_bytes;     // widest useful vector: 64, 32, 16; OpenCL: 4 (scalar code)
    uint32_t vector_registers; // 32 or 16
    int64_t l1_bytes, l2_bytes, l3_bytes; // per core, per core, per group of cores
    uint32_t cores;
    bool dots_bf16, dots_i8; // instructions for OP_DOT of whole vectors ...
    bool tiles_bf16, tiles_i8; // instructions for OP_DOT_ROWS
    bool lacks_fma;          // it would be a call
    bool slow_dots_bf16;     // ... slower than two multiply-adds
    bool is_gpu_style;       // OpenCL: a group of work-items shares a tile ...
    uint32_t group;      // ... of this many; 1: one work-item to a tile, as on a CPU; 0: not OpenCL
    int64_t local_bytes; // OpenCL: memory that a group may share
    uint32_t buffers;    // OpenCL: 2: what is staged there for a turn of a loop has two places
    uint32_t unroll;     // OpenCL: of inner loops, as drivers are asked; 0: as they like
    const char *isa;     // "x86-64", "aarch64", "riscv64": a word of `config ... on`; NULL: another
    // What the model of time (passes/tune/model.h) reckons with; `hako machine` measures it.
    double fma_rate;             // multiply-adds of whole vectors a second, by one thread
    double l1_rate, l2_rate;     // bytes a second read, by one thread ...
    double l3_rate, memory_rate; // ... by all of them together
    double launch_seconds;       // of a kernel that does nothing
} Machine;

#endif

// A Config: the value of every knob of one kernel, as small readable text: "tile_m = 64, unroll_m =
// 6".
#ifndef HK_IR_CONFIG_H
#define HK_IR_CONFIG_H

#include "ir/base/diag.h"

typedef struct Knob {
    Str name; // tile_AXIS, block_AXIS, unroll_AXIS, lanes_AXIS, pack_AXIS, chunks, threads, a
              // user's tunable ...
    int64_t value;
} Knob;

typedef struct Config {
    Arena *arena;
    VEC(Knob) knobs; // in the order of config_set; printed so
} Config;

Config *config_new(Arena *arena);
Config *config_clone(Arena *arena, const Config *config);
bool config_get(const Config *config, Str name, int64_t *value);
int64_t config_get_axis(const Config *config, const char *kind, Str axis,
                        int64_t otherwise);               // kind_axis
void config_set(Config *config, Str name, int64_t value); // replaces
void config_set_axis(Config *config, const char *kind, Str axis, int64_t value);
Str config_print(Arena *arena, const Config *config); // "a = 1, b = 2"
// Separators , ; or newline; // comments. NULL after an error (DIAG_CONFIG_SYNTAX in diags).
Config *config_parse(Arena *arena, Str text, DiagList *diags, uint32_t source);
uint64_t config_hash(const Config *config); // independent of the order

#endif

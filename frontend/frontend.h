// Source text to Tile IR. A Module is the parsed files; a kernel in it is generic until it is
// instantiated with dtypes, constants, functions, ranks and the presence of optional tensors.
#ifndef HK_FRONTEND_FRONTEND_H
#define HK_FRONTEND_FRONTEND_H

#include "frontend/ast.h"
#include "ir/config.h"
#include "ir/ir.h"

typedef struct Module {
    Arena *arena;
    SourceSet *sources;
    VEC(Node *) files; // [0] the main file; then imports in order, each once; the prelude last
} Module;

// Reads an imported file: path as resolved against the importing file's folder. NULL data: not
// found.
typedef Str ReadFile(void *self, Arena *arena, Str path);

// Parses `text` and what it imports (`import std;` is built in). NULL only if nothing could be
// parsed. After errors, which are in diags, what is left is there to be checked further (see ERROR
// in nodes.def), but not to be run.
Module *module_parse(Arena *arena, SourceSet *sources, Str name, Str text, ReadFile *read,
                     void *self, DiagList *diags);

// Just one file's syntax; as module_parse after errors.
Node *parse_source(Arena *arena, SourceSet *sources, uint32_t source, DiagList *diags);

uint32_t module_kernel_count(const Module *module);
const Node *module_kernel(const Module *module, uint32_t index); // in the main file, in order
const Node *module_find_kernel(const Module *module, Str name);  // imports too

// A compile-time parameter given from outside: `value` is an expression in .hk syntax (bf16, true,
// 64, fn(x) => x * 2, gelu).
typedef struct Define {
    Str name, value;
} Define;

// An argument as far as it decides the instance: of a scalar only that it is given. Outputs that
// are not optional need not be listed.
typedef struct TensorArg {
    Str name;
    DType dtype; // DTYPE_NONE: present, but dtype and rank follow from the signature (an output
                 // that the library will allocate)
    uint32_t rank;
} TensorArg;

typedef struct InstanceSpec {
    const Define *defines;
    uint32_t define_count;
    const TensorArg *tensors; // those given, inputs and outputs; absent optional ones are absent
    uint32_t tensor_count;
    bool tensors_known; // false: every tensor is assumed present, dtypes by class (float f32, int
                        // i32, any f32), packs of rank 1: what `check` and `emit` without arguments
                        // use
    Str absent;           // one that is not assumed present; then a `require` that is false for
                          // that is no error, but there is no such instance
    bool types_guessed;   // type parameters that nothing determines are as with unknown tensors
    const Config *config; // values of user tunables (`tune S in ...`); may be NULL
} InstanceSpec;

// The checked Tile IR of one instance, before the passes of passes/ (bounds, races ...) have run.
// NULL after errors. Diagnoses everything that the language says about names, types, axes and
// shapes.
Func *kernel_instantiate(Module *module, Str kernel, const InstanceSpec *spec, DiagList *diags);

// One row of a `shapes` block: dims, dtypes, constants and generators as written.
typedef struct ShapeRow {
    bool test;
    const Node *row; // NODE_ROW
} ShapeRow;
uint32_t module_shapes(const Module *module, Str kernel, Arena *arena, ShapeRow **rows);

// Diagnoses `shapes`, `config` and `test` blocks of the main file that do not fit its kernels.
void module_check_blocks(Module *module, DiagList *diags);

// A `config` block that applies: `on` empty or equal to the target's name, `when` true under dims
// (names and values). Merged rows as a Config; NULL if there is none.
Config *module_config(Module *module, Str kernel, Str target, const Str *dim_names,
                      const int64_t *dims, uint32_t dim_count, DiagList *diags);

// A user tunable of a kernel (its own and the file's).
typedef struct Tunable {
    Str name;
    const int64_t *choices;
    uint32_t choice_count;
    int64_t initial;
    bool boolean; // 0 stands for false, 1 for true
} Tunable;
uint32_t module_tunables(Module *module, Str kernel, Arena *arena, Tunable **tunables,
                         DiagList *diags);

#endif

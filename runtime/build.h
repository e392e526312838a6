// Building libraries ahead of time: build.c compiles what is asked for, build_tables.c writes what
// the runtime must know of it, build_link.c the functions that callers see, build_header.c their
// declarations.
#ifndef HK_RUNTIME_BUILD_H
#define HK_RUNTIME_BUILD_H

#include "runtime/aot/tables.h"
#include "runtime/internal.h"

typedef struct Level { // a CPU that code is made for
    LlvmTarget target;
    uint32_t number; // as the runtime counts them: it runs on CPUs of that level and above
    Machine machine;
} Level;

typedef struct Code { // one variant of an instance, compiled
    hk_exec *exec;
    const Level *level;
    const char *prefix; // of its functions
    int64_t *dims;      // by Func dim; -1: any
} Code;

typedef struct Instance { // with certain optional tensors
    uint32_t given;       // a bit for each parameter
    const char *prefix;
    VEC(Code) codes;
} Instance;

typedef struct Function { // one function of the library
    const hk_kernel *kernel;
    const char *symbol;
    const hk_build_kernel *asked;
    Instance *instances; // of all choices of tensors the last has them all
    uint32_t instance_count;
    Str tables;
    VEC(const char *) code; // names of functions, by number
} Function;

struct hk_build {
    Arena arena;
    const char *name, *triple; // triple NULL: this machine's
    bool is_native;            // of this machine's architecture
    Level *levels;             // best first
    uint32_t level_count;
    bool sign_extends; // the ABI wants small integers extended by the caller
    Function *functions;
    uint32_t function_count;
    LlvmLibrary *library;
    DiagList diags;
    hk_error *error; // or this: of a kernel
    hk_status status;
    Str object, header, llvm, assembly;
};

static inline const Func *instance_tile(const Instance *instance)
{
    return instance->codes.data[0].exec->tile;
}

// Writes the tables and, as they tell which values of its prologue are asked for, makes the code.
// False after an error.
bool function_tables(hk_build *build, Function *function);
Str library_text(hk_build *build); // LLVM IR
Str library_header(hk_build *build);
bool build_name_taken(Arena *arena, const char *name); // by C, C++ or their library
// "M=64,N=64 or any sizes": what the variants are for.
Str instance_sizes(Arena *arena, const Instance *instance);
// The type of a scalar parameter, arithmetic.
DType scalar_dtype(const Function *function, uint32_t param);

#endif

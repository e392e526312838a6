// What generated code calls besides mathematical functions. The JIT binds these names and no
// others.
#include "backends/llvm/gen.h"

#include <math.h>

#include "ir/frame.h"

static void hako_rt_trap(const Frame *frame, int64_t site, int64_t index, int64_t bound)
{
    frame_trap(frame, site, index, bound);
}

static void hako_rt_print(const Frame *frame, int64_t site, const uint64_t *values)
{
    if (frame->printer) frame->printer->line(frame->printer->self, site, values);
}

typedef struct Entry {
    const char *name;
    uintptr_t address;
} Entry;

void *gen_rt_address(const char *name)
{
    // The code generator itself may call the functions below the first line.
    const Entry entries[] = {{"hako_rt_trap", (uintptr_t)hako_rt_trap},
                             {"hako_rt_print", (uintptr_t)hako_rt_print},
                             {"fmod", (uintptr_t)fmod},
                             {"fmodf", (uintptr_t)fmodf},
                             {"fma", (uintptr_t)fma},
                             {"fmaf", (uintptr_t)fmaf},
                             {"floor", (uintptr_t)floor},
                             {"floorf", (uintptr_t)floorf},
                             {"ceil", (uintptr_t)ceil},
                             {"ceilf", (uintptr_t)ceilf},
                             {"trunc", (uintptr_t)trunc},
                             {"truncf", (uintptr_t)truncf},
                             {"roundeven", (uintptr_t)rint},
                             {"roundevenf", (uintptr_t)rintf},
                             {"fmin", (uintptr_t)fmin},
                             {"fminf", (uintptr_t)fminf},
                             {"fmax", (uintptr_t)fmax},
                             {"fmaxf", (uintptr_t)fmaxf},
                             {"memcpy", (uintptr_t)memcpy},
                             {"memset", (uintptr_t)memset},
                             {"memmove", (uintptr_t)memmove}};
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (strcmp(entries[i].name, name) == 0) return (void *)entries[i].address;
    }
    return NULL;
}

// What kernels print during a launch: lines from any thread, handed to the host's log at the end,
// from the thread that called the library.
#ifndef HK_RUNTIME_PRINT_H
#define HK_RUNTIME_PRINT_H

#include "ir/frame.h"
#include "runtime/internal.h"

typedef struct Printed {
    Printer printer; // of the launch's frame
    const Func *f;
    const Allocator *allocator;
    pthread_mutex_t lock;
    char *text; // lines, each ended by 0
    size_t length, capacity;
    int64_t dropped;
} Printed;

bool printed_any(const Func *f); // whether the function prints at all
void printed_begin(Printed *p, const Func *f, const Allocator *allocator);
void printed_end(Printed *p, const hk_context *context); // hands over and frees
#endif

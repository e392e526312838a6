// Whether the values of an integer tensor are as it was promised: one linear scan. No memory is
// allocated here; libraries compiled ahead of time hold this code too.
#ifndef HK_RUNTIME_SCAN_H
#define HK_RUNTIME_SCAN_H

#include "ir/ir.h"
#include "runtime/tensor.h"

typedef struct Scan {
    const TensorView *view;
    Refine kind;
    int64_t low, high;   // RANGE: [low, high); else [0, high)
    unsigned char *seen; // PERMUTATION, DISTINCT: scan_seen_bytes of zeros
    // Of the scan itself.
    int64_t last; // PARTITION: the previous value
    int64_t position;
    const char *why;
} Scan;

size_t scan_seen_bytes(const Scan *scan); // 0: none are needed
// False: what is wrong, after "kernel K: ", and how it should be ("": the text says it).
enum { SCAN_TEXT_MOST = 256 };
bool scan_run(Scan *scan, const char *name, char text[SCAN_TEXT_MOST], char hint[SCAN_TEXT_MOST]);

#endif

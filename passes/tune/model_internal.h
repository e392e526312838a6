// What the files of the model share: the loops of a phase as a tree, and what is read and written
// in each.
#ifndef HK_PASSES_TUNE_MODEL_INTERNAL_H
#define HK_PASSES_TUNE_MODEL_INTERNAL_H

#include "passes/tune/model.h"

enum { MODEL_DEPTH = 16, CACHES = 3, CACHE_LINE = 64 };

// A load or store: at byte `base` with every index in the middle; slopes[d] bytes further with a
// turn of the loop at depth d. NAN: nothing is known of it.
typedef struct Access {
    Mem mem;
    Value offset;
    double element;            // bytes
    double base, width;        // width: of consecutive bytes
    double lanes, lane_stride; // a gather: so many of them, so far apart; else 1
    double slopes[MODEL_DEPTH];
    double weight; // how likely a turn comes to it
    bool writes, stream;
} Access;

// A loop, or a digit of one whose index is taken apart by / and %. The root is a phase, of one
// turn.
typedef struct Node Node;
struct Node {
    Node *parent, *child, *next; // children in program order
    double trips, weight;
    unsigned depth;
    bool units;   // shared out to threads
    Region body;  // {0} of an outer digit
    Region scope; // where the index is used
    Value index;
    double step;
    VEC(Access) accesses;
};

typedef struct Model {
    Arena *arena;
    const Func *f;
    const Machine *machine;
    double *base, *moved; // the value of each integer; NAN: unknown
    double *middle;       // by InstId, of loops: from the first index to that in the middle
    uint32_t *stamps;     // `moved` counts where it is that of this step
    uint32_t stamp;
    bool upper;  // of an even number of turns the second of the two in the middle
    double lane; // 1 while the addresses of a gather's second lane are worked out
    bool *asked; // by Mem.i: prefetched somewhere
    double threads;
    bool inexact;
} Model;

// model.c
Model model_new(Arena *arena, const Func *loop, const Machine *machine, bool upper);
double model_work(const Model *m, const Inst *in); // multiply-adds of one vector, or one scalar
double model_together(const double *seconds, unsigned count); // of limits that overlap

// model_tree.c
void model_prologue(Model *m);
Node *model_tree(Model *m, const Inst *phase, double units);

// model_bytes.c
typedef struct Traffic {
    double bytes[CACHES];   // that come from the next level
    double weighed[CACHES]; // the same, but what is written and short runs count more
    double footprint;       // of a unit
} Traffic;
Traffic model_traffic(Model *m, Node *root);

#endif

// Constant folding and identities, for the builders and for the pass simplify.
#ifndef HK_IR_FOLD_H
#define HK_IR_FOLD_H

#include "ir/ir.h"

// An existing or constant value equal to the operation on args, {0} if there is none. It may build
// constants at b, nothing else. Operands agree in lanes.
Value fold_op(Builder *b, Op op, const Value *args, unsigned count);
Value fold_cast(Builder *b, Value a, DType to);

#endif

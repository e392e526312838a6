// Constant folding and identities.
#include "ir/fold.h"

Value fold_op(Builder *b, Op op, const Value *args, unsigned count)
{
    (void)b, (void)op, (void)args, (void)count;
    return (Value){0};
}

Value fold_cast(Builder *b, Value a, DType to)
{
    (void)b, (void)a, (void)to;
    return (Value){0};
}

// Tensors as a launch uses them, apart from any compiler: no memory is allocated here. Libraries
// that were compiled ahead of time (runtime/aot) hold this code too.
#ifndef HK_RUNTIME_TENSOR_H
#define HK_RUNTIME_TENSOR_H

#include "include/hako.h"
#include "ir/base/diag.h"
#include "ir/type.h"

// An argument. Memory element (i, j ..) is at data + (i * strides[0] + ..) elements.
typedef struct TensorView {
    bool given;
    DType dtype;
    uint32_t rank;
    char *data;
    int64_t shape[RANK_MAX], strides[RANK_MAX];
    int64_t low, high; // bytes that elements occupy, relative to data: [low, high)
} TensorView;

bool dtype_from_dlpack(DLDataType from, DType *to);
DLDataType dtype_to_dlpack(DType t);
// False and `why` filled if the library cannot use the tensor.
enum { WHY_MOST = 320 };
bool tensor_view(const DLTensor *tensor, TensorView *view, DiagCode *code, char why[WHY_MOST]);
void compact_strides(DType dtype, uint32_t rank, const int64_t *shape, int64_t *strides);
// Bytes of a compact tensor. False on overflow or a negative size.
bool compact_bytes(DType dtype, uint32_t rank, const int64_t *shape, int64_t *bytes);
bool view_is_compact(const TensorView *view);
bool view_is_empty(const TensorView *view);
int64_t view_offset(const TensorView *view, const int64_t *index); // in elements
bool view_next(const TensorView *view, int64_t *index); // row-major; false after the last
bool view_self_overlaps(const TensorView *view);
bool views_overlap(const TensorView *a, const TensorView *b);
// Every element becomes the one that lies at `element`, as in memory; four bits: its low half.
void view_fill(const TensorView *view, const void *element);
// *dim with scale * dim + offset == extent, if there is one; without a scale any would do: 0 is it.
bool dim_solve(int64_t extent, int64_t scale, int64_t offset, int64_t *dim);
int64_t element_int(DType dtype, const void *line, int64_t index); // of an integer tensor
enum { SHAPE_MOST = RANK_MAX * 22 + 4 };
void shape_format(char out[SHAPE_MOST], uint32_t rank, const int64_t *shape); // "(2, 3)"

#endif

/* Arrays of the command line: DLPack tensors that own their memory, .npy files, and SPECs. */
#ifndef HK_CLI_ARRAY_H
#define HK_CLI_ARRAY_H

#include <stdio.h>

#include "include/hako.h"

enum { ARRAY_RANK_MAX = 8, ARRAY_ERROR_MAX = 512 };

typedef struct Array {
    DLTensor tensor; /* shape and strides point below */
    int64_t shape[ARRAY_RANK_MAX], strides[ARRAY_RANK_MAX];
    void *memory; /* NULL: a scalar given as text */
    size_t bytes;
    bool is_scalar;  /* SPEC was a bare number: `text` has it */
    const char *text;
} Array;

/* A sentence for the user; empty after success. kind: 1 the content is wrong, 3 the environment (I/O). */
typedef struct ArrayError {
    int exit_code;
    char message[ARRAY_ERROR_MAX];
} ArrayError;

/* Compact, zeroed; 64-byte aligned. False: sizes overflow or no memory. */
bool array_alloc(Array *array, DLDataType dtype, int32_t ndim, const int64_t *shape, ArrayError *error);
void array_free(Array *array);
int64_t array_count(const Array *array);
/* Element at a flat row-major index, whatever the strides. */
double array_get(const Array *array, int64_t flat);

/* .npy versions 1 to 3, both byte orders and both index orders. bf16 and other types that NumPy lacks come as
   an unsigned integer of the same width; `want` (bits 0: as stored) says how to take it. */
bool npy_read(const char *path, DLDataType want, Array *array, ArrayError *error);
/* Version 1, written to a temporary file beside and renamed, so never half. path "-": standard output. */
bool npy_write(const char *path, const Array *array, ArrayError *error);

/* SPEC: @a.npy | 8x16xf32=@a.npy | 8x16xf32=zeros|ones|iota|rand|randn(seed=7)|randint(0,9) | 4xi32=1 2 3 4 | a number */
bool spec_parse(const char *spec, Array *array, ArrayError *error);

/* Fills with what a generator's text says: "zeros", "ones", "iota", "rand(seed=1)", "randn(seed=1)",
   "randint(lo, hi, seed=1)". */
bool array_generate(Array *array, const char *generator, ArrayError *error);

#endif

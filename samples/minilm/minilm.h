// What the files of the MiniLM sample share.
#ifndef MINILM_H
#define MINILM_H

#include <hako.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// weights.c: a safetensors file, mapped. Its tensors are borrowed from the mapping.
typedef struct Weights Weights;
Weights *weights_open(const char *path);                         // NULL after printing why
DLTensor *weights_get(const Weights *weights, const char *name); // NULL after printing why
void weights_close(Weights *weights);

// tokens.c: WordPiece, as BERT's uncased models use it.
typedef struct Vocabulary Vocabulary;
Vocabulary *vocabulary_open(const char *path); // NULL after printing why
// The tokens of a UTF-8 text between [CLS] and [SEP], at most `most` >= 2 in all. Returns how many.
size_t tokens_of(const Vocabulary *vocabulary, const char *text, int64_t *ids, size_t most);
void vocabulary_close(Vocabulary *vocabulary);

#endif

// One line of `print`. Libraries compiled ahead of time hold this code too.
#ifndef HK_RUNTIME_LINE_H
#define HK_RUNTIME_LINE_H

#include "ir/type.h"

enum { LINE_MOST = 1025 };
// Puts operands, as bits of their arithmetic types, into the places {f32} ... of a site's text;
// {{ is a brace. Cut where the line is full. The number of bytes with the closing zero.
size_t line_format(char out[LINE_MOST], Str text, const uint64_t *values);

#endif

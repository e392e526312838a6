// Compiled code on disk, from process to process.
#ifndef HK_RUNTIME_CACHE_H
#define HK_RUNTIME_CACHE_H

#include "ir/base/str.h"

// What was put there under exactly this key; empty if nothing was, or if it is not to be trusted.
Str cache_get_file(Arena *arena, const char *folder, Str key);
// Failing costs time later, nothing else.
void cache_put_file(Arena *arena, const char *folder, Str key, Str value);

#endif

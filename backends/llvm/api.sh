#!/bin/sh
# Makes api.h: LLVM's C functions that the given sources call, as members of a table that load.c
# fills. Their names become macros, so that sources read as if they were linked; but LLVM, whose
# loading takes longer than most kernels run, comes only when something must be compiled.
names=$(grep -ohE '\bLLVM[A-Z][A-Za-z0-9]*\(' "$@" | tr -d '(' | LC_ALL=C sort -u)
echo "typedef struct LlvmApi {"
for name in $names; do echo "    __typeof__($name) *$name;"; done
echo "} LlvmApi;"
echo "extern LlvmApi llvm_api;"
echo "#define LLVM_API_NAMES \\"
for name in $names; do echo "    \"$name\", \\"; done
echo "    0"
for name in $names; do echo "#define $name (llvm_api.$name)"; done

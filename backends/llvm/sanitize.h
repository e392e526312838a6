// A library that is built with a sanitizer instruments its kernels as well. ThreadSanitizer sees
// scalar accesses only, so vectors have one lane then.
#ifndef HK_BACKENDS_LLVM_SANITIZE_H
#define HK_BACKENDS_LLVM_SANITIZE_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZE_ATTRIBUTE "sanitize_address"
#define SANITIZE_PASSES "asan"
#elif defined(__SANITIZE_THREAD__)
#define SANITIZE_ATTRIBUTE "sanitize_thread"
#define SANITIZE_PASSES "function(tsan)"
#define SANITIZE_VECTOR_BYTES 4
#endif

#endif

// What the runtime uses of the system where that differs between machines.
#ifndef HK_RUNTIME_AOT_SYSTEM_H
#define HK_RUNTIME_AOT_SYSTEM_H

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__riscv)
#include <sys/auxv.h>
#endif

#endif

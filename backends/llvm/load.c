// Opens LLVM's library at the first need, and fills the table of its functions (api.sh). A process
// that finds its kernels in the cache never pays for it.
#include <dlfcn.h>
#include <pthread.h>

#include "backends/llvm/gen.h"

// Written once, before anything reads it.
LlvmApi llvm_api;
static const char *missing; // why it cannot be used; NULL: it can

static void *open_library(void)
{
    static const char *const names[] = {"libLLVM.so.19.1", "libLLVM-19.so.1", "libLLVM-19.so",
                                        HAKO_LLVM_LIBDIR "/libLLVM.so.19.1",
                                        HAKO_LLVM_LIBDIR "/libLLVM-19.so"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        void *library = dlopen(names[k], RTLD_LAZY | RTLD_LOCAL);
        if (library) return library;
    }
    return NULL;
}

// The C API does not say which CPUs there are. These two functions do; a name is passed as pointer
// and length.
typedef int KnowsFn(const char *name, size_t length, bool only_64_bit);
static KnowsFn *knows_x86, *knows_riscv;

static void load(void)
{
    static const char *const names[] = {LLVM_API_NAMES};
    void *library = open_library();
    if (!library) {
        missing = "libLLVM.so.19.1";
        return;
    }
    for (size_t k = 0; names[k]; k++) {
        void *function = dlsym(library, names[k]);
        if (!function) missing = names[k];
        memcpy((char *)&llvm_api + k * sizeof function, &function, sizeof function);
    }
    void *x86 = dlsym(library, "_ZN4llvm3X8612parseArchX86ENS_9StringRefEb");
    void *riscv = dlsym(library, "_ZN4llvm5RISCV8parseCPUENS_9StringRefEb");
    memcpy(&knows_x86, &x86, sizeof x86);
    memcpy(&knows_riscv, &riscv, sizeof riscv);
}

bool llvm_knows_cpu(bool is_x86, const char *name)
{
    KnowsFn *knows = is_x86 ? knows_x86 : knows_riscv;
    return !knows || (knows(name, strlen(name), true) & 0xff);
}

bool llvm_load(DiagList *diags)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!missing) return true;
    Diag *diag = diag_add(diags, DIAG_DEVICE, (Span){0},
                          "no code can be made for this machine: %s was not found", missing);
    diag_hint(diags, diag, "install LLVM 19 (libllvm19), or run with --target=interp");
    return false;
}

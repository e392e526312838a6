// A call of a kernel: its arguments are checked, the code that fits is found, and it runs.
#include "runtime/aot/rt.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/aot/system.h"

bool call_fail(Call *c, hako_status status, DiagCode code, const char *format, ...)
{
    if (c->status) return false;
    c->status = status;
    if (!c->error) return false;
    c->error->number = (int32_t)code;
    int n = snprintf(c->error->message, sizeof c->error->message,
                     "kernel %s%s: ", call_text(c, c->kernel->name), c->place);
    va_list args;
    va_start(args, format);
    vsnprintf(c->error->message + n, sizeof c->error->message - (size_t)n, format, args);
    va_end(args);
    return false;
}

// ---- the CPU

#if defined(__x86_64__)
static uint64_t kept_registers(void) // what the system saves of vector registers
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (uint64_t)high << 32;
}

static bool all_of(uint32_t have, uint32_t want)
{
    return (have & want) == want;
}

static uint32_t detect_level(void)
{
    enum { XSAVE = 1 << 27, AVX_STATE = 6, AVX512_STATE = 0xe6 };
    uint32_t a, b, c, d, c1, b7 = 0, c81 = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d)) return 1;
    // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT
    if (!all_of(c1, 1u | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23)) return 1;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) b7 = b;
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) c81 = c;
    // FMA, MOVBE, AVX, F16C; BMI, AVX2, BMI2; LZCNT
    uint64_t saved = c1 & XSAVE ? kept_registers() : 0;
    if (!all_of(c1, 1u << 12 | 1u << 22 | 1u << 28 | 1u << 29) ||
        !all_of(b7, 1u << 3 | 1u << 5 | 1u << 8) || !(c81 & 1u << 5) ||
        (saved & AVX_STATE) != AVX_STATE)
        return 2;
    // AVX-512 F, DQ, CD, BW, VL
    bool wide = all_of(b7, 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31);
    return wide && (saved & AVX512_STATE) == AVX512_STATE ? 4 : 3;
}
#elif defined(__riscv)
static uint32_t detect_level(void)
{
    return getauxval(AT_HWCAP) >> ('V' - 'A') & 1;
}
#else
static uint32_t detect_level(void)
{
    return 0;
}
#endif

static uint32_t cpu_level(void)
{
    static uint32_t known; // 1 more than the level; threads would write the same
    uint32_t level = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!level) __atomic_store_n(&known, level = detect_level() + 1, __ATOMIC_RELAXED);
    return level - 1;
}

// ---- which code

static bool find_instance(Call *c)
{
    uint32_t given = 0;
    const AotInstance *all = call_at(c, c->kernel->instances);
    for (uint32_t k = 0; k < c->kernel->param_count; k++)
        if (call_param(c, k)->optional && !call_param(c, k)->scalar && c->tensors[k])
            given |= (uint32_t)1 << k;
    for (uint32_t i = 0; i < c->kernel->instance_count; i++) {
        c->instance = &all[i];
        if (all[i].given == given) return true;
    }
    return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_MISSING,
                     "the library was not built for these optional arguments");
}

static bool sizes_fit(const Call *c, const AotVariant *v)
{
    const int64_t *dims = call_at(c, v->dims), *most = call_at(c, v->most);
    for (uint32_t d = 0; d < c->instance->dim_count; d++)
        if ((dims[d] >= 0 && dims[d] != c->dims[d]) || (most[d] && most[d] < c->dims[d]))
            return false;
    return true;
}

bool strides_fit(const TensorView *view, const int64_t *known)
{
    bool compact = view_is_compact(view); // then dimensions of one element do not count
    for (uint32_t p = 0; p < view->rank; p++) {
        bool counts = !compact || view->shape[p] > 1;
        if (counts && known[p] != INT64_MIN && known[p] != view->strides[p]) return false;
    }
    return true;
}

static bool all_strides_fit(const Call *c, const AotVariant *v)
{
    const int64_t *strides = call_at(c, v->strides);
    for (uint32_t m = 0; m < c->instance->mem_count; m++)
        if (!strides_fit(&c->views[m], &strides[m * RANK_MAX])) return false;
    return true;
}

static void put_sizes(const Call *c, char *out, size_t room)
{
    const AotDim *dims = call_at(c, c->instance->dims);
    size_t n = 0;
    out[0] = 0;
    for (uint32_t d = 0; d < c->instance->dim_count && n < room; d++)
        n += (size_t)snprintf(out + n, room - n, "%s%s=%lld", d ? "," : "",
                              call_text(c, dims[d].name), (long long)c->dims[d]);
}

// The first that this CPU has, and that is for these sizes; better one for these strides as well:
// else tensors are copied (place.c).
static bool find_variant(Call *c)
{
    const AotVariant *all = call_at(c, c->instance->variants), *second = NULL;
    bool has_cpu = false;
    for (uint32_t k = 0; k < c->instance->variant_count; k++) {
        if (all[k].level > cpu_level()) continue;
        has_cpu = true;
        if (!sizes_fit(c, &all[k])) continue;
        second = &all[k];
        if (!all_strides_fit(c, &all[k])) continue;
        c->variant = &all[k];
        return true;
    }
    c->variant = second;
    if (second) return true;
    char sizes[256];
    put_sizes(c, sizes, sizeof sizes);
    if (has_cpu)
        return call_fail(c, HAKO_ARGUMENTS, DIAG_ARG_SHAPE,
                         "the library was built for %s only, not for %s",
                         call_text(c, c->kernel->built_for), sizes);
    return call_fail(c, HAKO_CPU, DIAG_DEVICE,
                     "the library was built for %s, which this CPU is not",
                     call_text(c, c->kernel->cpu));
}

// ---- the entry

static void take_args(Call *c, const uint64_t *scalars)
{
    const uint32_t *args = call_at(c, c->instance->args);
    for (uint32_t a = 0; a < c->instance->arg_count; a++)
        c->args[a] = args[a] == AOT_NONE ? 0 : scalars[args[a]];
}

// `tensors` and `scalars` by parameter.
__attribute__((visibility("hidden"))) hako_status hako2_run(const void *tables, void *const *code,
                                                            const DLTensor *const *tensors,
                                                            const uint64_t *scalars,
                                                            hako_error *error)
{
    Call c;
    c.tables = tables;
    c.code = code;
    c.kernel = tables;
    c.tensors = tensors;
    c.error = error;
    c.status = HAKO_OK;
    c.place = "";
    c.workspace = (Block){0};
    c.trap = (Trap){0};
    if (error) *error = (hako_error){0};
    if (!find_instance(&c)) return c.status;
    memset(c.copies, 0, sizeof *c.copies * c.instance->mem_count);
    take_args(&c, scalars);
    c.frame = (Frame){
        .mems = c.mems, .dims = c.dims, .strides = c.strides, .args = c.args, .trap = &c.trap};
    if (check_tensors(&c) && check_sizes(&c) && find_variant(&c) && place_all(&c)) step_all(&c);
    place_free(&c);
    return c.status;
}

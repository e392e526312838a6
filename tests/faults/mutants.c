// Whether the check of the tuner's candidates finds miscompiled ones, and only these.
//
//     mutants [COUNT [SEED]]            kernels whose Loop IR is changed before code is made of it
//     mutants --healthy [COUNT [SEED]]  unchanged ones: random Configs on random data
//
// Each runs in a process of its own. A changed kernel counts if its results are other bits than the
// unchanged one's, and not as near to right as healthy candidates of its kernel are (`healthy`):
// swapped partial sums change nothing that matters. Then it must be rejected. Says what was
// accepted, and how far from right it was.
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/trial.h"
#include "tests/faults/faults.h"

enum { PARAMS = 16, DIMS = 8, CONFIGS = 8, SECONDS = 10 };

typedef struct Kernel {
    const char *text;
    hk_dim dims[DIMS];
    double healthy; // the error that candidates may have, of what is allowed
} Kernel;

#define REORDERED_SUM 0.1 // what sums in another order reach
static const Kernel kernels[] = {
    {"kernel matmul(a: f32[M, K], b: f32[K, N]) -> (c: f32[M, N]) {"
     "  tile m in M, n in N { axis k in K; c[m, n] = sum[k](a[m, k] * b[k, n]); } }",
     {{"M", 37}, {"N", 70}, {"K", 300}},
     REORDERED_SUM},
    {"kernel matmul16(a: bf16[M, K], b: bf16[K, N]) -> (c: bf16[M, N]) {"
     "  tile m in M, n in N { axis k in K; c[m, n] = sum[k](a[m, k] * b[k, n]); } }",
     {{"M", 33}, {"N", 50}, {"K", 130}},
     0.4}, // few elements, of which a sum in another order changes the last bit
    {"kernel product8(a: i8[M, K], b: i8[K, N]) -> (c: i32[M, N]) {"
     "  tile m in M, n in N { axis k in K; c[m, n] = sum[k](i32(a[m, k]) * i32(b[k, n])); } }",
     {{"M", 19}, {"N", 40}, {"K", 67}},
     REORDERED_SUM},
    {"kernel softmax(x: f32[M, N]) -> (y: f32[M, N], top: f32[M]) { tile m in M { axis n in N;"
     "  let most = max[n](4 * x[m, n]); top[m] = most;" // else another maximum is as right
     "  let e = exp(4 * x[m, n] - most); y[m, n] = e / sum[n](e); } }",
     {{"M", 23}, {"N", 211}},
     REORDERED_SUM},
    {"kernel layer_norm(x: f32[M, N], g: f32[N]) -> (y: f32[M, N]) { tile m in M { axis n in N;"
     "  let c = x[m, n] - mean[n](x[m, n]);"
     "  y[m, n] = c * rsqrt(mean[n](c * c) + 1e-5) * g[n]; } }",
     {{"M", 17}, {"N", 300}},
     REORDERED_SUM},
    {"kernel columns(x: f32[M, N]) -> (s: f32[N]) { tile n in N { axis m in M;"
     "  s[n] = sum[m](x[m, n]); } }",
     {{"M", 500}, {"N", 37}},
     0.12},
    {"kernel folded(x: f32[M, N]) -> (s: f32[N]) { tile m in M, n in N {"
     "  fold s[n] += sum[m](x[m, n]); } }",
     {{"M", 301}, {"N", 45}},
     0.12},
    {"kernel scaled(x: f32[M, N], w: f32[M]) -> (y: f32[N, M]) { tile m in M, n in N {"
     "  y[n, m] = x[m, n] * exp(6 * w[m]); } }",
     {{"M", 53}, {"N", 61}},
     REORDERED_SUM},
    {"kernel top(x: f32[M, N]) -> (i: i32[M], v: f32[M]) { tile m in M { axis n in N;"
     "  i[m] = i32(argmax[n](x[m, n])); v[m] = max[n](x[m, n]); } }",
     {{"M", 40}, {"N", 77}},
     REORDERED_SUM},
    {"kernel attend(q: f32[M, D], k: f32[N, D], v: f32[N, D]) -> (o: f32[M, D], top: f32[M]) {"
     "  tile m in M { axis d in D; axis n in N; axis e in D;"
     "  let s = sum[d](q[m, d] * k[n, d]) * 0.3; let most = max[n](s); top[m] = most;"
     "  let p = exp(s - most); o[m, e] = sum[n](p * v[n, e]) / sum[n](p); } }",
     {{"M", 29}, {"N", 90}, {"D", 24}},
     0.3},
};
enum { KERNELS = sizeof kernels / sizeof *kernels };

typedef struct Bench { // a kernel with its arguments
    hk_context *context;
    hk_module *module, *other; // the same text: what one has compiled the other has not
    hk_specialize_options options;
    hk_trial *trial;
    hk_arg args[PARAMS];
    DLTensor tensors[PARAMS];
    int64_t shapes[PARAMS][8];
    size_t bytes[PARAMS];
    bool is_output[PARAMS];
    size_t count;
    char *configs[CONFIGS];
    char *healthy[CONFIGS][PARAMS]; // outputs, NULL: not known yet
    double healthy_error;
} Bench;

// `error` is read after the call that sets it.
static void need(hk_status status, hk_error *const *error, const char *what)
{
    if (status == HK_OK) return;
    fprintf(stderr, "mutants: %s: %s\n", what, error && *error ? hk_error_message(*error) : "?");
    exit(70);
}

static double normal(uint64_t *random)
{
    double u = (double)(fault_random(random) >> 11) * 0x1p-53 + 0x1p-54,
           v = (double)(fault_random(random) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979 * v);
}

static void fill(Bench *b, uint64_t *random)
{
    for (size_t k = 0; k < b->count; k++) {
        DLDataType t = b->tensors[k].dtype;
        if (b->is_output[k]) continue;
        for (size_t at = 0; at < b->bytes[k] / (t.bits / 8u); at++) {
            float x = (float)normal(random);
            uint32_t bits;
            memcpy(&bits, &x, 4);
            char *data = b->tensors[k].data;
            if (t.bits == 32) memcpy(data + 4 * at, &bits, 4);
            if (t.bits == 16) memcpy(data + 2 * at, (char *)&bits + 2, 2); // bf16
            if (t.bits == 8) data[at] = (char)(int)(40 * x);
        }
    }
}

static void add_tensors(Bench *b, const hk_exec *exec)
{
    hk_exec_param_info info = {.struct_size = sizeof info};
    for (size_t k = 0; hk_exec_param(exec, k, &info) == HK_OK && k < PARAMS; k++) {
        for (int32_t d = 0; d < info.ndim; d++) b->shapes[k][d] = info.shape[d];
        b->bytes[k] = info.bytes;
        b->is_output[k] = info.kind == HK_PARAM_OUT;
        b->tensors[k] = (DLTensor){
            calloc(1, info.bytes + 64), {kDLCPU, 0}, info.ndim, info.dtype, b->shapes[k], NULL, 0};
        b->args[k] = hk_tensor(strdup(info.name), &b->tensors[k]);
        b->count++;
    }
}

static void choose_configs(Bench *b, const hk_exec *exec, uint64_t *random)
{
    for (size_t c = 0; c < CONFIGS; c++) {
        char text[2048] = "";
        for (size_t k = 0; k < hk_exec_knob_count(exec); k++) {
            hk_tunable knob = {.struct_size = sizeof knob};
            hk_exec_knob(exec, k, &knob);
            uint64_t at = fault_random(random) % knob.choice_count;
            if (fault_random(random) % 3 == 0) continue;
            size_t n = strlen(text);
            snprintf(text + n, sizeof text - n, "%s%s = %lld", n ? ", " : "", knob.name,
                     (long long)knob.choices[at]);
        }
        free(b->configs[c]);
        b->configs[c] = strdup(text);
    }
}

static Bench *bench_new(const Kernel *kernel, uint64_t *random)
{
    Bench *b = calloc(1, sizeof *b);
    hk_error *error = NULL;
    hk_context_options options = {.struct_size = sizeof options,
                                  .threads = 1}; // so that a fork has all of them
    need(hk_context_create(&options, &b->context, &error), &error, "context");
    need(hk_module_load_text(b->context, "k.hk", kernel->text, HK_TERMINATED, &b->module, &error),
         &error, kernel->text);
    need(hk_module_load_text(b->context, "k.hk", kernel->text, HK_TERMINATED, &b->other, &error),
         &error, kernel->text);
    size_t dims = 0;
    while (dims < DIMS && kernel->dims[dims].name) dims++;
    hk_specialize_options by_dims = {.struct_size = sizeof by_dims,
                                     .dims = kernel->dims,
                                     .dim_count = dims,
                                     .stage = HK_STAGE_LOOP};
    hk_exec *exec;
    need(hk_kernel_specialize(hk_module_kernel(b->module, 0), &by_dims, &exec, &error), &error,
         kernel->text);
    add_tensors(b, exec);
    choose_configs(b, exec, random);
    hk_exec_free(exec);
    fill(b, random);
    b->options = (hk_specialize_options){
        .struct_size = sizeof b->options, .args = b->args, .arg_count = b->count};
    need(hk_trial_create(hk_module_kernel(b->module, 0), &b->options, &b->trial, &error), &error,
         kernel->text);
    b->healthy_error = kernel->healthy;
    return b;
}

// What the Config gives when nothing is changed. False: it is not legal.
static bool run_healthy(Bench *b, size_t config)
{
    hk_specialize_options options = b->options;
    options.config = b->configs[config];
    hk_exec *exec;
    if (hk_kernel_specialize(hk_module_kernel(b->other, 0), &options, &exec, NULL) != HK_OK)
        return false;
    need(hk_exec_run(exec, b->args, b->count, NULL), NULL, "running");
    hk_exec_free(exec);
    for (size_t k = 0; k < b->count; k++) {
        b->healthy[config][k] = malloc(b->bytes[k] + 1);
        memcpy(b->healthy[config][k], b->tensors[k].data, b->bytes[k]);
    }
    return true;
}

// ---- one of them, in a process of its own

typedef enum Verdict { NO_PLACE = 1, HARMLESS, REORDERED, REJECTED, ACCEPTED, VERDICTS } Verdict;

static void print_distance(const Bench *b, size_t config, const hk_evaluation *e)
{
    printf("ACCEPTED: %s; config %s; error %.3g of what is allowed\n", mutant_change,
           b->configs[config], e->error_ratio);
    for (size_t k = 0; k < b->count; k++) {
        if (!b->is_output[k] || b->tensors[k].dtype.bits != 32) continue;
        const float *got = b->tensors[k].data, *want = (const float *)b->healthy[config][k];
        double worst = 0, largest = 0, relative = 0;
        size_t other = 0;
        for (size_t at = 0; at < b->bytes[k] / 4; at++) {
            double error = fabs((double)got[at] - want[at]);
            other += error > 0;
            worst = fmax(worst, error);
            largest = fmax(largest, fabs(want[at]));
            if (want[at] != 0) relative = fmax(relative, error / fabs(want[at]));
        }
        printf("    %s: %zu of %zu elements, error %.3g, relative %.3g, largest element %.3g\n",
               b->args[k].name, other, b->bytes[k] / 4, worst, relative, largest);
    }
    fflush(stdout);
}

static Verdict try_mutant(Bench *b, size_t config, uint64_t seed)
{
    hk_evaluation e = {.struct_size = sizeof e};
    hk_exec *exec;
    uint64_t code;
    mutant_seed = seed;
    bool scheduled = trial_schedule(b->trial, b->configs[config], &code, &e);
    if (!mutant_change) return NO_PLACE;
    if (!scheduled || !trial_build(b->trial, b->configs[config], &exec, &e)) return REJECTED;
    for (size_t k = 0; k < b->count; k++)
        if (b->is_output[k]) memset(b->tensors[k].data, 0x77, b->bytes[k]);
    if (hk_exec_run(exec, b->args, b->count, NULL) != HK_OK) return REJECTED;
    for (size_t k = 0; k < b->count; k++) {
        if (!b->is_output[k] || memcmp(b->tensors[k].data, b->healthy[config][k], b->bytes[k]) == 0)
            continue;
        if (e.error_ratio <= b->healthy_error) return REORDERED;
        print_distance(b, config, &e);
        return ACCEPTED;
    }
    return HARMLESS;
}

static Verdict judge(Bench *b, size_t config, uint64_t seed)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(SECONDS);
        _exit((int)try_mutant(b, config, seed));
    }
    int status;
    waitpid(pid, &status, 0);
    bool ended = WIFEXITED(status) && WEXITSTATUS(status) > 0 && WEXITSTATUS(status) < VERDICTS;
    return ended ? (Verdict)WEXITSTATUS(status) : REJECTED; // a crash, a hang
}

static int run_mutants(uint64_t count, uint64_t seed)
{
    uint64_t verdicts[VERDICTS] = {0}, random = seed;
    Bench *benches[KERNELS];
    for (size_t k = 0; k < KERNELS; k++) benches[k] = bench_new(&kernels[k], &random);
    for (uint64_t n = 0; verdicts[REJECTED] + verdicts[ACCEPTED] < count && n < 20 * count; n++) {
        Bench *b = benches[n % KERNELS];
        size_t config = fault_random(&random) % CONFIGS;
        if (!b->healthy[config][0] && !run_healthy(b, config)) continue;
        uint64_t mutant = fault_random(&random) | 1;
        Verdict v = judge(b, config, mutant);
        verdicts[v]++;
        if (v == ACCEPTED)
            printf("    %.40s ... (mutant %llx)\n", kernels[n % KERNELS].text,
                   (unsigned long long)mutant);
    }
    printf("%llu miscompiles that change results: %llu rejected, %llu accepted; beside these %llu "
           "as sums in another order, %llu without effect\n",
           (unsigned long long)(verdicts[REJECTED] + verdicts[ACCEPTED]),
           (unsigned long long)verdicts[REJECTED], (unsigned long long)verdicts[ACCEPTED],
           (unsigned long long)verdicts[REORDERED], (unsigned long long)verdicts[HARMLESS]);
    return verdicts[ACCEPTED] > 0 || verdicts[REJECTED] < count;
}

static int run_all_healthy(uint64_t count, uint64_t seed)
{
    uint64_t random = seed, tried = 0, rejected = 0, far = 0;
    while (tried < count) {
        const Kernel *kernel = &kernels[fault_random(&random) % KERNELS];
        Bench *b = bench_new(kernel, &random);
        for (size_t c = 0; c < CONFIGS && tried < count; c++) {
            hk_evaluation e = {.struct_size = sizeof e};
            hk_exec *exec;
            uint64_t code;
            if (!trial_schedule(b->trial, b->configs[c], &code, &e)) continue;
            tried++;
            bool right = trial_build(b->trial, b->configs[c], &exec, &e);
            far += right && e.error_ratio > kernel->healthy;
            rejected += !right;
            if (!right)
                printf("REJECTED: %s (%.3g of what is allowed): %.40s ... config %s\n",
                       hk_outcome_text(e.outcome), e.error_ratio, kernel->text, b->configs[c]);
            hk_exec_free(exec);
        }
        hk_trial_free(b->trial);
        hk_module_free(b->module);
        hk_module_free(b->other);
        hk_context_free(b->context);
        for (size_t k = 0; k < b->count; k++) free(b->tensors[k].data);
        free(b);
    }
    printf("%llu healthy candidates: %llu rejected, %llu farther off than the kernel's `healthy`\n",
           (unsigned long long)tried, (unsigned long long)rejected, (unsigned long long)far);
    return (double)rejected > 1e-3 * (double)tried || far > 0;
}

int main(int argc, char **argv)
{
    bool healthy = argc > 1 && strcmp(argv[1], "--healthy") == 0;
    argc -= healthy;
    argv += healthy;
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000,
             seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    return healthy ? run_all_healthy(count, seed) : run_mutants(count, seed);
}

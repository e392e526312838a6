// Runs the kernels of .hk files on a target, with the default Config and with random ones, on
// random inputs, and compares with the interpreter; each file in a process of its own.
//
//     kernels [--configs 3] [--seed 1] [--target cpu|opencl] [--config "tile_m = 3"] FILE...
//
// The first line of a file says the sizes: "// dims: M = 7, N = 3". A line for each file: `ok`,
// `refused` (with the first error), `FAIL`, `CRASH` or `TIMEOUT`. Numbers are small, so that floats
// are exact in any order.
#include <hako.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARAMS = 250, DIMS = 16, SECONDS = 120 };
enum { OK, REFUSED, FAILED, BROKEN };

static uint64_t state;
static int configs = 3;
static const char *fixed;
static hk_target target = HK_TARGET_CPU;

static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int64_t between(int64_t low, int64_t high) // excludes high
{
    return high > low ? low + (int64_t)(next() % (uint64_t)(high - low)) : low;
}

// ---- inputs

typedef struct Tensor {
    DLTensor dl;
    int64_t shape[8];
    int64_t count;
} Tensor;

static void put_int(const Tensor *t, int64_t i, int64_t x)
{
    char *data = t->dl.data;
    if (t->dl.dtype.bits == 64) memcpy(data + i * 8, &x, 8);
    if (t->dl.dtype.bits == 32) memcpy(data + i * 4, &x, 4);
    if (t->dl.dtype.bits == 16) memcpy(data + i * 2, &x, 2);
    if (t->dl.dtype.bits == 8) memcpy(data + i, &x, 1);
}

static void shuffle(const Tensor *t, int64_t size)
{
    int64_t *all = malloc(sizeof *all * (size_t)(size + 1));
    for (int64_t i = 0; i < size; i++) {
        int64_t j = between(0, i + 1);
        all[i] = all[j];
        all[j] = i;
    }
    for (int64_t i = 0; i < t->count; i++) put_int(t, i, all[i]);
    free(all);
}

static void partition(const Tensor *t, int64_t size)
{
    int64_t at = 0;
    for (int64_t i = 0; i < t->count; i++) {
        bool last = i == t->count - 1;
        if (i && !last && next() % 4) at = between(at, at + (size - at) / 2 + 2);
        if (at > size || last) at = size;
        put_int(t, i, i ? at : 0);
    }
}

// Codes of narrow floats between a quarter and four, or zero.
static uint32_t small_code(const char *dtype)
{
    uint32_t sign = (uint32_t)next() & 1, rest = (uint32_t)next();
    if (rest % 8 == 0) return 0;
    if (!strcmp(dtype, "f16"))
        return sign << 15 | (0x3400 + (rest % 5 << 10)) | (rest >> 8 & 3) << 8;
    if (!strcmp(dtype, "bf16"))
        return sign << 15 | (0x3e80 + (rest % 5 << 7)) | (rest >> 8 & 3) << 5;
    if (!strcmp(dtype, "f8e4m3")) return sign << 7 | (0x28 + rest % 32);
    if (!strcmp(dtype, "f8e5m2")) return sign << 7 | (0x34 + rest % 16);
    return rest & 255; // two of f4e2m1
}

static void fill(const Tensor *t, const hk_exec_param_info *info, int64_t count)
{
    const char *name = info->dtype_name;
    if (info->promise == HK_PROMISE_PARTITION) {
        partition(t, info->high);
        return;
    }
    if (info->promise == HK_PROMISE_PERMUTATION || info->promise == HK_PROMISE_DISTINCT) {
        shuffle(t, info->high);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        float x = (float)between(-12, 13) / 4;
        double wide = x;
        if (info->promise == HK_PROMISE_RANGE)
            put_int(t, i, between(info->low, info->high));
        else if (!strcmp(name, "f32"))
            memcpy((char *)t->dl.data + i * 4, &x, 4);
        else if (!strcmp(name, "f64"))
            memcpy((char *)t->dl.data + i * 8, &wide, 8);
        else if (!strcmp(name, "bool"))
            put_int(t, i, between(0, 2));
        else if (name[0] == 'f' || name[0] == 'b')
            put_int(t, i, small_code(name));
        else if (name[0] == 'u')
            put_int(t, i, between(0, 10));
        else
            put_int(t, i,
                    strchr(name, '4') && strlen(name) == 2 ? between(0, 256) : between(-9, 10));
    }
}

static hk_arg make_tensor(Tensor *t, const hk_exec_param_info *info)
{
    t->count = 1;
    for (int32_t d = 0; d < info->ndim; d++) t->count *= t->shape[d] = info->shape[d];
    t->dl = (DLTensor){
        malloc(info->bytes + 64), {kDLCPU, 0}, info->ndim, info->dtype, t->shape, NULL, 0};
    memset(t->dl.data, 0x5a, info->bytes + 64); // what nobody wrote would show
    bool packed = !strcmp(info->dtype_name, "i4") || !strcmp(info->dtype_name, "u4") ||
                  !strcmp(info->dtype_name, "f4e2m1");
    if (packed) t->dl.dtype.bits = 8; // for put_int
    if (info->kind != HK_PARAM_OUT) fill(t, info, packed ? (int64_t)info->bytes : t->count);
    t->dl.dtype = info->dtype;
    return hk_tensor(info->name, &t->dl);
}

// ---- one Config

static void random_config(const hk_exec *exec, char *text, size_t size)
{
    hk_tunable knob = {.struct_size = sizeof knob};
    size_t used = 0;
    text[0] = 0;
    for (size_t k = 0; k < hk_exec_knob_count(exec); k++) {
        if (hk_exec_knob(exec, k, &knob) != HK_OK || !knob.choice_count || next() % 4 == 0)
            continue;
        int64_t value = knob.choices[next() % knob.choice_count];
        if (!strncmp(knob.name, "tile_", 5) && next() % 3 == 0) value = between(1, 20);
        int n = snprintf(text + used, size - used, "%s%s = %lld", used ? ", " : "", knob.name,
                         (long long)value);
        if (n < 0 || used + (size_t)n >= size) break;
        used += (size_t)n;
    }
}

static int complain(const char *word, const char *path, const char *config, hk_error *error)
{
    printf("%s %s [%s] %s\n", word, path, config ? config : "", hk_error_message(error));
    return *word == 'r' ? REFUSED : FAILED;
}

static bool is_about_source(hk_error *error)
{
    hk_diag diag = {.struct_size = sizeof diag};
    size_t k = 0;
    while (hk_error_diag(error, k++, &diag) == HK_OK)
        if (diag.severity == HK_ERROR) return diag.number && diag.number < 700;
    return false;
}

static int run_config(const hk_kernel *kernel, hk_specialize_options options, const char *path,
                      const char *config)
{
    hk_exec *exec = NULL;
    hk_error *error = NULL;
    options.config = config;
    hk_status status = hk_kernel_specialize(kernel, &options, &exec, &error);
    if (status != HK_OK)
        return complain(is_about_source(error) ? "refused" : "FAIL", path, config, error);
    Tensor tensors[PARAMS];
    hk_arg args[PARAMS];
    size_t count = hk_exec_param_count(exec);
    hk_exec_param_info info = {.struct_size = sizeof info};
    for (size_t k = 0; k < count && k < PARAMS; k++) {
        hk_exec_param(exec, k, &info);
        args[k] = info.kind == HK_PARAM_SCALAR ? hk_int(info.name, between(0, 5))
                                               : make_tensor(&tensors[k], &info);
    }
    hk_verify_options how = {.struct_size = sizeof how};
    hk_verify_result result = {.struct_size = sizeof result};
    status = hk_exec_verify(exec, args, count, &how, &result, &error);
    if (status != HK_OK) return complain("FAIL", path, config, error);
    hk_exec_free(exec);
    return OK;
}

static int run_kernel(const hk_kernel *kernel, hk_specialize_options options, const char *path)
{
    uint64_t inputs = state;
    if (fixed) return run_config(kernel, options, path, fixed);
    int result = run_config(kernel, options, path, NULL);
    hk_exec *exec = NULL;
    hk_error *error = NULL;
    if (result != OK || hk_kernel_specialize(kernel, &options, &exec, &error) != HK_OK)
        return result;
    uint64_t choice = inputs ^ 0x5555;
    for (int c = 0; c < configs && result == OK; c++) {
        char config[2000];
        state = choice + (uint64_t)c * 77;
        random_config(exec, config, sizeof config);
        state = inputs; // the same inputs, so that a failure is found again by its Config
        result = run_config(kernel, options, path, config);
    }
    return result;
}

// ---- files

static size_t read_dims(const char *path, hk_dim *dims, char *line, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t count = 0;
    if (!file || !fgets(line, (int)size, file) || strncmp(line, "// dims:", 8) != 0) line[0] = 0;
    if (file) fclose(file);
    for (char *word = strtok(line[0] ? line + 8 : line, " =,\n"); word && count < DIMS;
         word = strtok(NULL, " =,\n")) {
        char *value = strtok(NULL, " =,\n");
        if (!value) break;
        dims[count++] = (hk_dim){word, atoll(value)};
    }
    return count;
}

static int run_file(const char *path)
{
    char line[500];
    hk_dim dims[DIMS];
    size_t count = read_dims(path, dims, line, sizeof line);
    hk_context_options host = {.struct_size = sizeof host, .threads = 3};
    hk_context *context = NULL;
    hk_module *module = NULL;
    hk_error *error = NULL;
    if (hk_context_create(&host, &context, &error) != HK_OK) return BROKEN;
    if (hk_module_load_file(context, path, &module, &error) != HK_OK)
        return complain(is_about_source(error) ? "refused" : "FAIL", path, NULL, error);
    hk_specialize_options options = {
        .struct_size = sizeof options, .dims = dims, .dim_count = count, .target = target};
    int result = OK;
    for (size_t k = 0; k < hk_module_kernel_count(module) && result == OK; k++)
        result = run_kernel(hk_module_kernel(module, k), options, path);
    if (result == OK) printf("ok %s\n", path);
    return result;
}

static int run_apart(const char *path, uint64_t seed)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(SECONDS);
        state = seed;
        int result = run_file(path);
        fflush(stdout);
        _exit(result);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0) return BROKEN;
    if (WIFEXITED(status) && WEXITSTATUS(status) <= FAILED) return WEXITSTATUS(status);
    bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    printf("%s %s [] status %d\n", late ? "TIMEOUT" : "CRASH", path, status);
    return FAILED;
}

// Loads the code generator once, for all the processes to come.
static void warm_up(void)
{
    static const char text[] =
        "kernel k(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = x[n]; } }";
    hk_context_options host = {.struct_size = sizeof host, .threads = 1};
    hk_dim dim = {"N", 1};
    hk_specialize_options options = {.struct_size = sizeof options, .dims = &dim, .dim_count = 1};
    hk_context *context = NULL;
    hk_module *module = NULL;
    hk_exec *exec = NULL;
    if (hk_context_create(&host, &context, NULL) == HK_OK &&
        hk_module_load_text(context, "warm_up.hk", text, HK_TERMINATED, &module, NULL) == HK_OK)
        hk_kernel_specialize(hk_module_kernel(module, 0), &options, &exec, NULL);
    hk_exec_free(exec);
    hk_module_free(module);
    hk_context_free(context);
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    int failed = 0, at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (!strcmp(argv[at], "--configs")) configs = atoi(argv[at + 1]);
        if (!strcmp(argv[at], "--seed")) seed = (uint64_t)atoll(argv[at + 1]);
        if (!strcmp(argv[at], "--config")) fixed = argv[at + 1];
        if (!strcmp(argv[at], "--target") && !strcmp(argv[at + 1], "opencl"))
            target = HK_TARGET_OPENCL;
    }
    if (target == HK_TARGET_CPU) warm_up();
    for (; at < argc; at++) failed += run_apart(argv[at], seed) > REFUSED;
    return failed != 0;
}

// hako machine [--json]: what the system says of this machine, and what it measures: multiply-adds,
// memory at sizes that fit each cache and none, the cost of a launch. Virtual machines hide caches
// or claim absurd ones; a level whose measured speed is that of the next one is doubted in words.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { ROUNDS = 5, LAUNCHES = 2000 };

typedef struct Level {
    const char *name;
    double bytes; // that are moved in all
    Limits limits;
} Level;

static double fact(const json_t *about, const char *name)
{
    return json_number_value(json_object_get(about, name));
}

static void measure_level(Level *level, uint32_t threads)
{
    Bandwidth *bandwidth = bandwidth_open(threads, level->bytes);
    for (int k = 0; bandwidth && k < ROUNDS; k++) bandwidth_round(bandwidth);
    if (bandwidth) bandwidth_close(bandwidth, &level->limits);
}

// The seconds of a launch that does nothing to speak of: one element.
static double launch_seconds(hk_context *context)
{
    static const char text[] =
        "kernel one(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = x[n]; } }";
    hk_module *module = NULL;
    hk_exec *exec = NULL;
    float data[2] = {1, 0};
    int64_t shape[1] = {1};
    DLTensor x = {&data[0], {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, shape, NULL, 0}, y = x;
    y.data = &data[1];
    hk_arg args[] = {hk_tensor("x", &x), hk_tensor("y", &y)};
    hk_specialize_options options = {.struct_size = sizeof options, .args = args, .arg_count = 2};
    hk_status status = hk_module_load_text(context, "one.hk", text, HK_TERMINATED, &module, NULL);
    if (status == HK_OK)
        status = hk_kernel_specialize(hk_module_kernel(module, 0), &options, &exec, NULL);
    double best = 0;
    for (int round = 0; status == HK_OK && round < ROUNDS; round++) {
        double start = now_seconds();
        for (int k = 0; k < LAUNCHES && status == HK_OK; k++)
            status = hk_exec_run(exec, args, 2, NULL);
        double each = (now_seconds() - start) / LAUNCHES;
        if (round == 0 || each < best) best = each;
    }
    hk_exec_free(exec);
    hk_module_free(module);
    return best;
}

static json_t *level_row(const Level *l)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:f}", "name", l->name, "bytes", l->bytes, "copy_gbytes",
                     l->limits.copy * 1e-9, "stream_gbytes", l->limits.stream * 1e-9, "read_gbytes",
                     l->limits.read * 1e-9);
}

// What each source says of a level, beside what is used: the first that says something, held to
// what is plausible. Sources that do not agree are pointed out.
static void print_level(const json_t *about, int level)
{
    char key[16];
    snprintf(key, sizeof key, "l%d_bytes", level);
    double used = fact(about, key), first = 0;
    const json_t *sources = json_object_get(about, "sources");
    const char *from =
        json_string_value(json_array_get(json_object_get(about, "from"), (size_t)level - 1));
    bool differ = false;
    printf("L%d %12.0f KiB  %-8s", level, used / 1024, from);
    for (size_t k = 0; k < json_array_size(sources); k++) {
        double says = fact(json_array_get(sources, k), key);
        differ = differ || (says && first && says != first);
        first = first ? first : says;
        if (says)
            printf(" %10.0f", says / 1024);
        else
            printf(" %10s", "-");
    }
    printf("%s%s\n", first && first != used ? "  not plausible" : "",
           differ ? "  they differ" : "");
}

static void print_caches(const json_t *about)
{
    const json_t *sources = json_object_get(about, "sources");
    printf("caches       used  from, KiB by:");
    for (size_t k = 0; k < json_array_size(sources); k++)
        printf("%*s", k ? 11 : 7,
               json_string_value(json_object_get(json_array_get(sources, k), "name")));
    printf("\n");
    for (int level = 1; level <= 3; level++) print_level(about, level);
    printf("CPUs %11.0f      allowed  ", fact(about, "threads"));
    for (size_t k = 0; k < json_array_size(sources); k++) {
        double cpus = fact(json_array_get(sources, k), "cpus");
        if (cpus)
            printf("%10.0f ", cpus);
        else
            printf("%10s ", "-");
    }
    printf("\n");
}

static void print_text(const json_t *about, const Level *levels, size_t count)
{
    printf("%s: %.0f threads, vectors of %.0f bytes, %.0f vector registers\n",
           json_string_value(json_object_get(about, "cpu")), fact(about, "threads"),
           fact(about, "vector_bytes"), fact(about, "vector_registers"));
    print_caches(about);
    printf("multiply-adds: %.1f GFLOP/s with one thread, %.1f with all\n",
           fact(about, "gflops_one"), fact(about, "gflops_all"));
    printf("launch: %.0f ns\n%-18s %12s %12s %12s\n", fact(about, "launch_ns"),
           "memory, all threads", "copy GB/s", "stream GB/s", "read GB/s");
    for (size_t k = 0; k < count; k++) {
        const Limits *l = &levels[k].limits;
        bool doubtful = k + 1 < count && l->read < 1.15 * levels[k + 1].limits.read;
        printf("%-18s  %12.1f %12.1f %12.1f%s\n", levels[k].name, l->copy * 1e-9, l->stream * 1e-9,
               l->read * 1e-9, doubtful ? "  no faster than the next: is there such a cache?" : "");
    }
}

int command_machine(Options *options)
{
    hk_context *context;
    hk_error *error;
    hk_text *text = NULL;
    hk_context_options context_options = {.struct_size = sizeof context_options,
                                          .threads = options->threads};
    hk_status status = hk_context_create(&context_options, &context, &error);
    if (status == HK_OK) status = hk_context_describe(context, &text, &error);
    if (status != HK_OK) return report(options, status, error);
    json_t *about = json_loads(hk_text_data(text), 0, NULL), *rows = json_array();
    uint32_t threads = hk_context_threads(context);
    double l1 = fact(about, "l1_bytes"), l2 = fact(about, "l2_bytes"), l3 = fact(about, "l3_bytes");
    // A copy has two sides: together they should fill half of what each thread has at that level.
    Level levels[] = {{.name = "L1", .bytes = 0.5 * l1 * threads},
                      {.name = "L2", .bytes = 0.5 * l2 * threads},
                      {.name = "L3", .bytes = 0.25 * l3},
                      {.name = "memory", .bytes = 256e6}};
    size_t count = sizeof levels / sizeof *levels;
    for (size_t k = 0; k < count; k++) {
        measure_level(&levels[k], threads);
        json_array_append_new(rows, level_row(&levels[k]));
    }
    json_object_set_new(about, "gflops_one", json_real(flops_measure(1) * 1e-9));
    json_object_set_new(about, "gflops_all", json_real(flops_measure(threads) * 1e-9));
    json_object_set_new(about, "launch_ns", json_real(launch_seconds(context) * 1e9));
    json_object_set_new(about, "memory", rows);
    char *kept = rates_save(about);
    if (options->json) {
        json_dumpf(about, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else {
        print_text(about, levels, count);
        if (kept) printf("kept in %s, for the model of time\n", kept);
    }
    free(kept);
    json_decref(about);
    hk_text_free(text);
    hk_context_free(context);
    return 0;
}

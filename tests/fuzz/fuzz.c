// Mutates sources with a seeded generator, parses and checks them: nothing may crash, hang or be
// misplaced.
//
//     build-asan/fuzz SECONDS SEED FILE.hk ...
//
// Laws for each text: the parser returns; every span of a diagnostic and of the tree lies in the
// text; the tree's depth is sane; it prints; and the whole check of all kernels ends within seconds
// without an internal error. The last text stays in /tmp/hako_fuzz_last.hk.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "frontend/frontend.h"
#include "frontend/syntax.h"
#include "include/hako.h"

typedef struct Random {
    uint64_t state;
} Random;

static uint32_t next(Random *random)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return (uint32_t)(random->state >> 32);
}

static uint32_t below(Random *random, size_t most)
{
    return most ? (uint32_t)(next(random) % most) : 0;
}

static const char *const snippets[] = {
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    ";",
    ",",
    ":",
    "=",
    "==",
    "->",
    "=>",
    "..",
    "?",
    "@",
    "\"",
    "'",
    "/*",
    "*/",
    "//",
    "\n",
    " ",
    "0x",
    "1.",
    ".5",
    "1e999",
    "9223372036854775808",
    "kernel ",
    "fn ",
    "let ",
    "var ",
    "tile ",
    "for ",
    "axis ",
    "if ",
    "else ",
    "while ",
    "bound ",
    "fold ",
    "atomic ",
    "unordered ",
    "tune ",
    "shapes ",
    "config ",
    "test ",
    "import ",
    "in ",
    "by ",
    "reverse ",
    "where ",
    "packed ",
    "max= ",
    "cas (1, 2)",
    "serial for ",
    "return ",
    "require ",
    "x",
    "sum[k in K](",
    "y[n] = ",
    "\xff",
    "\xe2\x89\xa4",
    "((((((((((((",
    "- - - - - - ",
    "<<=",
    "|",
    "&&",
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The word or sign that begins at or behind `at`.
static Str word_at(Str text, size_t at)
{
    while (at < text.length && at > 0 && is_word(text.data[at]) && is_word(text.data[at - 1])) at++;
    while (at < text.length && (text.data[at] == ' ' || text.data[at] == '\n')) at++;
    size_t end = at;
    while (end < text.length && is_word(text.data[end])) end++;
    if (end == at && end < text.length) end++;
    return (Str){text.data + at, end - at};
}

// Words for words: what comes out often parses, so that the checker gets to see it.
static Str exchange(Random *random, Arena *arena, Str text)
{
    Buf out = {.arena = arena};
    size_t at = 0;
    for (uint32_t edits = 1 + below(random, 3); edits; edits--) {
        Str old = word_at(text, at + below(random, text.length - at));
        Str new = word_at(text, below(random, text.length));
        size_t offset = (size_t)(old.data - text.data);
        buf_add(&out, text.data + at, offset - at);
        bool same_sort = old.length && new.length &&is_word(old.data[0]) == is_word(new.data[0]);
        buf_str(&out, same_sort ? new : old);
        at = offset + old.length;
    }
    buf_add(&out, text.data + at, text.length - at);
    return buf_view(&out);
}

static Str mutate(Random *random, Arena *arena, Str text, Str other)
{
    if (below(random, 3)) return exchange(random, arena, text);
    Buf out = {.arena = arena};
    uint32_t edits = 1 + below(random, 6);
    size_t at = 0;
    for (uint32_t k = 0; k < edits && at < text.length; k++) {
        size_t keep = below(random, text.length - at);
        buf_add(&out, text.data + at, keep);
        at += keep;
        size_t piece = 1 + below(random, 12), from = below(random, other.length);
        if (piece > other.length - from) piece = other.length - from;
        switch (below(random, 5)) {
        case 0: at += piece < text.length - at ? piece : text.length - at; break;
        case 1: buf_add(&out, other.data + from, piece); break;
        case 2:
            buf_str(&out, str_of(snippets[below(random, sizeof snippets / sizeof *snippets)]));
            break;
        case 3: buf_char(&out, (char)next(random)); break;
        case 4: at = below(random, text.length); break;
        }
    }
    buf_add(&out, text.data + at, text.length - at);
    return buf_view(&out);
}

static void check_span(const SourceSet *sources, Span span)
{
    if (!span.line) return;
    bool good = span.source < sources->sources.count && span.column >= 1 &&
                span.end_line >= span.line &&
                (span.end_line > span.line || span.end_column >= span.column) &&
                span.column <= source_line(sources, span).length + 2;
    if (good) return;
    fprintf(stderr, "span %u:%u-%u:%u lies outside the text\n", span.line, span.column,
            span.end_line, span.end_column);
    abort();
}

static void check_tree(const SourceSet *sources, const Node *node)
{
    if (!node) return;
    if (node->depth > TREE_DEPTH_MAX) abort();
    check_span(sources, node->span);
    check_span(sources, node->text_span);
    for (uint32_t k = 0; k < node->kid_count; k++) check_tree(sources, node->kids[k]);
}

static void parse(Str text)
{
    Arena arena;
    arena_init(&arena, NULL);
    SourceSet sources = {.arena = &arena};
    DiagList diags = {.arena = &arena, .sources = &sources};
    Module *module = module_parse(&arena, &sources, STR("fuzz.hk"), text, NULL, NULL, &diags);
    if (!module && !diags.error_count) abort();
    for (uint32_t k = 0; k < diags.diags.count; k++) {
        check_span(&sources, diags.diags.data[k]->span);
        for (uint32_t n = 0; n < diags.diags.data[k]->notes.count; n++)
            check_span(&sources, diags.diags.data[k]->notes.data[n].span);
    }
    Buf out = {.arena = &arena};
    diag_render_text(&out, &diags, false);
    diag_render_json(&out, &diags);
    if (module) {
        check_tree(&sources, module->files.data[0]);
        ast_print(&out, module->files.data[0]);
        Tunable *tunables;
        ShapeRow *rows;
        Str name = module_kernel_count(module) ? module_kernel(module, 0)->text : STR("k");
        module_tunables(module, name, &arena, &tunables, &diags);
        module_shapes(module, name, &arena, &rows);
        module_config(module, name, STR("avx512"), NULL, NULL, 0, &diags);
    }
    arena_free(&arena);
}

static void check(hk_context *context, Str text)
{
    hk_error *error = NULL;
    hk_status status = hk_check(context, "fuzz.hk", text.data, text.length, 0, &error);
    if (status != HK_OK && status != HK_ERROR_DIAGNOSTICS) {
        fprintf(stderr, "status %d: %s\n", (int)status, hk_error_message(error));
        abort();
    }
    hk_error_free(error);
}

static Str read_file(Arena *arena, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(3);
    }
    Buf out = {.arena = arena};
    char bytes[4096];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, file)) > 0;) buf_add(&out, bytes, n);
    fclose(file);
    return buf_view(&out);
}

static void write_last(Str text)
{
    FILE *last = fopen("/tmp/hako_fuzz_last.hk", "wb");
    if (!last) return;
    fwrite(text.data, 1, text.length, last);
    fclose(last);
}

int main(int count, char **words)
{
    if (count < 4) {
        fprintf(stderr, "usage: %s SECONDS SEED FILE...\n", words[0]);
        return 2;
    }
    Arena arena;
    arena_init(&arena, NULL);
    size_t texts = (size_t)count - 3;
    Str *corpus = arena_array(&arena, Str, texts);
    for (size_t k = 0; k < texts; k++) corpus[k] = read_file(&arena, words[k + 3]);
    hk_context *context = NULL;
    if (hk_context_create(NULL, &context, NULL) != HK_OK) return 3;
    Random random = {strtoull(words[2], NULL, 0) * 2654435761u + 88172645463325252u};
    time_t end = time(NULL) + atoi(words[1]);
    unsigned long runs = 0;
    for (; time(NULL) < end; runs++) {
        Arena scratch;
        arena_init(&scratch, NULL);
        Str text =
            mutate(&random, &scratch, corpus[below(&random, texts)], corpus[below(&random, texts)]);
        write_last(text);
        alarm(20);
        parse(text);
        check(context, text);
        arena_free(&scratch);
    }
    printf("%lu texts\n", runs);
    hk_context_free(context);
    arena_free(&arena);
    return 0;
}

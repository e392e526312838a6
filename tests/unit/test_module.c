// Modules without lowering: spans, imports, shapes, configs, tunables, recovery, lack of memory.
#include "frontend/explain.h"
#include "frontend/frontend.h"

#include "tests/unit/suite.h"

#include <stdlib.h>

typedef struct Case {
    Arena arena;
    SourceSet sources;
    DiagList diags;
    Module *module;
} Case;

static Str no_file(void *self, Arena *arena, Str path)
{
    (void)arena;
    const char *const *files = self; // name, text, name, text ..., NULL
    for (; files && *files; files += 2)
        if (str_is(path, files[0])) return str_of(files[1]);
    return (Str){0};
}

static Case *parse(const char *text, const char *const *files)
{
    Case *c = calloc(1, sizeof *c);
    arena_init(&c->arena, NULL);
    c->sources.arena = c->diags.arena = &c->arena;
    c->diags.sources = &c->sources;
    c->module = module_parse(&c->arena, &c->sources, STR("dir/main.hk"), str_of(text), no_file,
                             (void *)(uintptr_t)files, &c->diags);
    return c;
}

static void done(Case *c)
{
    arena_free(&c->arena);
    free(c);
}

static Str spanned(const Case *c, Span span)
{
    Str line = source_line(&c->sources, span);
    return (Str){line.data + span.column - 1, span.end_column - span.column};
}

START_TEST(test_spans)
{
    Case *c = parse("let a = (1 + b) * f[n](x,  y)[2].begin ; // end\n", NULL);
    const Node *constant = ast_kid(c->module->files.data[0], 0), *product = ast_kid(constant, 0);
    ck_assert(str_is(spanned(c, constant->span), "let a = (1 + b) * f[n](x,  y)[2].begin ;"));
    ck_assert(str_is(spanned(c, constant->text_span), "a"));
    ck_assert(str_is(spanned(c, product->span), "(1 + b) * f[n](x,  y)[2].begin"));
    ck_assert(str_is(spanned(c, ast_kid(product, 0)->span), "(1 + b)"));
    const Node *member = ast_kid(product, 1), *subscript = ast_kid(member, 0);
    ck_assert(str_is(spanned(c, member->text_span), "begin"));
    ck_assert(str_is(spanned(c, subscript->span), "f[n](x,  y)[2]"));
    ck_assert(str_is(spanned(c, ast_kid(subscript, 1)->span), "[2]"));
    ck_assert(str_is(spanned(c, ast_kid(ast_kid(subscript, 0), 0)->span), "f[n]"));
    done(c);
}
END_TEST

START_TEST(test_imports)
{
    const char *const files[] = {"dir/a.hk",
                                 "import \"sub/b.hk\"; let a = 1;",
                                 "dir/sub/b.hk",
                                 "import \"../a2.hk\"; kernel k() {}",
                                 "dir/a2.hk",
                                 "import std;",
                                 NULL};
    Case *c = parse("import \"a.hk\"; import \"./sub/../sub/b.hk\"; kernel main() {}", files);
    ck_assert_uint_eq(c->diags.error_count, 0);
    ck_assert_uint_eq(c->module->files.count, 6); // main a b a2 std prelude
    ck_assert_uint_eq(module_kernel_count(c->module), 1);
    ck_assert_ptr_nonnull(module_find_kernel(c->module, STR("k")));
    ck_assert_ptr_null(module_find_kernel(c->module, STR("nothing")));
    done(c);
}
END_TEST

START_TEST(test_import_errors)
{
    const char *const files[] = {"dir/a.hk", "import \"main.hk\";", NULL};
    Case *c = parse("import \"a.hk\"; import \"nowhere.hk\"; import nothing;", files);
    ck_assert_uint_eq(c->diags.diags.count, 3);
    ck_assert_int_eq(c->diags.diags.data[0]->code, DIAG_IMPORT_CYCLE);
    ck_assert_int_eq(c->diags.diags.data[1]->code, DIAG_IMPORT_NOT_FOUND);
    ck_assert_int_eq(c->diags.diags.data[2]->code, DIAG_IMPORT_NOT_FOUND);
    done(c);
}
END_TEST

START_TEST(test_recovery)
{
    Case *c = parse("kernel a() {\n let x = 1\n let y = f(2;\n let z = ;\n let = 4;\n g(z) }\n"
                    "kernel b(x f32) { let q = ; }\nkernel d() {}\n",
                    NULL);
    ck_assert_uint_eq(c->diags.error_count, 7);
    ck_assert_uint_eq(module_kernel_count(c->module), 2); // a is whole, b has no head
    const Node *block = ast_kid(module_kernel(c->module, 0), 4);
    ck_assert_uint_eq(block->kid_count, 5);
    ck_assert_int_eq(ast_kid(ast_kid(block, 2), 1)->kind, NODE_ERROR);
    ck_assert_int_eq(ast_kid(block, 3)->kind, NODE_ERROR);
    done(c);
}
END_TEST

START_TEST(test_shapes)
{
    Case *c = parse("shapes a, b { test M = 3; M = 5, N = 7; }\nshapes b { M = 9; }\nkernel a() {}",
                    NULL);
    ShapeRow *rows;
    ck_assert_uint_eq(module_shapes(c->module, STR("a"), &c->arena, &rows), 2);
    ck_assert(rows[0].test && !rows[1].test);
    ck_assert_uint_eq(rows[1].row->kid_count, 2);
    ck_assert_uint_eq(module_shapes(c->module, STR("b"), &c->arena, &rows), 3);
    ck_assert_uint_eq(module_shapes(c->module, STR("c"), &c->arena, &rows), 0);
    done(c);
}
END_TEST

static int64_t knob(const Config *config, const char *name)
{
    int64_t value = -1;
    config_get(config, str_of(name), &value);
    return value;
}

START_TEST(test_config)
{
    Case *c = parse("let BIG = 4 * 64;\n"
                    "config k { tile_m = 8, tile_n = max(3, cdiv(10, 4)); }\n"
                    "config k on \"avx512\" { tile_m = 16; }\n"
                    "config k when M >= BIG && N % 2 == 0 { tile_m = M < 1000 ? 32 : 1 << 6; }\n"
                    "config other { tile_m = 1; }\n",
                    NULL);
    const Str names[] = {STR("M"), STR("N")};
    const int64_t small[] = {255, 2}, large[] = {256, 2}, huge[] = {1000, 2};
    Str target = STR("x86-64 avx512"), plain = STR("x86-64 avx2");
    Config *config = module_config(c->module, STR("k"), plain, names, small, 2, &c->diags);
    ck_assert_int_eq(knob(config, "tile_m"), 8);
    ck_assert_int_eq(knob(config, "tile_n"), 3);
    config = module_config(c->module, STR("k"), target, names, small, 2, &c->diags);
    ck_assert_int_eq(knob(config, "tile_m"), 16);
    config = module_config(c->module, STR("k"), target, names, large, 2, &c->diags);
    ck_assert_int_eq(knob(config, "tile_m"), 32);
    config = module_config(c->module, STR("k"), target, names, huge, 2, &c->diags);
    ck_assert_int_eq(knob(config, "tile_m"), 64);
    config = module_config(c->module, STR("k"), target, NULL, NULL, 0, &c->diags);
    ck_assert_int_eq(knob(config, "tile_m"), 16); // without dimensions the condition does not apply
    ck_assert_ptr_null(module_config(c->module, STR("x"), target, names, huge, 2, &c->diags));
    ck_assert_uint_eq(c->diags.error_count, 0);
    done(c);
}
END_TEST

START_TEST(test_config_errors)
{
    Case *c = parse("let a = b; let b = a;\nlet c0 = c1 + c1; let c1 = c0;\n"
                    "config k when Q > 1 { x = 1; }\n"
                    "config k { x = 1 / 0, y = 0x7FFFFFFFFFFFFFFF + 1, z = 1.5, w = a, v = f(1), u "
                    "= c0; t = 2; }\n",
                    NULL);
    const Str names[] = {STR("M")};
    const int64_t dims[] = {1};
    Config *config = module_config(c->module, STR("k"), STR(""), names, dims, 1, &c->diags);
    ck_assert_int_eq(knob(config, "t"), 2);
    ck_assert_uint_eq(config->knobs.count, 1);
    ck_assert_uint_ge(c->diags.error_count, 7);
    done(c);
}
END_TEST

START_TEST(test_tunables)
{
    Case *c = parse(
        "tune A in pow2(3, 64) = 8;\ntune B in {5, 1, 3};\ntune C in 0 .. 10 by 4;\n"
        "kernel k() { tile m in 4 { tune D in 1 .. 3 = 2; } }\nkernel l() { tune E in {1}; }\n"
        "tune F in {1, 2} = 3;\ntune G in 3;\ntune H in 5 .. 5;\n",
        NULL);
    Tunable *t;
    uint32_t count = module_tunables(c->module, STR("k"), &c->arena, &t, &c->diags);
    ck_assert_uint_eq(count, 4);
    ck_assert_uint_eq(t[0].choice_count, 5); // 4 8 16 32 64
    ck_assert_int_eq(t[0].choices[0], 4);
    ck_assert_int_eq(t[0].initial, 8);
    ck_assert_int_eq(t[1].initial, 5);
    ck_assert_uint_eq(t[2].choice_count, 3); // 0 4 8
    ck_assert(str_is(t[3].name, "D"));
    ck_assert_uint_eq(c->diags.error_count, 3);
    done(c);
}
END_TEST

START_TEST(test_explanations)
{
    uint32_t last = 0, count = 0;
    for (uint32_t number; (number = explain_number(count)) != 0; count++) {
        ck_assert_uint_gt(number, last);
        ck_assert_ptr_nonnull(explain_text(number));
        last = number;
    }
    ck_assert_uint_gt(count, 20);
    ck_assert_ptr_null(explain_text(1));
}
END_TEST

typedef struct Stingy {
    long left;
} Stingy;

static void *stingy_resize(void *self, void *p, size_t old_bytes, size_t new_bytes)
{
    (void)old_bytes;
    Stingy *stingy = self;
    if (new_bytes == 0) {
        free(p);
        return NULL;
    }
    return stingy->left-- > 0 ? realloc(p, new_bytes) : NULL;
}

static void parse_with(long allocations)
{
    Stingy stingy = {allocations};
    Arena arena;
    arena_init(&arena, &(Allocator){stingy_resize, &stingy});
    jmp_buf failed;
    arena.out_of_memory = &failed;
    if (!setjmp(failed)) {
        SourceSet sources = {.arena = &arena};
        DiagList diags = {.arena = &arena, .sources = &sources};
        module_parse(&arena, &sources, STR("x.hk"), STR("kernel k() { let x = ((((1)))); }"), NULL,
                     NULL, &diags);
    }
    ck_assert_ptr_eq(arena.out_of_memory, &failed);
    arena_free(&arena);
}

START_TEST(test_lack_of_memory)
{
    for (long allocations = 0; allocations < 5; allocations++) parse_with(allocations);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("all");
    tcase_add_test(all, test_spans);
    tcase_add_test(all, test_imports);
    tcase_add_test(all, test_import_errors);
    tcase_add_test(all, test_recovery);
    tcase_add_test(all, test_shapes);
    tcase_add_test(all, test_config);
    tcase_add_test(all, test_config_errors);
    tcase_add_test(all, test_tunables);
    tcase_add_test(all, test_explanations);
    tcase_add_test(all, test_lack_of_memory);
    return run_cases("module", all);
}

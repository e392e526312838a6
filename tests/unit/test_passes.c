// Single passes on small functions: the text before and what must be there after.
#include "passes/pass.h"
#include "tests/unit/ir_texts.h"
#include "tests/unit/suite.h"

static Arena arena;
static DiagList diags;
static PassContext context;

static void setup(void)
{
    arena_init(&arena, NULL);
    diags = (DiagList){.arena = &arena};
    context = (PassContext){.arena = &arena, .diags = &diags};
}

static void teardown(void)
{
    arena_free(&arena);
}

static Func *parse(const char *text)
{
    Func *f = func_parse(&arena, str_of(text), &diags, 0);
    ck_assert_msg(f != NULL, "%s",
                  diags.diags.count ? diags.diags.data[0]->message.data : "no message");
    return f;
}

static const char *print(const Func *f)
{
    Buf out = {.arena = &arena};
    func_print(&out, f);
    return buf_view(&out).data;
}

static void check_valid(const Func *f)
{
    bool valid = func_verify(f, &diags);
    ck_assert_msg(valid, "%s", diags.diags.count ? diags.diags.data[0]->message.data : "");
}

static void expect(Func *f, const char *after)
{
    check_valid(f);
    ck_assert_str_eq(print(f), after);
}

#define MEMS    "mem x: f32[1] in\nmem y: f32[1] out\ndim N = x[0]\n"
#define TENSORS "  %0 = dim N : i64\n  tensor x (%0)\n  tensor y (%0)\n"

START_TEST(simplify_folds_what_became_constant)
{
    Func *f = parse("hako tile @f \"\"\n{\n  %0 = const 2 : i64\n  %1 = const 3 : i64\n  %2 = add "
                    "(%0, %1) : i64\n"
                    "  %3 = mul (%1, %2) : i64\n  %4 = const 15 : i64\n  %5 = eq (%3, %4) : bool\n"
                    "  phase serial {\n    %6 = if (%5) : i64 {\n      %7 = add (%3, %0) : i64\n   "
                    "   yield (%7)\n"
                    "    } else {\n      yield (%0)\n    }\n    %8 = add (%6, %0) : i64\n  }\n}\n");
    ck_assert(pass_simplify(f, &context));
    pass_dce(f, &context);
    expect(f, "hako tile @f \"\"\n{\n  phase serial {\n  }\n}\n");
}
END_TEST

START_TEST(simplify_drops_masks_and_promises)
{
    static const char before[] =
        "hako tile @f \"\"\n" MEMS "axis n: grid\nsite 0 require \"why\"\n{\n" TENSORS
        "  %1 = const 0 : i64\n  %2 = const 1 : bool\n  %3 = const 0 : bool\n  require #0 (%2)\n  "
        "phase grid {\n"
        "    grid n (%1, %0) {\n      %4 = index n : i64{n}\n      %5 = tload x (%4, mask %2) : "
        "f32{n}\n"
        "      tstore y (%5, %4, mask %2)\n      tstore y (%5, %4, mask %3)\n    }\n  }\n}\n";
    Func *f = parse(before);
    ck_assert(pass_simplify(f, &context));
    pass_dce(f, &context);
    expect(
        f,
        "hako tile @f \"\"\n" MEMS "axis n: grid\nsite 0 require \"why\"\n{\n" TENSORS
        "  %1 = const 0 : i64\n  phase grid {\n    grid n (%1, %0) {\n      %2 = index n : i64{n}\n"
        "      %3 = tload x (%2) : f32{n}\n      tstore y (%3, %2)\n    }\n  }\n}\n");
    ck_assert(!pass_simplify(f, &context));
}
END_TEST

START_TEST(simplify_opens_loops_of_one_turn)
{
    Func *f = parse(
        "hako loop @f \"\"\n" MEMS "{\n" TENSORS "  %1 = const 0 : i64\n  %2 = const 4 : i64\n  %3 "
        "= const 7 : i64\n  phase grid (%0) { (%4 : i64)\n"
        "    %5, %6 = for serial (%1, %2, %2, %4, %3) : i64, i64 { (%7 : i64, %8 : i64, %9 : i64)\n"
        "      %10 = add (%8, %7) : i64\n      yield (%9, %10)\n    }\n"
        "    %11 = load x (%6) : f32\n    store y (%11, %5)\n"
        "    %12 = for serial (%2, %1, %2, %4) : i64 { (%13 : i64, %14 : i64)\n      yield (%13)\n "
        "   }\n"
        "    store y (%11, %12)\n  }\n}\n");
    ck_assert(pass_simplify(f, &context));
    pass_dce(f, &context);
    expect(f, "hako loop @f \"\"\n" MEMS "{\n" TENSORS
              "  %1 = const 7 : i64\n  phase grid (%0) { (%2 : i64)\n    %3 = load x (%2) : f32\n"
              "    store y (%3, %1)\n    store y (%3, %2)\n  }\n}\n");
}
END_TEST

START_TEST(cse_shares_what_dominates)
{
    Func *f = parse("hako loop @f \"\"\n" MEMS "{\n" TENSORS
                    "  %1 = const 1 : i64\n  %2 = const 1 : i64\n  %3 = const 1 : bool\n  phase "
                    "grid (%0) { (%4 : i64)\n"
                    "    %5 = add (%4, %1) : i64\n    if (%3) {\n      %6 = add (%2, %4) : i64\n"
                    "      %7 = mul (%4, %4) : i64\n      %8 = load x (%6) : f32\n      store y "
                    "(%8, %7)\n    } else {\n"
                    "      %9 = mul (%4, %4) : i64\n      %10 = load x (%9) : f32\n      store y "
                    "(%10, %5)\n    }\n  }\n}\n");
    ck_assert(pass_cse(f, &context));
    expect(f, "hako loop @f \"\"\n" MEMS "{\n" TENSORS
              "  %1 = const 1 : i64\n  %2 = const 1 : bool\n  phase grid (%0) { (%3 : i64)\n"
              "    %4 = add (%3, %1) : i64\n    if (%2) {\n      %5 = mul (%3, %3) : i64\n"
              "      %6 = load x (%4) : f32\n      store y (%6, %5)\n    } else {\n"
              "      %7 = mul (%3, %3) : i64\n      %8 = load x (%7) : f32\n      store y (%8, "
              "%4)\n    }\n  }\n}\n");
}
END_TEST

START_TEST(dce_keeps_effects_only)
{
    Func *f = parse("hako loop @f \"\"\n" MEMS "arg a: f32\n{\n" TENSORS
                    "  %1 = arg a : f32\n  %2 = const 0 : i64\n  %3 = const 9 : i64\n  phase grid "
                    "(%0) { (%4 : i64)\n"
                    "    %5 = for serial (%2, %0, %3, %2) : i64 { (%6 : i64, %7 : i64)\n      %8 = "
                    "load x (%6) : f32\n"
                    "      yield (%6)\n    }\n    for serial (%2, %0, %3) { (%9 : i64)\n      %10 "
                    "= add (%9, %9) : i64\n"
                    "      %11 = load x (%9) : f32\n      store y (%11, %9)\n    }\n  }\n}\n");
    ck_assert(pass_dce(f, &context));
    expect(f, "hako loop @f \"\"\n" MEMS "arg a: f32\n{\n" TENSORS
              "  %1 = arg a : f32\n  %2 = const 0 : i64\n  %3 = const 9 : i64\n  phase grid (%0) { "
              "(%4 : i64)\n"
              "    for serial (%2, %0, %3) { (%5 : i64)\n      %6 = load x (%5) : f32\n      store "
              "y (%6, %5)\n"
              "    }\n  }\n}\n");
    ck_assert(!pass_dce(f, &context));
}
END_TEST

static Func *product_of(const char *depth)
{
    Buf text = {.arena = &arena};
    buf_printf(&text,
               "hako tile @f \"\"\nmem a: f32[2] in\nmem b: f32[2] in\nmem c: f32[2] out\n"
               "axis m: grid\naxis n: grid\naxis k: whole\n{\n"
               "  %%0 = const 5 : i64\n  %%1 = const %s : i64\n  %%2 = const 0 : i64\n"
               "  tensor a (%%0, %%1)\n  tensor b (%%1, %%0)\n  tensor c (%%0, %%0)\n"
               "  phase grid {\n    grid m (%%2, %%0) {\n      grid n (%%2, %%0) {\n"
               "        axis k (%%2, %%1)\n        %%3 = index m : i64{m}\n"
               "        %%4 = index n : i64{n}\n        %%5 = index k : i64{k}\n"
               "        %%6 = tload a (%%3, %%5) : f32{m,k}\n"
               "        %%7 = tload b (%%5, %%4) : f32{n,k}\n"
               "        %%8 = mul (%%6, %%7) : f32{m,n,k}\n"
               "        %%9 = reduce.sum[k] (%%8) : f32{m,n}\n        %%10 = neg (%%9) : f32{m,n}\n"
               "        tstore c (%%10, %%3, %%4)\n      }\n    }\n  }\n}\n",
               depth);
    return parse(buf_view(&text).data);
}

START_TEST(split_makes_parts_that_a_phase_of_its_own_adds_up)
{
    Config *config = config_new(&arena);
    config_set(config, STR("split_k"), 3);
    context.config = config;
    Func *f = product_of("300");
    ck_assert(pass_split(f, &context));
    check_valid(f);
    const char *after = print(f);
    // 300 in three parts, each a multiple of 64, of the names that knobs are for.
    ck_assert_ptr_nonnull(strstr(after, "mem parts: f32[3] workspace\n"));
    ck_assert_ptr_nonnull(strstr(after, "axis k: grid by\n"));
    ck_assert_ptr_nonnull(strstr(after, "= const 128 : i64\n"));
    const char *first = strstr(after, "tstore parts "), *second = strstr(after, "tload parts ");
    ck_assert(first && second && first < second);
    ck_assert_ptr_nonnull(strstr(second, "reduce.sum[part] "));
    ck_assert_ptr_nonnull(strstr(second, "= neg ("));
    // Nothing to share: one part holds all.
    ck_assert(!pass_split(product_of("50"), &context));
}
END_TEST

START_TEST(licm_climbs_out_of_several_loops)
{
    Func *f = parse(
        "hako loop @f \"\"\n" MEMS "{\n" TENSORS
        "  %1 = const 0 : i64\n  %2 = const 1 : i64\n  phase grid (%0) { (%3 : i64)\n"
        "    for serial (%1, %0, %2) { (%4 : i64)\n      for serial (%1, %0, %2) { (%5 : i64)\n"
        "        %6 = mul (%3, %0) : i64\n        %7 = add (%6, %4) : i64\n        %8 = add (%7, "
        "%5) : i64\n"
        "        %9 = load x (%6) : f32\n        store y (%9, %8)\n      }\n    }\n  }\n}\n");
    ck_assert(pass_licm(f, &context));
    expect(f, "hako loop @f \"\"\n" MEMS "{\n" TENSORS
              "  %1 = const 0 : i64\n  %2 = const 1 : i64\n  phase grid (%0) { (%3 : i64)\n"
              "    %4 = mul (%3, %0) : i64\n    for serial (%1, %0, %2) { (%5 : i64)\n"
              "      %6 = add (%4, %5) : i64\n      for serial (%1, %0, %2) { (%7 : i64)\n"
              "        %8 = add (%6, %7) : i64\n        %9 = load x (%4) : f32\n        store y "
              "(%9, %8)\n"
              "      }\n    }\n  }\n}\n");
}
END_TEST

// Indices 16 u + 32 j + (0, 16, 8): the last is not aligned.
#define STORES(flag)                                                                               \
    "hako loop @f \"\"\n" MEMS "{\n" TENSORS                                                       \
    "  %1 = const 0 : i64\n  %2 = const 32 : i64\n  %3 = const 16 : i64\n"                         \
    "  %4 = const 8 : i64\n  phase grid (%0) { (%5 : i64)\n    %6 = mul (%5, %3) : i64\n"          \
    "    for serial (%1, %0, %2) { (%7 : i64)\n      %8 = add (%6, %7) : i64\n"                    \
    "      %9 = load x (%8) : f32x16\n      store" flag " y (%9, %8)\n"                            \
    "      %10 = add (%8, %3) : i64\n      store" flag " y (%9, %10)\n"                            \
    "      %11 = add (%8, %4) : i64\n      store y (%9, %11)\n    }\n  }\n}\n"

#define EDGES(index, read)                                                                         \
    "hako loop @f \"\"\n" MEMS "{\n" TENSORS "  %1 = const 0 : i64\n  %2 = const 16 : i64\n"       \
    "  phase grid (%2) { (%3 : i64)\n    %4 = iota : i64x16\n    %5 = splat (%3) : i64x16\n"       \
    "    %6 = add (%5, %4) : i64x16\n" index "    %7 = " read " : f32x16\n"                        \
    "    store y (%7, %3)\n  }\n}\n"

START_TEST(consecutive_loads_where_no_edge_is)
{
    Func *f = parse(
        EDGES("    %8 = splat (%0) : i64x16\n    %9 = min (%6, %8) : i64x16\n", "gather x (%9)"));
    ck_assert(pass_consecutive(f, &context));
    check_valid(f);
    const char *text = print(f);
    ck_assert_ptr_nonnull(strstr(text, "load x"));
    ck_assert_ptr_nonnull(strstr(text, "gather x"));
    // What grows by two, and what falls after it was wrapped, is left.
    f = parse(EDGES("    %8 = add (%6, %4) : i64x16\n", "gather x (%8)"));
    ck_assert(!pass_consecutive(f, &context));
    f = parse(EDGES("    %8 = splat (%0) : i64x16\n    %9 = rem (%6, %8) : i64x16\n"
                    "    %10 = max (%9, %5) : i64x16\n",
                    "gather x (%10)"));
    ck_assert(!pass_consecutive(f, &context));
}
END_TEST

START_TEST(stream_marks_aligned_vectors_of_named_outputs)
{
    Config *config = config_new(&arena);
    PassContext with = context;
    with.config = config;
    Func *f = parse(STORES(""));
    ck_assert(!pass_stream(f, &with));
    config_set(config, STR("stream_y"), 1);
    ck_assert(pass_stream(f, &with));
    expect(f, STORES(" !stream"));
}
END_TEST

// Stores of 16 bytes, so many elements apart, and of a scalar.
static const char *parts(int apart, const char *flag)
{
    Buf text = {.arena = &arena};
    buf_printf(&text, "hako loop @f \"\"\nmem x: i8[1] in\nmem y: i8[1] out\n{\n"
                      "  %%0 = const 65536 : i64\n  tensor x (%%0)\n  tensor y (%%0)\n"
                      "  phase grid (%%0) { (%%1 : i64)\n    %%2 = mul (%%1, %%0) : i64\n"
                      "    %%3 = load x (%%2) : i8x16\n");
    for (int k = 0; k < 8; k++)
        buf_printf(&text,
                   "    %%%d = const %d : i64\n    %%%d = add (%%2, %%%d) : i64\n"
                   "    store%s y (%%3, %%%d)\n",
                   2 * k + 4, k * apart, 2 * k + 5, 2 * k + 4, flag, 2 * k + 5);
    buf_printf(&text, "    %%20 = load x (%%2) : i8\n    store y (%%20, %%2)\n  }\n}\n");
    return buf_view(&text).data;
}

START_TEST(stream_marks_what_fills_lines)
{
    Config *config = config_new(&arena);
    PassContext with = context;
    with.config = config;
    config_set(config, STR("stream_y"), 1);
    ck_assert(!pass_stream(parse(parts(1024, "")), &with)); // of eight lines at once
    Func *f = parse(parts(16, ""));
    ck_assert(pass_stream(f, &with));
    expect(f, parts(16, " !stream"));
}
END_TEST

// Four-bit elements: %8 is even, %11 is not known to be, scalars do not matter.
#define HALVES(align)                                                                              \
    "hako loop @f \"\"\nmem x: i4[1] in\nmem y: i4[1] out\nmem n: i64[1] in\n{\n"                  \
    "  %0 = const 64 : i64\n  tensor x (%0)\n  tensor y (%0)\n  tensor n (%0)\n"                   \
    "  %1 = const 0 : i64\n  %2 = const 32 : i64\n"                                                \
    "  phase grid (%0) { (%3 : i64)\n    %4 = load n (%3) : i64\n    %5 = mul (%3, %4) : i64\n"    \
    "    %6 = mul (%5, %2) : i64\n"                                                                \
    "    for serial (%1, %0, %2) { (%7 : i64)\n      %8 = add (%6, %7) : i64\n"                    \
    "      %9 = load x" align " (%8) : i4x16\n      store y" align " (%9, %8)\n"                   \
    "      %10 = add (%8, %4) : i64\n      %11 = load x (%10) : i4x16\n"                           \
    "      store y (%11, %10)\n    }\n  }\n}\n"

START_TEST(align_finds_vectors_that_begin_with_a_byte)
{
    Func *f = parse(HALVES(""));
    ck_assert(pass_align(f, &context));
    expect(f, HALVES(" align 1"));
    ck_assert(!pass_align(f, &context));
}
END_TEST

// Every other element from 32 u, and those between; and again with a write of the first pair's
// elements, or of others, before the second is read.
#define PAIRS(between)                                                                             \
    "hako loop @f \"\"\n" MEMS "{\n" TENSORS                                                       \
    "  %1 = const 32 : i64\n  %2 = const 1 : i64\n  phase grid (%0) { (%3 : i64)\n"                \
    "    %4 = mul (%3, %1) : i64\n    %5 = iota : i64x16\n    %6 = const 2 : i64x16\n"             \
    "    %7 = mul (%5, %6) : i64x16\n    %8 = splat (%4) : i64x16\n"                               \
    "    %9 = add (%7, %8) : i64x16\n    %10 = gather y (%9) : f32x16\n"                           \
    "    %11 = add (%4, %2) : i64\n    %12 = splat (%11) : i64x16\n"                               \
    "    %13 = add (%7, %12) : i64x16\n    %14 = add (%4, %1) : i64\n" between                     \
    "    %15 = gather y (%13) : f32x16\n    scatter y (%15, %9)\n"                                 \
    "    scatter y (%10, %13)\n  }\n}\n"

START_TEST(pairs_read_and_write_whole_vectors)
{
    Func *f = parse(PAIRS(""));
    ck_assert(pass_pairs(f, &context));
    check_valid(f);
    const char *text = print(f);
    ck_assert_ptr_null(strstr(text, "gather"));
    ck_assert_ptr_null(strstr(text, "scatter"));
    ck_assert_ptr_nonnull(strstr(text, "unzip 1"));
    ck_assert_ptr_nonnull(strstr(text, "zip 1"));
    f = parse(PAIRS("    store y (%10, %14)\n"));
    ck_assert(pass_pairs(f, &context));
    ck_assert_ptr_null(strstr(print(f), "gather"));
    f = parse(PAIRS("    store y (%10, %4)\n"));
    ck_assert(pass_pairs(f, &context)); // the writes at the end
    ck_assert_ptr_nonnull(strstr(print(f), "gather"));
}
END_TEST

// Windows of three at u, of which lanes and turns of the inner loop are masked at both edges; with
// another base, a loaded number, or a mask that no load has, nothing can be told or gained.
#define WINDOW(base, loaded)                                                                       \
    "hako loop @f \"\"\n" MEMS "mem n: i64[1] in\n{\n" TENSORS                                     \
    "  tensor n (%0)\n  %1 = const 0 : i64\n  %2 = const 3 : i64\n  %3 = const 16 : i64\n"         \
    "  %4 = const 1 : i64\n  phase grid (%3) { (%9 : i64)\n"                                       \
    "    %5 = iota : i64x16\n    %6 = const 100 : i64x16\n    %7 = const 0 : i64x16\n"             \
    "    %8 = const 0x0 : f32x16\n    %10 = mul (%9, %3) : i64\n    %11 = load n (%9) : i64\n"     \
    "    %12 = splat (" base ") : i64x16\n    %13 = add (%12, %5) : i64x16\n"                      \
    "    %14 = for serial (%1, %2, %4, %8) : f32x16 { (%15 : i64, %16 : f32x16)\n"                 \
    "      %17 = splat (%15) : i64x16\n      %18 = add (%13, %17) : i64x16\n"                      \
    "      %19 = le (%7, %18) : boolx16\n      %20 = lt (%18, %6) : boolx16\n"                     \
    "      %21 = and (%19, %20) : boolx16\n      %22 = add (%10, %15) : i64\n"                     \
    "      %23 = load x (%22" loaded ") : f32x16\n"                                                \
    "      %24 = select (%21, %23, %8) : f32x16\n      %25 = add (%16, %24) : f32x16\n"            \
    "      yield (%25)\n    }\n    store y (%14, %10)\n  }\n}\n"

START_TEST(inside_copies_windows_without_masks)
{
    Func *f = parse(WINDOW("%10", ", mask %21"));
    ck_assert(pass_inside(f, &context));
    check_valid(f);
    const char *text = print(f), *other = strstr(text, "else");
    ck_assert_ptr_nonnull(strstr(text, "const -83 : i64")); // 15 lanes and 2 turns on, below 100
    ck_assert_ptr_nonnull(other);
    ck_assert_ptr_nonnull(strstr(other, "mask"));
    const char *masked = strstr(text, "mask");
    ck_assert(masked > other);
    ck_assert(!pass_inside(parse(WINDOW("%11", ", mask %21")), &context));
    ck_assert(!pass_inside(parse(WINDOW("%10", "")), &context));
}
END_TEST

// Places in a tensor, which cannot wrap, compare as what is added to them; loaded numbers may wrap.
#define COMPARED(base)                                                                             \
    "hako loop @f \"\"\n" MEMS "mem n: i64[1] in\n{\n" TENSORS                                     \
    "  tensor n (%0)\n  %1 = const 16 : i64\n  phase grid (%0) { (%2 : i64)\n"                     \
    "    %3 = mul (%2, %1) : i64\n    %4 = load n (%3) : i64\n    %5 = iota : i64x16\n"            \
    "    %6 = splat (" base ") : i64x16\n    %7 = add (%6, %5) : i64x16\n"                         \
    "    %8 = const 3 : i64x16\n    %9 = add (%7, %8) : i64x16\n"                                  \
    "    %10 = lt (%7, %9) : boolx16\n    %11 = const 0x0 : f32x16\n"                              \
    "    %12 = load x (%3) : f32x16\n    %13 = select (%10, %12, %11) : f32x16\n"                  \
    "    store y (%13, %3)\n  }\n}\n"

START_TEST(simplify_compares_sums_of_one_place)
{
    Func *f = parse(COMPARED("%3"));
    ck_assert(pass_simplify(f, &context));
    check_valid(f);
    ck_assert_ptr_null(strstr(print(f), "select"));
    f = parse(COMPARED("%4"));
    ck_assert(!pass_simplify(f, &context));
}
END_TEST

// Indices begin at 16 u: masks of up to four bits see the lanes alone, one of five does not.
#define LOW_BITS(mask, masked)                                                                     \
    "hako loop @f \"\"\n" MEMS "{\n" TENSORS                                                       \
    "  %1 = const 16 : i64\n  phase grid (%0) { (%2 : i64)\n    %3 = mul (%2, %1) : i64\n"         \
    "    %4 = splat (%3) : i64x16\n    %5 = iota : i64x16\n    %6 = add (%4, %5) : i64x16\n"       \
    "    %7 = const " mask " : i64x16\n    %8 = and (" masked ", %7) : i64x16\n"                   \
    "    %9 = gather x (%8) : f32x16\n    store y (%9, %3)\n  }\n}\n"

START_TEST(align_takes_low_bits_of_indices_from_lanes)
{
    Func *f = parse(LOW_BITS("11", "%6"));
    ck_assert(pass_align(f, &context));
    expect(f, LOW_BITS("11", "%5"));
    f = parse(LOW_BITS("16", "%6"));
    ck_assert(!pass_align(f, &context));
}
END_TEST

// A sum over columns, each row far away; and two passes over rows, the first of which asks for the
// next row, being the one with more arithmetic.
START_TEST(prefetch_sees_far_strides_and_next_rows)
{
    const char *far = "hako loop @f \"\"\nmem x: f32[1] in\nmem y: f32[1] out\n{\n"
                      "  %0 = const 4194304 : i64\n  tensor x (%0)\n  tensor y (%0)\n"
                      "  %1 = const 0 : i64\n  %2 = const 1 : i64\n  %3 = const 4096 : i64\n"
                      "  phase grid (%2) { (%4 : i64)\n    for serial (%1, %3, %2) { (%5 : i64)\n"
                      "      %6 = mul (%5, %3) : i64\n      %7 = load x (%6) : f32x16\n"
                      "      store y (%7, %6)\n    }\n  }\n}\n";
    Machine machine = {.vector_bytes = 64, .l2_bytes = 1 << 20};
    PassContext with = context;
    with.machine = &machine;
    Func *f = parse(far);
    ck_assert(pass_prefetch(f, &with));
    check_valid(f);
    ck_assert(strstr(print(f), "const 65536 : i64")); // 16 rows ahead
    ck_assert(strstr(print(f), "prefetch x"));
    machine.l2_bytes = (int64_t)1 << 30; // all of it stays there
    ck_assert(!pass_prefetch(parse(far), &with));
    machine.l2_bytes = 1 << 20;
    Config *config = config_new(&arena);
    config_set(config, STR("prefetch_x"), 0);
    with.config = config;
    ck_assert(!pass_prefetch(parse(far), &with));
    with.config = NULL;
    f = parse("hako loop @f \"\"\nmem x: f32[1] in\nmem y: f32[1] out\n{\n"
              "  %0 = const 4194304 : i64\n  tensor x (%0)\n  tensor y (%0)\n"
              "  %1 = const 0 : i64\n  %2 = const 1 : i64\n  %3 = const 4096 : i64\n"
              "  %4 = const 16 : i64\n  phase grid (%2) { (%5 : i64)\n"
              "    for serial (%1, %3, %2) { (%6 : i64)\n      %7 = mul (%6, %3) : i64\n"
              "      for serial (%1, %3, %4) { (%8 : i64)\n        %9 = add (%7, %8) : i64\n"
              "        %10 = load x (%9) : f32x16\n        %11 = exp (%10) : f32x16\n"
              "        store y (%11, %8)\n      }\n"
              "      for serial (%1, %3, %4) { (%12 : i64)\n        %13 = add (%7, %12) : i64\n"
              "        %14 = load x (%13) : f32x16\n        store y (%14, %13)\n      }\n"
              "    }\n  }\n}\n");
    ck_assert(pass_prefetch(f, &with));
    check_valid(f);
    const char *text = print(f), *first = strstr(text, "prefetch x");
    ck_assert(first && !strstr(first + 1, "prefetch x"));
    ck_assert(first < strstr(text, "exp"));
}
END_TEST

// One pass over consecutive lines, and what it computes of each.
#define CONSECUTIVE(compute)                                                                       \
    "hako loop @f \"\"\nmem x: f32[1] in\nmem y: f32[1] out\n{\n"                                  \
    "  %0 = const 4194304 : i64\n  tensor x (%0)\n  tensor y (%0)\n"                               \
    "  %1 = const 0 : i64\n  %2 = const 1 : i64\n  %3 = const 16 : i64\n"                          \
    "  phase grid (%2) { (%4 : i64)\n    for serial (%1, %0, %3) { (%5 : i64)\n"                   \
    "      %6 = load x (%5) : f32x16\n      %7 = " compute " : f32x16\n"                           \
    "      store y (%7, %5)\n    }\n  }\n}\n"

START_TEST(prefetch_looks_ahead_where_there_is_much_to_compute)
{
    Machine machine = {.vector_bytes = 64, .l2_bytes = 1 << 20};
    PassContext with = context;
    with.machine = &machine;
    Func *f = parse(CONSECUTIVE("exp (%6)"));
    ck_assert(pass_prefetch(f, &with));
    check_valid(f);
    ck_assert(strstr(print(f), "const 1024 : i64")); // 4096 bytes ahead
    ck_assert(strstr(print(f), "prefetch x"));
    ck_assert(!strstr(print(f), "prefetch y"));
    ck_assert(!pass_prefetch(parse(CONSECUTIVE("neg (%6)")), &with));
}
END_TEST

START_TEST(specialise_fills_in_sizes)
{
    Func *f = parse(
        "hako loop @f \"\"\n" MEMS
        "{\n  %0 = dim N : i64\n  %1 = const 2 : i64\n  %2 = mul (%0, %1) : i64\n"
        "  tensor x (%0)\n  tensor y (%2)\n  %3 = extent y[0] : i64\n  phase grid (%3) { (%4 : "
        "i64)\n"
        "    %5 = stride x[0] : i64\n    %6 = mul (%4, %5) : i64\n    %7 = load x (%6) : f32\n"
        "    store y (%7, %3)\n  }\n}\n");
    int64_t strides[3 * RANK_MAX];
    for (unsigned i = 0; i < 3 * RANK_MAX; i++) strides[i] = INT64_MIN;
    Func *unchanged = func_clone(&arena, f);
    func_specialise(unchanged, (int64_t[]){-1});
    func_specialise_strides(unchanged, strides);
    ck_assert_str_eq(print(unchanged), print(f));
    strides[1 * RANK_MAX] = 1;
    func_specialise(f, (int64_t[]){5});
    func_specialise_strides(f, strides);
    pass_cse(f, &context);
    pass_dce(f, &context);
    expect(f, "hako loop @f \"\"\n" MEMS
              "{\n  %0 = const 5 : i64\n  %1 = const 10 : i64\n  tensor x (%0)\n"
              "  tensor y (%1)\n  phase grid (%1) { (%2 : i64)\n    %3 = load x (%2) : f32\n    "
              "store y (%3, %1)\n"
              "  }\n}\n");
}
END_TEST

START_TEST(passes_keep_the_laws)
{
    static const char *const texts[] = {tile_text, loop_text};
    for (unsigned which = 0; which < 2; which++) {
        Func *f = parse(texts[which]);
        for (unsigned turn = 0; turn < 2; turn++) {
            pass_simplify(f, &context);
            check_valid(f);
            pass_cse(f, &context);
            check_valid(f);
            pass_licm(f, &context);
            check_valid(f);
            pass_dce(f, &context);
            check_valid(f);
        }
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("passes");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, simplify_folds_what_became_constant);
    tcase_add_test(cases, simplify_drops_masks_and_promises);
    tcase_add_test(cases, simplify_opens_loops_of_one_turn);
    tcase_add_test(cases, cse_shares_what_dominates);
    tcase_add_test(cases, dce_keeps_effects_only);
    tcase_add_test(cases, split_makes_parts_that_a_phase_of_its_own_adds_up);
    tcase_add_test(cases, licm_climbs_out_of_several_loops);
    tcase_add_test(cases, consecutive_loads_where_no_edge_is);
    tcase_add_test(cases, stream_marks_aligned_vectors_of_named_outputs);
    tcase_add_test(cases, stream_marks_what_fills_lines);
    tcase_add_test(cases, align_finds_vectors_that_begin_with_a_byte);
    tcase_add_test(cases, pairs_read_and_write_whole_vectors);
    tcase_add_test(cases, inside_copies_windows_without_masks);
    tcase_add_test(cases, simplify_compares_sums_of_one_place);
    tcase_add_test(cases, align_takes_low_bits_of_indices_from_lanes);
    tcase_add_test(cases, prefetch_sees_far_strides_and_next_rows);
    tcase_add_test(cases, prefetch_looks_ahead_where_there_is_much_to_compute);
    tcase_add_test(cases, specialise_fills_in_sizes);
    tcase_add_test(cases, passes_keep_the_laws);
    return run_cases("passes", cases);
}

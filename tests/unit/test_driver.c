// The pass driver: order, stopping, disabling, dumping, timing, and naming the pass that breaks a
// law.
#include "passes/pass.h"
#include "tests/unit/ir_texts.h"
#include "tests/unit/suite.h"

static Arena arena;
static DiagList diags;
static PassContext context;
static Func *f;
static Buf dump;

static void setup(void)
{
    arena_init(&arena, NULL);
    diags = (DiagList){.arena = &arena};
    dump = (Buf){.arena = &arena};
    context = (PassContext){
        .arena = &arena, .diags = &diags, .verify = true, .dump = STR("all"), .dump_to = &dump};
    f = func_parse(&arena, str_of(tile_text), &diags, 0);
    ck_assert(f != NULL);
}

static void teardown(void)
{
    arena_free(&arena);
}

static bool dumped(const char *text)
{
    return strstr(buf_view(&dump).data, text) != NULL;
}

START_TEST(names_are_found)
{
    PassId id;
    for (unsigned i = 0; i < PASS_COUNT; i++) {
        ck_assert(pass_find(str_of(pass_info[i].name), &id) && id == i);
    }
    ck_assert(!pass_find(STR("nothing"), &id));
}
END_TEST

START_TEST(dump_tells_what_changed)
{
    const PassId ids[] = {PASS_dce, PASS_dce};
    ck_assert(passes_run(f, ids, 2, &context));
    ck_assert(dumped("// after dce\nhako tile @softmax"));
    ck_assert(dumped("// after dce (unchanged)\n"));
}
END_TEST

START_TEST(stops_after_the_named_pass)
{
    const PassId ids[] = {PASS_simplify, PASS_cse, PASS_dce};
    context.stop_after = STR("cse");
    ck_assert(passes_run(f, ids, 3, &context));
    ck_assert(dumped("// after cse") && !dumped("// after dce"));
}
END_TEST

START_TEST(disabled_and_foreign_passes_are_skipped)
{
    double time_ms[PASS_COUNT] = {0};
    const PassId ids[] = {PASS_cse, PASS_licm, PASS_dce};
    context.disabled = (uint64_t)1 << PASS_cse;
    context.time_ms = time_ms;
    ck_assert(passes_run(f, ids, 3, &context));
    ck_assert(!dumped("// after cse") && !dumped("// after licm") && dumped("// after dce"));
    ck_assert(time_ms[PASS_cse] == 0 && time_ms[PASS_dce] > 0);
}
END_TEST

START_TEST(impossible_orders_are_refused)
{
    const PassId ids[] = {PASS_block, PASS_contract};
    ck_assert(!passes_run(f, ids, 2, &context));
    ck_assert_uint_eq(diags.diags.data[0]->code, DIAG_PASS_ORDER);
    ck_assert(!dump.length);
}
END_TEST

START_TEST(the_culprit_is_named)
{
    const PassId ids[] = {PASS_dce};
    for (uint32_t i = 1; i < f->insts.count; i++) {
        if (f->insts.data[i].op == OP_INDEX) f->insts.data[i].attr.ref = 4; // another axis
    }
    ck_assert(!passes_run(f, ids, 1, &context));
    const Diag *last = vec_last(&diags.diags);
    ck_assert_uint_eq(last->code, DIAG_INTERNAL);
    ck_assert(strstr(last->message.data, "'dce'") && strstr(last->message.data, "@softmax"));
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("driver");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, names_are_found);
    tcase_add_test(cases, dump_tells_what_changed);
    tcase_add_test(cases, stops_after_the_named_pass);
    tcase_add_test(cases, disabled_and_foreign_passes_are_skipped);
    tcase_add_test(cases, impossible_orders_are_refused);
    tcase_add_test(cases, the_culprit_is_named);
    return run_cases("driver", cases);
}

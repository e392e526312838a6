// What a host may get wrong, each a status: NULL everywhere, sizes of structs, freed in any order,
// freed while something runs.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/api/common.h"

static const char *const text = "kernel scale<T: float, C: i64 = 2>(x: T[M, N]) -> (y: T[M, N]) {"
                                " tile m in M, n in N { y[m, n] = x[m, n] * C; } }"
                                "test scale { x: f32[2, 3] = randn(seed = 1); expect y = 0; }";

typedef struct Called {
    Fixture f;
    float data[2][64];
    int64_t shape[2];
    DLTensor x, y;
    hk_arg args[2];
    hk_specialize_options options;
    hk_exec *exec;
} Called;

static void called_init(Called *c)
{
    c->f = fixture(text);
    c->shape[0] = c->shape[1] = 8;
    c->x = tensor_of(c->data[0], 2, c->shape);
    c->y = tensor_of(c->data[1], 2, c->shape);
    for (int k = 0; k < 64; k++) c->data[0][k] = (float)k;
    c->args[0] = hk_tensor("x", &c->x);
    c->args[1] = hk_tensor("y", &c->y);
    c->options =
        (hk_specialize_options){.struct_size = sizeof c->options, .args = c->args, .arg_count = 2};
    ck_ok(hk_kernel_specialize(c->f.kernel, &c->options, &c->exec, &c->f.error), &c->f.error);
}

static void called_free(Called *c)
{
    hk_exec_free(c->exec);
    fixture_free(&c->f);
}

#define USAGE(call) ck_assert_msg((call) == HK_ERROR_USAGE, "%s", #call)

// Functions that make or run something: with nothing at all, and with one thing missing.
START_TEST(null_is_refused)
{
    Called c = {0};
    called_init(&c);
    hk_context *context = c.f.context;
    hk_text *out;
    hk_module *module;
    hk_trial *trial;
    hk_store *store;
    uint64_t count;
    USAGE(hk_context_create(NULL, NULL, NULL));
    USAGE(hk_context_describe(NULL, &out, NULL));
    USAGE(hk_context_describe(context, NULL, NULL));
    USAGE(hk_module_load_text(NULL, "a", "", 0, &module, NULL));
    USAGE(hk_module_load_text(context, "a", "", 0, NULL, NULL));
    USAGE(hk_module_load_file(NULL, "a", &module, NULL));
    USAGE(hk_module_load_file(context, NULL, &module, NULL));
    USAGE(hk_module_load_file(context, "a", NULL, NULL));
    USAGE(hk_check(NULL, "a", NULL, 0, 0, NULL));
    USAGE(hk_check(context, NULL, NULL, 0, 0, NULL));
    USAGE(hk_module_ast(NULL, &out, NULL));
    USAGE(hk_module_ast(c.f.module, NULL, NULL));
    hk_exec *exec;
    USAGE(hk_kernel_specialize(NULL, &c.options, &exec, NULL));
    USAGE(hk_kernel_specialize(c.f.kernel, &c.options, NULL, NULL));
    USAGE(hk_exec_text(NULL, HK_FORM_TILE, &out, NULL));
    USAGE(hk_exec_text(c.exec, HK_FORM_TILE, NULL, NULL));
    USAGE(hk_exec_run(NULL, c.args, 2, NULL));
    USAGE(hk_exec_run(c.exec, NULL, 2, NULL));
    USAGE(hk_kernel_run(NULL, c.args, 2, NULL));
    USAGE(hk_kernel_run(c.f.kernel, NULL, 2, NULL));
    hk_verify_result verified = {.struct_size = sizeof verified};
    USAGE(hk_exec_verify(NULL, c.args, 2, NULL, &verified, NULL));
    USAGE(hk_exec_verify(c.exec, NULL, 2, NULL, &verified, NULL));
    USAGE(hk_exec_verify(c.exec, c.args, 2, NULL, NULL, NULL));
    USAGE(hk_trial_create(NULL, &c.options, &trial, NULL));
    USAGE(hk_trial_create(c.f.kernel, &c.options, NULL, NULL));
    hk_evaluation evaluation = {.struct_size = sizeof evaluation};
    USAGE(hk_trial_measure(NULL, "", 0, 0, &evaluation));
    USAGE(hk_trial_serve(NULL, 0, 1, NULL));
    hk_stream *stream;
    hk_stream_options wrong = {.struct_size = 1};
    USAGE(hk_stream_create(NULL, NULL, &stream, NULL));
    USAGE(hk_stream_create(context, NULL, NULL, NULL));
    USAGE(hk_stream_create(context, &wrong, &stream, NULL));
    USAGE(hk_stream_run(NULL, c.exec, c.args, 2, NULL));
    USAGE(hk_stream_wait(NULL, NULL));
    ck_assert_ptr_null(hk_stream_queue(NULL));
    hk_stream_free(NULL);
    USAGE(hk_store_open(NULL, "a", false, &store, NULL));
    USAGE(hk_store_open(context, NULL, false, &store, NULL));
    USAGE(hk_store_open(context, "a", false, NULL, NULL));
    USAGE(hk_store_lookup(NULL, c.exec, &out, NULL));
    USAGE(hk_exec_problem(NULL, &out, NULL));
    USAGE(hk_exec_problem(c.exec, NULL, NULL));
    USAGE(hk_store_list(NULL, HK_STORE_BEST, NULL, &out, NULL));
    USAGE(hk_store_import(NULL, "", 0, &count, NULL));
    USAGE(hk_store_prune(NULL, NULL, 0, &count, NULL));
    hk_tune_options tune = {.struct_size = sizeof tune};
    hk_tune_result tuned = {.struct_size = sizeof tuned};
    USAGE(hk_tune(NULL, &c.options, &tune, &tuned, NULL));
    USAGE(hk_tune(c.f.kernel, &c.options, &tune, NULL, NULL));
    USAGE(hk_config_normalize(NULL, "", &out, NULL));
    USAGE(hk_config_normalize(context, NULL, &out, NULL));
    USAGE(hk_config_normalize(context, "", NULL, NULL));
    USAGE(hk_ir_opt(NULL, "a", "", 0, NULL, &out, NULL, NULL));
    USAGE(hk_ir_opt(context, "a", NULL, 0, NULL, &out, NULL, NULL));
    USAGE(hk_ir_opt(context, "a", "", 0, NULL, NULL, NULL, NULL));
    called_free(&c);
}
END_TEST

// Functions that tell something: of nothing there is nothing to tell.
START_TEST(null_tells_nothing)
{
    hk_error *none = NULL;
    hk_param param = {.struct_size = sizeof param};
    hk_diag diag = {.struct_size = sizeof diag};
    hk_cost cost = {.struct_size = sizeof cost};
    hk_tunable knob = {.struct_size = sizeof knob};
    hk_exec_param_info info = {.struct_size = sizeof info};
    double ms;
    ck_assert_int_eq(hk_error_status(none), HK_OK);
    ck_assert_str_eq(hk_error_message(none), "");
    ck_assert_str_eq(hk_error_text(none, true), "");
    ck_assert_str_eq(hk_error_json(none), "[]");
    ck_assert_uint_eq(hk_error_diag_count(none) + hk_error_dropped_count(none), 0);
    USAGE(hk_error_diag(none, 0, &diag));
    USAGE(hk_error_note(none, 0, 0, NULL, NULL));
    ck_assert_str_eq(hk_text_data(NULL), "");
    ck_assert_uint_eq(hk_text_length(NULL), 0);
    ck_assert_uint_eq(hk_context_threads(NULL), 0);
    ck_assert_uint_eq(hk_module_kernel_count(NULL), 0);
    ck_assert_ptr_null(hk_module_kernel(NULL, 0));
    ck_assert_ptr_null(hk_module_kernel_named(NULL, "a"));
    ck_assert_uint_eq(hk_module_test_count(NULL), 0);
    ck_assert_uint_eq(hk_kernel_param_count(NULL) + hk_kernel_template_count(NULL) +
                          hk_kernel_tunable_count(NULL) + hk_kernel_shape_count(NULL),
                      0);
    USAGE(hk_kernel_param(NULL, 0, &param));
    ck_assert_uint_eq(hk_exec_param_count(NULL) + hk_exec_dim_count(NULL) +
                          hk_exec_knob_count(NULL) + hk_exec_threads(NULL),
                      0);
    USAGE(hk_exec_param(NULL, 0, &info));
    USAGE(hk_exec_cost(NULL, &cost));
    USAGE(hk_exec_knob(NULL, 0, &knob));
    ck_assert_ptr_null(hk_exec_dim(NULL, 0).name);
    ck_assert_ptr_null(hk_exec_timing(NULL, 0, &ms));
    hk_error_free(NULL);
    hk_text_free(NULL);
    hk_trial_free(NULL);
    hk_store_free(NULL);
    hk_exec_free(NULL);
    hk_module_free(NULL);
    hk_context_free(NULL);
}
END_TEST

// A struct of another version of the header, or one that was not filled in.
START_TEST(sizes_of_structs)
{
    Called c = {0};
    called_init(&c);
    hk_error *error;
    hk_context *context;
    for (size_t size = 0; size < 2000; size += 500) {
        hk_context_options options = {.struct_size = size};
        USAGE(hk_context_create(&options, &context, NULL));
        hk_specialize_options wrong = c.options;
        hk_exec *exec;
        wrong.struct_size = size;
        USAGE(hk_kernel_specialize(c.f.kernel, &wrong, &exec, NULL));
        hk_param param = {.struct_size = size};
        USAGE(hk_kernel_param(c.f.kernel, 0, &param));
        hk_template generic = {.struct_size = size};
        USAGE(hk_kernel_template(c.f.kernel, 0, &generic));
        hk_tunable knob = {.struct_size = size};
        USAGE(hk_kernel_tunable(c.f.kernel, 0, &knob));
        USAGE(hk_exec_knob(c.exec, 0, &knob));
        hk_exec_param_info info = {.struct_size = size};
        USAGE(hk_exec_param(c.exec, 0, &info));
        hk_cost cost = {.struct_size = size};
        USAGE(hk_exec_cost(c.exec, &cost));
        hk_test test = {.struct_size = size};
        USAGE(hk_module_test(c.f.module, 0, &test));
        hk_test_item item = {.struct_size = size};
        USAGE(hk_module_test_item(c.f.module, 0, 0, &item));
        hk_verify_result result = {.struct_size = size};
        USAGE(hk_exec_verify(c.exec, c.args, 2, NULL, &result, NULL));
        hk_opt_options opt = {.struct_size = size};
        hk_text *out;
        USAGE(hk_ir_opt(c.f.context, "a", "", 0, &opt, &out, NULL, NULL));
        hk_tune_options tune = {.struct_size = size};
        hk_tune_result tuned = {.struct_size = size};
        USAGE(hk_tune(c.f.kernel, &c.options, &tune, &tuned, NULL));
    }
    ck_assert_int_ne(hk_kernel_run(c.f.kernel, c.args, 1, &error), HK_OK);
    hk_diag diag = {.struct_size = 3};
    USAGE(hk_error_diag(error, 0, &diag));
    hk_error_free(error);
    called_free(&c);
}
END_TEST

// Tensors that no memory could be: sizes and strides whose product leaves 64 bits.
START_TEST(impossible_tensors)
{
    Called c = {0};
    called_init(&c);
    static const int64_t far[] = {INT64_MAX, INT64_MIN, INT64_MAX / 8, INT64_MIN / 8 + 1};
    int64_t strides[2] = {8, 1};
    c.x.strides = strides;
    for (size_t k = 0; k < sizeof far / sizeof *far; k++) {
        strides[0] = far[k];
        ck_assert_int_eq(hk_kernel_run(c.f.kernel, c.args, 2, &c.f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&c.f, "argument x");
    }
    strides[0] = 8;
    static const int32_t ranks[] = {-1, 1000, INT32_MAX, INT32_MIN};
    for (size_t k = 0; k < sizeof ranks / sizeof *ranks; k++) {
        c.x.ndim = ranks[k];
        ck_assert_int_eq(hk_kernel_run(c.f.kernel, c.args, 2, &c.f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&c.f, "argument x");
    }
    c.x.ndim = 2;
    c.x.shape = NULL;
    ck_assert_int_eq(hk_kernel_run(c.f.kernel, c.args, 2, &c.f.error), HK_ERROR_DIAGNOSTICS);
    expect_message(&c.f, "has no shape");
    c.x.shape = c.shape;
    ck_ok(hk_kernel_run(c.f.kernel, c.args, 2, &c.f.error), &c.f.error);
    called_free(&c);
}
END_TEST

// Everything that was made with a context works on after the context is given back.
START_TEST(a_closed_context)
{
    Called c = {0};
    called_init(&c);
    hk_context_free(c.f.context);
    ck_ok(hk_exec_run(c.exec, c.args, 2, &c.f.error), &c.f.error);
    ck_assert_float_eq(c.data[1][5], 10);
    c.shape[0] = 3; // and what must be compiled anew
    ck_ok(hk_kernel_run(c.f.kernel, c.args, 2, &c.f.error), &c.f.error);
    hk_module_free(c.f.module);
    c.shape[0] = 8;
    c.data[0][63] = 7;
    ck_ok(hk_exec_run(c.exec, c.args, 2, &c.f.error), &c.f.error);
    ck_assert_float_eq(c.data[1][63], 14);
    hk_exec_free(c.exec);
}
END_TEST

// ---- freed while a launch runs

typedef struct Host {
    atomic_bool runs, may_go_on;
} Host;

static void slow_parallel_for(void *self, int64_t count, void (*body)(void *arg, int64_t index),
                              void *arg)
{
    Host *host = self;
    atomic_store(&host->runs, true);
    while (!atomic_load(&host->may_go_on)) usleep(1000);
    for (int64_t k = 0; k < count; k++) body(arg, k);
}

typedef struct Launch {
    const hk_kernel *kernel;
    hk_arg args[2];
    hk_status status;
} Launch;

static void *launch(void *self)
{
    Launch *l = self;
    l->status = hk_kernel_run(l->kernel, l->args, 2, NULL);
    return NULL;
}

START_TEST(a_module_freed_while_a_launch_runs)
{
    enum { N = 1 << 10 };
    static Host host;
    hk_context_options options = {.struct_size = sizeof options,
                                  .parallel_for = slow_parallel_for,
                                  .parallel_for_self = &host,
                                  .threads = 2};
    Fixture f = fixture_with(&options, text);
    float *x = calloc(N * N, sizeof *x), *y = calloc(N * N, sizeof *y);
    x[N * N - 1] = 21;
    int64_t shape[2] = {N, N};
    DLTensor tx = tensor_of(x, 2, shape), ty = tensor_of(y, 2, shape);
    Launch l = {f.kernel, {hk_tensor("x", &tx), hk_tensor("y", &ty)}, HK_ERROR_INTERNAL};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, launch, &l), 0);
    while (!atomic_load(&host.runs)) usleep(1000);
    hk_module_free(f.module);
    hk_context_free(f.context);
    atomic_store(&host.may_go_on, true);
    pthread_join(thread, NULL);
    ck_assert_int_eq(l.status, HK_OK);
    ck_assert_float_eq(y[N * N - 1], 42);
    free(x);
    free(y);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bad input");
    TCase *c = tcase_create("bad input");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, null_is_refused);
    tcase_add_test(c, null_tells_nothing);
    tcase_add_test(c, sizes_of_structs);
    tcase_add_test(c, impossible_tensors);
    tcase_add_test(c, a_closed_context);
    tcase_add_test(c, a_module_freed_while_a_launch_runs);
    suite_add_tcase(s, c);
    return run_suite(s);
}

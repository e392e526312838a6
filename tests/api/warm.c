// Launches with arguments that an exec has run with before: new addresses and scalars, and all that
// must not slip through on the short way.
#include <pthread.h>
#include <stdatomic.h>

#include "tests/api/common.h"

static hk_exec *specialise(Fixture *f, const hk_arg *args, size_t count)
{
    hk_specialize_options options = {
        .struct_size = sizeof options, .args = args, .arg_count = count};
    hk_exec *exec = NULL;
    ck_ok(hk_kernel_specialize(f->kernel, &options, &exec, &f->error), &f->error);
    return exec;
}

static const char *const add_text =
    "kernel add(x: f32[M, N], a: f32 = 1) -> (y: f32[M, N], top: f32 = 0) {"
    " tile m in M, n in N { y[m, n] = x[m, n] + a; fold top max= max[m, n](x[m, n]); } }";

START_TEST(addresses_and_scalars_may_change)
{
    Fixture f = fixture(add_text);
    float x[3][12], y[3][12], top;
    for (int k = 0; k < 36; k++) x[k / 12][k % 12] = (float)k;
    int64_t shape[2] = {3, 4};
    DLTensor tx = tensor_of(x[0], 2, shape), ty = tensor_of(y[0], 2, shape),
             tt = tensor_of(&top, 0, NULL);
    hk_arg args[] = {hk_tensor("x", &tx), hk_float("a", 2), hk_tensor("y", &ty),
                     hk_tensor("top", &tt)};
    hk_exec *exec = specialise(&f, args, 4);
    for (int turn = 0; turn < 9; turn++) {
        tx.data = x[turn % 3];
        ty.data = y[turn / 3];
        args[1] = turn % 2 ? hk_float("a", turn) : hk_int("a", -turn);
        top = -5; // what is folded into starts anew
        ck_ok(hk_exec_run(exec, args, 4, &f.error), &f.error);
        for (int k = 0; k < 12; k++)
            ck_assert_float_eq(y[turn / 3][k], x[turn % 3][k] + (float)(turn % 2 ? turn : -turn));
        ck_assert_float_eq(top, x[turn % 3][11]);
    }
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    Fixture f =
        fixture("kernel twice(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = 2 * x[n]; } }");
    float data[64] = {0}, out[64];
    int64_t ten[1] = {10}, nine[1] = {9}, two[1] = {2};
    DLTensor x = tensor_of(data, 1, ten), y = tensor_of(out, 1, ten);
    hk_arg args[] = {hk_tensor("x", &x), hk_tensor("y", &y)};
    hk_exec *exec = specialise(&f, args, 2);
    for (int turn = 0; turn < 2; turn++) {
        ck_ok(hk_exec_run(exec, args, 2, &f.error), &f.error);
        y.data = data + 5; // overlaps
        ck_assert_int_eq(hk_exec_run(exec, args, 2, &f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&f, "overlaps");
        y.data = out;
        x.data = (char *)data + 2; // not aligned
        ck_assert_int_eq(hk_exec_run(exec, args, 2, &f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&f, "aligned");
        x.data = NULL;
        ck_assert_int_eq(hk_exec_run(exec, args, 2, &f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&f, "no data");
        x.data = data;
        x.shape = nine;
        ck_assert_int_eq(hk_exec_run(exec, args, 2, &f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&f, "9");
        x.shape = ten;
        x.dtype.bits = 16;
        ck_assert_int_eq(hk_exec_run(exec, args, 2, &f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&f, "f16");
        x.dtype.bits = 32;
        args[0].name = "z";
        ck_assert_int_eq(hk_exec_run(exec, args, 2, &f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&f, "'z'");
        args[0].name = "x";
        ck_assert_int_eq(hk_exec_run(exec, args, 1, &f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&f, "missing");
        x.strides = two; // another layout: its own code
        for (int k = 0; k < 64; k++) data[k] = (float)k;
        ck_ok(hk_exec_run(exec, args, 2, &f.error), &f.error);
        for (int k = 0; k < 10; k++) ck_assert_float_eq(out[k], (float)(4 * k));
        x.strides = NULL;
    }
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

// Five elements of ten, by index.
typedef struct Pick {
    float w[10], y[5];
    int64_t ids[5], ten[1], five[1];
    DLTensor tensors[3];
    hk_arg args[3];
} Pick;

static hk_exec *pick_exec(Fixture *f, Pick *p)
{
    p->ten[0] = 10;
    p->five[0] = 5;
    p->tensors[0] = tensor_of(p->w, 1, p->ten);
    p->tensors[1] = tensor_of(p->ids, 1, p->five);
    p->tensors[2] = tensor_of(p->y, 1, p->five);
    p->tensors[1].dtype = (DLDataType){kDLInt, 64, 1};
    p->args[0] = hk_tensor("w", &p->tensors[0]);
    p->args[1] = hk_tensor("ids", &p->tensors[1]);
    p->args[2] = hk_tensor("y", &p->tensors[2]);
    return specialise(f, p->args, 3);
}

// hk_kernel_run finds what it ran before by the arguments alone; what was made for other wishes, or
// other arguments, is not that.
START_TEST(kernels_know_their_execs)
{
    Fixture f = fixture("kernel add<T: float, C: i64 = 1>(x: T[N], k: i64 = 0) -> (y: T[N]) {"
                        " tile n in N { y[n] = x[n] + C + k; } }");
    float x[8], y[8];
    int64_t sizes[3][1] = {{8}, {5}, {4}}, two[1] = {2};
    for (int k = 0; k < 8; k++) x[k] = (float)k;
    hk_define c = {"C", "100"};
    for (int turn = 0; turn < 12; turn++) {
        int64_t *shape = sizes[turn % 3], stride = turn % 3 == 2 ? 2 : 1;
        DLTensor tx = tensor_of(x, 1, shape), ty = tensor_of(y, 1, shape);
        if (stride == 2) tx.strides = two;
        hk_arg args[] = {hk_tensor("x", &tx), hk_int("k", turn), hk_tensor("y", &ty)};
        hk_specialize_options options = {.struct_size = sizeof options,
                                         .args = args,
                                         .arg_count = 3,
                                         .defines = &c,
                                         .define_count = 1};
        hk_exec *exec;
        ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
        for (int again = 0; again < 2; again++) {
            ck_ok(hk_exec_run(exec, args, 3, &f.error), &f.error);
            ck_assert_float_eq(y[1], (float)(stride + 100 + turn));
            ck_ok(hk_kernel_run(f.kernel, args, 3, &f.error), &f.error);
            for (int k = 0; k < shape[0]; k++)
                ck_assert_float_eq(y[k], (float)(k * stride + 1 + turn));
        }
        hk_exec_free(exec);
        tx.data = NULL; // found or not, the launch looks at its arguments
        ck_assert_int_eq(hk_kernel_run(f.kernel, args, 3, &f.error), HK_ERROR_DIAGNOSTICS);
        expect_message(&f, "no data");
    }
    fixture_free(&f);
}
END_TEST

START_TEST(traps_are_told_again)
{
    Fixture f = fixture("kernel pick(w: f32[V], ids: i64[T]) -> (y: f32[T]) {\n"
                        "    tile t in T { y[t] = w[ids[t]]; } }\n");
    Pick p = {.ids = {1, 2, 3, 3, 4}};
    hk_exec *exec = pick_exec(&f, &p);
    for (int turn = 0; turn < 3; turn++) {
        p.ids[2] = 3;
        ck_ok(hk_exec_run(exec, p.args, 3, &f.error), &f.error);
        p.ids[2] = 17;
        ck_assert_int_eq(hk_exec_run(exec, p.args, 3, &f.error), HK_ERROR_TRAP);
        expect_message(&f, "index 17 of w dimension 0 is out of bounds (size 10)");
    }
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

START_TEST(promises_are_checked_each_time)
{
    Fixture f = fixture("kernel pick(w: f32[V], ids: i64[T] in 0 .. V) -> (y: f32[T]) {"
                        " tile t in T { y[t] = w[ids[t]]; } }");
    Pick p = {.ids = {1, 2, 3, 3, 4}};
    hk_exec *exec = pick_exec(&f, &p);
    ck_ok(hk_exec_run(exec, p.args, 3, &f.error), &f.error);
    p.ids[2] = 10;
    ck_assert_int_eq(hk_exec_run(exec, p.args, 3, &f.error), HK_ERROR_DIAGNOSTICS);
    expect_message(&f, "10");
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

START_TEST(phases_repeat_each_time)
{
    Fixture f = fixture("kernel repeats(inout x: f32[N], T: i64) {"
                        " serial for t in 0 .. T { tile n in N { x[n] = 2 * x[n] + t; } } }");
    float x[5];
    int64_t five[1] = {5};
    DLTensor tx = tensor_of(x, 1, five);
    hk_arg args[] = {hk_tensor("x", &tx), hk_int("T", 3)};
    hk_exec *exec = specialise(&f, args, 2);
    for (int turns = 0; turns < 6; turns++) {
        float want = 1;
        for (int t = 0; t < turns; t++) want = 2 * want + (float)t;
        for (int n = 0; n < 5; n++) x[n] = 1;
        args[1] = hk_int("T", turns);
        ck_ok(hk_exec_run(exec, args, 2, &f.error), &f.error);
        for (int n = 0; n < 5; n++) ck_assert_float_eq(x[n], want);
    }
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

// A workspace that starts cleared, and a scalar that sizes it.
static const char *const via_text =
    "kernel via(x: f32[K], N: i64) -> (y: f32[K, N]) { buf t: f32[K, N] = 1;"
    " tile k in K, n in N { if n > 0 { t[k, n] = x[k] * n; } }"
    " tile k in K, n in N { y[k, n] = t[k, N - 1 - n]; } }";

typedef struct Runner {
    hk_exec *exec;
    float first;
    atomic_int wrong;
} Runner;

static void *run_many(void *self)
{
    Runner *r = self;
    float xs[3] = {r->first, 2, 3}, ys[15];
    int64_t k[1] = {3}, kn[2] = {3, 5};
    DLTensor x = tensor_of(xs, 1, k), y = tensor_of(ys, 2, kn);
    hk_arg args[] = {hk_tensor("x", &x), hk_int("N", 5), hk_tensor("y", &y)};
    for (int turn = 0; turn < 300; turn++) {
        hk_error *error = NULL;
        memset(ys, 0, sizeof ys);
        if (hk_exec_run(r->exec, args, 3, &error) != HK_OK) atomic_fetch_add(&r->wrong, 1);
        for (int i = 0; i < 15; i++) {
            int n = 4 - i % 5;
            float want = n ? xs[i / 5] * (float)n : 1;
            if (ys[i] != want) atomic_fetch_add(&r->wrong, 1);
        }
        hk_error_free(error);
    }
    return NULL;
}

START_TEST(workspaces_serve_one_launch_at_a_time)
{
    Fixture f = fixture(via_text);
    float xs[3] = {1, 2, 3}, ys[3 * 9];
    int64_t k[1] = {3}, kn[2] = {3, 5};
    DLTensor x = tensor_of(xs, 1, k), y = tensor_of(ys, 2, kn);
    hk_arg args[] = {hk_tensor("x", &x), hk_int("N", 5), hk_tensor("y", &y)};
    hk_exec *exec = specialise(&f, args, 3);
    Runner runners[4];
    pthread_t threads[4];
    for (int t = 0; t < 4; t++) {
        runners[t] = (Runner){.exec = exec, .first = (float)(10 * t)};
        pthread_create(&threads[t], NULL, run_many, &runners[t]);
    }
    for (int t = 0; t < 4; t++) {
        pthread_join(threads[t], NULL);
        ck_assert_int_eq(atomic_load(&runners[t].wrong), 0);
    }
    kn[1] = 9; // the scalar decides about sizes, so it cannot just be filled in
    args[1] = hk_int("N", 9);
    ck_ok(hk_exec_run(exec, args, 3, &f.error), &f.error);
    for (int n = 0; n < 8; n++) ck_assert_float_eq(ys[9 + n], (float)(2 * (8 - n)));
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("warm");
    TCase *c = tcase_create("warm");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, addresses_and_scalars_may_change);
    tcase_add_test(c, what_does_not_fit_is_refused);
    tcase_add_test(c, kernels_know_their_execs);
    tcase_add_test(c, traps_are_told_again);
    tcase_add_test(c, promises_are_checked_each_time);
    tcase_add_test(c, phases_repeat_each_time);
    tcase_add_test(c, workspaces_serve_one_launch_at_a_time);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}

// The library through its header alone: layouts, sizes, wrong arguments, traps, threads.
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/api/common.h"

START_TEST(strided_and_offset_inputs)
{
    Fixture f = fixture("kernel add(x: f32[M, N], y: f32[M, N]) -> (z: f32[M, N]) {"
                        " tile m in M, n in N { z[m, n] = x[m, n] + y[m, n]; } }");
    enum { M = 37, N = 53 };
    static float big[M * 2 * N * 3], transposed[M * N], out[(M + 2) * N];
    for (int i = 0; i < M * 2 * N * 3; i++) big[i] = (float)i;
    for (int i = 0; i < M * N; i++) transposed[i] = (float)(1000 * i);
    int64_t shape[2] = {M, N};
    // x: every second row, every third column, backwards along n; y: transposed; z: columns,
    // padded.
    int64_t xs[2] = {2 * N * 3, -3}, ys[2] = {1, M}, zs[2] = {1, M + 2};
    DLTensor x = tensor_of(big, 2, shape), y = tensor_of(transposed, 2, shape),
             z = tensor_of(out, 2, shape);
    x.strides = xs;
    x.byte_offset = (N - 1) * 3 * sizeof(float);
    y.strides = ys;
    z.strides = zs;
    hk_arg args[] = {hk_tensor("x", &x), hk_tensor("y", &y), hk_tensor("z", &z)};
    ck_ok(hk_kernel_run(f.kernel, args, 3, &f.error), &f.error);
    for (int m = 0; m < M; m++) {
        for (int n = 0; n < N; n++) {
            float want = big[m * 2 * N * 3 + (N - 1 - n) * 3] + transposed[n * M + m];
            ck_assert_float_eq(out[m + n * (M + 2)], want);
        }
    }
    ck_assert_float_eq(out[M], 0); // the padding is untouched
    ck_assert_float_eq(out[M + 1], 0);
    fixture_free(&f);
}
END_TEST

// An exec made for compact tensors runs on others too: it finds or makes a variant.
START_TEST(other_strides_than_specialised)
{
    Fixture f =
        fixture("kernel twice(x: f32[N]) -> (y: f32[N]) { tile n in N { y[n] = 2 * x[n]; } }");
    float data[20], out[10];
    for (int i = 0; i < 20; i++) data[i] = (float)i;
    int64_t shape[1] = {10}, two[1] = {2};
    DLTensor x = tensor_of(data, 1, shape), y = tensor_of(out, 1, shape);
    hk_arg args[] = {hk_tensor("x", &x), hk_tensor("y", &y)};
    hk_specialize_options options = {.struct_size = sizeof options, .args = args, .arg_count = 2};
    hk_exec *exec;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
    x.strides = two;
    ck_ok(hk_exec_run(exec, args, 2, &f.error), &f.error);
    for (int i = 0; i < 10; i++) ck_assert_float_eq(out[i], (float)(4 * i));
    int64_t other[1] = {7};
    x.shape = other;
    ck_assert_int_eq(hk_exec_run(exec, args, 2, &f.error), HK_ERROR_DIAGNOSTICS);
    expect_message(&f, "7");
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

// One exec for any number of rows: as they are, strided, promised to be a partition, or wrong.
START_TEST(free_dims)
{
    Fixture f = fixture("kernel sums(x: f32[M, N], off: i64[B + 1] partition M, w: f32[N]) -> "
                        "(s: f32[B, N], t: f32[M]) {"
                        " tile b in B { axis n in N; var a: f32[b, n] = 0;"
                        " tile m in off[b] .. off[b + 1] { a += sum[m](x[m, n]); }"
                        " s[b, n] = a; }"
                        " tile m in M { t[m] = sum[k in N](x[m, k] * w[k]); } }");
    enum { MOST = 300, N = 7 };
    static float data[2 * MOST * N], w[N] = {1, 2, 3, 4, 5, 6, 7}, s[MOST * N], t[MOST];
    static const char *const names[] = {"M", "B"}, *const unknown[] = {"M", "Q"};
    int64_t ws[1] = {N}, off[MOST + 1], strides[2] = {2 * N, 1};
    DLTensor tw = tensor_of(w, 1, ws);
    for (int k = 0; k < 2 * MOST * N; k++) data[k] = (float)(k % 13);
    for (int interp = 0; interp < 2; interp++) {
        hk_exec *exec = NULL;
        for (int64_t m = 0; m < MOST; m = 2 * m + 1 + m % 5) {
            int64_t batch = 1 + m / 3, xs[2] = {m, N}, os[1] = {batch + 1}, ss[2] = {batch, N};
            for (int64_t b = 0; b <= batch; b++) off[b] = m * b / batch;
            DLTensor x = tensor_of(data, 2, xs), to = tensor_of(off, 1, os),
                     ts = tensor_of(s, 2, ss), tt = tensor_of(t, 1, xs);
            to.dtype = (DLDataType){kDLInt, 64, 1};
            hk_arg args[] = {hk_tensor("x", &x), hk_tensor("off", &to), hk_tensor("w", &tw),
                             hk_tensor("s", &ts), hk_tensor("t", &tt)};
            hk_specialize_options options = {.struct_size = sizeof options,
                                             .args = args,
                                             .arg_count = 5,
                                             .free_dims = names,
                                             .free_dim_count = 2,
                                             .target = interp ? HK_TARGET_INTERP : HK_TARGET_CPU};
            if (!exec) ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
            for (int strided = 0; strided < 2; strided++) {
                x.strides = strided ? strides : NULL;
                hk_verify_result result = {.struct_size = sizeof result};
                for (int again = 0; again < 2; again++) {
                    memset(s, 0x7f, sizeof s);
                    memset(t, 0x7f, sizeof t);
                    ck_ok(hk_exec_verify(exec, args, 5, NULL, &result, &f.error), &f.error);
                    if (m < MOST / 2) ck_assert_float_gt(t[m], 1e38f); // and not a row more
                }
            }
            xs[1]++; // N is not free
            ck_assert_int_eq(hk_exec_run(exec, args, 5, &f.error), HK_ERROR_DIAGNOSTICS);
            expect_message(&f, "dimension N is 8 by argument x, but 7 is asked for");
            xs[1]--;
            hk_exec *none;
            options.free_dims = unknown;
            ck_assert_int_eq(hk_kernel_specialize(f.kernel, &options, &none, &f.error),
                             HK_ERROR_DIAGNOSTICS);
            expect_message(&f, "there is no dimension 'Q'");
            options.target = HK_TARGET_OPENCL;
            ck_assert_int_eq(hk_kernel_specialize(f.kernel, &options, &none, NULL), HK_ERROR_USAGE);
            hk_trial *trial;
            ck_assert_int_eq(hk_trial_create(f.kernel, &options, &trial, NULL), HK_ERROR_USAGE);
        }
        hk_exec_free(exec);
    }
    fixture_free(&f);
}
END_TEST

START_TEST(sizes_zero_and_one)
{
    Fixture f = fixture("kernel sums(x: f32[M, N]) -> (s: f32[M]) { tile m in M { axis n in N; "
                        "s[m] = sum[n](x[m, n]); } }");
    float one = 3, out[4] = {7, 7, 7, 7};
    static const int64_t sizes[5][2] = {{1, 1}, {0, 5}, {5, 0}, {0, 0}, {1, 0}};
    for (int k = 0; k < 5; k++) {
        if (sizes[k][0] > 4) continue;
        int64_t shape[2] = {sizes[k][0], sizes[k][1]};
        DLTensor x = tensor_of(&one, 2, shape), s = tensor_of(out, 1, shape);
        hk_arg args[] = {hk_tensor("x", &x), hk_tensor("s", &s)};
        ck_ok(hk_kernel_run(f.kernel, args, 2, &f.error), &f.error);
        if (shape[0]) ck_assert_float_eq(out[0], shape[1] ? 3 : 0);
    }
    int64_t none[2] = {3, 0};
    DLTensor x = tensor_of(NULL, 2, none),
             s = tensor_of(out, 1, none); // no data is needed for no elements
    hk_arg args[] = {hk_tensor("x", &x), hk_tensor("s", &s)};
    ck_ok(hk_kernel_run(f.kernel, args, 2, &f.error), &f.error);
    for (int i = 0; i < 3; i++) ck_assert_float_eq(out[i], 0);
    fixture_free(&f);
}
END_TEST

// One exec, several values of a scalar that sizes a workspace and an output.
START_TEST(scalars_that_size)
{
    Fixture f = fixture("kernel via(x: f32[K], N: i64) -> (y: f32[K, N]) { buf t: f32[K, N];"
                        " tile k in K, n in N { t[k, n] = x[k] * n; }"
                        " tile k in K, n in N { y[k, n] = t[k, N - 1 - n]; } }");
    float xs[3] = {1, 2, 3}, ys[3 * 9];
    int64_t k[1] = {3}, kn[2] = {3, 5};
    DLTensor x = tensor_of(xs, 1, k), y = tensor_of(ys, 2, kn);
    hk_arg args[] = {hk_tensor("x", &x), hk_int("N", 5), hk_tensor("y", &y)};
    hk_specialize_options options = {.struct_size = sizeof options, .args = args, .arg_count = 2};
    hk_exec *exec;
    ck_ok(hk_kernel_specialize(f.kernel, &options, &exec, &f.error), &f.error);
    for (int n = 9; n >= 0; n -= 2) {
        kn[1] = n;
        args[1] = hk_int("N", n);
        ck_ok(hk_exec_run(exec, args, 3, &f.error), &f.error);
        for (int i = 0; i < 3 * n; i++)
            ck_assert_float_eq(ys[i], xs[i / n] * (float)(n - 1 - i % n));
    }
    hk_exec_free(exec);
    fixture_free(&f);
}
END_TEST

static const char *const scale_text =
    "kernel scale<T: float>(x: T[M, N], factor: f32) -> (y: T[M, N]) {"
    " tile m in M, n in N { y[m, n] = x[m, n] * factor; } }";

static const char *const codes[] = { // of the cases below
    "HK0701", "HK0701", "HK0702", "HK0703", "HK0704", "HK0704", "HK0706", "HK0707", "HK0712",
    "HK0712", "HK0715", "HK0709", "HK0708", "HK0705", "HK0705", "HK0714", "HK0708"};

// Each wrong call gives its code, names the parameter, and leaves the output alone.
START_TEST(wrong_arguments)
{
    Fixture f = fixture(scale_text);
    float data[12] = {1}, out[16] = {5};
    int64_t shape[2] = {3, 4}, flat[1] = {12}, less[2] = {3, 3}, negative[2] = {3, -4},
            huge[2] = {(int64_t)1 << 40, (int64_t)1 << 40}, same[2] = {0, 1};
    DLTensor x = tensor_of(data, 2, shape), y = tensor_of(out, 2, shape), bad = y;
    hk_arg good[] = {hk_tensor("x", &x), hk_float("factor", 2), hk_tensor("y", &y)};
    ck_ok(hk_kernel_run(f.kernel, good, 3, &f.error), &f.error);
    struct {
        const char *what, *message;
        hk_arg replace[3];
        size_t count;
        DLTensor bad;
    } cases[] = {
        {"missing", "y", {good[0], good[1]}, 2, bad},
        {"missing scalar", "factor", {good[0], good[2]}, 2, bad},
        {"surplus", "z", {good[0], good[1], hk_tensor("z", &y)}, 3, bad},
        {"twice", "x", {good[0], good[0], good[1]}, 3, bad},
        {"tensor for scalar", "factor", {good[0], hk_tensor("factor", &x), good[2]}, 3, bad},
        {"scalar for tensor", "x", {hk_float("x", 1), good[1], good[2]}, 3, bad},
        {"rank", "y", {good[0], good[1], hk_tensor("y", &bad)}, 3, tensor_of(out, 1, flat)},
        {"shape", "y", {good[0], good[1], hk_tensor("y", &bad)}, 3, tensor_of(out, 2, less)},
        {"negative", "y", {good[0], good[1], hk_tensor("y", &bad)}, 3, tensor_of(out, 2, negative)},
        {"overflow", "y", {good[0], good[1], hk_tensor("y", &bad)}, 3, tensor_of(out, 2, huge)},
        {"no data", "y", {good[0], good[1], hk_tensor("y", &bad)}, 3, tensor_of(NULL, 2, shape)},
        {"overlap", "y", {good[0], good[1], hk_tensor("y", &bad)}, 3, tensor_of(data, 2, shape)},
        {"itself", "y", {good[0], good[1], hk_tensor("y", &bad)}, 3, tensor_of(out, 2, shape)},
        {"dtype", "y", {good[0], good[1], hk_tensor("y", &bad)}, 3, tensor_of(out, 2, shape)},
        {"unknown dtype",
         "y",
         {good[0], good[1], hk_tensor("y", &bad)},
         3,
         tensor_of(out, 2, shape)},
        {"device", "y", {good[0], good[1], hk_tensor("y", &bad)}, 3, tensor_of(out, 2, shape)},
        {"alignment",
         "y",
         {good[0], good[1], hk_tensor("y", &bad)},
         3,
         tensor_of((char *)out + 2, 2, shape)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bad = cases[i].bad;
        if (strcmp(cases[i].what, "itself") == 0) bad.strides = same;
        if (strcmp(cases[i].what, "dtype") == 0) bad.dtype.code = kDLInt;
        if (strcmp(cases[i].what, "unknown dtype") == 0) bad.dtype.lanes = 4;
        if (strcmp(cases[i].what, "device") == 0) bad.device.device_type = (DLDeviceType)2; // CUDA
        hk_status status = hk_kernel_run(f.kernel, cases[i].replace, cases[i].count, &f.error);
        ck_assert_msg(status == HK_ERROR_DIAGNOSTICS, "%s: status %d", cases[i].what, (int)status);
        expect_code(&f, codes[i]);
        expect_message(&f, cases[i].message);
    }
    ck_assert_float_eq(out[0], 2);
    fixture_free(&f);
}
END_TEST

START_TEST(wrong_calls)
{
    hk_error *error;
    ck_assert_int_eq(hk_context_create(NULL, NULL, &error), HK_ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(hk_error_text(error, false), "HK0906"));
    hk_error_free(error);
    hk_context *context;
    hk_context_options options = {.struct_size = 3};
    ck_assert_int_eq(hk_context_create(&options, &context, NULL), HK_ERROR_USAGE);
    ck_assert_ptr_null(context);
    Fixture f = fixture(scale_text);
    hk_module *module;
    ck_assert_int_eq(hk_module_load_text(f.context, "a", NULL, 0, &module, NULL), HK_ERROR_USAGE);
    ck_assert_int_eq(hk_module_load_file(f.context, "/no/such/file.hk", &module, &error),
                     HK_ERROR_ENVIRONMENT);
    hk_error_free(error);
    ck_assert_int_eq(hk_module_load_file(f.context, "/tmp", &module, &error), HK_ERROR_ENVIRONMENT);
    ck_assert_ptr_nonnull(strstr(hk_error_message(error), "directory"));
    hk_error_free(error);
    ck_assert_int_eq(
        hk_module_load_text(f.context, "a", "kernel {", HK_TERMINATED, &module, &error),
        HK_ERROR_DIAGNOSTICS);
    ck_assert_uint_ge(hk_error_diag_count(error), 1);
    hk_diag diag = {.struct_size = sizeof diag};
    ck_assert_int_eq(hk_error_diag(error, 0, &diag), HK_OK);
    ck_assert_str_eq(diag.span.file, "a");
    ck_assert_uint_eq(diag.span.line, 1);
    ck_assert_ptr_nonnull(strstr(hk_error_text(error, false), "kernel {"));
    ck_assert_int_eq(hk_error_json(error)[0], '[');
    hk_error_free(error);
    hk_exec *exec;
    ck_assert_int_eq(hk_kernel_specialize(NULL, NULL, &exec, NULL), HK_ERROR_USAGE);
    ck_assert_int_eq(hk_exec_run(NULL, NULL, 0, NULL), HK_ERROR_USAGE);
    hk_error_free(NULL);
    hk_exec_free(NULL);
    hk_module_free(NULL);
    hk_context_free(NULL);
    fixture_free(&f);
}
END_TEST

// A trap names the kernel, the line, the tensor, the index and the bound; nothing outside is
// touched.
START_TEST(trap_out_of_bounds)
{
    Fixture f = fixture("kernel pick(w: f32[V], ids: i64[T]) -> (y: f32[T]) {\n"
                        "    tile t in T {\n"
                        "        y[t] = w[ids[t]];\n"
                        "    }\n"
                        "}\n");
    float w[10] = {0}, y[5];
    int64_t ids[5] = {1, 2, 17, 3, 4}, ten[1] = {10}, five[1] = {5};
    DLTensor tw = tensor_of(w, 1, ten), ti = tensor_of(ids, 1, five), ty = tensor_of(y, 1, five);
    ti.dtype = (DLDataType){kDLInt, 64, 1};
    hk_arg args[] = {hk_tensor("w", &tw), hk_tensor("ids", &ti), hk_tensor("y", &ty)};
    ck_assert_int_eq(hk_kernel_run(f.kernel, args, 3, &f.error), HK_ERROR_TRAP);
    expect_message(&f,
                   "kernel pick, test.hk:3: index 17 of w dimension 0 is out of bounds (size 10)");
    ids[2] = 9;
    ck_ok(hk_kernel_run(f.kernel, args, 3, &f.error), &f.error);
    fixture_free(&f);
}
END_TEST

START_TEST(promises_are_checked)
{
    Fixture f = fixture("kernel pick(w: f32[V], ids: i64[T] in 0 .. V) -> (y: f32[T]) {"
                        " require T > 2, \"too few\"; tile t in T { y[t] = w[ids[t]]; } }");
    float w[10] = {0}, y[5];
    int64_t ids[5] = {1, 2, 10, 3, 4}, ten[1] = {10}, five[1] = {5}, two[1] = {2};
    DLTensor tw = tensor_of(w, 1, ten), ti = tensor_of(ids, 1, five), ty = tensor_of(y, 1, five);
    ti.dtype = (DLDataType){kDLInt, 64, 1};
    hk_arg args[] = {hk_tensor("w", &tw), hk_tensor("ids", &ti), hk_tensor("y", &ty)};
    ck_assert_int_eq(hk_kernel_run(f.kernel, args, 3, &f.error), HK_ERROR_DIAGNOSTICS);
    expect_message(&f, "10");
    ti.shape = ty.shape = two;
    ck_assert_int_eq(hk_kernel_run(f.kernel, args, 3, &f.error), HK_ERROR_DIAGNOSTICS);
    expect_message(&f, "too few");
    fixture_free(&f);
}
END_TEST

// ---- two threads, two kernels, one process

typedef struct Worker {
    const hk_kernel *kernel;
    bool failed;
} Worker;

static void *work(void *self)
{
    Worker *worker = self;
    for (int size = 1; size < 200 && !worker->failed; size += 37) {
        float *x = calloc((size_t)size * 64, sizeof *x), *y = calloc((size_t)size * 64, sizeof *y);
        for (int i = 0; i < size * 64; i++) x[i] = (float)(i % 17);
        int64_t shape[2] = {size, 64};
        DLTensor tx = tensor_of(x, 2, shape), ty = tensor_of(y, 2, shape);
        hk_arg args[] = {hk_tensor(NULL, &tx), hk_tensor(NULL, &ty)}; // by position
        hk_error *error = NULL;
        worker->failed = hk_kernel_run(worker->kernel, args, 2, &error) != HK_OK;
        hk_error_free(error);
        bool softmax = strcmp(hk_kernel_name(worker->kernel), "softmax") == 0;
        for (int m = 0; m < size && !worker->failed; m++) {
            double sum = 0, total = 0;
            for (int n = 0; n < 64; n++) total += exp(x[m * 64 + n]);
            for (int n = 0; n < 64; n++) {
                double want = softmax ? exp(x[m * 64 + n]) / total
                                      : (sum += x[m * 64 + n], x[m * 64 + n] * 2.0);
                worker->failed |= fabs(y[m * 64 + n] - want) > 1e-5 * (1 + fabs(want));
            }
        }
        free(x);
        free(y);
    }
    return NULL;
}

START_TEST(two_kernels_from_two_threads)
{
    Fixture f =
        fixture("kernel softmax(x: f32[M, N]) -> (y: f32[M, N]) { tile m in M { axis n in N;"
                " let e = exp(x[m, n] - max[n](x[m, n])); y[m, n] = e / sum[n](e); } }"
                "kernel twice(x: f32[M, N]) -> (y: f32[M, N]) { tile m in M, n in N { y[m, n] = 2 "
                "* x[m, n]; } }");
    Worker workers[4];
    pthread_t threads[4];
    for (int t = 0; t < 4; t++) {
        workers[t] = (Worker){hk_module_kernel_named(f.module, t % 2 ? "softmax" : "twice"), false};
        pthread_create(&threads[t], NULL, work, &workers[t]);
    }
    for (int t = 0; t < 4; t++) {
        pthread_join(threads[t], NULL);
        ck_assert_msg(!workers[t].failed, "thread %d", t);
    }
    fixture_free(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("launch");
    TCase *c = tcase_create("launch");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, strided_and_offset_inputs);
    tcase_add_test(c, other_strides_than_specialised);
    tcase_add_test(c, free_dims);
    tcase_add_test(c, sizes_zero_and_one);
    tcase_add_test(c, scalars_that_size);
    tcase_add_test(c, wrong_arguments);
    tcase_add_test(c, wrong_calls);
    tcase_add_test(c, trap_out_of_bounds);
    tcase_add_test(c, promises_are_checked);
    tcase_add_test(c, two_kernels_from_two_threads);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return run_suite(suite());
}

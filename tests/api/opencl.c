// Tensors that are on an OpenCL device, in the host's context and queues. The test is the host. It
// stands before the loader for some functions, so that it sees how many buffers and contexts are
// made and how often somebody waits, and can lose the device. Without an OpenCL device nothing is
// shown.
#include "common.h"

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { N = 70 };

static atomic_int buffers_made, waits, contexts_made;
static atomic_bool is_lost; // the next wait says that the queue is no more

#pragma GCC visibility push(default)

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t bytes, void *from,
                      cl_int *status)
{
    __typeof__(&clCreateBuffer) next = (__typeof__(next))dlsym(RTLD_NEXT, "clCreateBuffer");
    buffers_made++;
    return next(context, flags, bytes, from, status);
}

cl_int clFinish(cl_command_queue queue)
{
    __typeof__(&clFinish) next = (__typeof__(next))dlsym(RTLD_NEXT, "clFinish");
    waits++;
    cl_int status = next(queue);
    return atomic_exchange(&is_lost, false) ? CL_INVALID_COMMAND_QUEUE : status;
}

cl_context clCreateContext(const cl_context_properties *properties, cl_uint count,
                           const cl_device_id *devices,
                           void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
                           void *user, cl_int *status)
{
    __typeof__(&clCreateContext) next = (__typeof__(next))dlsym(RTLD_NEXT, "clCreateContext");
    contexts_made++;
    return next(properties, count, devices, notify, user, status);
}

#pragma GCC visibility pop

typedef struct Host {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    hk_stream *stream;
    Fixture f;
} Host;

// False: there is no device.
static bool host_open(Host *h, const char *text, cl_command_queue_properties properties)
{
    cl_platform_id platform;
    *h = (Host){0};
    if (clGetPlatformIDs(1, &platform, NULL) ||
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &h->device, NULL))
        return false;
    cl_int status;
    h->context = clCreateContext(NULL, 1, &h->device, NULL, NULL, &status);
    ck_assert_int_eq(status, CL_SUCCESS);
    h->queue = clCreateCommandQueue(h->context, h->device, properties, &status);
    ck_assert_int_eq(status, CL_SUCCESS);
    hk_context_options options = {.struct_size = sizeof options, .opencl_context = h->context};
    h->f = fixture_with(&options, text);
    hk_stream_options shared = {.struct_size = sizeof shared, .queue = h->queue};
    ck_ok(hk_stream_create(h->f.context, &shared, &h->stream, &h->f.error), &h->f.error);
    ck_assert_ptr_eq(hk_stream_queue(h->stream), h->queue);
    return true;
}

static void host_close(Host *h)
{
    hk_stream_free(h->stream);
    fixture_free(&h->f);
    clReleaseCommandQueue(h->queue);
    clReleaseContext(h->context);
}

static cl_mem buffer_new(const Host *h, cl_mem_flags flags, size_t bytes)
{
    cl_int status;
    cl_mem buffer = clCreateBuffer(h->context, flags, bytes, NULL, &status);
    ck_assert_int_eq(status, CL_SUCCESS);
    return buffer;
}

static void put(const Host *h, cl_mem buffer, size_t at, const void *from, size_t bytes)
{
    ck_assert_int_eq(clEnqueueWriteBuffer(h->queue, buffer, CL_TRUE, at, bytes, from, 0, 0, 0), 0);
}

static void get(const Host *h, cl_mem buffer, size_t at, void *to, size_t bytes)
{
    ck_assert_int_eq(clEnqueueReadBuffer(h->queue, buffer, CL_TRUE, at, bytes, to, 0, 0, 0), 0);
}

static DLTensor on_device(cl_mem buffer, uint64_t offset, int64_t *shape)
{
    return (DLTensor){buffer, {kDLOpenCL, 0}, 1, {kDLFloat, 32, 1}, shape, NULL, offset};
}

static hk_exec *exec_for(Host *h, const hk_arg *args, size_t count)
{
    hk_specialize_options options = {.struct_size = sizeof options,
                                     .args = args,
                                     .arg_count = count,
                                     .target = HK_TARGET_OPENCL};
    hk_exec *exec;
    hk_error *error; // several threads ask at once
    ck_ok(hk_kernel_specialize(h->f.kernel, &options, &exec, &error), &error);
    return exec;
}

static const char next[] = "kernel next(x: f32[N]) -> (y: f32[N]) {"
                           "    tile n in N { y[n] = x[n] + 1.0; }"
                           "}";

// A chain of launches, in place after place of two buffers: aligned and odd ones. Nobody waits, and
// from the second on no buffer is made.
START_TEST(test_chain)
{
    Host h;
    if (!host_open(&h, next, 0)) return;
    float x[N], y[N];
    int64_t shape[1] = {N};
    const size_t gap[] = {0, 64, 4, 20};
    cl_mem a = buffer_new(&h, CL_MEM_READ_WRITE, sizeof x + 64),
           b = buffer_new(&h, CL_MEM_READ_WRITE, sizeof x + 64);
    for (int i = 0; i < N; i++) x[i] = (float)i;
    for (int k = 0; k < 4; k++) {
        DLTensor from = on_device(a, gap[k], shape), to = on_device(b, gap[3 - k], shape);
        hk_arg forth[] = {hk_tensor("x", &from), hk_tensor("y", &to)};
        hk_arg back[] = {hk_tensor("x", &to), hk_tensor("y", &from)};
        hk_exec *exec = exec_for(&h, forth, 2);
        put(&h, a, gap[k], x, sizeof x);
        waits = 0;
        for (int round = 0; round < 5; round++) {
            ck_ok(hk_stream_run(h.stream, exec, forth, 2, &h.f.error), &h.f.error);
            ck_ok(hk_stream_run(h.stream, exec, back, 2, &h.f.error), &h.f.error);
            if (round == 0) buffers_made = 0;
        }
        ck_assert_int_eq(waits, 0);
        ck_assert_int_eq(buffers_made, 0);
        get(&h, a, gap[k], y, sizeof y);
        for (int i = 0; i < N; i++) ck_assert_float_eq(y[i], x[i] + 10);
        ck_ok(hk_stream_wait(h.stream, &h.f.error), &h.f.error);
        hk_exec_free(exec);
    }
    clReleaseMemObject(a);
    clReleaseMemObject(b);
    host_close(&h);
}
END_TEST

// Strides of either sign, parts of buffers, and one tensor in host memory.
START_TEST(test_layouts)
{
    Host h;
    if (!host_open(&h, next, 0)) return;
    float x[2 * N], y[N];
    int64_t shape[1] = {N}, step[1] = {-2};
    for (int i = 0; i < 2 * N; i++) x[i] = (float)i;
    cl_mem whole = buffer_new(&h, CL_MEM_READ_WRITE, 1024 + sizeof x);
    cl_buffer_region region = {1024, sizeof x};
    cl_int status;
    cl_mem part = clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &status);
    ck_assert_int_eq(status, CL_SUCCESS);
    put(&h, whole, 1024, x, sizeof x);
    DLTensor from = on_device(part, (2 * N - 1) * sizeof(float), shape), to = from;
    from.strides = step;
    to = tensor_of(y, 1, shape);
    hk_arg args[] = {hk_tensor("x", &from), hk_tensor("y", &to)};
    ck_ok(hk_kernel_run(h.f.kernel, args, 2, &h.f.error), &h.f.error);
    for (int i = 0; i < N; i++) ck_assert_float_eq(y[i], x[2 * N - 1 - 2 * i] + 1);
    // The other way round: into every second element; those between stay.
    to = tensor_of(x, 1, shape);
    hk_arg back[] = {hk_tensor("x", &to), hk_tensor("y", &from)};
    hk_exec *exec = exec_for(&h, back, 2);
    ck_ok(hk_stream_run(h.stream, exec, back, 2, &h.f.error), &h.f.error);
    float z[2 * N];
    get(&h, whole, 1024, z, sizeof z);
    for (int i = 0; i < N; i++) {
        ck_assert_float_eq(z[2 * N - 1 - 2 * i], x[i] + 1);
        ck_assert_float_eq(z[2 * N - 2 - 2 * i], x[2 * N - 2 - 2 * i]);
    }
    // Two parts that overlap are seen to.
    DLTensor other = on_device(whole, 1024, shape), inner = on_device(part, 4, shape);
    hk_arg same[] = {hk_tensor("x", &other), hk_tensor("y", &inner)};
    ck_assert_int_eq(hk_kernel_run(h.f.kernel, same, 2, &h.f.error), HK_ERROR_DIAGNOSTICS);
    expect_code(&h.f, "HK0709");
    hk_exec_free(exec);
    clReleaseMemObject(part);
    clReleaseMemObject(whole);
    host_close(&h);
}
END_TEST

static void expect_refused(Host *h, DLTensor x, DLTensor y, const char *code, const char *text)
{
    hk_arg args[] = {hk_tensor("x", &x), hk_tensor("y", &y)};
    hk_status status = hk_kernel_run(h->f.kernel, args, 2, &h->f.error);
    ck_assert_msg(status == HK_ERROR_DIAGNOSTICS, "status %d, not '%s'", (int)status, text);
    expect_code(&h->f, code);
    expect_message(&h->f, text);
}

START_TEST(test_refusals)
{
    Host h;
    if (!host_open(&h, next, 0)) return;
    int64_t shape[1] = {N}, back[1] = {-1};
    const size_t bytes = N * sizeof(float);
    cl_mem a = buffer_new(&h, CL_MEM_READ_WRITE, bytes),
           b = buffer_new(&h, CL_MEM_READ_WRITE, bytes),
           in = buffer_new(&h, CL_MEM_READ_ONLY, bytes),
           out = buffer_new(&h, CL_MEM_WRITE_ONLY, bytes);
    cl_int status;
    cl_context other = clCreateContext(NULL, 1, &h.device, NULL, NULL, &status);
    cl_mem foreign = clCreateBuffer(other, CL_MEM_READ_WRITE, bytes, NULL, &status);
    float memory[N + 4];
    char *odd = (char *)(((uintptr_t)memory + 15) / 16 * 16) + 4;
    cl_mem unaligned = clCreateBuffer(h.context, CL_MEM_USE_HOST_PTR, bytes - 16, odd, &status);
    ck_assert_int_eq(status, CL_SUCCESS);
    DLTensor x = on_device(a, 0, shape), y = on_device(b, 0, shape), bad = y;

    bad = on_device(b, 8, shape);
    expect_refused(&h, x, bad, "HK0707", "ends at byte 288 of its buffer, which has 280 bytes");
    bad = on_device(b, 2, shape);
    expect_refused(&h, x, bad, "HK0708", "begins at byte 2");
    bad = y;
    bad.strides = back;
    expect_refused(&h, x, bad, "HK0708", "reaches 276 bytes before its buffer");
    bad = y;
    bad.data = NULL;
    expect_refused(&h, x, bad, "HK0715", "argument y has no data");
    expect_refused(&h, on_device(foreign, 0, shape), y, "HK0714", "another OpenCL context");
    expect_refused(&h, x, on_device(in, 0, shape), "HK0714", "CL_MEM_READ_ONLY");
    expect_refused(&h, on_device(out, 0, shape), y, "HK0714", "CL_MEM_WRITE_ONLY");
    expect_refused(&h, on_device(unaligned, 0, shape), y, "HK0708", "aligned to 16 bytes");
    expect_refused(&h, x, x, "HK0709", "overlaps");
    bad = y;
    bad.device.device_id = 1;
    expect_refused(&h, x, bad, "HK0714", "argument y is on OpenCL device 1; the kernel runs on 0");

    hk_arg args[] = {hk_tensor("x", &x), hk_tensor("y", &y)};
    hk_specialize_options options = {.struct_size = sizeof options, .args = args, .arg_count = 2};
    hk_exec *exec;
    ck_ok(hk_kernel_specialize(h.f.kernel, &options, &exec, &h.f.error), &h.f.error);
    ck_assert_int_eq(hk_exec_run(exec, args, 2, &h.f.error), HK_ERROR_DIAGNOSTICS);
    expect_message(&h.f, "the kernel runs on the CPU");
    ck_assert_int_eq(hk_stream_run(h.stream, exec, args, 2, &h.f.error), HK_ERROR_USAGE);
    expect_message(&h.f, "not for the stream's OpenCL device");
    hk_exec_free(exec);
    hk_trial *trial;
    ck_assert_int_eq(hk_trial_create(h.f.kernel, &options, &trial, &h.f.error),
                     HK_ERROR_DIAGNOSTICS);
    expect_message(&h.f, "wants tensors in host memory");

    // After all that, it runs.
    ck_ok(hk_kernel_run(h.f.kernel, args, 2, &h.f.error), &h.f.error);
    cl_mem all[] = {a, b, in, out, foreign, unaligned};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) clReleaseMemObject(all[i]);
    clReleaseContext(other);
    host_close(&h);
}
END_TEST

START_TEST(test_wrong_queues)
{
    Host h;
    if (!host_open(&h, next, 0)) return;
    cl_int status;
    cl_context other = clCreateContext(NULL, 1, &h.device, NULL, NULL, &status);
    hk_stream *stream;
    cl_command_queue queue = clCreateCommandQueue(other, h.device, 0, &status);
    hk_stream_options wrong = {.struct_size = sizeof wrong, .queue = queue};
    ck_assert_int_eq(hk_stream_create(h.f.context, &wrong, &stream, &h.f.error),
                     HK_ERROR_ENVIRONMENT);
    expect_message(&h.f, "another OpenCL context");
    wrong = (hk_stream_options){.struct_size = sizeof wrong, .device = 1};
    ck_assert_int_eq(hk_stream_create(h.f.context, &wrong, &stream, &h.f.error),
                     HK_ERROR_ENVIRONMENT);
    expect_message(&h.f, "there is no OpenCL device 1");
    clReleaseCommandQueue(queue);
    clReleaseContext(other);
    host_close(&h);
}
END_TEST

// What is wrong in the data: promises are checked before the launch, asserts in it; a wait tells,
// and once only.
START_TEST(test_data)
{
    static const char text[] =
        "kernel pick(x: f32[K], at: i32[N] in 0..K) -> (y: f32[N]) {"
        "    tile n in N { assert(x[at[n]] >= 0.0, \"negative\"); y[n] = x[at[n]]; }"
        "}";
    Host h;
    if (!host_open(&h, text, 0)) return;
    float x[4] = {1, 2, 3, 4}, y[3];
    int32_t at[3] = {3, 0, 2};
    int64_t four[1] = {4}, three[1] = {3};
    cl_mem buffer = buffer_new(&h, CL_MEM_READ_WRITE, 256);
    DLTensor xs = on_device(buffer, 0, four), indices = on_device(buffer, 64, three),
             ys = on_device(buffer, 128, three);
    indices.dtype = (DLDataType){kDLInt, 32, 1};
    hk_arg args[] = {hk_tensor("x", &xs), hk_tensor("at", &indices), hk_tensor("y", &ys)};
    hk_exec *exec = exec_for(&h, args, 3);
    put(&h, buffer, 0, x, sizeof x);
    put(&h, buffer, 64, at, sizeof at);
    ck_ok(hk_stream_run(h.stream, exec, args, 3, &h.f.error), &h.f.error);
    ck_ok(hk_stream_wait(h.stream, &h.f.error), &h.f.error);
    get(&h, buffer, 128, y, sizeof y);
    ck_assert(y[0] == 4 && y[1] == 1 && y[2] == 3);
    x[2] = -1;
    put(&h, buffer, 0, x, sizeof x);
    ck_ok(hk_stream_run(h.stream, exec, args, 3, &h.f.error), &h.f.error);
    ck_assert_int_eq(hk_stream_wait(h.stream, &h.f.error), HK_ERROR_TRAP);
    expect_message(&h.f, "negative");
    ck_ok(hk_stream_wait(h.stream, &h.f.error), &h.f.error);
    ck_assert_int_eq(hk_exec_run(exec, args, 3, &h.f.error), HK_ERROR_TRAP);
    expect_message(&h.f, "negative");
    at[1] = 4;
    put(&h, buffer, 64, at, sizeof at);
    ck_assert_int_eq(hk_stream_run(h.stream, exec, args, 3, &h.f.error), HK_ERROR_DIAGNOSTICS);
    expect_code(&h.f, "HK0710");
    hk_exec_free(exec);
    clReleaseMemObject(buffer);
    host_close(&h);
}
END_TEST

// Outputs that begin with a value, compact and strided, of two phases, in a queue without order.
START_TEST(test_sums)
{
    static const char text[] = "kernel sums(x: f32[M, N]) -> (y: f32[N]) {"
                               "    tile m in M, n in N { fold y[n] += sum[m](x[m, n]); }"
                               "}";
    Host h;
    if (!host_open(&h, text, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE)) return;
    enum { M = 300 };
    static float x[M * N], y[2 * N];
    int64_t two[2] = {M, N}, one[1] = {N}, step[1] = {2};
    for (int i = 0; i < M * N; i++) x[i] = (float)(i % 5);
    cl_mem from = buffer_new(&h, CL_MEM_READ_ONLY, sizeof x),
           to = buffer_new(&h, CL_MEM_READ_WRITE, sizeof y);
    DLTensor xs = on_device(from, 0, two), ys = on_device(to, 0, one);
    xs.ndim = 2;
    hk_arg args[] = {hk_tensor("x", &xs), hk_tensor("y", &ys)};
    put(&h, from, 0, x, sizeof x);
    for (int strided = 0; strided < 2; strided++) {
        ys.strides = strided ? step : NULL;
        for (int i = 0; i < 2 * N; i++) y[i] = -7;
        put(&h, to, 0, y, sizeof y);
        hk_exec *exec = exec_for(&h, args, 2);
        for (int round = 0; round < 3; round++)
            ck_ok(hk_stream_run(h.stream, exec, args, 2, &h.f.error), &h.f.error);
        ck_ok(hk_stream_wait(h.stream, &h.f.error), &h.f.error);
        get(&h, to, 0, y, sizeof y);
        for (int n = 0; n < N; n++) {
            float want = 0;
            for (int m = 0; m < M; m++) want += x[m * N + n];
            ck_assert_float_eq(y[strided ? 2 * n : n], want);
            if (strided) ck_assert_float_eq(y[2 * n + 1], -7);
        }
        hk_exec_free(exec);
    }
    clReleaseMemObject(from);
    clReleaseMemObject(to);
    host_close(&h);
}
END_TEST

typedef struct Worker {
    Host *h;
    pthread_t thread;
    const char *failure;
} Worker;

// Each thread has buffers of its own; the stream is one.
static void *work(void *self)
{
    Worker *w = self;
    float x[N], y[N];
    int64_t shape[1] = {N};
    hk_error *error = NULL;
    cl_mem a = clCreateBuffer(w->h->context, CL_MEM_READ_WRITE, sizeof x, NULL, NULL);
    DLTensor xs = on_device(a, 0, shape), ys = tensor_of(y, 1, shape);
    hk_arg args[] = {hk_tensor("x", &xs), hk_tensor("y", &ys)};
    hk_exec *exec = exec_for(w->h, args, 2);
    for (int round = 0; round < 20 && !w->failure; round++) {
        for (int i = 0; i < N; i++) x[i] = (float)(i + round);
        clEnqueueWriteBuffer(w->h->queue, a, CL_TRUE, 0, sizeof x, x, 0, NULL, NULL);
        bool own = round % 2;
        hk_status status = own ? hk_exec_run(exec, args, 2, &error)
                               : hk_stream_run(w->h->stream, exec, args, 2, &error);
        if (status != HK_OK) w->failure = "a launch failed";
        for (int i = 0; i < N; i++)
            if (y[i] != x[i] + 1) w->failure = "wrong result";
    }
    hk_error_free(error);
    hk_exec_free(exec);
    clReleaseMemObject(a);
    return NULL;
}

START_TEST(test_threads)
{
    Host h;
    if (!host_open(&h, next, 0)) return;
    Worker workers[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = (Worker){.h = &h};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_msg(!workers[i].failure, "%s", workers[i].failure);
    }
    host_close(&h);
}
END_TEST

// Without a context of the host: that of a stream.
START_TEST(test_own_context)
{
    Host h;
    if (!host_open(&h, next, 0)) return;
    Fixture f = fixture(next);
    hk_stream *stream;
    ck_ok(hk_stream_create(f.context, NULL, &stream, &f.error), &f.error);
    Host own = {.queue = hk_stream_queue(stream)};
    clGetCommandQueueInfo(own.queue, CL_QUEUE_CONTEXT, sizeof own.context, &own.context, NULL);
    float x[N], y[N];
    int64_t shape[1] = {N};
    for (int i = 0; i < N; i++) x[i] = (float)i;
    cl_mem a = buffer_new(&own, CL_MEM_READ_WRITE, sizeof x);
    DLTensor xs = on_device(a, 0, shape), ys = tensor_of(y, 1, shape);
    hk_arg args[] = {hk_tensor("x", &xs), hk_tensor("y", &ys)};
    put(&own, a, 0, x, sizeof x);
    ck_ok(hk_kernel_run(f.kernel, args, 2, &f.error), &f.error);
    for (int i = 0; i < N; i++) ck_assert_float_eq(y[i], x[i] + 1);
    clReleaseMemObject(a);
    hk_stream_free(stream);
    fixture_free(&f);
    host_close(&h);
}
END_TEST

// The launch that finds the device lost fails. The next ones have a new context, in streams that
// there were as well; buffers of the old one are refused.
START_TEST(test_lost)
{
    Host h;
    if (!host_open(&h, next, 0)) return;
    Fixture f = fixture(next);
    hk_stream *stream;
    float x[N], y[N];
    int64_t shape[1] = {N};
    for (int i = 0; i < N; i++) x[i] = (float)i;
    DLTensor xs = tensor_of(x, 1, shape), ys = tensor_of(y, 1, shape);
    hk_arg args[] = {hk_tensor("x", &xs), hk_tensor("y", &ys)};
    hk_exec *exec = exec_for(&(Host){.f = f}, args, 2);
    ck_ok(hk_stream_create(f.context, NULL, &stream, &f.error), &f.error);
    Host old = {.queue = hk_stream_queue(stream)};
    clGetCommandQueueInfo(old.queue, CL_QUEUE_CONTEXT, sizeof old.context, &old.context, NULL);
    cl_mem buffer = buffer_new(&old, CL_MEM_READ_WRITE, sizeof x);
    ck_ok(hk_exec_run(exec, args, 2, &f.error), &f.error);
    contexts_made = 0;
    is_lost = true;
    ck_assert_int_eq(hk_exec_run(exec, args, 2, &f.error), HK_ERROR_ENVIRONMENT);
    ck_assert_ptr_nonnull(strstr(hk_error_text(f.error, false), "is lost, and what"));
    expect_message(&f, "clFinish failed: CL_INVALID_COMMAND_QUEUE");
    for (int turn = 0; turn < 4; turn++) {
        memset(y, 0, sizeof y);
        if (turn % 2) {
            ck_ok(hk_stream_run(stream, exec, args, 2, &f.error), &f.error);
            ck_ok(hk_stream_wait(stream, &f.error), &f.error);
        } else {
            ck_ok(hk_exec_run(exec, args, 2, &f.error), &f.error);
        }
        for (int i = 0; i < N; i++) ck_assert_float_eq(y[i], x[i] + 1);
    }
    ck_assert_int_eq(contexts_made, 1);
    DLTensor there = on_device(buffer, 0, shape);
    args[0] = hk_tensor("x", &there);
    ck_assert_int_ne(hk_stream_run(stream, exec, args, 2, &f.error), HK_OK);
    expect_message(&f, "is a buffer of another OpenCL context");
    clReleaseMemObject(buffer);
    hk_exec_free(exec);
    hk_stream_free(stream);
    fixture_free(&f);
    host_close(&h);
}
END_TEST

// What the host made is the host's to make again.
START_TEST(test_lost_host)
{
    Host h;
    if (!host_open(&h, next, 0)) return;
    float x[N] = {0}, y[N];
    int64_t shape[1] = {N};
    DLTensor xs = tensor_of(x, 1, shape), ys = tensor_of(y, 1, shape);
    hk_arg args[] = {hk_tensor("x", &xs), hk_tensor("y", &ys)};
    hk_exec *exec = exec_for(&h, args, 2);
    is_lost = true;
    ck_assert_int_eq(hk_exec_run(exec, args, 2, &h.f.error), HK_ERROR_ENVIRONMENT);
    ck_assert_ptr_nonnull(strstr(hk_error_text(h.f.error, false), "make another context"));
    hk_error_free(h.f.error);
    h.f.error = NULL;
    hk_exec_free(exec);
    host_close(&h);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("opencl");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300);
    tcase_add_test(all, test_chain);
    tcase_add_test(all, test_layouts);
    tcase_add_test(all, test_refusals);
    tcase_add_test(all, test_wrong_queues);
    tcase_add_test(all, test_data);
    tcase_add_test(all, test_sums);
    tcase_add_test(all, test_threads);
    tcase_add_test(all, test_own_context);
    tcase_add_test(all, test_lost);
    tcase_add_test(all, test_lost_host);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}

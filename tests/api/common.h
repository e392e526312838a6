// A context with a module from a string, and shorthands; for the tests of the library.
#ifndef HK_TESTS_API_COMMON_H
#define HK_TESTS_API_COMMON_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "include/hako.h"

typedef struct Fixture {
    hk_context *context;
    hk_module *module;
    const hk_kernel *kernel; // the first
    hk_error *error;
} Fixture;

static inline void ck_ok(hk_status status, hk_error **error)
{
    ck_assert_msg(status == HK_OK, "status %d: %s", (int)status, hk_error_text(*error, false));
}

static inline Fixture fixture_with(const hk_context_options *options, const char *text)
{
    Fixture f = {0};
    ck_ok(hk_context_create(options, &f.context, &f.error), &f.error);
    ck_ok(hk_module_load_text(f.context, "test.hk", text, HK_TERMINATED, &f.module, &f.error),
          &f.error);
    f.kernel = hk_module_kernel(f.module, 0);
    return f;
}

static inline Fixture fixture(const char *text)
{
    return fixture_with(NULL, text);
}

static inline void fixture_free(Fixture *f)
{
    hk_error_free(f->error);
    hk_module_free(f->module);
    hk_context_free(f->context);
}

static inline DLTensor tensor_of(void *data, int32_t ndim, int64_t *shape)
{
    return (DLTensor){data, {kDLCPU, 0}, ndim, {kDLFloat, 32, 1}, shape, NULL, 0};
}

// The error is the diagnostic "HKnnnn".
static inline void expect_code(Fixture *f, const char *code)
{
    const char *text = hk_error_text(f->error, false);
    ck_assert_msg(strstr(text, code) != NULL, "'%s' is not %s", text, code);
}

// The error's message contains the text; the error is freed.
static inline void expect_message(Fixture *f, const char *text)
{
    ck_assert_msg(strstr(hk_error_message(f->error), text) != NULL, "'%s' lacks '%s'",
                  hk_error_message(f->error), text);
    hk_error_free(f->error);
    f->error = NULL;
}

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif

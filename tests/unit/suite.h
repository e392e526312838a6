// What every test program of this folder ends with.
#ifndef HK_TESTS_UNIT_SUITE_H
#define HK_TESTS_UNIT_SUITE_H

#include <check.h>

static inline int run_cases(const char *name, TCase *cases)
{
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif

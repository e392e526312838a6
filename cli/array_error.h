/* How the files about arrays report: one sentence and an exit code. */
#ifndef HK_CLI_ARRAY_ERROR_H
#define HK_CLI_ARRAY_ERROR_H

#include "cli/array.h"

void array_fail(ArrayError *error, int exit_code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif

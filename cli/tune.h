// Tuning from the command line: hk_tune searches; a worker process, which is this program again,
// compiles and runs what it is told.
#ifndef HK_CLI_TUNE_H
#define HK_CLI_TUNE_H

#include "cli/cli.h"

Command command_tune, command_tune_worker;

// Arguments as given or made up from a row of shapes; compiled as far as the space needs.
int tune_prepare(Session *session);

// tune_space.c: prints the space. 0, or an exit code after printing why.
int tune_space(const Session *session);

// tune_file.c: writes the block of a kernel and shape into FILE.hkt. 0, or an exit code after
// printing why.
int tune_file_write(const Session *session, const char *config, const char *remark, char **path);

#endif

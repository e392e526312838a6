// Launches with arguments that an exec has already run with, but for addresses.
#ifndef HK_RUNTIME_WARM_H
#define HK_RUNTIME_WARM_H

#include "runtime/launch.h"

// True if such a launch was known and has run; *status is its outcome. False: nothing has happened.
bool warm_run(const hk_exec *exec, const hk_arg *args, size_t count, hk_status *status,
              hk_error **error);
// Whether there is such a launch; its workspaces may be in use.
bool warm_fits(const hk_exec *exec, const hk_arg *args, size_t count);
// After a launch that went well.
void warm_keep(const Launch *launch);
void warm_free_all(hk_exec *exec);

#endif

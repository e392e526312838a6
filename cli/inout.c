// A run changes its inout tensors: whoever runs a kernel repeatedly starts each run from copies of
// what they were.
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static bool is_inout(const Session *s, const char *name)
{
    hk_param param = {.struct_size = sizeof param};
    for (size_t i = 0; hk_kernel_param(s->kernel, i, &param) == HK_OK; i++) {
        if (param.kind == HK_PARAM_INOUT && strcmp(param.name, name) == 0) return true;
    }
    return false;
}

int inout_keep(Session *s, Array **kept)
{
    *kept = must_alloc(sizeof(Array) * (s->arg_count + 1));
    for (size_t i = 0; i < s->arg_count; i++) {
        if (!is_inout(s, s->args[i].name) || !s->arrays[i].memory) continue;
        Array compact;
        if (!array_copy(&(*kept)[i], &s->arrays[i]) || !array_copy(&compact, &s->arrays[i]))
            return io_error("no memory for copies of the inout tensors");
        array_free(&s->arrays[i]);
        s->arrays[i] = compact;
        array_tensor(&s->arrays[i]);
    }
    return 0;
}

void inout_restore(Session *s, const Array *kept)
{
    for (size_t i = 0; i < s->arg_count; i++) {
        if (kept[i].memory) memcpy(s->arrays[i].memory, kept[i].memory, array_bytes(&kept[i]));
    }
}

void inout_free(const Session *s, Array *kept)
{
    for (size_t i = 0; kept && i < s->arg_count; i++) array_free(&kept[i]);
    free(kept);
}

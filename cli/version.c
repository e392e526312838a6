// hako version [--json]
#include <jansson.h>
#include <string.h>

#include "cli/cli.h"

int command_version(Options *options)
{
    hk_context *context;
    hk_error *error;
    hk_text *text;
    hk_status status = hk_context_create(NULL, &context, &error);
    if (status == HK_OK) status = hk_context_describe(context, &text, &error);
    if (status != HK_OK) return report(options, status, error);
    json_t *about = json_loads(hk_text_data(text), 0, NULL);
    if (options->json) {
        json_dumpf(about, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else {
        printf("hako %s (LLVM %s)\n", hk_version_text(), hk_llvm_version_text());
        printf("cpu: %s, %lld threads, vectors of %lld bytes\n",
               json_string_value(json_object_get(about, "cpu")),
               (long long)json_integer_value(json_object_get(about, "threads")),
               (long long)json_integer_value(json_object_get(about, "vector_bytes")));
        json_t *devices = json_object_get(about, "opencl");
        for (size_t i = 0; i < json_array_size(devices); i++) {
            json_t *device = json_array_get(devices, i);
            printf("opencl %zu: %s, %s\n", i, json_string_value(json_object_get(device, "name")),
                   json_string_value(json_object_get(device, "platform")));
        }
        const char *reason = json_string_value(json_object_get(about, "opencl_reason"));
        if (reason) printf("opencl: none (%s)\n", reason);
    }
    json_decref(about);
    hk_text_free(text);
    hk_context_free(context);
    return 0;
}

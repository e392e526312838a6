// hako devices [--json]: the OpenCL devices; and the choice of one, --target=opencl:N or :NAME.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"

// The array of devices; empty after printing why, with the exit code.
static json_t *list_devices(int *code)
{
    Options quiet = {.diagnostics = "text"};
    hk_context *context = NULL;
    hk_error *error;
    hk_text *text = NULL;
    hk_status status = hk_context_create(NULL, &context, &error);
    if (status == HK_OK) status = hk_context_describe(context, &text, &error);
    *code = status == HK_OK ? 0 : report(&quiet, status, error);
    json_t *about = text ? json_loads(hk_text_data(text), 0, NULL) : NULL;
    json_t *devices = json_incref(json_object_get(about, "opencl"));
    const char *reason = json_string_value(json_object_get(about, "opencl_reason"));
    if (*code == 0 && json_array_size(devices) == 0)
        *code = io_error("%s", reason ? reason : "there is no OpenCL device");
    json_decref(about);
    hk_text_free(text);
    hk_context_free(context);
    return devices;
}

static long long number_of(const json_t *device, const char *key)
{
    return (long long)json_integer_value(json_object_get(device, key));
}

static void print_device(size_t number, const json_t *device)
{
    static const char *const features[] = {"fp64", "int64_atomics", "fp16", "subgroups"};
    printf("opencl:%zu  %s\n", number, text_of(device, "name"));
    printf("          %s, driver %s\n", text_of(device, "platform"), text_of(device, "driver"));
    printf("          %s, %lld compute units, work-groups of up to %lld, %lld KiB local, "
           "%.1f GiB global, %.1f GiB in a buffer\n",
           json_is_true(json_object_get(device, "is_cpu")) ? "CPU" : "accelerator",
           number_of(device, "compute_units"), number_of(device, "work_group_max"),
           number_of(device, "local_bytes") / 1024,
           (double)number_of(device, "global_bytes") / (1 << 30),
           (double)number_of(device, "allocation_bytes_max") / (1 << 30));
    printf("         ");
    for (size_t k = 0; k < sizeof features / sizeof *features; k++) {
        bool has = json_is_true(json_object_get(device, features[k]));
        printf("%s%s%s", k ? ", " : " ", has ? "" : "no ", features[k]);
    }
    putchar('\n');
}

int command_devices(Options *options)
{
    int code = 0;
    if (options->file_count) return usage_error("hako devices takes no arguments");
    json_t *devices = list_devices(&code);
    if (options->json) {
        json_dumpf(devices ? devices : json_null(), stdout,
                   JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
        putchar('\n');
    } else {
        for (size_t i = 0; i < json_array_size(devices); i++)
            print_device(i, json_array_get(devices, i));
    }
    json_decref(devices);
    return code;
}

// How well a name fits a device: 2 whole, 1 a part of its name or its platform's, 0 not.
static int fits(const json_t *device, const char *name)
{
    if (strcasecmp(text_of(device, "name"), name) == 0) return 2;
    return strcasestr(text_of(device, "name"), name) ||
           strcasestr(text_of(device, "platform"), name);
}

static int find_named(const json_t *devices, const char *name, uint32_t *device)
{
    int best = 0;
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(devices); i++) {
        int fit = fits(json_array_get(devices, i), name);
        if (fit > best) *device = (uint32_t)i;
        count = fit > best ? 1 : count + (fit && fit == best);
        if (fit > best) best = fit;
    }
    if (count == 1) return 0;
    if (!count) return io_error("no OpenCL device is called '%s'; `hako devices` lists them", name);
    return usage_error("%zu OpenCL devices are called '%s'; name one by its number, which `hako "
                       "devices` shows",
                       count, name);
}

int device_select(const char *name, uint32_t *device)
{
    if (!*name) return usage_error("--target=opencl:N wants a device's number or name behind ':'");
    if (strspn(name, "0123456789") == strlen(name)) {
        unsigned long number = strlen(name) < 10 ? strtoul(name, NULL, 10) : UINT32_MAX;
        *device = (uint32_t)number;
        return 0;
    }
    int code = 0;
    json_t *devices = list_devices(&code);
    if (code == 0) code = find_named(devices, name, device);
    json_decref(devices);
    return code;
}

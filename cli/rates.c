// What `hako machine` measured, kept for the model of time: a file beside the code cache, or what
// $HAKO_MACHINE names.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

char *rates_path(void)
{
    const char *own = getenv("HAKO_MACHINE"), *folder = code_cache_folder();
    if (own) return own[0] && strcmp(own, "none") != 0 ? must_format("%s", own) : NULL;
    return folder ? must_format("%s/machine.json", folder) : NULL;
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

bool rates_load(hk_rates *rates)
{
    char *path = rates_path();
    json_t *about = path ? json_load_file(path, 0, NULL) : NULL;
    const json_t *memory = json_object_get(about, "memory");
    free(path);
    *rates = (hk_rates){.flops = number_of(about, "gflops_one") * 1e9,
                        .launch = number_of(about, "launch_ns") * 1e-9,
                        .threads = number_of(about, "threads")};
    for (size_t k = 0; k < 4; k++)
        rates->read[k] = number_of(json_array_get(memory, k), "read_gbytes") * 1e9;
    bool whole = rates->flops > 0 && json_array_size(memory) == 4;
    json_decref(about);
    return whole;
}

char *rates_save(const json_t *about)
{
    char *path = rates_path(), *text = json_dumps(about, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    const char *folder = code_cache_folder();
    bool own = getenv("HAKO_MACHINE") != NULL;
    for (char *at = own || !folder ? NULL : strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = 0; // each folder on the way
        mkdir(path, 0700);
        *at = '/';
    }
    bool ok = path && text && write_whole(path, text, strlen(text)) == 0;
    free(text);
    if (ok) return path;
    free(path);
    return NULL;
}

// A safetensors file: 8 bytes, the length of a JSON header; the header, which says dtype, shape and
// place of each tensor; the data. All that the header claims is checked against the file before it
// is believed.
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "minilm.h"

enum { RANK_MAX = 4 };

typedef struct Weight {
    const char *name; // borrowed from the header
    DLTensor tensor;
    int64_t shape[RANK_MAX];
} Weight;

struct Weights {
    char *data; // of the file
    size_t bytes;
    json_t *header;
    Weight *list;
    size_t count;
};

static bool complain(const char *path, const char *name, const char *why)
{
    fprintf(stderr, "minilm: %s: %s%s%s\n", path, name, *name ? ": " : "", why);
    return false;
}

// One entry of the header: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}.
static bool read_entry(Weights *w, const char *path, const char *name, const json_t *entry,
                       size_t start)
{
    const json_t *shape = json_object_get(entry, "shape"),
                 *offsets = json_object_get(entry, "data_offsets");
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    Weight *weight = &w->list[w->count];
    size_t rank = json_array_size(shape), elements = 1;
    if (!dtype || !json_is_array(shape) || json_array_size(offsets) != 2 || rank > RANK_MAX)
        return complain(path, name, "its entry is malformed");
    if (strcmp(dtype, "F32") != 0) return true; // such as position_ids: not needed
    for (size_t k = 0; k < rank; k++) {
        json_int_t size = json_integer_value(json_array_get(shape, k));
        weight->shape[k] = size;
        if (size < 0 || __builtin_mul_overflow(elements, (size_t)size, &elements))
            return complain(path, name, "its shape is impossible");
    }
    json_int_t begin = json_integer_value(json_array_get(offsets, 0)),
               end = json_integer_value(json_array_get(offsets, 1));
    size_t room = w->bytes - start;
    if (begin < 0 || end < begin || (uint64_t)end > room || elements > room / 4 ||
        (size_t)(end - begin) != 4 * elements)
        return complain(path, name, "its data do not lie within the file, or do not fit its shape");
    weight->name = name;
    DLDataType f32 = {kDLFloat, 32, 1};
    char *data = w->data + start + begin;
    weight->tensor = (DLTensor){data, {kDLCPU, 0}, (int32_t)rank, f32, weight->shape, NULL, 0};
    w->count++;
    return true;
}

static bool read_header(Weights *w, const char *path)
{
    uint64_t length = 0;
    if (w->bytes >= 8)
        memcpy(&length, w->data, 8); // little-endian, as the machines that this runs on
    if (w->bytes < 8 || length > w->bytes - 8)
        return complain(path, "", "it is no safetensors file, or truncated");
    json_error_t error;
    w->header = json_loadb(w->data + 8, length, 0, &error);
    if (!json_is_object(w->header)) return complain(path, "header", error.text);
    w->list = calloc(json_object_size(w->header) + 1, sizeof *w->list);
    if (!w->list) return complain(path, "", "out of memory");
    const char *name;
    json_t *entry;
    json_object_foreach(w->header, name, entry)
    {
        if (strcmp(name, "__metadata__") != 0 && !read_entry(w, path, name, entry, 8 + length))
            return false;
    }
    return true;
}

Weights *weights_open(const char *path)
{
    Weights *w = calloc(1, sizeof *w);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (!w || file < 0 || fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
        complain(path, "", "cannot be read");
    } else {
        w->bytes = (size_t)info.st_size;
        w->data = mmap(NULL, w->bytes ? w->bytes : 1, PROT_READ, MAP_PRIVATE, file, 0);
        if (w->data == MAP_FAILED) w->data = NULL;
    }
    if (file >= 0) close(file);
    if (w && w->data && read_header(w, path)) return w;
    weights_close(w);
    return NULL;
}

DLTensor *weights_get(const Weights *w, const char *name)
{
    for (size_t k = 0; k < w->count; k++)
        if (strcmp(w->list[k].name, name) == 0) return &w->list[k].tensor;
    fprintf(stderr, "minilm: the model has no tensor %s\n", name);
    return NULL;
}

void weights_close(Weights *w)
{
    if (!w) return;
    if (w->data) munmap(w->data, w->bytes ? w->bytes : 1);
    json_decref(w->header);
    free(w->list);
    free(w);
}

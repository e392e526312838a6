// For the programs that call libraries of kernels: .npy files of f32 and i64 in C order, and a call
// that must succeed.
#ifndef ARRAYS_H
#define ARRAYS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The data of a .npy file of that many bytes, or the end of the program.
static inline void *npy_load(const char *path, size_t bytes)
{
    FILE *file = fopen(path, "rb");
    unsigned char head[10];
    void *data = calloc(bytes + 1, 1);
    if (!file || !data || fread(head, 1, 10, file) != 10 ||
        fseek(file, 10 + head[8] + 256 * head[9], SEEK_SET) ||
        fread(data, 1, bytes, file) != bytes) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(3);
    }
    fclose(file);
    return data;
}

// Whether the bytes are those of a .npy file; prints the largest difference of floats otherwise.
static inline int npy_same(const char *path, const float *data, size_t count, double allowed)
{
    float *want = (float *)npy_load(path, count * sizeof *want);
    double most = 0;
    int same = memcmp(want, data, count * sizeof *want) == 0;
    for (size_t k = 0; k < count; k++) {
        double d = (double)data[k] - (double)want[k];
        if (!(d <= most && -d <= most)) most = d < 0 ? -d : d;
    }
    free(want);
    if (same || (allowed > 0 && most <= allowed)) return 1;
    printf("%s: results differ by %g\n", path, most);
    return 0;
}

#define MUST(call)                                                                                 \
    do {                                                                                           \
        hako_error error_ = {0, ""};                                                               \
        if (call) {                                                                                \
            printf("line %d: %s\n", __LINE__, error_.message);                                     \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

// The call must fail with the message.
#define FAILS(call, status, text)                                                                  \
    do {                                                                                           \
        hako_error error_ = {0, ""};                                                               \
        int got_ = (int)(call);                                                                    \
        if (got_ != (status) || strcmp(error_.message, text) != 0) {                               \
            printf("line %d: %d %s\n", __LINE__, got_, error_.message);                            \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

#endif

// NumPy's .npy files: versions 1 to 3 in, version 1 out.
//
//     \x93NUMPY, version, header length, {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4),
//     }, data
//
// Types that NumPy lacks are written as unsigned integers of their width: bf16 as <u2, fp8 as |u1,
// packed ones as the bytes of their lines. They are read back by giving the type in SPEC:
// 8x16xbf16=@a.npy.
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

enum { HEADER_MAX = 65536, RANK_MAX = 8 };

typedef struct Header {
    DLDataType dtype;
    bool swapped, fortran;
    int32_t ndim;
    int64_t shape[RANK_MAX];
} Header;

static int corrupt(const char *path, const char *why)
{
    return io_error("%s is not a usable .npy file: %s", path, why);
}

// The text behind 'key': in the header's dictionary; NULL if it is not there.
static const char *find_key(const char *header, const char *key)
{
    size_t length = strlen(key);
    for (const char *at = header; (at = strstr(at, key)); at += length) {
        char quote = at > header ? at[-1] : 0;
        if ((quote != '\'' && quote != '"') || at[length] != quote) continue;
        at += length + 1;
        while (isspace((unsigned char)*at)) at++;
        if (*at != ':') return NULL;
        at++;
        while (isspace((unsigned char)*at)) at++;
        return at;
    }
    return NULL;
}

static bool parse_descr(const char *at, Header *header)
{
    char quote = *at++;
    if (quote != '\'' && quote != '"') return false;
    char order = strchr("<>|=", *at) && *at ? *at++ : '=';
    char kind = *at ? *at++ : 0;
    char *end;
    long bytes = strtol(at, &end, 10);
    if (end == at || *end != quote) return false;
    bool power = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
    int code = kind == 'f'   ? kDLFloat
               : kind == 'i' ? kDLInt
               : kind == 'u' ? kDLUInt
               : kind == 'b' ? kDLBool
                             : -1;
    if (code < 0 || !power || (code == kDLBool && bytes != 1) || (code == kDLFloat && bytes == 1))
        return false;
    header->dtype = (DLDataType){(uint8_t)code, (uint8_t)(bytes * 8), 1};
    header->swapped = order == '>' && bytes > 1;
    return true;
}

static bool parse_shape(const char *at, Header *header)
{
    if (*at++ != '(') return false;
    for (;;) {
        while (isspace((unsigned char)*at) || *at == ',') at++;
        if (*at == ')') return true;
        char *end;
        errno = 0;
        long long size = strtoll(at, &end, 10);
        if (end == at || errno || size < 0 || header->ndim == RANK_MAX) return false;
        header->shape[header->ndim++] = size;
        at = *end == 'L' ? end + 1 : end;
    }
}

static int parse_header(const char *path, const char *text, Header *header)
{
    *header = (Header){0};
    const char *descr = find_key(text, "descr"), *order = find_key(text, "fortran_order"),
               *shape = find_key(text, "shape");
    if (!descr || !order || !shape)
        return corrupt(path, "its header lacks descr, fortran_order or shape");
    if (!parse_descr(descr, header)) {
        return corrupt(
            path,
            "its element type is none of bool, integers of 1 to 8 bytes, floats of 2 to 8 bytes");
    }
    if (!parse_shape(shape, header))
        return corrupt(path, "its shape is malformed or has more than 8 dimensions");
    header->fortran = strncmp(order, "True", 4) == 0;
    if (!header->fortran && strncmp(order, "False", 5) != 0)
        return corrupt(path, "its fortran_order is malformed");
    return 0;
}

static void swap_bytes(char *data, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++, data += bytes) {
        for (size_t a = 0, b = bytes - 1; a < b; a++, b--) {
            char t = data[a];
            data[a] = data[b];
            data[b] = t;
        }
    }
}

static int read_data(const char *path, FILE *file, const Header *header, Array *array)
{
    char shape[160];
    shape_print(shape, sizeof shape, header->ndim, header->shape);
    if (!array_init(array, header->dtype, header->ndim, header->shape)) {
        return io_error("%s: an array of %sx%s does not fit in memory", path, shape,
                        hk_dtype_name(header->dtype));
    }
    int64_t count = array_elements(array), step = 1;
    size_t bytes = (size_t)count * (header->dtype.bits / 8),
           got = fread(array->memory, 1, bytes, file);
    char extra;
    if (got < bytes || fread(&extra, 1, 1, file) == 1) {
        array_free(array);
        if (got < bytes)
            return io_error("%s is truncated: %zu of %zu bytes of data", path, got, bytes);
        return corrupt(path, "there are more bytes than its shape tells");
    }
    for (int32_t i = 0; header->fortran && i < header->ndim; i++) { // the first index runs fastest
        array->strides[i] = step;
        step *= header->shape[i] > 0 ? header->shape[i] : 1;
    }
    if (header->swapped) swap_bytes(array->memory, (size_t)count, header->dtype.bits / 8);
    if (header->dtype.code != kDLBool) return 0;
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)array->memory)[i] = ((uint8_t *)array->memory)[i] != 0;
    return 0;
}

// The size must be plausible before memory is asked for.
static bool size_fits(FILE *file, const Header *header)
{
    long start = ftell(file);
    if (start < 0 || fseek(file, 0, SEEK_END) != 0) return true; // a pipe: read_data will see
    long end = ftell(file);
    fseek(file, start, SEEK_SET);
    double bytes = header->dtype.bits / 8.0;
    for (int32_t i = 0; i < header->ndim; i++) bytes *= (double)header->shape[i];
    return bytes <= (double)(end - start);
}

static int read_file(const char *path, FILE *file, Array *array)
{
    unsigned char start[12];
    if (fread(start, 1, 10, file) != 10) return corrupt(path, "it is shorter than a header");
    if (memcmp(start, "\x93NUMPY", 6) != 0)
        return corrupt(path, "it does not start with NumPy's mark");
    int version = start[6];
    if (version < 1 || version > 3) return corrupt(path, "its version is none of 1, 2, 3");
    size_t length = start[8] | (size_t)start[9] << 8;
    if (version > 1) {
        if (fread(start + 10, 1, 2, file) != 2) return corrupt(path, "it is shorter than a header");
        length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
    }
    if (length > HEADER_MAX) return corrupt(path, "its header is longer than 64 KiB");
    char *text = must_alloc(length + 1);
    Header header;
    int code = fread(text, 1, length, file) != length ? corrupt(path, "it ends within its header")
                                                      : parse_header(path, text, &header);
    free(text);
    if (code != 0) return code;
    if (!size_fits(file, &header)) {
        char shape[160];
        shape_print(shape, sizeof shape, header.ndim, header.shape);
        return io_error("%s is truncated: its data is shorter than %sx%s", path, shape,
                        hk_dtype_name(header.dtype));
    }
    return read_data(path, file, &header, array);
}

int npy_read(const char *path, Array *array)
{
    *array = (Array){0};
    FILE *file = fopen(path, "rb");
    if (!file) return io_error("cannot read %s: %s", path, strerror(errno));
    char probe;
    errno = 0;
    if (fread(&probe, 1, 1, file) == 0 && errno == EISDIR) {
        fclose(file);
        return io_error("cannot read %s: it is a directory", path);
    }
    rewind(file);
    int code = read_file(path, file, array);
    fclose(file);
    return code;
}

// ---- writing

static const char *descr_of(DLDataType dtype)
{
    if (dtype.bits < 8) return "|u1";
    if (dtype.code == kDLBool) return "|b1";
    static const char *const names[3][4] = {
        {"|i1", "<i2", "<i4", "<i8"}, {"|u1", "<u2", "<u4", "<u8"}, {"|u1", "<f2", "<f4", "<f8"}};
    int row = dtype.code == kDLInt ? 0 : dtype.code == kDLFloat ? 2 : 1;
    int column = dtype.bits == 8 ? 0 : dtype.bits == 16 ? 1 : dtype.bits == 32 ? 2 : 3;
    return names[row][column];
}

static bool write_file(FILE *file, const Array *array)
{
    char header[512] = "", shape[256] = "";
    DLDataType dtype = array->tensor.dtype;
    int32_t ndim = array->tensor.ndim;
    size_t at = 0;
    for (int32_t i = 0; i < ndim; i++) {
        int64_t size = array->shape[i];
        if (i + 1 == ndim && dtype.bits < 8) size = (size * dtype.bits + 7) / 8;
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%lld,%s", (long long)size,
                               i + 1 < ndim ? " " : "");
    }
    int length =
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                 descr_of(dtype), shape);
    int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    unsigned char start[10] = {0x93,
                               'N',
                               'U',
                               'M',
                               'P',
                               'Y',
                               1,
                               0,
                               (unsigned char)(padded & 255),
                               (unsigned char)(padded >> 8)};
    bool ok = fwrite(start, 1, 10, file) == 10 &&
              fprintf(file, "%s%*s\n", header, padded - length - 1, "") == padded;
    size_t bytes = array_elements(array) ? array_bytes(array) : 0;
    return ok && fwrite(array->memory, 1, bytes, file) == bytes;
}

int npy_write(const char *path, const Array *array, char **temporary)
{
    struct stat info; // a device or a pipe is written to, not replaced
    bool direct = stat(path, &info) == 0 && !S_ISREG(info.st_mode);
    *temporary = direct ? NULL : must_format("%s.%ld.tmp", path, (long)getpid());
    FILE *file = fopen(direct ? path : *temporary, "wb");
    bool ok = file && write_file(file, array);
    if (file && fclose(file) != 0) ok = false;
    if (ok) return 0;
    int code = io_error("cannot write %s: %s", path, strerror(errno));
    if (file && !direct) remove(*temporary);
    free(*temporary);
    *temporary = NULL;
    return code;
}

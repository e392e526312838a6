/* .npy files: the header is a Python dictionary in ASCII; see array.h and NumPy's format description
   (numpy.lib.format). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/array_error.h"

enum { HEADER_MAX = 65536 };

typedef struct Header {
    char order;       /* of bytes: '<', '>', '|' or '=' */
    DLDataType dtype; /* as stored */
    bool fortran;
    int32_t ndim;
    int64_t shape[ARRAY_RANK_MAX];
} Header;

static bool bad(ArrayError *error, const char *path, const char *what)
{
    array_fail(error, 3, "%s: %s", path, what);
    return false;
}

static const char *after_key(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (!at) return NULL;
    at += strlen(key);
    at += strspn(at, " ");
    if (*at != ':') return NULL;
    return at + 1 + strspn(at + 1, " ");
}

static bool parse_descr(const char *text, Header *h)
{
    if (!text || (*text != '\'' && *text != '"')) return false;
    h->order = text[1];
    if (!h->order || !strchr("<>|=", h->order)) return false;
    char kind = text[2], *end;
    long bytes = strtol(text + 3, &end, 10);
    if (*end != *text || bytes < 1 || bytes > 8 || (bytes & (bytes - 1))) return false;
    h->dtype = (DLDataType){.bits = (uint8_t)(bytes * 8), .lanes = 1};
    if (kind == 'f') h->dtype.code = kDLFloat;
    else if (kind == 'i') h->dtype.code = kDLInt;
    else if (kind == 'u') h->dtype.code = kDLUInt;
    else if (kind == 'b') h->dtype.code = kDLBool;
    else return false;
    return true;
}

static bool parse_tuple(const char *text, Header *h)
{
    if (!text || *text++ != '(') return false;
    for (;;) {
        text += strspn(text, " ,");
        if (*text == ')') return true;
        char *end;
        errno = 0;
        long long size = strtoll(text, &end, 10);
        if (end == text || errno || size < 0 || h->ndim == ARRAY_RANK_MAX) return false;
        h->shape[h->ndim++] = size;
        text = end + (*end == 'L');
    }
}

static bool parse_header(const char *text, Header *h)
{
    const char *fortran = after_key(text, "'fortran_order'");
    *h = (Header){.ndim = 0};
    if (!fortran || !parse_descr(after_key(text, "'descr'"), h) || !parse_tuple(after_key(text, "'shape'"), h))
        return false;
    h->fortran = strncmp(fortran, "True", 4) == 0;
    return h->fortran || strncmp(fortran, "False", 5) == 0;
}

static bool read_header(FILE *file, const char *path, Header *h, ArrayError *error)
{
    unsigned char magic[8], length_bytes[4];
    if (fread(magic, 1, 8, file) != 8 || memcmp(magic, "\x93NUMPY", 6) != 0)
        return bad(error, path, "is not a .npy file");
    if (magic[6] < 1 || magic[6] > 3) return bad(error, path, "has an unknown .npy version");
    size_t width = magic[6] == 1 ? 2 : 4, length = 0;
    if (fread(length_bytes, 1, width, file) != width) return bad(error, path, "is truncated in its header");
    for (size_t k = 0; k < width; k++) length |= (size_t)length_bytes[k] << (8 * k);
    if (length > HEADER_MAX) return bad(error, path, "has an absurdly long header");
    char *text = calloc(1, length + 1);
    if (!text) return bad(error, path, "no memory for its header");
    bool whole = fread(text, 1, length, file) == length;
    bool parsed = whole && parse_header(text, h);
    free(text);
    if (!whole) return bad(error, path, "is truncated in its header");
    return parsed ? true : bad(error, path, "has a header that is malformed, or a dtype that is not supported");
}

static bool is_big_endian(void)
{
    const uint16_t probe = 1;
    return *(const unsigned char *)&probe == 0;
}

static void swap_bytes(char *data, size_t bytes, size_t width)
{
    for (size_t at = 0; at + width <= bytes; at += width)
        for (size_t k = 0; k < width / 2; k++) {
            char c = data[at + k];
            data[at + k] = data[at + width - 1 - k];
            data[at + width - 1 - k] = c;
        }
}

/* Whether elements of one type may be taken as another: the same, or unsigned integers of equal width. */
static bool taken_as(DLDataType stored, DLDataType want)
{
    if (want.bits == 0 || (stored.code == want.code && stored.bits == want.bits)) return true;
    if (stored.bits != want.bits) return false;
    bool raw = stored.code == kDLUInt && (want.code == kDLBfloat || want.code >= kDLFloat8_e4m3fn || want.code == kDLFloat);
    return raw || (stored.code == kDLUInt && want.code == kDLBool) || (stored.code == kDLBool && want.code == kDLUInt);
}

static FILE *open_input(const char *path, ArrayError *error)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    if (!file) {
        array_fail(error, 3, "cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
        array_fail(error, 3, "cannot read %s: it is a directory", path);
        fclose(file);
        return NULL;
    }
    return file;
}

static bool read_body(FILE *file, const char *path, const Header *h, DLDataType want, Array *array, ArrayError *error)
{
    const char *name = hk_dtype_name(h->dtype), *wanted = want.bits ? hk_dtype_name(want) : "";
    if (!taken_as(h->dtype, want)) {
        array_fail(error, 1, "%s holds %s, but the SPEC says %s", path, name ? name : "another dtype", wanted);
        return false;
    }
    if (!array_alloc(array, want.bits ? want : h->dtype, h->ndim, h->shape, error)) {
        char why[ARRAY_ERROR_MAX];
        memcpy(why, error->message, sizeof why);
        array_fail(error, 3, "%.200s: %.280s", path, why);
        return false;
    }
    if (fread(array->memory, 1, array->bytes, file) != array->bytes) {
        array_free(array);
        return bad(error, path, "is truncated: its data ends before its shape says");
    }
    if (h->order != '|' && h->order != '=' && (h->order == '>') != is_big_endian())
        swap_bytes(array->memory, array->bytes, h->dtype.bits / 8u);
    if (!h->fortran) return true;
    int64_t stride = 1;
    for (int32_t k = 0; k < h->ndim; k++) {
        array->strides[k] = stride;
        stride *= h->shape[k] > 0 ? h->shape[k] : 1;
    }
    return true;
}

bool npy_read(const char *path, DLDataType want, Array *array, ArrayError *error)
{
    Header header;
    *array = (Array){.is_scalar = false};
    FILE *file = open_input(path, error);
    if (!file) return false;
    bool ok = read_header(file, path, &header, error) && read_body(file, path, &header, want, array, error);
    fclose(file);
    return ok;
}

static size_t write_header(const Array *array, char *out, size_t capacity)
{
    const DLTensor *t = &array->tensor;
    int width = t->dtype.bits < 8 ? 1 : t->dtype.bits / 8;
    char kind = t->dtype.code == kDLFloat && t->dtype.bits >= 16 ? 'f' : t->dtype.code == kDLInt && t->dtype.bits >= 8 ? 'i'
              : t->dtype.code == kDLBool ? 'b' : 'u';
    char shape[256] = "";
    size_t n = 0;
    for (int32_t k = 0; k < t->ndim; k++) {
        long long size = array->shape[k];
        if (t->dtype.bits < 8 && k + 1 == t->ndim) size = (size * t->dtype.bits + 7) / 8;
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%lld, ", size);
    }
    if (t->ndim > 1) shape[n - 2] = 0;
    int length = snprintf(out + 10, capacity - 10, "{'descr': '%c%c%d', 'fortran_order': False, 'shape': (%s), }",
                          width == 1 ? '|' : '<', kind, width, shape);
    size_t total = ((size_t)length + 10 + 1 + 63) / 64 * 64;
    memset(out + 10 + length, ' ', total - 10 - (size_t)length);
    out[total - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((total - 10) & 255);
    out[9] = (char)((total - 10) >> 8);
    return total;
}

static bool write_all(FILE *file, const Array *array)
{
    char header[1024];
    size_t length = write_header(array, header, sizeof header);
    if (fwrite(header, 1, length, file) != length) return false;
    if (fwrite(array->memory, 1, array->bytes, file) != array->bytes) return false;
    return fflush(file) == 0;
}

bool npy_write(const char *path, const Array *array, ArrayError *error)
{
    if (strcmp(path, "-") == 0) {
        if (write_all(stdout, array)) return true;
        array_fail(error, 3, "cannot write to standard output: %s", strerror(errno));
        return false;
    }
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return bad(error, path, "the path is too long");
    int fd = mkstemp(temporary);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!file) {
        array_fail(error, 3, "cannot write %s: %s", path, strerror(errno));
        return false;
    }
    bool ok = fchmod(fd, 0644) == 0 && write_all(file, array);
    int why = errno;
    ok = fclose(file) == 0 && ok;
    if (ok && rename(temporary, path) == 0) return true;
    if (ok) why = errno;
    unlink(temporary);
    array_fail(error, 3, "cannot write %s: %s", path, strerror(why));
    return false;
}

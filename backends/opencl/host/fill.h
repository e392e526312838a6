// Made-up elements of a tensor. This text is compiled into hako, which computes what the kernel
// makes of them, and copied into the host programs that it writes: both hold the same bits.
#include <stdint.h>
#include <string.h>

typedef enum FillKind {
    FILL_NONE,        // zeros
    FILL_SAME,        // every element has the bits `low`
    FILL_FLOATS,      // of either sign, the magnitude from 1/8 to 2
    FILL_INTEGERS,    // low <= element < high
    FILL_PERMUTATION, // of 0 ... count - 1
    FILL_PARTITION    // ascending from 0 to high
} FillKind;

typedef struct Fill {
    FillKind kind;
    unsigned bits;           // of an element; 4: two in a byte, the first in its low half
    unsigned mantissa, bias; // of a float
    uint64_t seed;
    int64_t low, high, count;
} Fill;

// The n-th number of a seed.
static inline uint64_t fill_number(uint64_t seed, uint64_t n)
{
    uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u ^ n * 0xd1342543de82ef95u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t fill_get(const Fill *f, const void *data, int64_t i)
{
    uint64_t element = 0;
    if (f->bits == 4) return ((const unsigned char *)data)[i / 2] >> (i % 2 * 4) & 15;
    memcpy(&element, (const char *)data + (size_t)i * (f->bits / 8), f->bits / 8);
    return element;
}

static inline void fill_put(const Fill *f, void *data, int64_t i, uint64_t element)
{
    unsigned char *byte = (unsigned char *)data + i / 2;
    const unsigned shift = (unsigned)(i % 2 * 4);
    if (f->bits == 4)
        *byte = (unsigned char)((*byte & (0xf0 >> shift)) | (element & 15) << shift);
    else
        memcpy((char *)data + (size_t)i * (f->bits / 8), &element, f->bits / 8);
}

static inline uint64_t fill_element(const Fill *f, int64_t i)
{
    const uint64_t random = fill_number(f->seed, (uint64_t)i);
    if (f->kind == FILL_SAME) return (uint64_t)f->low;
    if (f->kind == FILL_FLOATS) {
        const uint64_t less = random & 3, sign = random >> 2 & 1;
        const uint64_t exponent = f->bias > less ? f->bias - less : 0;
        const uint64_t mantissa = random >> 3 & (((uint64_t)1 << f->mantissa) - 1);
        return sign << (f->bits - 1) | exponent << f->mantissa | mantissa;
    }
    if (f->kind == FILL_INTEGERS) {
        const uint64_t span = (uint64_t)f->high - (uint64_t)f->low;
        return (uint64_t)f->low + (span ? random % span : 0);
    }
    if (f->kind == FILL_PARTITION && i + 1 < f->count)
        return i ? (uint64_t)((double)f->high / (double)(f->count - 1) *
                              ((double)i + (double)(random % 8) / 16))
                 : 0;
    return (uint64_t)(f->kind == FILL_PARTITION ? f->high : i);
}

static inline void fill_all(const Fill *f, void *data)
{
    for (int64_t i = 0; f->kind != FILL_NONE && i < f->count; i++)
        fill_put(f, data, i, fill_element(f, i));
    for (int64_t i = f->count - 1; f->kind == FILL_PERMUTATION && i > 0; i--) {
        const int64_t k = (int64_t)(fill_number(f->seed, (uint64_t)i) % (uint64_t)(i + 1));
        const uint64_t a = fill_get(f, data, i), b = fill_get(f, data, k);
        fill_put(f, data, i, b);
        fill_put(f, data, k, a);
    }
}

// An output against what a test expects of it.
//
// |found - expected| <= atol + rtol * |expected|; and where the output's type is a narrow float,
// found may be what any number that near is rounded to.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/test.h"

char *listed_values(const char *text)
{
    size_t length = strlen(text);
    if (length < 2 || text[0] != '(' || text[length - 1] != ')') return NULL;
    char *list = must_format("%s", text);
    for (char *at = list; *at; at++) {
        if (*at == '(' || *at == ')' || *at == ',') *at = ' ';
    }
    // "- 1" is one number to the language.
    char *to = list;
    for (const char *at = list; *at; at++) {
        *to++ = *at;
        while (*at == '-' && at[1] == ' ') at++;
    }
    *to = 0;
    return list;
}

// ---- what is expected

// Files hold the bits of types that NumPy lacks.
static void take_as(Array *array, DLDataType dtype)
{
    DLDataType have = array->tensor.dtype;
    bool bits = have.code == kDLUInt && have.bits == dtype.bits && dtype_is_float(dtype);
    if (bits && dtype.code != kDLFloat) array->tensor.dtype = dtype;
}

static int read_array(const char *word, Array *array)
{
    return npy_read(word + 1, array);
}

static int make_listed(const Expectation *e, const Array *got, Array *want)
{
    char *list = listed_values(e->value), shape[160];
    bool wide = dtype_is_float(got->tensor.dtype);
    shape_print(shape, sizeof shape, got->tensor.ndim, got->shape);
    Scalar every = {0};
    if (!list && scalar_parse(e->value, &every)) {
        int64_t index[8] = {0};
        if (array_elements(want) == 0) return 0;
        do array_set(want, index, every.number);
        while (array_next(want, index));
        return 0;
    }
    if (!list) return array_generate(e->name, e->value, NULL, 0, want);
    char *spec =
        must_format("%s%s%s=%s", shape, got->tensor.ndim ? "x" : "", wide ? "f64" : "i64", list);
    array_free(want);
    Scalar none;
    int code = spec_parse(e->name, spec, want, &none);
    free(spec);
    free(list);
    return code;
}

static int make_want(const Expectation *e, const Array *got, Array *want)
{
    if (*e->value == '@') {
        int code = read_array(e->value, want);
        if (code == 0) take_as(want, got->tensor.dtype);
        return code;
    }
    DLDataType dtype;
    hk_dtype_named(dtype_is_float(got->tensor.dtype) ? "f64" : "i64", &dtype);
    if (!array_init(want, dtype, got->tensor.ndim, got->shape)) return io_error("out of memory");
    return make_listed(e, got, want);
}

// ---- comparing

typedef struct Bound { // a number, or an array that broadcasts along leading dimensions of size 1
    double number;
    Array array;
} Bound;

static int make_bound(const char *text, double standard, Bound *bound)
{
    *bound = (Bound){.number = standard};
    if (!text) return 0;
    if (*text == '@') return read_array(text, &bound->array);
    char *end;
    bound->number = strtod(text, &end);
    return *end ? usage_error("the tolerance '%s' is not a number", text) : 0;
}

static double bound_at(const Bound *bound, const Array *want, const int64_t *index)
{
    const Array *a = &bound->array;
    if (!a->memory) return bound->number;
    int64_t at[8] = {0};
    int32_t shift = want->tensor.ndim - a->tensor.ndim;
    for (int32_t p = 0; p < a->tensor.ndim && p + shift >= 0; p++)
        at[p] = a->shape[p] == 1 ? 0 : index[p + shift];
    return array_get(a, at);
}

static bool bound_fits(const Bound *bound, const Array *want)
{
    const Array *a = &bound->array;
    int32_t shift = want->tensor.ndim - a->tensor.ndim;
    if (!a->memory) return true;
    for (int32_t p = 0; p < a->tensor.ndim; p++) {
        if (shift < 0 || (a->shape[p] != 1 && a->shape[p] != want->shape[p + shift])) return false;
    }
    return true;
}

static double round_to(DLDataType dtype, double value)
{
    uint64_t element = 0;
    hk_element_set(dtype, &element, 0, value);
    return hk_element_get(dtype, &element, 0);
}

// The error of one element relative to what is allowed: above 1 it is wrong.
static double error_ratio(DLDataType dtype, double got, double want, double bound)
{
    if (got == want || (isnan(got) && isnan(want))) return 0;
    double error = fabs(got - want);
    if (!dtype_is_float(dtype) || dtype.bits > 32) return bound > 0 ? error / bound : INFINITY;
    double low = round_to(dtype, want - bound), high = round_to(dtype, want + bound);
    if (!(low <= got && got <= high))
        return isfinite(error) && bound > 0 ? fmax(error / bound, 2) : INFINITY;
    double allowed = fmax(high - want, want - low);
    return isfinite(error) && allowed > 0 ? fmin(error / allowed, 1) : 0;
}

typedef struct Comparing {
    const Array *got, *want, *skip;
    const Bound *rtol, *atol;
    double slack;
    int64_t count, wrong, first[8];
    double ratio, first_got, first_want, first_bound;
} Comparing;

static void compare_at(Comparing *c, const int64_t *index, bool whole)
{
    double got = array_get(c->got, index), want = array_get(c->want, index);
    double scale = isfinite(want) ? fabs(want) : 0;
    double bound =
        c->slack * (bound_at(c->atol, c->want, index) + bound_at(c->rtol, c->want, index) * scale);
    double ratio;
    if (whole) { // of 64 bits, which a double does not hold
        int64_t g = array_get_int(c->got, index), w = array_get_int(c->want, index);
        double error = (double)fabsl((long double)g - (long double)w);
        ratio = g == w ? 0 : bound > 0 ? error / bound : INFINITY;
    } else {
        ratio = error_ratio(c->got->tensor.dtype, got, want, bound);
    }
    c->count++;
    bool wrong = !(ratio <= 1);
    if (!wrong || c->wrong == 0) c->ratio = fmax(c->ratio, ratio);
    if (!wrong || c->wrong++ > 0) return;
    memcpy(c->first, index, sizeof c->first);
    c->first_got = got;
    c->first_want = want;
    c->first_bound = bound;
}

static void compare_all(Comparing *c)
{
    bool whole = !dtype_is_float(c->got->tensor.dtype) && !dtype_is_float(c->want->tensor.dtype);
    int64_t index[8] = {0};
    if (array_elements(c->want) == 0) return;
    do {
        if (c->skip->memory && array_get(c->skip, index) != 0) continue;
        compare_at(c, index, whole);
    } while (array_next(c->want, index));
}

static char *describe(const Comparing *c, const char *name)
{
    char at[200] = "";
    size_t length = 0;
    for (int32_t i = 0; i < c->want->tensor.ndim; i++) {
        length += (size_t)snprintf(at + length, sizeof at - length, "%s%lld", i ? ", " : "",
                                   (long long)c->first[i]);
    }
    return must_format(
        "%s[%s] is %.9g, expected %.9g (allowed: %.3g); %lld of %lld elements differ", name, at,
        c->first_got, c->first_want, c->first_bound, (long long)c->wrong, (long long)c->count);
}

static bool same_shape(const Array *a, const Array *b)
{
    bool same = a->tensor.ndim == b->tensor.ndim;
    for (int32_t p = 0; same && p < a->tensor.ndim; p++) same = a->shape[p] == b->shape[p];
    return same;
}

static double standard_tolerance(DLDataType dtype)
{
    return !dtype_is_float(dtype) ? 0 : dtype.bits == 64 ? 1e-10 : 1e-5;
}

int expectation_check(const Expectation *e, const Array *got, double slack, Verdict *verdict)
{
    *verdict = (Verdict){0};
    Array want = {0}, skip = {0};
    Bound rtol = {0}, atol = {0};
    double standard = standard_tolerance(got->tensor.dtype);
    int code = make_want(e, got, &want);
    if (code == 0 && e->skip) code = read_array(e->skip, &skip);
    if (code == 0) code = make_bound(e->rtol, standard, &rtol);
    if (code == 0) code = make_bound(e->atol, standard, &atol);
    char have[160], wanted[160];
    shape_print(have, sizeof have, got->tensor.ndim, got->shape);
    shape_print(wanted, sizeof wanted, want.tensor.ndim, want.shape);
    bool fits = same_shape(got, &want) && (!skip.memory || same_shape(got, &skip));
    if (code == 0 && !fits) {
        verdict->failed = true;
        verdict->text = must_format("%s has shape (%s), expected (%s)", e->name, have, wanted);
    } else if (code == 0 && (!bound_fits(&rtol, &want) || !bound_fits(&atol, &want))) {
        code = usage_error("the tolerance of %s has another shape than (%s)", e->name, wanted);
    } else if (code == 0) {
        Comparing c = {
            .got = got, .want = &want, .skip = &skip, .rtol = &rtol, .atol = &atol, .slack = slack};
        compare_all(&c);
        *verdict = (Verdict){c.wrong > 0, c.ratio, c.wrong ? describe(&c, e->name) : NULL};
    }
    array_free(&want);
    array_free(&skip);
    array_free(&rtol.array);
    array_free(&atol.array);
    return code;
}

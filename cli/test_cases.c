// Where the cases of a .hk file come from: its `test` blocks, its oracle, the rows of its `shapes`.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/test.h"

enum { RANK_MAX = 8 };

static void add_pair(Pairs *pairs, const char *name, const char *value)
{
    pairs->data = must_grow(pairs->data, sizeof(Pair) * (pairs->count + 1));
    pairs->data[pairs->count++] = (Pair){name, value};
}

static const char *pair_value(const Pairs *pairs, const char *name, size_t length)
{
    for (size_t i = 0; i < pairs->count; i++) {
        bool same = strlen(pairs->data[i].name) == length &&
                    strncmp(pairs->data[i].name, name, length) == 0;
        if (same) return pairs->data[i].value;
    }
    return NULL;
}

void case_free(TestCase *test)
{
    free(test->inputs.data);
    free(test->scalars.data);
    free(test->defines.data);
    free(test->settings.data);
    free(test->expects);
    free(test->configs);
    json_decref(test->oracle);
}

static void add_expectation(TestCase *test, Expectation expectation)
{
    test->expects = must_grow(test->expects, sizeof(Expectation) * (test->expect_count + 1));
    test->expects[test->expect_count++] = expectation;
}

// ---- texts of a `test` block

// The names of sizes in a text replaced by their values: "randint(0, V)" with V = 50.
static char *substituted(const char *text, const Pairs *settings)
{
    char *out = must_format("%s", "");
    for (const char *at = text; *at;) {
        bool word = isalpha((unsigned char)*at) || *at == '_';
        size_t n = 1;
        while (word && (isalnum((unsigned char)at[n]) || at[n] == '_')) n++;
        const char *value = word ? pair_value(settings, at, n) : NULL;
        char *longer =
            value ? must_format("%s%s", out, value) : must_format("%s%.*s", out, (int)n, at);
        free(out);
        out = longer;
        at += n;
    }
    return out;
}

static int64_t read_sum(const char **at, bool *ok);

static int64_t read_factor(const char **at, bool *ok)
{
    while (**at == ' ') ++*at;
    if (**at == '(') {
        ++*at;
        int64_t inner = read_sum(at, ok);
        if (**at == ')')
            ++*at;
        else
            *ok = false;
        return inner;
    }
    char *end;
    int64_t value = strtoll(*at, &end, 10);
    if (end == *at) *ok = false;
    *at = end;
    return value;
}

static int64_t read_product(const char **at, bool *ok)
{
    int64_t value = read_factor(at, ok);
    for (;;) {
        while (**at == ' ') ++*at;
        char op = **at;
        if (!*ok || (op != '*' && op != '/')) return value;
        ++*at;
        int64_t right = read_factor(at, ok);
        if (op == '/' && right == 0) *ok = false;
        if (*ok && op == '/')
            value /= right;
        else if (*ok && __builtin_mul_overflow(value, right, &value))
            *ok = false;
    }
}

static int64_t read_sum(const char **at, bool *ok)
{
    int64_t value = read_product(at, ok);
    for (;;) {
        while (**at == ' ') ++*at;
        char op = **at;
        if (!*ok || (op != '+' && op != '-')) return value;
        ++*at;
        int64_t right = read_product(at, ok);
        bool over = op == '+' ? __builtin_add_overflow(value, right, &value)
                              : __builtin_sub_overflow(value, right, &value);
        if (over) *ok = false;
    }
}

// "f32[3, N + 1]", "3x5" or "4" to "3x6x": the sizes of a SPEC. NULL if it is none of these.
static char *sizes_of(const char *type, const Pairs *settings)
{
    if (isdigit((unsigned char)*type)) return must_format("%sx", type);
    const char *at = strchr(type, '[');
    char *sizes = must_format("%s", "");
    if (!at) return sizes;
    char *inner = substituted(at + 1, settings);
    at = inner;
    bool ok = true;
    while (ok && *at && *at != ']') {
        int64_t size = read_sum(&at, &ok);
        char *longer = must_format("%s%lldx", sizes, (long long)size);
        free(sizes);
        sizes = longer;
        while (*at == ' ') at++;
        ok = ok && size >= 0 && (*at == ',' || *at == ']');
        if (*at == ',') at++;
    }
    ok = ok && *at == ']';
    free(inner);
    if (ok) return sizes;
    free(sizes);
    return NULL;
}

// Of "((1, 2, 3), (4, 5, 6))": "2x3x".
static char *sizes_of_list(const char *text)
{
    int64_t counts[RANK_MAX] = {0};
    int depth = 0, deepest = 0;
    bool closed[RANK_MAX + 1] = {0};
    for (const char *at = text; *at; at++) {
        if (*at == '(' && depth < RANK_MAX) {
            depth++;
            if (depth > deepest) counts[(deepest = depth) - 1] = 1;
        }
        if (*at == ',' && depth > 0 && !closed[depth]) counts[depth - 1]++;
        if (*at == ')' && depth > 0) closed[depth--] = true;
    }
    char *sizes = must_format("%s", "");
    for (int d = 0; d < deepest; d++) {
        char *longer = must_format("%s%lldx", sizes, (long long)counts[d]);
        free(sizes);
        sizes = longer;
    }
    return sizes;
}

static bool find_param(const hk_kernel *kernel, const char *name, hk_param *param)
{
    *param = (hk_param){.struct_size = sizeof *param};
    for (size_t i = 0; hk_kernel_param(kernel, i, param) == HK_OK; i++) {
        if (strcmp(param->name, name) == 0) return true;
    }
    return false;
}

static bool is_tunable(const hk_kernel *kernel, const char *name)
{
    hk_tunable tunable = {.struct_size = sizeof tunable};
    for (size_t i = 0; hk_kernel_tunable(kernel, i, &tunable) == HK_OK; i++) {
        if (strcmp(tunable.name, name) == 0) return true;
    }
    return false;
}

// The dtype that a type's name stands for: itself, or what a compile-time parameter is in this
// test.
static const char *dtype_of(const TestCase *test, const char *type)
{
    size_t length = strcspn(type, "[?( ");
    char *name = must_format("%.*s", (int)length, type);
    DLDataType dtype;
    if (hk_dtype_named(name, &dtype)) return name;
    const char *value = pair_value(&test->defines, name, length);
    if (!value) value = pair_value(&test->settings, name, length);
    hk_template template = {.struct_size = sizeof template};
    for (size_t i = 0; !value && hk_kernel_template(test->kernel, i, &template) == HK_OK; i++) {
        if (strcmp(template.name, name) != 0) continue;
        value = template.initial                          ? template.initial
                : strcmp(template.constraint, "int") == 0 ? "i32"
                                                          : "f32";
    }
    free(name);
    return value && hk_dtype_named(value, &dtype) ? value : "f32";
}

static char *file_path(const CaseSource *source, const char *value) // @"a.npy"
{
    const char *path = value + strspn(value, "@ \"");
    int length = (int)strcspn(path, "\"");
    if (*path == '/') return must_format("@%.*s", length, path);
    return must_format("@%s/%.*s", source->folder, length, path);
}

// The SPEC of a tensor: its sizes and dtype, then a file, listed values, one value or a generator.
static char *spec_of(const CaseSource *source, const TestCase *test, const hk_test_item *item,
                     const char *declared, size_t seed)
{
    const char *value = item->value;
    bool own_type = item->type && !isdigit((unsigned char)*item->type);
    const char *dtype = dtype_of(test, own_type ? item->type : declared);
    char *sizes = item->type               ? sizes_of(item->type, &test->settings)
                  : value && *value == '(' ? sizes_of_list(value)
                                           : must_format("%s", "");
    if (!sizes) return NULL;
    Scalar scalar;
    char *spec;
    char *list = value ? listed_values(value) : NULL;
    if (!value) {
        DLDataType known;
        bool wide = hk_dtype_named(dtype, &known) && dtype_is_float(known);
        spec = must_format("%s%s=%s(seed=%zu)", sizes, dtype, wide ? "randn" : "randint", seed);
    } else if (*value == '@') {
        char *path = file_path(source, value);
        spec = must_format("%s%s=%s", sizes, dtype, path);
        free(path);
    } else if (list) {
        spec = must_format("%s%s=%s", sizes, dtype, list);
    } else {
        char *text = substituted(value, &test->settings);
        bool number = scalar_parse(text, &scalar);
        spec = number ? must_format("%s%s=full(%s)", sizes, dtype, text)
                      : must_format("%s%s=%s", sizes, dtype, text);
        free(text);
    }
    free(list);
    free(sizes);
    return spec;
}

// ---- from a block

static bool holds_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += length) {
        bool begins = at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
        if (begins && !isalnum((unsigned char)at[length]) && at[length] != '_') return true;
    }
    return false;
}

// Something of the kernel's own: a parameter, or a size that one mentions. Other names are for the
// test alone.
static bool is_known(const hk_kernel *kernel, const char *name)
{
    hk_param param = {.struct_size = sizeof param};
    hk_template template = {.struct_size = sizeof template};
    for (size_t i = 0; hk_kernel_param(kernel, i, &param) == HK_OK; i++) {
        if (holds_word(param.text, name)) return true;
    }
    for (size_t i = 0; hk_kernel_template(kernel, i, &template) == HK_OK; i++) {
        if (strcmp(template.name, name) == 0) return true;
    }
    return false;
}

static void take_setting(const CaseSource *source, TestCase *test, const hk_test_item *item)
{
    hk_param param;
    bool tensor = find_param(test->kernel, item->name, &param) && param.kind != HK_PARAM_SCALAR;
    if (is_tunable(test->kernel, item->name))
        add_pair(&test->defines, item->name, item->value);
    else if (tensor && *item->value == '@')
        add_pair(&test->inputs, item->name, file_path(source, item->value));
    else if (!tensor || *item->value != '(')
        add_pair(&test->settings, item->name, item->value);
}

static void take_expectation(const CaseSource *source, TestCase *test, const hk_test_item *item)
{
    hk_param param;
    if (strcmp(item->name, "fails") == 0 && !find_param(test->kernel, item->name, &param)) {
        test->fails = item->value;
        return;
    }
    const char *value = *item->value == '@' ? file_path(source, item->value) : item->value;
    add_expectation(
        test, (Expectation){
                  .name = item->name, .value = value, .rtol = item->within, .atol = item->within});
}

static int take_tensor(const CaseSource *source, TestCase *test, const hk_test_item *item,
                       size_t seed)
{
    hk_param param;
    bool known = find_param(test->kernel, item->name, &param);
    if (known && param.kind == HK_PARAM_SCALAR && item->value) {
        add_pair(&test->settings, item->name, item->value);
        return 0;
    }
    char *spec = spec_of(source, test, item, known ? param.type : "f32", seed);
    if (!spec) {
        return usage_error("test %s: the sizes of %s: %s are not whole numbers",
                           hk_kernel_name(test->kernel), item->name, item->type);
    }
    add_pair(&test->inputs, item->name, spec);
    return 0;
}

static int case_from_block(const CaseSource *source, size_t index, TestCase *test)
{
    hk_test block = {.struct_size = sizeof block};
    hk_test_item item = {.struct_size = sizeof item};
    hk_module_test(source->module, index, &block);
    test->kernel = hk_module_kernel_named(source->module, block.kernel);
    if (!test->kernel)
        return usage_error("there is a test of '%s', but no such kernel", block.kernel);
    for (size_t i = 0; i < block.define_count; i++)
        add_pair(&test->defines, block.defines[i].name, block.defines[i].value);
    for (size_t i = 0; hk_module_test_item(source->module, index, i, &item) == HK_OK; i++) {
        if (item.kind == HK_TEST_SETTING) take_setting(source, test, &item);
        if (item.kind == HK_TEST_EXPECT) take_expectation(source, test, &item);
    }
    int code = 0; // the sizes of tensors may have names that are set below them
    for (size_t i = 0; code == 0 && i < block.item_count; i++) {
        hk_module_test_item(source->module, index, i, &item);
        hk_param param;
        bool listed = item.kind == HK_TEST_SETTING && *item.value == '(' &&
                      find_param(test->kernel, item.name, &param) && param.kind != HK_PARAM_SCALAR;
        if (item.kind == HK_TEST_TENSOR || listed) code = take_tensor(source, test, &item, i + 1);
    }
    size_t kept = 0;
    for (size_t i = 0; i < test->settings.count; i++) {
        Pair setting = test->settings.data[i];
        if (is_known(test->kernel, setting.name)) test->settings.data[kept++] = setting;
    }
    test->settings.count = kept;
    return code;
}

// ---- from the oracle

static void take_object(Pairs *pairs, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
        add_pair(pairs, name, json_string_value(value));
}

static int case_from_oracle(const CaseSource *source, json_t *answer, TestCase *test)
{
    const char *name = json_string_value(json_object_get(answer, "kernel"));
    test->oracle = answer;
    test->kernel = name ? hk_module_kernel_named(source->module, name) : NULL;
    if (!test->kernel)
        return usage_error("%s is about kernel '%s'; %s has none", source->oracle_path,
                           name ? name : "", source->source);
    take_object(&test->inputs, json_object_get(answer, "inputs"));
    take_object(&test->scalars, json_object_get(answer, "args"));
    take_object(&test->defines, json_object_get(answer, "defines"));
    test->fails = json_string_value(json_object_get(answer, "fails"));
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(answer, "expect"), i, each)
    {
        const char *skip = json_string_value(json_object_get(each, "skip"));
        add_expectation(test,
                        (Expectation){.name = json_string_value(json_object_get(each, "name")),
                                      .value = json_string_value(json_object_get(each, "value")),
                                      .skip = skip,
                                      .rtol = json_string_value(json_object_get(each, "rtol")),
                                      .atol = json_string_value(json_object_get(each, "atol"))});
    }
    json_t *configs = json_object_get(answer, "configs");
    test->configs = must_alloc(sizeof(char *) * (json_array_size(configs) + 1));
    json_array_foreach(configs, i, each) test->configs[test->config_count++] =
        json_string_value(each);
    return 0;
}

static bool next_from_oracle(CaseSource *source, TestCase *test)
{
    if (!source->oracle_path || !source->python) return false;
    if (!source->started) {
        source->started = oracle_start(&source->oracle, source->python, source->oracle_folder,
                                       source->oracle_path, source->scratch, source->full);
        if (!source->started) {
            source->failed = true;
            io_error("cannot start %s", source->python);
            return false;
        }
    }
    json_t *answer = oracle_next(&source->oracle, &source->failed);
    if (answer && case_from_oracle(source, answer, test) != 0) source->failed = true;
    return answer && !source->failed;
}

// ---- in all

static bool next_from_rows(CaseSource *source, TestCase *test)
{
    for (size_t count = hk_module_kernel_count(source->module); source->at < count; source->at++) {
        const hk_kernel *kernel = hk_module_kernel(source->module, source->at);
        bool covered = source->numbers[source->at] > 0 && source->row == 0, is_test;
        while (!covered && source->row < hk_kernel_shape_count(kernel)) {
            const char *row = hk_kernel_shape(kernel, source->row++, &is_test);
            if (is_test == source->full) continue;
            test->kernel = kernel;
            if (pairs_from_list("shapes", row, &test->settings) == 0) return true;
            source->failed = true;
            return false;
        }
        source->row = 0;
    }
    return false;
}

static void count_case(CaseSource *source, TestCase *test)
{
    size_t k = 0;
    while (hk_module_kernel(source->module, k) != test->kernel) k++;
    test->number = ++source->numbers[k];
}

bool cases_next(CaseSource *source, TestCase *test)
{
    if (!source->numbers) {
        size_t count = hk_module_kernel_count(source->module);
        source->numbers = must_alloc(sizeof(uint32_t) * (count + 1));
    }
    *test = (TestCase){0};
    bool found = false;
    if (source->from == FROM_BLOCKS) {
        found = source->at < hk_module_test_count(source->module);
        if (found && case_from_block(source, source->at++, test) != 0) source->failed = true;
        if (!found) source->from = FROM_ORACLE;
    }
    if (source->from == FROM_ORACLE) {
        found = next_from_oracle(source, test);
        if (!found) {
            source->from = FROM_ROWS;
            source->at = 0;
        }
    }
    if (source->from == FROM_ROWS && !source->failed) found = next_from_rows(source, test);
    if (source->failed) return false;
    if (found) count_case(source, test);
    return found;
}

void cases_end(CaseSource *source)
{
    oracle_stop(&source->oracle);
    free(source->numbers);
}

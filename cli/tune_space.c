// hako tune --space: the knobs of a kernel, the rules for their values, and how many points there
// are.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/tune.h"

static void print_knob(const json_t *knob)
{
    const json_t *values = json_object_get(knob, "values"),
                 *initial = json_object_get(knob, "default");
    printf("  %-14s %-22s", text_of(knob, "name"), text_of(knob, "kind"));
    for (size_t k = 0; k < json_array_size(values); k++) {
        const json_t *value = json_array_get(values, k);
        bool is_default = !json_is_null(initial) && json_equal(value, initial);
        printf(" %lld%s", (long long)json_integer_value(value), is_default ? "*" : "");
    }
    printf("%s\n", json_is_null(initial) ? "; by the scheduler*" : "");
}

static void print_text(const json_t *space)
{
    const json_t *knobs = json_object_get(space, "knobs"), *rules = json_object_get(space, "rules");
    const json_t *points = json_object_get(space, "points");
    double raw = json_number_value(json_object_get(points, "raw")),
           legal = json_number_value(json_object_get(points, "legal"));
    printf("knobs (* is the default):\n");
    for (size_t k = 0; k < json_array_size(knobs); k++) print_knob(json_array_get(knobs, k));
    printf("rules, kept before anything is compiled:%s\n", json_array_size(rules) ? "" : " none");
    for (size_t k = 0; k < json_array_size(rules); k++) {
        const json_t *rule = json_array_get(rules, k);
        printf("  %-16s %-44s refuses %.1f%%: %s\n", text_of(rule, "name"),
               text_of(rule, "formula"), 100 * json_number_value(json_object_get(rule, "refused")),
               text_of(rule, "meaning"));
    }
    printf("points: %.0f, of which %s%.0f (%.3g%%) keep the rules\n", raw,
           json_is_true(json_object_get(points, "exact")) ? "" : "about ", legal,
           raw > 0 ? 100 * legal / raw : 0);
}

int tune_space(const Session *s)
{
    hk_text *text;
    hk_error *error;
    hk_status status = hk_exec_space(s->exec, &text, &error);
    if (status != HK_OK) return report(s->options, status, error);
    json_t *space = json_loads(hk_text_data(text), 0, NULL), *dims = json_object();
    for (size_t i = 0; i < hk_exec_dim_count(s->exec); i++) {
        hk_dim dim = hk_exec_dim(s->exec, i);
        json_object_set_new(dims, dim.name, json_integer(dim.value));
        if (!s->options->json) printf("%s%s = %lld", i ? ", " : "", dim.name, (long long)dim.value);
    }
    json_object_set_new(space, "dims", dims);
    if (s->options->json) {
        json_dumpf(space, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else {
        printf(" on %s, %u threads\n", s->options->target, hk_exec_threads(s->exec));
        print_text(space);
    }
    json_decref(space);
    hk_text_free(text);
    return 0;
}

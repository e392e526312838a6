// What the model of time says of a compiled kernel, as text and JSON: for `emit --explain` and
// `bench --explain`.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const char *const meanings[HK_LIMITS] = {
    "multiply-adds and the like, of whole vectors",
    "instructions of all kinds",
    "loads and stores",
    "chains from turn to turn of loops, and their ends",
    "from L2 to L1",
    "from L3 to L2",
    "from memory to L3",
};
static const char *const group_meanings[HK_LIMITS] = {
    "multiply-adds and the like, of all work-items",
    "instructions of all kinds",
    "reads and writes of local memory",
    "what a group waits for, shared by the groups at once",
    "from L2 to the compute units",
    "work-items that wait for each other",
    "from memory to L2",
};

// A number of bytes with its unit.
static void bytes_text(char *text, size_t size, double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t k = 0;
    for (; bytes >= 9999.5 && k + 1 < sizeof units / sizeof *units; k++) bytes /= 1000;
    snprintf(text, size, "%.4g %s", bytes, units[k]);
}

void model_print(const char *indent, const hk_estimate *e)
{
    char bytes[32];
    printf("%spredicted %.4g ms%s, bound by %s\n", indent, e->seconds * 1e3,
           e->exact ? "" : " (some length depends on data, and is assumed)",
           e->limits[e->bound].name);
    for (size_t k = 0; k < HK_LIMITS; k++) {
        const hk_limit *l = &e->limits[k];
        printf("%s  %-12s %9.4g ms  %3.0f%%  %s", indent, l->name, l->seconds * 1e3,
               100 * l->seconds / e->seconds, e->group ? group_meanings[k] : meanings[k]);
        bytes_text(bytes, sizeof bytes, l->bytes);
        printf("%s%s\n", l->bytes > 0 ? ": " : "", l->bytes > 0 ? bytes : "");
    }
    bytes_text(bytes, sizeof bytes, e->unit_bytes);
    printf("%s  %s wait %.4g ms, starting takes %.4g ms; %.0f units of %s\n", indent,
           e->group ? "compute units" : "threads", e->idle_seconds * 1e3, e->start_seconds * 1e3,
           e->units, bytes);
    if (e->group)
        printf("%s  %.0f groups of %u at once on a compute unit, limited by %s; about %.0f "
               "registers to a work-item\n",
               indent, e->groups_at_once, e->group, e->groups_limit, e->registers);
}

json_t *model_json(const hk_estimate *e)
{
    json_t *limits = json_object();
    for (size_t k = 0; k < HK_LIMITS; k++)
        json_object_set_new(
            limits, e->limits[k].name,
            json_pack("{s:f, s:f}", "ms", e->limits[k].seconds * 1e3, "bytes", e->limits[k].bytes));
    json_t *all = json_pack("{s:f, s:s, s:o, s:f, s:f, s:f, s:f, s:b}", "predicted_ms",
                            e->seconds * 1e3, "bound", e->limits[e->bound].name, "limits", limits,
                            "idle_ms", e->idle_seconds * 1e3, "start_ms", e->start_seconds * 1e3,
                            "units", e->units, "unit_bytes", e->unit_bytes, "exact", e->exact);
    if (e->group)
        json_object_set_new(all, "groups",
                            json_pack("{s:i, s:f, s:s, s:f}", "group", (int)e->group, "at_once",
                                      e->groups_at_once, "limited_by", e->groups_limit, "registers",
                                      e->registers));
    return all;
}

// ---- why a Config

double model_seconds(const Session *s, bool with_args, char *config)
{
    Session other = *s;
    hk_exec *exec = NULL;
    hk_estimate e = {.struct_size = sizeof e};
    other.config = config;
    other.tuned = NULL;
    hk_specialize_options options = session_options(&other, HK_STAGE_LOOP);
    if (!with_args) options.args = NULL;
    if (!with_args) options.arg_count = 0;
    bool ok = hk_kernel_specialize(s->kernel, &options, &exec, NULL) == HK_OK &&
              hk_exec_estimate(exec, &e) == HK_OK;
    hk_exec_free(exec);
    return ok ? e.seconds : 0;
}

// What the model says of the session's Config with one knob changed. 0: nothing.
static double seconds_with(const Session *s, bool with_args, const char *name, long long value)
{
    hk_text *config = NULL;
    if (hk_exec_text(s->exec, HK_FORM_CONFIG, &config, NULL) != HK_OK) return 0;
    char *changed =
        must_format("%.*s%s%s = %lld", (int)strcspn(hk_text_data(config), "\n"),
                    hk_text_data(config), hk_text_length(config) > 1 ? ", " : "", name, value);
    double seconds = model_seconds(s, with_args, changed);
    hk_text_free(config);
    free(changed);
    return seconds;
}

// The next choices below and above what the Config has, or all where the scheduler decides, with
// the time that the model says.
static void print_knob(const Session *s, bool with_args, const hk_tunable *knob, const char *config,
                       double seconds)
{
    size_t at = 0, first = 0, end = knob->choice_count;
    char *set = must_format("%s = ", knob->name);
    bool scheduled = !strstr(config, set);
    free(set);
    while (at < knob->choice_count && knob->choices[at] < knob->initial) at++;
    if (scheduled) {
        printf("//   %-14s by the scheduler;", knob->name);
    } else {
        printf("//   %-14s = %-12lld;", knob->name, (long long)knob->initial);
        first = at > 0 ? at - 1 : 0;
        end = at + 2 < end ? at + 2 : end;
    }
    for (size_t k = first; k < end; k++) {
        if (knob->choices[k] == knob->initial && !scheduled) continue;
        double other = seconds_with(s, with_args, knob->name, (long long)knob->choices[k]);
        if (other > 0) printf(" %lld: %.2fx", (long long)knob->choices[k], other / seconds);
    }
    putchar('\n');
}

int model_explain(const Session *s, bool with_args)
{
    hk_estimate e = {.struct_size = sizeof e};
    hk_tunable knob = {.struct_size = sizeof knob};
    if (hk_exec_estimate(s->exec, &e) != HK_OK)
        return usage_error("--explain: there is no model of time for --target=%s",
                           s->options->target);
    hk_text *config;
    if (hk_exec_text(s->exec, HK_FORM_CONFIG, &config, NULL) != HK_OK) return EXIT_INTERNAL;
    model_print("// ", &e);
    printf("// each knob, and the time with another value:\n");
    for (size_t k = 0; hk_exec_knob(s->exec, k, &knob) == HK_OK; k++)
        print_knob(s, with_args, &knob, hk_text_data(config), e.seconds);
    hk_text_free(config);
    return 0;
}

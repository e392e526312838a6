// --verify: a launch compared with the reference interpreter, and how it is told.
#include <jansson.h>
#include <math.h>

#include "cli/cli.h"

int verify_run(Session *s, Verified *verified)
{
    const Options *o = s->options;
    hk_verify_options options = {.struct_size = sizeof options,
                                 .seconds_max = 5,
                                 .seed = o->seed,
                                 .rtol = o->rtol,
                                 .atol = o->atol};
    hk_error *error;
    verified->result = (hk_verify_result){.struct_size = sizeof verified->result};
    hk_status status =
        hk_exec_verify(s->exec, s->args, s->arg_count, &options, &verified->result, &error);
    verified->code = report(o, status, error);
    return status == HK_ERROR_MISMATCH ? 0 : verified->code;
}

void verify_print(const Session *s, const Verified *verified)
{
    const hk_verify_result *v = &verified->result;
    printf("verify: %s", verified->code ? "MISMATCH" : "ok");
    if (v->tiles_run < v->tiles_total) {
        printf(" on a random sample of %lld of %lld tiles (seed %llu)", (long long)v->tiles_run,
               (long long)v->tiles_total, (unsigned long long)s->options->seed);
    } else {
        printf(" on all %lld tiles", (long long)v->tiles_total);
    }
    putchar('\n');
    for (size_t i = 0; i < v->output_count; i++) {
        const hk_verify_output *out = &v->outputs[i];
        if (out->order_dependent) {
            printf("  %s: not compared, it depends on the order of atomic updates\n", out->name);
            continue;
        }
        printf("  %s: largest error %.3g (%.2g of the largest element), allowed there %.3g; %lld "
               "elements compared\n",
               out->name, out->error_max, out->error_relative, out->tolerance,
               (long long)out->compared);
    }
}

json_t *verify_json(const Verified *verified)
{
    const hk_verify_result *v = &verified->result;
    json_t *list = json_array();
    for (size_t i = 0; i < v->output_count; i++) {
        const hk_verify_output *out = &v->outputs[i];
        json_array_append_new(
            list, json_pack("{s:s, s:f, s:f, s:f, s:I, s:I, s:b}", "name", out->name, "error_max",
                            isinf(out->error_max) ? -1.0 : out->error_max, "error_relative",
                            isfinite(out->error_relative) ? out->error_relative : -1.0, "tolerance",
                            out->tolerance, "compared", (json_int_t)out->compared, "mismatched",
                            (json_int_t)out->mismatched, "order_dependent", out->order_dependent));
    }
    return json_pack("{s:b, s:I, s:I, s:o}", "ok", verified->code == 0, "tiles_total",
                     (json_int_t)v->tiles_total, "tiles_run", (json_int_t)v->tiles_run, "outputs",
                     list);
}

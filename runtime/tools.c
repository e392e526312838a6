// IR and Configs as text, names of dtypes and passes, single elements: what tools around the
// compiler need.
#include "runtime/internal.h"

#include "frontend/explain.h"

const char *hk_explain(uint32_t number)
{
    return explain_text(number);
}

uint32_t hk_explain_number(size_t index)
{
    return index > UINT16_MAX ? 0 : explain_number((uint32_t)index);
}

const char *hk_pass_name(size_t index, const char **purpose)
{
    if (index >= PASS_COUNT) return NULL;
    if (purpose) *purpose = pass_info[index].purpose;
    return pass_info[index].name;
}

// ---- dtypes

bool hk_dtype_named(const char *name, DLDataType *dtype)
{
    DType t = name ? dtype_find(str_of(name)) : DTYPE_NONE;
    if (t != DTYPE_NONE && dtype) *dtype = dtype_to_dlpack(t);
    return t != DTYPE_NONE;
}

const char *hk_dtype_name(DLDataType dtype)
{
    DType t;
    return dtype_from_dlpack(dtype, &t) ? dtype_info[t].name : NULL;
}

const char *hk_dtype_at(size_t index)
{
    return index + 1 < DTYPE_COUNT ? dtype_info[index + 1].name : NULL;
}

double hk_element_get(DLDataType dtype, const void *line, int64_t index)
{
    DType t;
    return dtype_from_dlpack(dtype, &t)
               ? scalar_to_double(dtype_info[t].arith, storage_load(t, line, index))
               : 0;
}

void hk_element_set(DLDataType dtype, void *line, int64_t index, double value)
{
    DType t;
    if (dtype_from_dlpack(dtype, &t))
        storage_store(t, line, index, scalar_from_double(dtype_info[t].arith, value));
}

int64_t hk_element_get_int(DLDataType dtype, const void *line, int64_t index)
{
    DType t;
    return dtype_from_dlpack(dtype, &t)
               ? scalar_to_int(dtype_info[t].arith, storage_load(t, line, index))
               : 0;
}

void hk_element_set_int(DLDataType dtype, void *line, int64_t index, int64_t value)
{
    DType t;
    if (dtype_from_dlpack(dtype, &t))
        storage_store(t, line, index, scalar_from_int(dtype_info[t].arith, value));
}

// ---- Configs

typedef struct ToolJob {
    Arena arena;
    SourceSet sources;
    DiagList diags;
    const hk_context *context;
    const char *name, *text;
    size_t length;
    const hk_opt_options *options;
    Buf out, dump;
} ToolJob;

static void tool_begin(ToolJob *job)
{
    Arena *arena = &job->arena;
    job->sources.arena = job->diags.arena = job->out.arena = job->dump.arena = arena;
    job->diags.sources = &job->sources;
    buf_add(&job->out, "", 0);
    buf_add(&job->dump, "", 0);
}

static void normalize(void *self)
{
    ToolJob *job = self;
    tool_begin(job);
    Str text = {job->text, job->length};
    uint32_t source = source_add(&job->sources, str_of(job->name), text);
    Config *config = config_parse(&job->arena, text, &job->diags, source);
    if (config) buf_str(&job->out, config_print(&job->arena, config));
}

static hk_status tool_finish(ToolJob *job, bool enough, hk_text **text, hk_error **error)
{
    const Allocator *allocator = &job->context->allocator;
    if (!enough) return fail(allocator, error, HK_ERROR_MEMORY, DIAG_MEMORY, "out of memory");
    if (job->diags.error_count)
        return fail_with(allocator, error, HK_ERROR_DIAGNOSTICS, &job->diags);
    return text_new(allocator, buf_view(&job->out), text, error);
}

hk_status hk_config_normalize(hk_context *context, const char *config, hk_text **text,
                              hk_error **error)
{
    if (error) *error = NULL;
    if (text) *text = NULL;
    if (!context || !config || !text)
        return fail_usage(error, "hk_config_normalize: an argument is NULL");
    ToolJob job = {
        .context = context, .name = "<config>", .text = config, .length = strlen(config)};
    arena_init(&job.arena, &context->allocator);
    bool enough = guarded(&job.arena, normalize, &job);
    hk_status status = tool_finish(&job, enough, text, error);
    arena_free(&job.arena);
    return status;
}

// ---- IR

// The passes named in a list with commas. False after an error.
static bool parse_passes(ToolJob *job, const char *list, PassId *ids, uint32_t *count)
{
    enum { PASSES_MAX = 64 };
    *count = 0;
    for (const char *at = list; at && *at;) {
        size_t length = strcspn(at, ",");
        PassId id;
        if (!pass_find((Str){at, length}, &id) || *count == PASSES_MAX) {
            diag_add(&job->diags, DIAG_PASS_UNKNOWN, (Span){0}, "there is no pass '%.*s'",
                     (int)length, at);
            return false;
        }
        ids[(*count)++] = id;
        at += length + (at[length] == ',');
    }
    return true;
}

static void bind_given_dims(ToolJob *job, Func *f)
{
    int64_t *dims = arena_array(&job->arena, int64_t, f->dims.count + 1);
    for (uint32_t d = 0; d < f->dims.count; d++) {
        dims[d] = -1;
        for (size_t i = 0; i < job->options->dim_count; i++) {
            if (str_is(f->dims.data[d].name, job->options->dims[i].name))
                dims[d] = job->options->dims[i].value;
        }
    }
    func_specialise(f, dims);
}

static void optimise(void *self)
{
    ToolJob *job = self;
    tool_begin(job);
    const hk_opt_options *o = job->options;
    PassId ids[64];
    uint32_t count;
    Str text = {job->text, job->length};
    uint32_t source = source_add(&job->sources, str_of(job->name), text);
    Func *f = func_parse(&job->arena, text, &job->diags, source);
    if (!f || !func_verify(f, &job->diags) || !parse_passes(job, o->passes, ids, &count)) return;
    if (o->dim_count) bind_given_dims(job, f);
    Config *config = NULL;
    if (o->config) {
        Str config_text = str_of(o->config);
        uint32_t config_source = source_add(&job->sources, STR("<config>"), config_text);
        config = config_parse(&job->arena, config_text, &job->diags, config_source);
        if (!config) return;
    } else if (f->level == LEVEL_TILE && count) {
        config = config_default(&job->arena, f, &job->context->machine);
    }
    PassContext passes = {.arena = &job->arena,
                          .diags = &job->diags,
                          .config = config,
                          .verify = true,
                          .machine = &job->context->machine,
                          .stop_after = str_of(o->stop_after),
                          .dump = str_of(o->dump),
                          .dump_to = &job->dump};
    if (passes_run(f, ids, count, &passes)) func_print(&job->out, f);
}

hk_status hk_ir_opt(hk_context *context, const char *name, const char *text, size_t length,
                    const hk_opt_options *options, hk_text **out, hk_text **dump, hk_error **error)
{
    if (error) *error = NULL;
    if (out) *out = NULL;
    if (dump) *dump = NULL;
    hk_opt_options zero = {.struct_size = sizeof zero};
    if (!options) options = &zero;
    if (!context || !text || !out) return fail_usage(error, "hk_ir_opt: an argument is NULL");
    if (options->struct_size != sizeof *options)
        return fail_usage(error, "hk_ir_opt: wrong struct_size");
    ToolJob job = {.context = context,
                   .name = name ? name : "<ir>",
                   .text = text,
                   .options = options,
                   .length = length == HK_TERMINATED ? strlen(text) : length};
    arena_init(&job.arena, &context->allocator);
    bool enough = guarded(&job.arena, optimise, &job);
    hk_status status = tool_finish(&job, enough, out, error);
    if (status == HK_OK && dump)
        status = text_new(&context->allocator, buf_view(&job.dump), dump, error);
    arena_free(&job.arena);
    return status;
}

// The header of a library: its functions with their arguments explained, in C99 and C++.
#include "runtime/build.h"

#include <ctype.h>

// The same in every library's header, so that several can be included.
static const char common[] =
    "#ifndef HAKO_LIBRARY_TYPES\n"
    "#define HAKO_LIBRARY_TYPES\n"
    "\n"
    "typedef enum hako_status {\n"
    "    HAKO_OK = 0,\n"
    "    HAKO_ARGUMENTS = 1, /* an argument does not fit; nothing was written */\n"
    "    HAKO_CPU = 3,       /* the library has no code for this CPU */\n"
    "    HAKO_TRAP = 4,      /* the kernel failed as it ran: index, assertion, division by 0;\n"
    "                           outputs are unspecified, nothing else was touched */\n"
    "    HAKO_MEMORY = 6     /* there is no memory for workspaces */\n"
    "} hako_status;\n"
    "\n"
    "/* Filled by every call that is given one. */\n"
    "typedef struct hako_error {\n"
    "    int32_t number;    /* of the diagnostic HKnnnn, which `hako explain` explains; 0: none "
    "*/\n"
    "    char message[508]; /* \"\": none */\n"
    "} hako_error;\n"
    "\n"
    "/* Calls body(arg, index) once for each index in 0 .. count, on any threads; returns when\n"
    "   all are done. */\n"
    "typedef void hako_parallel_for(void *self, int64_t count,\n"
    "                               void (*body)(void *arg, int64_t index), void *arg);\n"
    "\n"
    "/* A tensor in the caller's memory, compact: the last dimension innermost. Other layouts\n"
    "   set `strides`, in elements. The shape is borrowed. */\n"
    "static inline DLTensor hako_tensor(void *data, uint8_t code, uint8_t bits, int32_t ndim,\n"
    "                                   int64_t *shape)\n"
    "{\n"
    "    DLTensor t;\n"
    "    t.data = data;\n"
    "    t.device.device_type = kDLCPU;\n"
    "    t.device.device_id = 0;\n"
    "    t.ndim = ndim;\n"
    "    t.dtype.code = code;\n"
    "    t.dtype.bits = bits;\n"
    "    t.dtype.lanes = 1;\n"
    "    t.shape = shape;\n"
    "    t.strides = NULL;\n"
    "    t.byte_offset = 0;\n"
    "    return t;\n"
    "}\n";

static const char dlpack[] =
    "#ifndef DLPACK_DLPACK_H_ /* DLPack's own header may come first */\n"
    "#define DLPACK_DLPACK_H_\n"
    "typedef enum { kDLCPU = 1 } DLDeviceType;\n"
    "typedef struct DLDevice {\n"
    "    DLDeviceType device_type;\n"
    "    int32_t device_id;\n"
    "} DLDevice;\n"
    "typedef enum { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBfloat = 4, kDLBool = 6 } "
    "DLDataTypeCode;\n"
    "typedef struct DLDataType {\n"
    "    uint8_t code, bits;\n"
    "    uint16_t lanes;\n"
    "} DLDataType;\n"
    "typedef struct DLTensor {\n"
    "    void *data;\n"
    "    DLDevice device;\n"
    "    int32_t ndim;\n"
    "    DLDataType dtype;\n"
    "    int64_t *shape;\n"
    "    int64_t *strides; /* in elements; NULL: compact */\n"
    "    uint64_t byte_offset;\n"
    "} DLTensor;\n"
    "#endif\n";

static const char *c_type(DType t)
{
    if (t == DTYPE_F32) return "float";
    if (t == DTYPE_F64) return "double";
    return t == DTYPE_BOOL ? "bool" : t == DTYPE_I32 ? "int32_t" : "int64_t";
}

static const Inst *arg_inst(const Func *f, uint32_t arg)
{
    for_each_inst(f, f->body, id)
        if (inst_at(f, id)->op == OP_ARG && inst_at(f, id)->attr.ref == arg) return inst_at(f, id);
    return NULL;
}

// hako_f32(data, ndim, shape) and the like, for the dtypes of this library.
static void put_makers(Buf *out, hk_build *build)
{
    bool used[DTYPE_COUNT] = {false};
    for (uint32_t f = 0; f < build->function_count; f++) {
        const Function *function = &build->functions[f];
        const Func *tile = instance_tile(&function->instances[function->instance_count - 1]);
        for (uint32_t m = 1; m < tile->mems.count; m++) used[mem_at(tile, (Mem){m})->dtype] = true;
    }
    for (int t = DTYPE_NONE + 1; t < DTYPE_COUNT; t++) {
        DLDataType dtype = dtype_to_dlpack((DType)t);
        if (!used[t]) continue;
        Buf upper = {.arena = &build->arena};
        const char *name = dtype_info[t].name;
        for (const char *at = name; *at; at++) buf_char(&upper, (char)toupper(*at));
        buf_printf(
            out,
            "#ifndef HAKO_TENSOR_%s\n"
            "#define HAKO_TENSOR_%s\n"
            "static inline DLTensor hako_%s(const void *data, int32_t ndim, int64_t *shape)\n"
            "{\n"
            "    return hako_tensor((void *)data, %u, %u, ndim, shape);\n"
            "}\n"
            "#endif\n",
            upper.data, upper.data, name, dtype.code, dtype.bits);
    }
}

// The comment above the kernel in its source, if one ends in the line before.
static Str comment_of(Arena *arena, const hk_kernel *kernel)
{
    const Span span = kernel->node->span;
    const SourceSet *sources = &kernel->module->sources;
    if (!span.line || span.source >= sources->sources.count) return (Str){0};
    Str text = sources->sources.data[span.source].text;
    uint32_t line = 1, first = 0;
    size_t begin = 0, comment = 0, end = 0;
    for (size_t k = 0; k < text.length && line < span.line; k++) {
        if (text.data[k] != '\n') continue;
        bool is_comment =
            text.length - begin > 2 && text.data[begin] == '/' && text.data[begin + 1] == '/';
        if (is_comment && !first) first = line, comment = begin;
        if (!is_comment) first = 0;
        begin = end = k + 1;
        line++;
    }
    Buf out = {.arena = arena};
    for (size_t k = comment; first && k < end; k++) {
        if (k == comment || text.data[k - 1] == '\n') { // without the slashes
            k += 2;
            if (k < end && text.data[k] == ' ') k++;
            buf_printf(&out, "   ");
        }
        if (k >= end) break;
        bool closes = text.data[k] == '/' && out.length && out.data[out.length - 1] == '*';
        if (closes) buf_char(&out, ' ');
        buf_char(&out, text.data[k]);
    }
    return buf_view(&out);
}

static void put_tensor_doc(Buf *out, const Function *function, uint32_t k)
{
    const hk_exec *exec = function->instances[function->instance_count - 1].codes.data[0].exec;
    const hk_param *param = &function->kernel->params[k];
    const char *dtype = param->type;
    bool has_init = false;
    for (uint32_t m = 1; m < exec->tile->mems.count; m++) {
        if (exec->slot_of_mem[m] != k) continue;
        dtype = dtype_info[mem_at(exec->tile, (Mem){m})->dtype].name;
        has_init = mem_at(exec->tile, (Mem){m})->has_init;
    }
    buf_printf(out, "   %s: %s[", param->name, dtype);
    for (size_t d = 0; d < param->dim_count; d++)
        buf_printf(out, "%s%s", d ? ", " : "", param->dims[d]);
    buf_printf(out, "], %s%s%s\n",
               param->kind == HK_PARAM_IN    ? "read"
               : param->kind == HK_PARAM_OUT ? "written"
                                             : "read and written",
               param->optional ? "; may be NULL" : "", has_init ? "; starts at its value" : "");
}

static void put_scalar_doc(Buf *out, const Function *function, uint32_t k)
{
    const hk_exec *exec = function->instances[function->instance_count - 1].codes.data[0].exec;
    const hk_param *param = &function->kernel->params[k];
    const Inst *in = NULL;
    for (uint32_t a = 0; a < exec->tile->args.count; a++)
        if (exec->slot_of_arg[a] == k) in = arg_inst(exec->tile, a);
    buf_printf(out, "   %s: a number%s%s\n", param->name,
               in && in->arg_count ? "; in Hako its default makes it " : "",
               in && in->arg_count ? param->text : "");
}

static void put_function(Buf *out, hk_build *build, const Function *function)
{
    const hk_kernel *kernel = function->kernel;
    Str comment = comment_of(&build->arena, kernel);
    buf_printf(out, "\n/* ");
    if (comment.length) // whose first line stands behind the opening
        buf_str(out, (Str){comment.data + 3, comment.length - 3});
    else
        buf_printf(out, "Kernel %s.\n", kernel->name);
    for (uint32_t k = 0; k < kernel->param_count; k++) {
        if (kernel->params[k].kind == HK_PARAM_SCALAR)
            put_scalar_doc(out, function, k);
        else
            put_tensor_doc(out, function, k);
    }
    Str sizes = instance_sizes(&build->arena, &function->instances[function->instance_count - 1]);
    buf_printf(out, "   Built for %.*s. */\nhako_status %s(", STR_ARG(sizes), function->symbol);
    for (uint32_t k = 0; k < kernel->param_count; k++) {
        const hk_param *param = &kernel->params[k];
        bool taken = build_name_taken(&build->arena, param->name) ||
                     strcmp(param->name, "error") == 0 || strncmp(param->name, "hako", 4) == 0;
        if (param->kind == HK_PARAM_SCALAR)
            buf_printf(out, "%s ", c_type(scalar_dtype(function, k)));
        else
            buf_printf(out, "const DLTensor *");
        buf_printf(out, "%s%s, ", param->name, taken ? "_" : "");
    }
    buf_printf(out, "hako_error *error);\n");
}

Str library_header(hk_build *build)
{
    Buf out = {.arena = &build->arena}, guard = {.arena = &build->arena};
    for (const char *at = build->name; *at; at++) buf_char(&guard, (char)toupper(*at));
    buf_printf(&out, "/* Kernels compiled by Hako %s%s%s: link with lib%s, libm and pthreads.\n\n",
               hk_version_text(), build->triple ? " for " : "", build->triple ? build->triple : "",
               build->name);
    buf_printf(&out, "   Arguments are checked: each function returns HAKO_OK, or why not and, if "
                     "`error` is not NULL,\n   a message in it. Tensors may have any strides, but "
                     "elements of outputs must not overlap, and\n   outputs no other argument; "
                     "..P stands for any number of dimensions. Functions may be called\n   from "
                     "several threads. */\n");
    buf_printf(&out, "#ifndef HAKO_LIBRARY_%s\n#define HAKO_LIBRARY_%s\n\n", guard.data,
               guard.data);
    buf_printf(&out, "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n");
    buf_printf(&out, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n%s\n%s#endif\n\n", dlpack,
               common);
    put_makers(&out, build);
    buf_printf(&out,
               "\n/* At most so many threads (0: as many as the process may use), or the host's "
               "own; of use only\n   before the first call, to all libraries of the program. */\n"
               "void %s_setup(uint32_t threads, hako_parallel_for *parallel_for, void *self);\n",
               build->name);
    for (uint32_t f = 0; f < build->function_count; f++)
        put_function(&out, build, &build->functions[f]);
    buf_printf(&out, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
    return buf_view(&out);
}

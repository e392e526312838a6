// A host program: a C file that builds the kernels of one launch, fills its tensors, runs it and
// compares with what the reference interpreter computed; of the OpenCL API alone. host/ holds what
// all such programs share; here are the tables and main, which differ.
#include <math.h>

#include "backends/opencl/program.h"
#include "backends/opencl/opencl_backend.h"
#include "ir/eval.h"

extern const char opencl_host_fill[], opencl_host_fill_end[]; // embedded.S
extern const char opencl_host_frame[], opencl_host_frame_end[];

typedef struct Host {
    Buf *out;
    const HostLaunch *launch;
    const Func *f;
    Program program;
    uint64_t *values; // [Value.i] of the function's body
    int64_t *front;   // [Mem.i]
    uint32_t *number; // [Mem.i]: in the table of tensors
} Host;

static bool is_tensor(const Func *f, uint32_t mem)
{
    return mem_at(f, (Mem){mem})->kind != MEM_SCRATCH;
}

// ---- constants

// One string for each line, whatever a compiler allows for a single one.
static void write_source(Host *h)
{
    const Str text = h->program.text;
    buf_printf(h->out, "// The kernels.\nstatic const char *const source[] = {\n");
    bool open = false;
    for (size_t i = 0; i < text.length; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        if (!open) buf_printf(h->out, "    \"");
        open = true;
        if (c == '"' || c == '\\') buf_char(h->out, '\\');
        if (c == '\n') {
            buf_printf(h->out, "\\n\",\n");
            open = false;
        } else if (c < ' ' || c > '~' || c == '?') { // no trigraphs
            buf_printf(h->out, "\\%03o", c);
        } else {
            buf_char(h->out, (char)c);
        }
    }
    buf_printf(h->out, "%s};\n\n", open ? "\",\n" : "");
}

static void write_bytes(Host *h, uint32_t t, const HostTensor *tensor)
{
    const unsigned char *data = tensor->data;
    buf_printf(h->out, "static const unsigned char data_%u[] = { // of %s", t, tensor->name);
    for (int64_t i = 0; i < tensor->bytes; i++)
        buf_printf(h->out, "%s%u,", i % 20 ? " " : "\n    ", data[i]);
    buf_printf(h->out, "\n};\n\n");
}

static void write_wanted(Host *h, uint32_t t, const HostTensor *tensor)
{
    buf_printf(h->out, "static const int64_t at_%u[] = { // where %s is compared", t, tensor->name);
    for (int64_t i = 0; i < tensor->want_count; i++)
        buf_printf(h->out, "%s%lld,", i % 10 ? " " : "\n    ", (long long)tensor->at[i]);
    buf_printf(h->out, "\n};\nstatic const uint64_t want_%u[] = { // the bits of its elements", t);
    for (int64_t i = 0; i < tensor->want_count; i++)
        buf_printf(h->out, "%s0x%llx,", i % 6 ? " " : "\n    ",
                   (unsigned long long)tensor->want[i]);
    buf_printf(h->out, "\n};\n\n");
}

// ---- tensors

static char type_letter(DType t)
{
    if (dtype_is_float(t)) return t == DTYPE_F8E4M3 || t == DTYPE_F4E2M1 ? 'e' : 'f';
    return dtype_info[t].class_ == DCLASS_INT ? 'i' : 'u';
}

static const char *fill_name(FillKind kind)
{
    static const char *const names[] = {[FILL_NONE] = "FILL_NONE",
                                        [FILL_SAME] = "FILL_SAME",
                                        [FILL_FLOATS] = "FILL_FLOATS",
                                        [FILL_INTEGERS] = "FILL_INTEGERS",
                                        [FILL_PERMUTATION] = "FILL_PERMUTATION",
                                        [FILL_PARTITION] = "FILL_PARTITION"};
    return names[kind];
}

static void write_tensor(Host *h, Mem m)
{
    const HostTensor *tensor = &h->launch->tensors[m.i];
    const Fill *fill = &tensor->fill;
    const uint32_t t = h->number[m.i];
    buf_printf(h->out,
               "    {.name = \"%s\",\n     .bytes = %lld,\n"
               "     .fill = {%s, .bits = %u, .mantissa = %u, .bias = %u, .seed = %lluu,\n"
               "              .low = %lld, .high = %lld, .count = %lld},\n",
               tensor->name, (long long)tensor->bytes, fill_name(fill->kind), fill->bits,
               fill->mantissa, fill->bias, (unsigned long long)fill->seed, (long long)fill->low,
               (long long)fill->high, (long long)fill->count);
    if (tensor->data && tensor->bytes) buf_printf(h->out, "     .data = data_%u,\n", t);
    if (tensor->want_count)
        buf_printf(h->out,
                   "     .want_count = %lld,\n     .at = at_%u,\n     .want = want_%u,\n"
                   "     .relative = %.9g,\n     .absolute = %.9g,\n",
                   (long long)tensor->want_count, t, t, tensor->relative, tensor->absolute);
    buf_printf(h->out, "     .type = '%c'},\n", type_letter(mem_at(h->f, m)->dtype));
}

static uint32_t write_tensors(Host *h)
{
    uint32_t count = 0;
    for (uint32_t m = 1; m < h->f->mems.count; m++) {
        if (!is_tensor(h->f, m)) continue;
        const HostTensor *tensor = &h->launch->tensors[m];
        h->number[m] = count++;
        if (tensor->data && tensor->bytes) write_bytes(h, h->number[m], tensor);
        if (tensor->want_count) write_wanted(h, h->number[m], tensor);
    }
    buf_printf(h->out, "static Tensor tensors[] = {\n");
    for (uint32_t m = 1; m < h->f->mems.count; m++)
        if (is_tensor(h->f, m)) write_tensor(h, (Mem){m});
    buf_printf(h->out, "%s};\n\n", count ? "" : "    {.name = \"none\"},\n");
    return count;
}

// ---- launches

static int64_t slice_bytes(const Host *h, const Kernel *kernel)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; i < kernel->params.count; i++) {
        const Param *p = &kernel->params.data[i];
        if (p->kind == PARAM_SCRATCH) bytes += ocl_scratch_bytes(h->f, p->mem);
    }
    return bytes;
}

static void write_buffer(Host *h, const Param *p, uint32_t at)
{
    const MemInfo *mem = mem_at(h->f, p->mem);
    if (p->kind == PARAM_TRAP)
        buf_printf(h->out, "    set_buffer(kernel, %u, trap_buffer);\n", at);
    else if (p->kind == PARAM_PRINT)
        buf_printf(h->out, "    set_buffer(kernel, %u, print_buffer);\n", at);
    else if (p->kind == PARAM_SCRATCH)
        buf_printf(h->out,
                   "    cl_mem scratch_%u = create_buffer(items * %lld, NULL);\n"
                   "    set_buffer(kernel, %u, scratch_%u);\n",
                   at, (long long)ocl_scratch_bytes(h->f, p->mem), at, at);
    else
        buf_printf(h->out, "    set_buffer(kernel, %u, tensors[%u].buffer); // %.*s\n", at,
                   h->number[p->mem.i], STR_ARG(mem->name));
}

// A function that launches one kernel: its scalars are the function's parameters, since those of a
// phase that is repeated differ from turn to turn.
static void write_kernel(Host *h, uint32_t k)
{
    const Kernel *kernel = &h->program.kernels.data[k];
    const uint32_t group = kernel_group(kernel);
    buf_printf(h->out, "static void launch_%u(cl_kernel kernel, int64_t units", k);
    for (uint32_t i = 0; i < kernel->params.count; i++)
        if (!param_is_buffer(&kernel->params.data[i])) buf_printf(h->out, ", uint64_t p%u", i);
    buf_printf(h->out, ") // %.*s\n{\n", STR_ARG(kernel->name));
    if (kernel->is_serial)
        buf_printf(h->out, "    const size_t items = units > 0;\n");
    else if (kernel->has_slices)
        buf_printf(h->out, "    const size_t items = in_flight(units, %lld, %u);\n",
                   (long long)slice_bytes(h, kernel), group);
    else
        buf_printf(h->out, "    const size_t items = (size_t)units;\n");
    for (uint32_t i = 0; i < kernel->params.count; i++) {
        const Param *p = &kernel->params.data[i];
        size_t bytes;
        if (param_is_buffer(p)) {
            write_buffer(h, p, i);
            continue;
        }
        ocl_scalar(h->f, h->launch->frame, h->front, p, &bytes);
        buf_printf(h->out, "    set_scalar(kernel, %u, %zu, p%u); // %.*s\n", i, bytes, i,
                   STR_ARG(p->name));
    }
    buf_printf(h->out, "    launch(kernel, items, %u, %d);\n", group, kernel->has_slices);
    for (uint32_t i = 0; i < kernel->params.count; i++)
        if (kernel->params.data[i].kind == PARAM_SCRATCH)
            buf_printf(h->out, "    clReleaseMemObject(scratch_%u);\n", i);
    buf_printf(h->out, "}\n\n");
}

static void evaluate_body(void *self)
{
    Host *h = self;
    ocl_evaluate_body(h->f, h->launch->frame, h->values);
}

static void write_launches(Host *h)
{
    PhaseWalk phases = {.f = h->f,
                        .args = h->launch->frame->args,
                        .values = h->values,
                        .evaluate = evaluate_body,
                        .self = h};
    for (uint32_t k; phase_next(&phases, &k);) {
        const Kernel *kernel = &h->program.kernels.data[k];
        const int64_t units = ocl_units(h->f, h->values, kernel);
        if (!units) continue;
        buf_printf(h->out, "    launch_%u(kernels[%u], %lld", k, k, (long long)units);
        for (uint32_t i = 0; i < kernel->params.count; i++) {
            size_t bytes;
            const Param *p = &kernel->params.data[i];
            if (param_is_buffer(p)) continue;
            const uint64_t bits = ocl_scalar(h->f, h->launch->frame, h->front, p, &bytes);
            buf_printf(h->out, bits >> 32 ? ", 0x%llxu" : ", %llu", (unsigned long long)bits);
        }
        buf_printf(h->out, ");\n");
    }
}

static void write_main(Host *h, uint32_t tensors)
{
    const uint32_t kernels = h->program.kernels.count;
    buf_printf(h->out,
               "int main(int argc, char **argv)\n{\n"
               "    open_device(argc, argv);\n"
               "    build_program(source, sizeof source / sizeof *source, %d);\n"
               "    create_tensors(tensors, %u);\n",
               program_has_groups(&h->program), tensors);
    if (ocl_prints(&h->program))
        buf_printf(h->out,
                   "    print_buffer = create_buffer(%d, memory(%d)); // its lines are dropped\n",
                   PRINT_WORDS * 8, PRINT_WORDS * 8);
    if (kernels) buf_printf(h->out, "    cl_kernel kernels[] = {\n");
    for (uint32_t k = 0; k < kernels; k++)
        buf_printf(h->out, "        create_kernel(\"%.*s\"),\n",
                   STR_ARG(h->program.kernels.data[k].name));
    if (kernels) buf_printf(h->out, "    };\n");
    write_launches(h);
    buf_printf(h->out,
               "    check(clFinish(queue), \"clFinish\");\n"
               "    read_back(tensors, %u);\n"
               "    const int wrong = compare(tensors, %u);\n"
               "    printf(wrong ? \"differs\\n\" : \"ok\\n\");\n"
               "    return wrong ? 1 : 0;\n}\n",
               tensors, tensors);
}

bool opencl_host_text(Buf *out, const HostLaunch *launch, DiagList *diags)
{
    const Func *f = launch->loop;
    Arena *arena = out->arena;
    Host h = {.out = out, .launch = launch, .f = f};
    if (!ocl_program_emit(&h.program, arena, f, launch->machine, diags)) return false;
    h.values = arena_array(arena, uint64_t, f->values.count + 1);
    h.front = arena_array(arena, int64_t, f->mems.count + 1);
    h.number = arena_array(arena, uint32_t, f->mems.count + 1);
    for (uint32_t m = 1; m < f->mems.count; m++) h.front[m] = launch->tensors[m].front;
    evaluate_body(&h);
    buf_printf(out,
               "// %s, written by hako: runs on an OpenCL device and is compared with the\n"
               "// reference interpreter. Needs OpenCL alone.\n"
               "//\n//     cc -O2 FILE.c -o program -lOpenCL -lm && ./program [DEVICE NUMBER]\n\n",
               launch->title);
    buf_add(out, opencl_host_fill, (size_t)(opencl_host_fill_end - opencl_host_fill));
    buf_char(out, '\n');
    buf_add(out, opencl_host_frame, (size_t)(opencl_host_frame_end - opencl_host_frame));
    buf_char(out, '\n');
    write_source(&h);
    const uint32_t tensors = write_tensors(&h);
    if (ocl_prints(&h.program)) buf_printf(out, "static cl_mem print_buffer;\n\n");
    for (uint32_t k = 0; k < h.program.kernels.count; k++) write_kernel(&h, k);
    write_main(&h, tensors);
    return true;
}

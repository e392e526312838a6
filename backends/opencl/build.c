// Has the driver build a program: from a binary that was kept, if it takes it, else from source.
//
// A binary is nothing to rely on: what the driver refuses, or what lacks a kernel, is built anew
// without a word. Its key is all that it depends on, compared whole.
#include "backends/opencl/code.h"

#include <string.h>

static void report_build(const OpenclCode *code, DiagList *diags, cl_int status)
{
    size_t bytes = 0;
    Diag *diag = diag_add(diags, DIAG_INTERNAL, (Span){0},
                          "the OpenCL compiler of '%s' refused the generated source: %s (%d)",
                          code->site.device.name, opencl_error_name(status), (int)status);
    code->site.api->clGetProgramBuildInfo(code->built, code->site.id, CL_PROGRAM_BUILD_LOG, 0, NULL,
                                          &bytes);
    if (!bytes) return;
    char *log = arena_alloc(diags->arena, bytes + 1);
    code->site.api->clGetProgramBuildInfo(code->built, code->site.id, CL_PROGRAM_BUILD_LOG, bytes,
                                          log, NULL);
    diag_note(diags, diag, (Span){0}, "build log:\n%.*s", bytes > 4000 ? 4000 : (int)bytes, log);
}

// -w: drivers print the number of warnings on stderr. What PoCL makes of barriers in loops is right
// only where nothing is optimised before (docs/opencl.md, "PoCL").
static const char *options_for(OpenclCode *code, bool subgroups)
{
    const OpenclDevice *device = &code->site.device;
    const bool is_plain = device->is_cpu && program_has_groups(&code->program);
    Str language = subgroups ? str_format(&code->arena, "CL%u.0 -DHK_SUBGROUPS", device->subgroups)
                             : STR("CL1.2");
    Str text = str_format(&code->arena, "-w -cl-std=%.*s%s%s", STR_ARG(language),
                          device->exact_division ? " -cl-fp32-correctly-rounded-divide-sqrt" : "",
                          is_plain ? " -cl-opt-disable" : "");
    return text.data;
}

static cl_int create_kernels(OpenclCode *code)
{
    const Program *program = &code->program;
    cl_int status = CL_SUCCESS;
    for (uint32_t i = 0; status == CL_SUCCESS && i < program->kernels.count; i++) {
        const char *name = program->kernels.data[i].name.data;
        code->kernels[i] = code->site.api->clCreateKernel(code->built, name, &status);
    }
    return status;
}

static void release(OpenclCode *code)
{
    for (uint32_t i = 0; i < code->program.kernels.count; i++) {
        if (code->kernels[i]) code->site.api->clReleaseKernel(code->kernels[i]);
        code->kernels[i] = NULL;
    }
    if (code->built) code->site.api->clReleaseProgram(code->built);
    code->built = NULL;
}

// ---- binaries

static Str key_of(OpenclCode *code)
{
    const OpenclApi *api = code->site.api;
    char platform_version[256] = "", device_version[256] = "";
    const size_t most = sizeof platform_version - 1;
    api->clGetPlatformInfo(code->site.platform, CL_PLATFORM_VERSION, most, platform_version, NULL);
    api->clGetDeviceInfo(code->site.id, CL_DEVICE_VERSION, most, device_version, NULL);
    return str_format(&code->arena, "opencl\n%s\n%s\n%s\n%s\n%s\n%s\n%.*s",
                      code->site.device.platform, platform_version, code->site.device.name,
                      device_version, code->site.device.driver, code->options,
                      STR_ARG(code->program.text));
}

static bool build_kept(OpenclCode *code, Str binary)
{
    const OpenclApi *api = code->site.api;
    cl_int status = CL_SUCCESS, loaded = CL_SUCCESS;
    const unsigned char *data = (const unsigned char *)binary.data;
    code->built = api->clCreateProgramWithBinary(code->site.context, 1, &code->site.id,
                                                 &binary.length, &data, &loaded, &status);
    if (status == CL_SUCCESS) status = loaded;
    if (status == CL_SUCCESS)
        status = api->clBuildProgram(code->built, 1, &code->site.id, code->options, NULL, NULL);
    if (status == CL_SUCCESS) status = create_kernels(code);
    if (status == CL_SUCCESS) return true;
    release(code);
    return false;
}

static void put_binary(OpenclCode *code, const OpenclKeep *keep, Str key)
{
    Arena *arena = &code->arena;
    size_t bytes = 0;
    cl_int status = code->site.api->clGetProgramInfo(code->built, CL_PROGRAM_BINARY_SIZES,
                                                     sizeof bytes, &bytes, NULL);
    if (status != CL_SUCCESS || !bytes) return;
    unsigned char *data = arena_alloc(arena, bytes);
    status = code->site.api->clGetProgramInfo(code->built, CL_PROGRAM_BINARIES, sizeof data, &data,
                                              NULL);
    if (status == CL_SUCCESS) keep->put(keep->self, arena, key, (Str){(char *)data, bytes});
}

// ---- all

static bool build_source(OpenclCode *code, DiagList *diags)
{
    cl_int status = CL_SUCCESS;
    const OpenclApi *api = code->site.api;
    const char *text = code->program.text.data;
    const size_t length = code->program.text.length;
    code->built = api->clCreateProgramWithSource(code->site.context, 1, &text, &length, &status);
    if (!opencl_ok(diags, status, "clCreateProgramWithSource")) return false;
    status = api->clBuildProgram(code->built, 1, &code->site.id, code->options, NULL, NULL);
    if (status != CL_SUCCESS) report_build(code, diags, status);
    if (status == CL_SUCCESS && opencl_ok(diags, create_kernels(code), "clCreateKernel"))
        return true;
    release(code);
    return false;
}

static bool build(OpenclCode *code, const OpenclKeep *keep, DiagList *diags)
{
    Str key = keep ? key_of(code) : (Str){0};
    Str binary = keep ? keep->get(keep->self, &code->arena, key) : (Str){0};
    code->was_kept = binary.length && build_kept(code, binary);
    if (code->was_kept) return true;
    if (!build_source(code, diags)) return false;
    if (keep) put_binary(code, keep, key);
    return true;
}

// Where the driver has subgroups but not in a language that takes the program, there are trees.
bool opencl_build(OpenclCode *code, const OpenclKeep *keep, DiagList *diags)
{
    DiagList unseen = {.arena = diags->arena};
    code->kernels = arena_array(&code->arena, cl_kernel, code->program.kernels.count + 1);
    if (code->site.device.subgroups && strstr(code->program.text.data, "HK_SUBGROUPS")) {
        code->options = options_for(code, true);
        if (build(code, keep, &unseen)) return true;
    }
    code->options = options_for(code, false);
    return build(code, keep, diags);
}

bool opencl_build_again(OpenclCode *code, DiagList *diags)
{
    if (code->built && !opencl_site_is_lost(&code->site)) return true;
    release(code);
    return opencl_site(code->site.system, code->site.number, &code->site, diags) &&
           build_source(code, diags);
}

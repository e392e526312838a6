// Opens OpenCL when it is first asked for. The host's context, if there is one, decides which
// devices there are.
#include "backends/opencl/system.h"
#include "backends/opencl/code.h"

#include <string.h>

OpenclSystem *opencl_system_new(Arena *arena)
{
    OpenclSystem *system = arena_new(arena, OpenclSystem);
    pthread_mutex_init(&system->lock, NULL);
    return system;
}

void opencl_system_close(OpenclSystem *system)
{
    for (uint32_t i = 0; i < OPENCL_DEVICES_MAX; i++)
        if (system->contexts[i]) system->api.clReleaseContext(system->contexts[i]);
    if (system->given) system->api.clReleaseContext(system->given);
    pthread_mutex_destroy(&system->lock);
}

// What is missing may be there the next time.
static bool open_system(OpenclSystem *system, char *reason, size_t reason_bytes)
{
    pthread_mutex_lock(&system->lock);
    if (!system->is_open)
        system->is_open = opencl_api_open(&system->api, reason, reason_bytes) &&
                          opencl_api_devices(&system->api, &system->ids, reason, reason_bytes) > 0;
    const bool is_open = system->is_open;
    pthread_mutex_unlock(&system->lock);
    return is_open;
}

bool opencl_system_adopt(OpenclSystem *system, void *context, DiagList *diags)
{
    const OpenclApi *api = &system->api;
    char reason[256];
    size_t bytes = 0;
    if (!opencl_api_open(&system->api, reason, sizeof reason)) {
        diag_add(diags, DIAG_DEVICE, (Span){0}, "%s", reason);
        return false;
    }
    cl_int status = api->clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof system->ids.devices,
                                          system->ids.devices, &bytes);
    if (!opencl_ok(diags, status, "clGetContextInfo")) return false;
    system->ids.count = (uint32_t)(bytes / sizeof(cl_device_id));
    for (uint32_t i = 0; i < system->ids.count; i++) {
        status = api->clGetDeviceInfo(system->ids.devices[i], CL_DEVICE_PLATFORM,
                                      sizeof(cl_platform_id), &system->ids.platforms[i], NULL);
        if (!opencl_ok(diags, status, "clGetDeviceInfo")) return false;
    }
    if (!opencl_ok(diags, api->clRetainContext(context), "clRetainContext")) return false;
    system->given = context;
    system->is_open = true;
    return true;
}

uint32_t opencl_devices(OpenclSystem *system, OpenclDevice *devices, uint32_t capacity,
                        char *reason, uint32_t reason_bytes)
{
    if (!open_system(system, reason, reason_bytes)) return 0;
    const OpenclIds *ids = &system->ids;
    for (uint32_t i = 0; i < ids->count && i < capacity; i++)
        opencl_device_describe(&system->api, ids->platforms[i], ids->devices[i], &devices[i]);
    return ids->count;
}

static cl_context context_of(OpenclSystem *system, uint32_t device, uint32_t *lost, cl_int *status)
{
    if (system->given) return system->given;
    pthread_mutex_lock(&system->lock);
    cl_context *at = &system->contexts[device];
    if (!*at)
        *at =
            system->api.clCreateContext(NULL, 1, &system->ids.devices[device], NULL, NULL, status);
    cl_context context = *at;
    *lost = system->lost[device];
    pthread_mutex_unlock(&system->lock);
    return context;
}

bool opencl_site(OpenclSystem *system, uint32_t device, OpenclSite *site, DiagList *diags)
{
    char reason[256] = "";
    cl_int status = CL_SUCCESS;
    if (!open_system(system, reason, sizeof reason)) {
        diag_add(diags, DIAG_DEVICE, (Span){0}, "%s", reason);
        return false;
    }
    if (device >= system->ids.count) {
        Diag *diag =
            diag_add(diags, DIAG_DEVICE, (Span){0}, "there is no OpenCL device %u", device);
        diag_hint(diags, diag, "the devices are numbered 0 to %u", system->ids.count - 1);
        return false;
    }
    *site = (OpenclSite){.system = system,
                         .number = device,
                         .api = &system->api,
                         .platform = system->ids.platforms[device],
                         .id = system->ids.devices[device]};
    opencl_device_describe(site->api, site->platform, site->id, &site->device);
    site->context = context_of(system, device, &site->lost, &status);
    return opencl_ok(diags, status, "clCreateContext");
}

// ---- a device that is lost

bool opencl_site_is_lost(const OpenclSite *site)
{
    OpenclSystem *system = site->system;
    pthread_mutex_lock(&system->lock);
    const bool is_lost = system->lost[site->number] != site->lost;
    pthread_mutex_unlock(&system->lock);
    return is_lost;
}

// What is in the context holds it as long as somebody holds that.
static void give_up(const OpenclSite *site)
{
    OpenclSystem *system = site->system;
    pthread_mutex_lock(&system->lock);
    if (system->lost[site->number] == site->lost) {
        system->lost[site->number]++;
        if (system->contexts[site->number])
            system->api.clReleaseContext(system->contexts[site->number]);
        system->contexts[site->number] = NULL;
    }
    pthread_mutex_unlock(&system->lock);
}

// Drivers differ in how they say it: after a fault in a kernel, all calls of the queue fail.
static bool means_lost(cl_int status, const char *call)
{
    enum { NVIDIA_FAULT = -9999 };
    const bool waits = strcmp(call, "clFinish") == 0 || strcmp(call, "clEnqueueReadBuffer") == 0;
    return status == CL_DEVICE_NOT_AVAILABLE || status == CL_INVALID_COMMAND_QUEUE ||
           status == CL_INVALID_CONTEXT || status == CL_INVALID_DEVICE ||
           status == CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST || status == NVIDIA_FAULT ||
           (waits && status == CL_OUT_OF_RESOURCES);
}

bool opencl_site_ok(const OpenclSite *site, DiagList *diags, cl_int status, const char *call)
{
    if (opencl_ok(diags, status, call)) return true;
    if (!means_lost(status, call)) return false;
    Diag *diag = (Diag *)diags->diags.data[diags->diags.count - 1];
    if (site->system->given) {
        diag_hint(diags, diag,
                  "'%s' is lost, or its context: make another context, and give it to a new "
                  "hk_context",
                  site->device.name);
        return false;
    }
    diag_hint(diags, diag,
              "'%s' is lost, and what launches since the last wait wrote; the next launch tries it "
              "with a new context",
              site->device.name);
    give_up(site);
    return false;
}

// ---- buffers that the host made

static cl_int describe(const OpenclCode *code, cl_mem buffer, OpenclBuffer *out)
{
    cl_mem_object_type type = 0;
    cl_mem_flags flags = 0;
    cl_context context = NULL;
    cl_mem root = NULL;
    void *host = NULL;
    size_t bytes = 0, offset = 0;
    cl_int status = CL_SUCCESS;
#define INFO(what, to)                                                                             \
    if (status == CL_SUCCESS)                                                                      \
        status = code->site.api->clGetMemObjectInfo(buffer, what, sizeof to, &to, NULL);
    INFO(CL_MEM_TYPE, type)
    INFO(CL_MEM_FLAGS, flags)
    INFO(CL_MEM_CONTEXT, context)
    INFO(CL_MEM_SIZE, bytes)
    INFO(CL_MEM_HOST_PTR, host)
    *out = (OpenclBuffer){.is_buffer = type == CL_MEM_OBJECT_BUFFER,
                          .is_ours =
                              context == code->site.context && !opencl_site_is_lost(&code->site),
                          .is_read_only = (flags & CL_MEM_READ_ONLY) != 0,
                          .is_write_only = (flags & CL_MEM_WRITE_ONLY) != 0,
                          .is_unaligned = flags & CL_MEM_USE_HOST_PTR && (uintptr_t)host % 16,
                          .bytes = (int64_t)bytes,
                          .root = buffer};
    if (!out->is_buffer) return status;
    INFO(CL_MEM_ASSOCIATED_MEMOBJECT, root)
    INFO(CL_MEM_OFFSET, offset)
#undef INFO
    if (root) out->root = root;
    out->root_offset = (int64_t)offset;
    return status;
}

const char *opencl_buffer_describe(const OpenclCode *code, void *buffer, OpenclBuffer *out)
{
    cl_int status = describe(code, buffer, out);
    return status == CL_SUCCESS ? NULL : opencl_error_name(status);
}

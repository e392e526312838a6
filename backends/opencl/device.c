// An OpenCL device: the properties that matter here, and what code for it is to look like.
#include <stdio.h>

#include "backends/opencl/api.h"
#include "backends/opencl/opencl_backend.h"

static void copy_text(char *to, size_t bytes, const char *from)
{
    snprintf(to, bytes, "%s", from);
}

static bool has_extension(const char *extensions, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = extensions; (s = strstr(s, name)); s += n) {
        if ((s == extensions || s[-1] == ' ') && (s[n] == ' ' || !s[n])) return true;
    }
    return false;
}

// 2 or 3: the version of OpenCL C that has subgroups; 0: none.
static uint32_t language_of(const OpenclApi *api, cl_device_id id)
{
    const char prefix[] = "OpenCL C ";
    const size_t digit = sizeof prefix - 1;
    char text[256] = "";
    api->clGetDeviceInfo(id, CL_DEVICE_OPENCL_C_VERSION, sizeof text - 1, text, NULL);
    const bool has =
        strncmp(text, prefix, digit) == 0 && (text[digit] == '2' || text[digit] == '3');
    return has ? (uint32_t)(text[digit] - '0') : 0;
}

void opencl_device_describe(const OpenclApi *api, cl_platform_id platform, cl_device_id id,
                            OpenclDevice *device)
{
    char text[8192] = "";
    cl_ulong global = 0, local = 0, allocation = 0;
    cl_uint units = 1, native = 1, clock = 0;
    cl_ulong cache = 0;
    cl_device_type type = 0;
    cl_device_fp_config single = 0;
    size_t group = 1, parameters = 1024;
    *device = (OpenclDevice){0};
    if (api->clGetDeviceInfo(id, CL_DEVICE_NAME, sizeof text - 1, text, NULL) == CL_SUCCESS) {
        copy_text(device->name, sizeof device->name, text);
    }
    if (api->clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof text - 1, text, NULL) ==
        CL_SUCCESS) {
        copy_text(device->platform, sizeof device->platform, text);
    }
    if (api->clGetDeviceInfo(id, CL_DRIVER_VERSION, sizeof text - 1, text, NULL) == CL_SUCCESS) {
        copy_text(device->driver, sizeof device->driver, text);
    }
    api->clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof global, &global, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof allocation, &allocation, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof native, &native, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_MAX_PARAMETER_SIZE, sizeof parameters, &parameters, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof single, &single, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_MAX_CLOCK_FREQUENCY, sizeof clock, &clock, NULL);
    api->clGetDeviceInfo(id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, sizeof cache, &cache, NULL);
    device->clock_mhz = clock;
    device->cache_bytes = (int64_t)cache;
    device->global_bytes = (int64_t)global;
    device->local_bytes = (int64_t)local;
    device->allocation_bytes_max = (int64_t)allocation;
    device->compute_units = units;
    device->native_lanes = native;
    device->work_group_max = (uint32_t)group;
    device->parameter_bytes_max = (uint32_t)parameters;
    device->is_cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
    device->exact_division = (single & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0;
    if (api->clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, sizeof text - 1, text, NULL) == CL_SUCCESS) {
        device->fp16 = has_extension(text, "cl_khr_fp16");
        device->fp64 = has_extension(text, "cl_khr_fp64");
        device->int64_atomics = has_extension(text, "cl_khr_int64_base_atomics");
        device->subgroups = has_extension(text, "cl_khr_subgroups");
    }
    if (device->subgroups) device->subgroups = language_of(api, id);
}

// ---- what code is to look like

enum {
    GPU_GROUP = 256,
    VECTOR_BYTES = 16,
    CPU_VECTOR_BYTES = 32,   // at most: wider ones take CPUs' drivers long to compile ...
    LONG_VECTOR_BYTES = 64,  // ... which pays where a launch takes long
    LOCAL_BYTES = 32 * 1024, // what every device with the full profile has
    LOCAL_KEPT = 64          // some drivers take a few for themselves
};

static uint32_t power_of_two_below(uint32_t x)
{
    uint32_t power = 1;
    while (power <= x / 2) power *= 2;
    return power;
}

void opencl_machine(OpenclSystem *system, uint32_t number, int64_t group, int64_t lanes,
                    bool is_long, Machine *machine)
{
    OpenclDevice devices[OPENCL_DEVICES_MAX], device = {0};
    char reason[256];
    const bool is_there =
        opencl_devices(system, devices, OPENCL_DEVICES_MAX, reason, sizeof reason) > number;
    if (is_there) device = devices[number];
    machine->dots_bf16 = machine->dots_i8 = machine->tiles_bf16 = machine->tiles_i8 = false;
    machine->local_bytes = LOCAL_BYTES - LOCAL_KEPT;
    machine->group = GPU_GROUP;
    machine->vector_bytes = VECTOR_BYTES;
    if (is_there) {
        machine->cores = device.compute_units;
        if (device.local_bytes < LOCAL_BYTES)
            machine->local_bytes = device.local_bytes - LOCAL_KEPT;
        if (device.work_group_max < GPU_GROUP)
            machine->group = power_of_two_below(device.work_group_max);
        if (device.is_cpu) machine->group = 1;
    }
    if (group > 0) machine->group = (uint32_t)group;
    machine->is_gpu_style = machine->group > 1;
    if (!machine->is_gpu_style && device.native_lanes > VECTOR_BYTES / 4) {
        uint32_t native = 4 * device.native_lanes,
                 most = is_long ? LONG_VECTOR_BYTES : CPU_VECTOR_BYTES;
        machine->vector_bytes = native < most ? native : most;
    }
    if (lanes > 0) machine->vector_bytes = (uint32_t)(4 * lanes);
}

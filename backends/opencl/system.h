// What the OpenCL programs of one hk_context share: the loader, its devices, a context for each
// that is used, or that of the host.
#ifndef HK_BACKENDS_OPENCL_SYSTEM_H
#define HK_BACKENDS_OPENCL_SYSTEM_H

#include <pthread.h>

#include "backends/opencl/api.h"

struct OpenclSystem {
    pthread_mutex_t lock; // guards all of this until it is open, and the contexts
    bool is_open;
    OpenclApi api;
    cl_context given; // by the host; NULL: none
    OpenclIds ids;
    cl_context contexts[OPENCL_DEVICES_MAX]; // of each device, made at need
};

typedef struct OpenclSite { // where programs and queues of one device live
    const OpenclApi *api;
    cl_platform_id platform;
    cl_device_id id;
    cl_context context; // borrowed
    OpenclDevice device;
} OpenclSite;

// False after an error in diags: no loader, no driver, no such device, no context.
bool opencl_site(OpenclSystem *system, uint32_t device, OpenclSite *site, DiagList *diags);

#endif

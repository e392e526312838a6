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
    uint32_t lost[OPENCL_DEVICES_MAX];       // how many of each device have been, with all in them
};

typedef struct OpenclSite { // where programs and queues of one device live
    OpenclSystem *system;
    uint32_t number, lost; // of the device; how many contexts had been lost before this one
    const OpenclApi *api;
    cl_platform_id platform;
    cl_device_id id;
    cl_context context; // borrowed
    OpenclDevice device;
} OpenclSite;

// False after an error in diags: no loader, no driver, no such device, no context.
bool opencl_site(OpenclSystem *system, uint32_t device, OpenclSite *site, DiagList *diags);
// Whether the site's context has been given up, with all programs, queues and buffers in it.
bool opencl_site_is_lost(const OpenclSite *site);
// As opencl_ok (code.h), of a call that has to do with the device. An error that says that it, or
// the context, is no more gives the context up, unless it is the host's: who comes next makes
// another.
bool opencl_site_ok(const OpenclSite *site, DiagList *diags, cl_int status, const char *call);

#endif

// The runtime of libraries compiled ahead of time, as bytes that such libraries are made of.
#ifndef HK_RUNTIME_AOT_EMBEDDED_H
#define HK_RUNTIME_AOT_EMBEDDED_H

extern const char aot_runtime_object[], aot_runtime_object_end[]; // for this machine
extern const char aot_runtime_source[], aot_runtime_source_end[];

#endif

# The object file and the source of the runtime as constants (embedded.h).
    .section .rodata
    .global aot_runtime_object, aot_runtime_object_end, aot_runtime_source, aot_runtime_source_end
    .hidden aot_runtime_object, aot_runtime_object_end, aot_runtime_source, aot_runtime_source_end
aot_runtime_object:
    .incbin "runtime/aot/runtime.o"
aot_runtime_object_end:
aot_runtime_source:
    .incbin "runtime/aot/runtime.c"
aot_runtime_source_end:
    .section .note.GNU-stack, "", %progbits

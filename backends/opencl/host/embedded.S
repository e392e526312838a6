# The text that host programs begin with, as constants (host.h).
    .section .rodata
    .global opencl_host_fill, opencl_host_fill_end, opencl_host_frame, opencl_host_frame_end
    .hidden opencl_host_fill, opencl_host_fill_end, opencl_host_frame, opencl_host_frame_end
opencl_host_fill:
    .incbin "backends/opencl/host/fill.h"
opencl_host_fill_end:
opencl_host_frame:
    .incbin "backends/opencl/host/frame.c"
opencl_host_frame_end:
    .section .note.GNU-stack, "", %progbits

"""include/hako.h for ctypes: structures, functions, and the search for the library."""
import ctypes as c
import ctypes.util
import os

OK, MISMATCH = 0, 5
IN, OUT, INOUT, SCALAR = range(4)
TENSOR, INT, FLOAT = range(3)
STAGE_RUN, STAGE_TILE = 0, 1
CPU, OPENCL, INTERP = range(3)
HERE = os.path.dirname(os.path.abspath(__file__))


class Device(c.Structure):
    _fields_ = [("type", c.c_int32), ("id", c.c_int32)]


class DataType(c.Structure):
    _fields_ = [("code", c.c_uint8), ("bits", c.c_uint8), ("lanes", c.c_uint16)]


class Tensor(c.Structure):
    """DLTensor."""
    _fields_ = [("data", c.c_void_p), ("device", Device), ("ndim", c.c_int32), ("dtype", DataType),
                ("shape", c.POINTER(c.c_int64)), ("strides", c.POINTER(c.c_int64)), ("byte_offset", c.c_uint64)]


class Arg(c.Structure):
    _fields_ = [("name", c.c_char_p), ("kind", c.c_int), ("tensor", c.POINTER(Tensor)), ("integer", c.c_int64),
                ("number", c.c_double)]


class Define(c.Structure):
    _fields_ = [("name", c.c_char_p), ("value", c.c_char_p)]


class Sized(c.Structure):
    """A structure whose first member is its size."""

    def __init__(self, **members):
        super().__init__(struct_size=c.sizeof(self), **members)


class Options(Sized):
    _fields_ = [("struct_size", c.c_size_t), ("defines", c.POINTER(Define)), ("define_count", c.c_size_t),
                ("args", c.POINTER(Arg)), ("arg_count", c.c_size_t), ("dims", c.c_void_p), ("dim_count", c.c_size_t),
                ("free_dims", c.c_void_p), ("free_dim_count", c.c_size_t),
                ("config", c.c_char_p), ("tuned", c.c_char_p), ("target", c.c_int), ("device", c.c_uint32), ("threads", c.c_uint32),
                ("stage", c.c_int), ("dump", c.c_char_p), ("stop_after", c.c_char_p), ("disabled_passes", c.c_char_p)]


class Param(Sized):
    _fields_ = [("struct_size", c.c_size_t), ("kind", c.c_int), ("name", c.c_char_p), ("text", c.c_char_p),
                ("type", c.c_char_p), ("dims", c.POINTER(c.c_char_p)), ("dim_count", c.c_size_t), ("pack", c.c_int32),
                ("optional", c.c_bool)]


class ExecParam(Sized):
    _fields_ = [("struct_size", c.c_size_t), ("kind", c.c_int), ("name", c.c_char_p), ("dtype", DataType),
                ("dtype_name", c.c_char_p), ("ndim", c.c_int32), ("shape", c.POINTER(c.c_int64)), ("bytes", c.c_size_t),
                ("has_default", c.c_bool), ("promise", c.c_int), ("low", c.c_int64), ("high", c.c_int64)]


def _places():
    """Where the library may be: $HAKO_LIBRARY; beside this file; in the source tree; where the system looks."""
    if os.environ.get("HAKO_LIBRARY"):
        yield os.environ["HAKO_LIBRARY"]
        return
    yield os.path.join(HERE, "libhako.so")
    yield os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "libhako.so")
    yield ctypes.util.find_library("hako") or "libhako.so.0"


def _open():
    tried = []
    for place in _places():
        if os.path.isabs(place) and not os.path.exists(place):
            tried.append(f"{place}: no such file")
            continue
        try:
            return c.CDLL(place)
        except OSError as error:
            tried.append(str(error))
    raise ImportError("libhako is not found; set HAKO_LIBRARY to its path, or `make install`. Tried: " + "; ".join(tried))


def _declare(name, result, *arguments):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments
    return function


lib = _open()
_p, _pp = c.c_void_p, c.POINTER(c.c_void_p)
version_text = _declare("hk_version_text", c.c_char_p)
context_create = _declare("hk_context_create", c.c_int, _p, _pp, _pp)
context_free = _declare("hk_context_free", None, _p)
module_load_text = _declare("hk_module_load_text", c.c_int, _p, c.c_char_p, c.c_char_p, c.c_size_t, _pp, _pp)
module_load_file = _declare("hk_module_load_file", c.c_int, _p, c.c_char_p, _pp, _pp)
module_free = _declare("hk_module_free", None, _p)
module_kernel_count = _declare("hk_module_kernel_count", c.c_size_t, _p)
module_kernel = _declare("hk_module_kernel", _p, _p, c.c_size_t)
kernel_name = _declare("hk_kernel_name", c.c_char_p, _p)
kernel_param = _declare("hk_kernel_param", c.c_int, _p, c.c_size_t, c.POINTER(Param))
kernel_specialize = _declare("hk_kernel_specialize", c.c_int, _p, c.POINTER(Options), _pp, _pp)
exec_free = _declare("hk_exec_free", None, _p)
exec_param = _declare("hk_exec_param", c.c_int, _p, c.c_size_t, c.POINTER(ExecParam))
exec_run = _declare("hk_exec_run", c.c_int, _p, c.POINTER(Arg), c.c_size_t, _pp)
error_text = _declare("hk_error_text", c.c_char_p, _p, c.c_bool)
error_json = _declare("hk_error_json", c.c_char_p, _p)
error_message = _declare("hk_error_message", c.c_char_p, _p)
error_free = _declare("hk_error_free", None, _p)
status_text = _declare("hk_status_text", c.c_char_p, c.c_int)

"""Arrays of NumPy, PyTorch, JAX and whatever else speaks DLPack, as DLTensors without a copy; and outputs made in the
framework of the inputs."""
import ctypes as c
import sys

import numpy

from . import _c

# dtype names, here and in the frameworks, to DLPack's code and bits.
TYPES = {"f64": (2, 64), "f32": (2, 32), "f16": (2, 16), "bf16": (4, 16), "i64": (0, 64), "i32": (0, 32), "i16": (0, 16),
         "i8": (0, 8), "u32": (1, 32), "u16": (1, 16), "u8": (1, 8), "bool": (6, 8), "f8e4m3": (10, 8), "f8e5m2": (12, 8)}
FRAMEWORK = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64", "i32": "int32",
             "i16": "int16", "i8": "int8", "u32": "uint32", "u16": "uint16", "u8": "uint8", "bool": "bool",
             "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2"}
CODES = {FRAMEWORK[name]: code for name, code in TYPES.items()}
NAMES = {code: name for name, code in TYPES.items()}


def framework_of(value):
    """"numpy", "torch", "jax", "dlpack", or None for what is no array."""
    module = type(value).__module__.partition(".")[0]
    if module in ("numpy", "torch"):
        return module if hasattr(value, "strides") or hasattr(value, "stride") else None
    if module in ("jax", "jaxlib"):
        return "jax"
    return "dlpack" if hasattr(value, "__dlpack__") else None


def signature(value):
    """What a call depends on but the address: hashable, None if it cannot be told quickly."""
    kind = type(value)
    if kind is numpy.ndarray:
        return value.dtype, value.shape, value.strides, value.flags.writeable
    if kind is float:
        return kind  # its value does not matter
    if kind is int or kind is bool:
        return kind, value
    torch = sys.modules.get("torch")
    if torch and (kind is torch.Tensor or kind is torch.nn.Parameter):
        return value.dtype, value.shape, value.stride(), value.device, value.layout
    return None


def address(value):
    """Where the array lies; None for those whose tensor knows already."""
    kind = type(value)
    if kind is numpy.ndarray:
        return value.__array_interface__["data"][0]
    torch = sys.modules.get("torch")
    return value.data_ptr() if torch and isinstance(value, torch.Tensor) else None


def tensor(pointer, dtype, shape):
    """A compact DLTensor."""
    if dtype not in TYPES:
        raise TypeError(f"there are no arrays of {dtype}; pass one of bytes as out=")
    return _tensor(pointer, TYPES[dtype], shape, None)


def _tensor(pointer, code, shape, strides):
    """A DLTensor over memory that someone else keeps."""
    n = len(shape)
    tensor = _c.Tensor(pointer, _c.Device(1, 0), n, _c.DataType(code[0], code[1], 1))
    tensor.shape = (c.c_int64 * n)(*shape)
    if strides is not None:
        tensor.strides = (c.c_int64 * n)(*strides)
    return tensor


def _of_numpy(array, name, writes):
    code = CODES.get(array.dtype.name)
    if code is None or not array.dtype.isnative:
        raise TypeError(f"{name}: NumPy arrays of {array.dtype} cannot be passed")
    if writes and not array.flags.writeable:
        raise ValueError(f"{name}: the array is read-only, and the kernel writes to it")
    size = array.itemsize
    if any(s % size for s in array.strides):
        raise ValueError(f"{name}: its strides are no multiples of its elements' size")
    return _tensor(array.ctypes.data, code, array.shape, [s // size for s in array.strides])


def _of_torch(array, name, fake):
    code = CODES.get(str(array.dtype).partition(".")[2])
    if code is None:
        raise TypeError(f"{name}: PyTorch tensors of {array.dtype} cannot be passed")
    if array.device.type not in ("cpu", "meta") and not fake:
        raise ValueError(f"{name}: the tensor is on {array.device}, not on the CPU")
    pointer = None if fake else array.data_ptr()
    return _tensor(pointer, code, [int(s) for s in array.shape], [int(s) for s in array.stride()])


class _Managed(c.Structure):
    _fields_ = [("tensor", _c.Tensor), ("context", c.c_void_p), ("deleter", c.c_void_p)]


_capsule_pointer = c.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = c.c_void_p, (c.py_object, c.c_char_p)


def _of_dlpack(array, name, writes):
    """The capsule owns the memory's lease and is kept beside the tensor until the call is over."""
    if writes and type(array).__module__.partition(".")[0] in ("jax", "jaxlib"):
        raise ValueError(f"{name}: arrays of JAX never change, and the kernel writes to it")
    device = array.__dlpack_device__()
    if device[0] != 1:
        raise ValueError(f"{name}: the array is on DLPack device {tuple(device)}, not on the CPU")
    capsule = array.__dlpack__()
    managed = c.cast(_capsule_pointer(capsule, b"dltensor"), c.POINTER(_Managed))
    tensor = _c.Tensor.from_buffer_copy(managed.contents.tensor)
    tensor.keep = capsule
    return tensor


def tensor_of(array, name, fake=False, writes=False):
    """A DLTensor that lends the array's memory. fake: only its shape and dtype matter; writes: the kernel changes it."""
    kind = framework_of(array)
    if kind == "numpy":
        return _of_numpy(array, name, writes)
    if kind == "torch":
        return _of_torch(array, name, fake)
    if kind in ("jax", "dlpack"):
        return _of_dlpack(array, name, writes)
    raise TypeError(f"{name}: {type(array).__name__} is no array")


def empty(framework, dtype, shape, like):
    """A new array of the framework for an output."""
    if framework == "torch":
        torch = sys.modules["torch"]
        return torch.empty(shape, dtype=getattr(torch, FRAMEWORK[dtype]), device=getattr(like, "device", "cpu"))
    try:
        return numpy.empty(shape, numpy.dtype(FRAMEWORK[dtype]))
    except TypeError:  # bf16 and f8 come with ml_dtypes, which JAX brings
        import ml_dtypes
        return numpy.empty(shape, getattr(ml_dtypes, FRAMEWORK[dtype]))


def given_back(framework, array):
    """What the caller gets for an array that `empty` made."""
    return sys.modules["jax"].numpy.asarray(array) if framework == "jax" else array

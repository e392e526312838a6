"""Hako for Python: kernels of a .hk file as functions of arrays.

    import hako, numpy as np
    kernels = hako.load("samples/matmul.hk")
    c = kernels.matmul(np.ones((64, 32), np.float32), np.ones((32, 16), np.float32))

Arrays may be NumPy's, PyTorch's, JAX's, or anything with DLPack; they are lent to the kernel, not copied, and outputs are
made in the framework of the first input. A kernel is compiled when shapes and dtypes are first seen. Calls release the
interpreter lock; modules and kernels may be used from several threads.
"""
import ctypes as c
import json
import os
import threading

from . import _arrays, _c

__all__ = ["load", "loads", "version", "HakoError", "Module", "Kernel"]
version = _c.version_text().decode()
KEPT_MOST = 256  # execs and calls of a kernel


class HakoError(Exception):
    """What the library reports: `status` (hk_status), `message` (one line), `diagnostics` (as `--diagnostics=json`)."""

    def __init__(self, status, message, text="", diagnostics=()):
        super().__init__(text or message)
        self.status, self.message, self.diagnostics = status, message, list(diagnostics)


def _check(status, error):
    """Raises what the library reported, and frees it."""
    if not error.value:
        if status != _c.OK:
            raise HakoError(status, _c.status_text(status).decode())
        return
    try:
        if status != _c.OK:
            raise HakoError(status, _c.error_message(error).decode(), _c.error_text(error, False).decode().strip(),
                            json.loads(_c.error_json(error)))
    finally:
        _c.error_free(error)


def _text(value):
    """A value for a compile-time parameter in .hk syntax."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Context:
    """The library's context: one for the process, made when it is first needed."""
    lock, handle = threading.Lock(), None

    @classmethod
    def get(cls):
        with cls.lock:
            if cls.handle is None:
                handle, error = c.c_void_p(), c.c_void_p()
                _check(_c.context_create(None, c.byref(handle), c.byref(error)), error)
                cls.handle = handle
            return cls.handle


def load(path):
    """The kernels of a .hk file, as attributes of a Module."""
    return Module._load(_c.module_load_file, os.fsencode(path))


def loads(text, name="<text>"):
    """The kernels of a text."""
    data = text.encode()
    return Module._load(_c.module_load_text, name.encode(), data, len(data))


class Module:
    """A parsed file. Its kernels are attributes; `kernels` maps names to them."""

    @classmethod
    def _load(cls, function, *arguments):
        self, error = cls(), c.c_void_p()
        self._handle = c.c_void_p()
        _check(function(_Context.get(), *arguments, c.byref(self._handle), c.byref(error)), error)
        handles = [_c.module_kernel(self._handle, k) for k in range(_c.module_kernel_count(self._handle))]
        self.kernels = {_c.kernel_name(h).decode(): Kernel(self, h) for h in handles}
        return self

    def __getattr__(self, name):
        kernels = self.__dict__.get("kernels", {})
        if name in kernels:
            return kernels[name]
        raise AttributeError(f"there is no kernel '{name}'; it has: {', '.join(kernels) or 'none'}")

    def __dir__(self):
        return [*super().__dir__(), *self.kernels]

    def __del__(self):
        if getattr(self, "_handle", None):
            _c.module_free(self._handle)


class _Exec:
    """A kernel compiled for certain shapes and dtypes, and the outputs that it wants."""

    def __init__(self, handle):
        self.handle, self.outputs = handle, []
        info, index = _c.ExecParam(), 0
        while _c.exec_param(handle, index, c.byref(info)) == _c.OK:
            if info.kind == _c.OUT:
                shape = tuple(info.shape[d] for d in range(info.ndim))
                self.outputs.append((info.name.decode(), info.dtype_name.decode(), shape))
            index += 1

    def __del__(self):
        _c.exec_free(self.handle)


class _Call:
    """Arguments laid out for the library. A call with arguments of the same shapes, dtypes and strides uses it again, and
    only puts addresses in; one thread at a time."""

    def __init__(self, kernel, given, outputs, want, fake):
        self.fake, self.tensors, self.numbers, self.first = fake, {}, [], None
        args, signature = [], []
        for name, value in given.items():
            if _arrays.framework_of(value) is None:
                if isinstance(value, float):
                    self.numbers.append((name, len(args)))
                else:
                    signature.append((name, value))  # it may size outputs
                args.append(_scalar(name, value))
                continue
            self.first = self.first or name
            writes = kernel._kinds[name][0] == _c.INOUT
            self.tensors[name] = tensor = _arrays.tensor_of(value, name, fake, writes)
            n = tensor.ndim
            signature.append((name, tensor.dtype.code, tensor.dtype.bits, tuple(tensor.shape[:n]),
                              tuple(tensor.strides[:n]) if tensor.strides else None))
            args.append(_c.Arg(name.encode(), _c.TENSOR, c.pointer(tensor), 0, 0.0))
        for name in want:
            if name not in kernel.outputs:
                raise TypeError(f"{kernel.__name__} has no output '{name}'; it has: {', '.join(kernel.outputs)}")
        wanted = [_c.Arg(name.encode(), _c.TENSOR, None, 0, 0.0) for name in kernel.outputs
                  if name in want or (name in outputs and name in kernel._optional)]
        key = (tuple(signature), tuple(arg.name for arg in wanted), fake)
        self.compiled = kernel._compiled(key, [*args, *wanted], fake)
        self.framework = _arrays.framework_of(given[self.first]) if self.first else "numpy"
        for name, dtype, shape in () if fake else self.compiled.outputs:
            self.tensors[name] = (_arrays.tensor_of(outputs[name], name, writes=True) if name in outputs
                                  else _arrays.tensor(None, dtype, shape))
            args.append(_c.Arg(name.encode(), _c.TENSOR, c.pointer(self.tensors[name]), 0, 0.0))
        self.args, self.arg_count = (_c.Arg * len(args))(*args), len(args)
        arrays = [*given.values(), *outputs.values()]
        self.may_be_kept = not fake and all(_arrays.signature(value) is not None for value in arrays)

    def run(self, given, outputs):
        like = given[self.first] if self.first else None
        made = {name: outputs[name] if name in outputs else _arrays.empty(self.framework, dtype, shape, like)
                for name, dtype, shape in self.compiled.outputs}
        if not self.fake:
            for name, tensor in self.tensors.items():
                address = _arrays.address(made[name] if name in made else given[name])
                if address is not None:
                    tensor.data = address
            for name, index in self.numbers:
                self.args[index].number = given[name]
            error = c.c_void_p()
            status = _c.exec_run(self.compiled.handle, self.args, self.arg_count, c.byref(error))
            if status or error:
                _check(status, error)
        return [a if n in outputs else _arrays.given_back(self.framework, a) for n, a in made.items()]


def _remember(table, key, value):
    """What the table holds for the key from now on; what is old goes at once, as it is seldom much."""
    if len(table) >= KEPT_MOST:
        table.clear()
    return table.setdefault(key, value)


def _scalar(name, value):
    if isinstance(value, bool):
        return _c.Arg(name.encode(), _c.INT, None, int(value), float(value))
    if hasattr(value, "__index__"):
        return _c.Arg(name.encode(), _c.INT, None, int(value), 0.0)
    return _c.Arg(name.encode(), _c.FLOAT, None, 0, float(value))


class Kernel:
    """A kernel, called with its inputs in order or by name.

    kernel(x, w, eps=1e-5)     inputs (tensors, numbers); inout tensors are changed in place
    out=array or {name: array} outputs to write to instead of new ones
    want=("lse",)              optional outputs to compute as well
    kernel.bind(causal=True)   the kernel with compile-time parameters, a Config (config=), threads= or target= set
    Returns the output, or a tuple of the outputs in the order of their declaration."""

    def __init__(self, module, handle, settings=None):
        self._module, self._handle, self._settings = module, handle, settings or {}
        self._execs, self._lock = {}, threading.Lock()
        self._calls = {}  # by what arguments are like: calls that nobody uses now
        self.__name__ = _c.kernel_name(handle).decode()
        self.inputs, self.outputs, self._optional, self._kinds = [], [], set(), {}
        param, index = _c.Param(), 0
        lines = []
        while _c.kernel_param(handle, index, c.byref(param)) == _c.OK:
            name = param.name.decode()
            (self.outputs if param.kind == _c.OUT else self.inputs).append(name)
            if param.optional:
                self._optional.add(name)
            self._kinds[name] = (param.kind, param.type.decode())
            lines.append(param.text.decode())
            index += 1
        self.__doc__ = f"{self.__name__}: {'; '.join(lines)}"

    def __repr__(self):
        return f"<hako kernel {self.__name__}({', '.join(self.inputs)}) -> ({', '.join(self.outputs)})>"

    def bind(self, *, config=None, threads=0, target="cpu", device=0, **parameters):
        """This kernel with compile-time parameters set: dtypes by name ("bf16"), constants, functions in .hk syntax."""
        targets = {"cpu": _c.CPU, "opencl": _c.OPENCL, "interp": _c.INTERP}
        if target not in targets:
            raise ValueError(f"target is cpu, opencl or interp, not {target!r}")
        settings = dict(self._settings, config=config, threads=threads, target=targets[target], device=device)
        settings["defines"] = dict(self._settings.get("defines", {}), **parameters)
        return Kernel(self._module, self._handle, settings)

    def signature(self):
        """(name, "tensor" | "int" | "float" | "bool", optional) of each input."""
        for name in self.inputs:
            kind, dtype = self._kinds[name]
            scalar = "bool" if dtype == "bool" else "int" if dtype.startswith(("i", "u")) else "float"
            yield name, scalar if kind == _c.SCALAR else "tensor", name in self._optional

    def changed(self):
        """Names of the inout tensors."""
        return [name for name in self.inputs if self._kinds[name][0] == _c.INOUT]

    def required_outputs(self):
        return [name for name in self.outputs if name not in self._optional]

    def shaped_like(self, **named):
        """Uninitialised outputs for these arguments, of which only shapes and dtypes count: nothing is computed."""
        return self._run(self._arguments((), named), {}, (), fake=True)

    def __call__(self, *values, out=None, want=(), **named):
        return self._run(self._arguments(values, named), self._outputs(out), want, fake=False)

    def _arguments(self, values, named):
        """{name: value} of what was passed."""
        if len(values) > len(self.inputs):
            raise TypeError(f"{self.__name__} takes {len(self.inputs)} arguments, not {len(values)}")
        given = dict(zip(self.inputs, values))
        for name, value in named.items():
            if name not in self.inputs:
                raise TypeError(f"{self.__name__} has no argument '{name}'; it has: {', '.join(self.inputs)}")
            if name in given:
                raise TypeError(f"{self.__name__}: argument '{name}' is given twice")
            given[name] = value
        return {name: value for name, value in given.items() if value is not None}

    def _outputs(self, out):
        if out is None:
            return {}
        if not isinstance(out, dict):
            if len(self.outputs) != 1:
                raise TypeError(f"{self.__name__}: out= wants a dictionary of {', '.join(self.outputs)}")
            out = {self.outputs[0]: out}
        for name in out:
            if name not in self.outputs:
                raise TypeError(f"{self.__name__} has no output '{name}'; it has: {', '.join(self.outputs)}")
        return out

    def _run(self, given, outputs, want, fake):
        key = (tuple([(name, _arrays.signature(value)) for name, value in given.items()]),
               tuple([(name, _arrays.signature(value)) for name, value in outputs.items()]), tuple(want), fake)
        free = self._calls.get(key)
        try:
            call = free.pop()
        except (AttributeError, IndexError):
            call = _Call(self, given, outputs, want, fake)
        results = call.run(given, outputs)
        if call.may_be_kept:
            if free is None:
                free = _remember(self._calls, key, [])
            free.append(call)
        return results[0] if len(results) == 1 else tuple(results) if results else None

    def _compiled(self, key, args, fake):
        with self._lock:
            found = self._execs.get(key)
        if found:
            return found
        settings = self._settings
        defines = [_c.Define(n.encode(), _text(v).encode()) for n, v in settings.get("defines", {}).items()]
        config = settings.get("config")
        options = _c.Options(args=(_c.Arg * (len(args) or 1))(*args), arg_count=len(args),
                             defines=(_c.Define * (len(defines) or 1))(*defines), define_count=len(defines),
                             config=config.encode() if config else None, target=settings.get("target", _c.CPU),
                             device=settings.get("device", 0), threads=settings.get("threads", 0),
                             stage=_c.STAGE_TILE if fake else _c.STAGE_RUN)
        handle, error = c.c_void_p(), c.c_void_p()
        _check(_c.kernel_specialize(self._handle, c.byref(options), c.byref(handle), c.byref(error)), error)
        with self._lock:
            return _remember(self._execs, key, _Exec(handle))

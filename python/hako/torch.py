"""A kernel as an operator of PyTorch: known to torch.compile, differentiable through another kernel.

    import hako, hako.torch
    k = hako.load("exp.hk")
    exp = hako.torch.operator("mine::exp", k.exp, backward=lambda saved, dy: k.exp_backward(dy, saved["y"]))
"""
import torch
from torch import library


def _inputs(kernel):
    """The inputs in a schema: tensors and numbers, the optional ones with a question mark."""
    for name, kind, optional in kernel.signature():
        base = {"tensor": "Tensor", "int": "int", "float": "float", "bool": "bool"}[kind]
        yield f"{base}{'?' if optional else ''} {name}{'=None' if optional else ''}"


def _given(names, values, named=None):
    return {n: v for n, v in {**dict(zip(names, values)), **(named or {})}.items() if v is not None}


def _with_gradient(saved, inputs):
    """Those of the inputs that have gradients: tensors of floats."""
    return [n for n in inputs if isinstance(saved.get(n), torch.Tensor) and saved[n].is_floating_point()]


def _backward_operator(name, kernel, backward):
    """`backward` as an operator too: torch.compile traces what differentiates, and cannot look into kernels.

    Its arguments are all inputs, all outputs, and the outputs' gradients; its result the gradients of the inputs."""
    inputs, outputs = [n for n, _, _ in kernel.signature()], kernel.required_outputs()
    names = [*inputs, *outputs]
    words = [word.partition("=")[0] for word in _inputs(kernel)]
    words += [f"Tensor {n}" for n in outputs] + [f"Tensor gradient_of_{n}" for n in outputs]

    def implementation(*values):
        saved, gradients = _given(names, values), values[len(names):]
        found = backward(saved, *(g.contiguous() for g in gradients))
        found, wanted = found if isinstance(found, tuple) else (found,), _with_gradient(saved, inputs)
        if len(found) != len(wanted):
            raise TypeError(f"{name}: backward gave {len(found)} gradients; expected those of {', '.join(wanted)}")
        # A result may be no argument, nor lie in one.
        lent = {v.untyped_storage().data_ptr() for v in values if isinstance(v, torch.Tensor)}
        return [torch.zeros_like(saved[n]) if g is None else g.clone() if g.untyped_storage().data_ptr() in lent else g
                for n, g in zip(wanted, found)]

    op = library.custom_op(name + "_backward", implementation, mutates_args=(), schema=f"({', '.join(words)}) -> Tensor[]")

    @op.register_fake
    def _(*values):
        saved = _given(names, values)
        return [torch.empty_like(saved[n]) for n in _with_gradient(saved, inputs)]

    return op


def operator(name, kernel, backward=None):
    """Registers kernel as the operator `namespace::name` and returns it.

    Its arguments are the kernel's inputs, its results the outputs that are not optional; inout tensors are not supported.
    backward(saved, *gradients) gets a dictionary of all inputs and outputs by name and the outputs' gradients, and
    returns the gradient of each input that is a float tensor, in order (None where there is none); it is registered as
    `namespace::name_backward`. Needs PyTorch 2.4."""
    if not hasattr(library, "custom_op"):
        raise ImportError(f"hako.torch.operator needs PyTorch 2.4 or later, not {torch.__version__}")
    names = [n for n, _, _ in kernel.signature()]
    if kernel.changed():
        raise ValueError(f"{kernel.__name__} changes {', '.join(kernel.changed())}: such kernels cannot be operators")

    def implementation(*values, **named):
        given = _given(names, values, named)
        return kernel(**{n: v.detach() if isinstance(v, torch.Tensor) else v for n, v in given.items()})

    outputs = kernel.required_outputs()
    results = ", ".join(["Tensor"] * len(outputs))
    schema = f"({', '.join(_inputs(kernel))}) -> {results if len(outputs) == 1 else f'({results})'}"
    op = library.custom_op(name, implementation, mutates_args=(), schema=schema)

    @op.register_fake
    def _(*values, **named):
        return kernel.shaped_like(**_given(names, values, named))

    if backward:
        backward_op = _backward_operator(name, kernel, backward)

        def setup(ctx, inputs, output):
            results = output if isinstance(output, tuple) else (output,)
            ctx.values = [*inputs, *results]
            ctx.tensors = [k for k, v in enumerate(ctx.values) if isinstance(v, torch.Tensor)]
            ctx.save_for_backward(*(ctx.values[k] for k in ctx.tensors))
            for k in ctx.tensors:
                ctx.values[k] = None

        def differentiate(ctx, *gradients):
            values = list(ctx.values)
            for k, tensor in zip(ctx.tensors, ctx.saved_tensors):
                values[k] = tensor
            found = iter(backward_op(*values, *gradients))
            wanted = _with_gradient(_given(names, values), names)
            return tuple(next(found) if n in wanted else None for n in names)

        op.register_autograd(differentiate, setup_context=setup)
    return op

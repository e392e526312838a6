"""A kernel as an operator of PyTorch: known to torch.compile, differentiable through another kernel.

    import hako, hako.torch
    k = hako.load("exp.hk")
    exp = hako.torch.operator("mine::exp", k.exp, backward=lambda saved, dy: k.exp_backward(dy, saved["y"]))
"""
import torch
from torch import library


def _schema(kernel):
    """The operator's schema: tensors and numbers in, tensors out. Optional inputs come last and by name."""
    words = []
    for name, kind, optional in kernel.signature():
        base = {"tensor": "Tensor", "int": "int", "float": "float", "bool": "bool"}[kind]
        words.append(f"{base}? {name}=None" if optional else f"{base} {name}")
    results = ["Tensor"] * len(kernel.required_outputs())
    return f"({', '.join(words)}) -> " + (results[0] if len(results) == 1 else f"({', '.join(results)})")


def operator(name, kernel, backward=None):
    """Registers kernel as the operator `namespace::name` and returns it.

    Its arguments are the kernel's inputs, its results the outputs that are not optional; inout tensors are not supported.
    backward(saved, *gradients) gets a dictionary of all inputs and outputs by name and the outputs' gradients, and
    returns the gradient of each input that is a float tensor, in order (None where there is none). Needs PyTorch 2.4."""
    if not hasattr(library, "custom_op"):
        raise ImportError(f"hako.torch.operator needs PyTorch 2.4 or later, not {torch.__version__}")
    names = [n for n, _, _ in kernel.signature()]
    if kernel.changed():
        raise ValueError(f"{kernel.__name__} changes {', '.join(kernel.changed())}: such kernels cannot be operators")

    def implementation(*values, **named):
        given = {n: v for n, v in {**dict(zip(names, values)), **named}.items() if v is not None}
        return kernel(**{n: v.detach() if isinstance(v, torch.Tensor) else v for n, v in given.items()})

    op = library.custom_op(name, implementation, mutates_args=(), schema=_schema(kernel))

    @op.register_fake
    def _(*values, **named):
        given = {n: v for n, v in {**dict(zip(names, values)), **named}.items() if v is not None}
        return kernel.shaped_like(**given)

    if backward:
        def setup(ctx, inputs, output):
            outputs = output if isinstance(output, tuple) else (output,)
            saved = dict(zip(names, inputs))
            saved.update(zip(kernel.required_outputs(), outputs))
            ctx.saved_names = [n for n, v in saved.items() if isinstance(v, torch.Tensor)]
            ctx.others = {n: v for n, v in saved.items() if not isinstance(v, torch.Tensor)}
            ctx.save_for_backward(*(saved[n] for n in ctx.saved_names))
            ctx.float_names = [n for n in names if isinstance(saved.get(n), torch.Tensor) and saved[n].is_floating_point()]

        def differentiate(ctx, *gradients):
            saved = {**ctx.others, **dict(zip(ctx.saved_names, ctx.saved_tensors))}
            found = backward(saved, *(g.contiguous() for g in gradients))
            found = dict(zip(ctx.float_names, found if isinstance(found, tuple) else (found,)))
            return tuple(found.get(n) for n in names)

        op.register_autograd(differentiate, setup_context=setup)
    return op

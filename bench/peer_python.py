"""peer_python.py LIBRARY CASE NAME=VALUE...: a peer of `make bench-peers`, from PyPI: torch, jax, onnxruntime or mkl.

Prints what bench/peer.h prints: one line of JSON with the median time of a call, arguments made and touched before, results
waited for. A case is written once for torch and jax, whose functions have NumPy's names, where one expression says it for both."""
import ctypes
import glob
import json
import os
import sys
import time

import numpy as np

RUNS_LEAST, RUNS_MOST = 5, 100000
library, case = sys.argv[1:3]
given = dict(word.split("=") for word in sys.argv[3:])
THREADS, MIN_TIME = int(given.pop("threads", 1)), float(given.pop("min_time", 0.3))
TYPE = given.pop("type", "f32")
sizes = {name: int(value) for name, value in given.items()}
rng = np.random.default_rng(1)


def floats(*shape, low=-1.0):
    return rng.uniform(low, 1, shape).astype(np.float32)


def offsets(total, groups):
    """groups + 1 offsets from 0 to total, groups of uneven length."""
    return np.concatenate([[0], np.sort(rng.integers(0, total + 1, groups - 1)), [total]]).astype(np.int64)


def heads(da, c, q):
    """exp(da[q] - da[k]) below the diagonal."""
    return np.where(np.tril(np.ones((q, q), bool)), np.exp(da[..., :, None] - da[..., None, :]), 0).astype(np.float32)


# ---- the arguments of each case: NumPy arrays

def arguments(s):
    g = s.get
    if case == "matmul":
        batch = [s["batch"]] if g("batch", 1) > 1 else []
        a = floats(*batch, s["k"], s["m"]) if g("ta") else floats(*batch, s["m"], s["k"])
        b = floats(*batch, s["n"], s["k"]) if g("tb") else floats(*batch, s["k"], s["n"])
        return [a, b] + ([floats(s["n"]), floats(s["m"], s["n"])] if g("fused") else [])
    if case in ("softmax", "layer_norm", "rms_norm"):
        return [floats(s["m"], s["n"])] + [floats(s["n"]) for _ in range({"softmax": 0, "layer_norm": 2, "rms_norm": 1}[case])]
    if case in ("exp", "tanh", "gelu", "dropout"):
        return [floats(s["n"])]
    if case == "swiglu":
        return [floats(s["n"]), floats(s["n"])]
    if case == "rope":
        return [floats(s["b"], s["s"], 2, s["r"]), floats(s["s"], s["r"]), floats(s["s"], s["r"])]
    if case == "cross_entropy":
        return [floats(s["n"], s["v"]), rng.integers(0, s["v"], s["n"])]
    if case in ("column_sum", "long_sum"):
        return [floats(s["m"], s["n"])]
    if case == "embedding":
        return [floats(s["v"], s["d"]), rng.integers(0, s["v"], s["p"])]
    if case in ("attention", "causal_attention"):
        return [floats(s["batch"], s["s"], s["d"]) for _ in range(3)]
    if case == "decode":
        return [floats(s["h"], 1, s["d"]), floats(s["h"], s["l"], s["d"]), floats(s["h"], s["l"], s["d"])]
    if case == "jagged_softmax":
        return [floats(s["l"], s["f"]), np.repeat(np.arange(s["b"]), np.diff(offsets(s["l"], s["b"])))]
    if case in ("grouped_gemm", "moe"):
        b = floats(s["k"], s["n"]) if case == "grouped_gemm" else floats(s["e"], s["k"], s["n"])
        return [floats(s["r"], s["k"]), b, offsets(s["r"], s["e"])]
    if case == "mamba2_scan":
        b, c, q, h, p, n = (s[x] for x in "bcqhpn")
        da = floats(b, h, c, q, low=-1) / 2 - 0.5
        weight = heads(da, c, q)
        return [floats(b, c, q, q), weight, floats(b, h, c, q), floats(b, c, q, h, p), np.exp(da), floats(b, c, q, n), floats(b, c, h, p, n), floats(h)]
    if case == "mamba2_state":
        b, c, q, h, p, n = (s[x] for x in "bcqhpn")
        return [floats(b, c, q, n), floats(b, c, q, h, p), floats(b, h, c, q), floats(b, h, c, q) / 2 - 0.5]
    if case == "conv2d":
        return [floats(s["b"], s["c"], s["h"], s["w"]), floats(s["k"], s["c"], s["u"], s["u"])]
    if case == "conv1d":
        return [floats(s["b"], s["c"], s["l"]), floats(s["c"], 1, s["w"])]
    return None


# ---- what each library calls

def shared(xp, s):
    """Cases that torch and jax.numpy spell alike."""
    def mamba2_scan(cb, weight, dt, x, decay, cm, prev, d):
        inner = xp.einsum("bcqk,bhcqk,bhck,bckhp->bcqhp", cb, weight, dt, x)
        return inner + xp.einsum("bhcq,bcqn,bchpn->bcqhp", decay, cm, prev) + d[:, None] * x

    def mamba2_state(bm, x, dt, da):
        return xp.einsum("bcqhp,bhcq,bcqn->bchpn", x, xp.exp(da[..., -1:] - da) * dt, bm)

    def rope(x, cosine, sine):
        u, w = x[:, :, 0], x[:, :, 1]
        return xp.stack([u * cosine - w * sine, w * cosine + u * sine], 2)

    def matmul(a, b, *more):
        c = xp.matmul(a.swapaxes(-1, -2) if s.get("ta") else a, b.swapaxes(-1, -2) if s.get("tb") else b)
        return gelu(c + more[0]) + more[1] if more else c

    gelu = None
    if xp.__name__ == "torch":
        gelu = xp.nn.functional.gelu
    else:
        import jax
        gelu = lambda x: jax.nn.gelu(x, approximate=False)  # noqa: E731
    return {"mamba2_scan": mamba2_scan, "mamba2_state": mamba2_state, "rope": rope, "matmul": matmul, "exp": xp.exp, "tanh": xp.tanh,
            "gelu": gelu, "column_sum": lambda x: x.sum(0), "long_sum": lambda x: x.sum(1), "embedding": lambda w, ids: w[ids]}


def with_torch(s, values):
    import torch
    from torch.nn import functional as F
    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)
    x = [torch.from_numpy(v) for v in values]
    if TYPE == "bf16":
        x = [v.bfloat16() if v.is_floating_point() else v for v in x]

    def jagged_softmax(data, row):
        index, shape = row[:, None].expand_as(data), (s["b"], data.shape[1])
        top = torch.full(shape, -torch.inf).scatter_reduce(0, index, data, "amax")
        e = torch.exp(data - top[row])
        return e / torch.zeros(shape).scatter_add(0, index, e)[row]

    def groups(a, b, off):
        return torch.cat([a[i:j] @ (b if b.ndim == 2 else b[g]) for g, (i, j) in enumerate(zip(off[:-1].tolist(), off[1:].tolist()))])

    def sdpa(q, k, v):
        q, k, v = (t[None] for t in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=case == "causal_attention")
    calls = shared(torch, s) | {
        "softmax": lambda a: F.softmax(a, 1), "layer_norm": lambda a, w, b: F.layer_norm(a, a.shape[1:], w, b),
        "rms_norm": lambda a, w: F.rms_norm(a, a.shape[1:], w), "dropout": lambda a: F.dropout(a, 0.5, True),
        "swiglu": lambda a, b: F.silu(a) * b, "cross_entropy": F.cross_entropy, "attention": sdpa, "causal_attention": sdpa,
        "decode": sdpa, "jagged_softmax": jagged_softmax, "grouped_gemm": groups, "moe": groups,
        "conv2d": lambda a, w: F.conv2d(a, w, padding=1), "conv1d": lambda a, w: F.conv1d(a, w, padding=2, groups=a.shape[1])}
    call = calls[case]
    return lambda: call(*x), "torch " + torch.__version__


def with_jax(s, values):
    import jax
    from jax import lax
    from jax import numpy as jnp
    x = [jnp.asarray(v, jnp.bfloat16 if TYPE == "bf16" and v.dtype.kind == "f" else None) for v in values]

    def attention(q, k, v):
        score = jnp.einsum("bsd,bld->bsl", q, k) * q.shape[-1] ** -0.5
        if case == "causal_attention":
            score = jnp.where(jnp.tril(jnp.ones(score.shape[1:], bool)), score, -jnp.inf)
        return jnp.einsum("bsl,bld->bsd", jax.nn.softmax(score), v)

    def layer_norm(a, w, b):
        d = a - a.mean(1, keepdims=True)
        return d * lax.rsqrt((d * d).mean(1, keepdims=True) + 1e-5) * w + b

    def jagged_softmax(data, row):
        e = jnp.exp(data - jax.ops.segment_max(data, row, s["b"], True)[row])
        return e / jax.ops.segment_sum(e, row, s["b"], True)[row]

    def ragged(a, b, off):
        return lax.ragged_dot(a, jnp.broadcast_to(b, (len(off) - 1, *b.shape[-2:])), jnp.diff(off))
    calls = shared(jnp, s) | {
        "softmax": lambda a: jax.nn.softmax(a, 1), "layer_norm": layer_norm, "swiglu": lambda a, b: jax.nn.silu(a) * b,
        "rms_norm": lambda a, w: a * lax.rsqrt((a * a).mean(1, keepdims=True) + 1e-5) * w,
        "dropout": lambda a: jnp.where(jax.random.bernoulli(jax.random.key(0), 0.5, a.shape), a * 2, 0),
        "cross_entropy": lambda a, t: (jax.nn.logsumexp(a, 1) - jnp.take_along_axis(a, t[:, None], 1)[:, 0]).mean(),
        "attention": attention, "causal_attention": attention, "decode": attention, "jagged_softmax": jagged_softmax,
        "grouped_gemm": ragged, "moe": ragged, "conv2d": lambda a, w: lax.conv(a, w, (1, 1), "SAME"),
        "conv1d": lambda a, w: lax.conv_general_dilated(a, w, (1,), "SAME", feature_group_count=a.shape[1])}
    call = jax.jit(calls[case])
    return lambda: jax.block_until_ready(call(*x)), "jax " + jax.__version__


def with_onnxruntime(s, values):
    import onnx
    import onnxruntime
    from onnx import helper
    nodes = {"matmul": ("MatMul", {}), "softmax": ("Softmax", {"axis": 1}), "layer_norm": ("LayerNormalization", {"axis": 1}), "exp": ("Exp", {}),
             "tanh": ("Tanh", {}), "gelu": ("Gelu", {}), "conv2d": ("Conv", {"pads": [1] * 4}),
             "conv1d": ("Conv", {"pads": [2] * 2, "group": s.get("c")}), "embedding": ("Gather", {})}
    op, attributes = nodes[case]
    types = [helper.np_dtype_to_tensor_dtype(v.dtype) for v in values]
    inputs = [helper.make_tensor_value_info(f"x{k}", t, v.shape) for k, (t, v) in enumerate(zip(types, values))]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node(op, [i.name for i in inputs], ["y"], **attributes)], case, inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, ["CPUExecutionProvider"])
    feed = {f"x{k}": v for k, v in enumerate(values)}
    return lambda: session.run(None, feed), "onnxruntime " + onnxruntime.__version__


def with_mkl(s, values):
    path = glob.glob(os.path.join(sys.prefix, "lib", "libmkl_rt.so*"))[0]
    blas = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    blas.MKL_Set_Num_Threads(THREADS)
    a, b = values
    m, n, k = s["m"], s["n"], s["k"]
    c = np.zeros((*a.shape[:-2], m, n), np.float32)
    pointer, integer, real = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
    blas.cblas_sgemm.argtypes = [integer] * 6 + [real, pointer, integer, pointer, integer, real, pointer, integer]
    plain, transposed = 111, 112
    products = list(zip(a.reshape(-1, m * k), b.reshape(-1, k * n), c.reshape(-1, m * n)))
    places = [[array.ctypes.data for array in product] for product in products]
    ta, tb = (transposed if s.get(side) else plain for side in ("ta", "tb"))

    def call():
        for x, y, z in places:
            blas.cblas_sgemm(101, ta, tb, m, n, k, 1, x, m if s.get("ta") else k, y, k if s.get("tb") else n, 0, z, n)
    call.holds = products
    return call, os.path.basename(path)


def main():
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])  # XLA takes all CPUs that it may use
    values = arguments(sizes)
    call, detail = {"torch": with_torch, "jax": with_jax, "onnxruntime": with_onnxruntime, "mkl": with_mkl}[library](sizes, values)
    call()
    times, begin = [], time.perf_counter()
    while len(times) < RUNS_LEAST or (time.perf_counter() - begin < MIN_TIME and len(times) < RUNS_MOST):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    print(json.dumps({"median_ms": float(np.median(times)) * 1e3, "fastest_ms": min(times) * 1e3, "runs": len(times), "detail": detail}))


if __name__ == "__main__":
    main()

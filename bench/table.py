"""What `make bench` measures: kernels and shapes, peers, and how near to a limit each is meant to come."""
import dataclasses


@dataclasses.dataclass
class Row:
    name: str              # of the row, as printed
    kernel: str            # FILE:KERNEL, from the repository's root
    shapes: str            # as `hako bench --shapes` takes them
    limit: str             # what bounds it: flops, or bytes (the better of copying and reading, in the caches that hold them)
    goal: float            # the share of that limit
    peers: list            # (name, environment, command words after the peer program's name)
    ratio: float = 1.0     # how many times as fast as the best peer
    threads: tuple = (1, 2)


ROWS = "torch jax onnxruntime"  # have softmax and the like


def blas(**sizes):
    words = ["sgemm"] + [f"{k}={v}" for k, v in sizes.items()]
    # OpenBLAS as it is, and with the kernels for AVX-512, which old versions do not choose on new CPUs.
    return [("openblas", {}, words), ("openblas", {"OPENBLAS_CORETYPE": "SkylakeX"}, words)]


def dnnl(what, **sizes):
    return [("dnnl", {}, [what] + [f"{k}={v}" for k, v in sizes.items()])]


def pypi(libraries, case, **sizes):
    """What bench/peer_python.py runs, by `make bench-peers`; sizes have the case's names."""
    return [(library, {}, [case] + [f"{k}={v}" for k, v in sizes.items()]) for library in libraries.split()]


def product(**sizes):
    return blas(**sizes) + dnnl("matmul", **sizes) + pypi("mkl torch jax onnxruntime", "matmul", **sizes)


def matmul(m, n, k, goal=0.92, ratio=1.0):
    return Row(f"matmul {m}x{n}x{k}", "samples/matmul.hk:matmul", f"M={m},N={n},K={k},T=f32", "flops", goal,
               product(m=m, n=n, k=k), ratio)


def skinny(m, n, k):
    row = matmul(m, n, k, 0.9, 1.1)
    row.limit = "bytes"
    return row


def tiny(n):
    # One launch holds a stack of products, so that the cost of a launch is not what is measured.
    return Row(f"tiny {n}x{n}x{n}, 512 of them", "samples/batched_matmul.hk:batched_matmul",
               f"B=512,M={n},N={n},K={n},T=f32", "flops", 0.8, [("xsmm", {}, ["tiny", f"m={n}", f"n={n}", f"k={n}", "count=512"])],
               0.9, (1,))


def narrow(kind, n, goal, ratio):
    kernel = {"bf16": "samples/matmul.hk:matmul", "i8": "bench/kernels.hk:matmul_i8"}[kind]
    types = ",T=bf16" if kind == "bf16" else ""
    out = "f32" if kind == "bf16" else "i32"
    size = dict(m=n, n=n, k=n, type=kind, out=out)
    # A second time without tile registers (AMX), which Hako does not use.
    peers = [("dnnl", {}, w) for (_, _, w) in dnnl("matmul", **size)]
    peers += [("dnnl", {"DNNL_MAX_CPU_ISA": "AVX512_CORE_BF16"}, w) for (_, _, w) in dnnl("matmul", **size)]
    peers += pypi("torch jax", "matmul", m=n, n=n, k=n, type=kind) if kind == "bf16" else []
    return Row(f"{kind} matmul {n}", kernel, f"M={n},N={n},K={n}{types}", "flops", goal, peers, ratio)


def rows_of(kernel, file, shapes, peers, ratio, goal=0.95):
    return Row(f"{kernel} {shapes}", f"{file}:{kernel}", shapes + ",T=f32", "bytes", goal, peers, ratio)


def attention(s, causal=False, kind="f32"):
    name = "causal_attention" if causal else "attention"
    return Row(f"{name} {kind} S={s}", f"samples/attention.hk:{name}", f"B=16,S={s},L={s},D=64,E=64,T={kind}", "flops",
               0.75 if causal else 0.83, ([] if causal else dnnl("attention", batch=16, s=s, d=64, type=kind)) +
               pypi("torch jax", name, batch=16, s=s, d=64, type=kind), 1.4)


def table():
    rows = [matmul(n, n, n) for n in (512, 1000, 1024, 2048, 4096)] + [matmul(333, 777, 1111)]
    rows += [matmul(*s, goal=0.88) for s in ((127, 2049, 513), (4096, 64, 4096), (4096, 4096, 64))]
    rows += [Row("matmul 64 of 128x128x128", "samples/batched_matmul.hk:batched_matmul", "B=64,M=128,N=128,K=128,T=f32",
                 "flops", 0.88, product(m=128, n=128, k=128, batch=64))]
    rows += [tiny(n) for n in (16, 32, 48, 64, 96)]
    rows += [skinny(8, 4096, 4096), skinny(1, 4096, 4096)]
    rows += [narrow("bf16", n, 0.9, 1.05) for n in (512, 1024, 2048)] + [narrow("i8", 1024, 0.8, 1.0)]
    rows += [Row("matmul, bias, gelu, residual 1024", "bench/kernels.hk:feed_forward", "M=1024,N=1024,K=1024,T=f32", "flops",
                 0.87, dnnl("matmul", m=1024, n=1024, k=1024, fused=1) + pypi("torch jax", "matmul", m=1024, n=1024, k=1024, fused=1)),
             Row("matmul, both transposed 1024", "bench/kernels.hk:matmul_tt", "M=1024,N=1024,K=1024,T=f32", "flops", 0.87,
                 blas(m=1024, n=1024, k=1024, ta=1, tb=1) + dnnl("matmul", m=1024, n=1024, k=1024, ta=1, tb=1) +
                 pypi("mkl torch jax", "matmul", m=1024, n=1024, k=1024, ta=1, tb=1)),
             Row("i4 x bf16 1024", "bench/kernels.hk:matmul_i4", "M=1024,N=1024,K=1024", "flops", 0.78, []),
             Row("f8 x f8 1024", "bench/kernels.hk:matmul_f8", "M=1024,N=1024,K=1024", "flops", 0.78, [])]
    for p, n, ratio in ((4096, 4096, 1.4), (128, 1024, 2.0)):
        shape = f"P={p},N={n}"
        rows += [rows_of("softmax", "samples/softmax.hk", shape, dnnl("softmax", m=p, n=n) + pypi(ROWS, "softmax", m=p, n=n), ratio),
                 rows_of("layer_norm", "samples/layer_norm.hk", shape, dnnl("layer_norm", m=p, n=n) + pypi(ROWS, "layer_norm", m=p, n=n), ratio),
                 rows_of("rms_norm", "samples/rms_norm.hk", shape, pypi("torch jax", "rms_norm", m=p, n=n), ratio)]
    for n, ratio in ((16777216, 1.4), (131072, 2.0)):
        rows += [rows_of(k, "bench/kernels.hk", f"N={n}", dnnl("eltwise", n=n, op=op) + pypi(ROWS, op, n=n), ratio)
                 for k, op in (("exp_all", "exp"), ("tanh_all", "tanh"), ("gelu_all", "gelu"))]
        rows += [rows_of("swiglu", "bench/kernels.hk", f"N={n}", pypi("torch jax", "swiglu", n=n), ratio)]
    rows += [rows_of("rope", "bench/kernels.hk", "B=64,S=4096,R=32", pypi("torch jax", "rope", b=64, s=4096, r=32), 1.4),
             rows_of("cross_entropy", "samples/cross_entropy.hk", "N=512,V=131072", pypi("torch jax", "cross_entropy", n=512, v=131072), 1.4),
             rows_of("dropout", "samples/dropout.hk", "N=16777216", pypi("torch jax", "dropout", n=16777216), 1.4),
             rows_of("column_sum", "samples/column_sum.hk", "M=4096,N=4096", pypi("torch jax", "column_sum", m=4096, n=4096), 1.0, 0.9),
             rows_of("long_sum", "bench/kernels.hk", "M=4,N=130000", pypi("torch jax", "long_sum", m=4, n=130000), 1.0, 0.9),
             rows_of("embedding", "samples/embedding.hk", "V=32000,D=1024,P=8192", pypi(ROWS, "embedding", v=32000, d=1024, p=8192), 1.5),
             rows_of("decode", "bench/kernels.hk", "H=32,L=8192,D=64,E=64", pypi("torch jax", "decode", h=32, l=8192, d=64), 1.0, 0.9)]
    rows += [Row("jagged_softmax", "samples/jagged/jagged_softmax.hk:jagged_softmax", "L=65536,F=128,B=2048,T=f32", "bytes", 0.5,
                 pypi("torch jax", "jagged_softmax", l=65536, f=128, b=2048), 1.5),
             Row("grouped_gemm", "samples/jagged/grouped_gemm.hk:grouped_gemm", "R=4096,K=256,N=512,G=16,T=f32", "flops", 0.5,
                 pypi("torch jax", "grouped_gemm", r=4096, k=256, n=512, e=16), 1.5),
             Row("moe_matmul_ogs", "samples/moe/moe_matmul_ogs.hk:moe_matmul_ogs", "R=4096,K=512,N=512,E=30,T=f32", "flops", 0.5,
                 pypi("torch jax", "moe", r=4096, k=512, n=512, e=30), 1.5),
             Row("mamba2_chunk_scan", "samples/linear_attention/mamba2_chunk_scan.hk:mamba2_chunk_scan",
                 "B=1,C=8,Q=256,H=16,G=1,P=64,N=128,T=f32,da=rand(lo=-1,hi=0)", "flops", 0.5,
                 pypi("torch jax", "mamba2_scan", b=1, c=8, q=256, h=16, p=64, n=128), 1.5),
             Row("mamba2_chunk_state", "samples/linear_attention/mamba2_chunk_state.hk:mamba2_chunk_state",
                 "B=1,C=8,Q=256,H=16,G=1,P=64,N=128,T=f32,da=rand(lo=-1,hi=0)", "flops", 0.5,
                 pypi("torch jax", "mamba2_state", b=1, c=8, q=256, h=16, p=64, n=128), 1.5),
             Row("conv2d 3x3", "samples/other/conv2d.hk:conv2d", "B=4,C=64,H=56,W=56,K=64,U=3,V=3,PAD=1", "flops", 0.5,
                 pypi(ROWS, "conv2d", b=4, c=64, h=56, w=56, k=64, u=3), 1.5),
             Row("depthwise_conv1d", "samples/other/depthwise_conv1d.hk:depthwise_conv1d", "B=8,L=4096,C=512,W=5", "bytes", 0.5,
                 pypi(ROWS, "conv1d", b=8, l=4096, c=512, w=5), 1.5)]
    rows += [attention(1024), attention(4096), attention(4096, causal=True), attention(2048, kind="bf16")]
    return rows

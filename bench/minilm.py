#!/usr/bin/python3
"""minilm.py PROGRAM MODEL TEXT: sentences per second of samples/minilm beside PyTorch and ONNX Runtime; make bench-minilm.

The same weights, sentences and batches, on 1 and on 2 threads, in turns: a figure is the best of all turns, since what else
runs on the machine only takes from it. PyTorch and ONNX Runtime (the graph that torch.onnx exports) get their tokens ready
made, sorted by length so that padding costs little, as sentence-transformers does; samples/minilm reads and tokenises the
file each time. All must agree on the vectors. Then the time of each kernel. Peers that are not installed are left out.

minilm.py --peer NAME THREADS MODEL TEXT is one peer: answers each line of input by its seconds."""
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BATCH, TURNS, HEADS, LAYERS = 32, 4, 12, 6
PEERS = {"PyTorch": "torch", "ONNX Runtime": "onnxruntime"}


def reference():
    spec = importlib.util.spec_from_file_location("reference", os.path.join(ROOT, "tests", "minilm", "reference.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def batches_of(folder, text, by_length):
    """Token ids of each batch of sentences, and the sentences' numbers."""
    ref = reference()
    with open(os.path.join(folder, "vocab.txt"), encoding="utf-8") as file:
        vocabulary = {line.rstrip("\n"): k for k, line in enumerate(file)}
    with open(text, encoding="utf-8") as file:
        ids = [ref.tokens(line.strip(), vocabulary) for line in file if line.strip()]
    order = sorted(range(len(ids)), key=lambda k: len(ids[k])) if by_length else list(range(len(ids)))
    return [([ids[k] for k in order[at:at + BATCH]], order[at:at + BATCH]) for at in range(0, len(ids), BATCH)]


# ---- peers

def torch_model(folder):
    """The encoder as PyTorch's own operators: fused QKV, scaled_dot_product_attention, layer_norm, gelu."""
    import torch
    from torch.nn import functional as F
    weights = reference().Model(folder)

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.p = {}
            for name in weights.entries:
                if name != "__metadata__" and weights.entries[name]["dtype"] == "F32":
                    self.p[name] = torch.from_numpy(weights(name).astype(np.float32))
            for k in range(LAYERS):
                for kind in ("weight", "bias"):
                    at = f"encoder.layer.{k}.attention.self."
                    self.p[f"{at}{kind}"] = torch.cat([self.p[f"{at}{n}.{kind}"] for n in ("query", "key", "value")])

        def norm(self, x, name):
            return F.layer_norm(x, x.shape[-1:], self.p[name + ".weight"], self.p[name + ".bias"], 1e-12)

        def linear(self, x, name):
            return F.linear(x, self.p[name + "weight"], self.p[name + "bias"])

        def forward(self, ids, mask):
            p, (b, s) = self.p, ids.shape
            x = p["embeddings.word_embeddings.weight"][ids] + p["embeddings.position_embeddings.weight"][:s]
            x = self.norm(x + p["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
            seen = mask[:, None, None, :].bool()
            for k in range(LAYERS):
                at = f"encoder.layer.{k}."
                q, key, v = self.linear(x, at + "attention.self.").view(b, s, 3, HEADS, -1).permute(2, 0, 3, 1, 4).unbind(0)
                o = F.scaled_dot_product_attention(q, key, v, attn_mask=seen).transpose(1, 2).reshape(b, s, -1)
                x = self.norm(self.linear(o, at + "attention.output.dense.") + x, at + "attention.output.LayerNorm")
                h = F.gelu(self.linear(x, at + "intermediate.dense."))
                x = self.norm(self.linear(h, at + "output.dense.") + x, at + "output.LayerNorm")
            m = mask[:, :, None].to(x.dtype)
            return F.normalize((x * m).sum(1) / m.sum(1), dim=-1)

    return Encoder().eval()


def padded(ids):
    longest = max(map(len, ids))
    return (np.array([row + [0] * (longest - len(row)) for row in ids]),
            np.array([[1] * len(row) + [0] * (longest - len(row)) for row in ids]))


def torch_peer(threads, folder):
    import torch
    torch.set_num_threads(threads)
    model = torch_model(folder)

    def run(ids, mask):
        with torch.inference_mode():
            return model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    return run


def onnx_peer(threads, folder):
    import onnxruntime
    import torch
    example = tuple(torch.from_numpy(a) for a in padded([[101, 7592, 102], [101, 2088, 999, 999, 102]]))
    size = {0: torch.export.Dim("batch", min=1, max=4096), 1: torch.export.Dim("length", min=2, max=512)}
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "minilm.onnx")
        torch.onnx.export(torch_model(folder), example, path, input_names=["ids", "mask"], output_names=["vectors"],
                          dynamic_shapes={"ids": size, "mask": size}, dynamo=True, verbose=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: session.run(None, {"ids": ids, "mask": mask})[0]


def peer(name, threads, folder, text):
    answers = os.dup(1)  # libraries print on the way
    os.dup2(2, 1)
    run = {"torch": torch_peer, "onnxruntime": onnx_peer}[name](threads, folder)
    batches = [(*padded(ids), order) for ids, order in batches_of(folder, text, by_length=True)]
    vectors = np.empty((sum(len(order) for _, _, order in batches), 384), np.float32)
    for line in sys.stdin:
        start = time.perf_counter()
        for ids, mask, order in batches:
            vectors[order] = run(ids, mask)
        seconds = time.perf_counter() - start
        if line.strip():
            vectors.tofile(line.strip())
        os.write(answers, b"%f\n" % seconds)


class Peer:
    """A program of its own, so that its threads disturb nobody."""

    def __init__(self, module, threads, arguments):
        self.process = subprocess.Popen([sys.executable, __file__, "--peer", module, str(threads), *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def seconds(self, vectors=""):
        try:
            self.process.stdin.write(vectors + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench-minilm: a peer failed: {self.process.stderr.read()[-2000:]}")
        return float(line)


def hako_seconds(program, threads, folder, text, vectors=None, repeat=8):
    command = [program, folder, text, "--batch", str(BATCH), "--threads", str(threads), "--repeat", str(repeat)]
    said = subprocess.run(command + (["--vectors", vectors] if vectors else []), check=True, capture_output=True, text=True,
                          cwd=ROOT).stderr
    return float(re.search(r"sentences, ([0-9.]+) ms", said).group(1)) / 1e3


# ---- the time of each kernel

def kernel_times(folder, text):
    """(kernel, launches, milliseconds of each) for the first batch, on one thread."""
    sys.path.insert(0, os.path.join(ROOT, "python"))
    import hako
    kernels = hako.load(os.path.join(ROOT, "samples", "minilm", "minilm.hk"))
    ids = batches_of(folder, text, by_length=False)[0][0]
    off = np.cumsum([0, *map(len, ids)])
    flat = np.concatenate(ids)
    place = np.concatenate([np.arange(len(row)) for row in ids])
    rng = np.random.default_rng(1)

    def f(*shape):
        return rng.standard_normal(shape, np.float32) / 20
    n, d = len(flat), 384
    x, h, v = f(n, d), f(n, 4 * d), f(d)
    calls = [("embed", 1, (flat, place, f(int(flat.max()) + 1, d), f(512, d), f(2, d), v, v)),
             ("project", LAYERS, (x, f(d, d), v, f(d, d), v, f(d, d), v)),
             ("attend", LAYERS, (x, x, x, off)),
             ("add_norm", LAYERS, (x, f(d, d), v, x, v, v)),
             ("expand", LAYERS, (x, f(4 * d, d), f(4 * d))),
             ("add_norm", LAYERS, (h, f(d, 4 * d), v, x, v, v)),
             ("pool", 1, (x, off))]
    for name, count, arguments in calls:
        kernel, best = getattr(kernels, name).bind(threads=1), float("inf")
        kernel(*arguments)
        for _ in range(30):
            start = time.thread_time()
            kernel(*arguments)
            best = min(best, time.thread_time() - start)
        shapes = " x ".join(str(s) for s in (n, arguments[0].shape[-1])) if count > 1 else f"{n}"
        yield f"{name} {shapes}", count, best * 1e3


# ---- all

def sentences(source, target, count=128):
    """Texts of uneven length from those of a file."""
    with open(source, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip()]
    rng = np.random.default_rng(1)
    with open(target, "w", encoding="utf-8") as file:
        for _ in range(count):
            file.write(" ".join(rng.choice(lines, rng.integers(1, 8))) + "\n")


def compare(program, folder, text, work):
    present = {name: module for name, module in PEERS.items() if importlib.util.find_spec(module)}
    with open(text, encoding="utf-8") as file:
        count = sum(1 for line in file)
    for threads in (1, 2):
        peers = {name: Peer(module, threads, [folder, text]) for name, module in present.items()}
        best = dict.fromkeys(["Hako", *peers], float("inf"))
        paths = {name: os.path.join(work, name.replace(" ", "")) for name in best}
        for turn in range(-1, TURNS):  # the first one compiles and warms up
            said = {"Hako": hako_seconds(program, threads, folder, text, paths["Hako"])}
            said.update({name: other.seconds(paths[name]) for name, other in peers.items()})
            for name, seconds in said.items() if turn >= 0 else ():
                best[name] = min(best[name], seconds)
        ours = np.fromfile(paths["Hako"], np.float32)
        for name in peers:
            error = np.abs(np.fromfile(paths[name], np.float32) - ours).max()
            assert error < 1e-4, f"{name}'s vectors differ by {error}"
        fastest = min((seconds for name, seconds in best.items() if name != "Hako"), default=None)
        figures = ", ".join(f"{name} {count / seconds:.0f}" for name, seconds in best.items())
        against = f"; Hako is {fastest / best['Hako']:.2f} times as fast as the better" if fastest else ""
        print(f"{threads} thread{'s' * (threads > 1)}, sentences per second: {figures}{against}", flush=True)


def main():
    if sys.argv[1] == "--peer":
        return peer(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
    program, folder, source = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        text = os.path.join(work, "sentences.txt")
        sentences(source, text)
        compare(os.path.abspath(program), os.path.abspath(folder), text, work)
        rows = list(kernel_times(folder, text))
    total = sum(count * ms for _, count, ms in rows)
    print(f"one thread's time for a batch of {BATCH} sentences: {total:.1f} ms in kernels")
    for name, count, ms in rows:
        print(f"  {name:22} {count} x {ms:7.3f} ms  {100 * count * ms / total:5.1f} %")


if __name__ == "__main__":
    main()

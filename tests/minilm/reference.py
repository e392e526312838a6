#!/usr/bin/python3
"""reference.py MODEL TEXT VECTORS: the model's formula in float64 NumPy against the vectors of samples/minilm.

Tokens are made here as well, by the rules of WordPiece; where the package `tokenizers` is installed, its tokens are compared."""
import json
import math
import os
import struct
import sys
import unicodedata

import numpy as np

HEADS, LAYERS, TOLERANCE = 12, 6, 1e-4


class Model:
    def __init__(self, folder):
        self.file = open(os.path.join(folder, "model.safetensors"), "rb")
        length = struct.unpack("<Q", self.file.read(8))[0]
        self.entries, self.begin = json.loads(self.file.read(length)), 8 + length

    def __call__(self, name):
        first, last = self.entries[name]["data_offsets"]
        self.file.seek(self.begin + first)
        return np.frombuffer(self.file.read(last - first), "<f4").reshape(self.entries[name]["shape"]).astype(np.float64)


def norm(x, model, name):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * model(name + ".weight") + model(name + ".bias")


def linear(x, model, name):
    return x @ model(name + ".weight").T + model(name + ".bias")


def encode(model, ids):
    words = model("embeddings.word_embeddings.weight")[ids]
    x = words + model("embeddings.position_embeddings.weight")[:len(ids)] + model("embeddings.token_type_embeddings.weight")[0]
    x = norm(x, model, "embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        q, k, v = (linear(x, model, at + "attention.self." + name).reshape(len(ids), HEADS, -1).transpose(1, 0, 2)
                   for name in ("query", "key", "value"))
        s = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        p = np.exp(s - s.max(-1, keepdims=True))
        o = (p / p.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(len(ids), -1)
        x = norm(linear(o, model, at + "attention.output.dense") + x, model, at + "attention.output.LayerNorm")
        h = linear(x, model, at + "intermediate.dense")
        h = 0.5 * h * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))
        x = norm(linear(h, model, at + "output.dense") + x, model, at + "output.LayerNorm")
    y = x.mean(0)
    return y / np.linalg.norm(y)


def pieces(word, ids):
    found = []
    while word:
        end = len(word)
        while end and ("##" if found else "") + word[:end] not in ids:
            end -= 1
        if not end:
            return [ids["[UNK]"]]
        found.append(ids[("##" if found else "") + word[:end]])
        word = word[end:]
    return found


def tokens(text, ids):
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    spaced = "".join(f" {c} " if unicodedata.category(c)[0] == "P" or c in "$+<=>^`|~" else c for c in plain)
    return [ids["[CLS]"], *(i for word in spaced.split() for i in pieces(word, ids)), ids["[SEP]"]]


def main():
    folder, text, vectors = sys.argv[1:]
    model, found = Model(folder), np.fromfile(vectors, np.float32).reshape(-1, 384)
    with open(os.path.join(folder, "vocab.txt"), encoding="utf-8") as file:
        ids = {line.rstrip("\n"): k for k, line in enumerate(file)}
    try:
        from tokenizers import Tokenizer
        tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        tokenizer.no_padding()
    except ImportError:
        tokenizer = None
    worst = 0.0
    with open(text, encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file if line.strip()]
    assert len(lines) == len(found), f"{len(lines)} sentences, {len(found)} vectors"
    for line, vector in zip(lines, found):
        mine = tokens(line, ids)
        assert tokenizer is None or tokenizer.encode(line).ids == mine, f"tokens of {line!r}"
        error = np.abs(encode(model, np.array(mine)) - vector).max()
        worst = max(worst, error)
        if not error < TOLERANCE:
            print(f"FAIL {line!r}: error {error:.3g}")
    print(f"minilm: {len(lines)} sentences, largest error {worst:.2g}")
    return 0 if worst < TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())

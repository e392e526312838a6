#!/usr/bin/python3
"""bad.py PROGRAM: safetensors files that are cut short or lie. samples/minilm must say so and exit with 3, whatever they claim."""
import json
import os
import struct
import subprocess
import sys
import tempfile

HUGE = 1 << 62


def file_of(header, data=bytes(64), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(4, 4), offsets=(0, 64)):
    return {"embeddings.word_embeddings.weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


CASES = {
    "empty": b"",
    "shorter than its length": b"\1\2\3",
    "no header": struct.pack("<Q", 0),
    "header beyond the end": file_of(entry(), length=1000),
    "length that overflows": file_of(entry(), length=(1 << 64) - 1),
    "length near the overflow": file_of(entry(), length=(1 << 64) - 8),
    "no JSON": file_of(b"\xff" * 40),
    "JSON cut short": file_of(json.dumps(entry()).encode()[:-5]),
    "a list": file_of([1, 2]),
    "nested without end": file_of(b"[" * 100000),
    "an entry that is a number": file_of({"a": 7}),
    "no dtype": file_of({"a": {"shape": [1], "data_offsets": [0, 4]}}),
    "a shape that is a word": file_of(entry(shape="x")),
    "a shape of words": file_of(entry(shape=["x", "y"])),
    "five dimensions": file_of(entry(shape=[1] * 5, offsets=[0, 4])),
    "a negative size": file_of(entry(shape=[-4, -4])),
    "sizes that overflow": file_of(entry(shape=[HUGE, HUGE], offsets=[0, 0])),
    "data beyond the end": file_of(entry(offsets=[0, 128], shape=[32])),
    "data before the start": file_of(entry(offsets=[-64, 0])),
    "data that end before they begin": file_of(entry(offsets=[64, 0])),
    "offsets that overflow": file_of(entry(offsets=[HUGE, HUGE + 64])),
    "less data than the shape": file_of(entry(shape=[4, 4], offsets=[0, 60])),
    "more data than the shape": file_of(entry(shape=[4, 3])),
    "one offset": file_of(entry(offsets=[0])),
    "data that were cut off": file_of(entry(), data=bytes(63)),
    "other tensors than the model's": file_of({"a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}),
    "the right name with another dtype": file_of(entry(dtype="F16", offsets=[0, 32])),
}


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n"), ("text", "hello\n")):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        for name, data in CASES.items():
            with open(os.path.join(folder, "model.safetensors"), "wb") as file:
                file.write(data)
            done = subprocess.run([sys.argv[1], folder, os.path.join(folder, "text")], capture_output=True, text=True, timeout=60)
            if done.returncode != 3 or not done.stderr.startswith("minilm: "):
                print(f"FAIL {name}: exit {done.returncode}: {done.stderr[-300:]!r}")
                failed += 1
    print(f"minilm: {len(CASES) - failed} bad files refused, {failed} not")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Writes the .npy files, good and bad, of the command line's tests into the folder given."""
import os
import struct
import sys

import numpy as np

os.chdir(sys.argv[1])
x = np.arange(128, dtype=np.float32).reshape(8, 16) / 7
np.save("x.npy", x)
np.save("twice.npy", 2 * x)
np.save("wrong.npy", 2 * x + 0.5)
np.save("fortran.npy", np.asfortranarray(x))
np.save("big_endian.npy", x.astype(">f4"))
np.save("f64.npy", x.astype(np.float64))
np.save("scalar.npy", np.float32(3))
np.save("objects.npy", np.array([{}]), allow_pickle=True)
np.save("bf16.npy", (x.view(np.uint32) >> 16).astype(np.uint16))
np.save("i4.npy", np.array([[0x21, 0x43, 0x05], [0xFE, 0xDC, 0x0B]], np.uint8))
data = open("x.npy", "rb").read()


def raw(name, header, body, version=1, magic=b"\x93NUMPY"):
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    with open(name, "wb") as file:
        file.write(magic + bytes([version, 0]) + size + header.encode() + body)


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }\n"
for version in 1, 2, 3:
    raw(f"v{version}.npy", HEADER % "(8, 16)", x.tobytes(), version)
raw("v9.npy", HEADER % "(8, 16)", x.tobytes(), 9)
raw("magic.npy", HEADER % "(8, 16)", x.tobytes(), 1, b"\x93NUMPX")
raw("long.npy", HEADER % "(8, 16)", x.tobytes() + b"x")
raw("huge.npy", HEADER % "(99999999999, 99999999999)", x.tobytes())
raw("negative.npy", HEADER % "(-8, 16)", x.tobytes())
raw("shape.npy", HEADER % "(8, 16e)", x.tobytes())
raw("rank.npy", HEADER % "(1, 1, 1, 1, 1, 1, 1, 1, 1)", b"1234")
raw("keys.npy", "{'descr': '<f4'}\n", x.tobytes())
raw("dtype.npy", (HEADER % "(8, 16)").replace("<f4", "<c8"), x.tobytes())
for name, count in ("empty", 0), ("header", 30), ("truncated", 300):
    with open(name + ".npy", "wb") as out:
        out.write(data[:count])

"""Discrete Fourier transforms, and one step of Stockham's method against its definition."""
import numpy as np
from case import Case, generator, wide


def pairs(z):
    return np.stack([z.real, z.imag], -1)


def cases():
    _, normal = generator(102)
    for B, N in ((3, 1), (5, 2), (1, 64), (3, 256), (0, 8)):
        x = normal(B, N, 2)
        y = np.fft.fft(wide(x)[..., 0] + 1j * wide(x)[..., 1]) if B else np.zeros((0, N))
        yield Case("fft", {"x": x}, {"y": pairs(y)}, rtol=0, atol=2e-6 * max(N, 4),
                   configs=("", "tile_n = 3, tile_k = 5, tile_b_3 = 2") if N == 256 else ())
    yield Case("fft", {"x": normal(2, 12, 2)}, {}, fails="HK0711")
    yield Case("fft", {"x": normal(2, 0, 2)}, {}, fails="HK0711")
    for B, M, l in ((3, 5, 7), (2, 1, 16), (1, 16, 1)):
        x = normal(B, 2, M, l, 2)
        z = wide(x)[..., 0] + 1j * wide(x)[..., 1]
        turn = np.exp(-1j * np.pi * np.arange(M) / M)[:, None]
        yield Case("butterfly", {"x": x}, {"y": pairs(np.stack([z[:, 0] + z[:, 1], (z[:, 0] - z[:, 1]) * turn], 2))})

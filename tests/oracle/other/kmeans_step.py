"""A step of k-means; one centre is far from every point, two centres are the same (the first wins)."""
import numpy as np
from case import Case, generator, wide


def cases():
    rng, normal = generator(83)
    for N, K, D in ((201, 7, 5), (3, 1, 2), (1, 4, 1)):
        x, centre = normal(N, D), normal(K, D)
        if K > 4:
            centre[2] = 100
            centre[4] = centre[1]
        distance = ((wide(x)[:, None] - wide(centre)) ** 2).sum(-1)
        label = distance.argmin(1)
        moved = np.stack([wide(x)[label == k].mean(0) if (label == k).any() else centre[k] for k in range(K)])
        yield Case("kmeans_step", {"x": x, "centre": centre}, {"label": label, "next": moved, "inertia": distance.min(1).sum()},
                   rtol=1e-5, atol=1e-5, configs=("", "tile_n = 7, tile_k = 2") if N == 201 else ())

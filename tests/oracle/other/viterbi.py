"""The likeliest path of states; transitions that cannot be are -inf. Scores are whole numbers, so that ties are ties."""
import numpy as np
from case import Case, generator, wide


def cases():
    rng, _ = generator(87)
    for B, L, S in ((5, 23, 9), (2, 1, 3), (1, 4, 1)):
        start, step, seen = (-rng.integers(0, 20, s).astype(np.float32) for s in ((S,), (S, S), (B, L, S)))
        if S > 3:
            step[1, ::2], start[2] = -np.inf, -np.inf
        score, backs = wide(start) + seen[:, 0], []
        yield Case("viterbi_step", {"score": score.astype(np.float32), "step": step, "seen": seen[:, -1]},
                   {"next": (score[:, :, None] + step).max(1) + seen[:, -1],
                    "back": (score[:, :, None] + wide(step)).argmax(1)}, rtol=0, atol=0)
        for t in range(1, L):
            reach = score[:, :, None] + wide(step)
            backs.append(reach.argmax(1))
            score = reach.max(1) + seen[:, t]
        path = np.zeros((B, L), np.int64)
        path[:, -1] = score.argmax(1)
        for t in range(L - 1, 0, -1):
            path[:, t - 1] = backs[t - 1][np.arange(B), path[:, t]]
        yield Case("viterbi", {"start": start, "step": step, "seen": seen}, {"path": path, "best": score.max(1)},
                   rtol=0, atol=0, configs=("", "tile_b = 2") if L == 23 else ())

"""Linear attention with a fixed decay for each head; that of the first head is so strong that sums of it overflow exp."""
import numpy as np
from family import variant


def decay(rng, B, H, L, D):
    log_gamma = -rng.exponential(0.5, H).astype(np.float32)
    log_gamma[0] = -30
    return {"log_gamma": log_gamma}, log_gamma[None, :, None, None]


def cases():
    yield from variant("retention", 62, decay, step=lambda given: given)

"""SwiGLU: as GEGLU, with the logistic unit."""
import numpy as np
from geglu import gated, large


def silu(a):
    return a / (1 + np.exp(-a))


def cases(full=False):
    return large("swiglu", silu, 105) if full else gated("swiglu", silu, 105)

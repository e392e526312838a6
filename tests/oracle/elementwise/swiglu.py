"""SwiGLU: as GEGLU, with the logistic unit."""
import numpy as np
from geglu import gated


def cases():
    return gated("swiglu", lambda a: a / (1 + np.exp(-a)), 105)

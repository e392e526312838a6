"""RMS norm, with a residual or without, then groups of columns in e4m3 or i8, each with its scale."""
from quantise import quantise
from rms_norm_dynamic_per_token_quant import cases_of

SHAPES = (((3, 20), 4, "bf16", "f8e4m3", False, None), ((1, 1), 1, "f32", "f8e4m3", True, None),
          ((2, 3, 256), 128, "bf16", "i8", True, 1.25), ((5, 99), 33, "f32", "i8", False, None),
          ((0, 8), 2, "bf16", "f8e4m3", True, None))


def blocks(y, group, q_type, bound):
    """Quantises groups of the last axis; the least scale is that of Helion's kernels."""
    least = 2.0 ** -23 if q_type == "i8" else 1 / (448 * 512)
    q, s = quantise(y.reshape(*y.shape[:-1], y.shape[-1] // group, group), q_type, least, bound)
    return q.reshape(y.shape), s


def cases():
    return cases_of("rms_norm_per_block_quant", 193, SHAPES, blocks, lambda group: {"C": group})

"""Linear attention without decay."""
from family import variant


def cases():
    yield from variant("linear_attn", 61, parallel="linear_attn_parallel")

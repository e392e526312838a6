"""The delta rule with a decay for each step; some steps keep all, others nothing."""
from family import variant
from simple_gla import decay


def cases():
    yield from variant("gated_delta_rule", 68, decay, beta=True, dg=lambda dg: dg.sum(-1))

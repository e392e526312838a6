"""Sums of few long rows, as one reduction, as a loop, and spread over the grid."""
from sum import row_sums

SHAPES = ((3, 13100), (1, 1), (2, 0), (0, 3))


def cases():
    yield from row_sums("long_sum", 112, SHAPES)
    yield from row_sums("long_sum_looped", 113, SHAPES, ("", "tile_m = 1, tile_n = 7"))
    yield from row_sums("long_sum_split", 114, SHAPES, ("", "tile_m = 2, tile_n = 1000"))

"""As fp8_matmul."""
from fp8_matmul import rows_and_columns


def cases():
    return rows_and_columns("scale_mm_cute", 185)

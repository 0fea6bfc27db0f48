"""Matrix products that give the same numbers wherever, and beside whatever, they are computed.

BLAS may round a row otherwise for another number of rows, at another place among them, with more
threads and, some of it, at another address. So a product here has one shape for good, is too small
to be shared among threads, and its operands lie alike in memory. Many of them are one call of
`numpy.matmul`, which multiplies a stack one by one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

#: Columns that a product may have.
MOST_COLUMNS = 32
# Numbers of the left side of a product. OpenBLAS uses more threads above 9,216 of them with one
# column, and above 262,144 multiplications with more (interface/gemv.c and gemm.c).
_MOST_NUMBERS = 8192
# A cache line, and the widest vectors there are.
_ALIGNED_BYTES = 64
_ALIGNED = _ALIGNED_BYTES // np.dtype(np.float32).itemsize


def stacked(rows: int, inner: int) -> tuple[int, int]:
    """Products, and rows of each, that together have at least so many rows of `inner` numbers."""
    products = math.ceil(rows / max(1, _MOST_NUMBERS // max(1, inner)))
    return products, math.ceil(rows / products)


def zeros(*shape: int) -> Float32:
    """An array that begins where a cache line does."""
    size = math.prod(shape)
    spare = np.zeros(size + _ALIGNED, np.float32)
    first = -spare.ctypes.data % _ALIGNED_BYTES // spare.itemsize
    return spare[first : first + size].reshape(shape)


def rows_of(count: int, length: int) -> Float32:
    """Zeros (count, length), every row of which begins where a cache line does."""
    return zeros(count, math.ceil(length / _ALIGNED) * _ALIGNED)[:, :length]


def aligned(matrix: Float32) -> Float32:
    """A copy that begins where a cache line does, row after row."""
    copy = zeros(*matrix.shape)
    np.copyto(copy, matrix)
    return copy

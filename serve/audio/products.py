"""Matrix products that give the same numbers wherever, and beside whatever, they are computed.

BLAS may round a row otherwise for another number of rows, at another place among them, with more
threads and, some of it, at another address. So a product here has one shape for good, is too small
to be shared among threads, and its operands lie alike in memory. Many of them are one call of
`numpy.matmul`, which multiplies a stack one by one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# OpenBLAS uses more threads above so many multiplications (interface/gemm.c), and above 9,216 where
# there is only one column (interface/gemv.c).
_MOST = 1 << 18
_MOST_OF_A_COLUMN = 8192
# A cache line, and the widest vectors there are.
_ALIGNED_BYTES = 64
_ALIGNED = _ALIGNED_BYTES // np.dtype(np.float32).itemsize


def parted(rows: int, inner: int, columns: int) -> tuple[int, int]:
    """Products, and rows of each, that together have at least so many rows.

    Their left sides have `inner` columns, their right sides and they themselves at most `columns`.
    """
    most = (_MOST_OF_A_COLUMN if columns == 1 else _MOST // columns) // max(1, inner)
    products = math.ceil(rows / max(1, most))
    # With one row, too, it would be one with a vector.
    return products, max(2, math.ceil(rows / products))


def columns_of(total: int, most: int) -> Iterator[slice]:
    """The columns of products that together have `total`: as many as may be, but the last not one.

    That would be a product with a vector.
    """
    first = 0
    while left := total - first:
        columns = min(left, most) - (left == most + 1)
        yield slice(first, first + columns)
        first += columns


def zeros(*shape: int) -> Float32:
    """An array that begins where a cache line does."""
    size = math.prod(shape)
    spare = np.zeros(size + _ALIGNED, np.float32)
    first = -spare.ctypes.data % _ALIGNED_BYTES // spare.itemsize
    return spare[first : first + size].reshape(shape)


def rows_of(count: int, length: int) -> Float32:
    """Zeros (count, length), every row of which begins where a cache line does."""
    return zeros(count, _whole(length))[:, :length]


def stack_of(products: int, rows: int, length: int) -> Float32:
    """Zeros (products, rows, length), of which every product begins where a cache line does."""
    flat = zeros(products, _whole(rows * length))[:, : rows * length]
    return flat.reshape(products, rows, length, copy=False)


def aligned(matrix: Float32) -> Float32:
    """A copy that begins where a cache line does, row after row."""
    copy = zeros(*matrix.shape)
    np.copyto(copy, matrix)
    return copy


def _whole(length: int) -> int:
    return math.ceil(length / _ALIGNED) * _ALIGNED

"""Pauses between tries."""

from collections.abc import Iterator


def pauses_s(first_s: float, longest_s: float) -> Iterator[float]:
    """Seconds to wait before each next try, without end: each twice the last, up to the longest."""
    while True:
        yield first_s
        first_s = min(2 * first_s, longest_s)

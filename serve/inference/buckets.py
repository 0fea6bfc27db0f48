"""The few batch sizes that the model runs at, so that each can be prepared in advance."""

from __future__ import annotations

from bisect import bisect_left


def bucket_sizes(largest: int, growth: float = 1.25) -> tuple[int, ...]:
    """Batch sizes from 1 to `largest` in steps of about `growth`, ascending.

    A batch is padded to the next size, so `growth` bounds the work wasted on padding.
    """
    sizes = [1]
    while sizes[-1] < largest:
        sizes.append(min(largest, max(sizes[-1] + 1, int(sizes[-1] * growth))))
    return tuple(sizes)


def bucket_for(clips: int, sizes: tuple[int, ...]) -> int:
    """The smallest of the ascending `sizes` that holds `clips`; ValueError if none does."""
    at = bisect_left(sizes, clips)
    if at == len(sizes):
        raise ValueError(f"{clips} clips, at most {sizes[-1]} fit")
    return sizes[at]

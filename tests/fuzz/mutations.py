"""Small damage to bytes, by random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Mutation = Callable[[bytearray, random.Random], None]

# The edges of what numbers of one, two, four and eight bytes can say.
_WORDS = tuple(
    value.to_bytes(size, order)
    for size in (1, 2, 4, 8)
    for order in ("little", "big")
    for value in (0, 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1)
)
# Lengths of a piece; most damage that is told from noise is small.
_LENGTHS = (1, 2, 4, 8, 64, 512, 8192)


def _span(content: bytearray, rng: random.Random) -> tuple[int, int]:
    """A piece of it. Every other time it is near the beginning, where the heads are."""
    most = len(content) if rng.random() < 0.5 else min(len(content), 512)
    start = rng.randrange(most + 1)
    return start, min(len(content), start + rng.choice(_LENGTHS))


def _flip(content: bytearray, rng: random.Random) -> None:
    start, end = _span(content, rng)
    for at in range(start, end):
        content[at] ^= 1 << rng.randrange(8)


def _noise(content: bytearray, rng: random.Random) -> None:
    start, end = _span(content, rng)
    content[start:end] = rng.randbytes(end - start)


def _word(content: bytearray, rng: random.Random) -> None:
    start, _ = _span(content, rng)
    word = rng.choice(_WORDS)
    content[start : start + len(word)] = word


def _delete(content: bytearray, rng: random.Random) -> None:
    start, end = _span(content, rng)
    del content[start:end]


def _insert(content: bytearray, rng: random.Random) -> None:
    start, end = _span(content, rng)
    content[start:start] = rng.randbytes(end - start)


def _repeat(content: bytearray, rng: random.Random) -> None:
    (start, end), (to, _) = _span(content, rng), _span(content, rng)
    content[to:to] = content[start:end] * rng.choice((1, 1, 2, 50))


def _cut(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content) + 1) :]


GENERAL: Sequence[Mutation] = (_flip, _noise, _word, _delete, _insert, _repeat, _cut)


def mutated(content: bytes, rng: random.Random, mutations: Sequence[Mutation] = GENERAL) -> bytes:
    """The content after one to four of these mutations."""
    damaged = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        rng.choice(mutations)(damaged, rng)
    return bytes(damaged)

"""What every source of audio looks like to the pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a track before its audio has arrived.

    `duration_s` and `size_bytes` are None where the source can't tell.
    """

    title: str
    duration_s: float | None = None
    size_bytes: int | None = None


class AudioStream(Protocol):
    """An opened track: its description, then its encoded bytes in order, once."""

    @property
    def info(self) -> SourceInfo:
        """What is known of it."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class AudioSource(Protocol):
    """A track that can be opened; leaving the context stops and frees whatever delivers it."""

    def open(self) -> AbstractAsyncContextManager[AudioStream]:
        """Find the track and begin to deliver it; raises a TopgenreError where it can't be had."""
        ...

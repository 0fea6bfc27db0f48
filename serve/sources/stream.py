"""What every source of audio looks like to the pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, Protocol

from serve.errors import Origin


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a track before its audio has arrived.

    `duration_s` and `size_bytes` are None where the source can't tell.
    """

    title: str
    duration_s: float | None = None
    size_bytes: int | None = None


class FromClient:
    """What the sources of a client's own audio have in common; see `AudioSource`."""

    __slots__ = ()
    origin: ClassVar[Origin] = "client"
    identity: ClassVar[None] = None


class AudioStream(Protocol):
    """An opened track: its description, then its encoded bytes in order, once."""

    @property
    def info(self) -> SourceInfo:
        """What is known of it."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class AudioSource(Protocol):
    """A track that can be opened; leaving the context stops and frees whatever delivers it."""

    @property
    def origin(self) -> Origin:
        """Who is waited for while it is opened and arrives."""
        ...

    @property
    def identity(self) -> tuple[str, str] | None:
        """Its kind and what it is called there, by which its answer is known before it is opened.

        None where only its bytes tell which track it is.
        """
        ...

    def open(self) -> AbstractAsyncContextManager[AudioStream]:
        """Find the track and begin to deliver it; raises a TopgenreError where it can't be had."""
        ...

"""What every source of audio looks like to the pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from serve.errors import Origin, TopgenreError

if TYPE_CHECKING:
    from serve.settings import Settings


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


@dataclass(frozen=True, slots=True)
class Link:
    """What a link leads to: a service, the track's id there, and the address of its page."""

    service: str
    id: str
    page: str

    @property
    def key(self) -> str:
        """By which a track is known in results, whatever its link looked like."""
        return f"{self.service}:{self.id}"


class LinkService(Protocol):
    """A service that links lead to, as YouTube; an instance is what all its tracks share.

    `name` is the first part of the identity of its tracks and their origin, `title` what people
    call it, `ids` a regular expression of its tracks' ids. `breakers` are its failures that show
    that it refuses this server, by names that no other service uses: after too many of one kind
    it is left alone for a while.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    ids: ClassVar[str]
    breakers: ClassVar[Mapping[str, type[TopgenreError]]]

    def __init__(self, settings: Settings) -> None: ...

    @staticmethod
    def link(text: str) -> Link:
        """What the one link in a text leads to.

        Raises NotYouTube for one to elsewhere, BadUrl or Playlist for one that names no track.
        """
        ...

    @staticmethod
    def mentioned(text: str) -> bool:
        """Whether a text holds the name of its site as links begin, so that it is no path."""
        ...

    def source(self, track_id: str) -> AudioSource:
        """A track by its id."""
        ...

    def preloading(self) -> AbstractAsyncContextManager[object]:
        """A context in which what is slow to start stays loaded, if the settings ask for it."""
        ...

    @property
    def confinement(self) -> dict[str, Any] | None:
        """What its child processes are refused, as measured in them; None before one ran."""
        ...

    def watch(self, gauge: Callable[[str, str, Callable[[], float]], None]) -> None:
        """Add its gauges: a name, what it means, and what reads it."""
        ...

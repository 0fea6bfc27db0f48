"""The queue of tracks for the model: which of them share its next call."""

from __future__ import annotations

import threading
from typing import Generic, Protocol, TypeVar

from serve.errors import NotReady, Overloaded


class Waiting(Protocol):
    """A waiting track."""

    @property
    def clips(self) -> int:
        """The number of its clips."""


Track = TypeVar("Track", bound=Waiting)


class FairQueue(Generic[Track]):
    """At most `size` waiting tracks, the shortest first, with a fair share for the oldest.

    A call takes one track whole, and more of them, shortest first, while together they have at
    most `share` clips. Where `PATIENCE` calls in a row have passed the oldest track over, the next
    one takes it. So the shortest track waits for two calls at most, the running one and one that
    was the oldest's turn; a track with k older ones for at most (k + 1) * (PATIENCE + 1).
    """

    PATIENCE = 3

    def __init__(self, size: int, share: int) -> None:
        self._size = size
        self._share = share
        self._tracks: list[Track] = []  # oldest first
        self._passed = 0  # calls since the oldest track of its time was taken
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._tracks)

    def put(self, track: Track) -> None:
        """Let a track wait; raise Overloaded where too many do, NotReady after `close`."""
        with self._changed:
            if self._closed:
                raise NotReady
            if len(self._tracks) >= self._size:
                raise Overloaded(retry_after_s=1.0)
            self._tracks.append(track)
            self._changed.notify()

    def discard(self, track: Track) -> None:
        """Let a track go that nobody waits for any more, if it still waits."""
        with self._changed:
            self._tracks = [other for other in self._tracks if other is not track]

    def close(self) -> None:
        """Accept no more tracks; waiting ones are still given out."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> list[Track]:
        """Wait for the tracks of the next call; none once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._tracks or self._closed)
            if not self._tracks:
                return []
            oldest = self._tracks[0]
            # A stable sort: of equally long tracks the older comes first.
            order = sorted(self._tracks, key=lambda track: track.clips)
            first = oldest if self._passed >= self.PATIENCE else order[0]
            call, clips = [first], first.clips
            for track in order:
                if clips + track.clips > self._share:
                    break
                if track is not first:
                    call.append(track)
                    clips += track.clips
            self._passed = 0 if oldest in call else self._passed + 1
            self._tracks = [track for track in self._tracks if track not in call]
            return call

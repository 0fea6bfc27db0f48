import threading
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.errors import NotReady, Overloaded
from serve.inference.queue import FairQueue

PATIENCE = FairQueue.PATIENCE


@dataclass(eq=False)
class Track:
    clips: int


def queue(*clips, share=40, size=100):
    waiting = FairQueue[Track](size, share)
    for n in clips:
        waiting.put(Track(n))
    return waiting


def taken(waiting):
    return [track.clips for track in waiting.take()]


@pytest.mark.parametrize(
    ("waiting", "calls"),
    [
        ([428], [[428]]),
        ([10, 20, 10], [[10, 10, 20]]),
        ([20, 20, 20], [[20, 20], [20]]),
        ([41, 41], [[41], [41]]),
        ([428, 21, 5], [[5, 21], [428]]),
        ([39, 2], [[2], [39]]),
        ([38, 2], [[2, 38]]),
        # Passed over three times, the long one has its turn.
        ([428, 40, 40, 40, 40, 40], [[40], [40], [40], [428], [40], [40]]),
        # And its turn is over then: the short ones go on.
        ([428, 428, 40, 40, 40, 40], [[40], [40], [40], [428], [40], [428]]),
    ],
)
def test_who_is_called_together_and_when(waiting, calls):
    tracks = queue(*waiting)
    assert [taken(tracks) for _ in calls] == calls
    assert len(tracks) == 0


def test_equals_keep_their_order():
    tracks = queue(share=1)
    first, second = Track(9), Track(9)
    tracks.put(first)
    tracks.put(second)
    assert tracks.take() == [first]
    assert tracks.take() == [second]


# What happens, in order: a track of so many clips comes, or (0) a call is made.
@given(st.lists(st.integers(0, 60), max_size=80), st.integers(1, 60))
def test_everyone_waits_for_a_bounded_number_of_calls(events, share):
    tracks = FairQueue[Track](100, share)
    waiting: list[Track] = []
    older: dict[Track, int] = {}  # tracks that were there before it
    passed: dict[Track, int] = {}  # calls without it
    turns: dict[Track, int] = {}  # of those, calls while it was the shortest
    for event in [*events, *[0] * len(events)]:
        if event:
            track = Track(event)
            older[track], passed[track], turns[track] = len(waiting), 0, 0
            waiting.append(track)
            tracks.put(track)
        elif waiting:
            call = tracks.take()
            assert sum(track.clips for track in call) <= share or len(call) == 1
            shortest = min(waiting, key=lambda track: track.clips)
            waiting = [track for track in waiting if track not in call]
            for track in waiting:
                passed[track] += 1
                assert passed[track] < (older[track] + 1) * (PATIENCE + 1)
            turns[shortest] += shortest in waiting
            assert turns[shortest] <= 1
    assert not waiting
    assert len(tracks) == 0


def test_who_has_gone_leaves_the_queue():
    tracks = queue(size=2)
    gone, stays = Track(5), Track(9)
    tracks.put(gone)
    tracks.put(stays)
    tracks.discard(gone)
    assert len(tracks) == 1
    tracks.put(Track(30))  # its place is free
    assert taken(tracks) == [9, 30]
    tracks.discard(stays)  # it no longer waits: nothing happens


def test_a_full_queue_refuses():
    tracks = queue(1, 1, size=2)
    with pytest.raises(Overloaded) as refused:
        tracks.put(Track(1))
    assert refused.value.retry_after_s == 1.0


def test_a_closed_queue_gives_out_what_waits_and_takes_nothing():
    tracks = queue(428, 21)
    tracks.close()
    with pytest.raises(NotReady):
        tracks.put(Track(1))
    assert [taken(tracks) for _ in range(3)] == [[21], [428], []]


@pytest.mark.parametrize("wake", [lambda tracks: tracks.put(Track(3)), FairQueue.close])
def test_who_waits_for_a_track_is_woken(wake):
    tracks = queue()
    got = []
    thread = threading.Thread(target=lambda: got.append(taken(tracks)))
    thread.start()
    wake(tracks)
    thread.join(10)
    assert not thread.is_alive()
    assert got in ([[3]], [[]])

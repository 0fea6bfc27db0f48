"""The inference thread: one call takes all clips of a track, and of tracks that waited."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from serve.errors import Internal, NotReady
from serve.inference.outputs import Float32, Outputs
from serve.inference.queue import FairQueue
from serve.inference.runner import Runner

_LOG = logging.getLogger(__name__)
# A failed call is retried once, in calls smaller by this factor: memory may have been short.
_SMALLER = 4
_FAILED = "The model failed on this track."


class _DeviceLost(Exception):
    """Calls fail, and so do smaller ones."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's outputs for a track's clips, and how long the track waited and ran."""

    clips: Outputs
    waited_s: float
    ran_s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    mel: Float32
    clips: int
    done: asyncio.Future[Prediction]
    loop: asyncio.AbstractEventLoop
    since: float = field(default_factory=time.perf_counter)

    def settle(self, outcome: Prediction | Exception) -> None:
        def apply() -> None:
            if self.done.done():  # cancelled meanwhile
                return
            if isinstance(outcome, Prediction):
                self.done.set_result(outcome)
            else:
                self.done.set_exception(outcome)

        try:
            self.loop.call_soon_threadsafe(apply)
        except RuntimeError:  # the loop is closed: nobody waits any more
            _LOG.debug("a prediction came after its loop was closed")


class Engine:
    """Runs the model in a thread of its own.

    It starts as soon as a track is there. While it works tracks gather, and share the next call up
    to `share` clips; a track is never split. `on_call` is told the padded size of every call. The
    longest track is what `runner` has room for.

    A call that fails is tried once more in smaller ones. Where that fails too the device is lost,
    or never has enough memory: then `failed` is true, nothing is taken any more, and the process
    should end. The same where the thread has died twice; the first time it goes on. A call that
    takes longer than `stall_s` makes it not `alive` meanwhile.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        queue_size: int,
        share: int,
        on_call: Callable[[int], None] = lambda batch: None,
        stall_s: float = 60.0,
    ) -> None:
        self._runner = runner
        self._on_call = on_call
        self._queue = FairQueue[_Work](queue_size, min(share, runner.largest))
        self._thread = threading.Thread(target=self._live, name="inference", daemon=True)
        self._warm: Future[None] = Future()
        self._stall_s = stall_s
        self._call: list[_Work] = []
        self._call_since = 0.0
        #: whether the model has failed for good
        self.failed = False

    @property
    def alive(self) -> bool:
        """Whether the model is warmed up and its thread makes progress."""
        stalled = self._call and time.perf_counter() - self._call_since > self._stall_s
        return self._thread.is_alive() and self._warm.done() and not self.failed and not stalled

    @property
    def waiting(self) -> int:
        """Tracks in the queue."""
        return len(self._queue)

    def start(self) -> None:
        """Start the thread, and wait until the model is warm; raises what that raises."""
        self._thread.start()
        self._warm.result()

    def stop(self) -> None:
        """Finish the waiting tracks, then end the thread."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join()
        self._runner.close()

    async def predict(self, mel: Float32, clips: int) -> Prediction:
        """The model's outputs for the first `clips` rows of `mel` (rows, frames, mel bands).

        Where `mel` has rows to spare they serve as padding, and nothing is copied for a track that
        is alone; it must not change meanwhile. Raises Overloaded when the queue is full.
        """
        if not self.alive:
            raise NotReady
        if clips > self._runner.largest:
            raise Internal(f"{clips} clips are more than the model was prepared for.")
        loop = asyncio.get_running_loop()
        work = _Work(mel, clips, loop.create_future(), loop)
        self._queue.put(work)
        try:
            return await work.done
        finally:
            self._queue.discard(work)

    def _live(self) -> None:
        try:
            self._runner.warm()
        except Exception as error:
            self._warm.set_exception(error)
            return
        self._warm.set_result(None)
        for last in (False, True):
            try:
                self._work()
                return
            except _DeviceLost:
                _LOG.critical("the model can't run any more: nothing is taken until a restart")
                break
            except BaseException:
                _LOG.critical("the inference thread died%s", " again" * last, exc_info=True)
                self._give_up()
        self.failed = True
        self._queue.close()
        while self._take():
            self._give_up()

    def _work(self) -> None:
        while self._take():
            try:
                predictions = self._run(self._call)
            except Exception:
                _LOG.exception("inference failed; it is tried once more in smaller calls")
                predictions = self._run_smaller()
            for work, prediction in zip(self._call, predictions, strict=True):
                work.settle(prediction)

    def _take(self) -> list[_Work]:
        self._call = []
        call = self._queue.take()
        self._call_since = time.perf_counter()
        self._call = call
        return call

    def _give_up(self) -> None:
        """Fail the tracks that wait for the current call."""
        for work in self._call:
            work.settle(Internal(_FAILED))

    def _run_smaller(self) -> list[Prediction]:
        try:
            clips = max(1, sum(work.clips for work in self._call) // _SMALLER)
            return [self._run_in_pieces(work, clips) for work in self._call]
        except Exception as error:
            _LOG.exception("inference failed again")
            self._give_up()
            raise _DeviceLost from error

    def _run_in_pieces(self, work: _Work, most: int) -> Prediction:
        start = time.perf_counter()
        pieces = []
        for first in range(0, work.clips, most):
            clips = min(most, work.clips - first)
            batch = self._runner.batch([(work.mel[first : first + clips], clips)])
            self._on_call(len(batch))
            pieces.append(self._runner.run(batch).rows(0, clips))
        ran_s = time.perf_counter() - start
        return Prediction(Outputs.joined(pieces), start - work.since, ran_s)

    def _run(self, call: list[_Work]) -> list[Prediction]:
        start = time.perf_counter()
        batch = self._runner.batch([(work.mel, work.clips) for work in call])
        self._on_call(len(batch))
        outputs = self._runner.run(batch)
        ran_s = time.perf_counter() - start
        predictions, row = [], 0
        for work in call:
            rows = outputs.rows(row, row + work.clips)
            predictions.append(Prediction(rows, start - work.since, ran_s))
            row += work.clips
        return predictions

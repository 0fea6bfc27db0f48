"""The one inference thread: one call for all clips of a track, and for tracks that waited."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from serve.errors import Internal, NotReady
from serve.inference.queue import FairQueue
from serve.inference.runner import Runner
from serve.inference.session import Float32

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Probabilities (clips, genres) of a track's clips, and how long it waited and ran."""

    probabilities: Float32
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
    """

    def __init__(
        self,
        runner: Runner,
        *,
        queue_size: int,
        share: int,
        on_call: Callable[[int], None] = lambda batch: None,
    ) -> None:
        self._runner = runner
        self._on_call = on_call
        self._queue = FairQueue[_Work](queue_size, min(share, runner.largest))
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._warm: Future[None] = Future()

    @property
    def alive(self) -> bool:
        """Whether the thread runs and the model is warm."""
        return self._thread.is_alive() and self._warm.done()

    @property
    def waiting(self) -> int:
        """Tracks in the queue."""
        return len(self._queue)

    def start(self) -> None:
        """Start the thread, and wait until the model is warm; raises what that raises."""
        self._thread.start()
        self._warm.result()

    def stop(self) -> None:
        """Finish what waits, then end the thread."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join()
        self._runner.close()

    async def predict(self, mel: Float32, clips: int) -> Prediction:
        """Probabilities of the first `clips` rows of `mel` (rows, frames, mel bands).

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

    def _work(self) -> None:
        try:
            self._runner.warm()
        except Exception as error:
            self._warm.set_exception(error)
            return
        self._warm.set_result(None)
        while call := self._queue.take():
            try:
                predictions = self._run(call)
            except Exception:
                _LOG.exception("inference failed")
                for work in call:
                    work.settle(Internal("The model failed on this track."))
            else:
                for work, prediction in zip(call, predictions, strict=True):
                    work.settle(prediction)

    def _run(self, call: list[_Work]) -> list[Prediction]:
        start = time.perf_counter()
        batch = self._runner.batch([(work.mel, work.clips) for work in call])
        self._on_call(len(batch))
        probabilities = self._runner.run(batch)
        ran_s = time.perf_counter() - start
        predictions, row = [], 0
        for work in call:
            rows = probabilities[row : row + work.clips]
            predictions.append(Prediction(rows, start - work.since, ran_s))
            row += work.clips
        return predictions

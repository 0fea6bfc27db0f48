"""The one inference thread and its bounded queue: one ONNX Runtime call for a track's clips."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from serve.errors import Internal, NotReady, Overloaded
from serve.inference.buckets import bucket_for, bucket_sizes
from serve.inference.session import Float32, Model

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Probabilities (clips, genres) of a track's clips, and how long it waited and ran."""

    probabilities: Float32
    waited_s: float
    ran_s: float


@dataclass(frozen=True, slots=True)
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
    """Runs the model in a thread of its own, one track a call.

    `on_call` is told the padded batch size of every call. `max_clips` is the longest track.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_clips: int,
        queue_size: int,
        on_call: Callable[[int], None] = lambda batch: None,
    ) -> None:
        self.model = model
        self.buckets = bucket_sizes(max_clips)
        self._on_call = on_call
        self._queue: queue.Queue[_Work | None] = queue.Queue(queue_size)
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._stopping = False

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Tracks in the queue."""
        return self._queue.qsize()

    def start(self) -> None:
        """Run every batch size once, then start the thread."""
        for size in self.buckets:
            self.model.run(np.zeros((size, *self.model.clip_shape), np.float32))
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, then end the thread."""
        self._stopping = True
        if self.alive:
            self._queue.put(None)
            self._thread.join()

    async def predict(self, mel: Float32, clips: int) -> Prediction:
        """Probabilities of the first `clips` rows of `mel` (rows, frames, mel bands).

        Where `mel` has rows to spare they serve as padding, and nothing is copied; it must not
        change meanwhile. Raises Overloaded when the queue is full.
        """
        if self._stopping or not self.alive:
            raise NotReady
        loop = asyncio.get_running_loop()
        work = _Work(mel, clips, loop.create_future(), loop)
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            raise Overloaded(retry_after_s=1.0) from None
        return await work.done

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            if work.done.cancelled():
                continue
            try:
                outcome: Prediction | Exception = self._run(work)
            except Exception:
                _LOG.exception("inference failed")
                outcome = Internal("The model failed on this track.")
            work.settle(outcome)

    def _run(self, work: _Work) -> Prediction:
        start = time.perf_counter()
        bucket = bucket_for(work.clips, self.buckets)
        self._on_call(bucket)
        probabilities = self.model.run(_padded(work.mel, work.clips, bucket))[: work.clips]
        return Prediction(probabilities, start - work.since, time.perf_counter() - start)


def _padded(mel: Float32, clips: int, bucket: int) -> Float32:
    if len(mel) >= bucket:
        return mel[:bucket]
    padded = np.zeros((bucket, *mel.shape[1:]), np.float32)
    padded[:clips] = mel[:clips]
    return padded

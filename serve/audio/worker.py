"""A decoder process: encoded bytes in shared memory to mel features in shared memory.

It stands between strangers' media and the server: it has no other descriptors than its sockets
and the memory of the track at hand, may do nothing but compute (`confinement`), and may be killed
at any moment. Started by `serve.audio.decoder`.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

import numpy as np

from serve.audio import confinement, messages
from serve.audio.arriving import ArrivingMedia
from serve.audio.features import FeatureStream
from serve.audio.frames import Unseekable
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32, MelSpectrogram
from serve.audio.work import Work
from serve.errors import TooBig, TopgenreError, Undecodable, unexpected

# Characters of an exception's text, for the log.
_MAX_DETAIL = 1000


class Worker:
    """Decodes one track, or part of a track, after the other, in at most `cpu_s` of processor time.

    `handing` is the socket on which each one's memory is handed over.
    """

    def __init__(
        self,
        channel: messages.Channel,
        handing: socket.socket,
        front_end: FrontEnd,
        max_s: float,
        cpu_s: float,
    ) -> None:
        self.mel = MelSpectrogram(front_end)
        self._cpu_s = cpu_s
        self._channel = channel
        self._handing = handing
        self._shape = (FeatureStream.capacity(front_end, max_s), *front_end.clip_shape)
        self._max_duration_s = max_s

    def serve(self) -> None:
        """Work until the server closes the sockets."""
        with suppress(EOFError, ConnectionError):
            while True:
                kind, job = self._channel.wait()
                # What is still said of a track that is done with is passed over.
                if kind == messages.JOB:
                    self._channel.lease = job.pop("lease")
                    _, memory, _, _ = socket.recv_fds(self._handing, 1, 2)
                    # Past it the process ends: nothing else stops a decoder that runs in circles.
                    signal.setitimer(signal.ITIMER_PROF, self._cpu_s)
                    try:
                        kind, answer = self._answer(job, *memory)
                    finally:
                        signal.setitimer(signal.ITIMER_PROF, 0)
                        for descriptor in memory:
                            os.close(descriptor)
                    self._channel.send(kind, **answer)

    def _answer(self, job: dict[str, Any], media: int, features: int) -> messages.Message:
        try:
            arriving = ArrivingMedia(self._channel, media)
            work = Work(
                self._channel, arriving, self.mel, self._mapped(features), self._max_duration_s
            )
            return messages.DONE, work.do(**job)
        except Unseekable:
            return messages.UNSEEKABLE, {}
        except TopgenreError as error:
            return _failed(error.code, error.message)
        except MemoryError:
            return _failed(TooBig.code, "Decoding this takes too much memory.")
        except (EOFError, ConnectionError):
            raise  # the server has gone
        except Exception as error:
            # Whatever FFmpeg may raise at hostile media is the media's fault, not ours.
            is_medias = type(error).__module__.startswith("av")
            code = Undecodable.code if is_medias else unexpected(error).code
            return _failed(code, detail=f"{type(error).__name__}: {error}"[:_MAX_DETAIL])

    def _mapped(self, features: int) -> Float32:
        clips, frames, n_mels = self._shape
        memory = mmap.mmap(features, 4 * clips * frames * n_mels)
        return np.frombuffer(memory, np.float32).reshape(self._shape)


def _failed(code: str, text: str = "", detail: str = "") -> messages.Message:
    return messages.FAILED, {"code": code, "text": text, "detail": detail}


def main(arguments: list[str]) -> None:
    """Run with: descriptors of the two sockets, front end as JSON, and the three limits."""
    channel, handing = (socket.socket(fileno=int(number)) for number in arguments[:2])
    front_end = FrontEnd.from_dict(json.loads(arguments[2]))
    max_duration_s, cpu_s, memory_bytes = map(float, arguments[3:6])
    confinement.limit(int(memory_bytes))
    # What is wrong with strangers' numbers is nobody's concern; NaN and the like become silence.
    np.seterr(all="ignore")
    told = messages.Channel(channel)
    worker = Worker(told, handing, front_end, max_duration_s, cpu_s)
    try:
        held = confinement.confine(worker.mel)
    except Exception as error:  # what holds it may hold its standard error, too
        told.send(messages.FAILED, detail=f"{type(error).__name__}: {error}")
        raise
    told.send(messages.READY, **held.to_dict())
    worker.serve()
    os._exit(0)  # nothing is left to be put in order, nor could it be


if __name__ == "__main__":
    main(sys.argv[1:])

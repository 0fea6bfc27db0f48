"""A decoder process: encoded bytes in shared memory to mel features in shared memory.

It stands between strangers' media and the server: it has no other descriptors than its sockets
and the memory of the track at hand, a bound on its address space, and may be killed at any
moment. Started by `serve.audio.pool`.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import socket
import sys
from contextlib import suppress
from typing import Any

import numpy as np

from serve.audio import messages
from serve.audio.arriving import ArrivingMedia
from serve.audio.features import FeatureStream
from serve.audio.frames import Unseekable
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32, MelSpectrogram
from serve.audio.work import Work
from serve.errors import Internal, TooBig, TopgenreError, Undecodable

# The sockets, a track's memory, the standard streams and a few for imports.
_MAX_FILES = 64


class Worker:
    """Decodes one track, or part of a track, after the other.

    `handing` is the socket on which each one's memory is handed over.
    """

    def __init__(
        self, channel: messages.Channel, handing: socket.socket, front_end: FrontEnd, max_s: float
    ) -> None:
        self._channel = channel
        self._handing = handing
        self._mel = MelSpectrogram(front_end)
        self._shape = (FeatureStream.capacity(front_end, max_s), *front_end.clip_shape)
        self._max_duration_s = max_s

    def serve(self) -> None:
        """Work until the server closes the sockets."""
        self._mel(np.zeros((1, self._mel.front_end.clip_samples), np.float32))
        self._channel.send(messages.READY)
        with suppress(EOFError, ConnectionError):
            while True:
                kind, job = self._channel.wait()
                # What is still said of a track that is done with is passed over.
                if kind == messages.JOB:
                    _, memory, _, _ = socket.recv_fds(self._handing, 1, 2)
                    try:
                        kind, answer = self._answer(job, *memory)
                    finally:
                        for descriptor in memory:
                            os.close(descriptor)
                    self._channel.send(kind, **answer)

    def _answer(self, job: dict[str, Any], media: int, features: int) -> messages.Message:
        try:
            arriving = ArrivingMedia(self._channel, media)
            work = Work(
                self._channel, arriving, self._mel, self._mapped(features), self._max_duration_s
            )
            return messages.DONE, work.do(**job)
        except Unseekable:
            return messages.UNSEEKABLE, {}
        except TopgenreError as error:
            return messages.FAILED, {"code": error.code, "text": error.message}
        except MemoryError:
            text = "Decoding this takes too much memory."
            return messages.FAILED, {"code": TooBig.code, "text": text}
        except (EOFError, ConnectionError):
            raise  # the server has gone
        except Exception as error:
            # Whatever FFmpeg may raise at hostile media is the media's fault, not ours.
            code = Undecodable.code if type(error).__module__.startswith("av") else Internal.code
            print(f"decoder: {type(error).__name__}: {error}", file=sys.stderr)
            return messages.FAILED, {"code": code, "text": ""}

    def _mapped(self, features: int) -> Float32:
        clips, frames, n_mels = self._shape
        memory = mmap.mmap(features, 4 * clips * frames * n_mels)
        return np.frombuffer(memory, np.float32).reshape(self._shape)


def main(arguments: list[str]) -> None:
    """Run with: descriptors of the two sockets, front end as JSON, and the two limits."""
    channel, handing = (socket.socket(fileno=int(number)) for number in arguments[:2])
    front_end = FrontEnd.from_dict(json.loads(arguments[2]))
    max_duration_s, memory_bytes = float(arguments[3]), int(arguments[4])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_FILES, _MAX_FILES))
    Worker(messages.Channel(channel), handing, front_end, max_duration_s).serve()


if __name__ == "__main__":
    main(sys.argv[1:])

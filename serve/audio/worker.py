"""A decoder process: encoded bytes in over a socket, mel features out into shared memory.

It stands between strangers' media and the server: it has no other descriptor, a bound on its
address space, and may be killed at any moment. Started by `serve.audio.pool`.
"""

from __future__ import annotations

import io
import json
import mmap
import resource
import socket
import sys
import time
from contextlib import suppress
from typing import IO, cast

import numpy as np

from serve.audio import messages
from serve.audio.decode import decode
from serve.audio.features import FeatureStream
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32, MelSpectrogram
from serve.errors import Internal, TooBig, TopgenreError, Undecodable

_PROGRESS_EVERY_S = 0.1
# The socket, the shared memory, the standard streams and a few for imports.
_MAX_FILES = 64


class ArrivingMedia:
    """A track's bytes as they come through the socket; kept, so that they can be read again."""

    def __init__(self, incoming: IO[bytes]) -> None:
        self._incoming = incoming
        self._kept = bytearray()
        self._position = 0
        self.ended = False
        #: seconds spent waiting for bytes
        self.waited_s = 0.0

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as soon as there is one; b"" at the end."""
        while self._position == len(self._kept) and not self.ended:
            self._receive()
        block = bytes(self._kept[self._position : self._position + size])
        self._position += len(block)
        return block

    def whole(self) -> IO[bytes]:
        """Wait for all of it; a file that can seek."""
        while not self.ended:
            self._receive()
        return io.BytesIO(self._kept)

    def discard(self) -> None:
        """Let what is still to come pass by without keeping it."""
        while not self.ended:
            self._kept.clear()
            self._receive()

    def _receive(self) -> None:
        start = time.perf_counter()
        kind, body = messages.receive(self._incoming)
        self.waited_s += time.perf_counter() - start
        if kind == messages.DATA:
            self._kept += body
        else:
            self.ended = True


class Worker:
    """Decodes one track after the other."""

    def __init__(self, channel: socket.socket, out: Float32, front_end: FrontEnd, max_s: float):
        self._channel = channel
        self._incoming = cast(IO[bytes], channel.makefile("rb", 1 << 18))
        self._mel = MelSpectrogram(front_end)
        self._out = out
        self._max_duration_s = max_s
        self._said = 0.0

    def serve(self) -> None:
        """Work until the server closes the socket."""
        self._mel(np.zeros((1, self._mel.front_end.clip_samples), np.float32))
        self._channel.sendall(messages.pack(messages.READY))
        with suppress(EOFError, ConnectionError):
            while True:
                kind, _ = messages.receive(self._incoming)
                if kind == messages.JOB:
                    media = ArrivingMedia(self._incoming)
                    self._channel.sendall(self._answer(media))
                    media.discard()

    def _answer(self, media: ArrivingMedia) -> bytes:
        try:
            return self._features(media)
        except TopgenreError as error:
            return messages.pack_json(messages.FAILED, code=error.code, text=error.message)
        except MemoryError:
            return messages.pack_json(
                messages.FAILED, code=TooBig.code, text="Decoding this takes too much memory."
            )
        except (EOFError, ConnectionError):
            raise  # the server has gone
        except Exception as error:
            # Whatever FFmpeg may raise at hostile media is the media's fault, not ours.
            code = Undecodable.code if type(error).__module__.startswith("av") else Internal.code
            print(f"decoder: {type(error).__name__}: {error}", file=sys.stderr)
            return messages.pack_json(messages.FAILED, code=code, text="")

    def _features(self, media: ArrivingMedia) -> bytes:
        stream = FeatureStream(self._mel, self._out, self._max_duration_s)
        began = time.perf_counter()
        mel_s = 0.0
        for samples in decode(media, self._mel.front_end.sample_rate):
            start = time.perf_counter()
            stream.push(samples)
            mel_s += time.perf_counter() - start
            self._report(stream.seconds)
        start = time.perf_counter()
        extent = stream.finish()
        end = time.perf_counter()
        mel_s += end - start
        return messages.pack_json(
            messages.DONE,
            clips=extent.clips,
            duration_s=extent.duration_s,
            decode_s=end - began - mel_s - media.waited_s,
            mel_s=mel_s,
        )

    def _report(self, seconds: float) -> None:
        now = time.monotonic()
        if now - self._said >= _PROGRESS_EVERY_S:
            self._said = now
            self._channel.sendall(messages.pack_json(messages.PROGRESS, seconds=seconds))


def main(arguments: list[str]) -> None:
    """Run with: socket descriptor, memory descriptor, front end as JSON, and the two limits."""
    channel = socket.socket(fileno=int(arguments[0]))
    front_end = FrontEnd.from_dict(json.loads(arguments[2]))
    max_duration_s, memory_bytes = float(arguments[3]), int(arguments[4])
    shape = (FeatureStream.capacity(front_end, max_duration_s), *front_end.clip_shape)
    memory = mmap.mmap(int(arguments[1]), 4 * shape[0] * shape[1] * shape[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_FILES, _MAX_FILES))
    out = np.frombuffer(memory, np.float32).reshape(shape)
    Worker(channel, out, front_end, max_duration_s).serve()


if __name__ == "__main__":
    main(sys.argv[1:])

"""One track, or a part of one, in a decoder process."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from serve.audio import messages
from serve.audio.arriving import ArrivingMedia
from serve.audio.cancelling import Mix
from serve.audio.decode import attempts, opened
from serve.audio.features import FeatureStream
from serve.audio.frames import Frames, Unseekable
from serve.audio.mel import Float32, MelSpectrogram
from serve.audio.parts import Part, part_begin_s

# Word comes so often, and more often at first: where a track is parted for several decoders hangs
# on how far the first one is, and that one may be done in a fifth of a second.
_PROGRESS_EVERY_S = 0.1
_FIRST_PROGRESS_S = 0.01
_PROGRESS_SHARE = 1 / 8


class Work:
    """From media to features, with word of it on the channel."""

    def __init__(
        self,
        channel: messages.Channel,
        media: ArrivingMedia,
        mel: MelSpectrogram,
        out: Float32,
        max_duration_s: float,
    ) -> None:
        self._channel = channel
        self._media = media
        self._mel = mel
        self._out = out
        self._max_duration_s = max_duration_s
        self._mel_s = 0.0
        self._began = time.monotonic()
        self._due = self._began

    def do(self, *, number: int, parts: int, done_s: float, apart: bool = False) -> dict[str, Any]:
        """Do part `number` of `parts`: the first begins with the first bytes, others in the middle.

        `apart` is for channels that cancel each other: it is the whole track then. Gives what is
        told of it when it is done. Raises a TopgenreError, or Unseekable where the part can't be
        had.
        """
        began = time.perf_counter()
        if number == 0:
            done = self._from_the_start(apart)
        else:
            done = self._from_the_middle(number, parts, done_s)
        decode_s = time.perf_counter() - began - self._mel_s - self._media.waited_s
        return done | {"decode_s": decode_s, "mel_s": self._mel_s}

    def _from_the_start(self, apart: bool) -> dict[str, Any]:
        front_end, stream = self._mel.front_end, self._stream()
        mix = Mix(front_end.clip_samples) if apart else None
        for part in attempts(self._media, front_end.sample_rate, apart=apart):
            self._take(part, stream, mix)
        if mix is None:
            return self._end(stream, part)
        stream.push(mix.end())
        cancelled_s = mix.cancelled / front_end.sample_rate
        return self._end(stream, part) | {"cancelled_s": cancelled_s}

    def _from_the_middle(self, number: int, parts: int, done_s: float) -> dict[str, Any]:
        front_end = self._mel.front_end
        with opened(self._media.whole()) as container:
            if container is None:
                raise Unseekable
            frames = Frames(container)
            seconds = part_begin_s(frames.duration_s, done_s, number, parts)
            part, joint = Part.after(frames, front_end.sample_rate, front_end.clip_samples, seconds)
            self._channel.send(messages.JOINT, **asdict(joint))
            stream = self._stream(joint.sample // front_end.clip_samples)
            self._take(part, stream)
            return self._end(stream, part)

    def _stream(self, first: int = 0) -> FeatureStream:
        return FeatureStream(self._mel, self._out, self._max_duration_s, first)

    def _take(self, part: Part, stream: FeatureStream, mix: Mix | None = None) -> None:
        begin_s = stream.seconds
        until = None
        for samples in part:
            if part.parted:
                # What the next part has written here must not come after what is written now.
                self._channel.send(messages.PARTED)
                self._media.wait_until_alone()
                part.parted, self._media.until = False, None
            start = time.perf_counter()
            stream.push(mix.push(samples) if mix else samples)
            self._mel_s += time.perf_counter() - start
            self._report(stream.seconds - begin_s)
            self._media.look()
            if self._media.until and self._media.until != until:
                until = self._media.until
                part.until(until)

    def _end(self, stream: FeatureStream, part: Part) -> dict[str, Any]:
        start = time.perf_counter()
        extent = stream.end()
        self._mel_s += time.perf_counter() - start
        return asdict(extent) | {
            "joined": part.joined,
            "lost_s": part.lost_s,
            "stated_s": part.stated_s,
            "cancelling": part.cancelling,
            "cancelled_s": 0.0,
        }

    def _report(self, seconds: float) -> None:
        now = time.monotonic()
        if now >= self._due:
            pause_s = max(_FIRST_PROGRESS_S, (now - self._began) * _PROGRESS_SHARE)
            self._due = now + min(_PROGRESS_EVERY_S, pause_s)
            self._channel.send(
                messages.PROGRESS, seconds=seconds, taken_bytes=self._media.taken_bytes
            )

"""The decoded frames of a container's audio, each at its place in the track."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from typing import cast

import av
from av import AudioCodecContext, AudioFrame, Packet
from av.codec.context import Flags2
from av.container import InputContainer

from serve.audio.messages import TOLERATED_S
from serve.audio.stated import MOST_BYTES, stated_s

# What a broken file makes FFmpeg raise, or PyAV: streams that come on the way are beyond its count.
FAULTS = (
    *(av.error.FFmpegError, LookupError, ValueError, ArithmeticError, RuntimeError),
    *(TypeError, AssertionError),
)
# Times in a row that a demuxer may fail before the rest is given up.
_MAX_FAILURES = 20_000
# Whoever states more than this did not know how much there would be.
_MOST_S = 86_400.0
# The clock and the samples of an Ogg file may differ by so much: encoders pad.
_GAP_S = 0.1
# These decoders carry a random number generator on from frame to frame (AAC for substituted noise,
# AC-3 for dither), so that a decoder begun in the middle gives other noise. Theirs are begun anew
# every few seconds, wherever the decoding began: the same noise, however a track is parted.
_RENEWED = {"aac": "LC", "ac3": None}
_RENEWED_S = 10
# Packets that a new decoder is given before those that count: a frame overlaps the one before.
_RENEWED_PACKETS = 2
# Decoders that give the same samples soon after any place where they begin. Others are never begun
# in the middle of a track.
_SEEKABLE = {
    *("aac", "ac3", "alac", "flac", "mp3", "mp3float", "opus", "vorbis", "wavpack"),
}
# What a decoder is given before the samples that count: Opus takes the longest, some 0.7 s.
_LEAD_S = 2
# The first frames after a seek may be partial; this one tells where we are.
_TELLING = 2
# A container that can't seek any better than this would cost more than is won.
_MAX_OVERSHOOT_S = 10


# FFmpeg gives the only packet of a short Ogg Vorbis file a negative duration of 32 bits.
_NO_DURATION = 1 << 31


class Unseekable(Exception):
    """The audio can't be taken up in its middle, not so that the samples are the same."""


class Frames:
    """Iterates over the frames of an audio stream, once.

    Broken packets are passed over, as players do. A `resumable` track is instead broken off where
    reading fails, or has come to less than the container says.
    """

    def __init__(
        self,
        container: InputContainer,
        following: Iterable[InputContainer] = (),
        head: bytes = b"",
        *,
        resumable: bool = False,
    ) -> None:
        """Take the container's best audio, then that of the `following`.

        `head` is what the file begins with: it may state the length. Raises ValueError where there
        is no audio.
        """
        self._use(container)
        self._following = following
        self._head = head
        self._resumable = resumable
        #: the audio's length where the container states just that, and credibly; else 0
        self.stated_s = self._stated()
        #: whether the rest is to be read in another way
        self.broken_off = False
        #: seconds of packets that could not be decoded
        self.lost_s = 0.0
        self._decoded = self._run()
        self._period = 0
        #: samples (of each channel) of the track up to the end of the frame that was given last
        self.end = 0
        self._samples = 0
        self._watched: float = float("inf")
        #: when the watched sample is heard, by the container's clock; None while not known
        self.time: Fraction | None = None
        self._passed = 0
        #: after `seek`, the sample from which on samples are the same as always
        self.settled = 0
        self._renewal: float = float("inf")
        self._recent: deque[Packet[av.AudioStream]] = deque(maxlen=_RENEWED_PACKETS)

    def __iter__(self) -> Iterator[AudioFrame]:
        return self._decoded

    @property
    def position(self) -> int:
        """Samples of the track before the frame that was given last."""
        return self.end - self._samples

    def _use(self, container: InputContainer) -> None:
        stream = audio_stream(container)
        if stream is None:
            raise ValueError("there is no audio that can be decoded")
        self._container = container
        self._stream = stream
        self._decoder: AudioCodecContext = stream.codec_context
        # A decoder process may start no threads, and needs none: its cores are other tracks'.
        self._decoder.thread_count = 1

    def _stated(self) -> float:
        told_s = stated_s(self._container.format.name, self._head, self._decoder)
        if told_s is not None:
            return told_s if told_s < _MOST_S else 0.0
        if self._stream.duration is None and len(self._container.streams) > 1:
            return 0.0
        told_s = self.duration_s or 0.0
        if self._stream.duration is None:  # a container's clock need not begin at 0
            told_s -= max(0, self._container.start_time or 0) / av.time_base
        size = told_s * (self._decoder.bit_rate or 0) / 8
        return told_s if 0 < told_s < _MOST_S and size < MOST_BYTES else 0.0

    @property
    def duration_s(self) -> float | None:
        """The track's length as the container states it."""
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        duration = self._container.duration
        return None if duration is None else duration / av.time_base

    def watch(self, sample: int) -> None:
        """Let `time` be that of a sample which is still to come."""
        self.time = None
        self._watched = sample

    def seek(self, seconds: float) -> AudioFrame:
        """Go on at a frame shortly before `seconds`, which is given back; raise Unseekable.

        Where decoders are begun anew, it is the nearest place for that instead. Nothing may have
        been taken yet.
        """
        name = self._decoder.name
        start = list(islice(self, _TELLING + 1))
        if len(start) <= _TELLING or not (name in _SEEKABLE or name.startswith("pcm_")):
            raise Unseekable
        if name in _RENEWED:
            if self._renewal == float("inf"):
                raise Unseekable
            seconds = round(seconds / _RENEWED_S) * _RENEWED_S
        known, rate = start[-1], start[-1].sample_rate
        ticks, at = self._stream.time_base, self.position
        if known.pts is None or not ticks:
            raise Unseekable
        target = seconds - _LEAD_S - at / rate
        try:
            self._container.seek(known.pts + int(target / ticks), stream=self._stream)
        except av.error.FFmpegError:
            raise Unseekable from None
        if self._container.format.name == "mp3":
            # Its demuxer knows of padding at the end only where it can seek, and a track's first
            # part is read without.
            self._decoder.flags2 |= Flags2.skip_manual
        self._decoded = self._run()
        self._renewal = float("inf")
        frame = next(islice(self, _TELLING, None), None)
        if frame is None or frame.pts is None or frame.sample_rate != rate:
            raise Unseekable
        passed = (frame.pts - known.pts) * ticks * rate
        # Where the clock is too coarse for samples, frames of one size are counted.
        unit = 1 if ticks * rate <= 1 else known.samples
        decoded = self.end
        self.end = at + round(passed / unit) * unit + frame.samples
        self._passed = self.end - decoded
        if not seconds - _MAX_OVERSHOOT_S < self.end / rate < seconds:
            raise Unseekable
        self._renew_after(self.position, rate)
        self.lost_s = 0.0  # on the way here; who decodes up to here has it, too
        self.settled = math.ceil(seconds * rate)
        return frame

    def _run(self) -> Iterator[AudioFrame]:
        yield from self._frames_of_one()
        for container in self._following:
            self._use(container)
            yield from self._frames_of_one()

    def _frames_of_one(self) -> Iterator[AudioFrame]:
        ogg = self._container.format.name == "ogg"
        # A long track has tens of thousands of frames: a line in here costs it a millisecond.
        for packet in self._ogg_packets() if ogg else self._packets():
            if self.end >= self._renewal:
                self._renew()
            self._recent.append(packet)
            try:
                frames = self._decoder.decode(packet)
            except FAULTS:
                self.lost_s += _span([packet])
                continue
            for frame in frames:
                self._samples = samples = frame.samples
                self.end = end = self.end + samples
                if end > self._watched:
                    self._note(frame)
                if end == samples:
                    self._renew_after(0, frame.sample_rate)
                yield frame

    def _ogg_packets(self) -> Iterator[Packet[av.AudioStream]]:
        """The packets of one Ogg file.

        Its demuxer passes over broken pages in silence, but the clock tells what they held.
        """
        lost_s, end = self.lost_s, self.end
        timed: list[Packet[av.AudioStream]] = []
        for packet in self._packets():
            if packet.pts is not None:
                timed[1:] = [packet]
            yield packet
        decoded = self.end - end - self._passed
        if timed and (missing_s := _span(timed) - self._seconds(decoded)) > _GAP_S:
            self.lost_s = max(self.lost_s, lost_s + missing_s)

    def _packets(self) -> Iterator[Packet[av.AudioStream]]:
        failures = 0
        while failures < _MAX_FAILURES:
            try:
                for packet in self._container.demux(self._stream):
                    if failures:
                        self.lost_s += _gap(self._recent, packet)
                        failures = 0
                    yield packet
                self.broken_off = self._resumable and self._is_short()
                return
            except FAULTS:
                failures += 1
                if self._resumable:
                    # More than was stated may not be all that there is, either.
                    beyond_s = self._seconds(self.end) - self.stated_s
                    self.broken_off = abs(beyond_s) > TOLERATED_S
                    return

    def _is_short(self) -> bool:
        return self._seconds(self.end) < self.stated_s - TOLERATED_S

    def _seconds(self, samples: int) -> float:
        return samples / (self._decoder.sample_rate or 1)

    def _note(self, frame: AudioFrame) -> None:
        if self.position <= self._watched and frame.pts is not None and frame.time_base:
            into = Fraction(int(self._watched) - self.position, frame.sample_rate)
            self.time = frame.pts * frame.time_base + into
        self._watched = float("inf")

    def _renewable(self) -> bool:
        name = self._decoder.name
        return name in _RENEWED and _RENEWED[name] in (None, self._decoder.profile)

    def _renew_after(self, position: int, rate: int) -> None:
        if self._renewable():
            self._period = rate * _RENEWED_S
            self._renewal = (position // self._period + 1) * self._period

    def _renew(self) -> None:
        if not self._renewable():  # an LC stream that turned out to be HE-AAC
            self._renewal = float("inf")
            return
        self._renewal += self._period
        decoder = cast(AudioCodecContext, av.CodecContext.create(self._decoder.name, "r"))
        decoder.extradata = self._stream.codec_context.extradata
        decoder.thread_count = 1
        for packet in self._recent:
            with suppress(av.error.FFmpegError):
                decoder.decode(packet)
        self._decoder = decoder


def _span(packets: Sequence[Packet[av.AudioStream]]) -> float:
    """Seconds from the beginning of the first to the end of the last."""
    first, last = packets[0], packets[-1]
    ticks = (last.pts or 0) - (first.pts or 0)
    if 0 < (duration := last.duration or 0) < _NO_DURATION:
        ticks += duration
    return float(max(0, ticks) * (last.time_base or 0))


def _gap(before: Sequence[Packet[av.AudioStream]], after: Packet[av.AudioStream]) -> float:
    """Seconds between the last packet before and the one after, as far as their times tell."""
    if not before or before[-1].pts is None or after.pts is None:
        return 0.0
    return _span([before[-1], after]) - _span([before[-1]]) - _span([after])


def audio_stream(container: InputContainer) -> av.AudioStream | None:
    """The best audio that there is a decoder for."""
    # FFmpeg's best comes first, and may be of a codec that nothing is known of.
    found = (container.streams.best("audio"), *container.streams.audio)
    return next(
        (cast(av.AudioStream, stream) for stream in found if stream and stream.codec_context), None
    )

"""Renditions of tracks: altered copies of their audio, to train on as well.

A model that only ever saw one set of frames of a track may change its answer when a codec, or a
shift of less than a hop, changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from serve.audio.frontend import FrontEnd
from train.data.audio_files import AudioFile
from train.data.codecs import Encoding, through_codec
from train.data.dataset import Float32, relative_db
from train.data.spectrogram import TrackSpectrogram, read_mono
from train.data.writer import DatasetWriter
from train.errors import DataError


@dataclass(frozen=True, slots=True)
class Rendition:
    """One way to render audio."""

    name: str
    offset: float = 0.0
    """how much later its frames start, as a share of a hop"""
    gain_db: float = 0.0
    """clipped at full scale"""
    encodings: tuple[Encoding, ...] = ()
    """each track gets one of these"""

    def of(self, samples: Float32, front_end: FrontEnd, number: int = 0) -> Float32:
        """Mono samples at the front end's rate, rendered; `number` is the track's index."""
        rendered = samples[round(self.offset * front_end.hop_length) :]
        if self.gain_db:
            rendered = np.clip(rendered * np.float32(10.0 ** (self.gain_db / 20.0)), -1.0, 1.0)
        if self.encodings:
            encoding = self.encodings[number % len(self.encodings)]
            rendered = through_codec(rendered, front_end.sample_rate, encoding)
        return rendered


def _aac(rate: int, kbps: int, coder: str = "fast") -> Encoding:
    name = f"AAC {kbps}k"
    return Encoding(
        name, "adts", "aac", rate, "stereo", 1000 * kbps, codec_options={"aac_coder": coder}
    )


def _opus(kbps: int) -> Encoding:
    name, fast = f"Opus {kbps}k", {"compression_level": "3"}
    return Encoding(name, "webm", "libopus", 48_000, "stereo", 1000 * kbps, codec_options=fast)


# In stereo, as most music: in mono the same bit rate keeps far more treble. The rates vary because
# the cutoff jumps with rate and coder: "fast" cuts at 5.5 kHz at 44k and at 8 kHz at 56k, FFmpeg's
# usual coder at 7.4 kHz at 48k. The unaltered track is in the dataset anyway.
RENDITIONS = (
    Rendition("AAC 128k at 48 kHz, +6 dB", 1 / 2, 6.0, (_aac(48_000, 128),)),
    Rendition(
        "AAC 44k to 56k, -6 dB",
        1 / 3,
        -6.0,
        (_aac(44_100, 44), _aac(44_100, 48, "twoloop"), _aac(44_100, 56)),
    ),
    Rendition("Opus 40k to 64k, -12 dB", 2 / 3, -12.0, (_opus(40), _opus(50), _opus(64))),
)


def write(
    writer: DatasetWriter,
    files: Iterable[AudioFile],
    kinds: Sequence[Rendition],
    advance: Callable[[int], None],
) -> None:
    """Add renditions of the files whose tracks were written, in the same splits.

    A file that is too short after a shift is listed as skipped. `advance` gets the number of
    renditions done.
    """
    front_end = writer.front_end
    spectrogram = TrackSpectrogram(front_end)
    of_track = {track.track: track for track in writer.tracks}
    for number, file in enumerate(files):
        if (track := of_track.get(file.track)) is not None:
            try:
                samples, _ = read_mono(file.path, front_end.sample_rate)
                for kind in kinds:
                    mel_db = relative_db(spectrogram(kind.of(samples, front_end, number)))
                    writer.add(replace(track, rendition=kind.name), mel_db)
            except DataError as error:
                name = f"{file.genre}/{file.path.name}"
                writer.skip(name, f"not all its renditions: {error}")
        advance((number + 1) * len(kinds))

"""Renditions of tracks: what else their audio sounds like, to train on beside them.

A model that knows a track by one front end's frames alone may change its mind when a codec or a
shift of less than a hop changes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from serve.audio.frontend import FrontEnd
from train.data.audio_files import AudioFile
from train.data.codecs import Encoding, coded
from train.data.dataset import Float32, relative_db
from train.data.spectrogram import TrackSpectrogram, read_mono
from train.data.writer import DatasetWriter
from train.errors import DataError


@dataclass(frozen=True, slots=True)
class Rendition:
    """One way to render audio."""

    name: str
    offset: float = 0.0
    """share of a hop by which its frames start later"""
    gain_db: float = 0.0
    """what leaves full scale is cut off"""
    encoding: Encoding | None = None

    def of(self, samples: Float32, front_end: FrontEnd) -> Float32:
        """Mono samples at the front end's rate, rendered."""
        rendered = samples[round(self.offset * front_end.hop_length) :]
        if self.gain_db:
            rendered = np.clip(rendered * np.float32(10.0 ** (self.gain_db / 20.0)), -1.0, 1.0)
        if self.encoding is not None:
            rendered = coded(rendered, front_end.sample_rate, self.encoding)
        return rendered


def _lossy(codec: str, container: str, rate: int, kbps: int, **options: str) -> Encoding:
    # Mono: with the same in both channels, joint stereo costs twice the time for the same sound.
    name = f"{codec} {kbps}k"
    return Encoding(name, container, codec, rate, "mono", 1000 * kbps, codec_options=options)


_AAC_128_48 = _lossy("aac", "adts", 48_000, 128, aac_coder="fast")
_AAC_48 = _lossy("aac", "adts", 44_100, 48, aac_coder="fast")
_OPUS_50 = _lossy("libopus", "webm", 48_000, 50, compression_level="3")

# The track itself is the one as it is. Codecs at higher rates change hardly an answer.
RENDITIONS = (
    Rendition("AAC 128k at 48 kHz, +6 dB", 1 / 2, 6.0, _AAC_128_48),
    Rendition("AAC 48k, -6 dB", 1 / 3, -6.0, _AAC_48),
    Rendition("Opus 50k, -12 dB", 2 / 3, -12.0, _OPUS_50),
)


def write(
    writer: DatasetWriter,
    files: Iterable[AudioFile],
    kinds: Sequence[Rendition],
    advance: Callable[[int], None],
) -> None:
    """Add renditions of the files whose tracks were written, in those tracks' splits.

    A file that a shift leaves too short is noted as skipped; `advance` is told renditions done.
    """
    front_end = writer.front_end
    spectrogram = TrackSpectrogram(front_end)
    of_track = {track.track: track for track in writer.tracks}
    for done, file in enumerate(files, 1):
        if (track := of_track.get(file.track)) is not None:
            try:
                samples, _ = read_mono(file.path, front_end.sample_rate)
                for kind in kinds:
                    mel_db = relative_db(spectrogram(kind.of(samples, front_end)))
                    writer.add(replace(track, rendition=kind.name), mel_db)
            except DataError as error:
                name = f"{file.genre}/{file.path.name}"
                writer.skip(name, f"not all its renditions: {error}")
        advance(done * len(kinds))

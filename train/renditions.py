"""Renditions of tracks: what else their audio sounds like, to train on beside them.

A model that knows a track by one front end's frames alone may change its mind when a codec or a
shift of less than a hop changes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from serve.audio.frontend import FrontEnd
from train.audio_files import AudioFile, Listing
from train.codecs import Encoding, coded
from train.dataset import Float32, relative_db
from train.errors import DataError
from train.spectrogram import TrackSpectrogram, read_mono
from train.tracks import Track
from train.writer import DatasetWriter


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


_AAC_128 = _lossy("aac", "adts", 44_100, 128, aac_coder="fast")
_AAC_128_48 = _lossy("aac", "adts", 48_000, 128, aac_coder="fast")
_AAC_48 = _lossy("aac", "adts", 44_100, 48, aac_coder="fast")
_OPUS_50 = _lossy("libopus", "webm", 48_000, 50, compression_level="3")
_MP3_128 = _lossy("libmp3lame", "mp3", 44_100, 128, compression_level="7")

AS_IT_IS = Rendition("audio")
RENDITIONS = (
    AS_IT_IS,
    Rendition("audio a third of a hop later", 1 / 3),
    Rendition("audio two thirds of a hop later", 2 / 3),
    Rendition("AAC 128k", 1 / 6, encoding=_AAC_128),
    Rendition("AAC 128k at 48 kHz, +6 dB", 1 / 2, 6.0, _AAC_128_48),
    Rendition("AAC 48k, -6 dB", 5 / 6, -6.0, _AAC_48),
    Rendition("Opus 50k, -12 dB", 1 / 2, -12.0, _OPUS_50),
    Rendition("MP3 128k", 1 / 6, encoding=_MP3_128),
)


@dataclass(frozen=True, slots=True)
class Renditions:
    """Renditions to be made of a folder's audio files."""

    listing: Listing
    kinds: tuple[Rendition, ...] = RENDITIONS

    def __len__(self) -> int:
        """Renditions, where every file is of use."""
        return len(self.listing.files) * len(self.kinds)

    def key(self) -> list[dict[str, Any]]:
        """The kinds as plain values."""
        return [asdict(kind) for kind in self.kinds]

    def write(
        self, writer: DatasetWriter, front_end: FrontEnd, advance: Callable[[int], None]
    ) -> None:
        """Add the renditions of the tracks that were written, in their splits.

        Files that are unreadable or of no such track are noted as skipped; `advance` is told
        renditions done. Raises DataError where none is of use.
        """
        spectrogram = TrackSpectrogram(front_end)
        of_track = {track.track: track for track in writer.tracks}
        before = len(writer.tracks)
        for entry in self.listing.skipped:
            writer.skip(entry.name, entry.reason)
        for done, file in enumerate(self.listing.files, 1):
            try:
                track = _track_of(file, of_track)
                samples, rate = read_mono(file.path, front_end.sample_rate)
                for kind in self.kinds:
                    mel_db = relative_db(spectrogram(kind.of(samples, front_end)))
                    writer.add(replace(track, rendition=kind.name, source_hz=rate), mel_db)
            except DataError as error:
                writer.skip(f"{file.genre}/{file.path.name}", str(error))
            advance(done * len(self.kinds))
        if len(writer.tracks) == before:
            raise DataError("no audio file of the renditions is of a track of the data")


def _track_of(file: AudioFile, of_track: dict[str, Track]) -> Track:
    track = of_track.get(file.track)
    if track is None:
        raise DataError("no track of the data")
    return track

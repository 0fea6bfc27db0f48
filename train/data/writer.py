"""Writes a dataset's files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

import numpy as np

from serve.audio.frontend import FrontEnd
from train.data.dataset import ABOUT, MEL, TRACKS, Dataset, Float32, Skipped
from train.data.tracks import Track, write_tracks
from train.errors import DataError


class DatasetWriter:
    """Writes a dataset track by track; only one track is held in memory.

    A context manager: without `finish` it leaves nothing behind that looks like a dataset.
    """

    def __init__(
        self, folder: Path, front_end: FrontEnd, source: str, split_by: str = "as given"
    ) -> None:
        self._folder = folder
        self._front_end = front_end
        self._source = source
        self._split_by = split_by
        self._tracks: list[Track] = []
        self._skipped: dict[str, Skipped] = {}
        self._rows = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._partial = folder / f"partial-{MEL}"
        self._file = self._partial.open("wb")
        self._write_header()
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)

    @property
    def front_end(self) -> FrontEnd:
        """The front end that computes its spectrograms."""
        return self._front_end

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Tracks added so far, including renditions."""
        return tuple(self._tracks)

    def add(self, track: Track, mel_db: Float32) -> None:
        """Add a track with its spectrogram (frames, mel bands) in dB."""
        data = np.ascontiguousarray(mel_db, dtype=np.float16).tobytes()
        self._file.write(data)
        self._hash.update(data)
        frames = len(mel_db)
        self._tracks.append(replace(track, start=self._rows, frames=frames))
        self._rows += frames

    def skip(self, name: str, reason: str) -> None:
        """Note a skipped file; the first reason given counts."""
        self._skipped.setdefault(name, Skipped(name, reason))

    def finish(self) -> Dataset:
        """Finish the files and return the dataset; raise DataError if it would be empty."""
        if not self._tracks:
            raise DataError(f"there is no usable track in {self._source}")
        self._file.seek(0)
        self._write_header()
        self._file.close()
        self._partial.replace(self._folder / MEL)
        write_tracks(self._folder / TRACKS, self._tracks)
        self._hash.update((self._folder / TRACKS).read_bytes())
        about = {
            "front_end": self._front_end.to_dict(),
            "genres": sorted({track.genre for track in self._tracks}),
            "source": self._source + _rendition_note(self._tracks),
            "split_by": self._split_by,
            "digest": self._hash.hexdigest(),
            "skipped": [asdict(entry) for entry in self._skipped.values()],
        }
        # Written last: a folder that has it is complete.
        text = json.dumps(about, indent=2) + "\n"
        partial = self._folder / f"partial-{ABOUT}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self._folder / ABOUT)
        return Dataset.load(self._folder)

    def _write_header(self) -> None:
        # NumPy reserves room in the header for the first axis to grow, so it can be rewritten once
        # the number of rows is known.
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)),
            "fortran_order": False,
            "shape": (self._rows, self._front_end.n_mels),
        }
        np.lib.format.write_array_header_1_0(self._file, header)


def _rendition_note(tracks: list[Track]) -> str:
    renditions = sum(bool(track.rendition) for track in tracks)
    return f", {renditions} renditions of them" if renditions else ""

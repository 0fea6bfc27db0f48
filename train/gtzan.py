"""A folder of audio files, GTZAN's layout, as a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from serve.audio.frontend import FrontEnd
from train.audio_files import Listing
from train.dataset import Dataset, relative_db
from train.errors import DataError
from train.renditions import Renditions
from train.spectrogram import TrackSpectrogram, read_mono
from train.splits import Splits
from train.tracks import Track
from train.writer import DatasetWriter


def build(
    listing: Listing,
    out: Path,
    front_end: FrontEnd,
    splits: Splits,
    split_by: str,
    advance: Callable[[int, int], None],
    renditions: Renditions | None = None,
) -> Dataset:
    """Write the dataset of a folder's files to `out`; unreadable ones are named in it as skipped.

    Tracks that `splits` doesn't name belong to `none`. `advance` is told files and renditions done
    and all of them.
    """
    files, total = len(listing.files), len(listing.files) + len(renditions or ())
    spectrogram = TrackSpectrogram(front_end)
    with DatasetWriter(out, front_end, "audio files", split_by) as writer:
        for entry in listing.skipped:
            writer.skip(entry.name, entry.reason)
        for done, file in enumerate(listing.files, 1):
            try:
                samples, rate = read_mono(file.path, front_end.sample_rate)
                mel_db = relative_db(spectrogram(samples))
            except DataError as error:
                writer.skip(f"{file.genre}/{file.path.name}", str(error))
            else:
                split = splits.get(file.track, "none")
                writer.add(Track(file.track, file.genre, split, source_hz=rate), mel_db)
            advance(done, total)
        if renditions is not None:
            renditions.write(writer, front_end, lambda done: advance(files + done, total))
        return writer.finish()

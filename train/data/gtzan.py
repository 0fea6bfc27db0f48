"""A folder of audio files, GTZAN's layout, as a dataset."""

from __future__ import annotations

from pathlib import Path

from serve.audio.frontend import FrontEnd
from train.data import renditions
from train.data.audio_files import Listing
from train.data.dataset import Dataset, relative_db
from train.data.renditions import Rendition
from train.data.spectrogram import TrackSpectrogram, read_mono
from train.data.splits import Splits
from train.data.tracks import Track
from train.data.writer import DatasetWriter
from train.errors import DataError
from train.progress import Advance


def build(
    listing: Listing,
    out: Path,
    front_end: FrontEnd,
    splits: Splits,
    split_by: str,
    advance: Advance,
    kinds: tuple[Rendition, ...] = (),
) -> Dataset:
    """Write the dataset of a folder's files to `out`; it lists unreadable ones as skipped.

    Tracks that `splits` doesn't name are in split `none`. Renditions of these kinds follow the
    tracks. `advance` gets the number of files and renditions done, and their total.
    """
    files = len(listing.files)
    total = files * (1 + len(kinds))
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
        if kinds:
            renditions.write(
                writer, listing.files, kinds, lambda done: advance(files + done, total)
            )
        return writer.finish()

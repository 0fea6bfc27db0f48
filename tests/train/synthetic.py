"""A tiny GTZAN of synthesised sounds: three 'genres' that nothing but a broken chain confuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from serve.audio.frontend import FrontEnd
from train.data.dataset import Dataset
from train.data.tracks import Track
from train.data.writer import DatasetWriter

SECONDS = 6.0
GENRES = ("chords", "noise", "pulses")
# Every kind of file the loader takes, at rates that need resampling and ones that don't.
FORMS = (("wav", 22_050), ("flac", 16_000), ("ogg", 44_100), ("mp3", 22_050), ("au", 22_050))


def sound(genre: str, seed: int, rate: int, seconds: float = SECONDS) -> NDArray[np.float32]:
    """Samples of a track of a genre; the seed varies pitch, tempo and level."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    level = 10.0 ** rng.uniform(-1.5, -0.5)
    if genre == "noise":
        samples = rng.normal(0.0, 0.3, len(t))
    elif genre == "chords":
        root = rng.uniform(110.0, 220.0)
        ratios = np.array([[1.0], [1.25], [1.5], [2.0]])
        samples = np.sin(2 * np.pi * root * ratios * t).mean(axis=0)
    else:
        beats = np.modf(t * rng.uniform(2.0, 5.0))[0]
        samples = np.exp(-30.0 * beats) * np.sign(np.sin(2 * np.pi * 60.0 * t))
    hiss = 1e-3 * rng.normal(size=len(t))
    sounding: NDArray[np.float64] = level * (samples + hiss)
    return sounding.astype(np.float32)


def write_folder(folder: Path) -> None:
    """Write five tracks a genre, one in each form, and files that can't be used."""
    for genre in GENRES:
        (folder / genre).mkdir(parents=True)
        for number, (suffix, rate) in enumerate(FORMS):
            path = folder / genre / f"{genre}.{number:05d}.{suffix}"
            soundfile.write(path, sound(genre, number, rate), rate)
    (folder / "noise" / "noise.00054.wav").write_bytes(b"RIFF but not for long")
    (folder / "noise" / "._noise.00000.wav").write_bytes(b"\0" * 211)
    short = sound("noise", 9, 22_050, seconds=0.5)
    soundfile.write(folder / "noise" / "noise.00099.wav", short, 22_050)
    (folder / "noise" / "notes.txt").write_text("not audio")


def write_lists(folder: Path) -> None:
    """Write the splits: each genre's last two tracks (one at 22,050 Hz) are valid."""
    folder.mkdir()
    for split, numbers in (("train", (0, 1, 2)), ("valid", (3, 4))):
        lines = [f"{genre}/{genre}.{n:05d}.wav" for genre in GENRES for n in numbers]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")


def write_dataset(folder: Path, frames: int = 48, front_end: FrontEnd | None = None) -> Dataset:
    """Write a dataset of four tracks a genre, striped along the genre's own axis, and return it."""
    rng = np.random.default_rng(0)
    front_end = front_end or FrontEnd()
    with DatasetWriter(folder, front_end, "made up") as writer:
        for genre in GENRES:
            for number in range(4):
                mel = rng.integers(60, 120, (frames, front_end.n_mels))
                if genre == "chords":
                    mel[:, number % 8 :: 8] += 120
                elif genre == "pulses":
                    mel[number % 4 :: 4] += 120
                split = "train" if number < 2 else "valid"
                mel_db = ((mel - mel.max()) / 2.0).astype(np.float32)
                writer.add(Track(f"{genre}.{number:05d}", genre, split), mel_db)
        return writer.finish()

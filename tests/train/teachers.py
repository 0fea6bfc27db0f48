"""A teacher as small as can be, and audio to adapt it on."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import soundfile

from tests.media import by_name, encode
from tests.train import synthetic
from train.model import audioset_classes

FEATURES = 6
NAMES = (*audioset_classes.TAGS, *audioset_classes.SOUNDS, *audioset_classes.CLUES, "Oboe")


def write_teacher(path: Path) -> None:
    """Write a network of the kind of EfficientAT's, with random weights, and its classes."""
    write_labels(path.parent / "labels.csv")
    keras.utils.set_random_seed(7)
    log_mel = keras.Input((128, None, 1))
    x = keras.layers.Conv2D(FEATURES, 5, 4, "same", activation="relu")(log_mel)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(log_mel, keras.layers.Dense(len(NAMES))(x)).save(path)


def write_labels(path: Path) -> None:
    """Write the table of its classes, in another order than ours."""
    rows = [f'{index},/m/{index},"{name}"' for index, name in enumerate(reversed(NAMES))]
    path.write_text("\n".join(["index,mid,display_name", *rows]) + "\n")


def write_audio(folder: Path) -> None:
    """Write music at some depth, of formats that libsndfile knows and doesn't, and a text."""
    (folder / "deep" / "er").mkdir(parents=True)
    for number, genre in enumerate(synthetic.GENRES):
        samples = synthetic.sound(genre, number, 22_050, seconds=8.0)
        soundfile.write(folder / "deep" / f"{genre}.flac", samples, 22_050)
    opus = by_name("opus-webm")
    samples = synthetic.sound("chords", 9, opus.rate, seconds=5.0)
    media = encode(np.tile(samples, (2, 1)), opus)
    (folder / "deep" / "er" / "chords.webm").write_bytes(media)
    (folder / "notes.txt").write_text("not audio")
    soundfile.write(folder / "short.wav", samples[:22_050], opus.rate)


def adapt_arguments(folder: Path, out: Path, steps: int = 1) -> list[str]:
    """Of the command that adapts the teacher in a folder on the audio there."""
    given = [str(folder / "teacher.keras"), str(folder / "audio"), "--out", str(out)]
    given += ["--labels", str(folder / "labels.csv")]
    small = ["--steps", str(steps), "--batch", "8", "--clips", "36"]
    return ["adapt", *given, *small, "--cache", str(folder / "targets")]

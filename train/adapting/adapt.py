"""Adapting an AudioSet teacher to our front end, on music without labels.

The result is a base. Its head that tells music from non-music is fitted last, on both kinds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from serve.inference.outputs import Float64
from train.adapting.adaptation import Adaptation
from train.adapting.unlabelled import Targets
from train.data.dataset import Float32, power, relative_db
from train.fitting.augment import OFF, augment
from train.fitting.runs import versions, write_json
from train.hardware import make_deterministic
from train.model import base
from train.model.logistic import music_head
from train.model.pinned import Pinned
from train.model.teacher_input import TeacherInput

# Weaker than in training: the teacher heard the unaltered clip.
_AUGMENTATION = replace(OFF, eq_db=2.0, low_pass=0.3, noise_floor=0.3, mask_bands=6, mask_frames=1)
_WARM_UP = 0.05
_GRADIENT_NORM = 3.0
# One of so many clips is held out.
_HOLD_OUT = 13
_MOST_HELD_OUT = 640
_BATCH = 64
# Clips of music for the music head, used as they are and band-limited.
_MUSIC_CLIPS = 2000
_BAND_LIMITED = replace(_AUGMENTATION, low_pass=0.7)
# Penalty of the squared weights of the music head.
_MUSIC_PENALTY = 1e-3


@dataclass(frozen=True, slots=True)
class Unexplained:
    """Mean squared error on standardised targets: 0 equals the teacher, 1 predicts their mean."""

    embedding: float
    logits: float


@dataclass(frozen=True, slots=True)
class Adapted:
    """The adapted network, and how close it is."""

    model: keras.Model
    """the base"""
    before: Unexplained
    """on held-out clips, with the teacher's own weights"""
    after: Unexplained
    recognised: tuple[float, float]
    """shares of held-out music and non-music that are recognised as such"""
    seconds: float


def adapt(
    teacher: keras.Model,
    targets: Targets,
    other: Float32,
    columns: list[int],
    how: Adaptation,
    tell: Callable[[int], None],
) -> Adapted:
    """Train a teacher to give, on our clips, its outputs for its own input of the same audio.

    `other` is mel power (n, frames, mel bands) of non-music; `columns` are the base's classes.
    `tell` is called after every step with its number.
    """
    make_deterministic(how.seed)
    started = time.monotonic()
    rng = np.random.default_rng(how.seed)
    held_out = np.arange(len(targets.mel_db)) % _HOLD_OUT == 0
    # Shuffled, or they would come from the first files only.
    held = rng.permutation(np.flatnonzero(held_out))[:_MOST_HELD_OUT]
    trained = np.flatnonzero(~held_out)
    mel = keras.Input(targets.front_end.clip_shape, name="mel", dtype="float32")
    as_input = TeacherInput(targets.front_end.to_dict(), name="teacher_input")
    # Normalised with the statistics of the teacher's far larger data.
    student = keras.Model(mel, teacher(as_input(mel), training=False))
    step = _Step(student, targets, how)
    before = step.error(targets, held)
    for number in range(1, how.steps + 1):
        chosen = rng.choice(trained, min(how.batch, len(trained)), replace=False)
        mel_db, _ = augment(rng, targets.mel_db[chosen].astype(np.float32), chosen, _AUGMENTATION)
        step(power(mel_db), chosen)
        tell(number)
    after = step.error(targets, held)
    some = rng.choice(trained, min(_MUSIC_CLIPS, len(trained)), replace=False)
    music = tuple(targets.mel_db[of].astype(np.float32) for of in (some, held))
    is_music, recognised = _music_head(student, (music[0], music[1]), other, columns, rng)
    model = base.assemble(student, columns, is_music)
    return Adapted(model, before, after, recognised, time.monotonic() - started)


def save(done: Adapted, out: Path, teacher: Pinned, how: Adaptation, about: dict[str, Any]) -> Path:
    """Write the model, and a JSON file with what it was made from; returns the JSON's path."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f"partial-{out.name}")
    done.model.save(partial)
    partial.replace(out)
    notes = out.with_suffix(".json")
    held_out = {"before": asdict(done.before), "after": asdict(done.after)}
    write_json(
        notes,
        {
            "sha256": Pinned.of(out).sha256,
            "teacher": asdict(teacher),
            "adaptation": asdict(how),
            "unexplained": held_out,
            "recognised_music_and_other": done.recognised,
            "seconds": done.seconds,
            **about,
            "versions": versions(),
        },
    )
    return notes


class _Step:
    """Trains the student by one batch."""

    def __init__(self, student: keras.Model, targets: Targets, how: Adaptation) -> None:
        self._student = student
        self._targets = [of.astype(np.float32) for of in (targets.embedding, targets.logits)]
        # Nearly constant targets must not dominate the loss.
        self._scales = [of.std(axis=0) + 0.05 * of.std() for of in self._targets]
        warm_up = max(1, int(_WARM_UP * how.steps))
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, how.steps - warm_up), warmup_target=how.learning_rate, warmup_steps=warm_up
        )
        self._optimizer = keras.optimizers.Adam(schedule, global_clipnorm=_GRADIENT_NORM)
        self._optimizer.build(student.trainable_variables)
        self._train = tf.function(self._training)
        self._errors = tf.function(self._error_of)

    def __call__(self, mel: Float32, clips: NDArray[np.intp]) -> None:
        """Train on mel power (n, frames, mel bands) of these clips."""
        self._train(mel, *(of[clips] for of in self._targets))

    def error(self, targets: Targets, clips: NDArray[np.intp], batch: int = 64) -> Unexplained:
        """The error on these clips, unaltered."""
        parts = [clips[start : start + batch] for start in range(0, len(clips), batch)]
        errors = [
            self._errors(_power(targets, part), *(of[part] for of in self._targets)).numpy()
            for part in parts
        ]
        return _unexplained(np.average(errors, axis=0, weights=[len(part) for part in parts]))

    def _training(self, mel: Any, *wanted: Any) -> None:
        variables = self._student.trainable_variables
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self._error_of(mel, *wanted))
        self._optimizer.apply(tape.gradient(loss, variables), variables)

    def _error_of(self, mel: Any, *wanted: Any) -> Any:
        given = self._student(mel, training=False)
        parts = zip(given, wanted, self._scales, strict=True)
        return tf.stack([tf.reduce_mean(tf.square((a - b) / scale)) for a, b, scale in parts])


def _music_head(
    student: keras.Model,
    music: tuple[Float32, Float32],
    other: Float32,
    columns: list[int],
    rng: np.random.Generator,
) -> tuple[tuple[Float64, float], tuple[float, float]]:
    """The music head, and the shares of held-out music and non-music that it recognises.

    `music` are clips in dB to fit it to, and held-out ones; `other` is mel power of non-music, of
    which every second clip is held out.
    """

    def logits(mel: Float32) -> Float32:
        said: Float32 = student.predict(mel, batch_size=_BATCH, verbose=0)[1]
        return said[:, columns]

    def changed(mel_db: Float32) -> Float32:
        return augment(rng, mel_db, np.empty((len(mel_db), 1), np.float32), _BAND_LIMITED)[0]

    # Much speech is band-limited: that must not become the clue. Silence can't be expressed in
    # relative dB, so unaltered sounds are used too.
    in_db = np.stack([relative_db(mel) for mel in other[::2]])
    weights, bias = music_head(
        logits(power(np.concatenate([music[0], changed(music[0])]))),
        np.concatenate([logits(other[::2]), logits(power(changed(in_db)))]),
        _MUSIC_PENALTY,
    )
    found = [
        float((logits(of) @ weights + bias > 0.0).mean()) for of in (power(music[1]), other[1::2])
    ]
    return (weights, bias), (found[0], 1.0 - found[1])


def _power(targets: Targets, clips: NDArray[np.intp]) -> Float32:
    return power(targets.mel_db[clips].astype(np.float32))


def _unexplained(errors: Any) -> Unexplained:
    embedding, logits = (float(error) for error in errors)
    return Unexplained(embedding, logits)

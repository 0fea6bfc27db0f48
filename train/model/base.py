"""A pre-trained network on which a head for genres is built: its embedding, music and tags.

It maps `mel` (n, frames, mel bands) power to `embedding` (n, features), `music` (n,) and `tags`
(n, tags + sounds). Its front end and the tags' names are stored in its layers. The embedding is the
teacher's pooled features and the logits of its classes, which help a little to tell genres apart.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from serve.audio.frontend import FrontEnd
from serve.inference.outputs import MUSIC, TAGS, Float64
from train.errors import DataError
from train.model import audioset_classes
from train.model.pinned import Pinned
from train.model.teacher_input import TeacherInput

EMBEDDING = "embedding"


@keras.saving.register_keras_serializable("topgenre")
class Tags(layers.Layer):  # type: ignore[misc]
    """Turns the logits of tags, sounds and further classes into probabilities of the first two."""

    def __init__(self, tags: list[str], sounds: list[str], **options: Any) -> None:
        super().__init__(**options)
        self.tags, self.sounds = tuple(tags), tuple(sounds)

    def call(self, logits: Any) -> Any:
        """Probabilities (n, tags + sounds) from the first logits."""
        return ops.sigmoid(logits[:, : len(self.tags) + len(self.sounds)])

    def get_config(self) -> dict[str, Any]:
        """The arguments that recreate the layer."""
        return {**super().get_config(), "tags": list(self.tags), "sounds": list(self.sounds)}


def assemble(
    student: keras.Model, columns: list[int], is_music: tuple[Float64, float]
) -> keras.Model:
    """A base from an adapted teacher, whose outputs are embedding and logits.

    `columns` are those of tags, sounds and clues among the logits (`audioset_classes.columns`);
    `is_music` holds the weights (columns,) and the bias that make the logit of music from these.
    """
    body, last = _without_last(student)
    mel = keras.Input(student.input_shape[1:], name="mel", dtype="float32")
    embedding, hidden = body(mel, training=False)
    few = layers.Dense(len(columns), name="classes", trainable=False)
    few.build(hidden.shape)
    kernel, bias = last.get_weights()
    few.set_weights([kernel[:, columns], bias[columns]])
    logits = few(hidden)
    music = layers.Dense(1, name="music_logit", trainable=False)
    music.build(logits.shape)
    weights, offset = is_music
    music.set_weights([weights[:, None].astype(np.float32), np.array([offset], np.float32)])
    names = {"tags": list(audioset_classes.TAGS), "sounds": list(audioset_classes.SOUNDS)}
    outputs = {
        EMBEDDING: layers.Concatenate(name="embedding_and_classes")([embedding, logits]),
        MUSIC: layers.Reshape(())(layers.Activation("sigmoid")(music(logits))),
        TAGS: Tags(**names, name="tag_probabilities")(logits),
    }
    return keras.Model(mel, outputs, name="base")


def load(pinned: Pinned, front_end: FrontEnd | None = None) -> keras.Model:
    """A base from its file.

    Raises DataError if the file has changed, is no base, or was adapted to another front end.
    """
    path = pinned.path()
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is not a Keras model: {error}") from error
    if find(model, TeacherInput) is None or find(model, Tags) is None:
        raise DataError(f"{path} is not a base: make one with `adapt`")
    if front_end not in (None, front_end_of(model)):
        raise DataError(f"{path} was adapted to another front end")
    return model


def front_end_of(model: keras.Model) -> FrontEnd:
    """The front end of a base."""
    found: FrontEnd = find(model, TeacherInput).front_end
    return found


def find(model: keras.Model, kind: type) -> Any:
    """A model's first layer of a kind, nested ones included; None if it has none."""
    for layer in model.layers:
        if isinstance(layer, kind):
            return layer
        if isinstance(layer, keras.Model) and (found := find(layer, kind)) is not None:
            return found
    return None


def _without_last(student: keras.Model) -> tuple[keras.Model, Any]:
    """The student up to its last dense layer (with the embedding), and that layer."""
    teacher = find(student, keras.Model)
    last = teacher.layers[-1]
    short = keras.Model(teacher.input, [teacher.outputs[0], last.input], name="teacher")
    mel = keras.Input(student.input_shape[1:], name="mel", dtype="float32")
    return keras.Model(mel, short(find(student, TeacherInput)(mel)), name="hearing"), last

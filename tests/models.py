"""Small model files for the tests, made without TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from serve.audio.frontend import FrontEnd
from serve.inference.card import INPUT, ModelCard
from serve.inference.outputs import MUSIC, PROBABILITIES, TAGS

GENRES = ("blues", "jazz", "rock")
TAGS_OF_MUSIC, SOUNDS = ("Techno", "Choir"), ("Speech",)
CARD = ModelCard(
    name="tiny",
    version="1",
    front_end=FrontEnd().to_dict(),
    genres=GENRES,
    tags=TAGS_OF_MUSIC,
    sounds=SOUNDS,
    training={"data": "none: random weights"},
    scores={},
    licence="MIT",
)


def graph(
    genres: int = 3, shape: tuple[int, int] = (16, 128), seed: int = 0, tags: int = 0
) -> onnx.ModelProto:
    """Softmax and sigmoids of random projections of the mean log mel of each clip.

    What is loud is music, and what is silent is not.
    """
    rng = np.random.default_rng(seed)
    constants: dict[str, NDArray[Any]] = {
        "floor": np.array([1e-10], np.float32),
        "axes": np.array([1], np.int64),
        "weights": rng.standard_normal((shape[1], genres)).astype(np.float32) / 8,
        "tag_weights": rng.standard_normal((shape[1], tags)).astype(np.float32) / 8,
        "bands": np.array([1], np.int64),
        "as_loud": np.array([18.0], np.float32),
    }
    nodes = [
        helper.make_node("Max", [INPUT, "floor"], ["floored"]),
        helper.make_node("Log", ["floored"], ["log"]),
        helper.make_node("ReduceMean", ["log", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [PROBABILITIES], axis=-1),
        helper.make_node("ReduceMean", ["mean", "bands"], ["level"], keepdims=0),
        helper.make_node("Add", ["level", "as_loud"], ["loudness"]),
        helper.make_node("Sigmoid", ["loudness"], [MUSIC]),
    ]
    outputs: dict[str, list[int | str]] = {PROBABILITIES: ["clips", genres], MUSIC: ["clips"]}
    if tags:
        nodes.append(helper.make_node("MatMul", ["mean", "tag_weights"], ["tag_logits"]))
        nodes.append(helper.make_node("Sigmoid", ["tag_logits"], [TAGS]))
        outputs[TAGS] = ["clips", tags]
    proto = helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["clips", *shape])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, of_clips)
                for name, of_clips in outputs.items()
            ],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
    )
    proto.ir_version = 10
    return proto


def write_model(path: Path, card: ModelCard = CARD, /, **properties: str | None) -> Path:
    """Write a tiny model with this card; `properties` replace its metadata, None removes one."""
    front_end = FrontEnd.from_dict(card.front_end)
    tags = len(card.tags) + len(card.sounds)
    proto = graph(len(card.genres), front_end.clip_shape, tags=tags)
    metadata = card.to_metadata() | properties
    helper.set_model_props(proto, {k: v for k, v in metadata.items() if v is not None})
    onnx.save(proto, path)
    return path


def with_front_end(front_end: FrontEnd) -> ModelCard:
    """The card of a tiny model with another front end."""
    return replace(CARD, front_end=front_end.to_dict())

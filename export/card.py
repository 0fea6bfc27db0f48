"""The model's card: the metadata in its file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import onnx
import onnxruntime
import tf2onnx

from export.calibrate import Calibration
from export.convert import OPSET
from export.lineage import Teacher, base_of, portable, teachers
from export.listen import Heard
from serve.inference.card import ModelCard
from train.fitting.runs import Run
from train.scoring.scores import Scores

NAME = "topgenre"
LICENCE = (
    "The weights were trained by the topgenre project{}, and may be used as the project may. They "
    "were fitted to features of recordings that have owners; no recording is part of the project "
    "or of this file, and none is given away with it."
)
_NOTICE = " a network that others trained: NOTICE, beside this file, holds its licence."


def make_card(
    run: Run,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    valid: Scores,
    heard: list[Heard],
    calibration: Calibration | None,
) -> ModelCard:
    """The metadata of a run's model.

    `names` are those of its tags and sounds, `valid` the exported file's scores.
    """
    config, taught_by = run.config, teachers(run)
    training = {
        "data": config["data"]["source"],
        "data_sha256": config["data"]["sha256"],
        "tracks": config["data"]["tracks"],
        "about": config["data"]["about"],
        "split": config["data"]["split"],
        "recipe": portable(config["recipe"]),
        "teachers": [asdict(teacher) for teacher in taught_by],
        "git": config["git"],
        "opset": OPSET,
        "versions": {
            **config["versions"],
            "tf2onnx": tf2onnx.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
    }
    scores: dict[str, Any] = {"valid": _brief(valid)}
    if (measured := run.measured) is not run:
        scores["measured_on"] = measured.folder.name
    if calibration:
        scores["calibration"] = {k: round(v, 4) for k, v in asdict(calibration).items()}
    if heard:
        scores["audio"] = [
            {"split": h.split, "source_hz": h.source_hz, **_brief(h.audio)} for h in heard
        ]
    return ModelCard(
        name=NAME,
        version=run.folder.name,
        front_end=run.front_end.to_dict(),
        genres=run.genres,
        tags=names[0],
        sounds=names[1],
        sharpness=calibration.sharpness if calibration else 1.0,
        training=training,
        scores=scores,
        licence=_licence(base_of(run), taught_by),
    )


def _licence(base: str, taught_by: list[Teacher]) -> str:
    if base:
        return LICENCE.format("") + f" It is built on `{base}`," + _NOTICE
    text = LICENCE.format(", from random ones")
    if any(teacher.base for teacher in taught_by):
        text += " One of its teachers was built on" + _NOTICE
    return text


def _brief(scores: Scores) -> dict[str, Any]:
    return {
        "tracks": scores.tracks,
        "clips": scores.clips,
        "track_accuracy": round(scores.track_accuracy, 4),
        "clip_accuracy": round(scores.clip_accuracy, 4),
    }

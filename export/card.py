"""The model's card: its metadata, and the page beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import onnx
import onnxruntime
import tf2onnx

from export import lineage
from export.calibrate import Calibration
from export.convert import OPSET
from export.graph import node_counts, parameters
from export.lineage import Teacher, portable, teachers
from export.listen import Heard
from export.parity import Difference
from export.robust import Sound
from export.variants import Variant
from serve.audio.frontend import FrontEnd
from serve.inference.card import INPUT, OUTPUT, ModelCard
from train.evaluate import Scores
from train.robustness import Changed
from train.runs import Run

NAME = "topgenre"
LICENCE = (
    "The weights were trained by the topgenre project{}, and may be used as the project may. They "
    "were fitted to features of recordings that have owners; no recording is part of the project "
    "or of this file, and none is given away with it."
)
_NOTICE = " a network that others trained: NOTICE, beside this file, holds its licence."
_GTZAN = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of the exported file."""

    valid: Scores
    calibration: Calibration | None
    heard: list[Heard]
    changed: list[Changed]
    sounds: list[Sound]
    parity: list[Difference]
    seconds: float
    """of a call with the largest batch of `parity`"""
    variants: list[Variant]


def make_card(
    run: Run, valid: Scores, heard: list[Heard], calibration: Calibration | None
) -> ModelCard:
    """The metadata of a run's model; `valid` are the exported file's own scores."""
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
    if run.measured is not run:
        scores["measured_on"] = run.measured.folder.name
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
        training=training,
        scores=scores,
        licence=_licence(lineage.base_of(run), taught_by),
    )


def _licence(base: str, taught_by: list[Teacher]) -> str:
    if base:
        return LICENCE.format("") + f" It is built on `{base}`," + _NOTICE
    text = LICENCE.format(", from random ones")
    if any(teacher.base for teacher in taught_by):
        text += " One of its teachers was built on" + _NOTICE
    return text


def page(card: ModelCard, model: onnx.ModelProto, measured: Measured) -> str:
    """The card as Markdown."""
    parts = [
        f"# {card.name} {card.version}",
        _about(card, model),
        "## What it was trained on",
        _training(card),
        "## How well it does",
        _measured_on(card),
        _scores(card, measured.valid),
        _calibration(measured.calibration),
        _heard(measured.heard),
        _changed(measured.changed),
        _sounds(measured.sounds),
        "## What goes in and comes out",
        _front_end(card),
        "## The file",
        _file(card, model, measured.parity, measured.seconds),
        _variants(measured.variants),
        "## Limits",
        _limits(card),
        "## Licence",
        card.licence,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_GTZAN_LIMITS = """\
- The genres are what GTZAN's collector heard in 2000 to 2001, mostly in Western music, and several
  of them are a handful of artists. A split of tracks by chance would show some 20 points more than
  one that keeps artists on one side, and mean less."""
_LIMITS = """\
- It knows its genres only: anything else gets the nearest of them. Speech, noise and silence are
  not recognised as such.
- The validation tracks were looked at while the recipe was chosen, so their scores flatter a
  little. Of 200 tracks one standard error is 3 points."""


def _about(card: ModelCard, model: onnx.ModelProto) -> str:
    return (
        f"A convolutional network of {parameters(model):,} parameters that gives each "
        f"{_clip_s(card):g} s clip of music the probabilities of {len(card.genres)} genres: "
        f"{', '.join(card.genres)}. A track's are the mean of its clips'."
    )


def _limits(card: ModelCard) -> str:
    return f"{_GTZAN_LIMITS}\n{_LIMITS}" if card.genres == _GTZAN else _LIMITS


def _training(card: ModelCard) -> str:
    training = card.training
    tracks = ", ".join(f"{number} {split}" for split, number in training["tracks"].items())
    recipe = training["recipe"]
    about = training["about"] or "Data without a name"
    return (
        f"{about}. Made from {training['data']}; split {training['split']}; tracks: {tracks}. Only "
        f"the train tracks were fitted: {recipe['epochs']} epochs of {recipe['clips_per_track']} "
        f"random clips of each, seed {recipe['seed']}, with mixup, random contrast, equaliser, "
        "band shift, low-pass, noise floor and masks; the weights are a moving average over the "
        f"last steps. {_taught(card)}No epoch was chosen by the validation tracks. Digest of the "
        f"data: `{training['data_sha256']}`."
    )


def _taught(card: ModelCard) -> str:
    of = [Teacher(**teacher) for teacher in card.training["teachers"]]
    if not of:
        return ""
    named = "; ".join(
        f"`{t.name}` of {t.parameters:,} parameters, {t.track_accuracy:.1%} of valid tracks right"
        + (f", built on `{t.base}`" if t.base else "")
        for t in of
    )
    share = card.training["recipe"]["teacher_share"]
    refitted = ", each refitted with the validation tracks too" if _is_refit(card) else ""
    return f"{share:.0%} of the targets are what {len(of)} earlier runs said{refitted} ({named}). "


def _measured_on(card: ModelCard) -> str:
    if not _is_refit(card):
        return ""
    return (
        f"What follows, down to the sounds that are no music, was measured of "
        f"`{card.scores['measured_on']}`: the same recipe on the train tracks alone. The weights "
        "here were then trained by it on the train and validation tracks together, which leaves "
        "no track to measure them on. They have more to go by, so they should do no worse; nobody "
        "has seen them do better."
    )


def _is_refit(card: ModelCard) -> bool:
    return "measured_on" in card.scores


def _scores(card: ModelCard, valid: Scores) -> str:
    lines = [
        f"On the {valid.tracks} validation tracks, from the training data's own spectrograms: "
        f"**{valid.track_accuracy:.1%} of tracks**, {valid.clip_accuracy:.1%} of {valid.clips} "
        "clips. Rows are genres, columns are answers:",
        "",
        f"| | {' | '.join(card.genres)} | right |",
        f"|---|{'---|' * (len(card.genres) + 1)}",
    ]
    for genre, row in zip(card.genres, valid.confusion, strict=True):
        right = f"{valid.recall[genre]:.0%}" if genre in valid.recall else "-"
        lines.append(f"| {genre} | {' | '.join(map(str, row))} | {right} |")
    return "\n".join(lines)


def _heard(heard: list[Heard]) -> str:
    if not heard:
        return "Not measured on audio files."
    lines = [
        "On audio files that were not trained on, through the server's signal path, beside the "
        "same tracks' training spectrograms:",
        "",
        "| split | sample rate | tracks | right tracks | right clips | tracks, spectrograms |",
        "|---|---|---|---|---|---|",
    ]
    for h in heard:
        beside = f"{h.spectrograms.track_accuracy:.1%}" if h.spectrograms else "-"
        lines.append(
            f"| {h.split} | {h.source_hz:,} Hz | {h.audio.tracks} | {h.audio.track_accuracy:.1%} "
            f"| {h.audio.clip_accuracy:.1%} | {beside} |"
        )
    return "\n".join(lines)


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return "Its probabilities are as training left them: not calibrated, and rather too low."
    return (
        f"A temperature of {calibration.temperature:.2f} is in the weights, fitted to the same "
        "validation tracks. With it the expected calibration error of a track's probability (ten "
        f"bins) is {calibration.error_after:.3f}, without it {calibration.error_before:.3f}."
    )


def _variants(variants: list[Variant]) -> str:
    if not variants:
        return ""
    lines = [
        "In smaller arithmetic, on the validation tracks and two CPU threads (fp16 is for GPUs):",
        "",
        "| | KiB | right tracks | right clips | 428 clips |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {v.name} | {v.kilobytes} | {v.track_accuracy:.1%} | {v.clip_accuracy:.1%} "
        f"| {v.seconds * 1e3:.0f} ms |"
        for v in variants
    ]
    return "\n".join(lines)


def _changed(changed: list[Changed]) -> str:
    if not changed:
        return ""
    lines = [
        f"The same for {changed[0].tracks} validation tracks whose audio was changed on its way: "
        "how many have another first genre than before, and how many are right.",
        "",
        "| change | other genre | right before | right after |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {c.change} | {c.moved} ({c.moved / c.tracks:.1%}) | {c.right_before} | {c.right} |"
        for c in changed
    ]
    return "\n".join(lines)


def _sounds(sounds: list[Sound]) -> str:
    lines = [
        "What it says of ten seconds of what is no music:",
        "",
        "| sound | first genre | confidence |",
        "|---|---|---|",
    ]
    lines += [f"| {s.name} | {s.genre} | {s.confidence:.0%} |" for s in sounds]
    return "\n".join(lines)


def _front_end(card: ModelCard) -> str:
    lines = [
        f"`{INPUT}`: float32 (clips, frames, mel bands), mel power. `{OUTPUT}`: float32 (clips, "
        f"{len(card.genres)}). Logarithm, level and softmax are in the graph; a clip's level plays "
        "no part.",
        "",
        "| front end | |",
        "|---|---|",
    ]
    lines += [f"| {name} | {value} |" for name, value in card.front_end.items()]
    return "\n".join(lines)


def _file(card: ModelCard, model: onnx.ModelProto, parity: list[Difference], seconds: float) -> str:
    nodes = ", ".join(f"{number} {kind}" for kind, number in node_counts(model).items())
    versions = ", ".join(f"{name} {v}" for name, v in card.training["versions"].items())
    lines = [
        f"Opset {card.training['opset']}; {sum(node_counts(model).values())} nodes: {nodes}. Made "
        f"with {versions}. {parity[-1].clips} clips took {seconds * 1e3:.0f} ms on two CPU threads "
        "where it was exported.",
        "",
        "| clips | largest difference of a probability from TensorFlow | same genre |",
        "|---|---|---|",
    ]
    lines += [f"| {d.clips} | {d.largest:.1e} | {d.same_genre:.0%} |" for d in parity]
    return "\n".join(lines)


def _clip_s(card: ModelCard) -> float:
    return round(FrontEnd.from_dict(card.front_end).clip_s, 3)


def _brief(scores: Scores) -> dict[str, Any]:
    return {
        "tracks": scores.tracks,
        "clips": scores.clips,
        "track_accuracy": round(scores.track_accuracy, 4),
        "clip_accuracy": round(scores.clip_accuracy, 4),
    }

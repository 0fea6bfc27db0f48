"""The model's card as a page beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from export.calibrate import Calibration
from export.graph import node_counts, parameters
from export.lineage import Teacher
from export.listen import Heard
from export.non_music import Sound
from export.parity import Difference
from export.variants import Variant
from serve.audio.frontend import FrontEnd
from serve.inference.card import INPUT, ModelCard
from train.evaluation.robustness import Changed
from train.scoring.scores import Scores

_GTZAN = (
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of the exported file."""

    valid: Scores
    calibration: Calibration | None
    heard: list[Heard]
    changed: list[Changed]
    sounds: list[Sound]
    parity: list[Difference]
    seconds: float
    """of one call with the largest batch of `parity`"""
    variants: list[Variant]


def markdown(card: ModelCard, model: onnx.ModelProto, measured: Measured) -> str:
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
- The genres are as GTZAN's collector understood them in 2000 and 2001, mostly in Western music, and
  several hold only a handful of artists. A random split of tracks would score some 20 points higher
  than one that keeps each artist on one side, and mean less."""
_LIMITS = """\
- It knows only its genres: any other music gets the nearest of them.
- It learned to recognise non-music from a few kinds of sounds; there are others.
- The recipe was chosen by its scores on the validation tracks, so these are a little too high. For
  200 tracks, one standard error is 3 points."""


def _about(card: ModelCard, model: onnx.ModelProto) -> str:
    return (
        f"A convolutional network of {parameters(model):,} parameters that gives each "
        f"{_clip_s(card):g} s clip of music the probabilities of {len(card.genres)} genres: "
        f"{', '.join(card.genres)}. A track's are the geometric mean of its clips', raised to a "
        "power that calibrates them; clips are weighted by how sure it is that they are music."
    )


def _limits(card: ModelCard) -> str:
    return f"{_GTZAN_LIMITS}\n{_LIMITS}" if card.genres == _GTZAN else _LIMITS


def _training(card: ModelCard) -> str:
    training = card.training
    tracks = ", ".join(f"{number} {split}" for split, number in training["tracks"].items())
    recipe = training["recipe"]
    about = training["about"] or "Data without a name"
    data = f"{about}. Made from {training['data']}; split {training['split']}; tracks: {tracks}. "
    if base := recipe["architecture"]["base"]:
        data += (
            f"The network is the base `{base['file']}` (sha256 `{base['sha256'][:16]}…`), trained "
            "on AudioSet by others, which also gives music and tags. The head for genres is "
            "linear, fitted to the network's features of the train tracks' clips; genres weigh "
            "the same, and within them artists by the square root of their number of tracks "
            f"(penalty {recipe['head_penalty']}, label smoothing {recipe['label_smoothing']}). "
        )
        penalty = recipe.get("head_shift_penalty")
        if penalty and "renditions" in training["data"]:
            data += (
                f"A penalty of {penalty} keeps the head from following what the renditions do to "
                "the mean of a genre. "
            )
        if share := recipe["head_low_pass"]:
            data += f"{share:.0%} of the clips are repeated without their treble. "
    if not recipe["epochs"]:
        return f"{data}Digest of the data: `{training['data_sha256']}`."
    return (
        f"{data}Only "
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
        "The scores up to the table of non-music sounds are those of "
        f"`{card.scores['measured_on']}`, trained with the same recipe on the train tracks alone. "
        "The weights in this file were then trained on the train and validation tracks together, "
        "so no tracks are left to measure them on. With more tracks to learn from they should do "
        "no worse, but that is not measured."
    )


def _is_refit(card: ModelCard) -> bool:
    return "measured_on" in card.scores


def _scores(card: ModelCard, valid: Scores) -> str:
    recalls = (f"{valid.recall[g]:.0%}" if g in valid.recall else "-" for g in card.genres)
    return _table(
        f"On the {valid.tracks} validation tracks: **{valid.track_accuracy:.1%} of tracks**, "
        f"{valid.clip_accuracy:.1%} of {valid.clips} clips. Rows are genres, columns are answers:",
        ["", *card.genres, "right"],
        (
            [genre, *map(str, row), recall]
            for genre, row, recall in zip(card.genres, valid.confusion, recalls, strict=True)
        ),
    )


def _heard(heard: list[Heard]) -> str:
    if not heard:
        return "Not measured on audio files."
    return _table(
        "On audio files that were not trained on, through the server's signal path:",
        ["split", "sample rate", "tracks", "right tracks", "right clips"],
        (
            [
                h.split,
                f"{h.source_hz:,} Hz",
                str(h.audio.tracks),
                f"{h.audio.track_accuracy:.1%}",
                f"{h.audio.clip_accuracy:.1%}",
            ]
            for h in heard
        ),
    )


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return "Its probabilities are not calibrated: they tend to be too low."
    return (
        f"A track's probabilities have a sharpness of {calibration.sharpness:.2f}, fitted to the "
        "same validation tracks. With it their expected calibration error (ten bins) is "
        f"{calibration.error_after:.3f}, without it {calibration.error_before:.3f}; when each half "
        "of the tracks has the sharpness fitted to the other half, "
        f"{calibration.error_crossed:.3f}."
    )


def _variants(variants: list[Variant]) -> str:
    if not variants:
        return ""
    return _table(
        "At lower precision, on the validation tracks and two CPU threads (fp16 is for GPUs):",
        ["", "KiB", "right tracks", "right clips", "428 clips"],
        (
            [
                v.name,
                str(v.kilobytes),
                f"{v.track_accuracy:.1%}",
                f"{v.clip_accuracy:.1%}",
                f"{v.seconds * 1e3:.0f} ms",
            ]
            for v in variants
        ),
    )


def _changed(changed: list[Changed]) -> str:
    if not changed:
        return ""
    return _table(
        f"The same for {changed[0].tracks} validation tracks whose audio was changed: "
        "how many have another first genre than before, and how many are right.",
        ["change", "other genre", "right before", "right after"],
        (
            [
                c.change,
                f"{c.moved} ({c.moved / c.tracks:.1%})",
                str(c.right_before),
                str(c.right),
            ]
            for c in changed
        ),
    )


def _sounds(sounds: list[Sound]) -> str:
    return _table(
        "Its answers to ten seconds of non-music: how sure it is that it is music, and the most "
        "probable genre.",
        ["sound", "music", "first genre", "confidence"],
        ([s.name, f"{s.music:.0%}", s.genre, f"{s.confidence:.0%}"] for s in sounds),
    )


def _front_end(card: ModelCard) -> str:
    return _table(
        f"`{INPUT}`: float32 (clips, frames, mel bands), mel power. {_outputs(card)}. Logarithm, "
        "level, softmax and sigmoids are in the graph; a clip's level has no effect.",
        ["front end", ""],
        ([name, str(value)] for name, value in card.front_end.items()),
    )


def _outputs(card: ModelCard) -> str:
    shapes = {name: ", ".join(["clips", *map(str, of)]) for name, of in card.outputs.items()}
    return "; ".join(f"`{name}`: float32 ({shape})" for name, shape in shapes.items())


def _file(card: ModelCard, model: onnx.ModelProto, parity: list[Difference], seconds: float) -> str:
    nodes = ", ".join(f"{number} {kind}" for kind, number in node_counts(model).items())
    versions = ", ".join(f"{name} {v}" for name, v in card.training["versions"].items())
    return _table(
        f"Opset {card.training['opset']}; {sum(node_counts(model).values())} nodes: {nodes}. Made "
        f"with {versions}. {parity[-1].clips} clips took {seconds * 1e3:.0f} ms on two CPU threads "
        "where it was exported.",
        ["clips", "largest difference of a probability from TensorFlow", "same genre"],
        ([str(d.clips), f"{d.largest:.1e}", f"{d.same_genre:.0%}"] for d in parity),
    )


def _clip_s(card: ModelCard) -> float:
    return round(FrontEnd.from_dict(card.front_end).clip_s, 3)


def _table(about: str, head: list[str], rows: Iterable[list[str]]) -> str:
    def line(cells: list[str]) -> str:
        return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)

    return "\n".join([about, "", line(head), "|" + "---|" * len(head), *map(line, rows)])

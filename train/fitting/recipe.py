"""The recipe of a run, which determines its outcome, and the hardware that computes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from train.errors import DataError
from train.fitting.augment import Augmentation
from train.model.architecture import Architecture
from train.model.pinned import Pinned

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
Devices = Literal["one", "all"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
DEVICES: tuple[str, ...] = get_args(Devices)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that, together with the data, determines the outcome of a run."""

    seed: int = 1
    epochs: int = 80
    clips_per_track: int = 21
    """random clips per track and epoch"""
    batch: int = 64
    learning_rate: float = 2e-3
    """the peak, after the warm-up; then a half cosine down to zero"""
    warm_up: float = 0.05
    """share of all steps"""
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    renditions: float = 0.5
    """share of clips taken from a rendition, for tracks that have any"""
    not_music: float = 0.08
    """share of clips that are non-music, with a uniform target; 0 for none"""
    balanced: bool = True
    """whether all genres have the same number of clips in an epoch, whatever their tracks"""
    head_penalty: float = 0.005
    """factor of the squared weights in the loss of the first head on a base"""
    head_shift_penalty: float = 0.3
    """factor in that loss of the mean square by which a rendition changes a genre's mean logits"""
    head_low_pass: float = 0.33
    """share of each track's clips that are repeated with their treble cut off for the first head on
    a base; together they weigh as much as all the unaltered clips"""
    base_rate: float = 0.15
    """factor of each update of the base's weights, if there is a base"""
    teachers: tuple[Pinned, ...] = ()
    """checkpoints of runs that are distilled"""
    teacher_share: float = 0.7
    """share of the teachers' outputs in the targets; the rest is the smoothed labels"""
    average: float = 0.998
    """decay per step of the moving average of the weights; the average is what is kept"""
    validate_every: int = 5
    """epochs between evaluations; no epoch is chosen by them"""
    architecture: Architecture = field(default_factory=Architecture)
    augmentation: Augmentation = field(default_factory=Augmentation)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From a run's `config.json`; raise DataError for what this version doesn't know."""
        try:
            size = dict(values["architecture"])
            size["stages"] = tuple(size["stages"])
            if size.get("base"):
                size["base"] = Pinned(**size["base"])
            # A run that lacks these is older than they are.
            parts = {
                "architecture": Architecture(**size),
                "augmentation": Augmentation(**{"contrast": 0.0, **values["augmentation"]}),
                "teachers": tuple(Pinned(**of) for of in values.get("teachers", ())),
            }
            earlier = {
                "renditions": 0.0,
                "not_music": 0.0,
                "balanced": False,
                "head_penalty": 0.0,
                "head_low_pass": 0.0,
                "head_shift_penalty": 0.0,
            }
            return cls(**{**earlier, **values, **parts})
        except (KeyError, TypeError) as error:
            raise DataError(f"the recipe can't be read: {error}") from error


#: What differs on a base: the first head alone. Whether further epochs help is not measured.
ON_BASE: Mapping[str, Any] = {"epochs": 0}


@dataclass(frozen=True, slots=True)
class Hardware:
    """How a run is computed. Weights are always kept in float32."""

    precision: Precision = "float32"
    """of the convolutions; logarithm, level, logits and loss are always float32"""
    devices: Devices = "one"
    """`all` shares each batch among the machine's GPUs (`tf.distribute.MirroredStrategy`)"""

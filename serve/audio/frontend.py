"""The parameters that turn samples into a model's input: the one definition of the features."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

_COUNTS = ("sample_rate", "clip_samples", "n_fft", "win_length", "hop_length", "n_mels")
_CHOICES = {
    "mel_scale": ("slaney", "htk"),
    "mel_norm": ("slaney", "none"),
    "mel_slopes": ("hz", "mel"),
}


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Every parameter of the mel spectrogram of a clip. It travels inside the model file.

    Frames lie wholly inside their clip (nothing is padded at its ends), so a clip's features
    depend on that clip alone. Values are mel *power*; logarithm and normalisation are the model's.
    """

    sample_rate: int = 22_050
    """samples per second, mono"""
    clip_samples: int = 30_870
    """samples of one clip (1.4 s at 22,050 Hz)"""
    n_fft: int = 2048
    """points of a frame's FFT"""
    win_length: int = 0
    """samples of one frame, and of its periodic Hann window: zeros follow up to `n_fft`; 0 for as
    many as that"""
    hop_length: int = 1920
    """samples from the start of one frame to the next"""
    n_mels: int = 128
    """mel bands"""
    f_min: float = 0.0
    """lowest frequency of the mel bands in Hz"""
    f_max: float = 11_025.0
    """highest frequency of the mel bands in Hz"""
    mel_scale: Literal["slaney", "htk"] = "slaney"
    """formula between Hz and mel"""
    mel_norm: Literal["slaney", "none"] = "slaney"
    """`slaney` gives every band the same area, `none` the same height"""
    mel_slopes: Literal["hz", "mel"] = "hz"
    """what the triangles' slopes are straight lines over: `hz` as in librosa, `mel` as in Kaldi"""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        for name in _COUNTS:
            value = getattr(self, name)
            least = 0 if name == "win_length" else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a positive whole number, not {value!r}")
        if self.win_length > self.n_fft:
            raise ValueError(f"a window of {self.win_length} samples is longer than its FFT")
        if self.clip_samples < self.frame_length:
            raise ValueError(
                f"a clip of {self.clip_samples} samples holds no frame of {self.frame_length}"
            )
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(
                f"bands from {self.f_min} to {self.f_max} Hz don't fit {self.sample_rate} samples/s"
            )
        for name, known in _CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, not {value!r}")

    @property
    def frames(self) -> int:
        """Frames in one clip."""
        return 1 + (self.clip_samples - self.frame_length) // self.hop_length

    @property
    def frame_length(self) -> int:
        """Samples of one frame."""
        return self.win_length or self.n_fft

    @property
    def clip_s(self) -> float:
        """Seconds in one clip."""
        return self.clip_samples / self.sample_rate

    @property
    def clip_shape(self) -> tuple[int, int]:
        """Shape of one clip's features: frames, mel bands."""
        return self.frames, self.n_mels

    def clips_in(self, samples: int) -> int:
        """Clips in that many samples; a remainder counts when it is at least half a clip."""
        whole, rest = divmod(samples, self.clip_samples)
        return whole + (2 * rest >= self.clip_samples)

    def to_dict(self) -> dict[str, Any]:
        """As a dictionary of plain values, for the model file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """From what `to_dict` gave; raise ValueError for a missing, unknown or invalid one."""
        names = {field.name for field in fields(cls)}
        if wrong := names.symmetric_difference(values):
            raise ValueError(f"front end with missing or unknown: {', '.join(sorted(wrong))}")
        return cls(**values)

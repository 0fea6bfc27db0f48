"""Response bodies other than answers for tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from serve.devices import Provider
from serve.settings import Settings
from serve.sources.links import SERVICES

_IDS = "|".join(f"^{service.ids}$" for service in SERVICES)


@dataclass(frozen=True, slots=True)
class Check:
    """A link that would be taken."""

    id: Annotated[str, Field(description="the id of the video", pattern=_IDS)]
    url: Annotated[str, Field(description="its plain address")]


@dataclass(frozen=True, slots=True)
class Status:
    """How the server is."""

    status: Literal["live", "ready"]


class Confinement(TypedDict, total=False):
    """What a process that meets strangers' bytes is held by, as measured in it."""

    landlock: Annotated[int, Field(description="its version; 0 where there is none")]
    seccomp: Annotated[bool, Field(description="whether system calls are filtered")]
    refused: Annotated[list[str], Field(description="what was tried, and refused")]
    limits: Annotated[dict[str, int], Field(description="limits of resources")]


class Sandbox(TypedDict):
    """What held the last of each kind of child; null before the first."""

    decoders: Confinement | None
    downloaders: Confinement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """The model, the limits and the versions."""

    model: Annotated[dict[str, Any], Field(description="what the model file says of itself")]
    genres: Annotated[tuple[str, ...], Field(description="the genres of `results`")]
    tags: Annotated[tuple[str, ...], Field(description="kinds of music that `tags` may name")]
    sounds: Annotated[
        tuple[str, ...], Field(description="what `tags` may name of what is not music")
    ]
    front_end: Annotated[dict[str, Any], Field(description="the parameters of the features")]
    clip_s: Annotated[float, Field(description="seconds of one clip")]
    provider: Annotated[Provider, Field(description="where the model runs")]
    limits: Annotated[dict[str, float], Field(description="of what is taken")]
    sandbox: Sandbox
    versions: Annotated[dict[str, str], Field(description="of Python and of packages")]


def limits_of(settings: Settings) -> dict[str, float]:
    """What `/info` says of the limits of a request."""
    names = ("max_duration_s", "max_body_bytes", "deadline_s", "max_requests")
    return {name: getattr(settings, name) for name in (*names, "batch_size", "batch_bytes")}


# Examples, for the description of the API.
CHECK = Check("kJQP7kiw5Fk", "https://www.youtube.com/watch?v=kJQP7kiw5Fk")
_LIMITS = {"address_space": 2147483648, "file_size": 0, "processes": 0}
INFO = Info(
    model={
        "name": "topgenre",
        "version": "1",
        "sha256": "0b8f4f7c5d1e2a39" * 4,
        "licence": "MIT",
        "training": {"about": "GTZAN, fault-filtered split"},
        "scores": {"valid": {"track_accuracy": 0.66}},
    },
    genres=("blues", "jazz"),
    tags=("Swing music", "Techno"),
    sounds=("Speech",),
    front_end={"sample_rate": 22050, "n_fft": 2048, "hop_length": 1920, "n_mels": 128},
    clip_s=1.4,
    provider="cpu",
    limits=limits_of(Settings.model_construct()),
    sandbox={
        "decoders": {
            "landlock": 7,
            "seccomp": True,
            "refused": ["connect", "read", "write", "start", "signal", "own", "look up"],
            "limits": _LIMITS,
        },
        "downloaders": None,
    },
    versions={"python": "3.13.1", "topgenre": "0.2.0"},
)

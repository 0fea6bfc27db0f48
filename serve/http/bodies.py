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
    """A link that would be accepted."""

    id: Annotated[str, Field(description="the id of the video", pattern=_IDS)]
    url: Annotated[str, Field(description="its plain address")]


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the server."""

    status: Literal["live", "ready"]


class Confinement(TypedDict, total=False):
    """Restrictions on a process that handles untrusted data, as measured in it."""

    landlock: Annotated[int, Field(description="version of Landlock; 0 if there is none")]
    seccomp: Annotated[bool, Field(description="whether a system call filter is loaded")]
    refused: Annotated[
        list[str], Field(description="forbidden actions that were attempted and refused")
    ]
    limits: Annotated[dict[str, int], Field(description="resource limits")]


class Sandbox(TypedDict):
    """The restrictions on the last child of each kind; null before the first."""

    decoders: Confinement | None
    downloaders: Confinement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """The model, the limits and the versions."""

    model: Annotated[dict[str, Any], Field(description="the model file's description of itself")]
    genres: Annotated[tuple[str, ...], Field(description="the genres of `results`")]
    tags: Annotated[tuple[str, ...], Field(description="kinds of music that `tags` may contain")]
    sounds: Annotated[
        tuple[str, ...], Field(description="sounds other than music that `tags` may contain")
    ]
    front_end: Annotated[dict[str, Any], Field(description="parameters of the features")]
    clip_s: Annotated[float, Field(description="seconds of one clip")]
    provider: Annotated[Provider, Field(description="where the model runs")]
    limits: Annotated[dict[str, float], Field(description="limits of a request")]
    sandbox: Sandbox
    versions: Annotated[dict[str, str], Field(description="versions of Python and of packages")]


def limits_of(settings: Settings) -> dict[str, float]:
    """The limits of a request, for `/info`."""
    names = ("max_duration_s", "max_body_bytes", "deadline_s", "max_requests")
    return {name: getattr(settings, name) for name in (*names, "batch_size", "batch_bytes")}


# Examples for the OpenAPI description.
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

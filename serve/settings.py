"""The server's settings: environment variables `TOPGENRE_*`, each documented in its field."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from serve.process import ROOT

PREFIX = "TOPGENRE_"
MODELS = Path(__file__).parent / "models"


def _words(value: object) -> object:
    if isinstance(value, str):
        return tuple(word for part in value.split(",") if (word := part.strip()))
    return value


# NoDecode: pydantic-settings would take the text for JSON.
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


def cores() -> int:
    """Cores that this process may use: what "one for each core" means."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class SettingsError(ValueError):
    """A setting that does not exist or whose value can't be used; the text names it."""


class Settings(BaseSettings):
    """Everything that can be set. Each field is `TOPGENRE_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(5000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    cors_origins: Words = Field(
        ("*",), description="origins that may call from a browser, between commas; * is any"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="how much is logged"
    )

    model: Path = Field(MODELS / "topgenre.onnx", description="the model file")
    device: Literal["auto", "tensorrt", "cuda", "cpu"] = Field(
        "auto",
        description="where the model runs; a GPU that is named and can't be had stops the start",
    )
    tuning: Path = Field(
        ROOT / "topgenre.toml",
        description="file of what `make tune` measured; the next three, if set, win over it",
    )
    inference_threads: int = Field(
        0, ge=0, le=256, description="threads of one inference call; 0 is one for each core"
    )
    batch_clips: int = Field(
        0,
        ge=0,
        le=8192,
        description="clips up to which waiting tracks share a call; 0 is what suits the device",
    )
    gpu_calls: Literal["plain", "bound", "pinned", "graphs"] = Field(
        "plain",
        description="a GPU's memory: `plain`, `bound` once, also `pinned`, also with CUDA `graphs`",
    )
    queue_size: int = Field(32, ge=1, le=10_000, description="tracks that may wait for the model")

    max_duration_s: int = Field(
        600, ge=1, le=7200, description="longest track in seconds, inclusive"
    )
    max_body_bytes: int = Field(
        256 << 20, ge=1 << 10, description="largest upload or download in bytes"
    )
    deadline_s: float = Field(60.0, gt=0, description="most seconds one request may take")
    max_requests: int = Field(
        16, ge=1, le=10_000, description="requests worked on at once; more are answered overloaded"
    )

    decoders: int = Field(0, ge=0, le=256, description="decoder processes; 0 is one for each core")
    decoder_memory_bytes: int = Field(
        2 << 30, ge=256 << 20, description="address space of one decoder process"
    )

    youtube_clients: Words = Field(
        (), description="yt-dlp player clients, between commas; empty is yt-dlp's own choice"
    )
    youtube_proxy: str = Field("", description="proxy for YouTube; empty follows HTTPS_PROXY")
    youtube_cookies: Path | None = Field(
        None, description="file of cookies in Netscape format for YouTube"
    )
    youtube_timeout_s: float = Field(
        10.0, gt=0, description="most seconds YouTube may stay silent on one connection"
    )
    youtube_retries: int = Field(
        3, ge=0, le=20, description="times a broken media transfer is taken up again"
    )

    youtube_preload: bool = Field(
        True, description="keep yt-dlp loaded in an idle process, so that a link starts at once"
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings; raise SettingsError for an unknown or invalid one."""
        environ = os.environ if environ is None else environ
        given = {name[len(PREFIX) :].lower(): name for name in environ if name.startswith(PREFIX)}
        unknown = sorted(name for field, name in given.items() if field not in cls.model_fields)
        if unknown:
            raise SettingsError(f"unknown setting: {', '.join(unknown)}")
        try:
            return cls()
        except ValidationError as error:
            lines = [
                f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}"
                for e in error.errors(include_url=False)
            ]
            raise SettingsError("; ".join(lines)) from None

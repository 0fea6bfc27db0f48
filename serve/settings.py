"""The server's settings: environment variables `TOPGENRE_*`, each documented in its field."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from serve.container import cores, memory_limit
from serve.devices import Calls, Device
from serve.durations import MAX_DURATION_S
from serve.keys import ENTRY
from serve.paths import ROOT

_LOG = logging.getLogger(__name__)
# Approximate memory of the server with yt-dlp, of a decoder, and of a track of ten minutes.
_SERVER_BYTES, _DECODER_BYTES, _TRACK_BYTES = 256 << 20, 96 << 20, 64 << 20
_LEAST_WAITING_BYTES = 16 << 20

PREFIX = "TOPGENRE_"
MODELS = Path(__file__).parent / "models"


def _words(value: object) -> object:
    if isinstance(value, str):
        return tuple(word for part in value.split(",") if (word := part.strip()))
    return value


def _key_hashes(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        # Without the value: it may be a key, given by mistake.
        if not ENTRY.fullmatch(entry):
            raise ValueError("an entry is not NAME:SHA256, as `python -m serve key` prints it")
    names = [entry.partition(":")[0] for entry in entries]
    if len(set(names)) < len(names):
        raise ValueError("a name is given twice")
    return entries


def _rate(text: str) -> str:
    if text and not re.fullmatch(
        r"[1-9]\d{0,8}/(second|minute|hour|day)( burst [1-9]\d{0,8})?", text
    ):
        raise ValueError("not a rate such as `60/minute` or `600/hour burst 20`")
    return text


#: Schemes of the address of a Redis server.
REDIS = ("redis://", "rediss://", "unix://")
#: Values of the cache setting that are neither a folder nor an address.
CacheMode = Literal["off", "memory"]
# A folder must begin with one of these, so that a misspelt mode is not taken for a folder.
_FOLDERS = ("/", "~", ".")


def _cache(text: str) -> str:
    if text.startswith(REDIS):
        # Without the value: it may contain a password.
        if find_spec("redis") is None:
            raise ValueError("Redis needs the extra `redis`: pip install -e '.[redis]'")
    elif text not in get_args(CacheMode):
        if not (text.startswith(_FOLDERS) or Path(text).is_absolute()) or "://" in text:
            raise ValueError(
                "not `off`, `memory`, a `redis://` address, or a folder, which is absolute or "
                "begins with `~` or `.`"
            )
        _expanded(Path(text))
    return text


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("the home folder that `~` stands for is not known") from None


def _tuning(path: Path) -> Path:
    if path.suffix != ".toml":
        raise ValueError("not a file whose name ends in `.toml`")
    return path


# What `~` is in a shell it is here, too, where no shell has seen the value.
File = Annotated[Path, AfterValidator(_expanded)]
# NoDecode: otherwise pydantic-settings would parse the text as JSON.
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


class SettingsError(ValueError):
    """A setting that does not exist or whose value can't be used; the text names it."""


class Settings(BaseSettings):
    """Everything that can be set. Each field is `TOPGENRE_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(5000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    cors_origins: Words = Field(
        ("*",),
        description="origins of web pages that may use the server, separated by "
        "commas; * allows all",
    )
    hosts: Words = Field(
        (),
        description="host names that requests may use; empty allows any, or "
        "loopback's if origins are set",
    )
    trusted_proxies: Words = Field(
        (), description="addresses or networks of proxies whose X-Forwarded-For is trusted"
    )
    api_keys: Annotated[Words, AfterValidator(_key_hashes)] = Field(
        (),
        description="NAME:SHA256 of each API key (`python -m serve key`); empty requires none",
    )
    key_rate: Annotated[str, AfterValidator(_rate)] = Field(
        "",
        description="rate limit of tracks for each key, such as `600/hour burst "
        "20`; empty is no limit",
    )
    address_rate: Annotated[str, AfterValidator(_rate)] = Field(
        "", description="rate limit of tracks for each address without a key"
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="log level")
    log_format: Literal["console", "json"] = Field(
        "console", description="logs for people, or one JSON object per line"
    )
    traces: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="OpenTelemetry collector (OTLP over HTTP) for traces; empty turns tracing off",
    )
    stop_grace_s: float = Field(
        1.0,
        ge=0,
        description="seconds that a stopping server is not ready but still accepts tracks",
    )
    stop_deadline_s: float = Field(
        25.0, ge=0, description="seconds that accepted tracks then have to finish"
    )

    model: File = Field(MODELS / "topgenre.onnx", description="the model file")
    device: Device = Field(
        "auto",
        description="where the model runs; the server does not start if a named GPU is unavailable",
    )
    tuning: Annotated[File, AfterValidator(_tuning)] = Field(
        ROOT / "topgenre.toml",
        description="file written by `make tune`; the next three settings, if set, override it",
    )
    inference_threads: int = Field(
        0, ge=0, le=256, description="most threads of one inference call; 0 is one for each core"
    )
    batch_clips: int = Field(
        0,
        ge=0,
        le=8192,
        description="most clips of waiting tracks that share a call; 0 is what suits the device",
    )
    gpu_calls: Calls = Field(
        "plain",
        description="GPU memory: `plain`, `bound` once, also `pinned`, also with CUDA `graphs`",
    )
    queue_size: int = Field(32, ge=1, le=10_000, description="tracks that may wait for the model")

    max_duration_s: int = Field(
        MAX_DURATION_S, ge=1, le=7200, description="longest track in seconds, inclusive"
    )
    max_body_bytes: int = Field(
        256 << 20, ge=1 << 10, description="largest upload or download in bytes"
    )
    deadline_s: float = Field(60.0, gt=0, description="most seconds one request may take")
    max_requests: int = Field(
        16,
        ge=1,
        le=10_000,
        description="most requests processed at once; more are answered `overloaded`",
    )
    max_batches: int = Field(
        4,
        ge=1,
        le=1000,
        description="most batches processed at once; more are answered `overloaded`",
    )
    batch_size: int = Field(50, ge=1, le=1000, description="most tracks of one batch")
    batch_bytes: int = Field(
        512 << 20, ge=1 << 10, description="largest zip of a batch in bytes, and unpacked"
    )
    batch_share: int = Field(
        0,
        ge=0,
        le=10_000,
        description="most tracks of batches processed at once; 0 is a quarter of max_requests",
    )
    batch_deadline_s: float = Field(600.0, gt=0, description="most seconds one batch may take")

    max_connections: int = Field(
        512,
        ge=1,
        le=100_000,
        description="most connections at once; more are answered `overloaded`",
    )
    max_header_bytes: int = Field(
        64 << 10, ge=1 << 10, description="approximate limit of a request's head in bytes"
    )
    client_timeout_s: float = Field(
        10.0,
        gt=0,
        description="most seconds until a client's next request, until more of its body comes, or "
        "until it takes what it is sent",
    )
    client_rate_bytes: int = Field(
        2048,
        ge=0,
        description="least bytes per second of an upload, averaged over "
        "client_timeout_s; 0 is no limit",
    )
    waiting_bytes: int = Field(
        512 << 20,
        ge=1 << 10,
        description="most bytes of tracks that wait for the rest of them; beyond, the largest of "
        "them is answered overloaded",
    )
    client_connections: int = Field(
        128,
        ge=1,
        le=100_000,
        description="most connections of one address at once, except trusted proxies",
    )

    cache: Annotated[str, AfterValidator(_cache)] = Field(
        "~/.cache/topgenre",
        description="folder for cached answers (absolute, or beginning with `~` "
        "or `.`), a `redis://` "
        "address, `memory` to keep them only while the server runs, or `off`",
    )
    cache_bytes: int = Field(
        256 << 20, ge=1 << 20, description="largest size of that folder in bytes"
    )
    cache_entries: int = Field(
        10_000,
        ge=1,
        le=10_000_000,
        description="most answers in it; the least recently used are evicted first",
    )
    cache_age_s: float = Field(30 * 86_400.0, gt=0, description="seconds that an answer is cached")
    cache_failure_age_s: float = Field(
        300.0, gt=0, description="seconds that a failure that would only recur is cached"
    )
    cache_memory_entries: int = Field(
        128, ge=0, le=100_000, description="most answers and failures cached in memory as well"
    )
    breaker_failures: int = Field(
        5,
        ge=1,
        le=1000,
        description="bot checks or rate limits by YouTube that open the circuit breaker",
    )
    breaker_window_s: float = Field(60.0, gt=0, description="seconds within which they must occur")
    breaker_pause_s: float = Field(
        60.0,
        gt=0,
        description="seconds that the breaker stays open before one request probes YouTube",
    )

    decoders: int = Field(
        0,
        ge=0,
        le=256,
        description="decoder processes; 0 is one for each core, memory permitting",
    )
    decoder_memory_bytes: int = Field(
        2 << 30, ge=256 << 20, description="address space of one decoder process in bytes"
    )
    decoder_cpu_s: float = Field(
        30.0, gt=0, description="processor time that one track may take in one decoder process"
    )

    youtube_clients: Words = Field(
        (), description="yt-dlp player clients, separated by commas; empty is yt-dlp's own choice"
    )
    youtube_proxy: str = Field("", description="proxy for YouTube; empty follows HTTPS_PROXY")
    youtube_cookies: File | None = Field(
        None, description="file of cookies in Netscape format for YouTube"
    )
    youtube_timeout_s: float = Field(
        10.0, gt=0, description="most seconds that YouTube may send nothing on a connection"
    )
    youtube_retries: int = Field(
        3, ge=0, le=20, description="times that an interrupted media transfer is resumed"
    )

    youtube_preload: bool = Field(
        True, description="keep yt-dlp loaded in an idle process, so that links start at once"
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


def fitted(settings: Settings) -> Settings:
    """The settings, with decoders and tracks limited to the container's cores and memory.

    Settings that were given explicitly are left unchanged.
    """
    changes = {"decoders": settings.decoders or cores()}
    if (limit := memory_limit()) is not None:
        given = settings.model_fields_set
        free = max(0, limit - _SERVER_BYTES)
        waiting = settings.waiting_bytes
        if "waiting_bytes" not in given:
            changes["waiting_bytes"] = waiting = max(_LEAST_WAITING_BYTES, min(waiting, free // 4))
        free = max(0, free - waiting)
        if not settings.decoders:
            most = free // (_DECODER_BYTES + _TRACK_BYTES)
            changes["decoders"] = max(1, min(changes["decoders"], most))
        if "max_requests" not in given:
            most = (free - changes["decoders"] * _DECODER_BYTES) // _TRACK_BYTES
            changes["max_requests"] = max(1, min(settings.max_requests, most))
        _LOG.info("limits for the container's %d MB of memory: %s", limit >> 20, changes)
    return settings.model_copy(update=changes)

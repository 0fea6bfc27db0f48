"""One extraction by yt-dlp, checked before a byte of media is asked for.

Imports yt_dlp: for the child only.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yt_dlp import YoutubeDL  # type: ignore[import-untyped]
from yt_dlp.utils import YoutubeDLError  # type: ignore[import-untyped]

from serve.durations import spoken
from serve.errors import (
    Extractor,
    Internal,
    Live,
    Paid,
    TooBig,
    TooLong,
    Unavailable,
    Upcoming,
    YouTubeError,
)
from serve.sources.youtube.egress import allowed
from serve.sources.youtube.messages import DownloadJob, YouTubeOptions
from serve.sources.youtube.url import watch_url
from serve.text import safe

#: Longest title handed on, in characters; YouTube's own limit is 100.
MAX_TITLE = 300


@dataclass(frozen=True, slots=True)
class FoundAudio:
    """A video that was accepted, and where its audio is.

    `size_bytes` is None where YouTube does not say; `available_at` is a Unix time in seconds, 0
    for now.
    """

    title: str
    duration_s: float
    size_bytes: int | None
    url: str
    headers: dict[str, str]
    available_at: float


@dataclass(slots=True)
class Warnings:
    """yt-dlp's logger: keeps the last warnings, which hold what its exceptions leave out."""

    seen: deque[str] = field(default_factory=lambda: deque(maxlen=50))

    def debug(self, message: str) -> None:
        """Not wanted."""

    def warning(self, message: str) -> None:
        """Keep it."""
        self.seen.append(message)

    error = warning


def make_ydl(options: YouTubeOptions, warnings: Warnings) -> YoutubeDL:
    """A YoutubeDL that knows one extractor, writes no file and runs nothing but deno.

    Raises Internal where the cookies can't be read.
    """
    youtube: dict[str, list[str]] = {"skip": ["hls", "dash", "translated_subs"]}
    if options.clients:
        youtube["player_client"] = list(options.clients)
    params: dict[str, Any] = {
        "allowed_extractors": ["^youtube$"],  # the generic one would fetch any address
        "noplaylist": True,
        "format": "bestaudio[ext=m4a]/bestaudio/best",
        "extractor_args": {"youtube": youtube},
        "socket_timeout": options.timeout_s,
        "extractor_retries": 1,
        "skip_download": True,
        "cachedir": False,
        "fixup": "never",
        "quiet": True,
        "noprogress": True,
        "color": "no_color",
        "logger": warnings,
    }
    if options.proxy:
        params["proxy"] = options.proxy
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        params["compat_opts"] = ["no-certifi"]  # certifi's list would hide the one asked for
    ydl = YoutubeDL(params)
    if options.cookies:
        _load_cookies(ydl, options.cookies, warnings)
    return ydl


def _load_cookies(ydl: YoutubeDL, path: Path, warnings: Warnings) -> None:
    """Read the cookies, keeping their secrets and their file as they are."""
    try:
        # From memory, because yt-dlp writes them back to where it had them from.
        ydl.params["cookiefile"] = io.StringIO(path.read_text())
        # It prints the lines that it can't read.
        with contextlib.redirect_stderr(io.StringIO()):
            _ = ydl.cookiejar
    except (OSError, ValueError, YoutubeDLError):
        # Neither the cause nor the warnings may go to the log: they quote such lines, too.
        warnings.seen.clear()
        raise Internal("The server's file of YouTube cookies can't be read.") from None


def extract(ydl: YoutubeDL, job: DownloadJob) -> FoundAudio:
    """Ask YouTube for the video and for where its audio is.

    Raises TooLong, TooBig, Live, Upcoming, Paid, Unavailable, Extractor, YouTubeError, or what
    yt-dlp raises (see `failures.classify`).
    """
    raw = ydl.extract_info(watch_url(job.video_id), download=False, process=False)
    duration_s = _check(raw, job)
    info = ydl.process_ie_result(raw, download=False)
    media = (info.get("requested_formats") or [info])[0]
    if media.get("protocol") != "https":
        raise Extractor("YouTube offers the audio only in a form this server does not read.")
    if not allowed(media["url"]):
        raise YouTubeError("YouTube sent the downloader somewhere else.")
    size = media.get("filesize")
    if size and size > job.options.max_bytes:
        raise TooBig(f"The audio has {size} bytes; the limit is {job.options.max_bytes}.")
    return FoundAudio(
        title=_title(info),
        duration_s=duration_s,
        size_bytes=size,
        url=media["url"],
        headers=dict(media.get("http_headers") or {}),
        available_at=float(media.get("available_at") or 0),
    )


def _check(raw: dict[str, Any] | None, job: DownloadJob) -> float:
    """The duration in seconds of what was extracted, if it is the video asked for and allowed."""
    if raw and raw.get("_type") == "url":
        raise Paid  # the one case in which yt-dlp turns to another video: a paid film's trailer
    if not raw or raw.get("_type", "video") != "video" or raw.get("id") != job.video_id:
        raise Unavailable("YouTube answered with something other than this video.")
    live = raw.get("live_status")
    if live == "is_live":
        raise Live
    if live == "post_live":
        raise Live("The live stream has just ended; its recording is not ready yet.")
    if live == "is_upcoming":
        raise Upcoming
    duration = raw.get("duration")
    if not duration:
        raise Extractor("YouTube does not say how long the video is.")
    limit = job.options.max_duration_s
    if duration > limit:
        raise TooLong(f"The video is {spoken(duration)} long; the limit is {spoken(limit)}.")
    return float(duration)


def _title(info: dict[str, Any]) -> str:
    return " ".join(safe(info.get("title") or "", " ").split())[:MAX_TITLE]

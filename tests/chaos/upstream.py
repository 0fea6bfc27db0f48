"""What YouTube has, and what goes wrong there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.standin import Video, faults

ID_LENGTH = 11
_SECONDS = 20
#: The track whose audio the videos have.
M4A, WEBM = "m4a-index-first", "opus-webm"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of video: the outcomes that a request for it may have, and what is bent about it.

    `track` names the good track that is its audio.
    """

    codes: frozenset[str]
    bent: Callable[[], Mapping[str, Any]] = dict
    track: str = M4A

    def video(self, video_id: str, tracks: Mapping[str, bytes]) -> Video:
        """One of its kind."""
        media = {251 if self.track == WEBM else 140: tracks[self.track]}
        fields: dict[str, Any] = {"media": media, "length": _SECONDS, **self.bent()}
        return Video(video_id, **fields)


def _kind(codes: str, track: str = M4A, /, **bent: Callable[[], Any]) -> Kind:
    # Anew for each video: a fault may count.
    return Kind(
        frozenset(codes.split()), lambda: {name: make() for name, make in bent.items()}, track
    )


_YOUTUBES = "youtube_error timeout"

#: Every kind of video by name.
KINDS = {
    "m4a": _kind("ok"),
    "webm": _kind("ok", WEBM),
    "challenges": _kind("ok", challenges=lambda: True),
    "reset once": _kind("ok", fault=lambda: faults.times(1, faults.reset(50_000))),
    "cut once": _kind("ok", fault=lambda: faults.times(1, faults.cut(50_000))),
    "closed once": _kind("ok", fault=lambda: faults.times(1, faults.close(50_000))),
    "drip": _kind("ok timeout", fault=lambda: faults.drip(8192, 0.02)),
    "endless drip": _kind("timeout", fault=lambda: faults.drip(64, 0.5)),
    "stall": _kind(_YOUTUBES, fault=lambda: faults.stall(50_000)),
    "silence": _kind(_YOUTUBES, player=faults.hang),
    "reset": _kind("youtube_error", fault=lambda: faults.reset(0)),
    "shorter": _kind("youtube_error", fault=lambda: faults.short(50_000)),
    "page": _kind("youtube_error", fault=faults.html),
    "page as part": _kind("youtube_error", fault=lambda: faults.html(206)),
    "forbidden": _kind("youtube_error", fault=lambda: faults.status(403)),
    "broken": _kind("youtube_error", fault=lambda: faults.status(500)),
    "elsewhere": _kind("youtube_error", audio_url=lambda: "https://example.com/audio"),
    "redirected": _kind("youtube_error", fault=lambda: _redirected),
    "no audio": _kind("undecodable", media=lambda: {140: b"not audio" * 9999}),
    "limited": _kind("rate_limited", fault=lambda: faults.status(429)),
    "limited page": _kind("rate_limited", player=lambda: lambda handler: handler.reply(429)),
    "bot check": _kind(
        "bot_check",
        status=lambda: "LOGIN_REQUIRED",
        reason=lambda: "Sign in to confirm you’re not a bot",
    ),
    "private": _kind("private", status=lambda: "LOGIN_REQUIRED", reason=lambda: "Private video"),
    "removed": _kind("unavailable", status=lambda: "ERROR", reason=lambda: "Video unavailable"),
    "long": _kind("too_long", length=lambda: 601),
    "live": _kind("live", details=lambda: {"isLive": True, "isLiveContent": True}),
}


def _redirected(handler: Any, *_: object) -> bool:
    done: bool = handler.reply(302, location="https://example.com/audio")
    return done

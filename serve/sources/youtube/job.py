"""What the downloader child is told to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class YouTubeOptions:
    """How videos are fetched, the same for each of them."""

    max_duration_s: float = 600.0
    """longest video in seconds, inclusive"""
    max_bytes: int = 256 << 20
    """largest audio file in bytes, inclusive"""
    clients: tuple[str, ...] = ()
    """yt-dlp player clients in order; empty is yt-dlp's own choice"""
    proxy: str = field(default="", repr=False)
    """proxy URL, which may hold a password; empty follows HTTPS_PROXY"""
    cookies: Path | None = None
    """file of cookies in Netscape format; read, never written"""
    timeout_s: float = 10.0
    """most seconds YouTube may stay silent on one connection"""
    retries: int = 3
    """times a broken transfer of one video's audio is taken up again"""


@dataclass(frozen=True, slots=True)
class Job:
    """One video to fetch, on its way to the child as one line of JSON."""

    video_id: str
    options: YouTubeOptions

    def to_line(self) -> bytes:
        """The job as one line, its newline included."""
        said = asdict(self)
        if self.options.cookies:  # the child's working directory is another
            said["options"]["cookies"] = str(self.options.cookies.absolute())
        return json.dumps(said).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The job that `to_line` wrote; ValueError, KeyError or TypeError for anything else."""
        said = json.loads(line)
        options = said["options"]
        options["clients"] = tuple(options["clients"])
        options["cookies"] = options["cookies"] and Path(options["cookies"])
        return cls(said["video_id"], YouTubeOptions(**options))

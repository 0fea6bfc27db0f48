"""ffmpeg's binary: the system's, or else the one that a package brings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg


def decode(media: Path, sample_rate: int) -> None:
    """Decode to mono at that rate, and throw it away."""
    _run(media, "-ac", "1", "-ar", str(sample_rate), "-f", "null", "-")


def to_wav(media: Path, wav: Path, sample_rate: int) -> None:
    """Decode to a WAV file, which is overwritten."""
    _run(media, "-y", "-ar", str(sample_rate), str(wav))


def _run(media: Path, *output: str) -> None:
    binary = shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run(
        (binary, "-v", "error", "-nostdin", "-i", str(media), *output),
        check=True,
        stdout=subprocess.DEVNULL,
    )

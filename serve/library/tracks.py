"""From what was given on the command line to the tracks that it means."""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from serve.errors import BadRequest, TopgenreError
from serve.sources.youtube import video_id

# What is taken for audio in a folder. A file that is named itself is always tried.
_SUFFIXES = """
.3g2 .3gp .aac .ac3 .aif .aifc .aiff .alac .amr .ape .asf .au .avi .caf .dsf .dts .eac3 .flac .flv
.m4a .m4b .m4v .mka .mkv .mov .mp1 .mp2 .mp3 .mp4 .mpc .mpeg .mpg .oga .ogg .ogv .opus .ra .rm .snd
.spx .tak .ts .tta .voc .w64 .wav .weba .webm .wma .wmv .wv
"""
SUFFIXES = frozenset(_SUFFIXES.split())


@dataclass(slots=True)
class Job:
    """One track to be classified: a file, a video, or what is wrong with what was given.

    `tracks` are its names, as they were given or found: several, where they lead to one file or
    one video. `has_peers` says that another file is as large, and may be a copy.
    """

    tracks: list[str]
    path: Path | None = None
    video: str | None = None
    error: TopgenreError | None = None
    has_peers: bool = False


def jobs_of(given: Iterable[str]) -> list[Job]:
    """The jobs, in order, for files, folders (recursively), glob patterns and YouTube links."""
    jobs: dict[object, Job] = {}
    sizes: Counter[int] = Counter()
    size_of: dict[object, int] = {}

    def add(key: object, name: str, **what: object) -> None:
        job = jobs.setdefault(key, Job([], **what))  # type: ignore[arg-type]
        if name not in job.tracks:
            job.tracks.append(name)

    for name in given:
        if _is_link(name):
            try:
                video = video_id(name)
            except TopgenreError as error:
                add(("wrong", name), name, error=error)
            else:
                add(("video", video), name, video=video)
            continue
        found = False
        for path in _files(name):
            found = True
            try:
                stat = path.stat()
            except OSError as error:
                add(("wrong", path), str(path), error=BadRequest(error.strerror))
                continue
            inode = (stat.st_dev, stat.st_ino)
            if inode not in jobs:
                sizes[stat.st_size] += 1
                size_of[inode] = stat.st_size
            add(inode, str(path), path=path)
        if not found:
            add(("wrong", name), name, error=BadRequest("There is no audio in this folder."))
    for key, size in size_of.items():
        jobs[key].has_peers = sizes[size] > 1
    return list(jobs.values())


def read_list(name: str) -> list[str]:
    """The tracks that a file names, one a line; `-` is standard input. Raises BadRequest.

    Blank lines and those that begin with # are left out.
    """
    try:
        if name == "-":
            lines = sys.stdin.read().splitlines()
        else:
            lines = Path(name).read_text("utf-8").splitlines()
    except OSError as error:
        raise BadRequest(f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadRequest(f"{name}: This is no list of tracks.") from None
    return [line for raw in lines if (line := raw.strip()) and not line.startswith("#")]


def _is_link(name: str) -> bool:
    if "://" in name:
        return True
    return not (os.path.lexists(name) or glob.has_magic(name) or Path(name).suffix)


def _files(name: str) -> Iterator[Path]:
    if os.path.lexists(name) or not glob.has_magic(name):
        matches, named = [name], True
    else:
        # `*.xyz` names its files; `folder/**` is as good as the folder.
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        matches, named = matches or [name], bool(Path(name).suffix)
    for path in map(Path, matches):
        if path.is_dir():
            yield from _audio_in(path)
        elif named or path.suffix.lower() in SUFFIXES:
            yield path


def _audio_in(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES:
                yield path

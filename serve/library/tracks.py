"""Resolves command-line arguments to tracks."""

from __future__ import annotations

import codecs
import glob
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from serve.audio_files import below, has_audio_suffix
from serve.errors import BadRequest, TopgenreError
from serve.library.files import check_regular
from serve.sources.links import link_of, mentions_service
from serve.sources.stream import Link
from serve.text import UTF_8, encoding_of


@dataclass(slots=True)
class ListedTrack:
    """One track to classify: a file, a link, or the error of an argument.

    `tracks` are its names, as they were given or found: several, where they lead to one file or
    one video. `has_peers` says that another file is as large, and may be a copy.
    """

    tracks: list[str]
    path: Path | None = None
    link: Link | None = None
    error: TopgenreError | None = None
    has_peers: bool = False


def jobs_of(given: Iterable[str]) -> list[ListedTrack]:
    """The jobs, in order, for files, folders (recursively), glob patterns and links."""
    jobs: dict[object, ListedTrack] = {}
    sizes: Counter[int] = Counter()
    size_of: dict[object, int] = {}

    def add(key: object, name: str, **what: object) -> None:
        job = jobs.setdefault(key, ListedTrack([], **what))  # type: ignore[arg-type]
        if name not in job.tracks:
            job.tracks.append(name)

    for name in given:
        if is_link(name):
            try:
                link = link_of(name)
            except TopgenreError as error:
                add(("wrong", name), name, error=error)
            else:
                add(link, name, link=link)
            continue
        found = False
        for path in _files(name):
            found = True
            try:
                stat = _stat(path)
            except BadRequest as error:
                add(("wrong", path), str(path), error=error)
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
    """The tracks listed in a file, one per line; `-` is standard input. Raises BadRequest.

    Blank lines are left out, and those that begin with # where no file is called so. Names need
    not be UTF-8.
    """
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise BadRequest(f"{name}: {error.strerror}") from None
    return list(listed(content, name))


def listed(content: bytes, name: str) -> Iterator[str]:
    """The tracks in the content of a list file; raise BadRequest if it is not a list."""
    text = _decoded(content)
    # Old Macintosh programs end lines with CR; otherwise a CR may be part of a name.
    line_end = "\n" if "\n" in text else "\r"
    lines = [line for line in text.split(line_end) if line.strip()]
    if "\0" in text or (lines and not any(_is_text(of) or os.path.lexists(of) for of in lines)):
        raise BadRequest(f"{name}: This is not a list of tracks.")
    return filter(None, map(_listed, lines))


def _decoded(content: bytes) -> str:
    if (encoding := encoding_of(content)) != UTF_8:
        return content.decode(encoding, "replace")
    return os.fsdecode(content.removeprefix(codecs.BOM_UTF8))


def _is_text(line: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in line)


def _listed(line: str) -> str:
    """The track in a line, or an empty string."""
    if os.path.lexists(line):
        return line  # as it is: a name may begin with # or end in a space
    track = line.strip()
    return "" if track.startswith("#") and not os.path.lexists(track) else track


def is_link(name: str) -> bool:
    """Whether this is a link rather than a path: with a scheme, or to a known site without one."""
    if os.path.lexists(name):
        return False
    if "://" in name or mentions_service(name):
        return True
    try:
        link_of(name)
    except TopgenreError:
        return False
    return True


def _stat(path: Path) -> os.stat_result:
    try:
        found = path.stat()
        check_regular(path, found.st_mode)
    except OSError as error:
        raise BadRequest(error.strerror) from None
    except ValueError:
        raise BadRequest("No file can have this name.") from None
    return found


def _files(name: str) -> Iterator[Path]:
    if not name:
        return  # which as a path means this folder
    if os.path.lexists(name) or not glob.has_magic(name):
        matches, named = [name], True
    else:
        # `*.xyz` names files explicitly; `folder/**` means the same as the folder.
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        matches, named = matches or [name], bool(Path(name).suffix)
    for path in map(Path, matches):
        if path.is_dir():
            yield from filter(has_audio_suffix, below(path))
        elif named or has_audio_suffix(path):
            yield path

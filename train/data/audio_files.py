"""Lists the audio files of a folder in GTZAN's layout, `genre/track`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve.audio_files import below, has_audio_suffix, is_hidden
from serve.text import one_line
from train.data.dataset import Skipped
from train.data.splits import track_name
from train.errors import DataError

# Kaggle's copy and the original archive keep the genres one folder deeper.
_INNER = ("genres_original", "genres")
_IN_NO_GENRE = "not in a genre's folder"


@dataclass(frozen=True, slots=True)
class AudioFile:
    """One audio file of the folder."""

    track: str
    genre: str
    path: Path


@dataclass(frozen=True, slots=True)
class Listing:
    """The contents of a folder."""

    files: tuple[AudioFile, ...]
    skipped: tuple[Skipped, ...]


def find(folder: Path) -> Listing:
    """The audio files of a folder; raise DataError if it has none.

    Everything else is listed as skipped, with the reason: hidden files and folders, other kinds of
    file, files deeper than a genre's folder or outside of any, and second copies of a track.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    root = next((folder / inner for inner in _INNER if (folder / inner).is_dir()), folder)
    search = _FileSearch(root)
    for path in sorted(root.iterdir()):
        if path.is_dir():
            search.genre(path)
        elif has_audio_suffix(path):
            search.skip(path, _IN_NO_GENRE)
    if not search.files:
        raise DataError(f"{folder} has no files genre/track{search.hint}")
    return Listing(tuple(search.files.values()), tuple(search.skipped))


class _FileSearch:
    def __init__(self, root: Path) -> None:
        self._root = root
        self.files: dict[str, AudioFile] = {}
        self.skipped: list[Skipped] = []
        self._deep: Path | None = None

    @property
    def hint(self) -> str:
        """A likely reason why no files were found."""
        if self._deep is not None:
            found = self._name(self._deep)
            return (
                f", but deeper ones, such as {found}. A genre is one folder with its tracks "
                f"directly in it: {found.split('/')[0]}/{one_line(self._deep.name)}"
            )
        if any(entry.reason == _IN_NO_GENRE for entry in self.skipped):
            return ": its audio files are not in a genre's folder"
        return " in a supported format, such as .mp3 or .wav"

    def skip(self, path: Path, reason: str) -> None:
        """Note a skipped file or folder."""
        self.skipped.append(Skipped(self._name(path), reason))

    def genre(self, folder: Path) -> None:
        """Add the files of a genre's folder."""
        if is_hidden(folder.name):
            self.skip(folder, "a hidden folder")
            return
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            self.skip(folder, f"unreadable: {error.strerror}")
            return
        before = len(self.files)
        for path in paths:
            if reason := self._skip_reason(path):
                self.skip(path, reason)
            else:
                name = self._track(path)
                self.files[name] = AudioFile(name, folder.name, path)
        if len(self.files) == before:
            self.skip(folder, "a folder without usable audio files")

    def _skip_reason(self, path: Path) -> str:
        if is_hidden(path.name):
            return f"a hidden {'folder' if path.is_dir() else 'file'}"
        if path.is_dir():
            return self._in_depth(path)
        if not has_audio_suffix(path):
            return f"not a kind of audio file: {path.suffix or 'no ending'}"
        if not path.is_file():
            return "not a regular file" if path.exists() else "a link to nothing"
        try:
            path.relative_to(self._root).as_posix().encode()
        except UnicodeEncodeError:
            return "its name is not UTF-8"
        if (known := self.files.get(self._track(path))) is not None:
            return f"a second copy of {known.path.name}"
        return ""

    def _in_depth(self, folder: Path) -> str:
        deeper = [path for path in below(folder) if has_audio_suffix(path)]
        if deeper:
            self._deep = self._deep or min(deeper)
        return f"a folder inside a genre's folder, with {len(deeper)} audio files"

    def _track(self, path: Path) -> str:
        return track_name(path.relative_to(self._root).as_posix())

    def _name(self, path: Path) -> str:
        return one_line(path.relative_to(self._root).as_posix()) + "/" * path.is_dir()

"""Files on this machine or on object storage, named by a path or a URI."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from serve.errors import BadRequest, Internal, TooBig, TopgenreError
from serve.library import files

_LOCAL = fs.LocalFileSystem()
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder.

    `bucket` is what a URI of it begins with, as `s3://music/`; it is empty on this machine. `path`
    is as the file system wants it. What follows the bucket is the object's key as it is, not
    escaped: `s3://music/#1 hit.mp3`.
    """

    system: fs.FileSystem
    path: str
    bucket: str = ""

    @classmethod
    def of(cls, name: str) -> Place:
        """The place that a path or URI names; raise BadRequest for an unknown scheme."""
        scheme, separator, rest = name.partition("://")
        if not separator:
            return cls(_LOCAL, str(Path(name).absolute()))
        if scheme.lower() == "file":
            return cls(_LOCAL, unquote(rest))
        bucket = f"{scheme}://{rest.partition('/')[0]}/"
        return cls(_system(bucket), rest.rstrip("/"), bucket)

    @property
    def name(self) -> str:
        """The path or URI."""
        return f"{self.bucket.partition('://')[0]}://{self.path}" if self.bucket else self.path

    @property
    def parent(self) -> Place:
        """Its parent folder."""
        return Place(self.system, self.path.rpartition("/")[0], self.bucket)

    def __truediv__(self, name: str) -> Place:
        return Place(self.system, f"{self.path.rstrip('/')}/{name}", self.bucket)

    def is_folder(self) -> bool:
        """Whether it is a folder; raise BadRequest if it does not exist."""
        (info,) = self.system.get_file_info([self.path])
        if info.type == fs.FileType.NotFound:
            raise BadRequest(f"{self.name}: No such file or folder.")
        return bool(info.type == fs.FileType.Directory)

    def names(self, *, recursive: bool = False) -> list[str]:
        """Its files, relative to it and sorted; none if the folder does not exist."""
        where = fs.FileSelector(self.path, recursive=recursive, allow_not_found=True)
        found = self.system.get_file_info(where)
        start = len(self.path.rstrip("/")) + 1
        return sorted(of.path[start:] for of in found if of.type == fs.FileType.File)

    def read(self, limit: int | None = None) -> bytes:
        """The content; raise TooBig past `limit` bytes, OSError where it can't be read."""
        if not self.bucket and limit is not None:
            return files.read(Path(self.path), limit)
        with self.system.open_input_file(self.path) as file:
            if limit is not None and file.size() > limit:
                raise TooBig(f"The file is larger than the limit of {limit} bytes.")
            content: bytes = file.read()
        return content

    def write(self, content: bytes) -> None:
        """Write this file atomically. Raises OSError."""
        if self.bucket:
            with self.system.open_output_stream(self.path) as stream:
                stream.write(content)  # an object appears when its stream is closed
            return
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_UNFINISHED, delete=False) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)  # it is no leftover
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def tidy(self) -> None:
        """Remove unfinished files of killed writers; object storage has none."""
        if self.bucket:
            return
        for path in Path(self.path).glob(f"{_UNFINISHED}*"):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def failure_of(name: str, error: OSError) -> TopgenreError:
    """The typed error for a file that can't be read: missing, or its storage does not answer."""
    if isinstance(
        error, (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
    ):
        return BadRequest(f"{error.strerror or 'There is no such file'}.")
    return Internal(f"{name} could not be read: {error}")


@cache
def _system(bucket: str) -> fs.FileSystem:
    # Only the bucket: a key may contain what would be an escape, query or fragment in a URI.
    try:
        system, _ = fs.FileSystem.from_uri(bucket)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadRequest(f"{bucket}: {error}") from None
    return system


@cache
def _umask() -> int:
    # There is no other way to find out.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

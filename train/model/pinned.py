"""A file that something was made from, with the digest that shows whether it has changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from train.errors import DataError


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file and its digest."""

    file: str
    """absolute path"""
    sha256: str
    """of its content"""

    @classmethod
    def of(cls, path: Path) -> Self:
        """A file as it is now; raise DataError if it can't be read."""
        return cls(str(path.absolute()), sha256(path))

    def path(self) -> Path:
        """The file; raise DataError if it is gone or has changed."""
        path = Path(self.file)
        if sha256(path) != self.sha256:
            raise DataError(f"{path} has changed: its sha256 is no longer {self.sha256}")
        return path


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal; raise DataError if it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from error

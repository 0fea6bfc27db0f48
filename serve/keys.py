"""API keys: made here, known to the server by their hashes only."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

_NAME = r"[\w.-]{1,64}"
#: What an entry of the setting looks like.
ENTRY = re.compile(_NAME + ":[0-9a-f]{64}")


def key_name(text: str) -> str:
    """The text, if it can name a key; else ValueError."""
    if not re.fullmatch(_NAME, text):
        raise ValueError("up to 64 letters, digits, dots, dashes and underscores")
    return text


def new_key(name: str) -> tuple[str, str]:
    """A new key, and its entry `NAME:SHA256` for the setting.

    A key holds 256 random bits, so that a plain hash is enough: nobody guesses what it is of.
    """
    key = "tg_" + secrets.token_urlsafe(32)
    return key, f"{name}:{_digest(key.encode())}"


class Keys:
    """The keys that open a server, from the entries of its setting."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._digests = [
            (name, digest.encode())
            for name, _, digest in (entry.partition(":") for entry in entries)
        ]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def name_of(self, key: bytes) -> str | None:
        """Whose key this is, or None; how wrong it is makes no difference in time."""
        digest = _digest(key).encode()
        found = None
        for name, known in self._digests:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()

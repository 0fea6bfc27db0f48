"""Strangers' text, made safe to show: titles, file names, words of others."""

from __future__ import annotations

import codecs
import re

_BREAKS = re.compile(r"\r\n|[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
# Controls, line separators, what overrides or isolates the direction of the text around it, and
# halves of characters, which can't be encoded. Joiners and variation selectors stay: without them
# emoji fall apart, and words of Persian or Hindi are others.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

#: UTF-8 with or without a byte order mark.
UTF_8 = "utf-8-sig"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def encoding_of(begin: bytes) -> str:
    """The encoding of a text by its first bytes: UTF-16 if they say so, as on Windows, or UTF-8."""
    return "utf-16" if begin.startswith(_UTF_16) else UTF_8


def safe(text: str, instead: str = "") -> str:
    """The text without what could harm whoever shows it, or with `instead` in its place."""
    return _UNSAFE.sub(instead, text)


def one_line(text: str) -> str:
    """The text with a space for every line break or tab, and U+FFFD for what is no text."""
    return safe(_BREAKS.sub(" ", text), "\ufffd")


def decoded(name: bytes) -> str:
    """A name as its sender meant it: UTF-8, or what else there was before it, Latin-1."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")

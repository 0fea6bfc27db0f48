"""Names, titles and errors as text that a terminal or a table can take."""

from __future__ import annotations

import re

_BREAKS = re.compile(r"\r\n|[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
# A terminal acts on controls, obeys overrides of direction, and can't write lone surrogates.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """The text with a space for every line break or tab, and U+FFFD for what is no text."""
    return _UNPRINTABLE.sub("\ufffd", _BREAKS.sub(" ", text))

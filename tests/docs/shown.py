"""Whether a command printed what its page shows."""

from __future__ import annotations

import re

import pytest

# Percentages hang a little on the processor's rounding.
_TOLERANCE = 0.6
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def matches(shown: str, real: str) -> bool:
    """Whether text is as shown: … is anything, numbers may differ a little, space is no matter."""
    shown, real = (re.sub(r"\s+", "", text) for text in (shown, real))
    numbers = [float(n) for n in _NUMBER.findall(shown)]
    pattern = _NUMBER.sub("\0", shown)
    pattern = (
        re.escape(pattern).replace("…", ".*?").replace(re.escape("\0"), f"({_NUMBER.pattern})")
    )
    found = re.fullmatch(pattern, real, re.DOTALL)
    return bool(found) and [float(n) for n in found.groups()] == pytest.approx(
        numbers, abs=_TOLERANCE
    )

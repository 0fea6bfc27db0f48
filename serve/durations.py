"""Durations as people say them."""

from __future__ import annotations

#: Longest track in seconds, inclusive, unless the settings say otherwise.
MAX_DURATION_S = 600


def spoken(seconds: float) -> str:
    """Seconds in hours, minutes and seconds: `29.5 s`, `10 min`, `1 h 2 min 3 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = {"h": hours, "min": minutes, "s": whole}
    return " ".join(f"{number} {unit}" for unit, number in parts.items() if number)

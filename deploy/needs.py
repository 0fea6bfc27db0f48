"""What the server needs to be installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: What the image is installed with.
EXTRAS = ("redis", "otel")


def needed(name: str, extras: Iterable[str] = ()) -> dict[str, Distribution]:
    """What a distribution needs to be installed, itself included, by canonical name."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, frozenset(extras))]
    while waiting:
        asked = waiting.pop()
        if asked in seen:
            continue
        seen.add(asked)
        one = found[canonicalize_name(asked[0])] = distribution(asked[0])
        for requirement in map(Requirement, one.requires or ()):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in {"", *asked[1]}):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return dict(sorted(found.items()))

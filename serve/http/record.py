"""What is noted of a request while it is worked on, for the log, the metrics and the traces."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import Scope


@dataclass(slots=True)
class Record:
    """One request: its outcome, as far as it is known.

    `code` is "ok", "cancelled" or the code of an error; `key` the name of the API key it came with;
    `stages_ms` the answer's `timings_ms`; `seen_ns` for each stage that progress was told of the
    first and the last moment of that (Unix time in nanoseconds).
    """

    code: str | None = None
    key: str | None = None
    cached: bool | None = None
    stages_ms: Mapping[str, float] | None = None
    seen_ns: dict[str, tuple[int, int]] = field(default_factory=dict)

    def saw(self, stage: str) -> None:
        """Note that progress was told of a stage."""
        now = time.time_ns()
        first, _ = self.seen_ns.get(stage, (now, now))
        self.seen_ns[stage] = first, now


def record_of(scope: Scope) -> Record:
    """The record of a request, which the middleware has put there."""
    record: Record = scope["state"]["record"]
    return record

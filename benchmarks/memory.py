"""What a long track takes of memory on its way, above what the server holds at rest."""

from __future__ import annotations

import math
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.clients import Request, post
from benchmarks.goals import Result
from benchmarks.media import CONTAINERS, track
from benchmarks.servers import topgenre
from serve.inference.session import load_model
from serve.pipeline import front_end_of
from serve.settings import Settings

_LOOK_S = 0.002
_GOAL_MB = 32.0
_PSS = re.compile(r"^(Pss|Pss_Shmem): +(\d+) kB$", re.MULTILINE)


def measure(runs: int = 3, *, seconds: float = 600.0) -> Iterator[Result]:
    """Peak memory of a fresh server's first track, of all decoders together, less model input."""
    if sys.platform != "linux":
        yield Result("memory of a track", None, note="only Linux tells what processes share")
        return
    settings = Settings.from_environment()
    front_end = front_end_of(load_model(settings.model, "cpu"))
    clips = front_end.clips_in(round(seconds * front_end.sample_rate))
    input_mb = 4e-6 * clips * math.prod(front_end.clip_shape)
    for container in CONTAINERS:
        request = Request.raw(track(seconds, container))
        gained: list[float] = []
        for _ in range(runs):
            with topgenre(youtube_preload=False) as server:
                processes = server.tree()
                rest = held_bytes(processes)
                with _peak(processes) as peak:
                    post(server.port, request)
                gained.append((max(peak) - rest) / 1e6)
        yield Result.median(
            f"{seconds:g} s of {container}: memory at the peak, above the model's input",
            [mb - input_mb for mb in gained],
            _GOAL_MB,
            unit="MB",
        )


def held_bytes(processes: Sequence[psutil.Process]) -> int:
    """Memory of a server and its children; what they share counts once, whoever has it mapped.

    The server is the first, and has a descriptor of all memory that it shares.
    """
    total = 0
    for process in processes:
        found = dict(_PSS.findall(Path(f"/proc/{process.pid}/smaps_rollup").read_text()))
        total += 1024 * (int(found["Pss"]) - int(found["Pss_Shmem"]))
    shared: dict[int, int] = {}
    for descriptor in Path(f"/proc/{processes[0].pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if str(descriptor.readlink()).startswith("/memfd:"):
                stat = descriptor.stat()
                shared[stat.st_ino] = 512 * stat.st_blocks
    return total + sum(shared.values())


@contextmanager
def _peak(processes: Sequence[psutil.Process]) -> Iterator[list[int]]:
    """What they hold, again and again while the context lasts."""
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_S):
            seen.append(held_bytes(processes))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()

"""`python -m benchmarks.profile`: a flame graph of the server and its decoders under load."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.clients import Request, closed_loop
from benchmarks.media import CONTAINERS, track
from benchmarks.servers import topgenre

_PY_SPY = Path(sys.executable).with_name("py-spy")
_CLIENTS = 2
_SHOWN = 15
_LINE = re.compile(r":\d+\)$")


class ProfileError(Exception):
    """py-spy could not look into the server; the text says why."""


def main(arguments: list[str] | None = None) -> int:
    """Write an SVG, print the functions that took most; 1 where py-spy is not let in."""
    parser = argparse.ArgumentParser(prog="benchmarks.profile")
    parser.add_argument("--seconds", type=int, default=10, help="to look at it for")
    parser.add_argument("--length", type=float, default=180.0, help="of its tracks in seconds")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder for the SVG")
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    stem = asked.out / time.strftime("profile-%Y%m%d-%H%M%S")
    requests = [Request.raw(track(asked.length, container)) for container in CONTAINERS]
    try:
        with topgenre() as server:
            for request in requests:
                closed_loop(server.port, request, _CLIENTS, _CLIENTS)  # warms up
            for kind, ending in (("flamegraph", ".svg"), ("raw", ".txt")):
                _record(
                    server.process.pid,
                    kind,
                    stem.with_suffix(ending),
                    asked.seconds,
                    server.port,
                    requests,
                )
    except ProfileError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"share of the samples, over {asked.seconds} s:")
    for name, share in top(stem.with_suffix(".txt").read_text())[:_SHOWN]:
        print(f"{share:7.1%}  {name}")
    print(f"written to {stem.with_suffix('.svg')}")
    return 0


def top(stacks: str) -> list[tuple[str, float]]:
    """The functions in which most samples were taken, their own lines all together, and the shares.

    `stacks` are py-spy's raw lines: frames from the outermost in, `;` between them, and a number.
    """
    counts: Counter[str] = Counter()
    for line in stacks.splitlines():
        frames, _, number = line.rpartition(" ")
        counts[_LINE.sub(")", frames.rpartition(";")[2])] += int(number)
    total = sum(counts.values())
    return [(name, count / total) for name, count in counts.most_common()]


def _record(
    pid: int, kind: str, path: Path, seconds: int, port: int, requests: list[Request]
) -> None:
    """Look at a process and its children while clients keep the server busy."""
    command = (
        *(_PY_SPY, "record", "--pid", str(pid), "--subprocesses", "--format", kind),
        *("--output", path, "--duration", str(seconds), "--rate", "200"),
    )
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as spy:
        while spy.poll() is None:
            for request in requests:
                closed_loop(port, request, _CLIENTS, _CLIENTS)
        _, said = spy.communicate()
    if spy.returncode or not path.exists():
        raise ProfileError(
            f"py-spy can't look into the server: {said.decode(errors='replace').strip()}\n"
            "It needs the right to trace processes: root's, or the capability SYS_PTRACE."
        )


if __name__ == "__main__":
    sys.exit(main())

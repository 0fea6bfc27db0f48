"""`python -m tests.chaos`: a soak; prints its account, and writes it as JSON."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks import report
from serve.settings import Settings
from tests.chaos.soak import Plan, soak


def main() -> int:
    """Soak; 0 where every promise was kept, 1 where one was not."""
    parser = argparse.ArgumentParser(prog="chaos")
    parser.add_argument("--duration", type=float, default=600.0, help="seconds of the crowd")
    parser.add_argument("--seed", type=int, help="of the random numbers; printed where not given")
    parser.add_argument("--clients", type=int, default=6, help="clients that ask all the time")
    parser.add_argument("--out", type=Path, default=Path("runs/chaos"), help="folder for the JSON")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if asked.seed is None else asked.seed
    console = Console()
    console.print(f"seed {seed}")
    start = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - start:6.1f} s  {text}")

    plan = Plan(asked.duration, seed, asked.clients)
    done = soak(plan, {}, say)
    account = done.account
    console.print(account.table(), account.verdicts())
    path = report.write(
        asked.out,
        "chaos",
        Settings.from_environment().model,
        plan=asdict(plan),
        footprints=[asdict(footprint) for footprint in done.footprints],
        **account.to_dict(),
    )
    broken = [promise.name for promise in account.promises if not promise.kept]
    console.print(f"seed {seed}: {len(account.outcomes)} outcomes, {len(account.kills)} kills")
    console.print(f"broken: {', '.join(broken)}" if broken else "every promise was kept")
    console.print(f"written to {path}")
    return 1 if broken else 0


if __name__ == "__main__":
    # Ended as by Ctrl-C, so that the server ends, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())

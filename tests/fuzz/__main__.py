"""`python -m tests.fuzz`: tells how often each code came, and 1 where something came without."""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from rich.progress import Progress

from tests.fuzz.run import fuzz


def main() -> int:
    """Send the cases; 0 where each got its code, and the server is well."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="cases; one of four is a request")
    parser.add_argument("--seed", type=int, help="of the random numbers; printed where not given")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="folder for bad cases")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if asked.seed is None else asked.seed
    print(f"seed {seed}")
    with Progress() as progress:
        task = progress.add_task("cases", total=asked.count)
        account = fuzz(seed, asked.count, lambda: progress.advance(task))
    for code, times in account.codes.most_common():
        print(f"{times:8}  {code}")
    for number, one, reason in account.untyped:
        path = asked.out / f"{seed}-{number}.http"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.sent)
        print(f"{path} ({one.name}): {reason}")
    print("".join(f"the server: {line}\n" for line in account.server), end="")
    print(f"seed {seed}: {asked.count} cases, {len(account.untyped)} untyped answers")
    return 1 if account.untyped or account.server else 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.targets [TARGET…]`: runs them, and tells what each came to.

Each extra's environment is made by the Makefile in a copy of the tree that has no other; targets
of the extra `dev` take the environment that this runs in. Exit code 1 where one failed, or where
the Makefile has a target that nothing runs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.osv import osv
from tests.targets.forms import ROOT, SHORTEST, Target, targets, uncovered
from tests.targets.places import Place

# Of a target that failed: enough to see why.
_SHOWN = 4000


def main(asked: list[str]) -> int:
    """Run the targets that are asked for, or all."""
    makefile = (ROOT / "Makefile").read_text()
    if missing := uncovered(makefile):
        print(f"nothing runs: {', '.join(sorted(missing))} (tests/targets/forms.py)")
        return 1
    if unknown := set(asked) - SHORTEST.keys():
        print(f"not among {', '.join(SHORTEST)}: {', '.join(sorted(unknown))}")
        return 2
    known = {target.name: target for target in targets(makefile)}
    failed = []
    for extra, names in _by_extra(known, asked or [*SHORTEST]):
        with _place(extra) as place:
            for name in names:
                ran = place.run(known[name])
                command = f"make {name} {SHORTEST[name]}".strip()
                print(f"{extra:5}  {command}  {ran.taken_s:.0f} s\n       {ran.last}", flush=True)
                if ran.code:
                    failed.append(name)
                    print(f"FAILED with {ran.code}:\n{ran.said[-_SHOWN:]}", flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "every target ran")
    return 1 if failed else 0


def _by_extra(known: dict[str, Target], asked: list[str]) -> Iterator[tuple[str, list[str]]]:
    # What needs no environment is run beside what needs least; `clean` last, as it stands there.
    for extra in ("serve", "train", "bench", "dev"):
        names = [name for name in SHORTEST if name in asked]
        if mine := [name for name in names if (known[name].extra or "serve") == extra]:
            yield extra, mine


@contextmanager
def _place(extra: str) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="topgenre-") as folder, osv() as service:
        venv = Path(sys.prefix) if extra == "dev" else None
        yield Place(Path(folder, "topgenre"), venv, {"OSV": service.url})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The Makefile's targets, and the shortest form of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

_SHORT = "--epochs 1 --clips-per-track 2 --batch 4"
_SPLIT = "ARTISTS=artists.csv"
# The newest result of a quick look, which is there by then.
_NEWEST = "$(ls runs/bench/quick-*.json)"

#: Target to what follows it on the command line; in this order in each environment, because some
#: need what others leave. `prepared` puts there what the words name.
SHORTEST: Mapping[str, str] = {
    "serve": "",
    "classify": "FILE=tests/data/song.mp3",
    "tune": "",
    "data": "DATA=music",
    "train": f'DATA=music OPTIONS="{_SHORT}"',
    "folds": f'DATA=music {_SPLIT} OPTIONS="--folds 2 {_SHORT}"',
    "search": "DATA=music SPACE=space.toml",
    "evaluate": "",
    "report": "",
    "export": 'OPTIONS="--out mine.onnx"',
    "bench": 'OPTIONS="quick --runs 1"',
    "bench-compare": f"BASE={_NEWEST} NEW={_NEWEST}",
    "bench-gate": "",
    "profile": 'OPTIONS="--seconds 1 --length 5"',
    "chaos": 'DURATION=5 SEED=1 OPTIONS="--clients 2"',
    "fuzz": "COUNT=20 SEED=1",
    "audit": 'OPTIONS="--osv $OSV"',
    "docs": "",
    # Its steps are run without an engine by the tests of deploy/.
    "image": "ENGINE=echo",
    "clean": "",
}
#: Environment variables of single targets.
VARIABLES: Mapping[str, Mapping[str, str]] = {"tune": {"TOPGENRE_MODEL": "tiny.onnx"}}
#: What `.ci/run` runs in full, in the environment `dev`: nothing is gained by a short form.
IN_FULL = ("lint", "test", "targets-check")


@dataclass(frozen=True, slots=True)
class Target:
    """A target, the stamp of its environment (None where it has none), and its recipe's lines."""

    name: str
    extra: str | None
    recipe: tuple[str, ...]


def targets(makefile: str) -> list[Target]:
    """The targets that the Makefile describes, in its order."""
    found = re.findall(r"^([a-z-]+):(.*?)##.*\n((?:\t.*\n)*)", makefile, re.MULTILINE)
    return [
        Target(name, _stamp(needs), tuple(line.strip() for line in recipe.splitlines()))
        for name, needs, recipe in found
    ]


def _stamp(needs: str) -> str | None:
    stamp = re.search(r"\$\(VENV\)/\.([a-z]+)", needs)
    return stamp[1] if stamp else None


def uncovered(makefile: str) -> set[str]:
    """The targets that no check runs."""
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony, "the Makefile has no .PHONY"
    named = set(phony[1].split()) | {target.name for target in targets(makefile)}
    return named - {*SHORTEST, *IN_FULL}

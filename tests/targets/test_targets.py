"""Every target is run by a check, and imports nothing that its extra does not bring."""

from __future__ import annotations

import re

import pytest

from tests.targets.forms import IN_FULL, ROOT, SHORTEST, Target, targets, uncovered
from tests.targets.imports import brought, of_target

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = targets(MAKEFILE)
# Each is imported where a setting asks for it, which stops the start without its extra.
BY_SETTING = {"redis", "opentelemetry-sdk", "opentelemetry-api"}
# Compared with where they are installed, and else a row that says so.
IF_THERE = {"torch"}
EXTRAS = {
    "serve": (),
    "train": ("train",),
    "bench": ("bench",),
    "dev": ("dev", "train", "bench"),
}


def test_every_target_is_run():
    assert uncovered(MAKEFILE) == set()
    ci = (ROOT / ".ci" / "run").read_text()
    assert set(IN_FULL) <= set(re.findall(r"^make ([a-z-]+)\b", ci, re.MULTILINE))


@pytest.mark.parametrize("line", ["new: $(VENV)/.serve ## it\n\ttrue\n", ".PHONY: new\n"])
def test_a_target_that_nothing_runs_is_found(line):
    # The first .PHONY is the one that counts: a line of its own has to come before it.
    assert uncovered(line + MAKEFILE if "PHONY" in line else MAKEFILE + line) == {"new"}


def test_the_stamps_install_what_is_compared_here():
    for stamp, extras in EXTRAS.items():
        (recipe,) = re.findall(rf"^\$\(VENV\)/\.{stamp}:.*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
        (what,) = re.findall(r"-e '?\.(?:\[(.*)\])?'?$", recipe, re.MULTILINE)
        assert tuple(what.split(",") if what else ()) == extras


@pytest.mark.parametrize("target", [t for t in TARGETS if t.extra], ids=lambda t: t.name)
def test_a_target_imports_what_its_extra_brings(target):
    there = brought(EXTRAS[target.extra]) | BY_SETTING | IF_THERE
    missing = {name: by for name, by in of_target(target).items() if name not in there}
    assert missing == {}


def test_what_is_missing_is_found():
    bench = next(target for target in TARGETS if target.name == "bench")
    imported = of_target(bench)
    # At the top, in a function, in the tests' stand-in, and in a server that is started.
    assert {"onnx", "tensorflow", "trustme", "litserve"} <= imported.keys()
    served = of_target(Target("bench", "serve", bench.recipe))
    assert "librosa" in served
    assert "librosa" not in brought(())


def test_the_order_is_that_of_what_is_left_for_others():
    order = [*SHORTEST]
    assert order.index("train") < order.index("evaluate") < order.index("export")
    assert order.index("bench") < order.index("bench-compare")
    assert order[-1] == "clean"

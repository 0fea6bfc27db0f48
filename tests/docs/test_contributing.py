"""The recipes in CONTRIBUTING.md name every file that has to know of a new thing."""

import re
import subprocess

import pytest

from serve.errors import ERRORS
from serve.paths import ROOT
from serve.settings import PREFIX, Settings

# A file that knows nearly all of a kind has to be told of the next.
_NEARLY = 0.9


def registers(words):
    """The files that name nearly all of these words."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = tracked.stdout.split() or [
        str(path.relative_to(ROOT))
        for top in ("serve", "docs", "tests")
        for path in (ROOT / top).rglob("*.*")
    ]
    found = set()
    for name in names:
        try:
            known = set(re.findall(r"\w+", (ROOT / name).read_text("utf-8").lower()))
        except (UnicodeDecodeError, OSError):
            continue
        if sum(word.lower() in known for word in words) >= _NEARLY * len(words):
            found.add(name)
    return found


def recipe(name):
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (paragraph,) = re.findall(rf"\*\*{name}\.\*\* (.*)", text)
    return set(re.findall(r"`([\w./]+\.\w+)`", paragraph))


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("An error", [list(ERRORS)]),
        ("A setting", [[*Settings.model_fields], [PREFIX + of for of in Settings.model_fields]]),
    ],
)
def test_a_recipe_names_every_file_to_be_changed(name, kinds):
    assert set().union(*map(registers, kinds)) == recipe(name)

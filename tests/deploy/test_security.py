"""SECURITY.md promises nothing that no test holds."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_each_test_that_is_named_is_there(file, test):
    tree = ast.parse((ROOT / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert test in {node.name for node in tree.body if isinstance(node, functions)}


def test_each_promise_names_its_test():
    promises = TEXT.partition("## What is not promised")[0]
    lines = [line for line in promises.splitlines() if line.startswith("- ")]
    assert len(lines) > 15
    assert [line for line in lines if "`tests/" not in line] == []


def test_each_kind_of_attacker_is_there():
    attackers = re.findall(r"^\*\*(.*?)\*\*", TEXT, re.MULTILINE)
    assert len(attackers) >= 6
    assert "## How to report" in TEXT

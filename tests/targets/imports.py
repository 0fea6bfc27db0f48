"""What of others' a target imports, also inside functions, by reading and not running it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.needs import needed
from tests.targets.forms import ROOT, Target

_OURS = ("serve", "train", "export", "benchmarks", "deploy", "tests")
# A module that is started as a process of its own: `python -m NAME`, or its words in a list.
_STARTED = re.compile(r"-m\W{1,5}((?:serve|train|export|benchmarks|deploy|tests)\b[\w.]*)")


def of_target(target: Target) -> dict[str, str]:
    """Distributions that a target's modules import, each with the first of ours that does."""
    found: dict[str, str] = {}
    waiting = [name for line in target.recipe for name in _STARTED.findall(line)]
    seen: set[Path] = set()
    while waiting:
        path = _file(waiting.pop(0))
        if path is None or path in seen:
            continue
        seen.add(path)
        names, started = _read(path)
        waiting += [*started, *(name for name in names if name.partition(".")[0] in _OURS)]
        # A package's own module is run before any of its parts.
        waiting += [_module(parent) for parent in path.parents if _is_package(parent)]
        for name in names:
            for distribution in _distributions(name.partition(".")[0]):
                found.setdefault(distribution, str(path.relative_to(ROOT)))
    return found


def brought(extras: Iterable[str]) -> set[str]:
    """Distributions that the project and these extras of it bring, as its pyproject.toml says.

    Not as the installed metadata say, which are of the last installation.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[str] = set()
    for text in (*project["dependencies"], *_of(project, extras)):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate():
            found |= needed(requirement.name, requirement.extras).keys()
    return found


def _of(project: dict[str, Any], extras: Iterable[str]) -> list[str]:
    return [text for extra in extras for text in project["optional-dependencies"][extra]]


@cache
def _read(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The modules that a file imports, absent those that it does without, and those it starts."""
    text = path.read_text()
    return tuple(_imported(ast.parse(text).body)), tuple(_STARTED.findall(text))


def _imported(body: Iterable[ast.AST]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not followed"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from _imported(node.orelse)
        elif not (isinstance(node, ast.Try) and _does_without(node)):
            yield from _imported(ast.iter_child_nodes(node))


def _does_without(node: ast.Try) -> bool:
    caught = " ".join(ast.unparse(handler.type) for handler in node.handlers if handler.type)
    return "ImportError" in caught or "ModuleNotFoundError" in caught


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__main__.py", path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _is_package(folder: Path) -> bool:
    return folder.is_relative_to(ROOT) and (folder / "__init__.py").is_file()


def _module(folder: Path) -> str:
    return ".".join((*folder.relative_to(ROOT).parts, "__init__"))


@cache
def _providers() -> dict[str, list[str]]:
    return {
        name: sorted({canonicalize_name(one) for one in of})
        for name, of in packages_distributions().items()
    }


def _distributions(name: str) -> list[str]:
    if name in sys.stdlib_module_names or name in _OURS:
        return []
    return _providers().get(name, [name])

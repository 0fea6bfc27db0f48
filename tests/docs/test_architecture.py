"""The picture of the architecture shows the packages that there are, and what they import."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from xml.etree import ElementTree

import grimp
import pytest

from tests.docs.pages import ROOT

_SVG = "{http://www.w3.org/2000/svg}"
_PICTURE = ElementTree.parse(ROOT / "docs" / "architecture.svg").getroot()
BOXES = {
    group.attrib["data-module"]: group
    for group in _PICTURE.iter(f"{_SVG}g")
    if "data-module" in group.attrib
}
ARROWS = {
    (line.attrib["data-from"], line.attrib["data-to"]): line
    for line in _PICTURE.iter(f"{_SVG}line")
}
ROOTS = ("serve", "train", "export")
# Files beside code, and no code.
_NO_BOX = {"serve.models"}
# An arrow's end may miss its box by so much of the picture's units.
_MISS = 1


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph(*ROOTS, cache_dir=None)


def test_every_package_has_a_box():
    packages = {path.parent.name for path in (ROOT / "serve").glob("*/__init__.py")}
    assert {f"serve.{name}" for name in packages} - _NO_BOX | {"train", "export"} <= set(BOXES)


@pytest.mark.parametrize("module", BOXES)
def test_every_box_is_a_module(module, graph):
    assert module in graph.modules
    assert BOXES[module].find(f"{_SVG}text").text == module.rpartition(".")[2]


def test_arrows_are_the_imports(graph):
    imports = {(box, other) for box in BOXES for other in _imported(graph, box)}
    # What follows from other arrows is not drawn.
    assert set(ARROWS) == {pair for pair in imports if not _leads(*pair, imports - {pair})}


def test_arrows_point_the_way_of_the_contracts():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    for contract in contracts["contracts"]:
        if contract["type"] != "layers":
            continue
        prefix = contract.get("containers", [""])[0]
        layers = [
            {f"{prefix}.{name.strip()}".lstrip(".") for name in layer.split("|")} & set(BOXES)
            for layer in contract["layers"]
        ]
        heights = [{_rectangle(box)[1] for box in layer} for layer in layers if layer]
        for above, below in pairwise(heights):
            assert max(above) < min(below)


@pytest.mark.parametrize("arrow", ARROWS, ids=" to ".join)
def test_arrows_lead_from_box_to_box(arrow):
    line = {name: float(ARROWS[arrow].attrib[name]) for name in ("x1", "y1", "x2", "y2")}
    assert _touches(_rectangle(arrow[0]), line["x1"], line["y1"])
    assert _touches(_rectangle(arrow[1]), line["x2"], line["y2"])


def _imported(graph: grimp.ImportGraph, box: str) -> set[str]:
    """The boxes that one imports, by itself or through modules that have no box."""
    box_of = {m: b for b in BOXES for m in {b} | graph.find_descendants(b)}
    ahead = [m for m, of in box_of.items() if of == box]
    seen, found = set(ahead), set()
    while ahead:
        # The packages at the top import nothing before somebody asks them to.
        for module in graph.find_modules_directly_imported_by(ahead.pop()) - seen - set(ROOTS):
            seen.add(module)
            if of := box_of.get(module):
                found.add(of)
            else:
                ahead.append(module)
    return found - {box}


def _leads(start: str, end: str, pairs: set[tuple[str, str]]) -> bool:
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        module = ahead.pop()
        ahead += {b for a, b in pairs if a == module} - seen
        seen.add(module)
    return end in seen


def _rectangle(box: str) -> tuple[float, float, float, float]:
    rectangle = BOXES[box].find(f"{_SVG}rect").attrib
    x, y = float(rectangle["x"]), float(rectangle["y"])
    return x, y, x + float(rectangle["width"]), y + float(rectangle["height"])


def _touches(rectangle: tuple[float, float, float, float], x: float, y: float) -> bool:
    """Whether a point is on the rim of a rectangle."""
    left, top, right, bottom = rectangle
    inside = left - _MISS <= x <= right + _MISS and top - _MISS <= y <= bottom + _MISS
    return inside and min(abs(x - left), abs(x - right), abs(y - top), abs(y - bottom)) <= _MISS

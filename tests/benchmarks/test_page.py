import base64
import re
from dataclasses import asdict
from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.goals import Result
from benchmarks.stages import WAY, Timing
from serve.settings import MODELS

RESULTS = [
    Result.ratio("a peer <fast>", {"theirs ms": [30.0], "ours ms": [10.0]}, 1.0, at_least=True),
    Result("too slow", 12.5, 3.0, unit="ms", noise=0.25),
    Result("nothing at all", 0.0, 5.0, unit="%"),
    Result.latency("closed loop, 8 clients: p95", [0.1, 0.2, 0.3]),
    Result("left out", None, note="no peer"),
]
TIMINGS = [
    Timing.of(stage, f"{length} {container}", [10.0, 12.0])
    for length in ("30 s", "10 min")
    for container in ("m4a", "webm")
    for stage in (*WAY, "file to answer")
]


def written(tmp_path, results=(), timings=()):
    path = report.write(
        tmp_path,
        "quick",
        MODELS / "topgenre.onnx",
        results=[result.to_dict() for result in results],
        timings=[asdict(timing) for timing in timings],
    )
    return path.with_suffix(".html").read_text()


def texts(svg):
    """What an SVG says: matplotlib draws letters, and has the text as a comment before them."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    tree = ElementTree.fromstring(svg, parser)
    return {node.text.strip() for node in tree.iter() if callable(node.tag)}


def figures(page):
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    return [texts(base64.b64decode(data)) for data in found]


def test_it_has_every_number_and_a_figure_of_each_kind(tmp_path):
    page = written(tmp_path, RESULTS, TIMINGS)
    goals, stages, latencies = figures(page)
    assert {"a peer &lt;fast&gt;", "too slow", "nothing at all"} <= goals
    assert {"3.00 ×", "12.50 ms"} <= goals
    assert "left out" not in goals
    assert {*WAY, "30 s", "10 min", "m4a", "webm", "66 ms"} <= stages
    assert {"closed loop, 8 clients", "p50", "p95", "p99", "200"} <= latencies
    assert "a peer &lt;fast&gt;" in page
    assert "<span class=missed>no</span>" in page
    assert "± 25%" in page
    assert "no peer" in page
    assert page.count("<tr>") == 2 + len(RESULTS) + len(TIMINGS)


def test_it_needs_nothing_else(tmp_path):
    page = written(tmp_path, RESULTS, TIMINGS)
    assert "<script" not in page
    sources = re.findall(r'(?:src|href)="?([^">]*)', page)
    assert sources
    assert all(source.startswith("data:") for source in sources)


@pytest.mark.parametrize(
    ("results", "timings", "number"),
    [(RESULTS[:1], (), 1), (RESULTS[3:4], (), 1), ((), TIMINGS[:6], 1), ((), (), 0)],
)
def test_there_is_a_figure_only_of_what_was_measured(results, timings, number, tmp_path):
    assert len(figures(written(tmp_path, results, timings))) == number

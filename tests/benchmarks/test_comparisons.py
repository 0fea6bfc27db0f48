import sys
from multiprocessing import resource_tracker

import psutil
import pytest

from benchmarks import (
    catalogue,
    file,
    link,
    lit,
    load,
    memory,
    old_way,
    overhead,
    processor,
    replaced,
    scale,
    start,
)
from benchmarks.clients import Client, Request
from benchmarks.download import ANEW, FIRST_BYTE, FIRST_EVENT, PRELOADED, TAIL
from serve.container import cores


@pytest.fixture(autouse=True)
def nothing_left(tiny_model, monkeypatch):
    """The servers have a tiny model, and are gone in the end with all that they started."""
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("TOPGENRE_YOUTUBE_PRELOAD", "False")
    # What multiprocessing starts once and keeps until this process ends.
    resource_tracker.ensure_running()
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) <= before


def measured(results):
    numbers = [result.measured for result in results]
    assert None not in numbers
    return [number or 0.0 for number in numbers]


def are_ratios(results):
    for result in results:
        over, under = result.of.values()
        assert result.measured == pytest.approx(over / under, rel=0.01)


def test_file():
    results = [*file.measure(1, seconds=5.0)]
    to_answer, beyond = results[::2], results[1::2]
    are_ratios(to_answer)
    assert [[*result.of] for result in to_answer] == [["ours ms", "ffmpeg ms"]] * 2
    assert [result.name.split()[0] for result in results] == ["m4a", "m4a", "webm", "webm"]
    assert [result.goal for result in results] == [0.75, 0.1, 0.55, 0.1]
    for result in beyond:
        ours, alone, ffmpeg = result.of.values()
        assert min(ours, alone, ffmpeg) > 0
        assert result.measured == pytest.approx((ours - alone) / ffmpeg, abs=0.002)


def test_processor():
    results = [*processor.measure(1, seconds=5.0)]
    are_ratios(results)
    assert [[*result.of] for result in results] == [["ours ms", "decoding and model ms"]] * 2
    assert min(min(result.of.values()) for result in results) > 0


def test_scale():
    replicas, *above = scale.measure(1, seconds=5.0, each=1, asks=3)
    assert [result.failed for result in (replicas, *above)] == [False] * 3
    if cores() > 1:
        are_ratios([replicas])
    for result in above:
        over, under = result.of.values()
        assert result.measured == pytest.approx(over - under, abs=0.002)


def test_scale_without_its_peers(monkeypatch):
    monkeypatch.setattr(scale, "cores", lambda: 1)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    results = [*scale.measure()]
    assert [(result.measured, result.failed) for result in results] == [(None, False)] * 3
    assert all(result.note.startswith("needs ") for result in results)


@pytest.mark.filterwarnings("ignore:'(aifc|audioop|sunau)' is deprecated:DeprecationWarning")
def test_old_way():
    results = [*old_way.measure(1, seconds=5.0)]
    are_ratios(results)
    assert [[*result.of] for result in results] == [["old way ms", "ours ms"]] * 2
    assert {(result.goal, result.at_least) for result in results} == {(7.0, True)}


def test_old_way_without_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    (result,) = old_way.measure()
    assert result.measured is None
    assert "TensorFlow" in result.note


def test_overhead():
    inside, outside, *known = overhead.measure(1, seconds=5.0, load_s=0.1)
    assert 0 < measured([inside])[0] < measured([outside])[0]
    assert (inside.goal, outside.goal) == (3.0, None)
    assert [result.name.split(",")[0] for result in known] == [
        *["POST of a link that is known"] * 2,
        *["POST of a file that is known"] * 2,
    ]
    assert [result.goal for result in known] == [1.0, 5.0] * 2
    for p50, p99 in (known[:2], known[2:]):
        low, high = measured([p50, p99])
        assert 0 < low <= high
        assert p50.of["a bare route ms"] > 0
        assert p50.of["ours ms"] == low


def test_overhead_of_an_answer_that_is_not_known():
    class Forgetful(Client):
        def __init__(self):
            pass

        def post(self, request, status=200):
            return {"cached": False}

    with pytest.raises(RuntimeError, match="is not known"):
        list(overhead._known("file", Forgetful(), Forgetful(), Request.raw(b""), 1))


def test_link(monkeypatch):
    # What is really measured: tests/benchmarks/test_download.py.
    def taken_ms(tracks, runs):
        assert runs == 3
        assert {name: seconds for name, (_, seconds) in tracks.items()} == {
            "5 s of m4a": 5.0,
            "5 s of webm": 5.0,
        }
        return {
            (stage, way, name): [base * times]
            for stage, base in ((TAIL, 10.0), (FIRST_EVENT, 1.0), (FIRST_BYTE, 100.0))
            for way, factor in ((PRELOADED, 1.0), (ANEW, 5.0))
            for name, times in zip(tracks, (factor, 3 * factor), strict=True)
        }

    monkeypatch.setattr(link, "taken_ms", taken_ms)
    results = [*link.measure(3, tails={5.0: 60.0})]
    assert [(result.measured, result.goal, result.at_least) for result in results] == [
        (10.0, 60.0, False),
        (30.0, 60.0, False),
        (2.0, 20.0, False),
        (200.0, 350.0, False),
        (5.0, 1.0, True),
    ]
    assert [result.name.split(":")[0] for result in results[:2]] == ["5 s of m4a", "5 s of webm"]
    are_ratios(results[4:])


def test_replaced():
    (result,) = replaced.measure(1, clips=3)
    are_ratios([result])
    assert [*result.of] == ["ours ms", "replaced ms"]
    assert (result.goal, result.at_least) == (1.0, False)


@pytest.mark.parametrize("package", ["keras", "tf2onnx"])
def test_replaced_without_what_makes_the_other(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    (result,) = replaced.measure()
    assert result.measured is None
    assert "extra: bench" in result.note


def test_memory():
    results = [*memory.measure(1, seconds=5.0)]
    measured(results)
    assert [(result.goal, result.unit) for result in results] == [(32.0, "MB")] * 2
    assert ["m4a" in result.name for result in results] == [True, False]


def test_catalogue():
    ratio, each = catalogue.measure(1, seconds=5.0, tracks=2)
    assert ratio.goal == 1.05
    assert ratio.of.keys() == {"catalogue s", "classify s"}
    assert each.unit == "s"
    assert each.measured is not None


def test_load():
    results = [*load.measure(1, seconds=5.0, tracks=16, block=8, arriving=5)]
    clients, of_the_cores, eight, one, arriving, waiting, memory = results
    are_ratios([clients, of_the_cores, waiting])
    assert min(measured(results[:-1])) > 0
    assert [loop.name.split(":")[0] for loop in (eight, one, arriving)] == [
        "closed loop, 8 clients",
        "closed loop, 1 client",
        "open loop, 80% load",
    ]
    for loop in (eight, one, arriving):
        assert [*loop.of] == ["p50 ms", "p95 ms", "p99 ms"]
        assert [*loop.of.values()] == sorted(loop.of.values())
    most, first = memory.of.values()
    assert most >= first > 0
    assert memory.measured == pytest.approx(100 * (most / first - 1), abs=0.1)
    with_goals = [(r.goal, r.at_least) for r in results if r.goal]
    assert with_goals == [(0.95, True), (3.0, False), (5.0, False)]


def test_litserve():
    results = [*lit.measure(1, seconds=5.0, clients=(1, 2), least=2)]
    are_ratios(results)
    assert [[*result.of] for result in results] == [["ours/s", "LitServe/s"]] * 2
    assert [result.name.split(":")[0] for result in results] == ["1 client", "2 clients"]


def test_start():
    ready, imported = start.measure(1)
    assert min(measured([ready, imported])) > 0
    assert (ready.goal, imported.goal) == (2.0, 0.15)

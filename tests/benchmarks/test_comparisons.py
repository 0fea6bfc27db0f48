import sys

import psutil
import pytest

from benchmarks import file, lit, load, old_way, overhead, start


@pytest.fixture(autouse=True)
def nothing_left(tiny_model, monkeypatch):
    """The servers have a tiny model, and are gone in the end with all that they started."""
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("TOPGENRE_YOUTUBE_PRELOAD", "False")
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
    are_ratios(results)
    assert [[*result.of] for result in results] == [["ours ms", "ffmpeg ms"]] * 2
    assert [result.name.split()[0] for result in results] == ["m4a", "webm"]
    assert {(result.goal, result.at_least) for result in results} == {(1.0, False)}


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
    rest, p50, p99, cached = overhead.measure(1, seconds=5.0, load_s=0.1)
    own = measured([rest, p50, p99])
    assert own[0] > 0
    assert 0 < own[1] <= own[2]
    assert (rest.goal, p50.goal, p99.goal) == (3.0, 1.0, 5.0)
    assert cached.measured is None


def test_load():
    results = [*load.measure(1, seconds=5.0, tracks=16, block=8, arriving=5)]
    clients, waiting, memory = results
    are_ratios([clients, waiting])
    assert min(measured(results[:2])) > 0
    most, first = memory.of.values()
    assert most >= first > 0
    assert memory.measured == pytest.approx(100 * (most / first - 1), abs=0.1)
    assert [(r.goal, r.at_least) for r in results] == [(1.7, True), (3.0, False), (5.0, False)]


def test_litserve():
    results = [*lit.measure(1, seconds=5.0, clients=(1, 2), least=2)]
    are_ratios(results)
    assert [[*result.of] for result in results] == [["ours/s", "LitServe/s"]] * 2
    assert [result.name.split(":")[0] for result in results] == ["1 client", "2 clients"]


def test_start():
    ready, imported = start.measure(1)
    assert min(measured([ready, imported])) > 0
    assert (ready.goal, imported.goal) == (2.0, 0.15)

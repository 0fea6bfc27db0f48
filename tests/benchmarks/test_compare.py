import json
import os
from dataclasses import asdict

import pytest

from benchmarks import report
from benchmarks.compare import Change, changes, main
from benchmarks.goals import Result
from benchmarks.stages import Timing
from serve.settings import MODELS


def document(what="goals", decode_ms=100.0, ratio=2.0, noise=0.0, **changed):
    return {
        "what": what,
        "machine": "x86_64",
        "processor": "fast",
        "cores": 2,
        "model": "abc",
        "timings": [
            {
                "stage": "decode",
                "track": "30 s m4a",
                "median_ms": decode_ms,
                "slowest_ms": 1e6,
                "noise": noise,
            }
        ],
        "results": [
            {"name": "librosa's, of ours", "measured": ratio, "at_least": True, "noise": noise},
            {"name": "left out", "measured": None, "at_least": True, "noise": 0.0},
        ],
    } | changed


@pytest.fixture
def written(tmp_path):
    """Writes documents, each a second younger than the one before."""

    def write(name, content):
        path = tmp_path / name
        path.write_text(json.dumps(content) if isinstance(content, dict | list) else content)
        second = 1_000_000 + len([*tmp_path.iterdir()])
        os.utime(path, (second, second))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("base", "new", "at_least", "noise", "verdict"),
    [
        (100.0, 104.0, False, 0.05, ""),
        (100.0, 106.0, False, 0.05, "worse"),
        (100.0, 106.0, False, 0.10, ""),
        (100.0, 94.0, False, 0.05, "better"),
        (100.0, 94.0, True, 0.05, "worse"),
        (100.0, 106.0, True, 0.05, "better"),
        (100.0, 97.0, True, 0.05, ""),
    ],
)
def test_what_chance_does_is_neither_better_nor_worse(base, new, at_least, noise, verdict):
    change = Change("it", base, new, at_least, noise)
    assert change.verdict == verdict
    assert change.ratio == new / base


def test_noise_of_both_counts_and_there_is_always_some():
    quiet = {c.name: c.noise for c in changes(document(), document())}
    assert quiet == {"30 s m4a: decode ms": 0.05, "librosa's, of ours": 0.05}
    loud = [c.noise for c in changes(document(noise=0.1), document(noise=0.2))]
    assert loud == pytest.approx([0.3, 0.3])


def test_what_became_worse_comes_first_and_is_marked(written, capsys):
    base = written("goals-1.json", document())
    new = written("goals-2.json", document(decode_ms=50.0, ratio=1.0))
    assert main([base, new]) == 0
    shown = capsys.readouterr().out
    assert shown.index("librosa's") < shown.index("30 s m4a: decode")
    lines = {line.split("│")[1].strip(): line for line in shown.splitlines() if "│" in line}
    assert "worse" in lines["librosa's, of ours"]
    assert "better" in lines["30 s m4a: decode ms"]
    assert "left out" not in shown
    assert "1 of 2 worse" in shown


def test_the_newest_of_the_same_kind_is_taken(written, capsys):
    base = written("goals-1.json", document())
    written("goals-2.json", document(decode_ms=1000.0))
    written("goals-3.json", document(decode_ms=200.0))
    written("quick-4.json", document(what="quick", decode_ms=9000.0))
    assert main([base]) == 0
    assert "2.00" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["machine", "processor", "cores", "model"])
def test_what_is_not_alike_is_refused_unless_forced(key, written, capsys):
    base, new = written("a.json", document()), written("b.json", document(**{key: "other"}))
    assert main([base, new]) == 2
    assert f"{key}: " in capsys.readouterr().err
    assert main([base, new, "--force"]) == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("goals-1.json", document(), "no other result of `goals`"),
        ("gpu-1.json", [], "not what `make bench` writes"),
        ("old.json", {"timings": []}, "not what `make bench` writes"),
        ("broken.json", "{", "can't be read"),
    ],
)
def test_what_can_not_be_compared_is_said(name, content, said, written, capsys):
    assert main([written(name, content)]) == 2
    assert said in capsys.readouterr().err


def test_what_is_written_can_be_compared(tmp_path, capsys):
    content = {
        "timings": [asdict(Timing.of("decode", "30 s m4a", [1.0, 2.0, 4.0]))],
        "results": [Result.median("start", [1.0, 1.1], 2.0, unit="s").to_dict()],
    }
    path = report.write(tmp_path, "quick", MODELS / "topgenre.onnx", **content)
    assert main([str(path), str(path)]) == 0
    assert "0 of 2 worse" in capsys.readouterr().out

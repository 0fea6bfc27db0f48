import inspect
import json

import pytest

from benchmarks import __main__ as command
from benchmarks.goals import Result
from benchmarks.stages import LIBROSA, WAY


@pytest.fixture
def asked(monkeypatch, tiny_model):
    """Comparisons that tell how often they were to be measured."""
    asked = []

    def comparison(name):
        def measure(runs=None, **options):
            asked.append((name, runs, options) if options else (name, runs))
            yield Result.ratio(f"{name} of theirs", {"ours": [1.0], "theirs": [2.0]}, 1.0)

        return measure

    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setattr(
        command, "COMPARISONS", {name: comparison(name) for name in ("file", "load")}
    )
    return asked


@pytest.mark.parametrize(
    ("arguments", "measured"),
    [
        (["goals"], [("file", None), ("load", None)]),
        (["load"], [("load", None)]),
        (["load", "--runs", "7"], [("load", 7)]),
    ],
)
def test_comparisons_are_measured_shown_and_written(
    asked, arguments, measured, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments, "--out", str(tmp_path)])
    assert command.main() == 0
    assert asked == measured
    (path,) = tmp_path.glob(f"{arguments[0]}-*.json")
    content = json.loads(path.read_text())
    assert [result["name"] for result in content["results"]] == [
        f"{name} of theirs" for name, _ in measured
    ]
    assert all(result["met"] for result in content["results"])
    assert content["versions"]["librosa"]
    assert len(content["model"]) == 64
    assert {of["internal_api"] for of in content["blas"]} >= {"openblas"}
    kernel = content["blas"][0]["architecture"]
    assert f"BLAS kernel {kernel}" in path.with_suffix(".html").read_text()
    assert "of theirs" in capsys.readouterr().out
    assert "of theirs" in path.with_suffix(".html").read_text()


def test_a_quick_look_has_stages_and_shorter_comparisons(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "_QUICK_SECONDS", {"3 s": 3.0})
    monkeypatch.setattr("sys.argv", ["benchmarks", "quick", "--runs", "1", "--out", str(tmp_path)])
    assert command.main() == 0
    assert asked == [("file", 1, {"seconds": 180.0})]
    (path,) = tmp_path.glob("quick-*.json")
    content = json.loads(path.read_text())
    assert [result["name"] for result in content["results"]] == ["file of theirs"]
    measured = {(t["track"], t["stage"]) for t in content["timings"]}
    assert measured == {
        (track, stage)
        for track in ("3 s m4a", "3 s webm")
        for stage in (*WAY, LIBROSA, "file to answer")
    }
    assert min(t["median_ms"] for t in content["timings"] if t["stage"] != "HTTP") > 0


def breaks_off(runs=None, **_):
    yield Result.ratio("its first number", {"a": [1.0], "b": [2.0]}, 1.0)
    raise RuntimeError("LitServe answered [504]\nand much more")


def test_a_comparison_that_fails_is_a_row_and_the_others_go_on(
    asked, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(command, "COMPARISONS", {"peer": breaks_off, **command.COMPARISONS})
    monkeypatch.setattr("sys.argv", ["benchmarks", "goals", "--out", str(tmp_path)])
    assert command.main() == 1
    assert asked == [("file", None), ("load", None)]
    said = " ".join(capsys.readouterr().out.split())
    assert "LitServe answered [504]" in said
    assert said.endswith("failed: peer")
    # Each is printed before the next begins.
    assert said.index("its first number") < said.index("file of theirs")
    (path,) = tmp_path.glob("goals-*.json")
    results = {of["name"]: of for of in json.loads(path.read_text())["results"]}
    assert results["peer"]["note"] == "RuntimeError: LitServe answered [504]"
    assert [name for name, of in results.items() if of["failed"]] == ["peer"]
    assert results["its first number"]["met"]
    assert "LitServe answered [504]" in path.with_suffix(".html").read_text()


def test_stages_that_fail_are_a_row_and_the_others_go_on(asked, monkeypatch, tmp_path, capsys):
    def fail(*_):
        raise TimeoutError("no answer in 60 s")

    monkeypatch.setattr("benchmarks.end_to_end.measure", fail)
    monkeypatch.setattr(command, "_QUICK_SECONDS", {"3 s": 3.0})
    monkeypatch.setattr("sys.argv", ["benchmarks", "quick", "--runs", "1", "--out", str(tmp_path)])
    assert command.main() == 1
    (path,) = tmp_path.glob("quick-*.json")
    content = json.loads(path.read_text())
    assert {t["stage"] for t in content["timings"]} >= {"decode", "mel", "inference"}
    failed = [of["note"] for of in content["results"] if of["failed"]]
    assert failed == ["TimeoutError: no answer in 60 s"]
    assert "failed: file to answer" in capsys.readouterr().out


def test_every_quick_comparison_is_one_and_takes_its_options():
    for name, options in command._QUICK.items():
        inspect.signature(command.COMPARISONS[name]).bind(**options)


@pytest.mark.parametrize(("margin", "code"), [(1.5, 0), (0.5, 1)])
def test_the_gate_is_shut_to_what_misses_a_limit(margin, code, monkeypatch, capsys):
    def measure(**_):
        yield Result.ratio("always", {"a": [2.0], "b": [1.0]}, 1.0, at_least=True)
        yield Result.ratio("sometimes", {"a": [margin], "b": [1.0]}, 1.0, at_least=True)

    monkeypatch.setattr("benchmarks.gate.measure", measure)
    monkeypatch.setattr("sys.argv", ["benchmarks", "gate"])
    assert command.main() == code
    assert "sometimes" in capsys.readouterr().out

import json

import pytest

from benchmarks import __main__ as command
from benchmarks.goals import Result


@pytest.fixture
def asked(monkeypatch, tiny_model):
    """Comparisons that tell how often they were to be measured."""
    runs = []

    def comparison(name):
        def measure(number=None):
            runs.append((name, number))
            yield Result.ratio(f"{name} of theirs", {"ours": 1.0, "theirs": 2.0}, 1.0)

        return measure

    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setattr(
        command, "COMPARISONS", {name: comparison(name) for name in ("file", "load")}
    )
    return runs


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
    assert "of theirs" in capsys.readouterr().out

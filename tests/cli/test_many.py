"""`classify` with many tracks: each is read and decoded once, and results are kept."""

import json
import os
import shutil
from pathlib import Path

import pytest

from serve.__main__ import main
from tests.cli.commands import SONG, distinct, records
from tests.media import by_name, encode, music


@pytest.fixture
def counted(environment, monkeypatch):
    """How often files were read, and tracks decoded, in this process."""
    counts = {"read": 0, "decoded": 0}

    def count(name, target):
        original = target

        def counting(*arguments, **options):
            counts[name] += 1
            return original(*arguments, **options)

        return counting

    from serve.library import run
    from serve.pipeline import Pipeline

    monkeypatch.setattr(run, "_read", count("read", run._read))
    monkeypatch.setattr(Pipeline, "classify", count("decoded", Pipeline.classify))
    return counts


def test_nothing_is_read_or_decoded_twice(counted, tmp_path, capsys):
    folder = distinct(tmp_path / "music", 2)
    os.link(folder / "00.flac", folder / "hard.flac")
    (folder / "soft.flac").symlink_to("00.flac")
    for n in range(4):
        shutil.copyfile(folder / "01.flac", folder / f"copy{n}.flac")
    assert main(["classify", "--json", str(folder), str(folder / "00.flac")]) == 0
    lines = records(capsys.readouterr().out)
    names = {Path(line["track"]).name: line for line in lines}
    assert len(lines) == len(names) == 8
    # Links lead to what was read; of copies, which can only be told by reading, one is decoded.
    assert counted == {"read": 6, "decoded": 2}
    for name, original in {"hard": "00", "soft": "00", "copy3": "01"}.items():
        line = names[f"{name}.flac"]
        assert line["results"] == names[f"{original}.flac"]["results"]
        assert line["video_title"] == f"{name}.flac"


@pytest.mark.parametrize("name", ["results.json", "results.csv"])
def test_a_second_run_does_only_what_is_new(counted, tmp_path, name, capsys):
    folder = distinct(tmp_path / "music", 3)
    out = tmp_path / name
    arguments = ["classify", str(folder), "--out", str(out)]
    assert main(arguments) == 0
    assert counted["decoded"] == 3
    kept = out.read_text()
    assert len(kept.splitlines()) == 3 + (out.suffix == ".csv")
    assert main(arguments) == 0
    assert (counted["decoded"], out.read_text()) == (3, kept)
    # Another name is no other music; other bytes under the old name are.
    (folder / "00.flac").rename(folder / "renamed.flac")
    (folder / "01.flac").write_bytes(encode(music(3.0, seed=9), by_name("flac")))
    assert main(arguments) == 0
    assert counted["decoded"] == 4
    added = [line for line in out.read_text().splitlines() if line not in kept]
    assert len(added) == 2
    assert sum("renamed.flac" in line for line in added) == 1
    assert capsys.readouterr().out == ""


def test_a_full_disk_is_said(environment, monkeypatch, tmp_path, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("serve.library.results.ResultsFile.write", full)
    assert main(["classify", str(SONG), "--out", str(tmp_path / "out")]) == 1
    assert "No space left on device" in capsys.readouterr().err


def test_a_failure_of_ours_is_one_tracks_failure(environment, capsys, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("serve.pipeline.job.aggregate", broken)
    assert main(["classify", "--json", str(SONG)]) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "internal"


def test_more_cores_than_requests_are_used(environment, monkeypatch, tmp_path, run):
    # Limits of the server's are about strangers.
    monkeypatch.setenv("TOPGENRE_MAX_REQUESTS", "1")
    monkeypatch.setenv("TOPGENRE_QUEUE_SIZE", "1")
    done = run(distinct(tmp_path / "music", 4), "--json")
    assert [line.get("code") for line in records(done.stdout)] == [None] * 4

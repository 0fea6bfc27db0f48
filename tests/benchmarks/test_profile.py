import psutil
import pytest

from benchmarks import profile

_RAW = """\
process 1:"serve";main (serve/a.py:1);run (serve/a.py:7) 30
process 1:"serve";main (serve/a.py:1);run (serve/a.py:9) 50
process 1:"serve";main (serve/a.py:2) 20
"""


@pytest.fixture
def spy(tmp_path, tiny_model, monkeypatch):
    """Puts a script in py-spy's place; our server has a tiny model, and is gone in the end."""

    def put(script):
        path = tmp_path / "py-spy"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(profile, "_PY_SPY", path)

    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("TOPGENRE_YOUTUBE_PRELOAD", "False")
    before = set(psutil.Process().children(recursive=True))
    yield put
    assert set(psutil.Process().children(recursive=True)) <= before


def test_samples_count_for_the_innermost_function_whatever_its_line():
    assert profile.top(_RAW) == [
        ("run (serve/a.py)", 0.8),
        ("main (serve/a.py)", 0.2),
    ]


def test_the_server_and_its_children_are_looked_into(spy, tmp_path, capsys):
    # Like the real one it writes what it is asked for; it checks whose process it was given.
    spy(f"""
echo "$@" >> {tmp_path}/asked
tr '\\0' ' ' < /proc/$3/cmdline >> {tmp_path}/asked
while [ "$1" != --output ]; do shift; done
cat > "$2" <<'END'
{_RAW}END""")
    assert profile.main(["--seconds", "1", "--length", "3", "--out", str(tmp_path / "out")]) == 0
    asked = (tmp_path / "asked").read_text()
    assert asked.count("record --pid ") == asked.count("--subprocesses") == 2
    assert asked.count("-m serve") == 2
    assert "--format flamegraph" in asked
    (svg,) = (tmp_path / "out").glob("profile-*.svg")
    shown = capsys.readouterr().out
    assert "80.0%  run (serve/a.py)" in shown
    assert str(svg) in shown


def test_where_it_is_not_let_in_that_is_said(spy, tmp_path, capsys):
    spy("echo 'Error: Permission Denied' >&2; exit 1")
    assert profile.main(["--seconds", "1", "--length", "3", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "Permission Denied" in said
    assert "SYS_PTRACE" in said

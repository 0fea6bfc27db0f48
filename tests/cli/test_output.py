"""What `classify` accepts and prints, for people and for machines."""

import csv
import os
import pty
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cli.commands import DATA, ID, ROOT, SONG, command, distinct, records
from tests.media import by_name, encode, music
from tests.standin import Video, faults


def test_one_file(run):
    done = run(SONG)
    assert done.returncode == 0
    first, *bars, last = done.stdout.rstrip().splitlines()
    assert re.match(r"(blues|jazz|rock)  song\.mp3  \(20 s of audio in \d+\.\d\d s\)", first)
    assert len(bars) == 3
    assert sum(float(bar.split()[1]) for bar in bars) == pytest.approx(100)
    assert re.match(r"  (sounds like (Techno|Choir)|This sounds like speech, not music\.)", last)


def test_several_tracks_for_machines(run, tmp_path, youtube):
    short, broken = tmp_path / "short.flac", tmp_path / "broken.wav"
    short.write_bytes(encode(music(3.0), by_name("flac")))
    broken.write_bytes(b"no sound")
    media = encode(music(30.0), by_name("m4a-index-first"))
    youtube.add(Video(ID, {140: media}, title="T", length=30))
    link = f"https://youtu.be/{ID}"
    codes = {
        str(SONG): None,
        str(broken): "undecodable",
        link: None,
        str(short): None,
        str(tmp_path / "none.mp3"): "bad_request",
        "https://vimeo.com/1": "not_youtube",
    }
    done = run("--json", *codes)
    lines = {line["track"]: line for line in records(done.stdout)}
    assert {track: line.get("code") for track, line in lines.items()} == codes
    assert lines[link]["video_title"] == "T"
    assert lines[link]["id"] == f"youtube:{ID}"
    assert re.fullmatch("sha256:[0-9a-f]{64}", lines[str(SONG)]["id"])
    assert round(sum(lines[str(SONG)]["results"].values()), 6) == 100
    # The last one, in the order in which they were given, that failed.
    assert done.returncode == 2
    assert run(*list(codes)[:2]).returncode == 4


@pytest.mark.parametrize(("times", "code"), [(1, 0), (2, 6)])
def test_what_may_pass_is_tried_once_more(run, youtube, monkeypatch, times, code):
    monkeypatch.setenv("TOPGENRE_YOUTUBE_RETRIES", "0")
    media = encode(music(3.0), by_name("m4a-index-first"))
    fault = faults.times(times, faults.status(500))
    youtube.add(Video(ID, {140: media}, length=3, fault=fault))
    done = run(f"https://youtu.be/{ID}")
    assert (done.returncode, len(youtube.audio())) == (code, 2), done.stderr


def test_several_tracks_for_people(run):
    done = run(SONG, DATA / "README.md")
    assert sorted(done.stdout.splitlines())[0].endswith(
        "README.md: This is text, not audio. (undecodable)"
    )
    assert re.search(r"^(blues|jazz|rock) +\d+\.\d\d %  .*song\.mp3$", done.stdout, re.MULTILINE)


def test_a_folder_as_a_table(run, tmp_path):
    distinct(tmp_path / "music", 3)
    (tmp_path / "music" / "broken.mp3").write_bytes(b"no sound")
    (tmp_path / "music" / "cover.jpg").write_bytes(b"x")
    done = run("--csv", tmp_path / "music")
    rows = {Path(row["track"]).name: row for row in csv.DictReader(done.stdout.splitlines())}
    assert set(rows) == {"00.flac", "01.flac", "02.flac", "broken.mp3"}
    assert rows["broken.mp3"]["code"] == "undecodable"
    shares = [float(rows["00.flac"][genre]) for genre in ("blues", "jazz", "rock")]
    assert sum(shares) == pytest.approx(100)
    assert done.returncode == 4


@pytest.mark.parametrize(
    ("tracks", "code", "text"),
    [
        (["nowhere.mp3"], 2, "nowhere.mp3: No such file or directory (bad_request)"),
        ([DATA / "README.md"], 4, "(undecodable)"),
        (["https://www.youtube.com/playlist?list=PL1"], 2, "(playlist)"),
        ([ROOT / "tests" / "library"], 2, "no audio in this folder. (bad_request)"),
        (["hello"], 2, "hello: No such file or directory (bad_request)"),
    ],
)
def test_failures_have_their_exit_code(run, tracks, code, text):
    done = run(*tracks)
    assert done.returncode == code
    assert text in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 2, "no track to classify"),
        (["--list", "/nowhere"], 2, "/nowhere: No such file"),
        ([SONG, "--out", "/nowhere/results"], 2, "/nowhere/results: No such file"),
        ([SONG, "--out", DATA / "README.md"], 2, "is not a result"),
        ([SONG, "--json", "--out", "x.csv"], 2, "--json contradicts x.csv"),
        ([SONG, "--csv", "--out", "x.JSONL"], 2, "--csv contradicts x.JSONL"),
        ([SONG, "--out", "/dev/full"], 2, "Results can only be kept in a regular file"),
    ],
)
def test_what_can_not_begin_is_said(run, arguments, code, text):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert text in done.stderr


def test_a_file_that_is_too_big(run, monkeypatch):
    monkeypatch.setenv("TOPGENRE_MAX_BODY_BYTES", "1024")
    done = run(SONG)
    assert done.returncode == 4
    assert "(too_big)" in done.stdout


def test_lists_from_a_pipe(run, tmp_path):
    (tmp_path / "list").write_text("# none of these\nhttps://vimeo.com/1\n")
    done = run("--json", "--list", tmp_path / "list", "--list", "-", input=f"{SONG}\n\n")
    assert {line["track"] for line in records(done.stdout)} == {str(SONG), "https://vimeo.com/1"}


def test_a_name_that_is_no_text(run, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\n[red].mp3"
    shutil.copyfile(SONG, path)
    for option in ("--json", "--csv"):
        done = run(option, tmp_path)
        assert "\ufffd" in done.stdout
        assert done.returncode == 0
    assert run(tmp_path).returncode == 0


def test_what_is_no_file_does_not_hang_the_rest(run, tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    shutil.copyfile(SONG, tmp_path / "song.mp3")
    done = run(tmp_path, "--json")
    lines = {Path(line["track"]).name: line for line in records(done.stdout)}
    assert lines["pipe.mp3"]["error"] == "This is not a regular file."
    assert lines["song.mp3"]["top_prediction"]
    assert done.returncode == 2


@pytest.mark.parametrize(("encoding", "option"), [("ascii", []), ("latin-1", ["--json"])])
def test_a_terminal_gets_no_more_than_it_can_show(run, tmp_path, encoding, option):
    shutil.copyfile(SONG, tmp_path / "\x1b]0;own\x07\x9b31m\u202e ♫ é \udcff.mp3")
    out = os.environ | {"PYTHONIOENCODING": encoding}
    done = run(tmp_path, "\x1b[1m.mp3", *option, encoding=encoding, env=out)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.stdout + done.stderr)
    assert len(done.stdout.splitlines()) == 2
    assert ("é" in done.stdout) == (encoding == "latin-1")
    assert done.returncode == 2


def test_a_terminal_shows_how_far_it_is(environment, tmp_path):
    folder = distinct(tmp_path / "music", 6)
    (folder / "broken.mp3").write_bytes(b"no sound")
    ours, theirs = pty.openpty()
    shown = b""

    def read():
        nonlocal shown
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # the other side is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    running = subprocess.Popen(
        command(folder),
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    os.close(theirs)
    assert running.wait(60) == 4
    reader.join()
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "of 7, 1 failed" in text
    assert re.search(r"(listening|classifying|found) +\S*0\d\.flac", text)
    for n in range(6):
        assert re.search(rf"\d %  \S*0{n}\.flac\r?\n", text)


def test_machines_get_no_bars(run, tmp_path):
    done = run("--json", SONG, env=os.environ | {"FORCE_COLOR": "1"})
    assert [line["track"] for line in records(done.stdout)] == [str(SONG)]

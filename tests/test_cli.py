"""`classify` on the command line, in processes of its own: what is printed, kept and read."""

import csv
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from serve.__main__ import main
from tests.eventually import until
from tests.media import by_name, encode, music
from tests.standin import Video, faults

DATA = Path(__file__).parent / "data"
SONG = DATA / "song.mp3"
ROOT = Path(__file__).parents[1]
ID = "dQw4w9WgXcQ"


@pytest.fixture
def environment(tiny_model, monkeypatch):
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("TOPGENRE_DECODERS", "2")
    monkeypatch.setenv("COLUMNS", "200")


def command(*arguments):
    return [sys.executable, "-m", "serve", "classify", *map(str, arguments)]


@pytest.fixture
def run(environment):
    def run(*arguments, **options):
        options = {"capture_output": True, "text": True} | options
        done = subprocess.run(command(*arguments), cwd=ROOT, timeout=60, **options)
        assert "Traceback" not in (done.stderr or "")
        return done

    return run


def distinct(folder, count, seconds=3.0):
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        path = folder / f"{n:02}.flac"
        path.write_bytes(encode(music(seconds, seed=n), by_name("flac")))
    return folder


def records(text):
    return [json.loads(line) for line in text.splitlines()]


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


# Many tracks.


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


@pytest.mark.parametrize(
    ("sign", "hangs"), [(signal.SIGINT, "reading"), (signal.SIGTERM, "writing")]
)
def test_a_stop_waits_for_nothing_that_hangs(environment, tmp_path, sign, hangs):
    program = [sys.executable, "-c", HANGING[hangs], str(SONG)]
    stopping = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with stopping:
        assert stopping.stderr.readline() == b"hangs\n"
        stopping.send_signal(sign)
        assert stopping.wait(20) == 128 + sign


HANGING = {
    "reading": """
import sys, time
from serve.__main__ import main
from serve.library import files
def read(*_):
    print("hangs", file=sys.stderr, flush=True)
    time.sleep(300)
files.read = read
sys.exit(main(["classify", sys.argv[1]]))
""",
    "writing": """
import sys, threading
from serve import cli
from serve.__main__ import main
class Hanging(cli._TextPrinter):
    def __call__(self, record):
        threading.Timer(0.5, print, ["hangs"], {"file": sys.stderr, "flush": True}).start()
        sys.stdout.write("x" * 1_000_000)
cli._TextPrinter = Hanging
sys.exit(main(["classify", sys.argv[1]]))
""",
}


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_keeps_what_is_done(environment, youtube, tmp_path, sign):
    folder = distinct(tmp_path / "music", 3)
    youtube.add(Video(ID, watch=faults.hang()))  # as long as it likes
    out = tmp_path / "out"
    arguments = [folder, f"https://youtu.be/{ID}", "--json", "--out", out]
    running = subprocess.Popen(
        command(*arguments), cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with running:
        until(lambda: out.exists() and out.read_text().count("\n") == 3 and youtube.log, 30)
        children = psutil.Process(running.pid).children(recursive=True)
        os.kill(running.pid, sign)
        log = running.stderr.read()
        assert running.wait(20) == 128 + sign
    assert "Traceback" not in log
    assert "3 of 4 tracks" in log
    assert len(children) > 2
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)
    assert len(records(out.read_text())) == 3


def test_what_was_killed_is_gone_on_with(environment, youtube, tmp_path, run):
    folder = distinct(tmp_path / "music", 3)
    youtube.add(Video(ID, watch=faults.hang()))
    out = tmp_path / "out"
    arguments = [folder, f"https://youtu.be/{ID}", "--out", out]
    running = subprocess.Popen(command(*arguments), cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: out.exists() and out.read_text().count("\n") == 3, 30)
    children = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.wait()
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)
    with out.open("a") as file:
        file.write('{"track": "broken o')
    before = records(out.read_text().rpartition("\n")[0])
    youtube.add(Video(ID, {140: encode(music(3.0), by_name("m4a-index-first"))}, length=3))
    assert run(*arguments).returncode == 0
    after = records(out.read_text())
    assert after[:3] == before
    assert [line["id"] for line in after[3:]] == [f"youtube:{ID}"]


def test_nobody_reads_on(environment, tmp_path):
    folder = distinct(tmp_path / "music", 6)
    for option in ([], ["--json"]):
        running = subprocess.Popen(
            command(*option, folder),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with running:
            running.stdout.readline()
            running.stdout.close()
            log = running.stderr.read()
            assert running.wait(30) in (0, 1)  # 0 where it was quicker than we
        assert log == ""


def test_a_full_disk_is_said(environment, monkeypatch, tmp_path, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("serve.library.results.ResultsFile.write", full)
    assert main(["classify", str(SONG), "--out", str(tmp_path / "out")]) == 1
    assert "No space left on device" in capsys.readouterr().err


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

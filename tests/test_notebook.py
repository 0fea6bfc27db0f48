"""`serve.classify`: from Python, with a loop running or not, and in a real notebook."""

import asyncio
import io
import os
import re
import subprocess
import sys
import textwrap
import threading
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import psutil
import pytest
from IPython.lib.pretty import pretty

import serve
import serve.errors
from serve import notebook
from serve.answer import Clip, answer_type
from serve.classification import Classification
from serve.errors import BadUrl, TooBig, Undecodable
from serve.settings import SettingsError
from tests.http.posts import SONG
from tests.standin import Video

PATH = Path(__file__).parent / "data" / "song.mp3"
ROOT = Path(__file__).parents[1]
ID = "dQw4w9WgXcQ"


@pytest.fixture
def environment(tiny_model, monkeypatch):
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("TOPGENRE_DECODERS", "1")
    yield
    notebook.stop()


def decoders():
    children = psutil.Process().children(recursive=True)
    return {child.pid for child in children if "serve.audio.worker" in child.cmdline()}


def test_every_kind_of_track(environment, youtube, tmp_path, monkeypatch):
    youtube.add(Video(ID, {140: SONG}, title="T", length=20))
    before = decoders()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "at home.mp3").write_bytes(SONG)
    with PATH.open("rb") as file:
        found = {
            "path": serve.classify(PATH),
            "text": serve.classify(str(PATH)),
            "home": serve.classify("~/at home.mp3"),
            "bytes": serve.classify(SONG),
            "bytearray": serve.classify(bytearray(SONG)),
            "view": serve.classify(memoryview(SONG)),
            "file": serve.classify(file),
            "buffer": serve.classify(io.BytesIO(SONG)),
            "link": serve.classify(f"https://youtu.be/{ID}"),
            "short link": serve.classify(f"youtu.be/{ID}"),
            "long link": serve.classify(f"www.youtube.com/watch?v={ID}"),
        }
    titles = dict.fromkeys(found, "song.mp3") | {"home": "at home.mp3"}
    titles |= dict.fromkeys(("link", "short link", "long link"), "T")
    titles |= dict.fromkeys(("bytes", "bytearray", "view", "buffer"), "audio")
    assert {kind: one.title for kind, one in found.items()} == titles
    assert len({tuple(one.results.items()) for one in found.values()}) == 1
    # Warm all the time, and gone when that is said.
    warm = decoders() - before
    assert len(warm) == 1
    serve.classify(PATH)
    assert decoders() - before == warm
    notebook.stop()
    assert decoders() == before
    assert serve.classify(PATH).top


def test_what_it_gives(environment):
    one = serve.classify(PATH)
    assert one.top == next(iter(one.results))
    assert sum(one.results.values()) == pytest.approx(100)
    assert one.confidence == one.results[one.top] / 100
    assert [clip.start for clip in one.timeline] == [round(1.4 * n, 3) for n in range(14)]
    assert (one.clip_s, one.model["name"]) == (1.4, "tiny")
    assert one.duration_s == pytest.approx(20, abs=0.1)
    assert str(one) == f"{one.top} ({one.results[one.top]:g} %): song.mp3"
    body = one.to_dict()
    assert body["top_prediction"] == one.top
    assert body["timings_ms"]["total"] > 0
    body["results"].clear()
    assert one.to_dict()["results"] == one.results


@pytest.mark.parametrize(
    ("track", "error", "text"),
    [
        ("nowhere.mp3", FileNotFoundError, "No such file"),
        ("nowhere", FileNotFoundError, "'nowhere'"),
        ("", FileNotFoundError, "''"),
        (Path("no/where"), FileNotFoundError, "'no/where'"),
        ("~nobody at all.mp3", FileNotFoundError, "No such file"),
        ("tests", IsADirectoryError, "'tests'"),
        ("/dev/zero", serve.errors.BadRequest, "not a regular file"),
        (b"words", Undecodable, "This is text, not audio"),
        ("https://vimeo.com/1", serve.errors.NotYouTube, "Only YouTube"),
        ("https://www.youtube.com/watch?v=x", BadUrl, ""),
        (io.StringIO("x"), serve.errors.BadRequest, "bytes"),
        (5, TypeError, "not a path, a link, bytes or a file: int"),
    ],
)
def test_what_is_wrong_is_raised(environment, track, error, text):
    with pytest.raises(error) as raised:
        serve.classify(track)
    assert text in str(raised.value)


def test_files_are_not_read_without_end(environment, monkeypatch):
    monkeypatch.setenv("TOPGENRE_MAX_BODY_BYTES", "2048")
    file = io.BytesIO(SONG)
    for track in (file, SONG, PATH):
        with pytest.raises(TooBig):
            serve.classify(track)
    assert file.tell() == 2049


def test_a_wrong_setting_is_raised_and_can_be_mended(environment, monkeypatch):
    monkeypatch.setenv("TOPGENRE_DECODERS", "many")
    with pytest.raises(SettingsError, match="TOPGENRE_DECODERS"):
        serve.classify(PATH)
    monkeypatch.setenv("TOPGENRE_DECODERS", "1")
    assert serve.classify(PATH).top


async def test_it_may_be_called_where_a_loop_runs(environment):
    assert asyncio.get_running_loop()
    assert serve.classify(PATH).title == "song.mp3"
    tops = await asyncio.gather(*(asyncio.to_thread(serve.classify, PATH) for _ in range(3)))
    assert len({one.top for one in tops}) == 1


def test_several_threads_start_one_pipeline(environment):
    before = decoders()
    threads = [threading.Thread(target=serve.classify, args=(PATH,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decoders() - before) == 1


def test_nothing_is_left_when_the_interpreter_ends(environment):
    program = """
        import psutil, serve
        print(serve.classify("tests/data/song.mp3").top)
        print(*[child.pid for child in psutil.Process().children(recursive=True)])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    top, pids = done.stdout.splitlines()
    assert top in ("blues", "jazz", "rock")
    assert pids
    assert not any(psutil.pid_exists(int(pid)) for pid in pids.split())


def test_the_package_alone_imports_next_to_nothing():
    program = (
        "import sys, serve;"
        "print(sorted({'numpy', 'onnxruntime', 'asyncio', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    assert callable(serve.classify)
    with pytest.raises(AttributeError):
        serve.nothing  # noqa: B018


# What a notebook shows.

BODY = {
    "video_title": "<script>alert('&')</script>",
    "top_prediction": "r&b",
    "results": {"r&b": 75.0, "<b>": 25.0, "jazz": 0.0},
    "music": 0.75,
    "tags": [{"tag": "<i>Techno</i>", "probability": 0.5}, {"tag": "Choir", "probability": 0.1}],
    "timeline": [
        {"start": 0.0, "genre": "r&b", "confidence": 1.0, "music": 0.9},
        {"start": 1.4, "genre": "<b>", "confidence": 0.25, "music": 0.6},
    ],
    "duration_s": 62.8,
    "clip_s": 1.4,
    "warnings": [],
    "model": {"name": "m", "version": "1", "sha256": "0" * 64},
    "provider": "cpu",
    "timings_ms": {},
}


def classified(body):
    return Classification.of(answer_type().validate_python(body))


def test_the_picture_is_whole_and_safe():
    one = classified(BODY)
    assert one.timeline[1] == Clip(1.4, "<b>", 0.25, 0.6)
    html = one._repr_html_()
    root = ET.fromstring(html.replace("&nbsp;", " "))  # XML as well
    assert {element.tag for element in root.iter()} <= set(
        "div style strong small table tr td svg rect title".split()  # noqa: SIM905
    )
    assert not re.search(r"(?i)\son\w+=|https?:|javascript:|url\(|@import", html)
    rows = [["".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    assert rows == [["r&b", "", "75.00 %"], ["<b>", "", "25.00 %"], ["jazz", "", "0.00 %"]]
    bars = [float(row.find(".//rect").attrib["width"]) for row in root.iter("tr")]
    assert bars == [75.0, 25.0, 0.0]
    timeline = root.find("svg")
    assert timeline.get("viewBox") == "0 0 2 1"
    clips = timeline.findall("rect")
    assert [float(clip.attrib["height"]) for clip in clips] == [1.0, 0.25]
    assert [clip.find("title").text for clip in clips] == ["0:00 r&b 100%", "0:01 <b> 25%"]
    # A genre has one colour wherever it is shown; two genres have two.
    colours = [row.find(".//rect").get("fill") for row in root.iter("tr")]
    assert [clip.get("fill") for clip in clips] == colours[:2]
    assert len(set(colours)) == 3
    assert "".join(root.find("strong").itertext()) == "r&b"
    assert root.find("small").text == "1:02"
    assert root.find("div").text == "Sounds like <i>Techno</i>, Choir."


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([{"tag": "Speech", "probability": 0.8}], "This sounds like speech, not music."),
        ([], "This does not sound like music."),
    ],
)
def test_what_is_not_music_is_said_to_be_none(tags, words):
    one = classified(BODY | {"music": 0.1, "tags": tags})
    assert ET.fromstring(one._repr_html_().replace("&nbsp;", " ")).find("div").text == words
    assert str(one).endswith(words)


def test_a_list_of_answers_is_a_line_each():
    one = classified(BODY | {"video_title": "a\nb"})
    line = "Classification(title='a\\nb', top='r&b', confidence=0.75)"
    assert pretty([one, one]) == f"[{line},\n {line}]"


def test_the_colours_are_the_pages_and_nothing_shines_through():
    css = (ROOT / "serve" / "http" / "web" / "style.css").read_text()
    page = re.findall(r"--g\d: (#[0-9a-f]{6})", css)
    genres = {f"genre {n:02}": 100.0 * (n == 0) for n in range(11)}
    clip = BODY["timeline"][0] | {"genre": "genre 00"}
    body = BODY | {"results": genres, "top_prediction": "genre 00", "timeline": [clip, clip]}
    html = classified(body)._repr_html_()
    root = ET.fromstring(html.replace("&nbsp;", " "))
    bars = [row.find(".//rect") for row in root.iter("tr")]
    assert [bar.get("fill") for bar in bars] == [*page[:10], page[0]]
    dark = re.findall(r"data-jp-theme-light=false.*\.(g\d){fill:(#\w+)}", html)
    assert dark == list(zip([bar.get("class") for bar in bars[:10]], page[10:], strict=True))
    assert root.find("svg").get("shape-rendering") == "crispEdges"
    assert [clip.get("width") for clip in root.find("svg")] == ["1", "1"]


def test_what_was_lost_is_told():
    warning = "3.1 s of the audio could not be read: this is about the other <62.8> s."
    one = classified(BODY | {"warnings": [warning]})
    (_, told) = ET.fromstring(one._repr_html_().replace("&nbsp;", " ")).findall("div")
    assert told.text == warning
    assert str(one).endswith(warning)
    assert one.warnings == (warning,)


def test_in_a_real_kernel(environment, tmp_path):
    cells = ["from serve import classify", f"song = classify({str(PATH)!r})\nsong", "song.top"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(book, tmp_path / "book.ipynb")
    # As `jupyter execute` does it: in a process of its own, whose kernel is another one.
    program = "from nbclient.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--inplace", "--timeout=60", "book.ipynb"],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    book = nbformat.read(tmp_path / "book.ipynb", as_version=4)
    shown, top = (book.cells[n].outputs[-1]["data"] for n in (1, 2))
    assert 'class="topgenre"' in shown["text/html"]
    assert "song.mp3" in shown["text/html"]
    assert top["text/plain"] in ("'blues'", "'jazz'", "'rock'")

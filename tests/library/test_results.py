import csv
import io
import json
import os
import re

import pytest

from serve.errors import BadRequest
from serve.library.results import CsvLines, JsonLines, Lines, ResultsFile

MODEL = "a" * 64
OK = {
    "track": "songs/a.mp3",
    "id": "sha256:1",
    "video_title": 'A "song",\nin two lines; ♫',
    "top_prediction": "rock",
    "results": {"rock": 60.25, "jazz": 39.75},
    "music": 0.93,
    "tags": [{"tag": "Drum and bass", "probability": 0.4}, {"tag": "Techno", "probability": 0.1}],
    "duration_s": 20.011,
    "warnings": ["1 s was lost.", "Channels; cancelled."],
    "timeline": [{"start": 0.0, "genre": "rock", "confidence": 0.6, "music": 0.9}],
    "model": {"name": "m", "version": "1", "sha256": MODEL},
}
OTHER = OK | {"track": "b.mp3", "id": "sha256:2", "video_title": "B"}
FAILED = {"track": "c.mp3", "error": "No audio.", "code": "undecodable", "retryable": False}
LINES: dict[str, Lines] = {"json": JsonLines(), "csv": CsvLines(["jazz", "rock"])}


@pytest.fixture(params=LINES)
def lines(request):
    return LINES[request.param]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results"


def write(path, lines, *records, model=MODEL):
    with ResultsFile(path, lines, model) as results:
        for record in records:
            results.write(record)


def read(path, lines):
    text = path.read_text().removeprefix(lines.head)
    return [lines.parse(line) for line in text.splitlines(keepends=True)]


def test_results_are_known_in_the_next_run(path, lines):
    write(path, lines, OK, FAILED, OTHER)
    assert [record["track"] for record in read(path, lines)] == ["songs/a.mp3", "c.mp3", "b.mp3"]
    with ResultsFile(path, lines, MODEL) as results:
        assert results.has("sha256:1", "songs/a.mp3")
        assert not results.has("sha256:1", "b.mp3")
        assert results.get("sha256:3") is None
        known = results.get("sha256:2") or {}
        assert known["results"] == OTHER["results"]
        assert known["top_prediction"] == "rock"
        assert "track" not in known
        results.write(OK | {"track": "new.mp3", "id": "sha256:4"})
        assert results.get("sha256:4")["id"] == "sha256:4"
    # A failure is tried again: it has made room.
    assert [r["track"] for r in read(path, lines)] == ["songs/a.mp3", "b.mp3", "new.mp3"]
    assert list(path.parent.iterdir()) == [path]


def test_each_result_is_there_as_soon_as_it_is_written(path, lines):
    with ResultsFile(path, lines, MODEL) as results:
        results.write(OK)
        assert len(read(path, lines)) == 1


def test_a_line_that_was_broken_off_is_forgotten(path, lines):
    write(path, lines, OK, OTHER)
    content = path.read_bytes()
    for cut in range(1, 40, 7):
        path.write_bytes(content[:-cut])
        with ResultsFile(path, lines, MODEL) as results:
            assert results.has("sha256:1", "songs/a.mp3")
            assert not results.has("sha256:2", "b.mp3")
        assert len(read(path, lines)) == 1


def test_results_of_another_model_are_forgotten(path, lines):
    write(path, lines, OK)
    with ResultsFile(path, lines, "b" * 64) as results:
        assert results.get("sha256:1") is None
    assert read(path, lines) == []


@pytest.mark.parametrize(
    "content",
    ["my own notes\n", "a,b\n1,2\n", "{}\n", "[1]\n", "\n", "\ud800"],
)
def test_a_file_of_anything_else_is_left_alone(path, lines, content):
    before = content.encode("utf-8", "surrogatepass") + b"\n"
    path.write_bytes(before)
    with pytest.raises(BadRequest, match=r"Line 1 is not a result|other columns"):
        write(path, lines, OK)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_table_of_other_genres_is_left_alone(path):
    write(path, LINES["csv"], OK)
    before = path.read_bytes()
    with pytest.raises(BadRequest, match="other columns"):
        write(path, CsvLines(["jazz", "pop"]), OK)
    assert path.read_bytes() == before


def test_two_runs_do_not_share_a_file(path, lines):
    with ResultsFile(path, lines, MODEL) as results:
        with pytest.raises(BadRequest, match="Another run"):
            write(path, lines, OTHER)
        results.write(OK)
    write(path, lines, OTHER)
    assert len(read(path, lines)) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".", "a regular file"),
        ("nowhere/results", "No such file"),
        ("/dev/null", "a regular file"),
        ("pipe", "a regular file"),
    ],
)
def test_what_can_not_hold_results_is_said(tmp_path, monkeypatch, lines, name, text):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(BadRequest, match=text):
        write(tmp_path / name, lines, OK)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_json_that_an_editor_has_saved_is_gone_on_with(path):
    lines = LINES["json"]
    write(path, lines, OK, OTHER)
    kept = path.read_text()
    path.write_text(kept, "utf-8-sig", newline="\r\n")
    with ResultsFile(path, lines, MODEL) as results:
        assert results.has("sha256:1", "songs/a.mp3")
        assert results.has("sha256:2", "b.mp3")
    assert path.read_text() == kept


def test_a_file_keeps_its_mode_and_its_place(tmp_path, path, lines):
    write(path, lines, OK)
    path.chmod(0o640)
    (tmp_path / "link").symlink_to(path)
    write(tmp_path / "link", lines, OTHER)
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "link").is_symlink()
    assert len(read(path, lines)) == 2


def test_a_genre_may_be_called_as_a_column_is():
    lines = CsvLines(["music", "track"])
    record = OK | {"results": {"track": 80.0, "music": 20.0}, "top_prediction": "track"}
    known = lines.parse(lines.format(record))
    assert (known["track"], known["music"]) == (OK["track"], OK["music"])
    assert known["results"] == record["results"]
    assert known["tags"] == OK["tags"]
    assert known["warnings"] == OK["warnings"]


def test_a_table_is_for_others_to_read():
    lines = LINES["csv"]
    text = lines.head + lines.format(OK) + lines.format(FAILED)
    ok, failed = csv.DictReader(text.splitlines())
    assert ok == {
        "track": "songs/a.mp3",
        "id": "sha256:1",
        "video_title": 'A "song", in two lines; ♫',
        "top_prediction": "rock",
        "music": "0.93",
        "tags": "Drum and bass 0.4; Techno 0.1",
        "duration_s": "20.011",
        "jazz": "39.75",
        "rock": "60.25",
        "warnings": "1 s was lost. | Channels; cancelled.",
        "model": MODEL,
        "code": "",
        "error": "",
    }
    assert (failed["track"], failed["code"], failed["rock"]) == ("c.mp3", "undecodable", "")
    assert json.loads(LINES["json"].format(OK)) == OK


ODD = [
    *("a\rb.mp3", "a\nb", "a\vb", "a\x1cb", "a\x85b", "a\u2028b", "a\r\nb", "\tb", "a\x1b[31mb"),
    *("=1+1", "+1", "-1", "@sum", "'=1", "''=1", "'round", " =1", "\n=1", "＝1", "a,b;c", 'a"b'),
]


@pytest.mark.parametrize("track", ODD)
def test_every_name_is_one_line_and_known_again(path, lines, track):
    record = OK | {"track": track, "video_title": track}
    write(path, lines, record)
    kept = path.read_text()
    assert len(kept.splitlines()) == 1 + bool(lines.head)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", kept)
    for _ in range(2):
        with ResultsFile(path, lines, MODEL) as results:
            assert results.has("sha256:1", track)
        assert path.read_text() == kept
    if lines.head:
        row = next(csv.DictReader(kept.splitlines()))
        assert not re.match(r"\s*[=+\-@＝＋－＠]", row["track"] + row["video_title"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_that_a_spreadsheet_has_saved_is_gone_on_with(path, delimiter):
    lines = CsvLines(["jazz", "=rock"])
    records = [OK | {"results": {"=rock": 60.25, "jazz": 39.75}, "track": track} for track in ODD]
    write(path, lines, *records)
    kept = path.read_text()
    rows = [row[:-2] if row[-1] == "" else row for row in csv.reader(kept.splitlines())]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([*rows, [""] * 12])
    saved = text.getvalue()
    if delimiter == ";":
        saved = re.sub(r'"([0-9]+)\.([0-9]+)"', r'"\1,\2"', saved)
    for encoding in ("utf-8-sig", "utf-16"):
        for end in ("\r\n", "\r"):
            path.write_bytes(saved.replace("\r\n", end).encode(encoding))
            with ResultsFile(path, lines, MODEL) as results:
                assert all(results.has("sha256:1", track) for track in ODD)
                assert results.get("sha256:1")["results"] == {"=rock": 60.25, "jazz": 39.75}
            assert path.read_text() == kept


def test_no_genre_takes_another_columns_place():
    genres = ["track", "error", "track_percent", "music", "id"]
    lines = CsvLines(genres)
    record = OK | {"results": dict(zip(genres, (40.0, 30.0, 15.0, 10.0, 5.0), strict=True))}
    text = lines.head + lines.format(record)
    (row,) = csv.DictReader(text.splitlines())
    assert len(row) == len(next(csv.reader([lines.head])))
    assert (row["track"], row["error"], row["music"], row["id"]) == (
        OK["track"],
        "",
        "0.93",
        OK["id"],
    )
    assert (row["track_percent"], row["error_percent"]) == ("40.0", "30.0")
    assert lines.parse(lines.format(record))["results"] == record["results"]


@pytest.mark.parametrize("content", [b"my notes", b"\xff\xfb\x90", b"a;b"])
def test_one_line_of_anything_else_is_left_alone(path, lines, content):
    path.write_bytes(content)
    with pytest.raises(BadRequest, match="Line 1 is not a result"):
        write(path, lines, OK)
    assert path.read_bytes() == content

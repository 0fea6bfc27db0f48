"""A catalogue: what comes in, what is kept, and that a stop at any moment costs nothing twice."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from pyarrow import fs

from serve.errors import BadRequest
from serve.library.catalogue.manifest import read_manifest
from serve.library.catalogue.places import Place
from serve.library.catalogue.shards import Plan, Shards
from tests.eventually import until
from tests.library.kills import ROOT, command, interrupted, others, rows
from tests.media import music
from tests.models import write_model
from tests.process import free_port

RATE = 8000


@pytest.fixture
def run(tiny_model, monkeypatch):
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("TOPGENRE_DECODERS", "2")

    def run(*arguments, **options):
        done = subprocess.run(
            command(*arguments, **options), cwd=ROOT, timeout=60, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """12 tracks in folders, one of them none, beside what is no audio or hidden."""
    folder = tmp_path_factory.mktemp("library")
    for n in range(11):
        path = folder / f"album {n % 2}" / f"#{n} 50%.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, music(3.0, RATE, 1, seed=n).T, RATE)
    (folder / "broken.mp3").write_bytes(b"no sound")
    (folder / "cover.jpg").write_bytes(b"x")
    (folder / ".hidden.wav").write_bytes(b"x")
    return folder


def test_rows_are_what_classify_says(run, library, tmp_path):
    done = run(library, tmp_path / "out", "--shard-tracks", 5)
    assert (done.returncode, done.stdout) == (0, "")
    assert "12 tracks in" in done.stderr
    assert "3 of 3 shards are there" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("[!_]*")) == [
        f"part-{n:06}-of-000003.parquet" for n in range(3)
    ]
    found = {row["path"]: row for row in rows(tmp_path / "out")}
    assert len(found) == 12
    said = run("--json", library, name="classify").stdout.splitlines()
    assert list(others(found.values(), map(json.loads, said))) == []
    for record in map(json.loads, said):
        row = found[record["track"]]
        assert row["id"] == str(Path(record["track"]).relative_to(library))
        assert len(row["model"]) == 64
    assert [row["code"] for row in found.values() if row["code"]] == ["undecodable"]


def test_what_is_there_is_not_done_again(run, library, tmp_path):
    out = tmp_path / "out"
    run(library, out, "--shard-tracks", 5)
    files = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    lost = out / "part-000001-of-000003.parquet"
    lost.unlink()
    done = run(library, out, "--shard-tracks", 9)  # which counts for a new folder only
    assert "5 tracks in" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in out.iterdir() if path != lost} == {
        path: written for path, written in files.items() if path != lost
    }
    assert len({row["id"] for row in rows(out)}) == 12


def test_parts_are_all_of_it_once(run, library, tmp_path):
    for part in range(2):
        done = run(library, tmp_path / "out", "--shard-tracks", 3, "--of", f"{part}/2")
        assert done.returncode == 0
        assert "6 tracks in" in done.stderr
    assert len({row["id"] for row in rows(tmp_path / "out", ["id"])}) == 12
    assert run(library, tmp_path / "out", "--of", "2/2").returncode == 2


def test_another_model_or_manifest_never_mixes(run, library, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(library, out)
    before = rows(out)
    done = run(library / "album 0", out)
    assert done.returncode == 2
    assert "a catalogue of another manifest" in done.stderr
    monkeypatch.setenv("TOPGENRE_MODEL", str(write_model(tmp_path / "other.onnx", version="9")))
    done = run(library, out)
    assert done.returncode == 2
    assert "a catalogue of another model" in done.stderr
    assert rows(out) == before


def test_killed_at_any_moment_each_track_has_one_row(run, library, tmp_path):
    """SIGKILL leaves whole shards and nothing else; SIGTERM as well, with its exit code."""
    out, signals = tmp_path / "out", (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)
    working = command(library, out, "--shard-tracks", 1)
    codes = list(interrupted(working, out, signals, 3, random.Random(0)))
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 128 + signal.SIGTERM]
    assert {len(rows(path)) for path in out.glob("part-*")} == {1}
    assert run(library, out).returncode == 0
    found = rows(out)
    assert len(found) == len({row["id"] for row in found}) == 12
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_what_an_outage_left_is_done_again_where_asked(run, library, tmp_path):
    out = tmp_path / "out"
    run(library, out, "--shard-tracks", 6)
    first, other = sorted(out.glob("part-*"))
    table = pq.read_table(first)
    code = pa.array(["timeout", *[None] * 5], pa.string())
    pq.write_table(table.set_column(table.column_names.index("code"), "code", code), first)
    written = other.stat().st_mtime_ns
    assert "0 tracks in" in run(library, out).stderr
    assert "6 tracks in" in run(library, out, "--again").stderr
    assert {row["code"] for row in rows(first)} <= {None, "undecodable"}
    assert other.stat().st_mtime_ns == written


# Manifests.


def entries(name):
    manifest = read_manifest(str(name))
    return [(entry.id, entry.path) for entry in map(manifest.__getitem__, range(len(manifest)))]


def test_a_table_names_tracks_by_path_uri_or_link(tmp_path):
    (tmp_path / "songs.csv").write_text(
        "id,path\n007,a/b.mp3\n8,/c.mp3\n9,s3://m/#1 x.mp3\n10,https://youtu.be/dQw4w9WgXcQ\n"
    )
    expected = [
        ("007", f"{tmp_path}/a/b.mp3"),
        ("8", "/c.mp3"),
        ("9", "s3://m/#1 x.mp3"),
        ("10", "https://youtu.be/dQw4w9WgXcQ"),
    ]
    assert entries(tmp_path / "songs.csv") == expected
    table = pa.table({"id": [id for id, _ in expected], "uri": [path for _, path in expected]})
    pq.write_table(table, tmp_path / "songs.parquet")
    assert entries(tmp_path / "songs.parquet") == expected
    assert entries(f"file://{tmp_path}/songs.parquet") == expected


def test_a_list_is_as_that_of_classify(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"# mine\na.mp3\r\n\nb \xfc.mp3\n")
    name = os.fsdecode(b"b \xfc.mp3")
    assert entries(tmp_path / "list.txt") == [
        ("a.mp3", f"{tmp_path}/a.mp3"),
        ("b \\xfc.mp3", f"{tmp_path}/{name}"),
    ]


def test_a_folder_is_searched_as_by_classify(tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "more").mkdir()
    (tmp_path / "music" / "linked").symlink_to(tmp_path / "more")
    (tmp_path / "more" / "a.mp3").write_bytes(b"x")
    name = os.fsdecode(b"\xfc.mp3")
    (tmp_path / "music" / name).write_bytes(b"x")
    assert entries(tmp_path / "music") == [
        ("linked/a.mp3", f"{tmp_path}/music/linked/a.mp3"),
        ("\\xfc.mp3", f"{tmp_path}/music/{name}"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", "title\nx\n", "a column called path, uri or url; it has title"),
        ("x.csv", "id,path\n1,a.mp3\n1,b.mp3\n", "two tracks with the id 1"),
        ("x.csv", "id,path\n1,\n", "Row 1 has no path"),
        ("x.csv", "path\n", "no tracks"),
        ("x.parquet", "x", "x.parquet"),
        ("x.txt", "a.mp3\na.mp3\n", "two tracks with the id a.mp3"),
        ("x.txt", "\0", "not a list"),
    ],
)
def test_what_is_no_manifest_is_told(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadRequest, match=words):
        read_manifest(str(tmp_path / name))


def test_nothing_to_be_found_is_told(tmp_path):
    for name in (tmp_path, tmp_path / "missing", "nosuch://bucket/x"):
        with pytest.raises(BadRequest):
            read_manifest(str(name))


def test_a_folder_of_other_shards_is_not_begun(tmp_path):
    (tmp_path / "part-000000-of-000001.parquet").write_bytes(b"")
    (tmp_path / "list.txt").write_text("a.mp3\n")
    with pytest.raises(BadRequest, match=r"no _catalogue\.json"):
        Shards.of(Place.of(str(tmp_path)), "m", read_manifest(str(tmp_path / "list.txt")), 1)


def test_shards_hold_every_track_once():
    plan = Plan("m", "d", tracks=10, shard_tracks=4)
    numbers = [n for shard in range(plan.shards) for n in plan.tracks_of(shard)]
    assert numbers == list(range(10))


# Object storage.


@pytest.fixture
def bucket(monkeypatch):
    """A bucket called music behind S3's real interface on loopback."""
    port = free_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    system = fs.S3FileSystem(
        endpoint_override=f"http://127.0.0.1:{port}", allow_bucket_creation=True
    )
    try:
        until(lambda: _made(system), within_s=60)
        yield system
    finally:
        server.kill()
        server.wait()


def _made(system):
    try:
        system.create_dir("music")
    except OSError:
        return False
    return True


def test_object_storage_is_as_good_as_a_folder(run, library, tmp_path, bucket):
    for path in filter(Path.is_file, library.rglob("*")):
        with bucket.open_output_stream(f"music/in/{path.relative_to(library)}") as object_:
            object_.write(path.read_bytes())
    done = run("s3://music/in", "s3://music/out", "--shard-tracks", 5)
    assert done.returncode == 0, done.stderr
    run(library, tmp_path / "out")
    found = pq.read_table("music/out", filesystem=bucket).to_pylist()
    differs = {"path"}
    assert [{k: v for k, v in row.items() if k not in differs} for row in found] == [
        {k: v for k, v in row.items() if k not in differs} for row in rows(tmp_path / "out")
    ]
    bucket.delete_file("music/out/part-000001-of-000003.parquet")
    assert "5 tracks in" in run("s3://music/in", "s3://music/out").stderr


def test_an_object_that_is_missing_is_a_row(run, tmp_path, bucket):
    (tmp_path / "list.txt").write_text("s3://music/none.mp3\nhttp://example.com/x.mp3\n")
    assert run(tmp_path / "list.txt", tmp_path / "out").returncode == 0
    assert [row["code"] for row in rows(tmp_path / "out")] == ["bad_request", "not_youtube"]

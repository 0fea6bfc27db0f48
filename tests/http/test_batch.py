"""`POST /predict/batch`: many tracks, a line for each, and room for everybody else beside them."""

import io
import json
import os
import socket
import struct
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.eventually import until
from tests.http.posts import SONG, multipart
from tests.media import by_name, encode, music
from tests.server import running_server
from tests.sources.processes import downloaders
from tests.standin import Video, faults

SHORT = encode(music(3.0), by_name("flac"))
IDS = [f"batch-{n:05}" for n in range(60)]
ZIP = {"Content-Type": "application/zip"}


@pytest.fixture(scope="module")
def small(tiny_model):
    """A server with small limits."""
    with running_server(
        model=tiny_model,
        decoders=1,
        max_requests=4,
        max_batches=1,
        batch_size=4,
        batch_bytes=1 << 20,
        max_body_bytes=600_000,
    ) as running:
        yield running


def zipped(files, compression=zipfile.ZIP_DEFLATED, comment=b""):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        archive.comment = comment
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def lines_of(response):
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["cache-control"] == "no-store"
    assert response.text.endswith("\n")
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert {line["request_id"] for line in lines} == {response.headers["x-request-id"]}
    return sorted(lines, key=lambda line: line["index"])


def links(numbers):
    return [f"https://youtu.be/{IDS[n]}" for n in numbers]


def test_fifty_links(client, youtube):
    for n in range(0, 50, 2):
        youtube.add(Video(IDS[n], {140: SHORT}, title=f"T{n}", length=3))
    urls = [*links(range(49)), "https://vimeo.com/1"]
    lines = lines_of(client.post("/predict/batch", json={"urls": urls}))
    assert [line["index"] for line in lines] == list(range(50))
    assert [line["url"] for line in lines] == urls
    for n, line in enumerate(lines[:49]):
        assert line.get("video_title") == (None if n % 2 else f"T{n}")
        assert line.get("code") == ("unavailable" if n % 2 else None)
    assert lines[49]["code"] == "not_youtube"
    single = client.post("/predict", json={"url": urls[0]}).json()
    assert lines[0]["results"] == single["results"]
    assert lines[0]["timeline"] == single["timeline"]
    assert downloaders() == []


FILES = {
    "song.mp3": SONG,
    "folder/short.flac": SHORT,
    "folder/notes.txt": b"words " * 100,
    "../../etc/пароль\x07.flac": SHORT,
    "more.zip": zipped({"song.mp3": SONG}),
    "folder/": b"",
    "__MACOSX/._song.mp3": b"x",
    ".DS_Store": b"x",
}


def test_half_a_character_is_a_wrong_link_and_breaks_nothing(small):
    content = json.dumps({"urls": ["\ud800", "https://vimeo.com/\udfff"]})
    headers = {"Content-Type": "application/json"}
    with small.client() as client:
        lines = lines_of(client.post("/predict/batch", content=content, headers=headers))
    assert [line["url"] for line in lines] == ["?", "https://vimeo.com/?"]
    assert [line["code"] for line in lines] == ["bad_url", "not_youtube"]


@pytest.mark.parametrize(
    "request_",
    [
        {"content": zipped(FILES), "headers": ZIP},
        {"content": zipped(FILES, zipfile.ZIP_STORED, comment=b"music"), "headers": ZIP},
        {"content": iter([zipped(FILES)]), "headers": {"Content-Type": "application/zip; x=1"}},
        multipart("songs.zip", zipped(FILES)),
    ],
    ids=["deflated", "stored, with a comment", "chunked", "form"],
)
def test_a_zip(client, request_):
    lines = lines_of(client.post("/predict/batch", params={"include": "clips"}, **request_))
    names = [*list(FILES)[:3], "../../etc/пароль.flac", "more.zip"]
    assert [line["name"] for line in lines] == names
    codes = [line.get("code") for line in lines]
    assert codes == [None, None, "undecodable", None, "unsupported_media"]
    assert [lines[n]["video_title"] for n in (0, 1, 3)] == ["song.mp3", "short.flac", "пароль.flac"]
    single = client.post("/predict", **multipart()).json()
    assert lines[0]["results"] == single["results"]
    assert len(lines[0]["clips"]["percent"]) == len(single["timeline"])


def altered(content, at, *values):
    """A zip with bytes of its first file's entry in the directory replaced."""
    start = content.index(b"PK\x01\x02") + at
    new = b"".join(values)
    return content[:start] + new + content[start + len(new) :]


ONE = zipped({"song.mp3": SONG})
BOMB = zipped({"zeros.wav": bytes(50 << 20)})


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (altered(ONE, 8, struct.pack("<H", 1)), "unsupported_media", "encrypted"),
        (zipped({"a.mp3": SHORT}, zipfile.ZIP_LZMA), "unsupported_media", "deflated"),
        (zipped({"a.mp3": SHORT}, zipfile.ZIP_BZIP2), "unsupported_media", "deflated"),
        (altered(ONE, 16, b"\0\0\0\0"), "undecodable", "damaged here"),
        # It says that it is small, and is given as much room as it says.
        (altered(BOMB, 24, struct.pack("<L", 1000)), "undecodable", "damaged here"),
        (zipped({"big.mp3": os.urandom(610_000)}), "too_big", "600000 bytes"),
    ],
    ids=["encrypted", "lzma", "bzip2", "checksum", "lying bomb", "big file"],
)
def test_a_file_that_can_not_be_had_is_one_lines_failure(small, content, code, text):
    with small.client() as client:
        (line,) = lines_of(client.post("/predict/batch", content=content, headers=ZIP))
    assert line["code"] == code
    assert text in line["error"]


def end(content, **changes):
    """A zip with other numbers in the record at its end."""
    fields = dict(zip("nsizeo", struct.unpack("<HLL", content[-12:-2]), strict=False))
    values = [changes.get(name, fields[name]) for name in ("n", "s", "i")]
    return content[:-12] + struct.pack("<HLL", *values) + content[-2:]


MANY = zipped({f"{n}.flac": b"" for n in range(5)})


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"content": b"?", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media"),
        ({"content": b"[", "headers": {"Content-Type": "application/json"}}, 400, "bad_request"),
        ({"json": {"urls": "x"}}, 400, "bad_request"),
        ({"json": {"urls": []}}, 400, "bad_request"),
        ({"json": {"urls": ["x", 1]}}, 400, "bad_request"),
        ({"json": {"urls": ["x"] * 5}}, 413, "too_big"),
        ({"json": {"urls": ["x" * 20_000]}}, 413, "too_big"),
        ({"content": b"", "headers": ZIP}, 400, "bad_request"),
        ({"content": b"words" * 999, "headers": ZIP}, 400, "bad_request"),
        ({"content": ONE[:-30], "headers": ZIP}, 400, "bad_request"),
        ({"content": b"PK\x05\x06" + bytes(18), "headers": ZIP}, 400, "bad_request"),
        ({"content": zipped({"folder/": b""}), "headers": ZIP}, 400, "bad_request"),
        ({"content": MANY, "headers": ZIP}, 413, "too_big"),
        ({"content": end(ONE, n=9999), "headers": ZIP}, 413, "too_big"),
        ({"content": end(ONE, s=1 << 30), "headers": ZIP}, 413, "too_big"),
        ({"content": BOMB, "headers": ZIP}, 413, "too_big"),
        ({"content": bytes((1 << 20) + 70_000), "headers": ZIP}, 413, "too_big"),
        ({"content": iter([bytes(1 << 19)] * 3), "headers": ZIP}, 413, "too_big"),
        (multipart("a.zip", bytes((1 << 20) + 70_000)), 413, "too_big"),
        (multipart(field="song"), 400, "bad_request"),
        ({"json": {"urls": ["x"]}, "params": {"include": "all"}}, 400, "bad_request"),
    ],
)
def test_what_is_wrong_with_all_of_it_is_said(small, request_, status, code):
    with small.client() as client:
        response = client.post("/predict/batch", **request_)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.json()["request_id"] == response.headers["x-request-id"]
    until(lambda: small.metric("topgenre_batches_active") == 0)


def test_a_directory_of_64_bits_is_not_believed(small):
    # Its own record may say anything: where it is there, the small one does not count.
    locator = b"PK\x06\x07" + bytes(16)
    at = ONE.rindex(b"PK\x05\x06")
    with small.client() as client:
        response = client.post("/predict/batch", content=ONE[:at] + locator + ONE[at:], headers=ZIP)
    assert response.json()["error"] == "ZIP64 archives are not accepted."


def test_lines_come_as_tracks_are_done(client, youtube):
    youtube.add(Video(IDS[0], watch=faults.hang()))
    youtube.add(Video(IDS[1], {140: SHORT}, title="quick", length=3))
    body = {"urls": links([0, 1])}
    with client.stream("POST", "/predict/batch", json=body) as response:
        lines = response.iter_lines()  # when it goes, the connection does
        first = json.loads(next(lines))
        assert first["index"] == 1
        assert first["video_title"] == "quick"
        assert len(downloaders()) == 1  # the other one is still being waited for
    until(lambda: downloaders() == [])


def test_a_client_that_leaves_stops_everything(server, youtube):
    for n in range(8):
        youtube.add(Video(IDS[n], watch=faults.hang()))
    body = json.dumps({"urls": links(range(8))}).encode()
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port)) as connection:
        connection.sendall(
            b"POST /predict/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        until(lambda: len(downloaders()) == 4)  # its share
        assert server.metric("topgenre_batches_active") == 1
    until(lambda: downloaders() == [])
    until(lambda: server.metric("topgenre_batches_active") == 0)
    assert server.metric("topgenre_requests_active") == 0


def test_nothing_is_left_behind_by_a_zip_that_breaks_off(server):
    def held():
        files = [
            str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()
        ]
        return sorted(file for file in files if "(deleted)" in file and "memfd" not in file)

    before = held()
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port)) as connection:
        connection.sendall(
            b"POST /predict/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/zip\r\n"
            b"Content-Length: 100000\r\n\r\n" + ONE[:50_000]
        )
        until(lambda: len(held()) > len(before))
    until(lambda: held() == before)
    until(lambda: server.metric("topgenre_batches_active") == 0)


def test_ordinary_requests_are_taken_beside_a_batch(small, youtube):
    # Four places, of which all batches may have one.
    for n in range(4):
        youtube.add(Video(IDS[n], watch=faults.hang()))
    with (
        small.client() as client,
        client.stream("POST", "/predict/batch", json={"urls": links(range(4))}) as response,
    ):
        assert response.status_code == 200
        until(lambda: len(downloaders()) == 1)
        with ThreadPoolExecutor(3) as threads, small.client() as others:
            posted = [threads.submit(others.post, "/predict", **multipart()) for _ in range(3)]
            assert [post.result().status_code for post in posted] == [200] * 3
            refused = others.post("/predict/batch", json={"urls": ["x"]})
        assert refused.status_code == 429
        assert refused.json()["code"] == "overloaded"
        assert int(refused.headers["retry-after"]) > 0
        assert len(downloaders()) == 1
    until(lambda: small.metric("topgenre_batches_active") == 0)


def test_its_tracks_wait_where_ordinary_requests_are_refused(small, youtube):
    stop = threading.Event()
    urls = links(range(4))
    for n in range(4):
        youtube.add(Video(IDS[n], watch=faults.hang()))
    # All four places are taken by others.
    with ThreadPoolExecutor(5) as threads:

        def hold(url):
            with small.client() as client:
                headers = {"Accept": "text/event-stream"}
                request = {"json": {"url": url}, "headers": headers}
                with client.stream("POST", "/predict", **request):
                    stop.wait(30)

        held = [threads.submit(hold, url) for url in urls]
        try:
            until(lambda: small.metric("topgenre_requests_active") == 4)
            with small.client() as client:
                assert client.post("/predict", **multipart()).status_code == 429
                waiting = threads.submit(client.post, "/predict/batch", content=ONE, headers=ZIP)
                until(lambda: small.metric("topgenre_batches_active") == 1)
                stop.set()
                (line,) = lines_of(waiting.result())
        finally:
            stop.set()
        for holder in held:
            holder.result()
    assert line["video_title"] == "song.mp3"


def test_the_deadline_is_for_all_of_it(tiny_model, youtube):
    youtube.add(Video(IDS[0], watch=faults.hang()))
    youtube.add(Video(IDS[1], {140: SHORT}, title="quick", length=3))
    with (
        running_server(model=tiny_model, decoders=1, batch_deadline_s=5.0) as server,
        server.client() as client,
    ):
        lines = lines_of(client.post("/predict/batch", json={"urls": links([0, 1])}))
        assert lines[0]["code"] == "timeout"
        assert "limit of 5 s" in lines[0]["error"]
        assert lines[1]["video_title"] == "quick"
        until(lambda: downloaders() == [])
        stop = threading.Event()

        def slow():
            yield ONE[:1000]
            stop.wait(30)

        try:
            with ThreadPoolExecutor(1) as threads:
                posted = threads.submit(client.post, "/predict/batch", content=slow(), headers=ZIP)
                until(lambda: server.metric("topgenre_batches_active") == 0 and posted.running())
                stop.set()
                late = posted.result()
        finally:
            stop.set()
        assert (late.status_code, late.json()["code"]) == (504, "timeout")


def test_a_track_that_breaks_us_is_one_lines_failure(client, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr("serve.pipeline.job.aggregate", broken)
    lines = lines_of(client.post("/predict/batch", content=zipped({"a": SONG}), headers=ZIP))
    assert [line["code"] for line in lines] == ["internal"]
    assert "secret" not in json.dumps(lines)
    assert "a secret" in caplog.text

"""`POST /predict` as programs and people send it: names, forms, types, and what is no audio."""

import gzip
import io
import tarfile
import zipfile

import pytest

from tests.http.posts import SONG, multipart, raw
from tests.media import by_name, encode, music

SHORT = encode(music(3.0), by_name("mp3"))
AUDIO = b"Content-Type: audio/mpeg\r\n\r\n" + SHORT


def form(*parts):
    body = b"".join(b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts)
    return raw(body + b"--b--\r\n", "multipart/form-data; boundary=b")


def named(*names):
    return [b'name="file"; ' + name + b"\r\n" + AUDIO for name in names]


@pytest.mark.parametrize(
    ("header", "title"),
    [
        ("песня.mp3".encode(), "песня.mp3"),
        (b"%D0%BF.mp3", "п.mp3"),
        ("Ünïcode 100% ♫.mp3".encode(), "Ünïcode 100% ♫.mp3"),
        (b"caf\xe9.mp3", "café.mp3"),
        (b"caf%E9.mp3", "café.mp3"),
        ("👨‍👩‍👧.mp3".encode(), "👨‍👩‍👧.mp3"),
    ],
)
def test_a_raw_body_has_the_name_that_was_meant(client, header, title):
    headers = {"Content-Type": "audio/mpeg", "X-Filename": header}
    response = client.post("/predict", content=SHORT, headers=headers)
    assert response.json()["video_title"] == title


@pytest.mark.parametrize(
    ("name", "title"),
    [
        (b'filename="a %22b%22.mp3"', 'a "b".mp3'),  # browsers
        (rb'filename="a \"b\".mp3"', 'a "b".mp3'),  # curl
        (b'filename="a%0D%0Ab%41.mp3"', "ab%41.mp3"),
        (b"filename*=UTF-8''%D0%BF%20%22.mp3", 'п ".mp3'),
        (b"filename*=iso-8859-1'en'caf%E9.mp3", "café.mp3"),
        (b"filename=\"p.mp3\"; filename*=utf-8''%D0%BF.mp3", "п.mp3"),
        ('filename="می‌خواهم.mp3"'.encode(), "می‌خواهم.mp3"),
        (b'filename="caf\xe9.mp3"', "café.mp3"),
        (b"filename=plain.mp3", "plain.mp3"),
        (b'filename=""', "upload"),
    ],
)
def test_a_file_of_a_form_has_the_name_that_was_meant(client, name, title):
    response = client.post("/predict", **form(*named(name)))
    assert response.json()["video_title"] == title


@pytest.mark.parametrize("first", [True, False])
def test_a_field_may_be_large(client, first):
    parts = [b'name="lyrics"\r\n\r\n' + b"la " * 100_000, *named(b'filename="a.mp3"')]
    response = client.post("/predict", **form(*(parts if first else parts[::-1])))
    assert response.json()["video_title"] == "a.mp3"


@pytest.mark.parametrize("content", [b"", SHORT])
def test_two_files_are_one_too_many(client, content):
    second = b'name="file"; filename="b.mp3"\r\n\r\n' + content
    response = client.post("/predict", **form(*named(b'filename="a.mp3"'), second))
    assert response.status_code == 400
    assert response.json()["code"] == "bad_request"
    assert "more than one file" in response.json()["error"]


@pytest.mark.parametrize(
    "kind",
    [
        *("application/ogg", "application/mp4", "application/x-flac", "application/octet-stream"),
        *("binary/octet-stream", "Application/Ogg; codecs=opus", "", None),
    ],
)
def test_a_type_that_may_be_audio_is_looked_at(client, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    response = client.post("/predict", content=SHORT, headers=headers)
    assert response.json()["duration_s"] == pytest.approx(3.0, abs=0.1)


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("song.mp3", SONG)  # stored: a decoder could find it in there
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    return file.getvalue()


NOT_AUDIO = {
    "a ZIP archive": zipped(),
    "gzip": gzip.compress(SHORT),
    "a tar archive": tarred(),
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "a picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "a MIDI file": b"MThd\0\0\0\6\0\1",
    "text": "<!doctype html><title>Not found – 404</title>".encode() * 99,
}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("a picture", b"\0\0\0\x1cftypheic\0\0\0\0mif1heic"),
        ("a picture", b"RIFF\x24\0\0\0WEBPVP8 " + bytes(99)),
        ("a program", b"\x7fELF\2\1\1" + bytes(99)),
        ("text", "Ноты\r\n".encode("utf-16") + "♪".encode("utf-16-le") * 999),
    ],
)
def test_more_of_what_is_no_audio(client, kind, content):
    response = client.post("/predict", **raw(content))
    assert response.json()["error"] == f"This is {kind}, not audio."


@pytest.mark.parametrize("kind", [*NOT_AUDIO])
@pytest.mark.parametrize("type_", ["audio/mpeg", "application/zip", None])
def test_what_is_no_audio_is_called_what_it_is(client, kind, type_):
    headers = {} if type_ is None else {"Content-Type": type_}
    answers = [
        client.post("/predict", content=NOT_AUDIO[kind], headers=headers),
        client.post("/predict", **multipart("song.mp3", NOT_AUDIO[kind])),
    ]
    for response in answers:
        assert response.json()["code"] == "undecodable"
        assert response.json()["error"].startswith(f"This is {kind}")
        assert "not audio" in response.json()["error"]


def test_a_head_that_comes_in_pieces_is_put_together(client):
    pieces = iter([b"P", b"K", b"\x03\x04" + bytes(600)])
    assert "ZIP" in client.post("/predict", **raw(pieces)).json()["error"]
    response = client.post("/predict", **raw(iter([SHORT[:1], SHORT[1:300], SHORT[300:]])))
    assert response.status_code == 200


def test_a_type_that_is_no_audio_is_named(client):
    error = client.post("/predict", **raw(b"la la", "text/plain; charset=x")).json()
    assert error["code"] == "unsupported_media"
    assert "text/plain" in error["error"]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_a_compressed_body_is_called_that(client, path):
    headers = {"Content-Type": "audio/mpeg", "Content-Encoding": "gzip"}
    response = client.post(path, content=gzip.compress(SHORT), headers=headers)
    assert response.status_code == 415
    assert "Content-Encoding" in response.json()["error"]


@pytest.mark.parametrize("kind", ["application/octet-stream", None])
def test_a_zip_of_no_type_is_a_batch(client, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    response = client.post("/predict/batch", content=zipped(), headers=headers)
    assert response.json()["video_title"] == "song.mp3"

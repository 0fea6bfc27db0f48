"""Mutated HTTP requests, of every kind that the server takes."""

from __future__ import annotations

import io
import json
import random
import zipfile
from functools import cache

from tests.fuzz.files import base
from tests.fuzz.mutations import GENERAL, mutated

_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n%b\r\n--x--\r\n'
)
# What means something in a head, to be found in the wrong places.
_TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"%00", b"\xff", b"\xc3\xa9", b"\r\n\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 1e9\r\n"),
    *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n"),
    *(b"Host: a\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n"),
    *(b"Content-Type: application/json\r\n", b"Content-Encoding: gzip\r\n", b"Range: bytes=0-\r\n"),
    *(b"Accept: text/event-stream\r\n", b"Origin: null\r\n", b"X-Filename: %ff\r\n", b"HTTP/1.0"),
    *(b"ffffffffffffffff\r\n", b"0\r\n\r\n", b"--x--\r\n", b"X: " + b"y" * 9000 + b"\r\n"),
)


def _asked(line: str, *headers: str, body: bytes | None = None) -> bytes:
    # Closed after the answer, so that nobody waits for the connection's end.
    lines = [f"{line} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def _chunked(head: bytes, body: bytes) -> bytes:
    half = len(body) // 2
    parts = (body[:half], body[half:], b"")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


@cache
def whole() -> tuple[bytes, ...]:
    """Requests as they should be. None of their links is one that the server would follow."""
    song, zipped = base("wav-mulaw-8k"), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.wav", song)
    link, links = json.dumps({"url": "x"}).encode(), json.dumps({"urls": ["x", "y"]}).encode()
    as_json, as_zip = "Content-Type: application/json", "Content-Type: application/zip"
    form, audio = "Content-Type: multipart/form-data; boundary=x", "Content-Type: audio/wav"
    pages = ("/", "/info", "/docs", "/metrics", "/openapi.json", "/health/ready", "/nowhere")
    return (
        *(_asked(f"GET {page}") for page in pages),
        *(_asked(f"GET {path}?url=https://youtu.be/x") for path in ("/predict", "/check")),
        _asked("HEAD /info"),
        _asked("OPTIONS /predict", "Origin: http://a", "Access-Control-Request-Method: POST"),
        _asked("GET /info").replace(b"close", b"keep-alive") + _asked("GET /health/live"),
        _asked("POST /predict", as_json, body=link),
        _asked("POST /predict", as_json, "Accept: text/event-stream", body=link),
        _asked("POST /predict", audio, "X-Filename: a.wav", body=song),
        _asked("POST /predict", audio, "Accept: text/event-stream", body=song),
        _asked("POST /predict?include=mel,clips", form, body=_FORM % song),
        _chunked(_asked("POST /predict", audio, "Transfer-Encoding: chunked"), song),
        _asked("POST /predict/batch", as_json, body=links),
        _asked("POST /predict/batch", as_zip, body=zipped.getvalue()),
        _asked("POST /predict/batch", form, body=_FORM % zipped.getvalue()),
    )


def _token(content: bytearray, rng: random.Random) -> None:
    at = rng.randrange(min(len(content), 400) + 1)
    content[at:at] = rng.choice(_TOKENS)


def _line(content: bytearray, rng: random.Random) -> None:
    """Leave out a line of the head, say it twice, or have it change places with another."""
    head, _, rest = bytes(content).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    line = lines.pop(at) if rng.random() < 0.7 else lines[at]
    if rng.random() < 0.7:
        lines.insert(to, line)
    content[:] = b"\r\n".join([*lines, b"", b""]) + rest


def request(rng: random.Random) -> tuple[str, bytes]:
    """The first line of the whole request, and what is sent."""
    asked = rng.choice(whole())
    name = asked.partition(b"\r\n")[0].decode().removesuffix(" HTTP/1.1")
    return name, mutated(asked, rng, (*GENERAL, *7 * (_token,), *3 * (_line,)))


def upload(content: bytes) -> bytes:
    """A request, as it should be, about this file."""
    return _asked("POST /predict", "Content-Type: application/octet-stream", body=content)

"""Requests to `/predict`, and what comes back: for all tests that need one."""

import json
import socket
from pathlib import Path

import httpx

SONG = (Path(__file__).parents[1] / "data" / "song.mp3").read_bytes()


def multipart(name="song.mp3", content=SONG, field="file"):
    return {"files": {field: (name, content, "audio/mpeg")}}


def raw(content=SONG, content_type="audio/mpeg", **headers):
    return {"content": content, "headers": {"Content-Type": content_type} | headers}


def drip(stop, content=SONG):
    for at in range(0, len(content), 1000):
        yield content[at : at + 1000]
        if stop.wait(0.05):
            return


def connect(server):
    port = httpx.URL(server.url).port
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: audio/mpeg\r\n"
        b"Content-Length: 280913\r\n\r\n" + SONG[:20_000]
    )
    return connection


def events_of(response):
    for block in "".join(response.iter_text()).strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        yield fields["event"], json.loads(fields["data"])


def stream(client, **request_):
    request_.setdefault("headers", {})
    request_["headers"] = request_["headers"] | {"Accept": "text/event-stream"}
    with client.stream("POST", "/predict", **request_) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        return list(events_of(response))


def heard(connection):
    """All bytes that come until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))

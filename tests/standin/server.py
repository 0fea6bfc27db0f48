"""The stand-in's proxy and the sites behind it."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import ssl
import struct
import sys
import tempfile
import threading
import traceback
import urllib.parse
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

import trustme

from tests.standin import pages
from tests.standin.videos import Video

HOSTS = re.compile(r"([\w-]+\.)*(youtube\.com|youtube-nocookie\.com|googlevideo\.com|youtu\.be)")
#: Longest a connection may be idle, in seconds: only a broken test gets there.
IDLE_S = 60.0


@dataclass
class Request:
    """One request as it came, and what was answered."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    status: int | None = None

    @property
    def range(self) -> str | None:
        return self.headers.get("Range")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = False
    request_queue_size = 64
    allow_reuse_address = True
    standin: StandIn

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # OSError: the other side hung up
            self.standin.errors.append(traceback.format_exc())


class StandIn:
    """The stand-in, running while the context lasts."""

    def __init__(self) -> None:
        self.videos: dict[str, Video] = {}
        self.log: list[Request] = []
        """every request, in order"""
        self.refused: list[str] = []
        """what was asked of hosts that are not YouTube's"""
        self.errors: list[str] = []
        """tracebacks of the stand-in itself: a test must find none"""
        self.route: Callable[[Handler], bool] | None = None
        """tried before the stand-in's own answers"""
        self.sockets: set[socket.socket] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="standin-")
        self.ca_file = Path(self._folder.name, "ca.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(
            "youtube.com", "*.youtube.com", "*.googlevideo.com", "youtu.be"
        ).configure_cert(self.tls)
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.standin = self
        self.proxy = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def env(self) -> dict[str, str]:
        """The environment in which a program takes the stand-in for YouTube."""
        return {"HTTPS_PROXY": self.proxy, "SSL_CERT_FILE": str(self.ca_file)}

    def add(self, video: Video) -> Video:
        self.videos[video.id] = video
        return video

    def reset(self) -> None:
        """Forget the videos and what was asked."""
        self.videos.clear()
        self.log.clear()
        self.refused.clear()
        self.route = None

    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [request.path for request in list(self.log)]

    def audio(self) -> list[Request]:
        """The requests for audio, in order."""
        return [request for request in list(self.log) if request.path == "/videoplayback"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        for connection in list(self.sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
        self._server.server_close()
        self._folder.cleanup()


class Handler(BaseHTTPRequestHandler):
    """One connection: first to the proxy, after CONNECT to one of YouTube's hosts."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True
    server: _Server
    request_line: Request
    host: str | None = None

    @property
    def standin(self) -> StandIn:
        return self.server.standin

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.standin.sockets.add(self.connection)

    def finish(self) -> None:
        self.standin.sockets.discard(self.connection)
        try:
            super().finish()
        finally:
            self.rfile.close()
            self.connection.close()

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        if port != "443" or not HOSTS.fullmatch(host):
            self.standin.refused.append(self.path)
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        plain = self.connection
        self.rfile.close()
        self.wfile.close()
        self.standin.sockets.discard(plain)
        self.connection = self.standin.tls.wrap_socket(plain, server_side=True)
        self.standin.sockets.add(self.connection)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.host = host
        self.close_connection = False

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        if self.host is None:  # plain HTTP, which YouTube does not speak
            self.standin.refused.append(f"{self.command} {self.path}")
            self.reply(403)
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the other side is gone in the middle of its request")
        self.request_line = Request(
            self.command,
            self.host,
            url.path,
            dict(urllib.parse.parse_qsl(url.query)),
            dict(self.headers),
            json.loads(body) if body else {},
        )
        self.standin.log.append(self.request_line)
        if not (self.standin.route and self.standin.route(self)):
            self._route()

    do_POST = do_GET  # noqa: N815 - the base class looks for this name

    # answers, for the stand-in itself and for faults

    def reply(
        self, status: int, body: str | dict[str, Any] = "", *, location: str | None = None
    ) -> bool:
        """Answer with a page, or with JSON."""
        kind = "text/html" if isinstance(body, str) else "application/json"
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        if self.host is not None:
            self.request_line.status = status
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        self.send(data)
        return True

    def audio_head(self, start: int, end: int, total: int, length: int | None = None) -> None:
        """The head of an answer with these bytes of audio, or `length` bytes."""
        self.request_line.status = 206
        self.send_response(206)
        self.send_header("Content-Type", "audio/mp4")
        self.send_header("Content-Length", str(end - start + 1 if length is None else length))
        self.send_header("Content-Range", f"bytes {start}-{end}/{total}")
        self.end_headers()

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def reset(self) -> bool:
        """Break the connection off with a reset."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        return True

    def wait_for_hangup(self) -> bool:
        """Say nothing more until the other side is gone."""
        self.close_connection = True
        self.connection.recv(1)
        return True

    # YouTube

    def _route(self) -> None:
        asked = self.request_line
        if asked.host.endswith("googlevideo.com"):
            self._audio()
        elif asked.path == "/watch":
            self._watch(asked.query["v"])
        elif asked.path == "/youtubei/v1/player":
            self._player(asked.body)
        elif asked.path == "/youtubei/v1/next":
            self.reply(200, {"contents": {"twoColumnWatchNextResults": {}}})
        elif asked.path.startswith("/embed/"):
            self.reply(200, pages.embed())
        elif asked.path == pages.PLAYER_PATH:
            self.reply(200, pages.PLAYER)
        elif asked.path == "/iframe_api":
            self.reply(200, pages.IFRAME_API)
        else:
            self.reply(404)

    def _watch(self, video_id: str) -> None:
        video = self.standin.videos.get(video_id)
        if video is None:
            self.reply(200, pages.watch(pages.unavailable(video_id)))
        elif not (video.watch and video.watch(self)):
            self.reply(200, pages.watch(video.player_response("WEB")))

    def _player(self, body: dict[str, Any]) -> None:
        video = self.standin.videos.get(body["videoId"])
        if video is None:
            self.reply(200, pages.unavailable(body["videoId"]))
        elif not (video.player and video.player(self)):
            client = body["context"]["client"]["clientName"]
            self.reply(200, video.player_response(client))

    def _audio(self) -> None:
        query = self.request_line.query
        video = self.standin.videos.get(query.get("id", ""))
        media = video.media.get(int(query.get("itag", 0))) if video else None
        if video is None or media is None:
            self.reply(404)
            return
        if not video.solved(query):
            self.reply(403)
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.request_line.range or "")
        start, end = (int(asked[1]), int(asked[2])) if asked else (0, len(media) - 1)
        end = min(end, len(media) - 1)
        if start > end:
            self.reply(416)
        elif not (video.fault and video.fault(self, media, start, end)):
            self.audio_head(start, end, len(media))
            self.send(media[start : end + 1])

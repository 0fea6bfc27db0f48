"""One job with made-up answers instead of YouTube's, so that the next one finds all of it warm.

yt-dlp loads its extractor, compiles its patterns and asks for deno's version when it first needs
them, which is most of what a job costs. Imports yt_dlp: for the child only.
"""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from serve.sources.youtube import runner
from serve.sources.youtube.messages import DownloadJob, YouTubeOptions

_ID = "0" * 11
_AUDIO = bytes(1 << 10)
_PLAYER = {
    "playabilityStatus": {"status": "OK"},
    "videoDetails": {
        "videoId": _ID,
        "title": "Rehearsal",
        "lengthSeconds": "60",
        "isLiveContent": False,
    },
    "streamingData": {
        "adaptiveFormats": [
            {
                "itag": 140,
                "url": "https://rehearsal.googlevideo.com/videoplayback",
                "mimeType": 'audio/mp4; codecs="mp4a.40.2"',
                "contentLength": str(len(_AUDIO)),
            }
        ]
    },
}
_PAGE = f"""<script>ytcfg.set({{"STS": 20000}});</script>
<script>var ytInitialPlayerResponse = {json.dumps(_PLAYER)};</script>
<script>var ytInitialData = {{"contents": {{"twoColumnWatchNextResults": {{}}}}}};</script>"""
_ANSWERS = {
    "/watch": (200, {}, _PAGE.encode()),
    "/youtubei/v1/player": (200, {}, json.dumps(_PLAYER).encode()),
    "/videoplayback": (
        206,
        {"Content-Range": f"bytes 0-{len(_AUDIO) - 1}/{len(_AUDIO)}"},
        _AUDIO,
    ),
}


def rehearse() -> int:
    """Do it, and leave nothing but what is loaded; 0 if it went well to its end."""
    with _no_network():
        return runner.run(DownloadJob(_ID, YouTubeOptions()), io.BytesIO())


@contextmanager
def _no_network() -> Iterator[None]:
    """Meanwhile `requests` gets its answers from here, and no host has an address.

    A request handler registered with yt-dlp could not be taken back, and would leave yt-dlp's own,
    which is what has to be warm, unused.
    """

    def answer(self: HTTPAdapter, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        path = urlsplit(request.url or "").path
        status, headers, body = _ANSWERS.get(str(path), (404, {}, b""))
        raw = urllib3.HTTPResponse(
            io.BytesIO(body), headers, status, preload_content=False, request_method=request.method
        )
        return self.build_response(request, raw)

    def nowhere(*_: object, **__: object) -> Any:
        raise socket.gaierror("a rehearsal goes nowhere")

    send, lookup = HTTPAdapter.send, socket.getaddrinfo
    HTTPAdapter.send, socket.getaddrinfo = answer, nowhere  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        HTTPAdapter.send, socket.getaddrinfo = send, lookup  # type: ignore[method-assign]

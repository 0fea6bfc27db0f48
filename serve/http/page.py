"""The page, its files, and the check of links while they are typed."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serve.errors import BadRequest, TopgenreError
from serve.http.replies import error_response
from serve.sources.youtube import video_id

_WEB = Path(__file__).parent / "web"
_INDEX = "index.html"
# Stands in the page where its files' address goes.
_VERSION = "{version}"
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is sent: plain for those who can't unpack it, and packed."""

    media_type: str
    plain: bytes
    packed: bytes
    etag: str


@cache
def _files() -> tuple[str, dict[str, _File]]:
    """The files' version, and every file by its path under web/; read when first asked for."""
    contents = {
        path.relative_to(_WEB).as_posix(): path.read_bytes()
        for path in sorted(_WEB.rglob("*"))
        if path.is_file()
    }
    # Their address changes when one of them does.
    version = hashlib.sha256(b"".join(contents.values())).hexdigest()[:16]
    contents[_INDEX] = contents[_INDEX].replace(_VERSION.encode(), version.encode())
    return version, {name: _file(name, content) for name, content in contents.items()}


def _file(name: str, content: bytes) -> _File:
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    packed = gzip.compress(content, mtime=0)
    # Weak: packed or not, it is the same.
    return _File(kind, content, packed, f'W/"{hashlib.sha256(content).hexdigest()[:32]}"')


async def page(request: Request) -> Response:
    """The page: small, and asked for anew each time."""
    return _sent(request, _files()[1][_INDEX], "no-cache")


async def asset(request: Request) -> Response:
    """One of the page's files, under an address that names their version."""
    version, files = _files()
    file = files.get(request.path_params["name"])
    if file is None:
        raise HTTPException(404)
    # A page from before an upgrade may still ask; what it gets must not be kept under that name.
    current = request.path_params["version"] == version
    return _sent(request, file, _FOREVER if current else "no-cache")


def _sent(request: Request, file: _File, caching: str) -> Response:
    headers = {"Cache-Control": caching, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, headers=headers, media_type=file.media_type)
    return Response(file.plain, headers=headers, media_type=file.media_type)


async def check(request: Request) -> Response:
    """Whether a link is one that would be taken, in `predict`'s own words; nothing is fetched."""
    url = request.query_params.get("url")
    try:
        if url is None:
            raise BadRequest("The address lacks a url to check.")
        found = video_id(url)
    except TopgenreError as error:
        return error_response(error, request.state.request_id)
    return JSONResponse({"id": found, "url": f"https://www.youtube.com/watch?v={found}"})


#: The page and its files: what a browser gets, no part of the API.
PAGE_ROUTES = [
    Route("/", page),
    Route("/web/{version}/{name:path}", asset),
]

"""Serves a page and its files: compressed, and cached by browsers until they change."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

# Placeholder in the page for the version of its files.
_VERSION = b"{version}"
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    """A file to send, compressed and, for clients without gzip, uncompressed."""

    media_type: str
    plain: bytes
    packed: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class _Folder:
    """Every file by its path in the folder; `version` changes when any of them changes."""

    version: str
    files: dict[str, _File]


class PageFiles:
    """The endpoints of a page and the files of its folder, which are read on the first request.

    The route of the files has the path parameters `version` and `name`.
    """

    def __init__(self, folder: Path, page: str) -> None:
        self._path = folder
        self._page = page
        self._folder: _Folder | None = None

    async def page(self, request: Request) -> Response:
        """The page, which browsers revalidate every time."""
        folder = await self._read()
        return _sent(request, folder.files[self._page], "no-cache")

    async def file(self, request: Request) -> Response:
        """One of the folder's files, at a URL that contains their version."""
        folder = await self._read()
        file = folder.files.get(request.path_params["name"])
        if file is None:
            raise HTTPException(404)
        # A page from before an upgrade may ask for an old version: do not cache this file as that.
        current = request.path_params["version"] == folder.version
        return _sent(request, file, _FOREVER if current else "no-cache")

    async def _read(self) -> _Folder:
        if self._folder is None:
            # In a thread: compressing megabytes would block all other requests.
            self._folder = await asyncio.to_thread(_packed, self._path, self._page)
        return self._folder


def _packed(folder: Path, page: str) -> _Folder:
    contents = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    version = hashlib.sha256(b"".join(contents.values())).hexdigest()[:16]
    contents[page] = contents[page].replace(_VERSION, version.encode())
    return _Folder(version, {name: _file(name, content) for name, content in contents.items()})


def _file(name: str, content: bytes) -> _File:
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    packed = gzip.compress(content, mtime=0)
    # Weak, because it is the same for the compressed and the uncompressed file.
    return _File(kind, content, packed, f'W/"{hashlib.sha256(content).hexdigest()[:32]}"')


def _sent(request: Request, file: _File, caching: str) -> Response:
    headers = {"Cache-Control": caching, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(file.packed, headers=headers, media_type=file.media_type)
    return Response(file.plain, headers=headers, media_type=file.media_type)


_FOLDER = Path(__file__).parent
_WEB = PageFiles(_FOLDER / "web", "index.html")
# Swagger UI over `/openapi.json`, made by deploy/vendor.py; `page.html` and `start.js` are ours.
_SWAGGER = PageFiles(_FOLDER / "swagger", "page.html")

#: The pages and their files, for browsers; not part of the API.
PAGE_ROUTES = [
    Route("/", _WEB.page),
    Route("/web/{version}/{name:path}", _WEB.file),
]
DOCS_ROUTES = [
    Route("/docs", _SWAGGER.page),
    Route("/web/docs/{version}/{name:path}", _SWAGGER.file),
]

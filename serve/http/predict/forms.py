"""`/predict`: turns a request of any form into a source of audio, and classifies it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from serve.answer import Answer, Progress
from serve.errors import BadRequest, TooBig, UnsupportedMedia
from serve.http.predict.departure import Visit
from serve.http.predict.multipart import FORM_BYTES, read_form_file
from serve.http.predict.pace import steady
from serve.pipeline import Pipeline
from serve.sources.stream import AudioSource, SourceInfo
from serve.sources.upload import UploadSource
from serve.text import decoded, safe

# Enough for a JSON request with one URL.
_MAX_JSON_BYTES = 16 << 10
_MAX_TITLE = 200

#: Media types that say nothing about a body; the first stands for a missing type.
UNNAMED = ("", "application/octet-stream", "binary/octet-stream")


async def classify_request(
    request: Request, visit: Visit, pipeline: Pipeline, on_progress: Callable[[Progress], None]
) -> Answer:
    """Classify the track of a request, whatever its form, in time; raises TopgenreError."""
    settings = pipeline.settings
    paced = steady(visit.body(), settings.client_rate_bytes, settings.client_timeout_s)
    async with aclosing(paced) as body:
        return await pipeline.classify(_source(request, body, pipeline), on_progress)


async def _source(request: Request, body: AsyncIterator[bytes], pipeline: Pipeline) -> AudioSource:
    if request.method == "GET":
        return pipeline.linked(_link_of(request))
    settings = pipeline.settings
    content_type = request.headers.get("content-type", "")
    kind = media_type(request)
    size = announced_size(request)
    if kind == "application/json":
        return pipeline.linked(_url_of(await json_body(body, _MAX_JSON_BYTES)))
    if size is not None and size > settings.max_body_bytes + FORM_BYTES:
        raise TooBig(f"The file is larger than the limit of {settings.max_body_bytes} bytes.")
    if kind == "multipart/form-data":
        file = await read_form_file(content_type, body, settings.max_body_bytes)
        info = SourceInfo(clean_title(file.name), size_bytes=size)
        return UploadSource(info, file.blocks, settings.max_body_bytes)
    if _may_be_audio(kind):
        info = SourceInfo(clean_title(_filename(request)), size_bytes=size)
        return UploadSource(info, body, settings.max_body_bytes)
    raise UnsupportedMedia(
        f"A body of type {safe(kind)[:60]} is not accepted. {UnsupportedMedia.text}"
    )


def _link_of(request: Request) -> str:
    """The request's `url`; BadRequest if it is missing, or if no user or script asked for it.

    Any page may link to this address, and scripts may fetch it as they may POST. But each answer
    costs a download, so prefetching browsers are refused, as are other pages that embed the address
    as an image, a script or a frame (W3C Fetch Metadata; older browsers do not send it).
    """
    headers = request.headers
    ahead = (headers.get(name, "") for name in ("sec-purpose", "purpose", "x-moz"))
    if any("prefetch" in purpose or "preview" in purpose for purpose in ahead):
        raise BadRequest("This can't be prefetched: it is answered only when it is asked for.")
    if headers.get("sec-fetch-site", "") in ("cross-site", "same-site"):
        meant = headers.get("sec-fetch-mode") == "cors" or (
            headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest", "document") == "document"
        )
        if not meant:
            raise BadRequest("Other pages may link to this or fetch it, but not embed it.")
    urls = request.query_params.getlist("url")
    if len(urls) != 1:
        raise BadRequest("The address must have exactly one url.")
    return urls[0]


def _may_be_audio(kind: str) -> bool:
    """Whether to read a body of this type; many audio types begin with `application/`, too."""
    if kind == "application/x-www-form-urlencoded":
        return False
    return kind in UNNAMED or kind.startswith(("audio/", "video/", "application/"))


def _filename(request: Request) -> str:
    """The name in X-Filename, plain or percent-encoded."""
    # Starlette decodes headers as Latin-1.
    return decoded(unquote_to_bytes(request.headers.get("x-filename", "").encode("latin-1")))


def media_type(request: Request) -> str:
    """The type of the request's body, without parameters; "" if it has none.

    Raises UnsupportedMedia if the body has a Content-Encoding.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMedia(
            "A body with a Content-Encoding is not accepted; send it uncompressed."
        )
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def announced_size(request: Request) -> int | None:
    """The size of the request's body in bytes, if it is announced."""
    size = request.headers.get("content-length", "")
    return int(size) if size.isascii() and size.isdigit() else None


async def json_body(body: AsyncIterator[bytes], max_bytes: int) -> Any:
    """The body as JSON; raise TooBig or BadRequest."""
    content = b""
    async for block in body:
        content += block
        if len(content) > max_bytes:
            raise TooBig(f"The JSON is larger than the limit of {max_bytes} bytes.")
    if not content.strip():
        raise BadRequest("The body is empty; JSON was expected.")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None


def _url_of(request: Any) -> str:
    url = request.get("url") if isinstance(request, dict) else None
    if not isinstance(url, str):
        raise BadRequest('The body must be a JSON object with a text "url".')
    return url


def clean_title(name: str) -> str:
    """The part of an uploaded file's name that is safe to show."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return safe(last)[:_MAX_TITLE] or "upload"

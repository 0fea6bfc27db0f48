"""Reads the tracks of a batch: links in JSON, or a zip of files."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import IO, Any

from starlette.requests import Request

from serve.errors import BadRequest, TooBig, TopgenreError, UnsupportedMedia
from serve.http.predict.departure import Visit
from serve.http.predict.forms import UNNAMED, announced_size, clean_title, json_body, media_type
from serve.http.predict.multipart import FORM_BYTES, read_form_file
from serve.http.predict.pace import steady
from serve.pipeline import Pipeline
from serve.sources.archive import Limits, ZipSource, open_zip
from serve.sources.stream import AudioSource
from serve.text import safe

_ZIP = ("application/zip", "application/x-zip-compressed", *UNNAMED)
# Most bytes of one URL, with its JSON syntax.
_URL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class BatchTrack:
    """A track of a batch: the first fields of its line, and its source or its error."""

    labels: dict[str, Any]
    source: AudioSource | TopgenreError


async def read_tracks(
    request: Request, visit: Visit, pipeline: Pipeline, stack: AsyncExitStack
) -> list[BatchTrack]:
    """Read a batch; resources that its tracks need are left on the stack.

    Raises a TopgenreError if the batch as a whole is invalid.
    """
    settings = pipeline.settings
    kind, size = media_type(request), announced_size(request)
    paced = steady(visit.body(), settings.client_rate_bytes, settings.client_timeout_s)
    async with aclosing(paced) as body:
        if kind == "application/json":
            return _links(await json_body(body, settings.batch_size * _URL_BYTES), pipeline)
        if size is not None and size > settings.batch_bytes + FORM_BYTES:
            raise _too_big(settings.batch_bytes)
        blocks: AsyncIterator[bytes] = body
        if kind == "multipart/form-data":
            blocks = (
                await read_form_file(request.headers["content-type"], body, settings.batch_bytes)
            ).blocks
        elif kind not in _ZIP:
            raise UnsupportedMedia("Send JSON with urls, or a zip of files, in a form or as it is.")
        # A file without a name: it vanishes however this ends.
        file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        await _store(blocks, file, settings.batch_bytes)
    limits = Limits(settings.batch_size, settings.batch_bytes, settings.max_body_bytes)
    archive, entries = await asyncio.to_thread(open_zip, file, limits)
    stack.enter_context(archive)
    return [
        BatchTrack(
            {"index": n, "name": safe(entry.filename)},
            ZipSource(archive, entry, clean_title(entry.filename), limits),
        )
        for n, entry in enumerate(entries)
    ]


def _links(asked: Any, pipeline: Pipeline) -> list[BatchTrack]:
    urls = asked.get("urls") if isinstance(asked, dict) else None
    if not (isinstance(urls, list) and urls and all(isinstance(url, str) for url in urls)):
        raise BadRequest('The body must be a JSON object with a list "urls" of texts.')
    if len(urls) > (limit := pipeline.settings.batch_size):
        raise TooBig(f"There are more links than the limit of {limit}.")
    return [
        BatchTrack({"index": n, "url": _encodable(url)}, _video(url, pipeline))
        for n, url in enumerate(urls)
    ]


def _video(url: str, pipeline: Pipeline) -> AudioSource | TopgenreError:
    try:
        return pipeline.linked(url)
    except TopgenreError as error:
        return error


def _encodable(url: str) -> str:
    # JSON may hold lone surrogates, which can't be sent back.
    return url.encode("utf-8", "replace").decode()


async def _store(blocks: AsyncIterator[bytes], file: IO[bytes], max_bytes: int) -> None:
    size = 0
    async for block in blocks:
        size += len(block)
        if size > max_bytes:
            raise _too_big(max_bytes)
        await asyncio.to_thread(file.write, block)


def _too_big(max_bytes: int) -> TooBig:
    return TooBig(f"The zip is larger than the limit of {max_bytes} bytes.")

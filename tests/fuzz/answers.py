"""What a server has answered: codes, or something that is none."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any

import httptools

from serve.errors import ERRORS

#: Codes of answers that are no errors, and of none where none was due.
OK, UNFINISHED = "ok", "(unfinished request)"
_STATUSES = {error.status for error in ERRORS.values()}


class Untyped(Exception):
    """An answer that is no answer of ours, or none where there should be one; says why."""


class _Requests:
    """What was sent, as a server reads it: the methods of its requests."""

    def __init__(self, sent: bytes) -> None:
        self.methods: list[str] = []
        self.is_http = True
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(sent)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError:
            self.is_http = False

    def on_headers_complete(self) -> None:
        self.methods.append(self._parser.get_method().decode())


class _Received(io.BytesIO):
    def makefile(self, *_: Any) -> _Received:
        return self

    def close(self) -> None:
        """Stay open: the next answer comes from it, too."""


def codes(sent: bytes, got: bytes) -> list[str]:
    """The code of each answer in what came back; of a batch, of each of its lines.

    Raises Untyped where one has none, and where none came although a head was sent.
    """
    asked, received = _Requests(sent), _Received(got)
    found: list[str] = []
    for method in (*asked.methods, "GET"):  # and one about what is no HTTP
        if received.tell() < len(got):
            found += _answer(received, method)
    if received.tell() < len(got):
        raise Untyped(f"more answers than requests: {got[received.tell() :][:80]!r}")
    if not found and (asked.methods or not asked.is_http):
        raise Untyped("no answer")
    return found or [UNFINISHED]


def _answer(received: _Received, method: str) -> Iterator[str]:
    response = HTTPResponse(received, method=method)  # type: ignore[arg-type]
    try:
        response.begin()
        body = response.read()
    except HTTPException as error:
        raise Untyped(f"no whole answer: {error!r}") from None
    if method == "HEAD" or response.status < 300:
        yield from _of_no_error(response, body)
    elif response.status >= 400:
        yield _code(body, response.status)
    else:
        yield OK


def _of_no_error(response: HTTPResponse, body: bytes) -> Iterator[str]:
    kind = response.headers.get_content_type()
    if response.status not in {200, 204} | _STATUSES:
        raise Untyped(f"status {response.status}")
    if kind == "application/x-ndjson":
        yield from (_code(line) for line in body.splitlines())
    elif kind == "text/event-stream":
        yield _code(body.strip().splitlines()[-1].removeprefix(b"data: "))
    else:
        yield OK


def _code(text: bytes, status: int | None = None) -> str:
    """The code in a JSON object; one without is no error, where there is no status of one."""
    try:
        said = json.loads(text)
        code = said["code"] if status or "code" in said else OK
    except (ValueError, TypeError, KeyError):
        raise Untyped(f"status {status} with {text[:80]!r}") from None
    if code == "internal" or code not in {OK, *ERRORS}:
        raise Untyped(f"{code}: {said}")
    if status and (code == OK or status != ERRORS[code].status):
        raise Untyped(f"{code} with status {status}")
    return str(code)

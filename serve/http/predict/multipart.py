"""Streams the file of a multipart form while it arrives; it is never written to disk."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from serve.errors import BadRequest, TooBig
from serve.text import decoded

#: Most bytes by which a form's announced size may exceed the limit for its file.
FORM_BYTES = 64 << 10
_FIELD = b"file"
# A name as in RFC 5987, which the parser ignores because forms should not use it.
_EXTENDED = re.compile(rb";\s*filename\*\s*=\s*[\w-]+'[^']*'([^;\s]+)", re.IGNORECASE)
# How browsers escape line breaks in names (WHATWG HTML, section 4.10.21.8).
_BREAKS = re.compile(b"%0[DA]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FormFile:
    """The form's `file`: its name, and its bytes, which can be iterated once."""

    name: str
    blocks: AsyncIterator[bytes]


async def read_form_file(content_type: str, body: AsyncIterator[bytes], max_bytes: int) -> FormFile:
    """Read a form up to the start of its `file` part.

    Iterating the file's blocks reads on, and past the file to the end of the form. Raises
    BadRequest (also while iterating) if the body is not a form, or has no `file` part or more than
    one, and TooBig if the data before or after the file exceeds `max_bytes`.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadRequest("The form has no boundary.")
    form = _Form(boundary)
    read = 0
    async for block in body:
        read += len(block)
        form.feed(block)
        if form.name is not None:
            return FormFile(form.name, form.blocks(body, max_bytes))
        if read > max_bytes:
            raise TooBig(
                f"What comes before the form's file exceeds the limit of {max_bytes} bytes."
            )
    raise BadRequest("The form has no file in a field named `file`.")


class _Form:
    def __init__(self, boundary: bytes) -> None:
        self.name: str | None = None
        self._in_file = False
        self._complete = False
        self._header_name = b""
        self._header_value = b""
        self._data: deque[bytes] = deque()
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, block: bytes) -> None:
        try:
            self._parser.write(block)
        except MultipartParseError as error:
            raise BadRequest("The form is malformed.") from error

    async def blocks(self, body: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
        while self._data:
            yield self._data.popleft()
        rest = 0
        async for block in body:
            rest += 0 if self._in_file else len(block)
            if rest > max_bytes:
                raise TooBig(
                    f"What comes after the form's file exceeds the limit of {max_bytes} bytes."
                )
            self.feed(block)
            while self._data:
                yield self._data.popleft()
        if not self._complete:
            raise BadRequest("The form ends in the middle of its file.")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._on_disposition(self._header_value)
        self._header_name = self._header_value = b""

    def _on_disposition(self, value: bytes) -> None:
        _, options = parse_options_header(value)
        if options.get(b"name") != _FIELD:
            return
        if self.name is not None:
            raise BadRequest("The form has more than one file; send each in a request of its own.")
        self.name = _filename(value, options.get(b"filename", b""))
        self._in_file = True

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._data.append(data[start:end])

    def _on_part_end(self) -> None:
        self._in_file = False

    def _on_end(self) -> None:
        self._complete = True


def _filename(disposition: bytes, plain: bytes) -> str:
    """The file's name: the extended one if present, otherwise the plain one."""
    if extended := _EXTENDED.search(disposition):
        return decoded(unquote_to_bytes(extended[1]))
    return decoded(_BREAKS.sub(b"", plain).replace(b"%22", b'"'))

"""The file of a multipart form, handed on while it arrives; it never lies on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from serve.errors import BadRequest

#: What a form may add to its file: parts before it, and the headers of all parts.
FORM_BYTES = 64 << 10
_FIELD = b"file"


@dataclass(frozen=True, slots=True)
class FormFile:
    """The form's `file`: the name that its sender gave it, and its bytes, once."""

    name: str
    blocks: AsyncIterator[bytes]


async def read_form_file(content_type: str, body: AsyncIterator[bytes]) -> FormFile:
    """Read a form up to the start of its `file` part.

    Iterating the file's blocks reads on, and past the file to the end of the form. Raises
    BadRequest (also while iterating) where the body is no form or has no such part.
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
            return FormFile(form.name, form.blocks(body))
        if read > FORM_BYTES:
            break
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
            raise BadRequest("The form is broken.") from error

    async def blocks(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        while self._data:
            yield self._data.popleft()
        rest = 0
        async for block in body:
            rest += 0 if self._in_file else len(block)
            if rest > FORM_BYTES:
                raise BadRequest("The form goes on for too long after its file.")
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
        if self.name is None and self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(self._header_value)
            if options.get(b"name") == _FIELD:
                self.name = options.get(b"filename", b"").decode("utf-8", "replace")
                self._in_file = True
        self._header_name = self._header_value = b""

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._data.append(data[start:end])

    def _on_part_end(self) -> None:
        self._in_file = False

    def _on_end(self) -> None:
        self._complete = True

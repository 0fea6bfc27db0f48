"""Clients that no library makes: slow ones, and floods of requests that wait for no answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager, suppress

import httpx

# Between the bytes of a slow client, in seconds.
_BYTE_S = 0.1
# Far longer than the server may bear a slow client, or take for a flood.
_PATIENCE_S = 60.0
# Requests of one connection: as many as are read and counted, and far more than are answered.
_COUNTED, _UNREAD = 200, 5_000
_READERS, _LEAVERS = 2, 6
# After which who reads nothing leaves, in seconds.
_LEAVES_S = 2.0
_SMALL_BUFFER = 1 << 16
_INFO = b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n"


def upload_head(content: bytes) -> bytes:
    """The head of the request that sends this."""
    head = (
        "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode()


async def drip(port: int, request: bytes, at_once: int) -> httpx.Response | None:
    """Send so many bytes at once and the rest in a drip; None where the server just hangs up.

    TimeoutError where it does neither.
    """
    async with asyncio.timeout(_PATIENCE_S), _connected(port) as (reader, writer):
        answer = asyncio.create_task(reader.read())
        try:
            writer.write(request[:at_once])
            for byte in request[at_once:]:
                await asyncio.wait((answer,), timeout=_BYTE_S)
                if answer.done():
                    break
                writer.write(bytes((byte,)))
            with suppress(ConnectionError):
                return _response(await answer)
        finally:
            answer.cancel()
    return None


async def flood(port: int) -> list[str]:
    """Send requests ahead on several connections, and read only some; which were not answered."""
    reading = [_read_all(port) for _ in range(_READERS)]
    leaving = [_leave(port) for _ in range(_LEAVERS)]
    return [word for word in await _all(reading + leaving) if word]


async def _all(words: Iterable[Awaitable[str]]) -> list[str]:
    return await asyncio.gather(*words)


async def _read_all(port: int) -> str:
    found = 0
    try:
        async with asyncio.timeout(_PATIENCE_S), _connected(port) as (reader, writer):
            writer.write(_INFO * _COUNTED)
            while found < _COUNTED and (line := await reader.readline()):
                # An answer ends with no line's end: the next begins behind it.
                found += line.rstrip().endswith(b"HTTP/1.1 200 OK")
    except (OSError, TimeoutError) as error:
        return f"{found} of {_COUNTED} answers, then {error!r}"
    return "" if found == _COUNTED else f"{found} of {_COUNTED} answers"


async def _leave(port: int) -> str:
    with suppress(OSError):
        async with _connected(port, _SMALL_BUFFER) as (_, writer):
            writer.write(_INFO * _UNREAD)
            await asyncio.sleep(_LEAVES_S)
    return ""


@asynccontextmanager
async def _connected(
    port: int, buffer: int | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    taken = socket.socket()
    taken.setblocking(False)
    if buffer:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    try:
        await asyncio.get_running_loop().sock_connect(taken, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=taken, limit=_SMALL_BUFFER)
    except BaseException:
        taken.close()
        raise
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def _response(answer: bytes) -> httpx.Response | None:
    if not answer:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(first.split()[1]), headers=headers, content=body)

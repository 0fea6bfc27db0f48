"""The head of an answer goes out in one write with what follows it."""

import asyncio
import socket
from unittest.mock import Mock

import httpx
import pytest

from serve.http.held_head import HeldHead


class Written(asyncio.Transport):
    """A transport that keeps what is written at once, each time."""

    def __init__(self):
        super().__init__()
        self.writes = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.writes.append(data)

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True


def test_a_head_goes_out_with_what_follows_at_once():
    async def main():
        transport = Written()
        held = HeldHead(transport, asyncio.get_running_loop(), transport.close)
        held.write(b"head ")
        assert transport.writes == []
        held.write(b"body")
        assert transport.writes == [b"head body"]
        held.write(b"more")
        await asyncio.sleep(0)
        assert transport.writes == [b"head body", b"more"]

    asyncio.run(main())


def test_a_head_waits_for_nothing_else():
    async def main():
        transport = Written()
        held = HeldHead(transport, asyncio.get_running_loop(), transport.close)
        held.write(b"head")
        await asyncio.sleep(0)
        assert transport.writes == [b"head"]
        held.write(b"body")
        assert transport.writes == [b"head", b"body"]

    asyncio.run(main())


@pytest.mark.parametrize("broken_off", [False, True])
def test_a_head_is_written_before_the_end_and_not_after(broken_off):
    async def main():
        transport = Written()
        held = HeldHead(transport, asyncio.get_running_loop(), transport.close)
        held.write(b"head")
        (transport if broken_off else held).close()
        await asyncio.sleep(0)
        assert transport.writes == ([] if broken_off else [b"head"])
        assert held.is_closing()

    asyncio.run(main())


def test_an_answer_is_one_write(server, monkeypatch):
    writes = []

    class Seen(HeldHead):
        def __init__(self, transport, loop, close):
            def write(data):
                writes.append(data)
                transport.write(data)

            super().__init__(Mock(wraps=transport, write=write), loop, close)

    monkeypatch.setattr("serve.http.connection.HeldHead", Seen)
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port)) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1 << 16).endswith(b'{"status":"live"}')
    assert len(writes) == 1

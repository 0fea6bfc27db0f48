"""Children that misbehave, and the two ends of the pipes."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import Awaitable, Callable

import pytest

from serve.errors import Internal, NotReady, TooLong, TopgenreError
from serve.sources.youtube import YouTubeSource, downloader, preloaded, runner
from serve.sources.youtube.messages import (
    MAX_PAYLOAD,
    DownloadJob,
    Kind,
    YouTubeOptions,
    write_frame,
    write_json,
)
from tests.eventually import eventually
from tests.sources.processes import open_pipes, zombies

ID = "AAAAAAAAAAA"


def frame(kind: Kind, payload: bytes) -> bytes:
    pipe = io.BytesIO()
    write_frame(pipe, kind, payload)
    return pipe.getvalue()


def said(kind: Kind, **payload: object) -> bytes:
    pipe = io.BytesIO()
    write_json(pipe, kind, **payload)
    return pipe.getvalue()


INFO = said(Kind.INFO, title="T", duration_s=1.0, size_bytes=None)
SENT: dict[str, tuple[bytes, type[TopgenreError]]] = {
    "nothing": (b"", NotReady),
    "half a header": (b"I\0\0", NotReady),
    "half a payload": (INFO[:-1], NotReady),
    "no frame": (b"WARNING: something printed", Internal),
    "too long": (b"I" + (MAX_PAYLOAD + 1).to_bytes(4, "big"), Internal),
    "confinement that is a list": (frame(Kind.HELD, b"[]"), Internal),
    "confinement twice": (said(Kind.HELD) + said(Kind.HELD) + INFO, Internal),
    "confinement alone": (said(Kind.HELD), NotReady),
    "unknown kind": (b"?\0\0\0\0", Internal),
    "info without its members": (said(Kind.INFO, title="T"), Internal),
    "info of no length": (said(Kind.INFO, title="T", duration_s="x", size_bytes=None), Internal),
    "info of less than nothing": (
        said(Kind.INFO, title="T", duration_s=1, size_bytes=-5),
        Internal,
    ),
    "info that is a list": (frame(Kind.INFO, b"[]"), Internal),
    "info that is no JSON": (frame(Kind.INFO, b"{"), Internal),
    "audio before info": (frame(Kind.DATA, b"x"), Internal),
    "unknown error": (said(Kind.ERROR, code="?", text="?", detail=""), Internal),
    "error": (said(Kind.ERROR, code="too_long", text="601 s", detail=""), TooLong),
    "info, then nothing": (INFO, NotReady),
    "info twice": (INFO + INFO, Internal),
    "info, then an error": (
        INFO + said(Kind.ERROR, code="too_long", text="601 s", detail=""),
        TooLong,
    ),
    "bytes lost": (
        INFO + frame(Kind.DATA, b"abc") + said(Kind.END, size_bytes=4),
        Internal,
    ),
    "nothing after the audio": (INFO + frame(Kind.DATA, b"abc"), NotReady),
}


def instead(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """Have a child that says this, and then ends."""
    code = f"import os; os.write(1, {sent!r})"
    monkeypatch.setattr(downloader, "COMMAND", (sys.executable, "-c", code))


async def download() -> bytes:
    async with YouTubeSource(ID).open() as stream:
        return b"".join([block async for block in stream])


@pytest.mark.parametrize("name", SENT)
async def test_strange_child(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sent, error = SENT[name]
    instead(monkeypatch, sent)
    with pytest.raises(TopgenreError) as caught:
        await download()
    assert type(caught.value) is error
    assert zombies() == []


async def test_good_child(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = said(Kind.WAIT, seconds=1.0)
    data = frame(Kind.DATA, b"abc") + frame(Kind.DATA, b"de")
    instead(monkeypatch, INFO + wait + wait + data + said(Kind.END, size_bytes=5))
    assert await download() == b"abcde"


async def test_child_that_can_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloader, "COMMAND", ("/does/not/exist",))
    with pytest.raises(Internal):
        await download()


async def test_no_pipe_to_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise OSError("no pipe")

    monkeypatch.setattr(downloader, "COMMAND", (sys.executable, "-c", ""))
    monkeypatch.setattr(asyncio.get_running_loop(), "connect_read_pipe", fail)
    with pytest.raises(OSError, match="no pipe"):
        await download()
    assert zombies() == []


async def test_no_thread_is_needed_to_be_rid_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = open_pipes()
    monkeypatch.setattr(threading.Thread, "start", none_left)
    instead(monkeypatch, INFO + said(Kind.END, size_bytes=0))
    assert await download() == b""
    assert zombies() == []
    await eventually(lambda: open_pipes() <= before)


SHOUT = "import os; os.write(2, b'\\x1b[2Jforged\\n' * 5000)"


async def shouting_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloader, "COMMAND", (sys.executable, "-c", SHOUT))
    with pytest.raises(NotReady):
        await download()


async def shouting_template(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preloaded, "COMMAND", (sys.executable, "-c", SHOUT))
    template = preloaded.Template.start()
    await template.wait()


@pytest.mark.parametrize("shouting", [shouting_child, shouting_template])
async def test_what_they_write_to_standard_error_is_quoted_and_bounded(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    shouting: Callable[[pytest.MonkeyPatch], Awaitable[None]],
) -> None:
    await shouting(monkeypatch)
    heard = "".join(record.getMessage() for record in caplog.records)
    assert "forged" in heard
    assert "\x1b" not in heard
    assert "\n" not in heard
    assert len(heard) < 3 * (1 << 13)
    assert zombies() == []


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise BrokenPipeError

    monkeypatch.setattr(runner, "_download", broken)
    assert runner.run(DownloadJob(ID, YouTubeOptions()), io.BytesIO()) == 1

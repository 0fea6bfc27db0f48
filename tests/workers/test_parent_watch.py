"""How a child hears its job, and that its parent is gone."""

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from serve.workers import parent_watch


@pytest.mark.parametrize(
    ("writes", "line"),
    [
        ([b"job\n"], b"job"),
        ([b"jo", b"b\n"], b"job"),
        ([b"job\nmore\n", b"and more\n"], b"job"),
        ([b"jo"], None),
        ([], None),
        ([b"x" * (parent_watch.MAX_LINE + 1)], None),
    ],
)
def test_first_line_and_end(writes: list[bytes], line: bytes | None) -> None:
    read, write = os.pipe()
    ended: SimpleQueue[bool] = SimpleQueue()

    def say() -> None:
        for data in writes:
            os.write(write, data)
        if line is None:
            os.close(write)

    speaking = threading.Thread(target=say)
    speaking.start()
    assert parent_watch.first_line(read) == line
    speaking.join(10)
    parent_watch.watch(read, lambda: ended.put(True))
    if line is not None:
        assert ended.empty()
        os.close(write)
    assert ended.get(timeout=10)
    os.close(read)


@pytest.mark.parametrize(("leads", "expected"), [(True, ["group", "exit"]), (False, ["exit"])])
def test_kill_group(monkeypatch: pytest.MonkeyPatch, leads: bool, expected: list[str]) -> None:
    done: list[str] = []

    def kill(group: int, number: int) -> None:
        assert (group, number) == (os.getpid(), signal.SIGKILL)
        done.append("group")

    def leave(_: int) -> None:
        done.append("exit")

    group: Callable[[], int] = os.getpid if leads else lambda: os.getpid() + 1
    monkeypatch.setattr(os, "getpgrp", group)
    monkeypatch.setattr(os, "killpg", kill)
    monkeypatch.setattr(os, "_exit", leave)
    parent_watch.kill_own_group()
    assert done == expected

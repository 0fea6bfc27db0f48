"""One run of a search, trained in a process of its own.

So what TensorFlow keeps is gone with every run, and a run that the system kills for its memory does
not take the search with it. The process ends when the search does, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from train.errors import DataError

Show = Callable[[int, int, str], None]
"""Told steps done, all steps, and where that is."""

_Message = tuple[Literal["step"], int, int, str] | tuple[Literal["failed", "stopped", "done"], str]


LOG = "log.txt"  # in the run's folder: what went to standard error


class Failed(Exception):
    """The training of a run failed by its own doing; the text says how."""


def train_apart(folder: Path, cache: Path, show: Show) -> None:
    """Train what is left of the run in `folder`, in another process.

    What it writes to standard error goes to `log.txt` there. Raises Failed where this run can't be
    trained, DataError where none could be (its data are gone, the disk is full).
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(folder, cache, sender))
    process.start()
    sender.close()
    try:
        outcome, text = _follow(receiver, show)
        if outcome == "died":
            process.join()
            text = _how(process.exitcode)
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    if outcome == "stopped":
        raise DataError(text)
    if outcome != "done":
        raise Failed(text)


def _follow(receiver: Connection, show: Show) -> tuple[str, str]:
    while True:
        try:
            message: _Message = receiver.recv()
        except EOFError:
            return "died", ""
        if message[0] != "step":
            return message
        show(*message[1:])


def _how(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"its process ended with {exit_code}"
    name = signal.Signals(-exit_code).name
    reason = ", as the system does where memory runs out" if -exit_code == signal.SIGKILL else ""
    return f"its process was ended by {name}{reason}"


def _work(folder: Path, cache: Path, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the search's to answer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # TensorFlow's notes would tear the bars apart; with a failure they may be worth reading.
    with (folder / LOG).open("ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    sender.send(_outcome(folder, cache, lambda *step: sender.send(("step", *step))))


def _outcome(folder: Path, cache: Path, show: Show) -> tuple[str, str]:
    from train.fitting.runs import Run
    from train.fitting.training import steps, summary, train_telling

    run = Run.open(folder)
    data = run.dataset(cache)
    if data is None:
        return "stopped", f"the data of {folder} are gone: make them again"
    try:
        train_telling(run, data, lambda now: show(*steps(now), summary(now)))
    except OSError as error:
        return "stopped", f"{folder}: {error}"
    # Whatever else it is, other points may do: the search goes on without this one.
    except Exception as error:
        traceback.print_exc()
        first = str(error).strip().splitlines()
        return "failed", f"{type(error).__name__}: {first[0] if first else 'no reason given'}"
    return "done", ""


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)

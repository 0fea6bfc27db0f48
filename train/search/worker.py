"""Trains one run of a search in a process of its own.

That frees TensorFlow's memory after every run, and a run that is killed for using too much memory
does not end the search. The process ends when the search does, however that ends.
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

from train.errors import DataError

Show = Callable[[int, int, str], None]
"""Gets the number of steps done, their total, and a summary."""

LOG = "log.txt"  # in the run's folder: its standard error


class Failed(Exception):
    """This run can't be trained; others of the search can."""


def train_apart(folder: Path, cache: Path, show: Show) -> None:
    """Train what is left of the run in `folder`, in another process.

    Its standard error goes to `log.txt` there. Raises Failed if this run can't be trained,
    DataError if no run could be (the data are gone, the disk is full).
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(folder, cache, sender))
    process.start()
    sender.close()
    try:
        while isinstance(message := receiver.recv(), tuple):
            show(*message)
    except EOFError:
        process.join()
        message = Failed(_how(process.exitcode))
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    if message is not None:
        raise message


def _how(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"its process ended with {exit_code}"
    name = signal.Signals(-exit_code).name
    reason = ", as the system does where memory runs out" if -exit_code == signal.SIGKILL else ""
    return f"its process was ended by {name}{reason}"


def _work(folder: Path, cache: Path, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the search handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # TensorFlow's notes would break up the progress bars, but may explain a failure.
    with (folder / LOG).open("ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    sender.send(_outcome(folder, cache, lambda *step: sender.send(step)))


def _outcome(folder: Path, cache: Path, show: Show) -> Exception | None:
    from train.fitting.runs import Run
    from train.fitting.training import steps, summary, train

    run = Run.open(folder)
    try:
        data = run.dataset(cache)
    except DataError as error:
        return error
    try:
        train(run, data, lambda now: show(*steps(now), summary(now)))
    except OSError as error:
        return DataError(f"{folder}: {error}")
    # Whatever it is, other points may work: the search goes on without this one.
    except Exception as error:
        traceback.print_exc()
        first = str(error).strip().splitlines()
        return Failed(f"{type(error).__name__}: {first[0] if first else 'no reason given'}")
    return None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)

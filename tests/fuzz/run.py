"""The cases, one after another, and what came of them."""

from __future__ import annotations

import random
import socket
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.fuzz.answers import Untyped, codes
from tests.fuzz.files import file
from tests.fuzz.requests import request, upload
from tests.models import write_model
from tests.process import Process, free_port, server_process

# Of so many cases one is a request; the others are files.
_REQUESTS = 4
_CLIENTS = 6
# Far more than the server's deadline.
_PATIENCE_S = 30.0
_SETTINGS: dict[str, Any] = {
    # So that what is left unfinished is soon over, and nobody is in its way.
    **{"client_timeout_s": 0.5, "deadline_s": 5.0, "batch_deadline_s": 5.0, "max_batches": 100},
    # Even a link that turns out to be good by chance leads nowhere.
    **{"youtube_timeout_s": 1.0, "youtube_retries": 0},
}


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes to send, and of what they were made."""

    name: str
    sent: bytes


@dataclass(slots=True)
class Account:
    """How often each code came, and the cases without one: number, case and reason."""

    codes: Counter[str] = field(default_factory=Counter)
    untyped: list[tuple[int, Case, str]] = field(default_factory=list)
    #: what is wrong with the server itself in the end
    server: list[str] = field(default_factory=list)


def case(seed: int, number: int) -> Case:
    """The case of this number."""
    rng = random.Random(f"{seed} {number}")
    if number % _REQUESTS == 0:
        return Case(*request(rng))
    name, content = file(rng)
    return Case(f"a file: {name}", upload(content))


def fuzz(seed: int, count: int, done: Callable[[], None] = lambda: None) -> Account:
    """Send so many cases to a server of their own; `done` is called after each."""
    account = Account()
    nowhere = f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(_CLIENTS) as clients:
        model = write_model(Path(folder, "tiny.onnx"))
        with server_process(model=model, youtube_proxy=nowhere, **_SETTINGS) as server:
            for number, (one, got) in enumerate(
                clients.map(partial(_asked, server, seed), range(count))
            ):
                try:
                    account.codes.update(codes(one.sent, got))
                except Untyped as reason:
                    account.untyped.append((number, one, str(reason)))
                done()
            account.server += _wrong(server)
    return account


def _asked(server: Process, seed: int, number: int) -> tuple[Case, bytes]:
    one = case(seed, number)
    return one, exchange(server.port, one.sent)


def exchange(port: int, content: bytes) -> bytes:
    """Send it all on a connection, and what comes back until the server ends that."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as connection:
        with suppress(ConnectionError):  # it has said enough
            connection.sendall(content)
        try:
            while part := connection.recv(1 << 16):
                got += part
        except ConnectionError:
            pass
        except TimeoutError:
            got += b"(the server does not end)"
    return got


def _wrong(server: Process) -> list[str]:
    with server.client() as client:
        ready = client.get("/health/ready").status_code
    wrong = [] if ready == 200 else [f"/health/ready says {ready}"]
    return wrong + [line for line in server.log.splitlines() if "Traceback" in line]

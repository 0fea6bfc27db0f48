"""A short `make fuzz`, and what it takes for an answer."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from serve.errors import ERRORS
from tests.fuzz import __main__ as command
from tests.fuzz.answers import OK, UNFINISHED, Untyped, codes
from tests.fuzz.files import BASES
from tests.fuzz.run import Account, Case, case, fuzz
from tests.media import ENCODINGS

SEED, COUNT = 1, 60


def test_everything_gets_its_code():
    account = fuzz(SEED, COUNT)
    assert [(number, one.name, why) for number, one, why in account.untyped] == []
    assert account.server == []
    assert account.codes.keys() >= {OK, "undecodable", "bad_request"}
    assert account.codes.total() >= COUNT


def test_a_case_is_made_of_seed_and_number():
    numbers = [*range(40)]
    made = {number: case(SEED, number) for number in random.Random(0).sample(numbers, 40)}
    assert [made[number] for number in numbers] == [case(SEED, number) for number in numbers]
    assert len({case(seed, 4).sent for seed in range(20)}) == 20
    assert {encoding.name for encoding in ENCODINGS} < BASES.keys()


GET, TWO = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 2 * b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def answer(status=200, body=b"{}", kind="application/json"):
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def error(code, status=None):
    body = json.dumps({"error": "It is.", "code": code}).encode()
    return answer(status or ERRORS[code].status, body)


@pytest.mark.parametrize(
    ("sent", "got", "found"),
    [
        (GET, answer(), [OK]),
        (GET, error("silent"), ["silent"]),
        (TWO, answer() + error("timeout"), [OK, "timeout"]),
        (GET + b"?\r\n", answer() + error("bad_request"), [OK, "bad_request"]),
        (GET[:-2], b"", [UNFINISHED]),
        (GET.replace(b"GET", b"HEAD"), answer(405)[:-2], [OK]),
        (GET, b"HTTP/1.1 100 Continue\r\n\r\n" + answer(), [OK]),
        (
            GET,
            answer(200, b'{"a": 1}\n{"code": "silent"}\n', "application/x-ndjson"),
            [OK, "silent"],
        ),
        (
            GET,
            answer(200, b'event: error\ndata: {"code": "live"}\n\n', "text/event-stream"),
            ["live"],
        ),
    ],
)
def test_an_answer_has_a_code(sent, got, found):
    assert codes(sent, got) == found


@pytest.mark.parametrize(
    ("sent", "got", "why"),
    [
        (GET, b"", "no answer"),
        (b"?\r\n", b"", "no answer"),
        (GET, b"?", "no whole answer"),
        (GET, answer()[:-1], "no whole answer"),
        (GET, 3 * answer(), "more answers"),
        (GET, answer(400, b"Bad Request"), "Bad Request"),
        (GET, answer(400, b"[]"), r"\[\]"),
        (GET, error("new", 400), "new"),
        (GET, error("silent", 400), "status 400"),
        (GET, error("internal"), "internal"),
        (GET, answer(500), "status 500"),
        (GET, answer(200, b'{"code": "internal"}\n', "application/x-ndjson"), "internal"),
    ],
)
def test_anything_else_is_untyped(sent, got, why):
    with pytest.raises(Untyped, match=why):
        codes(sent, got)


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ({}, 0),
        ({"untyped": [(3, Case("a file", b"sent"), "no answer")]}, 1),
        ({"server": ["Traceback"]}, 1),
    ],
)
def test_the_command_counts_the_codes(monkeypatch, tmp_path, capsys, broken, code):
    account = Account(Counter(ok=5, silent=2), **broken)
    monkeypatch.setattr(command, "fuzz", lambda seed, count, done: account)
    monkeypatch.setattr("sys.argv", ["fuzz", "--seed", "9", "--count", "8", "--out", str(tmp_path)])
    assert command.main() == code
    said = capsys.readouterr().out
    assert "5  ok" in said
    assert "2  silent" in said
    assert f"8 cases, {len(account.untyped)} untyped" in said
    for number, one, _ in account.untyped:
        assert (tmp_path / f"9-{number}.http").read_bytes() == one.sent

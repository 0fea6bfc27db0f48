"""The account can tell a kept promise from a broken one."""

from __future__ import annotations

import json

import pytest

from tests.chaos import account
from tests.chaos.account import Account, Promise
from tests.chaos.asks import Ask
from tests.chaos.client import DEPARTED, Outcome
from tests.chaos.footprint import MEMORY_BYTES, Footprint
from tests.chaos.verdict import UNANSWERED, Verdict, judge

UPLOAD = Ask("upload", frozenset({"ok"}), {"content": b""}, "song")
LINK = Ask("video", frozenset({"ok"}), {"json": {}}, "song")
PRIVATE = Ask("video: private", frozenset({"private"}), {"json": {}})
RIGHT = {"song": {"results": {"jazz": 60.0, "rock": 40.0}, "timeline": []}}
ANSWER = {"request_id": "1", "top_prediction": "jazz", **RIGHT["song"]}
ERROR = {"request_id": "1", "code": "private", "error": "The video is private."}


def outcome(ask, code, began=10.0, ended=11.0, request_id=""):
    return Outcome(ask, "plainly", Verdict(code, (), request_id), began, ended)


@pytest.mark.parametrize(
    ("ask", "body", "status", "code", "problems"),
    [
        (UPLOAD, ANSWER, 200, "ok", 0),
        (UPLOAD, ANSWER, None, "ok", 0),
        (UPLOAD, ANSWER, 201, "ok", 1),
        (UPLOAD, ANSWER | {"results": {"jazz": 60.5, "rock": 39.5}}, 200, "ok", 2),
        (UPLOAD, ANSWER | {"results": {}}, 200, "ok", 2),
        (UPLOAD, ANSWER | {"timeline": [{"start": 0.0, "genre": "rock"}]}, 200, "ok", 1),
        (PRIVATE, ERROR, 403, "private", 0),
        (PRIVATE, ERROR, 500, "private", 1),
        (PRIVATE, ERROR | {"error": ""}, 403, "private", 1),
        (PRIVATE, ERROR | {"code": "new"}, 403, "new", 2),
        (UPLOAD, ERROR | {"code": "overloaded"}, 429, "overloaded", 1),
        (LINK, ERROR | {"code": "bot_check"}, 503, "bot_check", 1),
        (UPLOAD, {"detail": "x"}, 500, UNANSWERED, 1),
    ],
)
def test_an_answer_is_judged(ask, body, status, code, problems):
    verdict = judge(ask, RIGHT, json.dumps(body), status, {})
    assert (verdict.code, len(verdict.problems)) == (code, problems)


def test_what_is_no_json_is_no_answer():
    assert judge(UPLOAD, RIGHT, "<html>", 502, {}).code == UNANSWERED


def test_an_answer_that_never_came_or_came_twice():
    answered = [
        outcome(UPLOAD, "ok", request_id="a"),
        outcome(LINK, "ok", request_id="a"),
        outcome(LINK, UNANSWERED),
        outcome(LINK, "ok", request_id="b"),
    ]
    broken = list(account.answered_once(answered))
    assert len(broken) == 2
    assert not list(account.answered_once(answered[3:]))


@pytest.mark.parametrize(
    ("ask", "code", "calm", "crowd"),
    [
        (UPLOAD, "ok", True, True),
        (PRIVATE, "private", True, True),
        (PRIVATE, "ok", False, False),
        (UPLOAD, DEPARTED, True, True),
        (UPLOAD, "overloaded", False, True),
        (UPLOAD, "rate_limited", False, False),
        (LINK, "rate_limited", False, True),
        (LINK, "internal", False, False),
        (LINK, "not_ready", False, False),
        (LINK, "undecodable", False, False),
    ],
)
def test_an_outcome_needs_an_explanation(ask, code, calm, crowd):
    outcomes = [outcome(ask, code)]
    assert (account.odd(outcomes) == []) == calm
    assert (account.odd(outcomes, []) == []) == crowd


@pytest.mark.parametrize(
    ("moment", "explained"), [(7.0, False), (9.0, True), (10.5, True), (11.5, False)]
)
def test_a_kill_explains_what_was_under_way(moment, explained):
    odd = account.odd([outcome(LINK, "not_ready")], [(moment, "decoder")])
    assert (odd == []) == explained


@pytest.mark.parametrize(
    ("what", "code", "moment", "explained"),
    [
        ("decoder", "undecodable", 10.5, False),
        ("decoder, crashed", "undecodable", 10.5, True),
        ("decoder, crashed", "undecodable", 7.0, True),  # by then it was known
        ("decoder, crashed", "not_ready", 10.5, False),
    ],
)
def test_a_crash_is_blamed_on_the_file(what, code, moment, explained):
    assert (account.odd([outcome(UPLOAD, code)], [(moment, what)]) == []) == explained


def metrics(**counts):
    lines = [f'topgenre_requests_total{{code="{code}"}} {n}' for code, n in counts.items()]
    return "\n".join(["# TYPE topgenre_requests counter", *lines, ""])


@pytest.mark.parametrize(
    ("counts", "agree"),
    [
        ({"ok": 5, "private": 1, "cancelled": 1}, True),
        ({"ok": 6, "private": 1}, True),
        ({"ok": 5, "private": 1}, True),
        ({"ok": 4, "private": 1, "cancelled": 1}, False),
        ({"ok": 5, "private": 1, "cancelled": 2}, False),
        ({"ok": 5, "internal": 1}, False),
    ],
)
def test_the_servers_counts_are_held_against_the_clients(counts, agree):
    outcomes = [*[outcome(UPLOAD, "ok")] * 2, outcome(PRIVATE, "private"), outcome(LINK, DEPARTED)]
    broken = account.counts_disagree(metrics(ok=3), metrics(**counts), outcomes)
    assert (list(broken) == []) == agree


def test_a_gauge_of_work_under_way():
    text = "# TYPE topgenre_requests_active gauge\ntopgenre_requests_active {}\n"
    assert list(account.busy(text.format(0))) == []
    assert list(account.busy(text.format(1))) == ["topgenre_requests_active: 1"]


def test_an_alarm_in_the_log():
    log = "all is well\nrequest x failed\nTraceback (most recent call last)\n  File"
    (alarm,) = account.alarms(log)
    assert "request x failed" in alarm
    assert list(account.alarms("all is well\n")) == []


BEFORE = Footprint(5, 0, {"socket:": 3, "pipe:": 1}, 9, 300 << 20, 0)


@pytest.mark.parametrize(
    ("change", "grown"),
    [
        ({}, 0),
        ({"processes": 6}, 1),
        ({"zombies": 1}, 1),
        ({"descriptors": {"socket:": 5}}, 1),
        ({"descriptors": {"socket:": 2, "pipe:": 2}}, 0),
        ({"threads": 40}, 1),
        ({"memory_bytes": (300 << 20) + MEMORY_BYTES}, 0),
        ({"memory_bytes": 400 << 20}, 1),
        ({"temporary_files": 1}, 1),
    ],
)
def test_a_footprint_that_has_grown(change, grown):
    from dataclasses import replace

    assert len(list(replace(BEFORE, **change).grown(BEFORE))) == grown


def test_a_promise_that_nothing_was_held_against_is_not_kept():
    assert not Promise("p", 0).kept
    assert not Promise("p", 1, ("why",)).kept
    assert Promise("p", 1).kept


def test_the_account_as_tables_and_values():
    kept = Account(calm=[outcome(UPLOAD, "ok", request_id="a")])
    kept.settle()
    assert kept.kept is False  # there was no crowd
    kept.crowd.append(outcome(PRIVATE, "private", request_id="b"))
    kept.promises.clear()
    kept.settle()
    assert kept.kept
    kept.promise("another", 1, ["broken"])
    assert not kept.kept
    assert kept.table().row_count == 2
    assert kept.verdicts().row_count == 5
    assert json.loads(json.dumps(kept.to_dict()))["codes"] == {"ok": 1, "private": 1}

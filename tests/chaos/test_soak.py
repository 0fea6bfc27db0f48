"""A short soak, in which every promise is kept; `test_account` has how each of them breaks."""

from __future__ import annotations

import json
import random
from copy import copy
from dataclasses import replace

import pytest

from tests.chaos import __main__ as command
from tests.chaos.account import Promise
from tests.chaos.asks import Asker
from tests.chaos.media import again, good_tracks, references, spoiled
from tests.chaos.soak import Plan, soak
from tests.chaos.upstream import KINDS


@pytest.fixture(scope="module")
def tracks():
    return good_tracks()


@pytest.fixture(scope="module")
def done():
    return soak(Plan(duration_s=10.0, seed=5), {}, print)


def test_every_promise_is_kept(done):
    assert {p.name: p.broken for p in done.account.promises if not p.kept} == {}


def test_every_kind_of_request_was_made(done, tracks, standin):
    asker = Asker(tracks, standin, random.Random(0), corpus=())
    assert set(asker.kinds()) <= done.account.by_kind().keys()


def test_the_same_seed_asks_the_same(tracks, standin):
    def first():
        asker = Asker(tracks, standin, random.Random(3), corpus=())
        rounds = asker.rounds()
        return [next(rounds) for _ in range(200)], sorted(asker.popular)

    assert first() == first()


def test_another_file_has_the_same_answer(tracks):
    marked = {name: again(name, content, 7) for name, content in tracks.items()}
    changed = {name for name in tracks if marked[name] != tracks[name]}
    assert {"mp3", "m4a-index-first", "m4a-index-last", "wav-s16"} == changed
    right, same = references(tracks), references(marked)
    for name in tracks:
        assert same[name]["results"] == right[name]["results"], name


def test_spoiled_files_are_spoiled(tracks):
    rng = random.Random(0)
    whole = set(tracks.values())
    assert not any(spoiled(tracks, rng) in whole for _ in range(50))


def test_a_fault_counts_anew_for_each_video(tracks):
    first, second = (KINDS["reset once"].video(letter * 11, tracks) for letter in "AB")
    assert first.fault is not second.fault


@pytest.mark.parametrize(("broken", "code"), [((), 0), (("it was not",), 1)])
def test_the_command_tells_whether_all_was_kept(monkeypatch, tmp_path, capsys, done, broken, code):
    account = replace(done.account, promises=[Promise("a promise", 1, broken)])
    finished = copy(done)
    finished.account = account
    monkeypatch.setattr(command, "soak", lambda plan, settings, say: finished)
    arguments = ["chaos", "--seed", "9", "--duration", "1", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", arguments)
    assert command.main() == code
    printed = capsys.readouterr().out
    assert "seed 9" in printed
    assert ("broken: a promise" in printed) == bool(broken)
    (path,) = tmp_path.glob("chaos-*.json")
    written = json.loads(path.read_text())
    assert written["plan"]["seed"] == 9
    assert written["promises"][0]["kept"] is not bool(broken)
    assert written["requests"] == len(account.outcomes)

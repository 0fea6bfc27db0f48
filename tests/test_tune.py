import os
from dataclasses import replace

import pytest

from serve import tune
from serve.__main__ import main
from serve.container import cores
from serve.inference.providers import PROVIDERS
from serve.inference.providers.base import DeviceError
from serve.inference.runner import Runner
from serve.inference.tuning import Tuning, load, tuned
from serve.settings import Settings


@pytest.fixture
def settings(tiny_model, tmp_path):
    return Settings(model=tiny_model, device="cpu", tuning=tmp_path / "tuning.toml")


@pytest.fixture
def fake_times(monkeypatch):
    """Calls take as long as the test says, by what was called and the clips."""
    times: dict[object, float] = {}

    def seconds(calls, rounds, on_round):
        assert all(call() is not None for call in calls.values())
        return {key: [times.get(key, 0.001)] * rounds for key in calls}

    monkeypatch.setattr(tune, "seconds", seconds)
    return times


@pytest.mark.parametrize(
    ("costs", "chosen"),
    [
        ({1: 1.0, 2: 1.0}, 1),
        ({1: 1.04, 2: 1.0}, 1),
        ({1: 1.1, 2: 1.0, 4: 0.99}, 2),
        ({1: 5.0, 2: 2.0, 4: 1.0}, 4),
    ],
)
def test_what_is_hardly_better_is_not_chosen(costs, chosen):
    assert tune.choose(costs) == chosen


def test_a_server_starts_as_the_command_found(settings, monkeypatch, capsys):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    for name in ("model", "device", "tuning"):
        monkeypatch.setenv(f"TOPGENRE_{name.upper()}", str(getattr(settings, name)))
    assert main(["tune"]) == 0
    written = Tuning.read(settings.tuning)
    assert written.sha256 == load(settings).sha256
    assert (written.provider, written.cores, written.gpu_calls) == ("cpu", cores(), "plain")
    assert 1 <= written.inference_threads <= cores()
    found, _ = tuned(settings)
    assert found.batch_clips == written.batch_clips
    shown = capsys.readouterr().out
    assert "1 threads" in shown
    assert "busy" not in shown


def test_more_threads_must_be_worth_it(settings, fake_times, monkeypatch):
    monkeypatch.setattr(tune, "cores", lambda: 4)
    for n in tune._TRACKS:
        fake_times.update({("1 threads", n): 4.0, ("2 threads", n): 2.0, ("4 threads", n): 1.95})
    assert tune.tune(settings, rounds=1) == 0
    written = Tuning.read(settings.tuning)
    assert (written.inference_threads, written.cores) == (2, 4)


def test_tracks_share_a_call_while_that_makes_clips_cheaper(settings, fake_times):
    # 20 µs for a call and 100 for a clip: of 4 clips, one costs 5 % more than of the most.
    fake_times.update({2**n: 0.00002 + 0.0001 * 2**n for n in range(10)})
    assert tune.tune(settings, rounds=1) == 0
    assert Tuning.read(settings.tuning).batch_clips == 4


def test_a_busy_machine_is_told(settings, fake_times, monkeypatch, capsys):
    monkeypatch.setattr(os, "getloadavg", lambda: (100.0, 0.0, 0.0))
    tune.tune(settings, rounds=1)
    assert "may mislead" in capsys.readouterr().out


def test_on_a_gpu_ways_to_call_are_measured(settings, fake_times, monkeypatch, capsys):
    made, closed = [], []

    class Called(Runner):
        def close(self):
            closed.append(self)

    def runner_for(model, largest, calls):
        if calls == "pinned":
            raise DeviceError("no page-locked memory")
        made.append(calls)
        return Called(model, largest)

    monkeypatch.setattr(tune, "load", lambda settings: replace(load(settings), provider="cuda"))
    monkeypatch.setattr(tune, "runner_for", runner_for)
    few = replace(PROVIDERS["cuda"], tried_clips=(1, 1024))
    monkeypatch.setitem(PROVIDERS, "cuda", few)
    for n in tune._TRACKS:
        fake_times["graphs", n] = 0.0001
    tune.tune(settings, rounds=1)
    assert made == ["plain", "bound", "graphs"]
    assert len(closed) == 3
    assert "pinned: no page-locked memory" in capsys.readouterr().err
    written = Tuning.read(settings.tuning)
    assert (written.provider, written.gpu_calls) == ("cuda", "graphs")


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6])])
def test_thread_counts_end_with_every_core(most, counts):
    assert tune._thread_counts(most) == counts

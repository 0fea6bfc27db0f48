import asyncio
import sys

from benchmarks import __main__ as command
from benchmarks import engine
from serve.inference.runner import Runner
from serve.inference.session import load_model


def test_all_tracks_go_through_the_engine_and_once_more_without(tiny_model, monkeypatch):
    monkeypatch.setattr(engine, "_ROUND", 12)
    clips = []

    class Counted(Runner):
        def run(self, mel):
            clips.append(len(mel))
            return super().run(mel)

    runner = Counted(load_model(tiny_model, "cpu"), max(engine._LENGTHS))
    runner.warm()
    warmed = sum(clips)
    clips.clear()
    load = asyncio.run(engine.measure(runner, share=16, rounds=2, submitters=3))
    bare = clips[-12:]
    assert len(bare) == 12
    assert set(bare) <= set(engine._LENGTHS)
    # Whether they shared a call or not, each round is the same clips twice.
    assert (sum(clips) - warmed) % 2 == 0
    assert load.tracks_per_s > 0
    assert load.of_bare > 0
    assert load.short_wait_ms >= 0
    assert load.megabytes > 0


def test_it_takes_the_servers_settings(tiny_model, monkeypatch, capsys):
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("TOPGENRE_DEVICE", "cpu")
    monkeypatch.setattr(engine, "_ROUND", 4)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "engine", "--runs", "1"])
    assert command.main() == 0
    assert "of bare calls" in capsys.readouterr().out

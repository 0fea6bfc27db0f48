"""What training clips are drawn from, in a dataset whose cells tell where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from train.data.dataset import Dataset, Float32
from train.data.tracks import Track
from train.data.writer import DatasetWriter
from train.fitting.augment import OFF, Augmentation, augment
from train.fitting.batches import Batches
from train.fitting.recipe import Recipe

FRONT_END = FrontEnd()
FRAMES = 2 * FRONT_END.frames
# (track, genre, split, renditions)
TRACKS = (("a.0", "a", "train", 3), ("b.0", "b", "train", 0), ("b.1", "b", "valid", 2))


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Each track and each rendition has one level in dB: its place in the list."""
    with DatasetWriter(tmp_path, FRONT_END, "made up") as writer:
        for name, genre, split, renditions in TRACKS:
            for number in range(1 + renditions):
                rendition = f"rendition {number}" if number else ""
                level = np.full((FRAMES, FRONT_END.n_mels), -float(len(writer.tracks)), np.float32)
                writer.add(Track(name, genre, split, rendition=rendition), level)
        return writer.finish()


def recipe(clips: int, batch: int, how: Augmentation = OFF, **other: Any) -> Recipe:
    plain: dict[str, Any] = {"not_music": 0.0, "balanced": False}
    return Recipe(clips_per_track=clips, batch=batch, augmentation=how, **plain | other)


def epoch(batches: Batches) -> tuple[Float32, Float32]:
    mel, targets = zip(*batches.epoch(), strict=True)
    return np.concatenate(mel), np.concatenate(targets)


def drawn(data: Dataset, share: float) -> tuple[list[int], Float32]:
    """How often each was drawn in an epoch of 3,000 clips a track, and the targets."""
    rng = np.random.default_rng(1)
    mel, targets = epoch(Batches(data, recipe(3000, 500, renditions=share), rng))
    levels = np.rint(-10.0 * np.log10(mel[:, 0, 0])).astype(int)
    np.testing.assert_array_equal(targets.argmax(axis=1), levels >= 4)
    return np.bincount(levels, minlength=8).tolist(), targets


def test_half_of_a_tracks_clips_are_of_its_renditions(data: Dataset) -> None:
    count, _ = drawn(data, 0.5)
    assert sum(count[:4]) == count[4] == 3000, "tracks are drawn as often as ever"
    assert count[0] == pytest.approx(1500, abs=120)
    assert count[1:4] == pytest.approx([500] * 3, abs=90)
    assert count[5:] == [0, 0, 0], "nothing of valid"


@pytest.mark.parametrize(("share", "own"), [(0.0, 3000), (1.0, 0)])
def test_all_or_none_of_them(data: Dataset, share: float, own: int) -> None:
    count, _ = drawn(data, share)
    assert (count[0], sum(count[1:4])) == (own, 3000 - own)


def test_without_renditions_and_sounds_the_draws_are_as_ever(data: Dataset) -> None:
    plain = Batches(data, recipe(4, 4, renditions=0.0), np.random.default_rng(5))
    rng = np.random.default_rng(5)
    order = np.concatenate([rng.permutation(2) for _ in range(4)])
    starts, targets = np.array([0, 4 * FRAMES]), np.eye(2, dtype=np.float32)
    for number, (mel, answers) in enumerate(plain.epoch()):
        tracks = order[4 * number : 4 * number + 4]
        rng.integers(starts[tracks], starts[tracks] + FRAMES - FRONT_END.frames + 1)
        level = np.where(tracks == 0, 1.0, 10**-0.4)[:, None, None]
        np.testing.assert_allclose(mel, np.broadcast_to(level, mel.shape), rtol=1e-6)
        np.testing.assert_array_equal(answers, targets[tracks])
        # What `augment` draws with everything off, from the same generator.
        augment(rng, np.log10(mel), answers, OFF)
    assert plain._rng.bit_generator.state == rng.bit_generator.state


def test_balanced_genres_have_as_many_clips(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path, FRONT_END, "made up") as writer:
        for number, genre in enumerate("aaaaaab"):
            level = np.full((FRAMES, FRONT_END.n_mels), -float(number), np.float32)
            writer.add(Track(f"{genre}.{number}", genre, "train"), level)
        data = writer.finish()
    batches = Batches(data, recipe(6, 6, balanced=True), np.random.default_rng(1))
    mel, targets = epoch(batches)
    assert targets.sum(axis=0).tolist() == [21.0, 21.0]
    # A batch is balanced, too, and tracks of a genre take turns.
    assert all(of.sum(axis=0).tolist() == [3.0, 3.0] for of in np.split(targets, 7))
    levels = np.rint(-10.0 * np.log10(mel[:, 0, 0])).astype(int)
    assert set(np.bincount(levels)[:6]) == {3, 4}


def test_tracks_of_a_genre_are_drawn_by_their_shares(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path, FRONT_END, "made up") as writer:
        for number, (artist, weight) in enumerate([("x", 1.0)] * 4 + [("y", 2.0), ("", 1.0)]):
            level = np.full((FRAMES, FRONT_END.n_mels), -float(number), np.float32)
            track = Track(f"a.{number}", "a", "train", artist=artist, weight=weight)
            writer.add(track, level)
        data = writer.finish()
    # Shares of a half each for the four of one artist, of two and of one: 5 in all.
    batches = Batches(data, recipe(50, 50, balanced=True), np.random.default_rng(1))
    mel, _ = epoch(batches)
    levels = np.rint(-10.0 * np.log10(mel[:, 0, 0])).astype(int)
    assert np.bincount(levels).tolist() == pytest.approx([30, 30, 30, 30, 120, 60], abs=1)
    # Turns are spread over the epoch.
    assert np.bincount(levels[:150])[4] == pytest.approx(60, abs=2)


def test_sounds_that_are_no_music_are_any_genre(data: Dataset) -> None:
    rng = np.random.default_rng(1)
    batches = Batches(data, recipe(2000, 500, renditions=0.0, not_music=0.25), rng)
    mel, targets = epoch(batches)
    sounds = (targets == 0.5).all(axis=1)
    assert sounds.mean() == pytest.approx(0.25, abs=0.03)
    flat = mel.max(axis=(1, 2)) == mel.min(axis=(1, 2))
    silent = mel.max(axis=(1, 2)) == 0.0
    assert (flat & ~silent).sum() == (~sounds).sum(), "the others are the tracks"
    assert silent.sum() / sounds.sum() == pytest.approx(0.05, abs=0.02)
    assert (sounds | ~silent).all()
    assert (targets[~sounds].max(axis=1) == 1.0).all()


def test_batches_repeat_for_seeds_and_for_no_others(data: Dataset) -> None:
    found = [
        epoch(Batches(data, recipe(40, 40, not_music=0.5, seed=seed), np.random.default_rng(1)))[0]
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_a_restored_generator_goes_on_with_the_next_epoch(data: Dataset) -> None:
    def made() -> tuple[Batches, np.random.Generator]:
        rng = np.random.default_rng(1)
        return Batches(data, recipe(40, 40, Augmentation(), not_music=0.5), rng), rng

    whole, rng = made()
    epoch(whole)
    state = rng.bit_generator.state
    expected = epoch(whole)
    resumed, rng = made()
    rng.bit_generator.state = state
    for one, other in zip(epoch(resumed), expected, strict=True):
        np.testing.assert_array_equal(one, other)

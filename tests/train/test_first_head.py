from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from train.data.dataset import Dataset
from train.data.tracks import Track
from train.data.writer import DatasetWriter
from train.fitting import first_head
from train.fitting.recipe import Recipe

FRONT_END = FrontEnd()
# Of tracks a.0 to a.2 and b.3, in clips; the first two are of one artist.
CLIPS, ARTISTS = (4, 8, 4, 2), ("x", "x", "", "y")
# And those that begin half a clip later.
ALL = [2 * clips - 1 for clips in CLIPS]


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    with DatasetWriter(tmp_path, FRONT_END, "made up") as writer:
        for number, (clips, artist) in enumerate(zip(CLIPS, ARTISTS, strict=True)):
            genre = "aaab"[number]
            mel_db = np.full((clips * FRONT_END.frames, FRONT_END.n_mels), -1.0, np.float32)
            writer.add(Track(f"{genre}.{number}", genre, "train", artist=artist), mel_db)
        return writer.finish()


def fitted(data: Dataset, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a head is fitted to, where a clip's embedding is the mean power of each band."""
    found: dict[str, Any] = {}

    def regression(*given: Any) -> tuple[int, int]:
        found.update(
            zip(("features", "targets", "weights", "penalty", "shifts"), given, strict=True)
        )
        return 0, 0

    def hear(mel: Any, **_: Any) -> Any:
        return mel.mean(axis=1)

    monkeypatch.setattr(first_head, "embedding_of", lambda _: SimpleNamespace(predict=hear))
    monkeypatch.setattr(first_head, "regression", regression)
    monkeypatch.setattr(first_head, "set_head", lambda *_: None)
    first_head.first_head(None, data, recipe)
    return found


def test_genres_and_artists_are_weighed(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fitted(data, Recipe(head_low_pass=0.0), monkeypatch)
    assert len(found["features"]) == sum(ALL)
    assert found["shifts"] is None, "there are no renditions"
    weights = found["weights"]
    per_track = [part.sum() for part in np.split(weights, np.cumsum(ALL)[:-1])]
    root = 2**-0.5
    of_genre = 2 * root + 1.0
    np.testing.assert_allclose(per_track, [root / of_genre, root / of_genre, 1 / of_genre, 1.0])
    np.testing.assert_allclose(weights @ found["targets"], 1.0)


def test_some_clips_stand_there_without_treble(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(head_low_pass=0.5, label_smoothing=0.0, head_penalty=0.2)
    found = fitted(data, recipe, monkeypatch)
    assert found["penalty"] == 0.2
    bands = FRONT_END.n_mels
    cut = found["features"][:, -1] < 1e-6
    assert cut.sum() == sum(CLIPS) / 2
    assert (found["features"][:, : int(0.62 * bands)] > 0.5).all(), "the rest is left"
    # As they are, half a clip later, and cut: each a third of the weight.
    np.testing.assert_allclose(2 * found["weights"][cut].sum(), found["weights"][~cut].sum())
    again = fitted(data, replace(recipe, seed=2), monkeypatch)
    assert not np.array_equal(again["features"], found["features"])


def test_clips_half_a_clip_later_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = FRONT_END.frames
    with DatasetWriter(tmp_path, FRONT_END, "made up") as writer:
        mel_db = np.full((2 * frames, FRONT_END.n_mels), -1.0, np.float32)
        mel_db[frames // 2 : frames // 2 + frames] = 0.0
        writer.add(Track("a.0", "a", "train"), mel_db)
        # One clip only: there is none later.
        writer.add(Track("b.1", "b", "train"), mel_db[:frames])
        data = writer.finish()
    found = fitted(data, Recipe(head_low_pass=0.0), monkeypatch)
    np.testing.assert_allclose(found["features"][2], 1.0, rtol=1e-6)
    np.testing.assert_allclose(found["weights"], [0.25, 0.25, 0.5, 1.0])


def test_what_renditions_do_to_a_genre_is_a_shift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, bands = 4 * FRONT_END.frames, FRONT_END.n_mels
    with DatasetWriter(tmp_path, FRONT_END, "made up") as writer:
        for number, genre in enumerate("aab"):
            track = Track(f"{genre}.{number}", genre, "train")
            mel_db = np.full((frames, bands), -10.0, np.float32)
            # The second clip is not among those of renditions, and the fourth not there in one.
            mel_db[FRONT_END.frames : 2 * FRONT_END.frames] = -20.0
            writer.add(track, mel_db)
            changed = mel_db[: frames - FRONT_END.frames * number].copy()
            changed[:, number] = 0.0
            writer.add(replace(track, rendition="one"), changed)
        writer.add(replace(track, rendition="other"), mel_db)
        data = writer.finish()
    found = fitted(data, Recipe(head_low_pass=0.0, head_shift_penalty=0.3), monkeypatch)
    expected = np.zeros((3, bands))
    expected[0, :2], expected[1, 2] = 0.45, 0.9
    np.testing.assert_allclose(found["shifts"], np.sqrt(0.3 / 3) * expected, atol=1e-3)
    assert fitted(data, Recipe(renditions=0.0), monkeypatch)["shifts"] is None

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve.audio.frontend import FrontEnd
from tests.train import synthetic
from train.data import splits
from train.data.dataset import Dataset
from train.data.plan import FILTERED, SplitPlan, apply
from train.data.tracks import Track
from train.data.writer import DatasetWriter
from train.errors import DataError


@pytest.fixture
def data(dataset_folder: Path) -> Dataset:
    return Dataset.load(dataset_folder)


@pytest.fixture
def known(tmp_path: Path) -> Path:
    path = tmp_path / "artists.csv"
    rows = [f"{genre}.{n:05d},{genre} {n // 2}" for genre in synthetic.GENRES for n in range(4)]
    path.write_text("\n".join(["track,artist", *rows]) + "\n")
    return path


def of_track(data: Dataset) -> dict[str, str]:
    return {track.track: track.split for track in data.tracks}


def test_the_shipped_list_is_the_published_one() -> None:
    found = splits.read(FILTERED)
    parts = list(found.values())
    assert (parts.count("train"), parts.count("valid"), len(parts)) == (443, 197, 640)
    assert found["blues.00029"] == "train"
    assert found["blues.00000"] == "valid"


def test_the_filtered_split_leaves_the_rest_out(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path, FrontEnd(), "made up") as writer:
        for name in ("blues.00029", "blues.00000", "blues.99999"):
            writer.add(Track(name, "blues", "none"), np.zeros((48, 128), np.float32))
        data = writer.finish()
    prepared = apply(data, SplitPlan(by="filtered"))
    assert list(of_track(prepared.data).values()) == ["train", "valid", "none"]
    assert "test part" in prepared.warning, "what is not shipped is said"


def test_by_artist_each_fold_is_held_out_once(data: Dataset, known: Path) -> None:
    held: list[str] = []
    for fold in (1, 2):
        plan = SplitPlan(by="artists", artists=known, folds=2, fold=fold)
        prepared = apply(data, plan)
        assert prepared.warning == ""
        assert prepared.data.split_by == f"by artist, fold {fold} of 2"
        assert prepared.data.mel_db is data.mel_db, "nothing is copied"
        assert len({d.digest for d in (data, prepared.data)}) == 2
        held += [track.track for track in prepared.data.of("valid")]
    assert sorted(held) == sorted(track.track for track in data.tracks)


def test_chance_and_clips_warn(data: Dataset) -> None:
    chance = apply(data, SplitPlan(by="chance", seed=3))
    assert "artists are on both sides" in chance.warning
    assert len(chance.data.of("valid")) == 3
    clips = apply(data, SplitPlan(by="clips"))
    assert "recognised again" in clips.warning
    assert len(clips.data.tracks) == 12 * 3
    sides: dict[str, set[str]] = {}
    for clip in clips.data.tracks:
        sides.setdefault(clip.track.split("#")[0], set()).add(clip.split)
    assert {"train", "valid"} in sides.values()
    whole = data.clips(data.tracks[0])
    cut = np.concatenate([clips.data.clips(clip) for clip in clips.data.tracks[:3]])
    np.testing.assert_array_equal(cut, whole)


def test_a_dataset_takes_another_split(data: Dataset, tmp_path: Path) -> None:
    lists = tmp_path / "lists.csv"
    lists.write_text("track,split\nchords.00000,train\nnoise.00000,valid\n")
    prepared = apply(data, SplitPlan(by="given", lists=lists))
    assert [track.track for track in prepared.data.of("train")] == ["chords.00000"]
    same = apply(data, SplitPlan())
    assert same.data is data


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (SplitPlan(by="given"), "needs --splits"),
        (SplitPlan(by="artists"), "needs --artists"),
        (SplitPlan(by="filtered"), "puts none of the 12 tracks in train and valid"),
        (SplitPlan(by="artists", artists=Path("known"), folds=2, fold=3), "no fold 3 of 2"),
        (SplitPlan(by="artists", artists=Path("strangers")), "names no artist"),
    ],
)
def test_plans_that_cannot_be(data: Dataset, tmp_path: Path, plan: SplitPlan, text: str) -> None:
    if plan.artists is not None:
        path = tmp_path / plan.artists
        path.write_text("track,artist\nx.1,somebody\n")
        plan = SplitPlan(by=plan.by, artists=path, folds=plan.folds, fold=plan.fold)
    with pytest.raises(DataError, match=text):
        apply(data, plan)

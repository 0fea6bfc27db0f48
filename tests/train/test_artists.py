from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from train import artists
from train.errors import DataError

TRACKS = [(f"{genre}.{n}", genre) for genre in ("a", "b") for n in range(20)]
# Artist k has k tracks of each genre; the rest are nobody's.
KNOWN = {
    f"{genre}.{k * (k - 1) // 2 + i}": f"artist {genre} {k}"
    for genre in ("a", "b")
    for k in range(1, 6)
    for i in range(k)
}


def test_an_artist_is_in_one_fold_and_genres_are_balanced() -> None:
    found = artists.folds(TRACKS, KNOWN, 4, seed=1)
    assert found == artists.folds(reversed(TRACKS), KNOWN, 4, seed=1)
    assert found != artists.folds(TRACKS, KNOWN, 4, seed=2)
    of_artist = defaultdict(set)
    for track, artist in KNOWN.items():
        of_artist[artist].add(found[track])
    assert all(len(folds) == 1 for folds in of_artist.values())
    unknown = {found[track] for track, _ in TRACKS if track not in KNOWN}
    assert len(unknown) > 1, "tracks of unknown artists are each alone"
    count = Counter((genre, found[track]) for track, genre in TRACKS)
    assert set(count.values()) == {5}


@pytest.mark.parametrize("number", [1, 21])
def test_folds_that_cannot_be_dealt(number: int) -> None:
    with pytest.raises(DataError, match="can't be dealt"):
        artists.folds(TRACKS[:20], {}, number, seed=1)


def test_the_table_normalises_artists(tmp_path: Path) -> None:
    path = tmp_path / "artists.csv"
    path.write_text('track,artist,title\na/a.1.wav,The  Band,X\na.2,the band,Y\nb.1,,"Z, z"\n')
    assert artists.read(path) == {"a.1": "the band", "a.2": "the band"}
    path.write_text("track,singer\na.1,The Band\n")
    with pytest.raises(DataError, match="no column 'artist'"):
        artists.read(path)
    with pytest.raises(DataError, match="can't be read"):
        artists.read(tmp_path / "none.csv")

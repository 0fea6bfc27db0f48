from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from train.data import artists
from train.data.tracks import Track, read_tracks, write_tracks
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
    with pytest.raises(DataError, match="can't be split"):
        artists.folds(TRACKS[:20], {}, number, seed=1)


def test_the_table_normalises_artists(tmp_path: Path) -> None:
    path = tmp_path / "artists.csv"
    path.write_text('track,artist,title\na/a.1.wav,The  Band,X\na.2,the band,Y\nb.1,,"Z, z"\n')
    assert artists.read(path) == {"a.1": "the band", "a.2": "the band"}
    path.write_text("\ufeffTrack; Artist ;Weight\r\na/a.1.wav; The Band;0,5\r\nb.1;;\r\n")
    assert artists.read(path) == {"a.1": "the band"}
    (track,) = artists.with_artists([Track("a.1", "a", "train")], path)
    assert track.weight == 0.5
    path.write_text("track,singer\na.1,The Band\n")
    with pytest.raises(DataError, match="no column 'artist'"):
        artists.read(path)
    with pytest.raises(DataError, match="can't be read"):
        artists.read(tmp_path / "none.csv")


def test_tracks_get_their_artists_and_weights(tmp_path: Path) -> None:
    path = tmp_path / "artists.csv"
    path.write_text("track,artist,weight\na.1,The  Band,0.5\na.2,the band,\na.3,,2\n")
    tracks = tuple(Track(f"a.{n}", "a", "train") for n in range(1, 5))
    found = artists.with_artists(tracks, path)
    assert [of.artist for of in found] == ["the band", "the band", "", ""]
    assert [of.weight for of in found] == [0.5, 1.0, 2.0, 1.0]
    np.testing.assert_allclose(artists.shares(found), [0.5 / 2**0.5, 0.5**0.5, 2.0, 1.0])
    write_tracks(tmp_path / "tracks.csv", found)
    assert read_tracks(tmp_path / "tracks.csv") == found
    write_tracks(tmp_path / "tracks.csv", tracks)
    columns = (tmp_path / "tracks.csv").read_text().splitlines()[0]
    assert columns == "track,genre,split,start,frames,source_hz"


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "much"])
def test_a_weight_is_a_number_above_0(tmp_path: Path, weight: str) -> None:
    path = tmp_path / "artists.csv"
    path.write_text(f"track,artist,weight\na.1,someone,{weight}\n")
    with pytest.raises(DataError, match=r"weight of a\.1"):
        artists.with_artists([Track("a.1", "a", "train")], path)

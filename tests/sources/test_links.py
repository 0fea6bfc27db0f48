"""A second service beside YouTube: a class and its place in the list, and its links are taken."""

import json
import re
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from serve import notebook
from serve.__main__ import main
from serve.errors import BadUrl, NotYouTube, RateLimited
from serve.sources import links
from serve.sources.memory import MemorySource
from serve.sources.stream import Link
from tests.library.kills import rows
from tests.server import running_server

SONG = Path(__file__).parents[1] / "data" / "song.mp3"
SITE = "https://jukebox.test/"
opened: list[str] = []


@dataclass(frozen=True)
class Record:
    name: str
    origin: ClassVar[str] = "jukebox"

    @property
    def identity(self):
        return "jukebox", self.name

    @asynccontextmanager
    async def open(self):
        opened.append(self.name)
        if self.name == "stuck":
            raise RateLimited
        async with MemorySource(self.name, SONG.read_bytes(), 1 << 24).open() as stream:
            yield stream


class Jukebox:
    name, title, ids = "jukebox", "Jukebox", "[a-z]+"
    breakers: ClassVar = {"jukebox_rate_limited": RateLimited}
    confinement = None

    def __init__(self, settings): ...

    @staticmethod
    def link(text):
        found = re.search(r"jukebox(?:\.test/|:track:)(\w*)", text)
        if found is None:
            raise NotYouTube
        if not found[1]:
            raise BadUrl
        return Link("jukebox", found[1], SITE + found[1])

    @staticmethod
    def mentioned(text):
        return "jukebox.test/" in text

    def source(self, track_id):
        return Record(track_id)

    def preloading(self):
        return nullcontext()

    def watch(self, gauge):
        gauge("jukebox_coins", "coins in it", lambda: 3.0)


@pytest.fixture(autouse=True)
def _registered(monkeypatch, tiny_model):
    monkeypatch.setattr(links, "SERVICES", [*links.SERVICES, Jukebox])
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    monkeypatch.setenv("TOPGENRE_DECODERS", "1")
    opened.clear()


def test_what_the_others_take_for_broken_is_its_own():
    assert links.link_of("jukebox:track:wish").key == "jukebox:wish"
    with pytest.raises(BadUrl):
        links.link_of("elsewhere:track:wish")


def test_a_server_takes_its_links(tiny_model, tmp_path):
    settings = {"model": tiny_model, "decoders": 1, "cache": str(tmp_path), "breaker_failures": 1}
    with running_server(**settings) as server, server.client() as client:
        assert server.metric("topgenre_jukebox_coins") == 3
        assert client.get("/check", params={"url": f"{SITE}wish"}).json() == {
            "id": "wish",
            "url": f"{SITE}wish",
        }
        answers = [client.post("/predict", json={"url": f"{SITE}wish"}) for _ in range(2)]
        assert [of.status_code for of in answers] == [200, 200]
        assert [of.json()["cached"] for of in answers] == [False, True]
        assert opened == ["wish"]
        within = client.get("/check", params={"url": "jukebox.test/wish is what I hear"})
        assert within.json()["id"] == "wish"
        both = f"{SITE}wish https://youtu.be/dQw4w9WgXcQ"
        for url, code in (
            (SITE, "bad_url"),
            (both, "bad_url"),
            ("https://elsewhere.test/x", "not_youtube"),
        ):
            assert client.post("/predict", json={"url": url}).json()["code"] == code
        # Once it refuses this server it is left alone, and nobody else is.
        codes = [client.post("/predict", json={"url": f"{SITE}{n}"}) for n in ("stuck", "other")]
        assert [of.json()["code"] for of in codes] == ["rate_limited", "rate_limited"]
        assert opened == ["wish", "stuck"]
        states = {
            name: [of.state for of in s] for name, s in server.pipeline.parts.breakers.items()
        }
        assert states == {"youtube": ["closed", "closed"], "jukebox": ["open"]}


def test_so_do_the_command_line_the_catalogue_and_notebooks(tmp_path, capsys):
    assert main(["classify", "--json", f"{SITE}wish", f"{SITE}wish"]) == 0
    (record,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (record["track"], record["id"]) == (f"{SITE}wish", "jukebox:wish")
    manifest = tmp_path / "list.txt"
    manifest.write_text(f"{SITE}wish\n")
    assert main(["catalogue", str(manifest), str(tmp_path / "out")]) == 0
    (row,) = rows(tmp_path / "out")
    assert row["code"] is None
    try:
        assert notebook.classify(f"{SITE}wish").results == record["results"]
    finally:
        notebook.stop()
    assert opened == ["wish"] * 3

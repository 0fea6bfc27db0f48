"""What is asked for in a soak, and which outcomes that may have."""

from __future__ import annotations

import io
import itertools
import random
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.media import LONGEST, again, corpus, spoiled
from tests.chaos.upstream import ID_LENGTH, KINDS
from tests.corpus.case import ANY, Case
from tests.standin import StandIn

#: Settings of the server that is asked, which some requests exceed.
MAX_BODY_BYTES, MAX_REQUESTS = 8 << 20, 8
#: Codes that any link may get while YouTube is left alone.
LEFT_ALONE = frozenset({"bot_check", "rate_limited"})
#: Videos that many ask for.
_POPULAR = {"m4a": 3, "webm": 2, "private": 1, "removed": 1, "drip": 1}
#: How often a kind of request comes in a round; the others once.
_WEIGHTS = {
    "upload": 6,
    "repeated upload": 3,
    "spoiled upload": 3,
    "hostile upload": 4,
    "popular video": 6,
} | {
    "video: m4a": 4,
    "video: webm": 2,
}
_RAW = {"Content-Type": "application/octet-stream"}
_BAD_REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "not YouTube": ("not_youtube", {"json": {"url": "https://example.com/watch?v=AAAAAAAAAAA"}}),
    "no link": ("bad_url", {"json": {"url": "song"}}),
    "playlist": ("playlist", {"json": {"url": "https://youtube.com/playlist?list=PLx"}}),
    "no JSON": ("bad_request", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    "wrong type": ("unsupported_media", {"content": b"x", "headers": {"Content-Type": "a/b"}}),
    "too large": ("too_big", {"content": bytes(MAX_BODY_BYTES + (1 << 17)), "headers": _RAW}),
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: the codes that it may be answered with ("ok" is one), and httpx's arguments.

    `track` names the good track whose answer is the right one. A batch has the asks of its tracks.
    """

    kind: str
    codes: frozenset[str]
    arguments: dict[str, Any]
    track: str | None = None
    batch: tuple[Ask, ...] = ()

    @property
    def link(self) -> bool:
        """Whether YouTube is asked for it."""
        return "json" in self.arguments

    @property
    def path(self) -> str:
        """Where it is sent."""
        return "/predict/batch" if self.batch else "/predict"


@dataclass(slots=True)
class Asker:
    """Makes requests of every kind, and has YouTube know the videos that they name."""

    tracks: Mapping[str, bytes]
    youtube: StandIn
    rng: random.Random
    corpus: Sequence[Case] = field(default_factory=corpus)
    popular: dict[str, str] = field(default_factory=dict)
    _marks: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        for kind, count in _POPULAR.items():
            for _ in range(count):
                self.popular[self._new_video(kind)] = kind

    def kinds(self) -> list[str]:
        """Every kind of request, by name."""
        videos = [f"video: {kind}" for kind in KINDS]
        uploads = ["upload", "form", "repeated upload", "spoiled upload", "hostile upload"]
        bad = [f"bad: {kind}" for kind in _BAD_REQUESTS]
        return [*uploads, "popular video", *videos, *bad, "batch of links", "zip"]

    def rounds(self) -> Iterator[str]:
        """The kinds in a random order, each as often as its weight says, again and again."""
        all_of_them = [kind for kind in self.kinds() for _ in range(_WEIGHTS.get(kind, 1))]
        while True:
            yield from self.rng.sample(all_of_them, len(all_of_them))

    def ask(self, kind: str) -> Ask:
        """A request of this kind."""
        group, _, name = kind.partition(": ")
        match group:
            case "upload" | "form" | "repeated upload":
                return self._upload(kind)
            case "hostile upload":
                case = self.rng.choice(self.corpus)
                codes = frozenset(case.expected | {"too_big"})
                return Ask(kind, codes, {"content": case.make(), "headers": _RAW})
            case "spoiled upload":
                content = spoiled(self.tracks, self.rng)
                return Ask(kind, ANY, {"content": content, "headers": _RAW})
            case "video":
                return self._video(kind, name, self._new_video(name))
            case "popular video":
                video_id = self.rng.choice(sorted(self.popular))
                return self._video(kind, self.popular[video_id], video_id)
            case "bad":
                code, arguments = _BAD_REQUESTS[name]
                return Ask(kind, frozenset({code}), arguments)
            case "batch of links":
                return self._links(kind)
            case _:
                return self._zip(kind)

    def slow_upload(self) -> Ask:
        """A good file, for a client that is too slow to be borne."""
        content = again(LONGEST, self.tracks[LONGEST], next(self._marks))
        codes = frozenset({"slow_client"})
        return Ask("slow upload", codes, {"content": content, "headers": _RAW})

    def _upload(self, kind: str) -> Ask:
        track = self.rng.choice(sorted(self.tracks))
        content = self.tracks[track]
        if kind != "repeated upload":
            content = again(track, content, next(self._marks))
        arguments: dict[str, Any] = {"content": content, "headers": _RAW}
        if kind == "form":
            arguments = {"files": {"file": (track, content)}}
        return Ask(kind, frozenset({"ok"}), arguments, track)

    def _video(self, kind: str, name: str, video_id: str) -> Ask:
        of = KINDS[name]
        link = {"url": f"https://www.youtube.com/watch?v={video_id}"}
        return Ask(kind, of.codes, {"json": link}, of.track if "ok" in of.codes else None)

    def _links(self, kind: str) -> Ask:
        # None that opens a breaker: in peace there is one of each already.
        others = sorted(name for name, of in KINDS.items() if not of.codes & LEFT_ALONE)
        names = ["m4a", self.rng.choice(others), "webm"]
        asks = tuple(self._video(f"{kind}: {n}", n, self._new_video(n)) for n in names)
        links = [ask.arguments["json"]["url"] for ask in asks]
        return Ask(kind, frozenset({"ok"}), {"json": {"urls": links}}, batch=asks)

    def _zip(self, kind: str) -> Ask:
        asks = [self._upload("upload"), self._upload("upload"), self.ask("spoiled upload")]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number, ask in enumerate(asks):
                archive.writestr(f"{number}", ask.arguments["content"])
        return Ask(
            kind,
            frozenset({"ok"}),
            {"content": packed.getvalue(), "headers": {"Content-Type": "application/zip"}},
            batch=tuple(asks),
        )

    def _new_video(self, kind: str) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        video_id = "".join(self.rng.choices(letters, k=ID_LENGTH))
        self.youtube.add(KINDS[kind].video(video_id, self.tracks))
        return video_id

"""The videos that the stand-in has, and what its player API says of them."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.standin import pages

if TYPE_CHECKING:
    from tests.standin.server import Handler

AUDIO_HOST = "rr1---sn-standin.googlevideo.com"
MIME = {
    139: 'audio/mp4; codecs="mp4a.40.5"',
    140: 'audio/mp4; codecs="mp4a.40.2"',
    249: 'audio/webm; codecs="opus"',
    251: 'audio/webm; codecs="opus"',
    18: 'video/mp4; codecs="avc1.42001E, mp4a.40.2"',
}
#: Clients whose audio comes with challenges that only JavaScript solves.
JS_CLIENTS = ("TVHTML5", "TVHTML5_SIMPLY", "WEB_EMBEDDED_PLAYER")
N_CHALLENGE, SIGNATURE_CHALLENGE = "AbCdEfGhIjKlMnOp", "0123456789ABCDEFGHIJ"

#: Answers a request, or returns False to have it answered as usual.
Answer = Callable[["Handler"], bool]
#: Answers a request for the bytes `start` to `end` (inclusive), likewise.
Fault = Callable[["Handler", bytes, int, int], bool]


@dataclass
class Video:
    """One video. The defaults are a playable one; each field bends one thing."""

    id: str
    media: dict[int, bytes] = field(default_factory=dict)
    """itag to audio file"""
    title: str = "A track"
    length: int | None = 600
    """seconds; None leaves it out"""
    status: str = "OK"
    reason: str | None = None
    playability: dict[str, Any] = field(default_factory=dict)
    """further fields of playabilityStatus"""
    details: dict[str, Any] = field(default_factory=dict)
    """further fields of videoDetails"""
    micro: dict[str, Any] = field(default_factory=dict)
    """further fields of the page's microformat"""
    streaming: dict[str, Any] = field(default_factory=dict)
    """further fields of streamingData"""
    response: dict[str, Any] = field(default_factory=dict)
    """further fields of the player response"""
    audio_url: str | None = None
    """sent instead of the stand-in's own"""
    content_length: bool = True
    """whether the size of the audio is announced"""
    challenges: bool = False
    """whether every client gets the challenges of `JS_CLIENTS`"""
    clients: tuple[str, ...] = ()
    """the clients that are given audio; empty is all that call the API"""
    watch: Answer | None = None
    player: Answer | None = None
    fault: Fault | None = None

    def has_challenges(self, client: str) -> bool:
        return self.challenges or client in JS_CLIENTS

    def player_response(self, client: str) -> dict[str, Any]:
        status: dict[str, Any] = {"status": self.status, "playableInEmbed": True}
        if self.reason:
            status["reason"] = self.reason
        details: dict[str, Any] = {
            "videoId": self.id,
            "title": self.title,
            "channelId": "UC" + "x" * 22,
            "author": "Stand-in",
            "isLiveContent": False,
        }
        if self.length is not None:
            details["lengthSeconds"] = str(self.length)
        response: dict[str, Any] = {
            "responseContext": {"visitorData": pages.VISITOR},
            "playabilityStatus": status | self.playability,
            "videoDetails": details | self.details,
        }
        if client == "WEB":
            micro = {"title": {"simpleText": self.title}, "isFamilySafe": True} | self.micro
            response["microformat"] = {"playerMicroformatRenderer": micro}
        if streaming := self._streaming(client) | self.streaming:
            response["streamingData"] = streaming
        return response | self.response

    def _streaming(self, client: str) -> dict[str, Any]:
        if self.status != "OK":
            return {}
        formats = [self._format(itag, client) for itag in self.media]
        if client == "WEB":  # what the site itself gets today: formats that have no URL
            for entry in formats:
                entry.pop("url", None)
                entry.pop("signatureCipher", None)
        elif self.clients and client not in self.clients:
            return {}
        return {"expiresInSeconds": "21540", "adaptiveFormats": formats}

    def _format(self, itag: int, client: str) -> dict[str, Any]:
        size = len(self.media[itag])
        seconds = self.length or 600
        query = {
            "expire": int(time.time()) + 21_000,
            "id": self.id,
            "itag": itag,
            "mime": MIME[itag].partition(";")[0],
            "c": client,
        }
        if self.has_challenges(client):
            query["n"] = N_CHALLENGE
        url = self.audio_url or (
            f"https://{AUDIO_HOST}/videoplayback?{urllib.parse.urlencode(query)}"
        )
        entry: dict[str, Any] = {
            "itag": itag,
            "mimeType": MIME[itag],
            "bitrate": size * 8 // seconds,
            "audioQuality": "AUDIO_QUALITY_MEDIUM" if itag in (140, 251) else "AUDIO_QUALITY_LOW",
            "approxDurationMs": str(seconds * 1000),
            "audioChannels": 2,
            "quality": "tiny",
        }
        if self.content_length:
            entry["contentLength"] = str(size)
        if self.has_challenges(client):
            cipher = {"s": SIGNATURE_CHALLENGE, "sp": "sig", "url": url}
            entry["signatureCipher"] = urllib.parse.urlencode(cipher)
        else:
            entry["url"] = url
        return entry

    def solved(self, query: dict[str, str]) -> bool:
        """Whether a request for the audio answers the challenges that its URL came with."""
        if not self.has_challenges(query.get("c", "")):
            return True
        return query.get("n") == pages.solve_n(N_CHALLENGE) and query.get(
            "sig"
        ) == pages.solve_signature(SIGNATURE_CHALLENGE)

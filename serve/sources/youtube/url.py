"""The grammar of YouTube links: text that a person pasted to the id of one video, and back.

Pure: no network, no yt-dlp. Nothing of the text but the eleven characters of the id goes on from
here, so that whatever else a link may hold can do no harm.
"""

from __future__ import annotations

import re
import unicodedata

from serve.errors import BadUrl, NotYouTube, Playlist

#: Longest text looked at, in characters.
MAX_LENGTH = 2048

HOSTS = frozenset(
    {
        "youtube.com",
        "www.youtube.com",
        "m.youtube.com",
        "music.youtube.com",
        "gaming.youtube.com",
        "youtube-nocookie.com",
        "www.youtube-nocookie.com",
    }
)
SHORT_HOSTS = frozenset({"youtu.be", "www.youtu.be"})
PORTS = frozenset({"", "80", "443"})

ID = re.compile(r"[0-9A-Za-z_-]{11}")
#: Of eleven characters like an id, but YouTube's words for "whatever this list or channel plays".
NO_IDS = frozenset({"videoseries", "live_stream"})

BEFORE_ID = frozenset({"watch", "shorts", "live", "embed", "v", "e"})
COLLECTIONS = frozenset({"playlist", "channel", "c", "user", "show", "browse", "podcast", "course"})

#: What pasting adds around a link: white space, no-break and zero-width space, byte order mark.
AROUND = " \t\r\n\f\v\u00a0\u200b\ufeff"

_PARTS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://|//)?"
    r"(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?"
)


def video_id(text: str) -> str:
    """The 11-character id of the one video that this link names.

    Accepts with or without scheme: watch, shorts, live, embed, v and e links of youtube.com (bare,
    www., m., music., gaming.) and youtube-nocookie.com, and youtu.be. Further parameters and the
    fragment are ignored, so a video inside a playlist is that video. A bare id is refused: an
    ordinary word of eleven letters could not be told from one.

    Raises BadUrl, NotYouTube or Playlist.
    """
    if len(text) > MAX_LENGTH:
        raise BadUrl("That is too long for a link.")
    text = text.strip(AROUND)
    if _broken(text):
        raise BadUrl
    parts = _PARTS.fullmatch(text)
    if parts is None or "__youtubedl_smuggle" in text:
        raise BadUrl
    host = _host(parts["scheme"], parts["authority"])
    segments = parts["path"].removeprefix("/").removesuffix("/").split("/")
    if host in SHORT_HOSTS:
        return _id(segments)
    return _from_site(segments, parts["query"] or "")


def watch_url(video_id: str) -> str:
    """The link of a video's own page, by its id."""
    return f"https://www.youtube.com/watch?v={video_id}"


def _broken(text: str) -> bool:
    """Whether it holds what no link does: white space, backslashes, what can't be seen."""
    if text.isascii() and text.isprintable():  # as nearly all are, and this is quick
        return " " in text or "\\" in text
    return any(c == "\\" or c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in text)


def _host(scheme: str | None, authority: str) -> str:
    """The host in lower case, if it is YouTube's."""
    if scheme is not None and scheme.lower() not in ("http", "https"):
        raise BadUrl("Only http and https links are accepted.")
    if "@" in authority:
        raise BadUrl("A link with a user name in it is not accepted.")
    host, _, port = authority.partition(":")
    host = host.lower()
    if host not in HOSTS and host not in SHORT_HOSTS:
        # A word is no link at all; a link to elsewhere deserves to hear what is wrong with it.
        raise NotYouTube if host and (scheme or "." in host) else BadUrl
    if port not in PORTS:
        raise BadUrl("YouTube links have no port.")
    return host


def _from_site(segments: list[str], query: str) -> str:
    first, *rest = segments
    if first in BEFORE_ID and rest:
        return _id(rest)
    if first in ("watch", "") and not rest:
        return _from_query(query, required=first == "watch")
    if first in COLLECTIONS or first.startswith("@"):
        raise Playlist
    if first == "results":
        raise BadUrl("That is a search; give the link of one video.")
    raise BadUrl("That is a page of YouTube, but not a video.")


def _from_query(query: str, *, required: bool) -> str:
    """The id in `v=`. Said twice it must say the same: there is no telling which one was meant."""
    given = [pair.partition("=")[::2] for pair in query.split("&")]
    ids = {value for name, value in given if name == "v" and value}
    if len(ids) > 1:
        raise BadUrl("The link names more than one video.")
    if ids:
        return _id([ids.pop()])
    if any(name == "list" for name, _ in given):
        raise Playlist
    if required:
        raise BadUrl("The link lacks the id of a video.")
    raise BadUrl("That is a page of YouTube, but not a video.")


def _id(segments: list[str]) -> str:
    """The one segment left over, as an id; `ID&feature=…` is what old embed codes look like."""
    found = segments[0].partition("&")[0]
    if found in NO_IDS:
        raise Playlist
    if len(segments) > 1 or not ID.fullmatch(found):
        raise BadUrl("A video's id has 11 letters, digits, - or _; this link's has not.")
    return found

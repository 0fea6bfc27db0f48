"""The grammar of YouTube links: text that a person pasted to the id of one video, and back.

Pure: no network, no yt-dlp. Nothing of the text but the eleven characters of the id goes on from
here, so that whatever else a link may hold can do no harm.
"""

from __future__ import annotations

import re
import unicodedata

from serve.errors import BadUrl, NotYouTube, Playlist, TopgenreError

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

BEFORE_ID = frozenset({"watch", "shorts", "live", "embed", "v", "vi", "e"})
WITH_QUERY = frozenset({"watch", "watch_popup"})
COLLECTIONS = frozenset({"playlist", "channel", "c", "user", "show", "browse", "podcast", "course"})

# What pasting adds around a link and nobody sees: zero-width space, word joiner, byte order mark,
# marks of direction.
_UNSEEN = "\u200b\u200e\u200f\u2060\ufeff\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
# What people and Markdown write before and after it; no link to a video begins or ends so.
_BEFORE = _UNSEEN + "([{'*`‘‚（［【「『〈《"
_AFTER = _UNSEEN + ")]}'*`’.,;:!?…）］】」』〉》。，、；：！？"
# What stands between the words of a text, also where no space does: in Markdown after a link's
# name, in HTML around its address, and where a script without spaces goes over into a link.
_BETWEEN = re.compile(r"[\s<>\"“”„«»]+|\](?=\()|(?<=[^\x00-\x7f])(?=https?://)", re.IGNORECASE)
# A picture beside a link, in Markdown or HTML: its address is not the one that is meant.
_PICTURE = re.compile(r"!\[[^]]*\]\([^)]*\)|<img\b[^>]*>", re.IGNORECASE)
# Of the words of a text, those that are meant as links. Within a text a mere `name.tld` is a word.
_SITES = "|".join(map(re.escape, sorted(HOSTS | SHORT_HOSTS)))
_MEANT = re.compile(rf".*://|vnd\.youtube:|(//)?({_SITES})(:\d*)?[/?]", re.IGNORECASE)
# How Android hands YouTube's own program a video, by its id or by its link.
_ANDROID_ID = re.compile(r"\Avnd\.youtube:(?://)?(?=[^/?#&]+(?:[?#&]|\Z))", re.IGNORECASE)
_ANDROID = re.compile(r"\Avnd\.youtube(?=://)", re.IGNORECASE)

#: Without a scheme, at the beginning or after a space, quote or bracket.
SITE = re.compile(
    r"(?i)(?:^|[^\w./*~-])(?://)?(?:[a-z]+\.)?(?:youtube(?:-nocookie)?\.com|youtu\.be)(?=[/?#:])"
)

_PARTS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://|//)?"
    r"(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?"
)


def video_id(text: str) -> str:
    """The 11-character id of the one video that this link, or the one link in this text, names.

    Accepts with or without scheme: watch, watch_popup, shorts, live, embed, v, vi and e links of
    youtube.com (bare, www., m., music., gaming.) and youtube-nocookie.com, youtu.be, and
    `vnd.youtube:ID`. Further parameters and the fragment are ignored, so a video inside a playlist
    is that video. A bare id is refused: an ordinary word of eleven letters could not be told from
    one.

    The link may stand in a text, in brackets, quotes or Markdown. A link that only holds another,
    as a parameter, is not that other one. Links to different places are refused, whatever they are.

    Raises BadUrl, NotYouTube or Playlist.
    """
    if len(text) > MAX_LENGTH:
        raise BadUrl("That is too long for a link.")
    links = _links(text)
    if len({_named(link) for link in links}) > 1:
        raise BadUrl("There is more than one link in that; give the link of one video.")
    if not links:
        raise BadUrl
    return _video(links[0])


def _links(text: str) -> list[str]:
    beside_pictures = _meant(_words(_PICTURE.sub("", text)))
    words = _words(text)
    return beside_pictures or (words if len(words) == 1 else _meant(words))


def _words(text: str) -> list[str]:
    words = (word.lstrip(_BEFORE).rstrip(_AFTER) for word in _BETWEEN.split(text))
    return [word for word in words if word]


def _meant(words: list[str]) -> list[str]:
    return [word for word in words if _MEANT.match(word)]


def _named(link: str) -> str:
    """What a link names: a video by its id, anything else by itself."""
    try:
        return _video(link)
    except TopgenreError:
        return link


def _video(link: str) -> str:
    link = _ANDROID.sub("https", _ANDROID_ID.sub("youtu.be/", link))
    if _broken(link):
        raise BadUrl
    parts = _PARTS.fullmatch(link)
    if parts is None or "__youtubedl_smuggle" in link:
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
        raise BadUrl("Links with a user name are not accepted.")
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
    if (first in WITH_QUERY or not first) and not rest:
        return _from_query(query, required=bool(first))
    if first in COLLECTIONS or first.startswith("@"):
        raise Playlist
    if first == "results":
        raise BadUrl("That is a search; give the link of one video.")
    raise BadUrl("That is a page of YouTube, but not a video.")


def _from_query(query: str, *, required: bool) -> str:
    """The id in `v=` or `vi=`. Said twice it must say the same: nobody knows which was meant."""
    given = [pair.partition("=")[::2] for pair in query.split("&")]
    ids = {value for name, value in given if name in ("v", "vi") and value}
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
        raise BadUrl("A video's id is 11 letters, digits, - or _; the one in this link is not.")
    return found

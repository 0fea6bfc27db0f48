from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serve.errors import BadUrl, NotYouTube, Playlist, TopgenreError
from serve.sources.youtube.url import MAX_LENGTH, video_id, watch_url

ID = "dQw4w9WgXcQ"
W = f"https://www.youtube.com/watch?v={ID}"
LIST = "list=PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI"

VIDEOS = [
    W,
    f"http://www.youtube.com/watch?v={ID}",
    f"https://youtube.com/watch?v={ID}",
    f"https://m.youtube.com/watch?v={ID}",
    f"https://music.youtube.com/watch?v={ID}&si=abcdef",
    f"https://gaming.youtube.com/watch?v={ID}",
    f"https://www.youtube-nocookie.com/embed/{ID}",
    f"https://youtube-nocookie.com/embed/{ID}?rel=0",
    f"https://youtu.be/{ID}",
    f"http://youtu.be/{ID}",
    f"https://www.youtu.be/{ID}",
    f"https://youtu.be/{ID}/",
    f"https://youtu.be/{ID}?si=R4nd0mSh4r3Id",
    f"https://youtu.be/{ID}?t=42",
    f"https://youtu.be/{ID}#t=42",
    f"https://youtu.be/{ID}&feature=youtu.be",
    f"https://youtu.be/{ID}?{LIST}",
    f"https://www.youtube.com/shorts/{ID}",
    f"https://www.youtube.com/shorts/{ID}?feature=share",
    f"https://youtube.com/shorts/{ID}/",
    f"https://www.youtube.com/live/{ID}",
    f"https://www.youtube.com/live/{ID}?si=abc",
    f"https://www.youtube.com/embed/{ID}",
    f"https://www.youtube.com/embed/{ID}?autoplay=1&start=3",
    f"https://www.youtube.com/embed/{ID}?{LIST}",
    f"https://www.youtube.com/v/{ID}",
    f"https://www.youtube.com/v/{ID}&hl=en_US&fs=1",
    f"https://www.youtube.com/e/{ID}",
    f"https://www.youtube.com/watch/{ID}",
    f"https://www.youtube.com/watch/?v={ID}",
    f"https://www.youtube.com/?v={ID}",
    f"https://www.youtube.com?v={ID}",
    f"{W}&feature=related",
    f"{W}&t=1m30s",
    f"{W}#t=90",
    f"{W}#",
    f"{W}&",
    f"{W}&ab_channel=Sigur%20R%C3%B3s",
    f"{W}&ab_channel=SigurRós",
    f"{W}&v={ID}",
    f"{W}&v=",
    f"{W}&{LIST}",
    f"{W}&{LIST}&index=3",
    f"{W}&list=RD{ID}&start_radio=1",
    f"{W}&amp;feature=share",
    f"{W}&redirect=https://evil.test/",
    f"https://www.youtube.com/watch?app=desktop&v={ID}",
    f"https://www.youtube.com/watch?{LIST}&v={ID}",
    f"https://www.youtube.com/watch?vv=1&v={ID}",
    f"youtube.com/watch?v={ID}",
    f"www.youtube.com/watch?v={ID}",
    f"youtu.be/{ID}",
    f"music.youtube.com/watch?v={ID}",
    f"//www.youtube.com/watch?v={ID}",
    f"HTTPS://WWW.YOUTUBE.COM/watch?v={ID}",
    f"https://YouTu.Be/{ID}",
    f"https://www.youtube.com:443/watch?v={ID}",
    f"http://www.youtube.com:80/watch?v={ID}",
    f"https://www.youtube.com:/watch?v={ID}",
    f"  {W}  ",
    f"\n{W}\r\n",
    f"\ufeff{W}\u200b",
    f"\u00a0{W}\u00a0",
    f"https://www.youtube.com/vi/{ID}",
    f"https://www.youtube.com/?vi={ID}",
    f"https://www.youtube.com/watch_popup?v={ID}&t=3",
    f"vnd.youtube:{ID}",
    f"vnd.youtube://{ID}",
    f"VND.YouTube:{ID}?vndapp=youtube",
    f"vnd.youtube://www.youtube.com/watch?v={ID}",
    f"<{W}>",
    f'"{W}"',
    f"“{W}”",
    f"'{W}'",
    f"({W})",
    f"[{W}]",
    f"`{W}`",
    f"**{W}**",
    f"{W}.",
    f"{W}!)",
    f"[My song]({W})",
    f'[My song](youtu.be/{ID} "a title")',
    f"[![My song](https://i.ytimg.com/vi/{ID}/0.jpg)]({W})",
    f'See [ ![](a.png "of it") ]({W} "a title").',
    f"![My song]({W})",
    f'<a href="{W}"><img src="https://img.youtube.com/vi/{ID}/0.jpg"></a>',
    f"[{W}](https://youtu.be/{ID})",
    f'<a href="{W}">My song</a>',
    f"{W} and more",
    f"Check this out: {W}",
    f"Listen to youtu.be/{ID}, it is on example.com",
    f"song.mp3 is at vnd.youtube:{ID}.",
    f'Watch "Song: a / b" on YouTube\n{W}&feature=share',
    f"{W}\n{W}",
    f"{W} or https://youtu.be/{ID}?si=abc",
    f"【歌】https://youtu.be/{ID}",
    f"听听这个https://youtu.be/{ID}。",
    f"\u200e{W}\u200e",
    f"\u2060{W}\u2060",
    f"\u2068{W}\u2069",
    f"see \u2068{W}\u2069, please",
]

OTHER_IDS = ["-----------", "___________", "00000000000", "AbC-_123xyZ", "video-serie"]

BAD = [
    "",
    "   ",
    "hello world",
    "hello-world",  # a word as long as an id
    ID,
    "v=" + ID,
    f"watch?v={ID}",
    "https://",
    "https:///watch?v=" + ID,
    "https:www.youtube.com/watch?v=" + ID,
    "https:/www.youtube.com/watch?v=" + ID,
    f"ftp://www.youtube.com/watch?v={ID}",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "javascript:alert(1)",
    f"javascript://www.youtube.com/watch?v={ID}",
    "data:text/html,hi",
    "ytsearch:some song",
    "ytsearch:song",
    f"view-source:{W}",
    "https://www.youtube.com",
    "https://www.youtube.com/",
    "https://youtu.be",
    "https://youtu.be/",
    "https://www.youtube.com/watch",
    "https://www.youtube.com/watch?",
    "https://www.youtube.com/watch?v=",
    "https://www.youtube.com/watch?v",
    f"https://www.youtube.com/watch#v={ID}",
    f"https://www.youtube.com/watch?V={ID}",
    f"https://www.youtube.com/WATCH?v={ID}",
    f"{W}Q",
    W[:-1],
    f"{W}/",
    f"{W}?t=3",
    f"{W}%00",
    f"https://www.youtube.com/watch?v={ID[:-1]}é",
    f"https://www.youtube.com/watch?v={ID[:-1]}.",
    f"https://www.youtube.com/watch?v=%64{ID[1:]}",
    f"{W}&v=AAAAAAAAAAA",
    f"https://youtu.be/{ID}Q",
    f"https://youtu.be/{ID[:-1]}",
    f"https://youtu.be/{ID}/more",
    f"https://youtu.be//{ID}",
    f"https://youtu.be/watch?v={ID}",
    "https://www.youtube.com/shorts/",
    "https://www.youtube.com/shorts",
    f"https://www.youtube.com/shorts/{ID}/more",
    f"https://www.youtube.com/shorts/{ID}A",
    f"https://www.youtube.com//watch?v={ID}",
    f"https://www.youtube.com/%77atch?v={ID}",
    f"https://www.youtube.com/embed//{ID}",
    f"https://www.youtube.com/{ID}",
    f"https://www.youtube.com/attribution_link?u=/watch?v={ID}",
    f"https://www.youtube.com/oembed?url={W}",
    f"https://www.youtube.com/redirect?q={W}",
    f"https://www.youtube.com/clip/{ID}",
    "https://www.youtube.com/results?search_query=jazz",
    "https://www.youtube.com/feed/trending",
    "https://www.youtube.com/hashtag/jazz",
    f"https://www.youtube.com/ watch?v={ID}",
    f"{W}&a=\x00",
    f"{W}&a=\x7f",
    f"{W}&a=\u202e",
    f"{W}&a=\u200b&b",
    f"https://www.youtube.com\\watch?v={ID}",
    f"https:\\\\www.youtube.com\\watch?v={ID}",
    f"https://www.youtube.com\\@evil.test/watch?v={ID}",
    f"https://user@www.youtube.com/watch?v={ID}",
    f"https://user:word@www.youtube.com/watch?v={ID}",
    f"https://www.youtube.com@evil.test/watch?v={ID}",
    f"https://evil.test@www.youtube.com/watch?v={ID}",
    f"https://www.youtube.com:8080/watch?v={ID}",
    f"https://www.youtube.com:22/watch?v={ID}",
    f"https://www.youtube.com:443:443/watch?v={ID}",
    f"https://www.youtube.com:0443/watch?v={ID}",
    f"https://www.youtube.com:x/watch?v={ID}",
    f"{W}#__youtubedl_smuggle=%7B%22http_headers%22%3A+%7B%7D%7D",
    f"{W}&a=" + "a" * MAX_LENGTH,
    "🎵",
    "no link, only youtube.com and words",
    f"see {ID}",
    f"mail me@youtu.be/{ID} please",
    f"{W} https://youtu.be/AAAAAAAAAAA",
    f"{W}\nhttps://vimeo.com/1",
    f"[{W}](https://evil.test/)",
    f"https://evil.test/ {W}",
    f"https://evil.test/é{W}",
    f"{W} https://www.youtube.com/playlist?{LIST}",
    f"at https://youtu.be/{ID}Q",
    f"vnd.youtube:{ID}Q",
    f"vnd.youtube:x@{ID}",
    "vnd.youtube://evil.test",
    f"a https://user@www.youtube.com/watch?v={ID}",
    f'https://www.youtube.com"@evil.test/watch?v={ID}',
    f"view-source:{W} and",
]

ELSEWHERE = [
    "https://vimeo.com/76979871",
    "https://soundcloud.com/artist/track",
    "example.com",
    "https://evil.test/watch?v=" + ID,
    f"https://youtube.com.evil.test/watch?v={ID}",
    f"https://evilyoutube.com/watch?v={ID}",
    f"https://www-youtube.com/watch?v={ID}",
    f"https://youtube.co/watch?v={ID}",
    f"https://yout.be/{ID}",
    f"https://youtu.be.evil.test/{ID}",
    f"https://evil.test/{W}",
    f"https://evil.test/?u={W}",
    f"https://evil.test#{W}",
    f"https://evil.youtube.com/watch?v={ID}",
    f"https://consent.youtube.com/m?continue={W}",
    f"https://www.youtube.com./watch?v={ID}",
    f"https://www.youtube。com/watch?v={ID}",
    f"https://www.youtube．com/watch?v={ID}",
    f"https://www.yоutube.com/watch?v={ID}",  # a Cyrillic o
    f"https://www.youtube%2ecom/watch?v={ID}",
    f"https://www.youtube.com%2f@evil.test%2f/watch?v={ID}".replace("@", ""),
    f"https://hooktube.com/watch?v={ID}",
    f"https://yewtu.be/watch?v={ID}",
    f"https://img.youtube.com/vi/{ID}/0.jpg",
    "https://rr1---sn-standin.googlevideo.com/videoplayback?id=1",
    "http://127.0.0.1:8000/a.mp3",
    f"http://127.0.0.1/watch?v={ID}",
    "http://2130706433/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/watch?v=" + ID,
    f"http://localhost/watch?v={ID}",
    "127.0.0.1:8000/a.mp3",
    f"https://www.you\ntube.com/watch?v={ID}",
    f"see https://evil.test/?u={W} there",
    f"<https://evil.test/?u=https://youtu.be/{ID}>",
    f"(https://evil.test/#{W})",
    f"[a](https://youtu.be.evil.test/{ID})",
    f"evil.test/?u={W}",
    f"vnd.youtube://evil.test/watch?v={ID}",
]

COLLECTIONS = [
    f"https://www.youtube.com/playlist?{LIST}",
    f"https://music.youtube.com/playlist?{LIST}",
    f"youtube.com/playlist?{LIST}",
    f"https://www.youtube.com/watch?{LIST}",
    f"This list: <https://www.youtube.com/playlist?{LIST}>.",
    f"https://www.youtube.com/watch?v=&{LIST}",
    f"https://www.youtube.com/embed/videoseries?{LIST}",
    "https://www.youtube.com/embed/live_stream?channel=UC4R8DWoMoI7CAwX8_LjQHig",
    "https://www.youtube.com/channel/UC4R8DWoMoI7CAwX8_LjQHig",
    "https://www.youtube.com/c/SomeChannel/videos",
    "https://www.youtube.com/user/SomeUser",
    "https://www.youtube.com/@somebody",
    "https://www.youtube.com/@somebody/live",
    "https://m.youtube.com/@hello-world",
    "https://music.youtube.com/browse/MPREb_abcdefghijk",
    "https://www.youtube.com/show/SomeShow",
]


@pytest.mark.parametrize("text", VIDEOS)
def test_link_to_a_video(text: str) -> None:
    assert video_id(text) == ID


@pytest.mark.parametrize("other", OTHER_IDS)
def test_any_legal_id(other: str) -> None:
    assert video_id(f"https://youtu.be/{other}") == other
    assert video_id(watch_url(other)) == other


@pytest.mark.parametrize(
    ("text", "error"),
    [(text, BadUrl) for text in BAD]
    + [(text, NotYouTube) for text in ELSEWHERE]
    + [(text, Playlist) for text in COLLECTIONS],
)
def test_anything_else(text: str, error: type[TopgenreError]) -> None:
    with pytest.raises(error) as caught:
        video_id(text)
    assert type(caught.value) is error
    assert len(caught.value.message) < 100


def test_two_links_are_said_to_be_two() -> None:
    with pytest.raises(BadUrl, match="more than one link"):
        video_id(f"{W} https://youtu.be/AAAAAAAAAAA")


PIECES = st.sampled_from(
    ("https://", "http:", "//", "www.youtube.com", "youtu.be", "/", "watch", "?v=", "&", "#", "@")
) | st.sampled_from((":443", "list=", "embed", "\\", ".", "%", "\n", "[", "]", ID, ID[:-1], "é"))


@given(st.one_of(st.text(), st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join)))
@example("http://[")
@example("https://www.youtube.com:٤٤٣/watch?v=" + ID)
@example("\ud800")
def test_any_text_gives_an_id_or_one_of_three_errors(text: str) -> None:
    try:
        found = video_id(text)
    except (BadUrl, NotYouTube, Playlist):
        return
    assert re.fullmatch(r"[0-9A-Za-z_-]{11}", found)
    assert found in text

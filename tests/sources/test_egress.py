"""Nothing but YouTube is connected to: at the socket, at the proxy, by whatever name."""

from __future__ import annotations

import http.client
import os
import socket
import urllib.request

import pytest
import requests
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st
from yt_dlp.socks import sockssocket  # type: ignore[import-untyped]

from serve.errors import BadRequest
from serve.sources.youtube import egress, url
from tests.sources.fetching import fetch
from tests.standin import StandIn, Video

ID = "AAAAAAAAAAA"
AUDIO = {140: b"m4a " * 1000}
#: Cases that the grammar is tried with: TOPGENRE_FUZZ_CASES=100000 is the deep mode.
CASES = int(os.environ.get("TOPGENRE_FUZZ_CASES", "3000"))
PRIVATE = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "fe80::1%1", "fd00::1", "::ffff:127.0.0.1"),
    *("::", "ff02::1"),
)


@pytest.fixture(autouse=True)
def no_proxies(request, monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def names(monkeypatch):
    """What names mean, and a list of the addresses that somebody tried to connect to."""
    meaning: dict[str, list[str]] = {}
    tried: list[object] = []

    def look_up(host, port, *_, **__):
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        found = meaning.get(host, [host])
        return [(family[":" in a], socket.SOCK_STREAM, 6, "", (a, port or 0)) for a in found]

    def connect(_, address):
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)
    return meaning, tried


def get(address):
    with requests.Session() as session:
        session.trust_env = False
        session.get(address, timeout=5)


def test_youtube_is_connected_to_where_it_is(names):
    meaning, tried = names
    meaning["www.youtube.com"] = ["142.250.1.1", "2a00:1450::1"]
    with egress.enforced(), pytest.raises(requests.ConnectionError):
        get("https://www.youtube.com/")
    assert tried == [("142.250.1.1", 443), ("2a00:1450::1", 443)]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_of_youtube_s_that_means_a_private_address(names, address):
    meaning, tried = names
    meaning["www.youtube.com"] = [address]
    with egress.enforced(), pytest.raises(requests.ConnectionError):
        get("https://www.youtube.com/")
    assert tried == []


def test_of_several_addresses_the_private_ones_are_left_out(names):
    meaning, tried = names
    meaning["rr1.googlevideo.com"] = ["127.0.0.1", "142.250.1.1"]
    with egress.enforced(), pytest.raises(requests.ConnectionError):
        get("https://rr1.googlevideo.com/")
    assert tried == [("142.250.1.1", 443)]


ELSEWHERE = (
    *("https://evil.test/", "https://www.youtube.com.evil.test/", "https://notyoutube.com/"),
    *("http://www.youtube.com/", "https://www.youtube.com:8443/", "https://8.8.8.8/"),
    *("https://[2001:4860:4860::8888]/", "https://www.youtube.com@evil.test/"),
)


@pytest.mark.parametrize("address", ELSEWHERE)
@pytest.mark.parametrize(
    "way",
    [
        get,
        lambda address: urllib.request.urlopen(address, timeout=5),
        lambda address: urllib3.PoolManager(retries=False).request("GET", address),
    ],
    ids=["requests", "urllib", "urllib3"],
)
def test_nobody_is_connected_to_elsewhere(names, address, way):
    _, tried = names
    with egress.enforced(), pytest.raises((OSError, urllib3.exceptions.HTTPError)):
        way(address)
    assert tried == []


def test_an_address_that_nobody_has_looked_up_is_not_connected_to(names):
    _, tried = names
    with egress.enforced(), socket.socket() as connection:
        for connect in (connection.connect, connection.connect_ex):
            with pytest.raises(egress.EgressError):
                connect(("142.250.1.1", 443))
    with (
        egress.enforced(),
        socket.socket(socket.AF_UNIX) as unix,
        pytest.raises(egress.EgressError),
    ):
        unix.connect("/run/docker.sock")
    assert tried == []


# through a proxy, which alone is connected to


@pytest.mark.parametrize("address", ELSEWHERE)
def test_a_proxy_is_not_asked_for_elsewhere(address):
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.05)
        at = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        with egress.enforced(at), pytest.raises((OSError, urllib3.exceptions.HTTPError)):
            requests.get(address, proxies={"http": at, "https": at}, timeout=5)
        while True:
            try:
                connection, _ = proxy.accept()
            except TimeoutError:
                break
            with connection:
                connection.settimeout(0.05)
                asked.append(connection.recv(1000))
    assert not any(asked)


def test_a_socks_proxy_is_not_asked_for_elsewhere(names):
    _, tried = names
    with egress.enforced("socks5h://127.0.0.1:1080"), sockssocket() as connection:
        connection.setproxy(2, "127.0.0.1", 1080)
        with pytest.raises(egress.EgressError):
            connection.connect(("evil.test", 443))
    assert tried == []


def test_the_proxy_is_connected_to_wherever_it_is(names):
    meaning, tried = names
    meaning["proxy.internal"] = ["10.0.0.1"]
    with egress.enforced("http://proxy.internal:3128"), pytest.raises(requests.ConnectionError):
        requests.get(
            "https://www.youtube.com/", proxies={"https": "http://proxy.internal:3128"}, timeout=5
        )
    assert tried == [("10.0.0.1", 3128)]


def test_outside_it_all_is_as_before():
    before = [getattr(owner, name) for owner, name, _ in egress._Guard(set()).guarded()]
    with egress.enforced():
        pass
    assert before == [getattr(owner, name) for owner, name, _ in egress._Guard(set()).guarded()]
    assert http.client.HTTPConnection.set_tunnel in before


# what YouTube's own answers name


@pytest.fixture
def watched(youtube: StandIn, monkeypatch):
    """The stand-in, and a listener that must not hear of anything."""
    for name, value in youtube.env().items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield youtube, f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_manifests_and_pictures_elsewhere_are_not_fetched(watched):
    youtube, elsewhere = watched
    manifests = {"dashManifestUrl": elsewhere, "hlsManifestUrl": "https://evil.test/x.m3u8"}
    pictures = {"thumbnail": {"thumbnails": [{"url": elsewhere, "width": 1, "height": 1}]}}
    youtube.add(Video(ID, AUDIO, streaming=manifests, details=pictures, micro=pictures))
    assert fetch(ID).audio == AUDIO[140]


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1", "googlevideo.com.evil.test"])
def test_media_elsewhere_is_not_fetched(watched, host):
    youtube, _ = watched
    youtube.add(Video(ID, AUDIO, audio_url=f"https://{host}/videoplayback"))
    assert fetch(ID).code == "youtube_error"


def test_media_that_is_redirected_elsewhere_is_not_fetched(watched):
    youtube, elsewhere = watched
    youtube.add(Video(ID, AUDIO, fault=lambda h, *_: h.reply(302, location=elsewhere)))
    assert fetch(ID).code == "youtube_error"


# the grammar

HOSTS = (*sorted(url.HOSTS), *sorted(url.SHORT_HOSTS), "evil.test", "127.0.0.1", "[::1]", "")
PIECES = st.one_of(
    st.sampled_from(
        (
            *("http://", "https://", "HTTPS://", "file://", "//", "/", "\\", "@", ":", "?", "#"),
            *("&", "=", "v=", "list=", "watch", "shorts", "embed", "live", "%2e", "%00", "\n"),
            *("\u200b", "..", "youtube.com", "youtu.be", ".evil.test", ":443", ":8080", ID),
            *("\uff0e", "\u3002", "javascript:", "__youtubedl_smuggle", "[::1]", "0x7f.1"),
        )
    ),
    st.text(max_size=12),
)
LINKS = st.one_of(
    st.text(max_size=200),
    st.lists(PIECES, max_size=12).map("".join),
    st.builds(
        lambda host, path, query: f"https://{host}/{path}?{query}",
        st.sampled_from(HOSTS),
        st.lists(PIECES, max_size=4).map("".join),
        st.lists(PIECES, max_size=4).map("".join),
    ),
)


@settings(max_examples=CASES, deadline=None)
@given(LINKS)
def test_no_text_leads_elsewhere(text):
    """A link is an error, or eleven letters; and these, whatever they are, a page of YouTube's."""
    try:
        found = url.video_id(text)
    except BadRequest:
        return
    assert url.ID.fullmatch(found)
    assert found in text
    asked = f"https://www.youtube.com/watch?v={found}"
    assert egress.allowed(asked)
    prepared = requests.Request("GET", asked).prepare()
    assert prepared.url == asked


@settings(max_examples=CASES, deadline=None)
@given(LINKS)
def test_no_address_slips_through(text):
    """What the guard takes for YouTube's, those who connect take for YouTube's too."""
    if egress.allowed(text):
        try:
            host = urllib3.util.parse_url(text).host or ""
        except urllib3.exceptions.LocationParseError:
            return  # nobody can connect to that
        assert host.lower().endswith(egress.DOMAINS)
        assert egress._destination(host, 443)

"""Hostile files through the real decoders: a right answer or a typed error, and nothing is left."""

from __future__ import annotations

import socket
import tempfile

import pytest

from serve.audio.decode import decode
from serve.errors import Undecodable
from tests.corpus import damage, references, strange
from tests.corpus.case import ANY
from tests.corpus.decoding import MAX_S, MEMORY, decoding, traces
from tests.corpus.sequential import sequential_s
from tests.eventually import until
from tests.media import Bytes, by_name, encode, music

# FFmpeg hears the first two links of three, or half as much as fills its container.
MORE_THAN_FFMPEG = {
    "chained ogg of two codecs": 9.0,
    "wav of 0 bits": 4.535,
    "wav of 1 bits": 4.535,
    "wav of 7 bits": 4.535,
    "wav aligned to 3": 3.023,
}
CASES = {case.name: case for case in (*damage.cases(), *strange.cases())}


@pytest.fixture(scope="module")
def decoder():
    before = traces()
    with decoding() as decoder:
        yield decoder
    until(lambda: traces() == before)


def test_there_are_enough_of_them():
    assert len(CASES) >= 200


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_an_answer_or_a_typed_error(decoder, caplog, name):
    content = CASES[name].make()
    with caplog.at_level("WARNING"):
        assert decoder(content) in CASES[name].expected
    if decoder.decoded:
        heard_s = decoder.decoded.duration_s
        expected_s = MORE_THAN_FFMPEG.get(name) or sequential_s(content, MAX_S)
        assert heard_s == pytest.approx(expected_s, abs=0.1)
    # None of them has brought a decoder down, or to its limits, or to an error that we don't know.
    assert [record for record in caplog.records if record.levelname != "WARNING"] == []
    until(lambda: decoder.pool.alive == 2)
    assert decoder.peak_bytes() < MEMORY // 2


def test_an_ordinary_file_is_decoded_after_all_of_them(decoder):
    assert decoder(damage.base("mp3")) == "ok"


# what must not be opened


@pytest.fixture
def outside(tmp_path):
    """A song that must not be heard, an address that must not be called, and texts of both."""
    song = tmp_path / "canary.wav"
    song.write_bytes(encode(music(5.0), by_name("wav-s16")))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(type=socket.SOCK_DGRAM) as receiver,
    ):
        port = listener.getsockname()[1]
        receiver.bind(("127.0.0.1", port))
        url = f"http://127.0.0.1:{port}/canary.wav"
        yield references.texts(file=str(song), url=url, folder=str(tmp_path), port=port)
        for waiting in (listener, receiver):
            waiting.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
        with pytest.raises(BlockingIOError):
            receiver.recv(1)


def test_what_a_file_names_is_not_opened_by_a_decoder(decoder, outside):
    heard = {name: decoder(text) for name, text in outside.items()}
    moved = {name: heard.pop(name) for name in ("audio in another file", "audio at an address")}
    assert set(heard.values()) == {"undecodable"}
    assert set(moved.values()) <= ANY - {"ok"} | {"undecodable"}


def test_what_a_file_names_is_not_opened_where_nothing_but_ffmpeg_forbids_it(outside, monkeypatch):
    """In this process, which is free to open whatever it likes."""
    opened = []
    monkeypatch.chdir(tempfile.gettempdir())
    for name, text in outside.items():
        try:
            opened += [name for _ in decode(Bytes(text), 22_050)]
        except Undecodable:
            continue
    assert opened == []

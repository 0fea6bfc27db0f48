"""Decoding: every container and codec that people have, and what is no audio."""

import struct

import av
import numpy as np
import pytest
from scipy.signal import correlate, resample_poly

from serve.audio.decode import decode
from serve.errors import Undecodable
from tests.media import CHANNELS, ENCODINGS, LOSSLESS, Bytes, Encoding, by_name, encode, music

RATE = 22_050
SECONDS = 4.2
# mp4 and its kin with the index last can't be read without seeking.
NEED_THE_WHOLE = {"alac", "m4a-index-last", "m4a-5.1"}


def decoded(content, rate=RATE):
    media = content if isinstance(content, Bytes) else Bytes(content)
    return np.concatenate(list(decode(media, rate)))


def reference(encoding):
    """What the decoder should come to: the channels' mean, resampled by other code."""
    samples = music(SECONDS, encoding.rate, CHANNELS[encoding.layout])
    divisor = np.gcd(RATE, encoding.rate)
    mono = samples.mean(axis=0, dtype=np.float64)
    return resample_poly(mono, RATE // divisor, encoding.rate // divisor)


def likeness(found, expected):
    """The correlation at the best shift within encoder delays."""
    middle = expected[2048:-2048]
    best = correlate(found, middle, mode="valid", method="fft").max()
    return best / (np.linalg.norm(middle) * np.linalg.norm(found[2048:-2048]))


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_everything_people_have_is_decoded(encoding):
    media = Bytes(encode(music(SECONDS, encoding.rate, CHANNELS[encoding.layout]), encoding))
    found = decoded(media)
    assert media.wholes == (encoding.name in NEED_THE_WHOLE)
    assert found.dtype == np.float32
    assert abs(len(found) / RATE - SECONDS) < 0.08
    expected = reference(encoding)
    if encoding.name in LOSSLESS and CHANNELS[encoding.layout] <= 2:
        assert len(found) == len(expected)
        # Two resamplers differ in the highest octave's edge only.
        assert np.linalg.norm(found - expected) < 0.05 * np.linalg.norm(expected)
        assert np.abs(found).max() == pytest.approx(np.abs(expected).max(), rel=0.05)
    assert likeness(found, expected) > 0.9


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 88_200, 176_400, 192_000])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_rates_and_layouts(rate, layout):
    encoding = Encoding("", "wav", "pcm_s16le", rate=rate, layout=layout)
    found = decoded(encode(music(1.0, rate, CHANNELS[layout]), encoding))
    assert len(found) == pytest.approx(RATE, abs=2)
    assert 0.2 < np.abs(found).max() < 1.0


def test_channels_without_a_layout():
    samples = (music(1.0, RATE, 3).T * 32767).astype("<i2")
    found = decoded(wav(samples.tobytes(), channels=3))
    assert len(found) == RATE
    assert np.abs(found).max() > 0.1


def test_full_scale_on_all_channels_stays_full_scale():
    loud = np.ones((6, 48_000), np.float32)
    encoding = Encoding("", "wav", "pcm_f32le", rate=48_000, layout="5.1")
    assert np.abs(decoded(encode(loud, encoding))).max() < 1.05


def test_no_block_is_small_and_the_rest_comes_too():
    media = Bytes(encode(music(5.0), by_name("mp3")))
    sizes = [len(block) for block in decode(media, RATE)]
    assert len(sizes) > 2
    assert min(sizes[:-1]) > 1 << 13


def test_not_a_number_and_infinity_become_silence():
    samples = music(1.0, RATE, 1)[0].astype("<f4")
    samples[100:200] = np.nan
    samples[300:310] = np.inf
    samples[400:410] = -np.inf
    found = decoded(wav(samples.tobytes(), channels=1, bits=32, kind=3))
    assert np.isfinite(found).all()
    assert np.abs(found).max() < 1.0
    assert not found[100:200].any()


def test_a_stream_that_changes_its_format_on_the_way():
    chained = encode(music(1.0, 48_000), by_name("opus-ogg")) + encode(
        music(1.0, 44_100, 2), by_name("flac-in-ogg")
    )
    assert len(decoded(chained)) >= RATE * 0.99


def test_audio_beside_a_picture_is_found():
    assert len(decoded(with_video())) == pytest.approx(2 * RATE, abs=2000)


def test_a_truncated_file_gives_what_is_there():
    content = encode(music(10.0), by_name("mp3"))
    assert len(decoded(content[: len(content) // 2])) == pytest.approx(5 * RATE, rel=0.05)


def test_broken_packets_are_passed_over():
    content = bytearray(encode(music(10.0), by_name("mp3")))
    for at in range(40_000, 60_000, 977):
        content[at] ^= 0xFF
    assert len(decoded(bytes(content))) == pytest.approx(10 * RATE, rel=0.1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100_000,
        b"<!DOCTYPE html><html><body>Sorry</body></html>" * 100,
        b"\x7fELF" + bytes(range(256)) * 400,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 5000,
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"ID3" + b"\xff" * 3000,
        b"RIFF\x24\0\0\0WAVEfmt ",
        np.random.default_rng(0).bytes(300_000),
    ],
    ids=["empty", "zeros", "html", "elf", "png", "m3u8", "concat", "id3", "riff", "random"],
)
def test_what_is_no_audio_is_undecodable(content):
    with pytest.raises(Undecodable):
        decoded(content)


def test_a_video_without_sound_is_undecodable():
    with pytest.raises(Undecodable):
        decoded(with_video(sound=False))


def test_an_index_at_the_end_that_was_cut_off_is_undecodable():
    content = encode(music(2.0), by_name("m4a-index-last"))
    with pytest.raises(Undecodable):
        decoded(content[: len(content) // 2])


def wav(data, channels, bits=16, kind=1):
    width = channels * bits // 8
    fmt = struct.pack("<HHIIHH", kind, channels, RATE, RATE * width, width, bits)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_video(sound=True, tmp="video.mkv"):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, tmp)
        with av.open(str(path), "w") as out:
            pictures = out.add_stream("mpeg4", rate=10)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
            track = out.add_stream("libopus", rate=48_000) if sound else None
            if track is not None:
                track.layout = "stereo"
            for _ in range(20):
                frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
                out.mux(pictures.encode(frame))
            out.mux(pictures.encode(None))
            if track is not None:
                audible = av.AudioFrame.from_ndarray(
                    music(2.0, 48_000), format="fltp", layout="stereo"
                )
                audible.sample_rate = 48_000
                out.mux(track.encode(audible))
                out.mux(track.encode(None))
        return path.read_bytes()

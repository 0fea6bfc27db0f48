"""A track in parts is the same, sample by sample, as a track in one piece."""

import io
from contextlib import contextmanager

import numpy as np
import pytest

from serve.audio.decode import decode, opened
from serve.audio.frames import Frames, Unseekable
from serve.audio.frontend import FrontEnd
from serve.audio.parts import Part, part_begin_s
from tests.media import CHANNELS, ENCODINGS, Bytes, Encoding, by_name, encode, music

FRONT_END = FrontEnd()
RATE, CLIP = FRONT_END.sample_rate, FRONT_END.clip_samples
SECONDS = 27.0
# The first is without times of its own, the second's blocks are not found again by time. FFmpeg
# does not find the right place in FLAC in Ogg everywhere; what comes of that is tested below.
UNSEEKABLE = {"wma", "wav-adpcm"}
SEEKABLE = [e for e in ENCODINGS if e.name not in UNSEEKABLE]


def encoded(encoding, seconds=SECONDS):
    return encode(music(seconds, encoding.rate, CHANNELS[encoding.layout]), encoding)


def in_one(content):
    return np.concatenate(list(decode(Bytes(content), RATE)))


@contextmanager
def frames_of(content):
    with opened(io.BytesIO(content)) as container:
        assert container
        yield Frames(container)


def in_two(content, seconds, front_end=FRONT_END, first=None):
    """The joint, both parts' samples, and whether the first ended at the joint."""
    with frames_of(content) as frames:
        rest, joint = Part.after(frames, front_end.sample_rate, front_end.clip_samples, seconds)
        after = np.concatenate(list(rest))
    with frames_of(first or content) as frames:
        part = Part(frames, front_end.sample_rate)
        blocks = iter(part)
        before = [next(blocks)]
        part.until(joint)
        before += blocks
    return joint, np.concatenate(before), after, part


@pytest.mark.parametrize("encoding", SEEKABLE, ids=lambda encoding: encoding.name)
def test_two_parts_are_the_whole(encoding):
    content = encoded(encoding)
    whole = in_one(content)
    joint, before, after, part = in_two(content, 22.0)
    assert joint.sample % CLIP == 0
    # As soon as a clip and a block of the resampler begin; decoders are begun anew at 20 s.
    earliest_s = 20.0 if encoding.codec in ("aac", "ac3") else 22.0
    assert earliest_s * RATE <= joint.sample < (earliest_s + 2.5) * RATE
    assert part.joined
    np.testing.assert_array_equal(before, whole[: joint.sample])
    np.testing.assert_array_equal(after, whole[joint.sample :])


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 32_000, 44_056, 88_200])
def test_at_any_rate(rate):
    content = encoded(Encoding("", "wav", "pcm_s16le", rate=rate, layout="mono"))
    whole = in_one(content)
    joint, before, after, part = in_two(content, 20.0)
    assert part.joined
    np.testing.assert_array_equal(np.concatenate((before, after)), whole)
    assert len(before) == joint.sample


def test_for_another_front_end():
    front_end = FrontEnd(sample_rate=16_000, clip_samples=24_000, n_fft=512, f_max=8000.0)
    content = encoded(by_name("opus-webm"))
    whole = np.concatenate(list(decode(Bytes(content), 16_000)))
    joint, before, after, part = in_two(content, 22.0, front_end)
    assert part.joined
    assert joint.sample % 24_000 == 0
    np.testing.assert_array_equal(np.concatenate((before, after)), whole)


@pytest.mark.parametrize("name", sorted(UNSEEKABLE))
def test_what_can_not_be_taken_up_in_the_middle(name):
    with frames_of(encoded(by_name(name))) as frames, pytest.raises(Unseekable):
        Part.after(frames, RATE, CLIP, 22.0)


def chained():
    return b"".join(
        encode(music(25.0, by_name(name).rate), by_name(name)) for name in ("opus-ogg", "vorbis")
    )


@pytest.mark.parametrize(
    "content",
    [
        encoded(by_name("flac"), 15.0),
        encoded(by_name("opus-webm"))[:150_000],
    ],
    ids=["short", "truncated"],
)
def test_beyond_the_end_nothing_begins(content):
    with frames_of(content) as frames, pytest.raises(Unseekable):
        Part.after(frames, RATE, CLIP, 45.0)


def test_in_the_middle_of_several_files_in_one_nothing_begins():
    with opened(io.BytesIO(chained())) as container:
        assert container is None


def hole(content):
    """Broken in place: what comes after it keeps its place."""
    at = len(content) // 3
    return content[:at] + bytes(3000) + content[at + 3000 :]


def cut(content):
    """Without a piece of it."""
    at = len(content) // 3
    return content[:at] + content[at + 3000 :]


def without_the_end(content):
    return content[: len(content) * 9 // 10]


@pytest.mark.parametrize(
    ("name", "damaged", "joined"),
    [
        ("opus-webm", hole, False),
        ("opus-ogg", cut, False),
        ("aac-adts", cut, False),
        ("flac", hole, False),
        ("vorbis", cut, False),
        ("m4a-index-first", hole, False),
        # These have no packets that could be missing.
        ("wav-s16", cut, True),
        ("opus-webm", without_the_end, True),
        ("m4a-index-first", without_the_end, True),
        ("vorbis", without_the_end, True),
    ],
)
def test_a_joint_fits_only_where_samples_are_the_same(name, damaged, joined):
    content = damaged(encoded(by_name(name), 27.0))
    _, before, after, part = in_two(content, 22.0)
    assert part.joined == joined
    assert part.parted != joined
    found = np.concatenate((before, after)) if joined else before
    np.testing.assert_array_equal(found, in_one(content))


def test_a_place_that_is_not_found_exactly_does_not_fit():
    content = encoded(by_name("flac-in-ogg"), 70.0)
    _, before, _, part = in_two(content, 61.0)
    assert part.parted
    np.testing.assert_array_equal(before, in_one(content))


def test_other_samples_at_a_joint_do_not_fit():
    content = encoded(by_name("wav-s16"))
    other = encode(music(SECONDS, seed=1), by_name("wav-s16"))
    _, before, _, part = in_two(content, 22.0, first=other)
    assert part.parted
    assert not part.joined
    np.testing.assert_array_equal(before, in_one(other))


def test_a_joint_that_was_passed_does_not_fit():
    content = encoded(by_name("vorbis"))
    joint, *_ = in_two(content, 22.0)
    with frames_of(content) as frames:
        part = Part(frames, RATE)
        before = []
        for samples in part:
            before.append(samples)
            if part.position > joint.sample and not part.parted:
                part.until(joint)
    assert part.parted
    assert not part.joined
    np.testing.assert_array_equal(np.concatenate(before), in_one(content))


def test_what_is_left_is_shared_alike():
    assert [part_begin_s(600.0, 0.0, n, 3) for n in (1, 2)] == [200.0, 400.0]
    assert part_begin_s(600.0, 100.0, 1, 2) == 350.0
    # As many parts as are long enough.
    assert part_begin_s(100.0, 0.0, 1, 8) == 50.0


@pytest.mark.parametrize(
    ("duration_s", "done_s", "number"), [(None, 0.0, 1), (79.0, 0.0, 1), (600.0, 530.0, 1)]
)
def test_what_is_short_is_not_parted(duration_s, done_s, number):
    with pytest.raises(Unseekable):
        part_begin_s(duration_s, done_s, number, 2)

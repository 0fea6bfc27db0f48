import json

import pytest

from serve.audio.frontend import FrontEnd


def test_the_defaults():
    assert FrontEnd().to_dict() == {
        "sample_rate": 22_050,
        "clip_samples": 30_870,
        "n_fft": 2048,
        "win_length": 0,
        "hop_length": 1920,
        "n_mels": 128,
        "f_min": 0.0,
        "f_max": 11_025.0,
        "mel_scale": "slaney",
        "mel_norm": "slaney",
        "mel_slopes": "hz",
    }


def test_a_front_end_survives_the_way_through_json():
    front_end = FrontEnd(hop_length=512, n_mels=96, mel_scale="htk", f_max=8000.0)
    assert FrontEnd.from_dict(json.loads(json.dumps(front_end.to_dict()))) == front_end


@pytest.mark.parametrize(
    ("hop_length", "frames"),
    [(1920, 16), (512, 57), (30_870 - 2048, 2), (30_870 - 2047, 1), (30_870, 1)],
)
def test_frames_lie_wholly_inside_their_clip(hop_length, frames):
    front_end = FrontEnd(hop_length=hop_length)
    assert front_end.frames == frames
    assert (frames - 1) * hop_length + front_end.frame_length <= front_end.clip_samples
    assert front_end.clip_shape == (frames, 128)


def test_a_frame_may_be_shorter_than_its_fft():
    front_end = FrontEnd(n_fft=720, win_length=551, hop_length=441)
    assert (front_end.frame_length, front_end.frames) == (551, 69)
    assert FrontEnd().frame_length == 2048


@pytest.mark.parametrize(
    ("samples", "clips"),
    [
        (0, 0),
        (15_434, 0),
        (15_435, 1),
        (30_870, 1),
        (30_870 + 15_434, 1),
        (30_870 + 15_435, 2),
        (600 * 22_050, 429),
    ],
)
def test_a_remainder_of_half_a_clip_counts(samples, clips):
    assert FrontEnd().clips_in(samples) == clips


def test_clip_seconds():
    assert FrontEnd().clip_s == 1.4


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"sample_rate": 0}, "sample_rate"),
        ({"hop_length": -1}, "hop_length"),
        ({"n_mels": 1.5}, "n_mels"),
        ({"n_fft": True}, "n_fft"),
        ({"clip_samples": 2047}, "holds no frame"),
        ({"win_length": -1}, "win_length"),
        ({"win_length": 2049}, "longer than its FFT"),
        ({"f_max": 11_026.0}, "bands"),
        ({"f_min": 5000.0, "f_max": 4000.0}, "bands"),
        ({"mel_scale": "bark"}, "mel_scale"),
        ({"mel_norm": "l1"}, "mel_norm"),
        ({"mel_slopes": "bark"}, "mel_slopes"),
    ],
)
def test_what_has_no_meaning_is_refused(change, word):
    with pytest.raises(ValueError, match=word):
        FrontEnd.from_dict(FrontEnd().to_dict() | change)


def test_missing_and_unknown_parameters_are_refused():
    values = FrontEnd().to_dict()
    with pytest.raises(ValueError, match="colour"):
        FrontEnd.from_dict(values | {"colour": 1})
    del values["n_mels"]
    with pytest.raises(ValueError, match="n_mels"):
        FrontEnd.from_dict(values)

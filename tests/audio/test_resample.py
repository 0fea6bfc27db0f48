"""Resampling: the numbers of FFmpeg's swresample, however the samples come."""

import av
import numpy as np
import pytest

from serve.audio.cancelling import Apart
from serve.audio.polyphase import polyphase
from serve.audio.resample import Resampler, run_up

RATE = 22_050
RATES = [1_000, 8_000, 11_025, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000]
# Too little in common, too far apart, or nothing to be filtered.
LEFT_TO_FFMPEG = [44_056, 600, 22_050 * 33, 22_050]


def noise(seconds, rate, channels=1):
    rng = np.random.default_rng(0)
    return rng.uniform(-0.5, 0.5, (channels, round(seconds * rate))).astype(np.float32)


def frame(samples, rate, kind="fltp"):
    layout = {1: "mono", 2: "stereo"}.get(len(samples), "7.1")
    if kind == "flt":
        samples = samples.T.reshape(1, -1)
    made = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=kind, layout=layout)
    made.sample_rate = rate
    return made


def resampled(samples, rate, cut=1000, out=RATE, kind="fltp", **given):
    frames = [frame(samples[:, n : n + cut], rate, kind) for n in range(0, samples.shape[1], cut)]
    resampler = Resampler(frames[0], out, **given)
    ready = (given for given in frames if resampler.push(given))
    blocks = [block for _ in ready for block in resampler.blocks()]
    return np.concatenate([*blocks, *resampler.end()])


def reference(samples, rate, out=RATE):
    resampler = av.AudioResampler(format="flt", layout="mono", rate=out)
    made = [*resampler.resample(frame(samples, rate)), *resampler.resample(None)]
    return np.concatenate([block.to_ndarray()[0] for block in made])


@pytest.mark.parametrize("rate", [*RATES, 192_000])
@pytest.mark.parametrize("seconds", [0.2, 3.21])
def test_as_swresample_from_the_first_sample_to_the_last(rate, seconds):
    samples = noise(seconds, rate)
    expected = reference(samples, rate)
    found = resampled(samples, rate)
    assert polyphase(rate, RATE)
    assert len(found) == len(expected) == -(-samples.shape[1] * RATE // rate)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("out", [16_000, 44_100, 48_000])
def test_to_other_rates(out):
    samples = noise(1.0, 48_000)
    np.testing.assert_allclose(
        resampled(samples, 48_000, out=out), reference(samples, 48_000, out), atol=1e-5
    )


@pytest.mark.parametrize("rate", LEFT_TO_FFMPEG)
def test_rates_that_are_left_to_ffmpeg(rate):
    samples = noise(2.0, rate)
    assert polyphase(rate, RATE) is None
    np.testing.assert_array_equal(resampled(samples, rate), reference(samples, rate))


@pytest.mark.parametrize("samples", [1, 2, 35, 36, 71, 72, 400])
def test_hardly_any_samples(samples):
    given = noise(1.0, 48_000)[:, :samples]
    found = resampled(given, 48_000)
    assert len(found) == -(-samples * RATE // 48_000)
    assert np.abs(found).max() < 1.0


@pytest.mark.parametrize("rate", [*RATES, 44_056])
def test_no_number_depends_on_how_the_samples_were_cut(rate):
    samples = noise(3.0, rate, channels=2)
    whole = resampled(samples, rate, cut=samples.shape[1])
    np.testing.assert_array_equal(resampled(samples, rate, cut=777), whole)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 44_056])
@pytest.mark.parametrize("output", [44_100, 66_150, 88_200])
def test_begun_in_the_middle_it_is_the_same(rate, output):
    samples = noise(6.0, rate, channels=2)
    first = output * rate // RATE
    begin, dropped = run_up(first, rate, RATE)
    assert 0 < begin < first
    # Frames begin where they do; what comes before `begin` is passed over.
    frames_begin = begin - 123
    found = resampled(samples[:, frames_begin:], rate, skipped=123, begin=begin)[dropped:]
    np.testing.assert_array_equal(found, resampled(samples, rate)[first * RATE // rate :])


def test_broken_numbers_are_silence_and_break_no_others():
    samples = noise(1.0, 48_000)
    broken, silent = samples.copy(), samples.copy()
    for at, value in ((10_000, np.nan), (20_000, np.inf), (30_000, -np.inf), (40_000, 1e30)):
        broken[:, at : at + 50], silent[:, at : at + 50] = value, 0.0
    np.testing.assert_array_equal(resampled(broken, 48_000), resampled(silent, 48_000))


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_planes_and_packed_samples_have_the_same_mean_bit_for_bit(rate, channels):
    samples = noise(3.0, rate, channels)
    packed = resampled(samples, rate, kind="flt")
    np.testing.assert_array_equal(resampled(samples, rate), packed)


def test_channels_apart_are_what_each_is_alone():
    samples = noise(3.0, 48_000, channels=8)
    frames = [frame(samples[:, n : n + 1000], 48_000, "flt") for n in range(0, 144_000, 1000)]
    apart = Apart(frames[0], RATE)
    ready = (given for given in frames if apart.push(given))
    blocks = [block for _ in ready for block in apart.blocks()]
    found = np.concatenate([*blocks, *apart.end()])
    np.testing.assert_array_equal(found[:, 0], resampled(samples, 48_000, kind="flt"))
    heard = [0, 1, 2, 4, 5, 6, 7]  # a subwoofer does not count
    for column, channel in enumerate([*heard, heard[0]], start=1):
        alone = resampled(samples[channel : channel + 1], 48_000)
        np.testing.assert_array_equal(found[:, column], alone)


def test_broken_numbers_of_two_channels_warn_of_nothing():
    broken = noise(1.0, 48_000, channels=2)
    silent = broken.copy()
    for at, left, right in ((10_000, np.inf, -np.inf), (20_000, 3e38, 3e38), (30_000, np.nan, 0)):
        broken[:, at : at + 50] = [[left], [right]]
        silent[:, at : at + 50] = 0.0
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(resampled(broken, 48_000), resampled(silent, 48_000))

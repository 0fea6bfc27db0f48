"""Mel spectrograms of many clips beside their bare arithmetic and beside other libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import kaldi_native_fbank
import librosa
import numpy as np
import scipy.fft
from threadpoolctl import threadpool_limits

from benchmarks.goals import Result, processor_ms, times_ms
from serve.audio.frontend import FrontEnd
from serve.audio.mel import Float32, MelSpectrogram, mel_filterbank
from serve.inference.session import load_model
from serve.pipeline import front_end_of
from serve.settings import Settings


def measure(runs: int = 10, *, clips: int = 428) -> Iterator[Result]:
    """Ours over its bare cost, and others over ours; each on one thread, as in a decoder."""
    front_end = FrontEnd()
    samples = np.random.default_rng(0).standard_normal(
        (clips, front_end.clip_samples), dtype=np.float32
    )
    ways: dict[str, Callable[[], object]] = {
        "ours ms": ours(front_end, samples),
        "bare ms": bare(front_end, clips),
        "librosa ms": batched_librosa(front_end, samples),
        "kaldi ms": kaldi(front_end, samples),
    }
    if find_spec("torch"):
        ways["torch ms"] = torch(front_end, samples)
    model = load_model(Settings.from_environment().model, "cpu")
    finer = {
        "the model's ms": ours(front_end_of(model), samples),
        "ms at a hop of 1,920": ways["ours ms"],
    }
    with threadpool_limits(1):
        taken = times_ms(ways, runs)
        # More than twice as many numbers: by processor time, for the ratio hangs on the caches.
        yield Result.ratio(
            "the model's own mel, of one at a hop of 1,920", processor_ms(finer, 2 * runs), 2.5
        )
    own = taken.pop("ours ms")
    yield Result.ratio(
        f"mel of {clips} clips, of its FFTs and one matrix product",
        {"ours ms": own, "bare ms": taken.pop("bare ms")},
        1.3,
    )
    for name, goal in (("librosa", 4.0), ("kaldi", 1.0), ("torch", 1.0)):
        if theirs := taken.get(f"{name} ms"):
            beside = {f"{name} ms": theirs, "ours ms": own}
            yield Result.ratio(f"{name}'s mel, of ours", beside, goal, at_least=True)
        else:
            yield Result(f"{name}'s mel, of ours", None, note=f"{name} is not installed")


def ours(front_end: FrontEnd, samples: Float32) -> Callable[[], Float32]:
    """As the server does it, into an array that is there."""
    mel = MelSpectrogram(front_end)
    out = np.zeros((len(samples), *front_end.clip_shape), np.float32)

    def work() -> Float32:
        mel.into(samples, out)
        return out

    return work


def bare(front_end: FrontEnd, clips: int) -> Callable[[], None]:
    """The FFTs of windowed frames that are there, and the product of a power that is there.

    As many frames at a time as ours has, also for the last few clips.
    """
    batch = MelSpectrogram(front_end).batch
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((batch * front_end.frames, front_end.n_fft), dtype=np.float32)
    power = rng.random((len(frames), front_end.n_fft // 2 + 1), np.float32)
    filterbank = mel_filterbank(front_end)

    def work() -> None:
        for _ in range(0, clips, batch):
            scipy.fft.rfft(frames, workers=1)
            power @ filterbank

    return work


def batched_librosa(front_end: FrontEnd, samples: Float32) -> Callable[[], Float32]:
    """librosa with all samples in one call and equal parameters; (…, mel bands, frames).

    But for the slopes of the bands, which cost the same: librosa knows none over mel.
    """

    def work() -> Float32:
        mel: Float32 = librosa.feature.melspectrogram(
            y=samples,
            sr=front_end.sample_rate,
            n_fft=front_end.n_fft,
            hop_length=front_end.hop_length,
            win_length=front_end.frame_length,
            center=False,
            n_mels=front_end.n_mels,
            fmin=front_end.f_min,
            fmax=front_end.f_max,
            htk=front_end.mel_scale == "htk",
            norm="slaney" if front_end.mel_norm == "slaney" else None,
        )
        return mel

    return work


def librosa_by_clip(front_end: FrontEnd, samples: Float32) -> Callable[[], list[Float32]]:
    """librosa with a call for each clip, as it is often used."""
    calls = [batched_librosa(front_end, clip) for clip in samples]
    return lambda: [call() for call in calls]


def kaldi(front_end: FrontEnd, samples: Float32) -> Callable[[], Float32]:
    """kaldi-native-fbank over as many frames of the same size, as one stream: its cheapest way.

    Its own window and bands, but none of what ours leaves out: dither, pre-emphasis, logarithm.
    """
    options = kaldi_native_fbank.FbankOptions()
    options.use_log_fbank = False
    options.frame_opts.samp_freq = front_end.sample_rate
    options.frame_opts.frame_length_ms = 1000 * front_end.frame_length / front_end.sample_rate
    options.frame_opts.frame_shift_ms = 1000 * front_end.hop_length / front_end.sample_rate
    options.frame_opts.dither = 0.0
    options.frame_opts.preemph_coeff = 0.0
    options.frame_opts.remove_dc_offset = False
    options.mel_opts.num_bins = front_end.n_mels
    options.mel_opts.low_freq = front_end.f_min
    options.mel_opts.high_freq = front_end.f_max
    frames = len(samples) * front_end.frames
    stream = samples.reshape(-1)[: front_end.frame_length + (frames - 1) * front_end.hop_length]
    out = np.zeros((frames, front_end.n_mels), np.float32)

    def work() -> Float32:
        fbank = kaldi_native_fbank.OnlineFbank(options)
        fbank.accept_waveform(front_end.sample_rate, stream)
        fbank.input_finished()
        assert fbank.num_frames_ready == frames
        for frame in range(frames):
            out[frame] = fbank.get_frame(frame)
        return out

    return work


def torch(front_end: FrontEnd, samples: Float32) -> Callable[[], Float32]:
    """torch.stft of all clips in one call, and one product; (clips, mel bands, frames)."""
    import torch

    torch.set_num_threads(1)
    signal = torch.from_numpy(samples)
    window = torch.hann_window(front_end.frame_length)
    filterbank = torch.from_numpy(np.ascontiguousarray(mel_filterbank(front_end).T))

    def work() -> Float32:
        spectrum = torch.stft(
            signal,
            front_end.n_fft,
            front_end.hop_length,
            front_end.frame_length,
            window=window,
            center=False,
            return_complex=True,
        )
        mel: Float32 = (filterbank @ spectrum.abs().square()).numpy()
        return mel

    return work

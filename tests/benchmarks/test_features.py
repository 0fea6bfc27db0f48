import numpy as np
import pytest

from benchmarks import features
from serve.audio.frontend import FrontEnd

FRONT_END = FrontEnd()


@pytest.fixture
def samples():
    rng = np.random.default_rng(1)
    return rng.standard_normal((3, FRONT_END.clip_samples), dtype=np.float32)


def test_the_rows_and_what_they_are_made_of(monkeypatch):
    monkeypatch.setattr(features, "find_spec", lambda _: None)
    finer, bare, librosa, kaldi, torch = features.measure(1, clips=9)
    assert [*finer.of] == ["the model's ms", "ms at a hop of 1,920"]
    assert [*bare.of] == ["ours ms", "bare ms"]
    assert [*librosa.of] == ["librosa ms", "ours ms"]
    assert [*kaldi.of] == ["kaldi ms", "ours ms"]
    assert (finer.at_least, finer.goal) == (False, 2.5)
    assert (bare.at_least, bare.goal) == (False, 1.3)
    assert (librosa.at_least, librosa.goal) == (True, 4.0)
    for result in (finer, bare, librosa, kaldi):
        over, under = result.of.values()
        assert result.measured == pytest.approx(over / under, rel=0.01)
    assert torch.measured is None
    assert "not installed" in torch.note


def test_librosa_is_asked_for_the_same_numbers(samples):
    theirs = features.batched_librosa(FRONT_END, samples)().transpose(0, 2, 1)
    np.testing.assert_allclose(theirs, features.ours(FRONT_END, samples)(), rtol=1e-3)


def test_kaldi_computes_as_many_frames_and_bands(samples):
    theirs = features.kaldi(FRONT_END, samples)()
    assert theirs.shape == (3 * FRONT_END.frames, FRONT_END.n_mels)
    assert (theirs > 0).mean() > 0.9

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from serve.inference import pages
from serve.inference.buckets import bucket_for, bucket_sizes
from serve.inference.runner import BoundRunner, Runner, runner_for
from serve.inference.session import load_model
from tests.models import write_model
from tests.outputs import assert_close

LARGEST = 40


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    return load_model(write_model(path), "cpu")


@pytest.fixture(scope="module")
def on_gpu(model):
    """As it would be on a GPU, but for the memory: that is the CPU's own."""
    return replace(model, provider="cuda")


@pytest.fixture
def locked(monkeypatch):
    """Arrays that are page-locked now, in place of CUDA's list of them."""
    arrays = []

    def lock(array):
        arrays.append(array)
        return arrays.clear

    monkeypatch.setattr(pages, "lock", lock)
    return arrays


def clips(n, seed=0):
    return np.random.default_rng(seed).random((n, 16, 128), np.float32)


class Noted(Runner):
    def run(self, mel):
        self.sizes = [*getattr(self, "sizes", []), len(mel)]
        return super().run(mel)


def test_on_a_gpu_every_batch_size_is_warmed(on_gpu):
    noted = Noted(on_gpu, LARGEST)
    noted.warm()
    assert tuple(noted.sizes) == bucket_sizes(LARGEST)


def test_on_a_cpu_the_largest_batch_is_warmed(model):
    noted = Noted(model, LARGEST)
    noted.warm()
    assert noted.sizes[-1] == LARGEST


@pytest.mark.parametrize("n", [1, 9, 23, LARGEST])
def test_batches_are_padded_on_a_gpu_alone(model, on_gpu, n):
    tracks = [(clips(LARGEST), n)]
    assert len(Runner(model, LARGEST).batch(tracks)) == n
    assert len(Runner(on_gpu, LARGEST).batch(tracks)) == bucket_for(n, bucket_sizes(LARGEST))


def test_rows_to_spare_are_the_padding(on_gpu):
    mel = clips(LARGEST)
    batch = Runner(on_gpu, LARGEST).batch([(mel, 23)])
    assert np.shares_memory(batch, mel)


def test_too_few_rows_are_filled_up(on_gpu):
    mel = clips(23)
    batch = Runner(on_gpu, LARGEST).batch([(mel, 23)])
    assert len(batch) == 27
    np.testing.assert_array_equal(batch[:23], mel)


def test_tracks_come_one_behind_the_other(model):
    tracks = [(clips(9, seed=1), 4), (clips(2, seed=2), 2)]
    batch = Runner(model, LARGEST).batch(tracks)
    np.testing.assert_array_equal(batch, np.concatenate([mel[:n] for mel, n in tracks]))


@pytest.mark.parametrize("calls", ["bound", "pinned"])
def test_bound_memory_changes_no_result(model, locked, calls):
    bound = BoundRunner(model, LARGEST, calls)
    bound.warm()
    results = []
    for n in (1, 9, 40, 9):  # also into memory that was used before
        mel = clips(n, seed=n)
        results.append((mel, bound.run(bound.batch([(mel, n)]))))
    for mel, outputs in results:  # none was overwritten by a later one
        assert_close(outputs, model.run(mel))


def test_memory_is_bound_once_for_each_size(on_gpu, model, monkeypatch):
    made = []
    real = onnxruntime.OrtValue.ortvalue_from_shape_and_type

    def spy(shape, kind, device):
        made.append((shape[0], device))
        return real(shape, kind, "cpu")

    monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_shape_and_type", spy)
    bound = BoundRunner(on_gpu, LARGEST, "bound")
    bound.warm()
    for n in (1, 22, 22, 23):
        mel = clips(n)
        assert_close(bound.run(bound.batch([(mel, n)])).rows(0, n), model.run(mel))
    # The input, and the three outputs.
    assert made == [(size, "cuda") for size in bucket_sizes(LARGEST) for _ in range(4)]


def test_page_locked_memory_is_where_batches_come_from(model, locked):
    bound = BoundRunner(model, LARGEST, "pinned")
    (memory,) = locked
    mel = clips(LARGEST)
    assert np.shares_memory(bound.batch([(mel, 9)]), memory)
    bound.close()
    assert locked == []
    bound.close()  # twice is once


def test_each_size_has_a_graph_of_its_own(model, locked, monkeypatch):
    entries = []

    class Options(onnxruntime.RunOptions):  # type: ignore[misc]
        def add_run_config_entry(self, name, value):
            entries.append((name, value))

    monkeypatch.setattr(onnxruntime, "RunOptions", Options)
    bound = BoundRunner(model, LARGEST, "graphs")
    for n in (3, 5, 3):
        bound.run(bound.batch([(clips(n), n)]))
    assert entries == [("gpu_graph_id", "3"), ("gpu_graph_id", "5")]


@pytest.mark.parametrize(
    ("provider", "calls", "kind", "graphs"),
    [
        ("cpu", "graphs", Runner, None),
        ("cuda", "plain", Runner, None),
        ("cuda", "bound", BoundRunner, False),
        ("cuda", "graphs", BoundRunner, True),
        ("tensorrt", "graphs", BoundRunner, False),
    ],
)
def test_the_way_to_call_fits_the_device(model, locked, provider, calls, kind, graphs):
    chosen = runner_for(replace(model, provider=provider), LARGEST, calls)
    assert type(chosen) is kind
    assert getattr(chosen, "_graphs", None) == graphs
    assert bool(locked) == (provider != "cpu" and calls == "graphs")

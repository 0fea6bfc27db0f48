import hashlib
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from serve.audio.frontend import FrontEnd
from serve.inference import session
from serve.inference.card import ModelFileError
from serve.inference.feed import feed
from serve.inference.outputs import Outputs
from serve.inference.providers import cuda
from serve.inference.providers.base import DeviceError
from serve.inference.session import load_model
from serve.pipeline import front_end_of
from serve.settings import MODELS
from tests.models import CARD, GENRES, SOUNDS, TAGS_OF_MUSIC, graph, with_front_end, write_model
from tests.outputs import assert_equal


@pytest.fixture
def path(tmp_path):
    return write_model(tmp_path / "tiny.onnx")


def test_a_model_says_what_it_is(path):
    model = load_model(path, "cpu")
    assert model.card == CARD
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert model.clip_shape == (16, 128)
    assert model.provider == "cpu"


@pytest.mark.parametrize("clips", [1, 7, 64])
def test_it_gives_probabilities(path, clips):
    mel = np.random.default_rng(0).random((clips, 16, 128), np.float32)
    outputs = load_model(path, "cpu", threads=1).run(mel)
    assert outputs.probabilities.shape == (clips, len(GENRES))
    np.testing.assert_allclose(outputs.probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert outputs.music.shape == (clips,)
    assert outputs.tags.shape == (clips, len(TAGS_OF_MUSIC) + len(SOUNDS))


def test_a_model_may_have_no_tags(tmp_path):
    card = replace(CARD, tags=(), sounds=())
    model = load_model(write_model(tmp_path / "tiny.onnx", card), "cpu")
    outputs = model.run(np.ones((2, 16, 128), np.float32))
    assert (outputs.music.shape, outputs.tags.shape) == ((2,), (2, 0))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"nowhere\.onnx: No such file"):
        load_model(tmp_path / "nowhere.onnx")


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "song.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match=r"song\.onnx: not a model"):
        load_model(path)


@pytest.mark.parametrize("name", ["format", "front_end", "genres", "version"])
def test_a_model_that_does_not_describe_itself_is_refused(tmp_path, name):
    path = write_model(tmp_path / "tiny.onnx", **dict.fromkeys([name]))
    with pytest.raises(ModelFileError, match=rf"tiny\.onnx: its metadata .*{name}"):
        load_model(path)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"genres": '["a", "b"]'}, "output probabilities .* 3 columns, not 2"),
        ({"tags": '["a"]'}, "output tags .* 3 columns, not 2"),
    ],
)
def test_outputs_and_names_must_agree(tmp_path, wrong, text):
    with pytest.raises(ModelFileError, match=text):
        load_model(write_model(tmp_path / "tiny.onnx", **wrong))


def save(path, proto):
    helper.set_model_props(proto, CARD.to_metadata())
    onnx.save(proto, path)
    return path


def test_other_names_are_refused(tmp_path):
    proto = graph()
    proto.graph.input[0].name = "x"
    proto.graph.node[0].input[0] = "x"
    with pytest.raises(ModelFileError, match="input is not mel"):
        load_model(save(tmp_path / "other.onnx", proto))


@pytest.mark.parametrize("missing", ["probabilities", "music", "tags"])
def test_a_missing_output_is_named(tmp_path, missing):
    proto = graph(tags=3)
    for node in proto.graph.node:
        node.output[:] = ["x" if name == missing else name for name in node.output]
    for output in proto.graph.output:
        output.name = "x" if output.name == missing else output.name
    with pytest.raises(ModelFileError, match=f"no output {missing}"):
        load_model(save(tmp_path / "other.onnx", proto))


def test_another_shape_is_refused(tmp_path):
    proto = graph()
    proto.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["clips", "frames", 128])
    )
    with pytest.raises(ModelFileError, match="has the shape"):
        load_model(save(tmp_path / "other.onnx", proto))


@pytest.mark.parametrize(
    ("front_end", "text"),
    [('{"sample_rate": 1}', "missing or unknown"), ("{}", "can't be used")],
)
def test_a_front_end_that_is_unknown_is_refused(tmp_path, front_end, text):
    path = write_model(tmp_path / "tiny.onnx", front_end=front_end)
    with pytest.raises(ModelFileError, match=text):
        front_end_of(load_model(path))


def test_a_front_end_that_does_not_fit_is_refused(tmp_path):
    model = load_model(write_model(tmp_path / "tiny.onnx"))
    other = replace(model, card=with_front_end(FrontEnd(hop_length=512)))
    with pytest.raises(ModelFileError, match=r"clips of \(57, 128\), it takes \(16, 128\)"):
        front_end_of(other)


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_gpu_that_can_not_be_had_is_an_error(path, capfd, device):
    with pytest.raises(DeviceError, match=f"{device} was asked for"):
        load_model(path, device)
    capfd.readouterr()  # ONNX Runtime tells at length what it misses


@pytest.mark.parametrize("gpu", [True, False])
def test_auto_says_what_it_got(path, tmp_path, monkeypatch, caplog, capfd, gpu):
    device = tmp_path / "nvidiactl"
    if gpu:  # a driver without the libraries: CUDA is tried, and the CPU taken
        device.touch()
    monkeypatch.setattr(cuda, "_DEVICES", (str(device),))
    caplog.set_level("INFO")
    model = load_model(path, "auto", 2)
    assert (model.provider, list(model.sessions)) == ("cpu", [2, 1])
    assert "runs on cpu (auto was asked for)" in caplog.text
    assert bool(capfd.readouterr().err) == gpu


def test_its_threads_burn_no_time_after_a_call(path):
    model = load_model(path, "cpu", threads=2)
    options = model.session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    ("threads", "widths"), [(1, [1]), (2, [2, 1]), (5, [5, 2, 1]), (0, [6, 3, 1])]
)
def test_on_a_cpu_there_are_sessions_with_fewer_threads(path, monkeypatch, threads, widths):
    monkeypatch.setattr(session, "cores", lambda: 6)
    model = load_model(path, "cpu", threads)
    assert list(model.sessions) == widths
    assert model.session is model.sessions[widths[0]]
    told = [one.get_session_options().intra_op_num_threads for one in model.sessions.values()]
    assert told == [threads, *widths[1:]]


class Noted:
    def __init__(self, session, threads, runs):
        self._session, self._threads, self._runs = session, threads, runs

    def run(self, *arguments):
        self._runs.append(self._threads)
        return self._session.run(*arguments)

    def __getattr__(self, name):
        return getattr(self._session, name)


@pytest.mark.parametrize(
    ("threads", "busy", "taken"),
    [(8, 0, 8), (8, 1, 4), (8, 4, 4), (8, 5, 2), (8, 7, 1), (8, 20, 1), (3, 2, 3), (12, 0, 12)],
)
def test_a_call_leaves_busy_cores_alone(path, monkeypatch, threads, busy, taken):
    monkeypatch.setattr(session, "cores", lambda: 8)
    runs: list[int] = []
    model = load_model(path, "cpu", threads)
    sessions = {n: Noted(one, n, runs) for n, one in model.sessions.items()}
    model = replace(model, session=sessions[threads], sessions=sessions)
    model.run(np.ones((3, 16, 128), np.float32), busy)
    assert runs == [taken]


def test_the_numbers_do_not_hang_on_the_threads():
    model = load_model(MODELS / "topgenre.onnx", "cpu", 4)
    mel = np.random.default_rng(0).random((57, *model.clip_shape), np.float32) ** 8
    once = model.run(mel)
    for one in model.sessions.values():
        names = list(model.card.outputs)
        again = Outputs.of(dict(zip(names, one.run(names, feed(one, mel)), strict=True)))
        assert_equal(again, once)

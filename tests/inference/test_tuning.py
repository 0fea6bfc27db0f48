import pytest

from serve.container import cores
from serve.inference import tuning
from serve.inference.tuning import Tuning, TuningError, tuned
from serve.pipeline import Pipeline
from serve.settings import Settings


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tuning.toml"


@pytest.fixture
def settings(tiny_model, path):
    return Settings(model=tiny_model, device="cpu", tuning=path)


@pytest.fixture
def measured(settings, path):
    written = Tuning(
        sha256=tuning.load(settings).sha256,
        provider="cpu",
        cores=cores(),
        inference_threads=3,
        batch_clips=77,
        gpu_calls="bound",
    )
    written.write(path)
    return written


def test_what_is_written_is_read(measured, path):
    assert Tuning.read(path) == measured


def test_a_server_starts_as_was_measured(measured, settings):
    found, model = tuned(settings)
    assert (found.inference_threads, found.batch_clips, found.gpu_calls) == (3, 77, "bound")
    assert model.session.get_session_options().intra_op_num_threads == 3


def test_what_was_set_stays(measured, settings):
    mine = Settings(model=settings.model, device="cpu", tuning=settings.tuning, inference_threads=0)
    found, model = tuned(mine)
    assert (found.inference_threads, found.batch_clips) == (0, 77)
    assert model.session.get_session_options().intra_op_num_threads == 0


def test_without_a_file_nothing_changes(settings, caplog):
    assert tuned(settings)[0] == settings
    assert "ignored" not in caplog.text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sha256": "0" * 64}, "measured with another sha256"),
        ({"provider": "cuda"}, "measured with another provider"),
        ({"cores": 4096}, "measured with another cores"),
        ({"sha256": "", "cores": 1 << 20}, "another sha256, cores"),
    ],
)
def test_what_was_measured_elsewhere_is_ignored(measured, settings, path, caplog, change, text):
    measured.model_copy(update=change).write(path)
    found, model = tuned(settings)
    assert found == settings
    assert model.session.get_session_options().intra_op_num_threads == 0
    assert f"{path} is ignored: it was" in caplog.text
    assert text in caplog.text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"threads", "not TOML"),
        (b"\xff", "not TOML"),
        (b"", "lacks or has wrong: sha256, provider"),
        (b'batch_clips = "many"', "wrong: .*batch_clips"),
        (b"speed = 1", "wrong: .*speed"),
    ],
)
def test_a_file_of_another_kind_is_ignored(settings, path, caplog, content, text):
    path.write_bytes(content)
    with pytest.raises(TuningError, match=text):
        Tuning.read(path)
    assert tuned(settings)[0] == settings
    assert f"{path} is ignored" in caplog.text


def test_a_folder_is_ignored(settings, path, caplog):
    path.mkdir()
    assert tuned(settings)[0] == settings
    assert "Is a directory" in caplog.text


def test_the_pipeline_has_what_was_measured(measured, settings):
    assert Pipeline.from_settings(settings).settings.inference_threads == 3

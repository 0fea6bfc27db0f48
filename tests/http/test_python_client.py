"""A Python client that is generated from the description, used as its users would."""

import json
import subprocess
import sys
from importlib import import_module
from io import BytesIO

import pytest

from serve.http.api.description import describe
from tests.http.posts import SONG

NAME = "topgenre_client"
CONFIG = {
    "package_name_override": NAME,
    "post_hooks": [],
    "content_type_overrides": {"application/x-ndjson": "text/plain"},
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The generated package's folder, on the path."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(describe()))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"),
            *("--path", folder / "openapi.json", "--config", folder / "config.json"),
            *("--meta", "none", "--output-path", folder / NAME),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder / NAME
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


@pytest.fixture
def client(package, server, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with import_module(NAME).Client(base_url=server.url) as client:
        yield client


@pytest.fixture
def models(package):
    return import_module(f"{NAME}.models")


def call(name, client, **arguments):
    return import_module(f"{NAME}.api.{name}").sync(client=client, **arguments)


def test_a_file_as_a_form_and_as_it_is(client, models):
    sent = import_module(f"{NAME}.types").File(BytesIO(SONG), "песня.mp3")
    form = models.PredictFilesBody(file=sent)
    extras = [models.Extra.CLIPS, models.Extra.MEL]
    answer = call("tracks.predict", client, body=form, include=extras)
    assert isinstance(answer, models.Answer)
    assert answer.video_title == "песня.mp3"
    assert answer.top_prediction in answer.results.to_dict()
    assert answer.mel.columns
    sent.payload.seek(0)
    same = call("tracks.predict", client, body=sent, x_filename="%D0%BF.mp3")
    assert (same.video_title, same.results) == ("п.mp3", answer.results)


def test_links_and_what_is_wrong_with_them(client, models):
    link = models.PredictJsonBody(url="https://vimeo.com/1")
    failure = call("tracks.predict", client, body=link)
    assert isinstance(failure, models.Failure)
    assert failure.code is models.FailureCode.NOT_YOUTUBE
    # `url` means something else to the client.
    assert call("tracks.predict_link", client, url_query="x").code == "bad_url"
    checked = call("tracks.check", client, url_query="youtu.be/dQw4w9WgXcQ")
    assert checked.id == "dQw4w9WgXcQ"
    links = models.PredictBatchJsonBody(urls=["x", "https://vimeo.com/1"])
    lines = call("tracks.predict_batch", client, body=links).splitlines()
    failed = [models.FailedLine.from_dict(json.loads(line)) for line in lines]
    assert {line.index: line.code for line in failed} == {0: "bad_url", 1: "not_youtube"}


def test_the_server_itself(client, models, server):
    told = call("server.info", client)
    assert told.model.to_dict()["name"] == "tiny"
    assert told.genres == list(server.pipeline.model.card.genres)
    assert isinstance(told.sandbox.decoders, models.Confinement)
    assert call("server.ready", client).status == "ready"
    assert "topgenre_ready 1.0" in call("server.metrics", client)
    assert call("server.openapi", client).to_dict() == describe()

"""The description of the API, the page that shows it, and the server: each holds the other two."""

import json
import re
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from serve.errors import ERRORS
from serve.http.api.description import describe
from serve.http.routes import ROUTES
from tests.http.posts import SONG, events_of, multipart
from tests.media import by_name, encode, music
from tests.server import running_server
from tests.standin import Video

ID = "kJQP7kiw5Fk"
LINK = f"https://youtu.be/{ID}"
OPERATIONS = {
    (method.upper(), path): operation
    for path, methods in describe()["paths"].items()
    for method, operation in methods.items()
}


def test_it_is_valid_and_the_one_that_is_served(client):
    validate(describe())
    assert client.get("/openapi.json").json() == describe()


def test_every_address_is_described_and_no_other():
    real = {
        (method, route.path) for route in ROUTES for method in (route.methods or set()) - {"HEAD"}
    }
    assert set(OPERATIONS) == real


def check(schema, value):
    Draft202012Validator(schema | {"components": describe()["components"]}).validate(value)


def component(name):
    return {"$ref": f"#/components/schemas/{name}"}


def media_of(node):
    """Every media type object of the description, requests' and answers'."""
    if isinstance(node, dict):
        yield from node.get("content", {}).items()
        for child in node.values():
            yield from media_of(child)


def test_every_example_is_as_described():
    seen = 0
    for kind, media in media_of(describe()["paths"]):
        examples = [example["value"] for example in media.get("examples", {}).values()]
        for value in [*examples, media["example"]] if "example" in media else examples:
            check(media["schema"], value)
            if kind == "application/x-ndjson":
                for line in value.splitlines():
                    check(component("Line"), json.loads(line))
            seen += 1
    assert seen > 50


def test_every_answer_and_every_form_has_an_example():
    for operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            for name, media in response["content"].items():
                # The example of this document would be the document.
                shown = operation["operationId"] == "openapi" and status == "200"
                assert shown or "example" in media or media["examples"], (status, name)
        for name in operation.get("requestBody", {"content": {}})["content"]:
            # What can't be shown as text is shown as a command.
            words = {"application/json": "-d '{", "multipart/form-data": "-F file="}
            assert words.get(name, "--data-binary") in operation["description"]


def test_every_code_is_described_where_tracks_are_asked_for():
    for operation in (OPERATIONS["POST", "/predict"], OPERATIONS["GET", "/predict"]):
        for code, error in ERRORS.items():
            if error.status not in (405, 415):
                response = operation["responses"][str(error.status)]
                assert code in response["content"]["application/json"]["examples"]
                assert f"`{code}`" in response["description"]
    codes = describe()["components"]["schemas"]["Failure"]["properties"]["code"]["enum"]
    assert codes == sorted(ERRORS)


# Every answer that is described is one that the server gives, and the other way round.


def conforms(operation, response):
    """Check an answer against its description; the pair of both is returned."""
    described = OPERATIONS[operation]["responses"].get(str(response.status_code))
    assert described, f"{operation} answers {response.status_code}: {response.text[:200]}"
    kind = response.headers["content-type"].partition(";")[0]
    schema = described["content"][kind]["schema"]
    if kind == "application/json":
        check(schema, response.json())
        if response.status_code >= 400:
            error = response.json()
            assert f"`{error['code']}`" in described["description"], operation
            said = set(describe()["components"]["schemas"]["Failure"]["properties"])
            assert said - set(error) <= {"retry_after_s"}, "only where there is one"
            assert set(error) <= said
    for line in response.text.splitlines() if kind == "application/x-ndjson" else ():
        check(component("Line"), json.loads(line))
    for name in ("X-Request-ID", "Retry-After", "WWW-Authenticate"):
        assert name not in response.headers or name in described["headers"]
    return operation, response.status_code


def ask(client, operation, **changes):
    method, path = operation
    if path == "/predict/batch":
        changes = {"json": {"urls": [LINK, "x"]}} | changes
    elif method == "POST":
        changes = multipart() | changes
    elif path in ("/predict", "/check"):
        changes = {"params": {"url": LINK}} | changes
    return client.request(method, path, **changes)


@contextmanager
def raising(monkeypatch, where, error):
    """Whatever is asked for fails with this error, deep inside."""

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        for name in where:
            patch.setattr(name, fail)
        yield


DEEP = {
    "/predict": ["serve.http.predict.track.classify_request"],
    "/predict/batch": ["serve.http.predict.batch.read_tracks"],
    "/metrics": ["serve.metrics.Metrics.render"],
}
# Every way in which a track can fail, and a batch as a whole: test_batch and test_rates show how.
TRACK = set(ERRORS) - {"method_not_allowed", "unauthorized"}
INSIDE = {
    ("POST", "/predict"): TRACK,
    ("GET", "/predict"): TRACK - {"unsupported_media"},
    ("POST", "/predict/batch"): {
        *("bad_request", "too_big", "unsupported_media", "overloaded"),
        *("too_many_requests", "timeout", "internal"),
    },
}
ELSEWHERE = ["serve.http.routes.Json", "serve.http.predict.track.Json"]


def test_the_description_and_the_server_agree(server, youtube, tiny_model, monkeypatch):
    youtube.add(Video(ID, {140: encode(music(3.0), by_name("m4a-index-first"))}, length=3))
    seen = set()
    with server.client() as client:
        for operation in OPERATIONS:
            response = ask(client, operation)
            assert response.status_code == 200
            seen.add(conforms(operation, response))
        # What comes from a request itself.
        for query in ({}, {"url": "x"}, {"url": "https://vimeo.com/1"}):
            for path in ("/predict", "/check"):
                seen.add(conforms(("GET", path), client.get(path, params=query)))
        for path, body in {
            "/predict": [b"{", b'{"url": 1}', b'"' + b"x" * 20_000],
            "/predict/batch": [b"{", b'{"urls": []}', b'{"urls": [%s"x"]}' % (b'"x",' * 99)],
        }.items():
            for content in body:
                headers = {"Content-Type": "application/json"}
                response = client.post(path, content=content, headers=headers)
                seen.add(conforms(("POST", path), response))
            seen.add(conforms(("POST", path), client.post(path, content=b"?")))
        # What comes from inside, each kind of it.
        for operation in OPERATIONS:
            for code in INSIDE.get(operation, ()):
                with raising(monkeypatch, DEEP[operation[1]], ERRORS[code]()):
                    response = ask(client, operation)
                assert response.json()["code"] == code
                seen.add(conforms(operation, response))
            with raising(monkeypatch, DEEP.get(operation[1], ELSEWHERE), RuntimeError("broken")):
                response = ask(client, operation)
            assert response.json()["code"] == "internal"
            seen.add(conforms(operation, response))
        with monkeypatch.context() as patch:
            patch.setattr("serve.pipeline.Pipeline.ready", False)
            seen.add(conforms(("GET", "/health/ready"), client.get("/health/ready")))
    keys = ("me:" + "0" * 64,)
    with (
        running_server(model=tiny_model, decoders=1, hosts=("127.0.0.1",), api_keys=keys) as closed,
        closed.client() as client,
    ):
        for operation in OPERATIONS:
            response = ask(client, operation)
            seen.add(conforms(operation, response))
            assert (response.status_code == 401) == ("security" in OPERATIONS[operation])
            seen.add(conforms(operation, ask(client, operation, headers={"Host": "evil.test"})))
    described = {
        (operation, int(status))
        for operation in OPERATIONS
        for status in OPERATIONS[operation]["responses"]
    }
    assert seen == described


def test_events_and_extras_are_as_described(client):
    headers = {"Accept": "text/event-stream"}
    query = {"include": "clips,mel"}
    with client.stream(
        "POST", "/predict", headers=headers, params=query, **multipart()
    ) as response:
        *progress, (name, answer) = events_of(response)
    for _, data in progress:
        check(component("TrackProgress"), data)
    assert {name for name, _ in progress} == {"progress"}
    assert name == "result"
    check(component("Answer"), answer)
    assert set(answer) == set(describe()["components"]["schemas"]["Answer"]["properties"])


COMMANDS = [
    command
    for operation in OPERATIONS.values()
    for block in re.findall(r"```sh\n(.*?)```", operation.get("description", ""), re.DOTALL)
    for command in block.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_work(server, youtube, tmp_path, command):
    youtube.add(Video(ID, {140: encode(music(3.0), by_name("m4a-index-first"))}, length=3))
    (tmp_path / "song.mp3").write_bytes(SONG)
    with zipfile.ZipFile(tmp_path / "songs.zip", "w") as archive:
        archive.writestr("song.mp3", SONG)
    assert "http://localhost:5000" in command
    done = subprocess.run(
        ["bash", "-c", command.replace("http://localhost:5000", server.url) + " -sS --fail"],
        cwd=tmp_path,
        env={"NO_PROXY": "*", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert '"top_prediction": ' in done.stdout.replace('":"', '": "')


def test_schemathesis_finds_nothing(server, youtube):
    # Its links are to videos that the stand-in does not have.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
            *("--seed", "1", "--max-examples", "15", "--phases", "examples,coverage,fuzzing"),
            *("--checks", "all", "--request-timeout", "20", "--no-color"),
            # No schema can tell which text is a link, and which bytes are music.
            *("--exclude-checks", "positive_data_acceptance"),
            *("--generation-database", "none", "--continue-on-failure"),
        ],
        env={"NO_PROXY": "*", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


# The page.


def test_the_page_and_all_that_it_needs_come_from_the_server(client):
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"(?i)https?://|//cdn|<style|<script(?![^>]* src=)|\son\w+=", page.text)
    kinds = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
    assets = re.findall(r'(?:src|href)="(web/docs/[^"]+)"', page.text)
    assert len(assets) == 4
    for name in assets:
        response = client.get(name)
        assert response.status_code == 200
        assert response.headers["content-type"].partition(";")[0] == kinds[Path(name).suffix]
    start = client.get(assets[-1]).text
    assert "http" not in start
    assert 'url: "openapi.json"' in start

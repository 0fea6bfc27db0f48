"""Everything beside `POST /predict`: health, information, metrics, description, CORS."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from serve.audio.frontend import FrontEnd
from serve.errors import ERRORS
from serve.http.app import create_app
from serve.inference.card import ModelFileError
from serve.pipeline import Pipeline
from serve.settings import Settings
from tests.http.test_predict import events_of, multipart
from tests.models import CARD, GENRES, write_model
from tests.server import running_server

ORIGIN = {"Origin": "http://localhost:3000"}


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


def test_health(client):
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}


async def test_a_server_without_its_parts_is_not_ready(tiny_model):
    # Without its lifespan nothing has been started.
    app = create_app(Pipeline.from_settings(Settings(model=tiny_model)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/health/live")).status_code == 200
        response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["code"] == "not_ready"


def test_info(client, server):
    info = client.get("/info").json()
    assert info["genres"] == list(GENRES)
    assert info["front_end"] == FrontEnd().to_dict()
    assert info["model"]["name"] == "tiny"
    assert info["model"]["sha256"] == server.pipeline.model.sha256
    assert info["provider"] == "cpu"
    assert info["clip_s"] == 1.4
    assert info["limits"]["max_duration_s"] == 600
    assert {"python", "topgenre", "yt-dlp", "av", "starlette"} <= set(info["versions"])


def test_metrics(client):
    client.post("/predict", **multipart())
    response = client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for name in (
        'topgenre_requests_total{code="ok"}',
        'topgenre_stage_seconds_count{stage="mel"}',
        "topgenre_inference_calls_total",
        "topgenre_clips_total",
        "topgenre_ready 1.0",
    ):
        assert name in response.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/predict", 405, "method_not_allowed"),
        ("DELETE", "/info", 405, "method_not_allowed"),
    ],
)
def test_the_router_refuses_in_our_form(client, method, path, status, code):
    response = client.request(method, path, headers=ORIGIN)
    assert response.status_code == status
    assert response.json()["code"] == code
    assert response.headers["access-control-allow-origin"] == "*"
    assert ("allow" in response.headers) == (status == 405)


def test_request_ids_are_kept_or_made(client):
    assert (
        client.get("/info", headers={"X-Request-ID": "a.b-c_1"}).headers["x-request-id"]
        == "a.b-c_1"
    )
    for bad in ("", "a b", "x" * 65, "é".encode()):
        made = client.get("/info", headers={"X-Request-ID": bad}).headers["x-request-id"]
        assert len(made) == 32


def test_any_origin_may_ask_by_default(client):
    asked = ORIGIN | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    preflight = client.options("/predict", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "content-type" in preflight.headers["access-control-allow-headers"]


def test_origins_can_be_named(tiny_model):
    with (
        running_server(
            model=tiny_model, decoders=1, cors_origins=["http://localhost:3000"]
        ) as server,
        server.client() as client,
    ):
        known = client.get("/info", headers=ORIGIN)
        assert known.headers["access-control-allow-origin"] == "http://localhost:3000"
        other = client.get("/info", headers={"Origin": "http://evil.test"})
        assert "access-control-allow-origin" not in other.headers


def test_the_old_front_end_gets_what_it_reads(client):
    # It posts a JSON url from another origin and reads three keys, or `error`.
    headers = ORIGIN | {"Content-Type": "application/json"}
    response = client.post("/predict", content='{"url":"https://example.com/"}', headers=headers)
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.json()["error"] == "Only YouTube links are accepted."
    answer = client.post("/predict", headers=ORIGIN, **multipart()).json()
    assert isinstance(answer["video_title"], str)
    assert isinstance(answer["top_prediction"], str)
    assert all(isinstance(share, float) for share in answer["results"].values())


@pytest.fixture
def description(client):
    return client.get("/openapi.json").json()


def test_the_description_is_valid(description):
    validate(description)


def schema(description, name):
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}"} | description)


def test_answers_are_as_described(client, description):
    answer = client.post("/predict", **multipart()).json()
    schema(description, "Answer").validate(answer)
    schema(description, "Answer").validate(
        description["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"][
            "example"
        ]
    )
    schema(description, "Info").validate(client.get("/info").json())
    schema(description, "Status").validate(client.get("/health/ready").json())
    known = description["components"]["schemas"]["Answer"]["properties"]
    assert set(answer) == set(known)


def test_events_and_errors_are_as_described(client, description):
    headers = {"Accept": "text/event-stream"}
    with client.stream("POST", "/predict", headers=headers, **multipart()) as response:
        events = list(events_of(response))
    for name, data in events[:-1]:
        assert name == "progress"
        schema(description, "Progress").validate(data)
    error = client.post("/predict", content=b"?").json()
    schema(description, "Error").validate(error)
    assert set(error) == set(description["components"]["schemas"]["Error"]["properties"])


def test_every_error_is_described_with_its_status(description):
    responses = description["paths"]["/predict"]["post"]["responses"]
    for code, error in ERRORS.items():
        if error.status != 405:
            assert f"`{code}`" in responses[str(error.status)]["description"]
    assert description["components"]["schemas"]["Error"]["properties"]["code"]["enum"] == sorted(
        ERRORS
    )


def test_every_address_is_described(description):
    from serve.http.routes import ROUTES

    described = {
        (path, method.upper())
        for path, methods in description["paths"].items()
        for method in methods
    }
    real = {
        (route.path, method) for route in ROUTES for method in (route.methods or set()) - {"HEAD"}
    }
    assert described == real


def test_a_model_that_can_not_be_served_stops_the_start(tmp_path):
    card = replace(CARD, front_end={"sample_rate": 1})
    path = tmp_path / "bad.onnx"
    write_model(path, front_end=card.to_metadata()["front_end"])
    with pytest.raises(ModelFileError, match="front_end can't be used"):
        Pipeline.from_settings(Settings(model=path))


def test_decoders_that_do_not_start_stop_the_start(tiny_model, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    pipeline = Pipeline.from_settings(Settings(model=tiny_model, decoders=1))

    async def start():
        async with pipeline:
            raise AssertionError("it started")

    with pytest.raises(Exception, match="did not start"):
        asyncio.run(start())
    assert not pipeline.ready

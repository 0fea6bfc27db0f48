"""Everything beside `POST /predict`: health, information, metrics, description, CORS."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from serve.audio.frontend import FrontEnd
from serve.audio.pool import DecoderPool
from serve.durations import MAX_DURATION_S
from serve.http.app import create_app
from serve.inference.card import ModelFileError
from serve.inference.session import LoadedModel
from serve.pipeline import Pipeline
from serve.settings import Settings
from tests.http.posts import multipart
from tests.media import by_name, encode, music
from tests.models import CARD, GENRES, write_model
from tests.server import running_server

ORIGIN = {"Origin": "http://localhost:3000"}


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
    assert info["limits"]["max_duration_s"] == MAX_DURATION_S
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
        ("PUT", "/predict", 405, "method_not_allowed"),
        ("HEAD", "/predict", 405, None),
        ("GET", "/predict/batch", 405, "method_not_allowed"),
        ("DELETE", "/info", 405, "method_not_allowed"),
    ],
)
def test_the_router_refuses_in_our_form(client, method, path, status, code):
    response = client.request(method, path, headers=ORIGIN)
    assert response.status_code == status
    assert method == "HEAD" or response.json()["code"] == code
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


def test_a_model_that_can_not_be_served_stops_the_start(tmp_path):
    card = replace(CARD, front_end={"sample_rate": 1})
    path = tmp_path / "bad.onnx"
    write_model(path, front_end=card.to_metadata()["front_end"])
    with pytest.raises(ModelFileError, match="front_end can't be used"):
        Pipeline.from_settings(Settings(model=path))


def test_the_model_is_told_how_many_decoders_are_busy(tiny_model, monkeypatch):
    told = []
    run = LoadedModel.run

    def noted(self, mel, busy_cores=0):
        told.append(busy_cores)
        return run(self, mel, busy_cores)

    monkeypatch.setattr(LoadedModel, "run", noted)
    with running_server(model=tiny_model, decoders=1) as server, server.client() as client:
        assert client.post("/predict", **multipart()).status_code == 200
        assert told[-1] == 0
        monkeypatch.setattr(DecoderPool, "busy", 7)
        short = encode(music(3.0), by_name("flac"))
        assert client.post("/predict", **multipart("short.flac", short)).status_code == 200
        assert told[-1] == 7


def test_decoders_that_do_not_start_stop_the_start(tiny_model, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    pipeline = Pipeline.from_settings(Settings(model=tiny_model, decoders=1))

    async def start():
        async with pipeline:
            raise AssertionError("it started")

    with pytest.raises(Exception, match="did not start"):
        asyncio.run(start())
    assert not pipeline.ready

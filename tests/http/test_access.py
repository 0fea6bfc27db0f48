"""Who may ask: API keys, the names of the server, addresses behind proxies, headers, CORS."""

import hashlib
import hmac
import logging
import subprocess
import sys

import pytest
from starlette.routing import Route

from serve.http.app import create_app
from serve.http.middleware.access import OPEN, OPEN_UNDER, is_loopback
from serve.http.middleware.headers import HEADERS
from serve.keys import Keys, new_key
from serve.pipeline import Pipeline
from serve.server import run
from serve.settings import Settings, SettingsError
from tests.http.posts import multipart
from tests.server import running_server

ORIGIN = {"Origin": "http://localhost:3000"}
KEY, ENTRY = new_key("phone")
OTHER, OTHER_ENTRY = new_key("tablet")


@pytest.fixture(scope="module")
def locked(tiny_model):
    with running_server(
        model=tiny_model, decoders=1, api_keys=(ENTRY, OTHER_ENTRY), log_level="debug"
    ) as running:
        yield running


@pytest.fixture
def client(locked):
    with locked.client() as client:
        yield client


def test_a_key_is_known_by_its_hash_alone():
    assert len(KEY) > 40
    assert new_key("phone")[0] != KEY
    assert f"phone:{hashlib.sha256(KEY.encode()).hexdigest()}" == ENTRY
    keys = Keys((ENTRY, OTHER_ENTRY))
    assert keys.name_of(KEY.encode()) == "phone"
    assert keys.name_of(OTHER.encode()) == "tablet"
    for wrong in (b"", KEY[:-1].encode(), ENTRY.encode(), ENTRY.partition(":")[2].encode()):
        assert keys.name_of(wrong) is None


def test_keys_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(*both):
        compared.append(both)
        return hmac_compare(*both)

    hmac_compare = hmac.compare_digest
    monkeypatch.setattr("hmac.compare_digest", compare)
    # The first one fits, and still all are looked at: time does not tell which one it was.
    assert Keys((ENTRY, OTHER_ENTRY)).name_of(KEY.encode()) == "phone"
    assert len(compared) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"X-API-Key": KEY},
    ],
)
def test_a_key_opens(client, headers, caplog):
    caplog.set_level(logging.INFO, "serve.requests")
    assert client.post("/predict", headers=headers, **multipart()).status_code == 200
    assert client.get("/metrics", headers=headers).status_code == 200
    (record,) = [r.fields for r in caplog.records if getattr(r, "fields", {}).get("key")]
    assert record["key"] == "phone"
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {ENTRY}"},
        {"X-API-Key": KEY.swapcase()},
        {"X-API-Key": "é".encode()},
    ],
)
def test_without_it_nothing_is_done(client, locked, headers):
    before = locked.pipeline.metrics._registry.get_sample_value(
        "topgenre_requests_total", {"code": "unauthorized"}
    )
    response = client.post("/predict", headers=headers | ORIGIN, **multipart())
    assert response.status_code == 401
    assert response.json()["code"] == "unauthorized"
    assert response.headers["www-authenticate"] == 'Bearer realm="topgenre"'
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    after = locked.pipeline.metrics._registry.get_sample_value(
        "topgenre_requests_total", {"code": "unauthorized"}
    )
    assert after == (before or 0) + 1
    assert client.get("/metrics", headers=headers).status_code == 401


def test_every_route_is_open_on_purpose_or_closed(client, tiny_model):
    # Of a route that is neither somebody has to think.
    closed = {"/predict", "/predict/batch", "/metrics", "/check"}
    for route in create_app(Pipeline.from_settings(Settings(model=tiny_model))).routes:
        assert isinstance(route, Route)
        is_open = route.path in OPEN or route.path.startswith(OPEN_UNDER)
        assert is_open or route.path in closed, route.path
        if "GET" in (route.methods or ()) and "{" not in route.path:
            status = client.get(route.path).status_code
            assert (status == 401) == (not is_open), route.path


def test_a_browser_may_send_a_key_from_another_origin(client):
    asked = ORIGIN | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-api-key, content-type",
    }
    preflight = client.options("/predict", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    allowed = preflight.headers["access-control-allow-headers"]
    assert {"authorization", "x-api-key"} <= set(allowed.split(", "))
    assert "access-control-allow-credentials" not in preflight.headers


def test_what_a_browser_may_not_is_refused_like_everything(client):
    asked = {"Origin": "http://a.test", "Access-Control-Request-Method": "POS T"}
    refused = client.options("/predict", headers=asked)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert refused.headers["access-control-allow-methods"] == "GET, POST"


def test_a_key_is_made_on_the_command_line(capsys):
    done = subprocess.run(
        [sys.executable, "-m", "serve", "key", "phone"], capture_output=True, text=True, check=True
    )
    key, entry = (line.partition(": ")[2] for line in done.stdout.splitlines())
    assert Keys(Settings(api_keys=entry).api_keys).name_of(key.encode()) == "phone"
    done = subprocess.run(
        [sys.executable, "-m", "serve", "key", "my phone"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "keys",
    [KEY, f"phone:{KEY}", "phone:", f"{ENTRY},{ENTRY}", f"a b:{'0' * 64}"],
    # Keys are other ones in each process, whose workers have to collect the same tests.
    ids=["key", "named-key", "name", "twice", "space"],
)
def test_a_key_instead_of_its_hash_stops_the_start_and_is_not_repeated(monkeypatch, keys):
    monkeypatch.setenv("TOPGENRE_API_KEYS", keys)
    with pytest.raises(SettingsError, match="API_KEYS") as error:
        Settings.from_environment()
    assert KEY not in str(error.value)


# Names of the server.


@pytest.mark.parametrize(
    ("settings", "good", "bad"),
    [
        # Any site may read answers anyway.
        ({}, ["localhost:5000", "evil.test", ""], []),
        (
            {"cors_origins": ("http://localhost:3000",)},
            ["localhost:5000", "127.0.0.1", "[::1]:5000", "LOCALHOST."],
            ["evil.test", "localhost.evil.test:5000", "", "127.0.0.1.evil.test"],
        ),
        ({"hosts": ("music.test",)}, ["music.test", "Music.test:443"], ["localhost", "evil.test"]),
    ],
)
def test_a_site_that_takes_the_servers_address_gets_nothing(tiny_model, settings, good, bad):
    with (
        running_server(model=tiny_model, decoders=1, **settings) as server,
        server.client() as client,
    ):
        for host in good:
            assert client.get("/info", headers={"Host": host}).status_code == 200, host
        for host in bad:
            response = client.get("/info", headers={"Host": host})
            assert response.status_code == 400, host
            assert response.json()["code"] == "bad_request"
            # Probes call it by its address.
            assert client.get("/health/ready", headers={"Host": host}).status_code == 200, host


# Origins of pages.


@pytest.fixture(scope="module")
def closed(tiny_model):
    origins = (ORIGIN["Origin"], "https://music.test")
    with running_server(
        model=tiny_model, decoders=1, cors_origins=origins, address_rate="100/hour"
    ) as running:
        yield running


OTHERS = (
    *("https://evil.test", "null", "", "http://localhost:3001", "http://localhost"),
    *("https://localhost:3000", "http://localhost:3000.evil.test", "http://music.test"),
    *("https://evil.test,http://localhost:3000", "file://"),
)
WORK = [("POST", "/predict"), ("GET", "/predict"), ("POST", "/predict/batch"), ("GET", "/check")]


@pytest.mark.parametrize(("method", "path"), WORK)
def test_an_origin_that_is_not_named_is_refused_before_any_work(closed, method, path, monkeypatch):
    async def work(*_):
        raise AssertionError("it was worked on")

    for name in (
        "predict.batch.read_tracks",
        "predict.track.classify_request",
        "predict.track.link_of",
    ):
        monkeypatch.setattr(f"serve.http.{name}", work)
    with closed.client() as client:
        for origin in OTHERS:
            response = client.request(method, path, headers={"Origin": origin}, params={"url": "x"})
            assert response.status_code == 400, origin
            assert response.json()["error"] == "Pages of that origin may not use this server."
            assert "access-control-allow-origin" not in response.headers
            # It takes nothing from what its address may ask for.
            assert "ratelimit" not in response.headers


def test_two_origins_are_not_one_that_is_named(closed):
    both = [("Origin", ORIGIN["Origin"]), ("Origin", "https://evil.test")]
    with closed.client() as client:
        for headers in (both, both[::-1]):
            assert client.post("/predict", headers=headers, **multipart()).status_code == 400


def test_named_origins_our_own_page_and_programs_are_answered(closed):
    with closed.client() as client:
        own = {"Origin": closed.url}
        for headers in (ORIGIN, {"Origin": "https://music.test"}, own, {}):
            response = client.post("/predict", headers=headers, **multipart())
            assert response.status_code == 200, headers
        # What tells nothing of anybody is open to all.
        for path in OPEN - {"/"}:
            assert client.get(path, headers={"Origin": "null"}).status_code == 200, path


def test_where_no_origin_is_named_any_page_may_use_the_server(server):
    with server.client() as client:
        for origin in ("https://evil.test", "null"):
            response = client.post("/predict", headers={"Origin": origin}, **multipart())
            assert response.status_code == 200


# Beyond this machine.


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("", False),
        ("music.test", False),
    ],
)
def test_what_is_this_machine_alone(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "0.0.0.0", "api_keys": (ENTRY,)}, False),
        ({"host": "127.0.0.1"}, False),
    ],
)
def test_an_open_server_beyond_this_machine_warns(
    tiny_model, monkeypatch, capsys, settings, warned
):
    monkeypatch.setattr("serve.server.Server.run", lambda self: None)
    run(Settings(model=tiny_model, **settings))
    assert ("asks for no API key" in capsys.readouterr().err) is warned


# What browsers are told.


def test_every_answer_has_the_headers(server):
    with server.client() as client:
        for response in (
            client.get("/health/live"),
            client.get("/nowhere"),
            client.get("/"),
            client.post("/predict", **multipart()),
            client.post("/predict", content=b"?"),
        ):
            for name, value in HEADERS.items():
                assert response.headers.get_list(name) == [value]
            assert "server" not in response.headers


def test_the_policy_is_strict():
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["media-src"] == "'self' blob:"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert not any("unsafe" in value or "*" in value for value in policy.values())
    assert "microphone=(self)" in HEADERS["Permissions-Policy"]


# Behind proxies.


@pytest.mark.parametrize(
    ("trusted", "sent", "seen"),
    [
        ((), "192.0.2.7", "127.0.0.1"),
        (("192.0.2.1",), "192.0.2.7", "127.0.0.1"),
        (("127.0.0.1",), "192.0.2.7", "192.0.2.7"),
        (("127.0.0.0/8",), "192.0.2.66, 192.0.2.7", "192.0.2.7"),
        (("127.0.0.1", "192.0.2.7"), "192.0.2.66, 192.0.2.7", "192.0.2.66"),
    ],
)
def test_only_trusted_proxies_tell_addresses(tiny_model, caplog, trusted, sent, seen):
    caplog.set_level(logging.INFO, "serve.requests")
    with (
        running_server(model=tiny_model, decoders=1, trusted_proxies=trusted) as server,
        server.client() as client,
    ):
        client.get("/info", headers={"X-Forwarded-For": sent})
    (record,) = [r.fields for r in caplog.records if getattr(r, "fields", {}).get("path")]
    assert record["client"] == seen

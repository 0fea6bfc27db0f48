"""The log: one line a request, for people or machines, and nobody's secrets."""

import http.client
import json
import logging
import sys

import pytest

from serve import logs
from serve.keys import new_key
from serve.settings import Settings
from tests.eventually import until
from tests.http.posts import SONG, multipart
from tests.process import server_process
from tests.standin import Video, faults

ID = "dQw4w9WgXcQ"
URL = f"https://www.youtube.com/watch?v={ID}"
KEY, ENTRY = new_key("phone")


@pytest.fixture
def log(capsys):
    """Configure logs, say something, and have what was written."""

    def write(settings, *message, level=logging.INFO, **extra):
        logs.configure(Settings(**settings))
        logging.getLogger("topgenre.test").log(level, *message, **extra)
        return capsys.readouterr().err

    return write


def test_for_people(log):
    line = log({}, "request", extra={"fields": {"status": 200, "stages": {"mel": 1.5}, "x": None}})
    assert line.endswith("INFO topgenre.test: request status=200 stages=mel:1.5\n")
    assert log({}, "x", extra={"fields": {"path": "a b\n"}}).endswith('x path="a b\\n"\n')


def test_for_machines(log):
    fields = {"status": 200, "stages": {"mel": 1.5}, "key": None}
    line = json.loads(log({"log_format": "json"}, "a %s", "b", extra={"fields": fields}))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "topgenre.test",
        "message": "a b",
        "status": 200,
        "stages": {"mel": 1.5},
    }


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_traceback_stays_in_its_record(log, log_format):
    try:
        raise RuntimeError("at http://user:word@proxy:1/")
    except RuntimeError:
        text = log({"log_format": log_format}, "failed", exc_info=sys.exc_info())
    assert "RuntimeError" in text
    assert "word" not in text
    if log_format == "json":
        assert "RuntimeError" in json.loads(text)["exception"]


def test_only_what_is_asked_for(log):
    assert log({"log_level": "warning"}, "x") == ""
    assert log({"log_level": "debug"}, "x", level=logging.DEBUG)


@pytest.mark.parametrize("log_format", ["console", "json"])
@pytest.mark.parametrize(
    ("message", "secret", "kept"),
    [
        ("via http://user:pa%20ss@proxy.test:3128", "pa%20ss", "proxy.test:3128"),
        ("via socks5h://user@proxy.test", "user", "proxy.test"),
        ("GET https://rr1.googlevideo.com/videoplayback/sig/abc", "abc", "googlevideo.com"),
        ("GET https://a.test/b?signature=abc&x=1 failed", "abc", "https://a.test/b?"),
        ("'https://a.test/b?sig=abc'", "abc", "a.test"),
        ("headers: Cookie: SID=abc; HSID=def", "abc", "Cookie"),
        ("{'authorization': 'Bearer abc'}", "abc", "authorization"),
        # Another key in each process: an id of its own, for workers to collect the same tests.
        pytest.param(f"key {KEY} is wrong", KEY, "is wrong", id="key"),
        ("the word swordfish alone", "swordfish", "alone"),
        ("or sword/fish@ it", "sword/fish@", "it"),
    ],
)
def test_secrets_are_hidden(log, log_format, message, secret, kept):
    settings = {"log_format": log_format, "youtube_proxy": "http://me:swordfish@proxy.test"}
    if "/" in secret:
        settings["youtube_proxy"] = "http://me:sword/fish@@proxy.test"
    for text in (
        log(settings, message),
        log(settings, "%s", message),
        log(settings, "x", extra={"fields": {"path": message}}),
    ):
        assert secret not in text
        assert kept in text


# A real server.


def requests(server):
    lines = [json.loads(line) for line in server.log.splitlines()]
    return [line for line in lines if line["logger"] == "serve.requests"]


def test_one_line_a_request_and_no_secrets_in_any(tiny_model, youtube, tmp_path):
    """At debug level, with everything secret set, and things going right and wrong."""
    cookies = tmp_path / "cookies.txt"
    cookies.write_text(
        "# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t4102444800\tSID\tc00kie-secret\n"
    )
    proxy = youtube.proxy.replace("http://", "http://proxyuser:pr0xy-secret@")
    youtube.add(Video(ID, {140: b"no sound at all"}, title="Private title", length=10))
    youtube.add(Video("aaaaaaaaaaa", {140: b"x" * 99}, length=10, fault=faults.status(403)))
    settings = {
        "model": tiny_model,
        "log_level": "debug",
        "log_format": "json",
        "youtube_proxy": proxy,
        "youtube_cookies": cookies,
        "youtube_retries": 0,
        "api_keys": ENTRY,
        "cache": "off",
    }
    headers = {"Authorization": f"Bearer {KEY}"}
    with server_process(**settings) as server:
        with server.client() as client:
            asked = [
                client.post("/predict", headers=headers, **multipart("Private name.mp3")),
                client.post("/predict", headers=headers, json={"url": URL}),
                client.post("/predict", headers=headers, json={"url": f"{URL[:-11]}aaaaaaaaaaa"}),
                client.get("/predict", headers=headers, params={"url": "https://a:b@vimeo.com/1"}),
                client.post("/predict", headers={"X-API-Key": KEY[:-1]}),
                client.get("/no%0Awhere?url=secret-link"),
                client.get("/health/live"),
            ]
        # A line comes after its answer, and there are those of whoever asked whether it is ready.
        ids = {answer.headers["x-request-id"] for answer in asked}
        until(lambda: ids <= {line["request_id"] for line in requests(server)})
        log = server.log
        noted = {line["request_id"]: line for line in requests(server)}
    assert [answer.status_code for answer in asked] == [200, 422, 502, 400, 401, 401, 200]
    assert any(request.headers.get("Cookie") for request in youtube.log)
    for secret in ("c00kie", "pr0xy", "proxyuser", KEY[:-1], "a:b@", "secret-link", "Private"):
        assert secret not in log, secret
    assert "videoplayback" not in log
    assert str(cookies) not in log
    for answer in asked:
        line = noted[answer.headers["x-request-id"]]
        assert line["status"] == answer.status_code
        assert line["bytes"] == len(answer.content)
        assert line["seconds"] > 0
        assert line["method"] == answer.request.method
        if answer.status_code != 200:
            assert line["code"] == answer.json()["code"]
    song, wrong = (noted[answer.headers["x-request-id"]] for answer in (asked[0], asked[5]))
    assert song["key"] == "phone"
    assert song["code"] == "ok"
    assert song["cached"] is False
    assert song["stages_ms"] == asked[0].json()["timings_ms"]
    assert song["path"] == "/predict"
    assert "key" not in wrong
    assert wrong["path"] == "/no%0Awhere"


@pytest.mark.usefixtures("eager")
def test_a_client_that_left_is_noted(server, caplog):
    caplog.set_level(logging.INFO, "serve.requests")
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "audio/mpeg")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders(SONG[:1000])
    until(lambda: server.metric("topgenre_requests_active") == 1)
    connection.close()
    until(lambda: any(r.name == "serve.requests" for r in caplog.records))
    (noted,) = (r.fields for r in caplog.records if r.name == "serve.requests")
    assert (noted["code"], noted["status"]) == ("cancelled", 499)


async def test_what_nobody_caught_is_answered_and_logged(caplog):
    import httpx

    from serve.http.middleware.headers import RequestId
    from serve.http.middleware.observe import Observed
    from serve.metrics import Metrics

    async def broken(scope, receive, send):
        raise RuntimeError("broken")

    metrics = Metrics()
    transport = httpx.ASGITransport(RequestId(Observed(broken, metrics)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get("/info")
    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert "RuntimeError: broken" in caplog.text
    assert 'topgenre_http_request_seconds_count{route="other",status="5xx"} 1.0' in (
        metrics.render().decode()
    )

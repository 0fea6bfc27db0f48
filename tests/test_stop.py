"""How the server stops: readiness first, then new tracks, then what is under way."""

import asyncio
import http.client
import json
import signal

import pytest

from serve.errors import ShuttingDown
from serve.http.drain import Drain
from tests.eventually import eventually, until
from tests.http.posts import SONG, multipart
from tests.process import server_process

FOREVER_S = 3600


class Upload:
    """A track of which the first half has been sent."""

    def __init__(self, server, number=1, **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.connection.putrequest("POST", "/predict")
        headers |= {"Content-Type": "audio/mpeg", "Content-Length": str(len(SONG))}
        for name, value in headers.items():
            self.connection.putheader(name, value)
        self.connection.endheaders(SONG[:10_000])
        with server.client() as client:
            until(lambda: f"topgenre_requests_open {number}.0" in client.get("/metrics").text)

    def finish(self):
        self.connection.send(SONG[10_000:])
        return self.answer()

    def answer(self):
        response = self.connection.getresponse()
        body = response.read()
        self.connection.close()
        return response, body


def refused(client):
    return client.get("/health/ready").json().get("code") == "shutting_down"


def test_readiness_turns_first(tiny_model):
    with server_process(model=tiny_model, stop_grace_s=FOREVER_S) as server:
        with server.client() as client:
            kept = client.get("/health/live")
            assert "connection" not in kept.headers
            upload = Upload(server)
            server.signal(signal.SIGTERM)
            until(lambda: refused(client))
            assert client.get("/health/ready").status_code == 503
            # Whoever has not noticed yet is answered, and does not keep the connection.
            for answer in (client.get("/health/live"), client.post("/predict", **multipart())):
                assert answer.status_code == 200
                assert answer.headers["connection"] == "close"
            assert server.process.poll() is None
            # A second signal cuts it all short, but what is under way is still answered.
            server.signal(signal.SIGTERM)
            response, body = upload.answer()
            assert (response.status, json.loads(body)["code"]) == (503, "shutting_down")
        assert server.ended() == 0
        assert "Traceback" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_accepted_work_finishes_and_no_more_is_begun(tiny_model, number):
    with server_process(model=tiny_model, stop_deadline_s=FOREVER_S) as server:
        upload = Upload(server)
        with server.client() as client:
            server.signal(number)
            until(lambda: client.post("/predict", **multipart()).status_code == 503)
            answer = client.post("/predict", **multipart())
            error = answer.json()
            assert (error["code"], error["retryable"]) == ("shutting_down", True)
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["connection"] == "close"
            assert client.get("/health/live").status_code == 200
        response, body = upload.finish()
        assert response.status == 200
        assert json.loads(body)["top_prediction"]
        assert server.ended() == 0
        assert "Traceback" not in server.log


def test_what_is_not_finished_in_time_is_told_so(tiny_model):
    with server_process(model=tiny_model, stop_deadline_s=0.1) as server:
        plain, stream = Upload(server), Upload(server, 2, Accept="text/event-stream")
        server.signal(signal.SIGTERM)
        response, body = plain.answer()
        assert (response.status, json.loads(body)["code"]) == (503, "shutting_down")
        assert response.headers["retry-after"]
        _, events = stream.answer()
        _, name, data = events.decode().rstrip().split("\n\n")[-1].split("\n")
        assert name == "event: error"
        assert json.loads(data.removeprefix("data: "))["code"] == "shutting_down"
        assert server.ended() == 0
        assert "Traceback" not in server.log


# The order of things, without a clock.


@pytest.fixture
async def drain():
    return Drain()


async def working(drain, until_set):
    async with drain.work():
        await until_set.wait()
    return "done"


async def test_during_the_grace_work_is_begun(drain):
    stopping = asyncio.ensure_future(drain.drain(FOREVER_S, FOREVER_S))
    await eventually(lambda: drain.stopping)
    async with drain.work():
        assert not stopping.done()
    drain.hurry()
    await stopping
    with pytest.raises(ShuttingDown):
        async with drain.work():
            pass


async def test_work_under_way_is_waited_for(drain):
    finish = asyncio.Event()
    work = asyncio.ensure_future(working(drain, finish))
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(drain.drain(0, FOREVER_S))
    await eventually(lambda: drain.stopping)
    assert not stopping.done()
    finish.set()
    assert await work == "done"
    await stopping


async def test_work_that_is_late_ends_in_its_error(drain):
    works = [asyncio.ensure_future(working(drain, asyncio.Event())) for _ in range(3)]
    await asyncio.sleep(0)
    await drain.drain(0, 0.01)
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == 3 * [ShuttingDown]
    assert all(outcome.retry_after_s for outcome in outcomes)


async def test_other_timeouts_stay_what_they_are(drain):
    with pytest.raises(TimeoutError):
        async with drain.work():
            raise TimeoutError

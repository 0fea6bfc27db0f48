import time

import pytest

from benchmarks.clients import Client, Request, arrivals, closed_loop, paced_s, post
from benchmarks.media import track


@pytest.fixture(scope="module")
def content():
    return track(3.0, "m4a")


@pytest.fixture
def port(server):
    return int(server.url.rpartition(":")[2])


def test_a_file_is_answered_alike_as_body_and_in_a_form(port, content):
    answers = [post(port, kind(content)) for kind in (Request.raw, Request.form)]
    assert answers[0]["results"] == answers[1]["results"]
    assert answers[0]["duration_s"] == answers[1]["duration_s"]


def test_another_status_than_expected_is_an_error(port):
    refused = Request(b"{}", "application/json")
    with Client(port) as client:
        assert client.post(refused, 400)["code"] == "bad_request"
        with pytest.raises(RuntimeError, match="answered 400"):
            client.post(refused)


def test_a_closed_loop_asks_for_every_track_once(port, server, content):
    before = server.metric("topgenre_requests_total", code="ok")
    loop = closed_loop(port, Request.raw(content), clients=3, tracks=7)
    assert loop.per_s > 0
    assert len(loop.taken_s) == 7
    assert min(loop.taken_s) > 0
    assert server.metric("topgenre_requests_total", code="ok") == before + 7


def test_what_fails_in_a_loop_fails_it(port):
    for loop in (
        lambda request: closed_loop(port, request, clients=2, tracks=2),
        lambda request: paced_s(port, request, [0.0, 0.0]),
    ):
        with pytest.raises(RuntimeError, match="answered 400"):
            loop(Request(b"{}", "application/json"))


def test_an_open_loop_times_every_request(port, server, content):
    before = server.metric("topgenre_requests_total", code="ok")
    taken = paced_s(port, Request.raw(content), [0.001] * 5)
    assert len(taken) == 5
    assert min(taken) > 0
    assert server.metric("topgenre_requests_total", code="ok") == before + 5


def test_who_comes_late_counts_from_when_it_was_due():
    begun = time.perf_counter()
    times = []
    for at in arrivals([0.0, 0.001, 0.001]):
        times.append(at)
        while time.perf_counter() < begun + 0.01:
            pass
    assert times[1] - times[0] == pytest.approx(0.001)
    assert times[2] - times[1] == pytest.approx(0.001)

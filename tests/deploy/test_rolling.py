"""A rolling restart behind a real HAProxy, under load: every request gets its answer."""

import signal
import threading
import time
from contextlib import ExitStack
from functools import partial

import httpx
import pytest

from tests.deploy.proxies import haproxy
from tests.eventually import until
from tests.http.posts import events_of, raw
from tests.media import by_name, encode, music
from tests.process import server_process

CLIENTS = 4
TRACK = encode(music(10.0, 22_050, 1), by_name("au"))


class Load:
    """Clients that ask one thing after another, and what they got."""

    def __init__(self, url, tries=1):
        self.url = url
        self.outcomes = []
        self.lost = 0
        self._tries = tries
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number):
        # Half of them keep their connections.
        count = 0
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as kept:
            while not self._over.is_set():
                count += 1
                self.outcomes.append(self._persistently(kept, number, count))

    def _persistently(self, kept, number, count):
        for _ in range(self._tries):
            try:
                if number % 2:
                    outcome = self._one(kept, number, count)
                else:
                    with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as once:
                        outcome = self._one(once, number, count)
            except Exception as error:
                outcome = repr(error)
            if outcome == "ok":
                break
            self.lost += 1
            time.sleep(0.5)
        return outcome

    def _slowly(self):
        yield TRACK[:1000]
        self._over.wait(1.0)
        yield TRACK[1000:]

    def _one(self, client, number, count):
        # One of them is slow, so that a server has work under way when it is told to stop.
        track = TRACK if number else self._slowly()
        if count % 3:
            answer = client.post("/predict", **raw(track, "audio/basic"))
            return "ok" if "top_prediction" in answer.json() else answer.text
        asked = raw(track, "audio/basic", Accept="text/event-stream")
        with client.stream("POST", "/predict", **asked) as response:
            name, data = list(events_of(response))[-1]
        return "ok" if name == "result" else str(data)


@pytest.fixture
def balancer():
    """HAProxy with the configuration that we ship; call it with the ports of two servers."""
    with ExitStack() as stack:
        yield lambda *ports: stack.enter_context(haproxy(*ports))


def is_ready(url):
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def answered(server):
    with server.client() as client:
        lines = client.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith('topgenre_requests_total{code="ok"}')]
    return float(found[0].split()[1]) if found else 0.0


def taken_up(server):
    return answered(server) > 5


def test_no_answer_is_lost_while_both_servers_are_restarted(tiny_model, balancer):
    settings = {"model": tiny_model, "stop_grace_s": 1.0, "cache": "off"}
    with ExitStack() as stack:
        first = [stack.enter_context(server_process(**settings)) for _ in range(2)]
        url = balancer(*(server.port for server in first))
        until(lambda: is_ready(url), 60)
        with Load(url) as load:
            until(lambda: all(map(answered, first)), 60)
            for server in first:
                server.signal(signal.SIGTERM)
                assert server.ended() == 0, server.log
                again = stack.enter_context(server_process(server.port, **settings))
                # The balancer gives it tracks again before the other one is stopped.
                until(partial(taken_up, again), 60)
    assert set(load.outcomes) == {"ok"}
    assert len(load.outcomes) > 20


def test_who_asks_once_more_loses_nothing_by_a_killed_server(tiny_model, balancer):
    settings = {"model": tiny_model, "cache": "off"}
    with ExitStack() as stack:
        servers = [stack.enter_context(server_process(**settings)) for _ in range(2)]
        url = balancer(*(server.port for server in servers))
        until(lambda: is_ready(url), 60)
        with Load(url, tries=2) as load:
            until(lambda: all(map(taken_up, servers)), 60)
            servers[0].signal(signal.SIGKILL)
            before = answered(servers[1])
            until(lambda: answered(servers[1]) > before + 20, 60)
    assert set(load.outcomes) == {"ok"}
    assert load.lost <= CLIENTS  # what was under way there

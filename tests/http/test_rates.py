"""How often somebody may ask, by key and by address."""

import itertools

import pytest

from serve.errors import TooManyRequests
from serve.http.rates import RATE_HEADERS, Rates, charge
from serve.http.record import RequestRecord
from serve.keys import new_key
from serve.replicas import Alone
from serve.settings import Settings, SettingsError
from tests.http.posts import multipart
from tests.server import running_server

KEY, ENTRY = new_key("phone")


@pytest.fixture(scope="module")
def limited(tiny_model):
    with running_server(
        model=tiny_model,
        decoders=1,
        api_keys=(ENTRY,),
        key_rate="60/hour burst 2",
        trusted_proxies=("127.0.0.1",),
    ) as running:
        yield running


def test_the_one_too_many_is_refused_and_told_when_to_come_back(tiny_model):
    with (
        running_server(
            model=tiny_model,
            decoders=1,
            address_rate="60/hour burst 2",
            trusted_proxies=("127.0.0.1",),
        ) as server,
        server.client() as client,
    ):
        for left in ("1", "0"):
            response = client.post("/predict", **multipart())
            assert response.status_code == 200
            assert response.headers["ratelimit-limit"] == "2"
            assert response.headers["ratelimit-remaining"] == left
        refused = client.post("/predict", headers={"Origin": "http://a"}, **multipart())
        assert refused.status_code == 429
        error = refused.json()
        assert (error["code"], error["retryable"]) == ("too_many_requests", True)
        assert refused.headers["ratelimit-remaining"] == "0"
        # One a minute comes back, and two are all there are.
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert 60 < int(refused.headers["ratelimit-reset"]) <= 120
        exposed = refused.headers["access-control-expose-headers"].split(", ")
        assert set(RATE_HEADERS) | {"Retry-After"} <= set(exposed)
        # Nothing else is counted, and nobody else is refused.
        assert client.get("/info").status_code == 200
        assert "ratelimit-limit" not in client.get("/info").headers
        other = client.post("/predict", headers={"X-Forwarded-For": "192.0.2.7"}, **multipart())
        assert other.status_code == 200
        assert server.metric("topgenre_requests_total", code="too_many_requests") == 1


def test_a_key_is_counted_wherever_it_comes_from(limited):
    with limited.client(headers={"X-API-Key": KEY}) as client:
        statuses = [
            client.post(
                "/predict", content=b"?", headers={"X-Forwarded-For": f"192.0.2.{n}"}
            ).status_code
            for n in range(3)
        ]
    assert statuses == [422, 422, 429]


@pytest.fixture
def clock(monkeypatch):
    """The limiter's clock, which stands still until it is told otherwise."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr("throttled.utils.now_mono_f", lambda: Clock.now)
    return Clock


def rates(**settings):
    return Rates(Settings(**settings), Alone())


async def test_no_rate_is_no_limit():
    assert await rates().take(None, "192.0.2.1") is None
    assert await rates(key_rate="1/day").take(None, "192.0.2.1") is None
    assert await rates(address_rate="1/day").take("phone", "192.0.2.1") is None


async def test_what_was_taken_comes_back(clock):
    few = rates(address_rate="60/hour burst 3")
    granted = [(await few.take(None, "192.0.2.1")).retry_after_s is None for _ in range(4)]
    assert granted == [True, True, True, False]
    assert (await few.take(None, "192.0.2.1")).retry_after_s == pytest.approx(60)
    clock.now += 59
    assert (await few.take(None, "192.0.2.1")).retry_after_s == pytest.approx(1)
    clock.now += 1
    assert (await few.take(None, "192.0.2.1")).retry_after_s is None
    assert (await few.take(None, "192.0.2.1")).retry_after_s is not None


async def test_a_subscribers_ipv6_addresses_are_one(clock):
    few = rates(address_rate="1/hour")
    assert (await few.take(None, "2001:db8::1")).retry_after_s is None
    assert (await few.take(None, "2001:db8::ffff:2")).retry_after_s is not None
    assert (await few.take(None, "2001:db8:0:1::1")).retry_after_s is None
    assert (await few.take(None, "fe80::1%eth0")).retry_after_s is None
    assert (await few.take(None, "not:an:address")).retry_after_s is None
    # IPv4, as a proxy that listens to both kinds tells it.
    assert (await few.take(None, "::ffff:192.0.2.1")).retry_after_s is None
    assert (await few.take(None, "::ffff:192.0.2.2")).retry_after_s is None
    assert (await few.take(None, "192.0.2.1")).retry_after_s is not None


async def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("serve.http.rates._REMEMBERED", 10)
    few = rates(address_rate="1/hour")
    store = few._address.here._store._backend
    for n, m in itertools.product(range(10), range(10)):
        await few.take(None, f"192.0.{n}.{m}")
    assert len(store.get_client()) == len(store.expire_info) == 10


async def test_more_tracks_of_one_request_count_too(clock):
    class App:
        class state:  # noqa: N801 - as Starlette has it
            rates = rates(address_rate="60/hour burst 5")

    scope = {"app": App, "client": ("192.0.2.1", 1), "state": {"record": RequestRecord()}}
    assert (await charge(scope, 3)).remaining == 2
    with pytest.raises(TooManyRequests) as refused:
        await charge(scope, 3)
    assert refused.value.retry_after_s == pytest.approx(60)
    with pytest.raises(TooManyRequests, match="More than 5 tracks"):
        await charge(scope, 5)  # and the first, which is counted already
    assert (await charge(scope, 2)).remaining == 0


@pytest.mark.parametrize("rate", ["many", "0/hour", "5", "5/fortnight", "5/hour burst", "1/s;2/m"])
def test_a_rate_that_is_none_stops_the_start(monkeypatch, rate):
    monkeypatch.setenv("TOPGENRE_ADDRESS_RATE", rate)
    with pytest.raises(SettingsError, match="TOPGENRE_ADDRESS_RATE"):
        Settings.from_environment()

import asyncio

import pytest

from serve.errors import BotCheck, Overloaded, Private, RateLimited, Timeout, YouTubeError
from serve.pipeline.breaker import Breaker, through

KINDS = (BotCheck, RateLimited)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breakers(clock):
    return [
        Breaker(kind, failures=3, window_s=10, pause_s=60, clock=clock)
        for kind in (BotCheck, RateLimited)
    ]


def ask(breakers, error=None):
    """Whether the request got through."""
    passed = False
    try:
        with through(breakers):
            passed = True
            if error:
                raise error
    except (*KINDS, Private, YouTubeError, Timeout, Overloaded, asyncio.CancelledError):
        pass
    return passed


def opened(breakers):
    for _ in range(3):
        assert ask(breakers, BotCheck())
    assert [breaker.state for breaker in breakers] == ["open", "closed"]


def test_it_opens_at_so_many_failures_and_says_when_to_come_back(breakers, clock):
    opened(breakers)
    clock.now += 20
    with pytest.raises(BotCheck) as refused, through(breakers):
        raise AssertionError("it got through")
    assert refused.value.retry_after_s == 40


def test_failures_that_lie_further_apart_do_not_count(breakers, clock):
    for _ in range(9):
        assert ask(breakers, BotCheck())
        clock.now += 5.1
    assert breakers[0].state == "closed"


@pytest.mark.parametrize("error", [None, Private(), YouTubeError(), Timeout(), RateLimited()])
def test_others_do_not_count(breakers, error):
    for _ in range(2):
        ask(breakers, BotCheck())
    ask(breakers, error)
    assert breakers[0].state == "closed"
    ask(breakers, BotCheck())
    assert breakers[0].state == "open"


def test_each_kind_has_its_own(breakers):
    for _ in range(3):
        ask(breakers, RateLimited())
    assert [breaker.state for breaker in breakers] == ["closed", "open"]
    with pytest.raises(RateLimited), through(breakers):
        raise AssertionError("it got through")


def test_half_open_it_lets_one_through(breakers, clock):
    opened(breakers)
    clock.now += 61
    assert breakers[0].state == "half-open"
    with through(breakers):
        with pytest.raises(BotCheck) as refused, through(breakers):
            raise AssertionError("a second one got through")
        assert refused.value.retry_after_s == 1
    assert breakers[0].state == "closed"


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (None, "closed"),
        (Private(), "closed"),  # YouTube answers
        (BotCheck(), "open"),
        # These say nothing of it, but the place is free again.
        (asyncio.CancelledError(), "half-open"),
        (Overloaded(), "half-open"),
        (YouTubeError(), "half-open"),
        (Timeout(), "half-open"),
        (RateLimited(), "half-open"),
    ],
)
def test_the_probe_decides(breakers, clock, outcome, state):
    opened(breakers)
    clock.now += 61
    assert ask(breakers, outcome)
    assert breakers[0].state == state
    assert ask(breakers) == (state != "open")


def test_one_that_opened_again_waits_again(breakers, clock):
    opened(breakers)
    clock.now += 61
    ask(breakers, BotCheck())
    clock.now += 59
    assert breakers[0].state == "open"
    clock.now += 2
    assert breakers[0].state == "half-open"


def test_what_began_before_it_opened_neither_closes_nor_prolongs_it(breakers, clock):
    with through(breakers):
        opened(breakers)
    assert breakers[0].state == "open"
    clock.now += 61
    with through(breakers):  # the probe
        breakers[0].leave(object(), BotCheck())
        assert breakers[0].state == "half-open"
    assert breakers[0].state == "closed"


def test_who_is_refused_by_one_is_no_probe_of_the_other(breakers, clock):
    opened(breakers)
    clock.now += 50
    for _ in range(3):  # they are under way, and come to the other's trouble
        breakers[1].leave(object(), RateLimited())
    clock.now += 11
    assert [breaker.state for breaker in breakers] == ["half-open", "open"]
    assert not ask(breakers)
    clock.now += 50
    assert ask(breakers)
    assert [breaker.state for breaker in breakers] == ["closed", "closed"]

"""What is tried once more on the command line, and what is not."""

from typing import Any

import pytest

from serve.errors import (
    BotCheck,
    Extractor,
    Internal,
    NotReady,
    Overloaded,
    RateLimited,
    Timeout,
    TooLong,
    YouTubeError,
)
from serve.library import run
from serve.sources.memory import MemorySource
from tests.answers import answer

ANSWER = answer("T")


class Failing:
    """A pipeline that fails with these, one after the other, and then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)

    async def classify(self, source, on_progress):
        if self.errors:
            raise self.errors.pop(0)
        return ANSWER


def failing(*errors) -> Any:
    return Failing(*errors)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(run, "_AGAIN_S", 0.0)


@pytest.mark.parametrize(
    "error",
    [NotReady(), Overloaded(), Overloaded(retry_after_s=0.01), Timeout(), YouTubeError()],
    ids=["decoder lost", "busy", "busy for long enough", "late", "broken off"],
)
async def test_what_may_pass_soon_is_tried_once_more(error):
    assert await run.persistently(failing(error), MemorySource("T", b"", 1)) is ANSWER
    with pytest.raises(type(error)):
        await run.persistently(failing(error, error), MemorySource("T", b"", 1))


@pytest.mark.parametrize(
    "error",
    [
        *(Overloaded(retry_after_s=60.0), RateLimited(), BotCheck(), Extractor()),
        *(TooLong(), Internal()),
    ],
    ids=lambda error: error.code,
)
async def test_what_does_not_pass_soon_is_told_at_once(error):
    pipeline = failing(error)
    with pytest.raises(type(error)):
        await run.persistently(pipeline, MemorySource("T", b"", 1))

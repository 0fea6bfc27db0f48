"""What is tried once more on the command line, and what is not."""

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
from tests.answers import answer

ANSWER = answer("T")


def failing(*errors):
    """What fails with these, one after the other, and then answers."""
    left = list(errors)

    async def classify():
        if left:
            raise left.pop(0)
        return ANSWER

    return classify


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(run, "_AGAIN_S", 0.0)


@pytest.mark.parametrize(
    "error",
    [NotReady(), Overloaded(), Overloaded(retry_after_s=0.01), Timeout(), YouTubeError()],
    ids=["decoder lost", "busy", "busy for long enough", "late", "broken off"],
)
async def test_what_may_pass_soon_is_tried_once_more(error):
    assert await run.persistently(failing(error)) is ANSWER
    with pytest.raises(type(error)):
        await run.persistently(failing(error, error))


@pytest.mark.parametrize(
    "error",
    [
        *(Overloaded(retry_after_s=60.0), RateLimited(), BotCheck(), Extractor()),
        *(TooLong(), Internal()),
    ],
    ids=lambda error: error.code,
)
async def test_what_does_not_pass_soon_is_told_at_once(error):
    with pytest.raises(type(error)):
        await run.persistently(failing(error))

"""Work for a client that may leave, and the connection that it is heard on."""

import asyncio

import pytest

from serve.http.predict.departure import Departed, Visit

LEFT = {"type": "http.disconnect"}


class Connection:
    """Says what it is given to say, then nothing; `asked` counts how often it was listened to."""

    def __init__(self, *messages):
        self.messages = list(messages)
        self.asked = 0
        self.listening = 0

    async def receive(self):
        self.asked += 1
        if self.messages:
            return self.messages.pop(0)
        self.listening += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.listening -= 1


def part(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


async def turns(n=10):
    for _ in range(n):
        await asyncio.sleep(0)


def test_nobody_listens_for_work_that_does_not_wait():
    async def work():
        return "answer"

    async def main():
        connection = Connection(part(b"x", more=False))
        assert await Visit(connection.receive).do(work()) == "answer"
        await turns()
        assert connection.asked == 0

    asyncio.run(main())


def test_the_body_comes_as_it_is_and_nobody_listens_after_the_work():
    async def main():
        connection = Connection(part(b"one"), part(b""), part(b"two", more=False))
        visit = Visit(connection.receive)

        async def work():
            return [block async for block in visit.body()]

        assert await visit.do(work()) == [b"one", b"two"]
        await turns()
        assert connection.listening == 0
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_no_more_is_read_ahead_than_may_be():
    async def main():
        connection = Connection(*(part(b"x" * (1 << 21)) for _ in range(8)))
        visit = Visit(connection.receive)
        work = visit.body()

        async def first_then_wait():
            await anext(work)
            await turns(50)
            asked = connection.asked
            await anext(work)
            await turns(50)
            return asked, connection.asked

        assert await visit.do(first_then_wait()) == (4, 5)

    asyncio.run(main())


def test_work_is_gone_when_the_client_has_left():
    async def main():
        gone = False

        async def work():
            nonlocal gone
            try:
                await asyncio.Event().wait()
            finally:
                await turns()
                gone = True

        with pytest.raises(Departed):
            await Visit(Connection(LEFT).receive).do(work())
        assert gone
        # Whoever did it may go on: nothing of the cancelling is left.
        assert asyncio.current_task().cancelling() == 0
        await turns()

    asyncio.run(main())


def test_what_goes_wrong_while_the_work_ends_is_no_answer():
    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError

    with pytest.raises(Departed):
        asyncio.run(Visit(Connection(LEFT).receive).do(work()))


@pytest.mark.parametrize("also_left", [False, True])
def test_one_who_is_cancelled_has_not_been_left(also_left):
    async def main():
        left = asyncio.Event()

        async def receive():
            await left.wait()
            return LEFT

        async def work():
            try:
                await asyncio.Event().wait()
            finally:
                if also_left:
                    left.set()
                await turns()

        doing = asyncio.ensure_future(Visit(receive).do(work()))
        await turns()
        doing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doing

    asyncio.run(main())

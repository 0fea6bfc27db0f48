"""Real servers with a real Redis: what all are asked for is done once, and nobody is forgotten."""

import asyncio
import json
import os
import signal
import threading
from contextlib import ExitStack

import httpx
import pytest

from tests.eventually import eventually
from tests.media import by_name, encode, music
from tests.process import server_process
from tests.redis import redis_server
from tests.standin import Video

VIDEOS, ASKERS = 20, 5
IDS = [f"AAAAAAAAA{n:02}" for n in range(VIDEOS)]
M4A = encode(music(20.0), by_name("m4a-index-first"))
# More than a server has by itself.
LIMITS = {"max_requests": 64, "decoders": 1, "log_level": "warning"}


@pytest.fixture
def redis(tmp_path):
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def gate(youtube):
    """Videos whose second half comes when this is set."""
    gate = threading.Event()

    def held(handler, media, start, end):
        handler.audio_head(start, end, len(media))
        handler.send(media[start : len(media) // 2])
        gate.wait(60)
        handler.send(media[len(media) // 2 : end + 1])
        return True

    for video in IDS:
        youtube.add(Video(video, {140: M4A}, title="T", length=20, fault=held))
    yield gate
    gate.set()


@pytest.fixture
def servers(tiny_model, gate, redis, request):
    settings = {"model": tiny_model, "cache": redis.url} | LIMITS
    with ExitStack() as stack:
        yield [stack.enter_context(server_process(**settings)) for _ in range(request.param)]


class Asker:
    """Asks one server for videos, all at the same time."""

    def __init__(self, server):
        self.server = server
        limits = httpx.Limits(max_connections=None)
        self._client = httpx.AsyncClient(
            base_url=server.url, timeout=90, trust_env=False, limits=limits
        )

    async def one(self, video):
        link = {"url": f"https://youtu.be/{video}"}
        try:
            answer = await self._client.post("/predict", json=link)
        except httpx.TransportError as error:
            return error
        return answer.json()["results"] if answer.status_code == 200 else answer.text

    def all(self, videos, askers):
        return [asyncio.ensure_future(self.one(video)) for video in videos for _ in range(askers)]

    async def close(self):
        await self._client.aclose()


@pytest.fixture
async def askers(servers):
    made = [Asker(server) for server in servers]
    yield made
    for asker in made:
        await asker.close()


def downloads(youtube):
    return len(youtube.audio())


def are_right(answers):
    return {json.dumps(of) for of in answers} == {json.dumps(answers[0])} and answers[0]


@pytest.mark.parametrize("servers", [4], indirect=True)
async def test_each_video_is_fetched_once_for_all_who_ask(askers, gate, youtube):
    asked = [of for asker in askers for of in asker.all(IDS, ASKERS)]
    await eventually(lambda: downloads(youtube) == VIDEOS, 60)
    gate.set()
    answers = await asyncio.gather(*asked)
    assert len(answers) == 4 * VIDEOS * ASKERS
    assert are_right(answers)
    assert downloads(youtube) == VIDEOS


@pytest.mark.parametrize("servers", [3], indirect=True)
async def test_when_a_server_is_killed_the_others_askers_are_answered(askers, gate, youtube):
    killed, *others = askers
    lost = killed.all(IDS[:4], 1)
    await eventually(lambda: downloads(youtube) == 4, 60)
    kept = [of for asker in others for of in asker.all(IDS[:4], ASKERS)]
    await asyncio.sleep(0.5)  # so that they wait for the one that dies
    killed.server.process.kill()
    gate.set()
    answers = await asyncio.gather(*kept)
    assert are_right(answers)
    assert downloads(youtube) == 8
    assert all(isinstance(of, httpx.TransportError) for of in await asyncio.gather(*lost))


@pytest.mark.parametrize("servers", [2], indirect=True)
@pytest.mark.parametrize("how", ["restarted", "slow"])
async def test_no_request_fails_for_redis(askers, gate, youtube, redis, how):
    asked = [of for asker in askers for of in asker.all(IDS[:6], 1)]
    await eventually(lambda: downloads(youtube) >= 6, 60)
    if how == "restarted":
        redis.stop()
        redis.start()
    else:
        os.kill(redis.process.pid, signal.SIGSTOP)
    asked += [of for asker in askers for of in asker.all(IDS[6:8], 1)]
    gate.set()
    await asyncio.sleep(1.5)  # longer than a server waits for it
    if how == "slow":
        os.kill(redis.process.pid, signal.SIGCONT)
    assert are_right(await asyncio.gather(*asked))

"""The process with yt-dlp loaded: what it spares, and that nothing else depends on it."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import uvloop

from serve.errors import Overloaded
from serve.paths import ROOT
from serve.sources.youtube import Launcher, YouTubeSource, preloaded
from serve.sources.youtube.downloader import Child, spawn
from serve.sources.youtube.rehearsal import rehearse
from tests.eventually import eventually, until
from tests.sources.processes import (
    LOAD_S,
    PATIENCE_S,
    downloaders,
    members,
    open_pipes,
    templates,
    zombies,
)
from tests.standin import StandIn, Video, faults

ID = "AAAAAAAAAAA"
AUDIO = os.urandom(300_000)


@pytest.fixture
async def launcher(youtube: StandIn) -> AsyncIterator[Launcher]:
    """One that has loaded yt-dlp."""
    youtube.add(Video(ID, {140: AUDIO}))
    async with Launcher() as launcher:
        await eventually(lambda: launcher.preloaded, LOAD_S)
        yield launcher
    assert templates() == []
    assert zombies() == []


def stall(youtube: StandIn) -> None:
    youtube.videos[ID].fault = faults.stall(1000)


async def audio(launcher: Launcher) -> bytes:
    async with YouTubeSource(ID, start=launcher.start).open() as stream:
        return b"".join([block async for block in stream])


def parent_of(pid: int) -> int:
    return psutil.Process(pid).ppid()


async def test_children_are_forked_from_it(youtube: StandIn, launcher: Launcher) -> None:
    stall(youtube)
    (template,) = templates()
    for _ in range(2):
        async with YouTubeSource(ID, start=launcher.start).open():
            (child,) = downloaders()
            assert parent_of(child) == template
    assert templates() == [template]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EAGAIN, errno.ENOMEM])
@pytest.mark.parametrize("what", ["socket.socketpair", "subprocess.Popen", "os.pipe"])
async def test_starts_that_fail_are_tried_again(
    youtube: StandIn, launcher: Launcher, monkeypatch: pytest.MonkeyPatch, what: str, number: int
) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    (before,) = templates()
    with monkeypatch.context() as patch:
        patch.setattr(what, none_left)
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: not launcher.preloaded)
        if what == "subprocess.Popen":
            with pytest.raises(Overloaded):
                await launcher.start()
        await asyncio.sleep(0.3)
    await eventually(lambda: launcher.preloaded, LOAD_S)
    assert await audio(launcher) == AUDIO


def test_under_uvloop(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: AUDIO}))

    async def thrice() -> None:
        async with Launcher() as launcher:
            await eventually(lambda: launcher.preloaded, LOAD_S)
            assert await asyncio.gather(*(audio(launcher) for _ in range(3))) == [AUDIO] * 3

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(thrice())
        before = open_pipes()  # what the loop itself keeps is among them
        runner.run(thrice())
        assert open_pipes() <= before
    assert templates() == []
    assert zombies() == []


def test_outside_its_context_it_starts_them_anew(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: AUDIO}))
    assert asyncio.run(audio(Launcher())) == AUDIO
    assert templates() == []


async def test_before_it_is_loaded_it_starts_them_anew(youtube: StandIn) -> None:
    stall_video = youtube.add(Video(ID, {140: AUDIO}, fault=faults.stall(1000)))
    async with Launcher() as launcher:
        assert not launcher.preloaded
        async with YouTubeSource(stall_video.id, start=launcher.start).open():
            (child,) = downloaders()
            assert parent_of(child) == os.getpid()


async def test_leaving_while_it_loads() -> None:
    async with Launcher():
        await eventually(templates)
    assert templates() == []
    assert zombies() == []


def descriptors(pid: int) -> set[str]:
    """What a process has open, by kind; the numbers of its pipes differ anyway."""
    links = (entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir())
    return {str(link).partition(":[")[0] for link in links} - {str(Path(os.devnull))}


def standard_error(pid: int) -> str:
    return str(Path(f"/proc/{pid}/fd/2").readlink())


async def test_a_forked_child_has_what_one_started_anew_has(
    youtube: StandIn, launcher: Launcher
) -> None:
    stall(youtube)
    seen = []
    for start in (spawn, launcher.start):
        async with YouTubeSource(ID, start=start).open() as stream:
            await anext(aiter(stream))
            (child,) = downloaders()
            count = len(list(Path(f"/proc/{child}/fd").iterdir()))
            process = psutil.Process(child)
            seen.append((count, descriptors(child), process.nice(), process.cwd()))
            # Its own, and nobody else's.
            assert standard_error(child).startswith("pipe:")
            assert standard_error(child) not in map(standard_error, [os.getpid(), *templates()])
    assert seen[0] == seen[1]


# when it is not what it should be


def upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preloaded, "_SOURCES", (__file__,))


def other_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "example.org")


@pytest.mark.parametrize("change", [upgrade, other_proxy])
async def test_it_is_replaced_when_another_would_be_started(
    launcher: Launcher,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch], None],
) -> None:
    (old,) = templates()
    change(monkeypatch)
    assert await audio(launcher) == AUDIO
    await eventually(lambda: launcher.preloaded, LOAD_S)
    (new,) = templates()
    assert new != old
    assert await audio(launcher) == AUDIO
    assert templates() == [new]


async def test_a_retired_one_stays_for_its_children(
    youtube: StandIn, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(youtube)
    (old,) = templates()
    async with YouTubeSource(ID, start=launcher.start).open():
        (child,) = downloaders()
        upgrade(monkeypatch)
        async with YouTubeSource(ID, start=launcher.start).open():
            assert parent_of(child) == old
    await eventually(lambda: old not in templates())


async def test_it_is_replaced_when_it_dies(youtube: StandIn, launcher: Launcher) -> None:
    stall(youtube)
    (old,) = templates()
    async with YouTubeSource(ID, start=launcher.start).open() as stream:
        (child,) = downloaders()
        os.kill(old, signal.SIGKILL)
        assert await anext(aiter(stream))  # the child does not mind
    await eventually(lambda: not members(child))  # but ends, as its parent has
    await eventually(lambda: launcher.preloaded and old not in templates(), LOAD_S)
    youtube.videos[ID].fault = None
    assert await audio(launcher) == AUDIO


async def test_it_is_replaced_when_it_hangs(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = templates()
    os.kill(old, signal.SIGSTOP)
    monkeypatch.setattr(preloaded, "ANSWER_S", 0.1)
    assert await audio(launcher) == AUDIO
    await eventually(lambda: launcher.preloaded and old not in templates(), LOAD_S)


async def test_one_that_hangs_with_a_child_holds_nobody_up(
    youtube: StandIn, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    stall(youtube)
    monkeypatch.setattr(preloaded, "ANSWER_S", 0.1)
    async with YouTubeSource(ID, start=launcher.start).open():
        (child,) = downloaders()
        os.kill(parent_of(child), signal.SIGSTOP)
    await eventually(lambda: not members(child))


async def test_one_that_can_not_be_started_is_tried_again(
    youtube: StandIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    youtube.add(Video(ID, {140: AUDIO}))
    command = preloaded.COMMAND
    monkeypatch.setattr(preloaded, "COMMAND", ("/does/not/exist",))
    async with Launcher() as launcher:
        await eventually(lambda: "can't be loaded" in caplog.text)
        assert await audio(launcher) == AUDIO
        monkeypatch.setattr(preloaded, "COMMAND", command)
        await eventually(lambda: launcher.preloaded, LOAD_S)


@pytest.mark.parametrize("pipes", [0, 1, 2])
async def test_no_descriptors_are_no_failure(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch, pipes: int
) -> None:
    left, pipe, before = iter(range(pipes)), os.pipe, open_pipes()

    def few() -> tuple[int, int]:
        if next(left, None) is None:
            raise OSError("too many open files")
        return pipe()

    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", few)
        assert launcher._template is not None
        assert await launcher._template.fork() is None
    assert open_pipes() == before
    assert await audio(launcher) == AUDIO


async def test_leaving_while_it_forks(launcher: Launcher) -> None:
    before = open_pipes()
    (template,) = templates()
    os.kill(template, signal.SIGSTOP)
    starting: asyncio.Task[Child] = asyncio.create_task(launcher.start())
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.sleep(0)
    os.kill(template, signal.SIGCONT)
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert psutil.Process(template).children() == []
    assert open_pipes() == before
    assert templates() == [template]


PARENT = f"""
import asyncio
from serve.sources.youtube import Launcher, YouTubeSource

async def main():
    async with Launcher() as launcher:
        while not launcher.preloaded:
            await asyncio.sleep(0.01)
        async with YouTubeSource("{ID}", start=launcher.start).open() as stream:
            async for block in stream:
                print("receiving", flush=True)

asyncio.run(main())
"""


def test_death_of_the_server_kills_them_all(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: AUDIO}, fault=faults.stall(1000)))
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=ROOT
    ) as server:
        assert server.stdout.readline() == b"receiving\n"
        groups = [*downloaders(server.pid), *templates(server.pid)]
        assert len(groups) == 2
        server.kill()
    until(lambda: not any(members(group) for group in groups), PATIENCE_S)


def test_one_that_still_loads_ends_with_the_server() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = (*preloaded.COMMAND, str(theirs.fileno()))
    with subprocess.Popen(
        command, cwd=ROOT, pass_fds=(theirs.fileno(),), process_group=0
    ) as template:
        theirs.close()
        ours.close()
        assert template.wait(PATIENCE_S) == -signal.SIGKILL


# the rehearsal

LOADED = """
import io, os, re, sys
from serve.sources.youtube import child
from serve.sources.youtube.messages import DownloadJob, YouTubeOptions
run = child.load()
from serve.sources.youtube.rehearsal import rehearse
if sys.argv[1] == "rehearsed":
    assert rehearse() == 0
modules = set(sys.modules)
compiled, parse = [], re._compiler.compile
re._compiler.compile = lambda pattern, *more: compiled.append(pattern) or parse(pattern, *more)
assert run(DownloadJob("AAAAAAAAAAA", YouTubeOptions(clients=("visionos",))), io.BytesIO()) == 0
print(len(set(sys.modules) - modules), len(compiled))
"""


def test_a_rehearsal_leaves_little_to_load(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: AUDIO}))
    left = {}
    for way in ("rehearsed", "plain"):
        done = subprocess.run(
            [sys.executable, "-c", LOADED, way],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        left[way] = [int(number) for number in done.stdout.split()]
    assert left["plain"][0] > 10
    assert left["plain"][1] > 40
    assert left["rehearsed"][0] == 0
    assert left["rehearsed"][1] < 10


def test_a_rehearsal_goes_nowhere(youtube: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENO_DIR", os.devnull)
    assert rehearse() == 0
    assert youtube.log == []

"""The whole source: real child, real yt-dlp, real pipes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from serve.errors import Live, NotReady, Private, Timeout, TooLong, Upcoming, YouTubeError
from serve.paths import ROOT
from serve.sources.stream import AudioSource, AudioStream, SourceInfo
from serve.sources.youtube import Launcher, YouTubeOptions, YouTubeSource
from serve.sources.youtube.downloader import COMMAND, Start, spawn
from serve.sources.youtube.messages import DownloadJob, Kind
from tests.eventually import eventually, until
from tests.sources.fetching import read_frames
from tests.sources.processes import LOAD_S, PATIENCE_S, downloaders, members, open_pipes, zombies
from tests.standin import Handler, StandIn, Video, faults, pages

ID = "AAAAAAAAAAA"
LONG = random.Random(0).randbytes(11 << 20)  # more than one range
SHORT = LONG[:300_000]


@pytest.fixture(params=["started anew", "forked"])
async def start(request: pytest.FixtureRequest, youtube: StandIn) -> AsyncIterator[Start]:
    """How downloaders come to be."""
    if request.param == "started anew":
        yield spawn
        return
    async with Launcher() as launcher:
        await eventually(lambda: launcher.preloaded, LOAD_S)
        yield launcher.start


async def download(source: AudioSource) -> tuple[SourceInfo, bytes]:
    async with source.open() as stream:
        return stream.info, b"".join([block async for block in stream])


async def receive(stream: AudioStream, into: bytearray) -> None:
    async for block in stream:
        into += block


@pytest.mark.parametrize("itag", [140, 251])
async def test_byte_for_byte(youtube: StandIn, start: Start, itag: int) -> None:
    youtube.add(Video(ID, {itag: LONG}, title="Ünïcode ♫"))
    info, audio = await download(YouTubeSource(ID, start=start))
    assert info == SourceInfo("Ünïcode ♫", 600.0, len(LONG))
    assert audio == LONG
    assert len(youtube.audio()) == 2


def test_under_uvloop(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: LONG}))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(download(YouTubeSource(ID)))[1] == LONG
        before = open_pipes()  # what the loop itself keeps is among them by now
        assert runner.run(download(YouTubeSource(ID)))[1] == LONG
        runner.run(eventually(lambda: open_pipes() <= before))
    assert zombies() == []


async def test_several_at_once(youtube: StandIn, start: Start) -> None:
    ids = [letter * 11 for letter in "ABCD"]
    for number, video_id in enumerate(ids):
        youtube.add(Video(video_id, {140: SHORT[number:]}))
    results = await asyncio.gather(
        *(download(YouTubeSource(video_id, start=start)) for video_id in ids)
    )
    assert [audio for _, audio in results] == [SHORT[n:] for n in range(len(ids))]


@pytest.mark.parametrize(
    ("video", "error"),
    [
        (Video(ID, {140: SHORT}, length=601), TooLong),
        (Video(ID, status="LOGIN_REQUIRED", reason="Private video"), Private),
        (Video(ID, status="LIVE_STREAM_OFFLINE", reason="Waiting for Somebody"), Upcoming),
        (Video(ID, status="LIVE_STREAM_OFFLINE", reason="Offline."), Live),
    ],
)
async def test_refusal(
    youtube: StandIn,
    start: Start,
    video: Video,
    error: type[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    youtube.add(video)
    with pytest.raises(error):
        await download(YouTubeSource(ID, start=start))
    assert "Traceback" not in caplog.text
    assert youtube.audio() == []
    assert downloaders() == []


async def test_failure_on_the_way(
    youtube: StandIn, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    youtube.add(Video(ID, {140: SHORT}, fault=faults.close(1000)))
    options = YouTubeOptions(retries=0)
    async with YouTubeSource(ID, options, start).open() as stream:
        received = bytearray()
        with pytest.raises(YouTubeError):
            await receive(stream, received)
        assert [block async for block in stream] == []  # it has ended
    assert received == SHORT[:1000]
    assert ID in caplog.text
    assert "Traceback" in caplog.text


async def test_silence(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: SHORT}, fault=faults.stall(1000)))
    with pytest.raises(Timeout):
        await download(YouTubeSource(ID, YouTubeOptions(timeout_s=0.5, retries=0)))


async def test_blocks_flow_while_it_drips(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: SHORT}, fault=faults.drip(100, 0.02)))  # a minute in all
    async with asyncio.timeout(20), YouTubeSource(ID).open() as stream:
        blocks = aiter(stream)
        received = b"".join([await anext(blocks) for _ in range(3)])
    assert SHORT.startswith(received)
    assert downloaders() == []


# how it ends


async def test_leaving_midway_kills(youtube: StandIn, start: Start) -> None:
    youtube.add(Video(ID, {140: SHORT}, fault=faults.stall(1000)))
    async with YouTubeSource(ID, start=start).open() as stream:
        assert await anext(aiter(stream))
        (group,) = downloaders()
        assert members(group)
    assert not members(group)
    assert zombies() == []


@pytest.mark.parametrize("way", ["cancel", "deadline", "error"])
async def test_any_way_out_kills(youtube: StandIn, start: Start, way: str) -> None:
    youtube.add(Video(ID, {140: SHORT}, fault=faults.stall(1000)))
    groups: list[int] = []

    async def listener(deadline: asyncio.Timeout) -> None:
        async with YouTubeSource(ID, start=start).open() as stream:
            groups.extend(downloaders())
            async for _ in stream:
                if way == "error":
                    raise ZeroDivisionError
                if way == "deadline":
                    deadline.reschedule(asyncio.get_running_loop().time())
                else:
                    task.cancel()

    async def limited() -> None:
        async with asyncio.timeout(None) as deadline:
            await listener(deadline)

    task = asyncio.create_task(limited())
    expected = {
        "cancel": asyncio.CancelledError,
        "deadline": TimeoutError,
        "error": ZeroDivisionError,
    }
    with pytest.raises(expected[way]):
        await task
    assert len(groups) == 1
    assert not members(groups[0])
    assert zombies() == []


@pytest.mark.parametrize("when", ["extracting", "downloading"])
async def test_a_downloader_that_is_killed_is_an_error_at_once(
    youtube: StandIn, start: Start, when: str
) -> None:
    watch = faults.hang() if when == "extracting" else None
    youtube.add(Video(ID, {140: SHORT}, fault=faults.stall(1000), watch=watch))
    task = asyncio.create_task(download(YouTubeSource(ID, start=start)))
    await eventually(lambda: youtube.audio() if when == "downloading" else youtube.log)
    (group,) = downloaders()
    os.kill(group, signal.SIGKILL)
    with pytest.raises(NotReady, match="stopped"):
        await task
    assert zombies() == []


async def test_cancel_before_youtube_answers(youtube: StandIn, start: Start) -> None:
    youtube.add(Video(ID, {140: SHORT}, watch=faults.hang()))
    task = asyncio.create_task(download(YouTubeSource(ID, start=start)))
    await eventually(lambda: youtube.log)
    (group,) = downloaders()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not members(group)


async def test_cancel_at_once(youtube: StandIn, start: Start) -> None:
    task = asyncio.create_task(download(YouTubeSource(ID, start=start)))
    await eventually(downloaders)
    (group,) = downloaders()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not members(group)
    assert zombies() == []


def endless_player(handler: Handler) -> bool:
    """A player whose challenge is never solved."""
    source = pages.PLAYER.replace("if(this.p.n)", "for(;;);")
    return handler.request_line.path == pages.PLAYER_PATH and handler.reply(200, source)


async def test_cancel_takes_deno_along(youtube: StandIn, start: Start) -> None:
    youtube.add(Video(ID, {140: SHORT}, challenges=True))
    youtube.route = endless_player
    task = asyncio.create_task(download(YouTubeSource(ID, start=start)))
    await eventually(lambda: pages.PLAYER_PATH in youtube.paths())
    (group,) = downloaders()
    # Busy with the challenge: while it still reads its input, it would end with its parent.
    await eventually(lambda: members(group).get("deno", 0) > 0.7, within_s=30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Killed with its group; that it is reaped too is up to init, for its own parent is dead.
    await eventually(lambda: not members(group))


PARENT = f"""
import asyncio
from serve.sources.youtube import Launcher, YouTubeOptions, YouTubeSource

async def main():
    async with YouTubeSource("{ID}", YouTubeOptions(timeout_s=60)).open() as stream:
        async for block in stream:
            print("receiving", flush=True)

asyncio.run(main())
"""


def test_death_of_the_parent_kills(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: SHORT}, fault=faults.stall(1000)))
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"receiving\n"
        (group,) = downloaders(parent.pid)
        assert members(group)
        parent.kill()
    until(lambda: not members(group), PATIENCE_S)


async def test_nothing_is_left_open(youtube: StandIn, start: Start) -> None:
    youtube.add(Video(ID, {140: SHORT}))
    await download(YouTubeSource(ID, start=start))
    await asyncio.sleep(0)
    before = open_pipes()
    for _ in range(2):
        await download(YouTubeSource(ID, start=start))
    await eventually(lambda: open_pipes() <= before)
    assert zombies() == []


# what it keeps away from

PLUGIN = """
from pathlib import Path
from yt_dlp.extractor.common import InfoExtractor

(Path.home() / "ran").touch()

class StrangeIE(InfoExtractor):
    _VALID_URL = "strange:.*"
"""


async def test_home_is_neither_believed_nor_written(
    youtube: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plugin = tmp_path / ".config/yt-dlp/plugins/strange/yt_dlp_plugins/extractor/strange.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(PLUGIN)
    ran = tmp_path / "ran"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for name in ("XDG_CONFIG_HOME", "YTDLP_NO_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    subprocess.run([sys.executable, "-c", "import yt_dlp; yt_dlp.YoutubeDL()"], check=True)
    assert ran.exists(), "the plug-in would not run anyway: this test shows nothing"
    ran.unlink()
    (tmp_path / ".config/yt-dlp/config").write_text('--exec "touch ~/ran"\n--write-info-json\n')
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    youtube.add(Video(ID, {140: SHORT}, challenges=True))  # deno runs, too
    assert (await download(YouTubeSource(ID)))[1] == SHORT
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


async def test_working_directory_does_not_matter(
    youtube: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "yt_dlp.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    youtube.add(Video(ID, {140: SHORT}))
    assert (await download(YouTubeSource(ID)))[1] == SHORT
    assert [path.name for path in tmp_path.iterdir()] == ["yt_dlp.py"]


def test_the_server_does_not_import_yt_dlp() -> None:
    code = "import serve.sources.youtube, sys; sys.exit('yt_dlp' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# the child alone


def test_child_can_start_before_its_job_is_known(youtube: StandIn) -> None:
    youtube.add(Video(ID, {140: SHORT}))
    with subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(DownloadJob(ID, YouTubeOptions()).to_line())
        child.stdin.flush()
        sent = child.stdout.read()
        outcome = read_frames(child.wait(), sent)
    assert outcome.exit_code == 0
    assert outcome.audio == SHORT
    assert outcome.kinds[:2] == [Kind.HELD, Kind.INFO]
    assert outcome.kinds[-1] is Kind.END


def test_child_ends_with_its_parent() -> None:
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    ) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(20) == -9

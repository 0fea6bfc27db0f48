"""The real yt-dlp, in this process, and what YouTube may answer before any audio is asked for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from serve.sources.youtube import runner
from serve.sources.youtube.messages import DownloadJob, Kind, YouTubeOptions
from tests.sources.fetching import fetch
from tests.standin import StandIn, Video

ID, OTHER = "AAAAAAAAAAA", "BBBBBBBBBBB"
AUDIO = {140: b"m4a " * 1000, 251: b"webm" * 1000}
QUICK = YouTubeOptions(timeout_s=0.2, retries=0)
UPLOADER = "The uploader has not made this video available in your country"


def screen(**renderer: Any) -> dict[str, Any]:
    """A playabilityStatus that says it on the screen."""
    return {"errorScreen": {"playerErrorMessageRenderer": renderer}}


def refused(reason: str, status: str = "UNPLAYABLE", **more: Any) -> Video:
    return Video(ID, AUDIO, status=status, reason=reason, **more)


ANSWERS = {
    "removed": (refused("This video has been removed by the uploader", "ERROR"), "unavailable"),
    "terminated": (
        refused(
            "Video unavailable",
            "ERROR",
            playability=screen(subreason={"simpleText": "The account has been terminated."}),
        ),
        "unavailable",
    ),
    "private": (
        refused("Private video. Sign in if you've been granted access", "LOGIN_REQUIRED"),
        "private",
    ),
    "members": (
        refused("Join this channel to get access to members-only content like this video"),
        "members_only",
    ),
    "premium": (refused("This video is only available to Music Premium members"), "paid"),
    "film": (refused("This video requires payment to watch"), "paid"),
    "film with a trailer": (
        refused(
            "This video requires payment to watch",
            playability={
                "errorScreen": {"playerLegacyDesktopYpcTrailerRenderer": {"trailerVideoId": OTHER}}
            },
        ),
        "paid",
    ),
    "age": (
        refused(
            "Sign in to confirm your age. This video may be inappropriate for some users.",
            "LOGIN_REQUIRED",
        ),
        "age_restricted",
    ),
    "country": (
        refused(
            "Video unavailable",
            playability=screen(subreason={"simpleText": UPLOADER}),
            micro={"availableCountries": ["DE", "FR"]},
        ),
        "geo_blocked",
    ),
    "country, none listed": (
        refused("Video unavailable", playability=screen(subreason={"simpleText": UPLOADER})),
        "geo_blocked",
    ),
    "copyright": (
        refused(
            "Video unavailable",
            playability=screen(
                subreason={"simpleText": "X has blocked it in your country on copyright grounds"}
            ),
        ),
        "geo_blocked",
    ),
    "bot": (refused("Sign in to confirm you’re not a bot", "LOGIN_REQUIRED"), "bot_check"),
    "captcha": (
        refused("Hm", playability={"errorScreen": {"playerCaptchaViewModel": {"x": 1}}}),
        "bot_check",
    ),
    "session": (
        refused("This content isn't available, try again later."),
        "rate_limited",
    ),
    "protected": (Video(ID, streaming={"licenseInfos": [{"drmFamily": "WIDEVINE"}]}), "drm"),
    "no formats": (Video(ID), "extractor"),
    "no sound": (
        Video(ID, {18: b"x"}, streaming={"adaptiveFormats": []}),
        "extractor",
    ),
    "premiere": (
        refused("Premieres in 3 hours", "LIVE_STREAM_OFFLINE", details={"isUpcoming": True}),
        "upcoming",
    ),
    "late": (refused("Waiting for Somebody", "LIVE_STREAM_OFFLINE"), "upcoming"),
    "interrupted": (refused("Offline.", "LIVE_STREAM_OFFLINE"), "live"),
    "event": (
        refused(
            "This live event will begin in 3 hours.",
            "LIVE_STREAM_OFFLINE",
            details={"isUpcoming": True, "isLiveContent": True},
        ),
        "upcoming",
    ),
    "upcoming, with formats": (Video(ID, AUDIO, details={"isUpcoming": True}), "upcoming"),
    "live": (
        Video(ID, AUDIO, length=0, details={"isLive": True, "isLiveContent": True}),
        "live",
    ),
    "live, HLS": (
        Video(
            ID,
            AUDIO,
            details={"isLive": True, "isLiveContent": True},
            streaming={"hlsManifestUrl": "https://manifest.googlevideo.com/x.m3u8"},
        ),
        "live",
    ),
    "just ended": (Video(ID, AUDIO, details={"isPostLiveDvr": True}), "live"),
    "ended": (refused("This live event has ended."), "unavailable"),
    "601 s": (Video(ID, AUDIO, length=601), "too_long"),
    "no duration": (Video(ID, AUDIO, length=None), "extractor"),
    "duration 0": (Video(ID, AUDIO, length=0), "extractor"),
    "another id": (Video(ID, AUDIO, details={"videoId": OTHER}), "extractor"),
    "refused otherwise": (refused("Not today"), "youtube_error"),
    "audio elsewhere": (Video(ID, AUDIO, audio_url="https://127.0.0.1/a.m4a"), "youtube_error"),
    "audio in a file": (Video(ID, AUDIO, audio_url="file:///etc/passwd"), "extractor"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_refusal_costs_no_audio(youtube: StandIn, name: str) -> None:
    video, code = ANSWERS[name]
    youtube.add(video)
    outcome = fetch(ID)
    assert outcome.code == code, outcome.said
    assert outcome.kinds == [Kind.ERROR]
    assert outcome.exit_code == 1
    assert youtube.audio() == []
    assert "http" not in outcome.text
    assert "--" not in outcome.text


def test_no_such_video(youtube: StandIn) -> None:
    outcome = fetch(ID)
    assert (outcome.code, outcome.text) == ("unavailable", "Video unavailable")


@pytest.mark.parametrize(
    "video",
    [
        Video(ID, AUDIO, length=600),
        Video(ID, AUDIO, details={"isLiveContent": True}),  # was live
        Video(ID, AUDIO, micro={"isFamilySafe": False}),
        Video(ID, AUDIO, details={"title": None}),
        Video(ID, AUDIO, content_length=False),
        Video(ID, AUDIO, challenges=True),
        Video(ID, AUDIO, clients=("TVHTML5",)),  # with challenges, so that deno must run
    ],
)
def test_accepted(youtube: StandIn, video: Video) -> None:
    youtube.add(video)
    outcome = fetch(ID)
    assert outcome.code is None, outcome.said
    assert outcome.kinds[0] is Kind.INFO
    assert outcome.said[Kind.INFO]["duration_s"] == 600
    assert youtube.log[0].query["v"] == ID
    assert outcome.audio == AUDIO[140]
    assert outcome.said[Kind.END] == {"size_bytes": len(AUDIO[140])}


def test_limit_is_inclusive_and_a_setting(youtube: StandIn) -> None:
    youtube.add(Video(ID, AUDIO, length=30))
    assert fetch(ID, YouTubeOptions(max_duration_s=30)).code is None
    outcome = fetch(ID, YouTubeOptions(max_duration_s=29))
    assert (outcome.code, outcome.text) == (
        "too_long",
        "The video is 30 s long; the limit is 29 s.",
    )


def test_announced_size_is_limited(youtube: StandIn) -> None:
    youtube.add(Video(ID, AUDIO))
    size = len(AUDIO[140])
    assert fetch(ID, YouTubeOptions(max_bytes=size)).code is None
    youtube.log.clear()
    assert fetch(ID, YouTubeOptions(max_bytes=size - 1)).code == "too_big"
    assert youtube.audio() == []


def test_title_is_one_bounded_line(youtube: StandIn) -> None:
    youtube.add(Video(ID, AUDIO, title="A\n\x1b title\u202e " + "x" * 500))
    title = fetch(ID).said[Kind.INFO]["title"]
    assert title.startswith("A title x")
    assert len(title) == 300


def test_clients_are_passed_on(youtube: StandIn) -> None:
    youtube.add(Video(ID, AUDIO))
    assert fetch(ID, YouTubeOptions(clients=("visionos",))).audio == AUDIO[140]
    asked = [r.body["context"]["client"]["clientName"] for r in youtube.log if r.body]
    assert asked == ["VISIONOS"]


def test_proxy_is_passed_on(youtube: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    youtube.add(Video(ID, AUDIO))
    monkeypatch.delenv("HTTPS_PROXY")
    assert fetch(ID, YouTubeOptions(proxy=youtube.proxy)).audio == AUDIO[140]


def test_password_of_the_proxy_is_not_told(youtube: StandIn) -> None:
    options = YouTubeOptions(proxy="http://user:sesame@127.0.0.1:9")
    outcome = fetch(ID, options)
    assert outcome.code == "youtube_error"
    assert "sesame" not in str(outcome.said)
    assert "sesame" not in repr(options)


COOKIES = (
    "# Netscape HTTP Cookie File\n"
    ".youtube.com\tTRUE\t/\tTRUE\t4102444800\tLOGIN_INFO\topen-sesame\n"
    ".youtube.com\tTRUE\tbroken-sesame\n"
)


def test_cookies_are_sent_and_kept(
    youtube: StandIn, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    youtube.add(Video(ID, AUDIO))
    cookies = tmp_path / "cookies.txt"
    cookies.write_text(COOKIES)
    cookies.chmod(0o600)
    before = cookies.stat()
    outcome = fetch(ID, YouTubeOptions(cookies=cookies))
    assert outcome.audio == AUDIO[140]
    assert "LOGIN_INFO=open-sesame" in youtube.log[0].headers["Cookie"]
    assert cookies.read_text() == COOKIES
    assert (cookies.stat().st_mtime_ns, cookies.stat().st_ino) == (
        before.st_mtime_ns,
        before.st_ino,
    )
    assert list(tmp_path.iterdir()) == [cookies]
    assert "sesame" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("content", [None, "[{}]", "sesame", b"\xff\xfe\x00"])
def test_cookies_that_can_not_be_read(
    youtube: StandIn,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    content: str | bytes | None,
) -> None:
    cookies = tmp_path / "cookies.txt"
    if content is not None:
        cookies.write_bytes(content.encode() if isinstance(content, str) else content)
    outcome = fetch(ID, YouTubeOptions(cookies=cookies))
    assert (outcome.code, outcome.text) == (
        "internal",
        "The server's file of YouTube cookies can't be read.",
    )
    assert "sesame" not in "".join((str(outcome.said), *capfd.readouterr()))
    assert youtube.log == []


class Clock:
    """A `time` that passes while one sleeps."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def with_advertisement(seconds: int) -> Video:
    renderer = {"instreamVideoAdRenderer": {"playerVars": f"length_seconds={seconds}"}}
    config = {"adPlacementConfig": {"kind": "AD_PLACEMENT_KIND_START"}}
    placement = {"adPlacementRenderer": {"config": config, "renderer": renderer}}
    return Video(ID, AUDIO, response={"adPlacements": [placement]})


def test_waits_for_an_advertisement(youtube: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "time", Clock(time.time()))
    youtube.add(with_advertisement(5))
    outcome = fetch(ID)
    assert outcome.audio == AUDIO[140]
    assert outcome.kinds.count(Kind.WAIT) >= 4
    assert outcome.kinds.index(Kind.DATA) > outcome.kinds.index(Kind.WAIT)


def test_does_not_wait_for_ever(youtube: StandIn) -> None:
    youtube.add(with_advertisement(3600))
    assert fetch(ID).code == "youtube_error"
    assert youtube.audio() == []


def test_job_survives_its_line(tmp_path: Path) -> None:
    job = DownloadJob(ID, YouTubeOptions(1.5, 7, ("a", "b"), "http://p", tmp_path, 2.5, 0))
    assert DownloadJob.from_line(job.to_line()) == job
    plain = DownloadJob(ID, YouTubeOptions())
    assert DownloadJob.from_line(plain.to_line()) == plain
    assert plain.to_line().count(b"\n") == 1
    relative = DownloadJob(ID, YouTubeOptions(cookies=Path("cookies.txt")))
    assert DownloadJob.from_line(relative.to_line()).options.cookies == Path.cwd() / "cookies.txt"

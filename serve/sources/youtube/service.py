"""YouTube as a service that links lead to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from serve.errors import BotCheck, RateLimited, TopgenreError
from serve.sources.stream import Link
from serve.sources.youtube.download import YouTubeSource
from serve.sources.youtube.launcher import Launcher
from serve.sources.youtube.messages import YouTubeOptions
from serve.sources.youtube.url import ID, MAX_LENGTH, SITE, video_id, watch_url

if TYPE_CHECKING:
    from serve.settings import Settings


class YouTube:
    """Its options and its downloaders, for all videos; see `serve.sources.stream.LinkService`."""

    name: ClassVar[str] = YouTubeSource.kind
    title: ClassVar[str] = "YouTube"
    ids: ClassVar[str] = ID.pattern
    #: they show that YouTube blocks this server
    breakers: ClassVar[Mapping[str, type[TopgenreError]]] = {
        kind.code: kind for kind in (BotCheck, RateLimited)
    }

    def __init__(self, settings: Settings) -> None:
        self.launcher = Launcher()
        self._preload = settings.youtube_preload
        self._options = YouTubeOptions(
            max_duration_s=settings.max_duration_s,
            max_bytes=settings.max_body_bytes,
            clients=settings.youtube_clients,
            proxy=settings.youtube_proxy,
            cookies=settings.youtube_cookies,
            timeout_s=settings.youtube_timeout_s,
            retries=settings.youtube_retries,
        )

    @staticmethod
    def link(text: str) -> Link:
        """The video of a link; see `url.video_id`."""
        found = video_id(text)
        return Link(YouTube.name, found, watch_url(found))

    @staticmethod
    def mentioned(text: str) -> bool:
        """Whether YouTube's host begins a word of the text, as far as links are looked at."""
        return SITE.search(text, 0, MAX_LENGTH) is not None

    def source(self, track_id: str) -> YouTubeSource:
        """The audio of a video."""
        return YouTubeSource(track_id, self._options, self.launcher.start, self.launcher.told)

    def preloading(self) -> AbstractAsyncContextManager[object]:
        """A context in which yt-dlp stays loaded, if the settings ask for it."""
        return self.launcher if self._preload else nullcontext()

    @property
    def confinement(self) -> dict[str, Any] | None:
        """What a downloader is refused; None before there was one."""
        return self.launcher.confinement

    def watch(self, gauge: Callable[[str, str, Callable[[], float]], None]) -> None:
        """Add its gauge."""
        gauge("youtube_preloaded", "1 while yt-dlp is loaded", lambda: self.launcher.preloaded)

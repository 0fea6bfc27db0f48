"""Links: the services that they may lead to, and what has to be known of all of these."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from serve.errors import NotYouTube, TopgenreError
from serve.sources.stream import AudioSource, Link, LinkService
from serve.sources.youtube import YouTube

if TYPE_CHECKING:
    from serve.settings import Settings

#: Every service, in the order in which they are asked for a link. A new one is added here.
SERVICES: list[type[LinkService]] = [YouTube]


def link_of(text: str) -> Link:
    """What the one link in a text, as people paste it, leads to.

    Raises BadUrl, Playlist, or NotYouTube where no service knows it.
    """
    refusal: TopgenreError | None = None
    # Those that the text names come first: to the others it may be no link at all.
    for service in sorted(SERVICES, key=lambda of: not of.mentioned(text)):
        try:
            return service.link(text)
        except NotYouTube:
            continue
        except TopgenreError as error:
            if service.mentioned(text):
                raise
            # It may take for a broken link what another service knows.
            refusal = refusal or error
    raise refusal or NotYouTube


def mentions_service(text: str) -> bool:
    """Whether a text holds the name of a service's site as links begin, so that it is no path."""
    return any(service.mentioned(text) for service in SERVICES)


class Links:
    """The services of one pipeline, and what their tracks share."""

    def __init__(self, settings: Settings) -> None:
        self.services = {service.name: service(settings) for service in SERVICES}

    def source(self, text: str) -> AudioSource:
        """The track that a link leads to; raises as `link_of`."""
        link = link_of(text)
        return self.services[link.service].source(link.id)

    @asynccontextmanager
    async def preloading(self) -> AsyncIterator[None]:
        """A context in which what is slow to start stays loaded, as the settings have it."""
        async with AsyncExitStack() as loaded:
            for service in self.services.values():
                await loaded.enter_async_context(service.preloading())
            yield

    @property
    def confinement(self) -> dict[str, Any] | None:
        """What child processes that download are refused; None before one ran."""
        found = (service.confinement for service in self.services.values())
        return next((held for held in found if held), None)

"""The hosts that the downloader may be sent to.

yt-dlp follows redirects to anywhere. Only YouTube itself could send it somewhere (TLS is
verified), but a server inside a network should not depend on that.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import requests

#: google.com is where YouTube sends those it limits; yt-dlp must see that answer to know.
DOMAINS = ("youtube.com", "googlevideo.com", "youtube-nocookie.com", "youtu.be", "google.com")


def allowed(url: str) -> bool:
    """Whether this is an https URL of YouTube's, without a user name and on the usual port."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and parts.username is None
        and port in (None, 443)
        and any(host == domain or host.endswith(f".{domain}") for domain in DOMAINS)
    )


def refuse_redirects() -> None:
    """From now on no `requests` session in this process follows a redirect that is not `allowed`.

    Such a redirect then is the answer itself, which yt-dlp treats like any other HTTP error.
    Relative ones stay on the host that sent them.
    """
    target = requests.Session.get_redirect_target

    def inside(self: requests.Session, response: requests.Response) -> str | None:
        location = target(self, response)
        if location is None or allowed(requests.compat.urljoin(response.url, location)):
            return location
        return None

    requests.Session.get_redirect_target = inside  # type: ignore[assignment,method-assign]

"""The hosts that the downloader may be sent to.

yt-dlp follows redirects to anywhere. Only YouTube itself could send it somewhere (TLS is
verified), but a server inside a network should not depend on that. So names are checked where they
are looked up, addresses where they are connected to, and what a proxy is asked for. A request
handler of yt-dlp's own (`register_rh`) would see none of these: it is given a request, and the
libraries below it follow redirects and look up names by themselves.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from yt_dlp.socks import sockssocket  # type: ignore[import-untyped]

from serve.sources.youtube.confinement import proxies

#: google.com is where YouTube sends those it limits; yt-dlp must see that answer to know.
DOMAINS = ("youtube.com", "googlevideo.com", "youtube-nocookie.com", "youtu.be", "google.com")
_HTTPS = 443


class EgressError(OSError):
    """A connection that leads elsewhere than to YouTube."""


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
        and port in (None, _HTTPS)
        and _is_youtube(host)
    )


def _is_youtube(host: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in DOMAINS)


@contextmanager
def enforced(proxy: str = "") -> Iterator[None]:
    """Within it this process connects to YouTube alone, by itself or through the proxy that is set.

    A redirect that is not `allowed` is the answer itself, which yt-dlp treats like any other HTTP
    error. Whatever else would lead elsewhere, or to an address that is not public, fails like a
    connection that can't be made.
    """
    with ExitStack() as undone:
        for owner, name, guarded in _Guard(proxies(proxy)).guarded():
            undone.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, guarded)
        yield


class _Guard:
    def __init__(self, proxies: set[tuple[str, int]]) -> None:
        self._proxies = proxies
        #: what the names that are allowed have been found to mean
        self._addresses: set[tuple[str, int]] = set()

    def guarded(self) -> Iterator[tuple[Any, str, Any]]:
        """What is replaced, by what: the lowest places in Python that any way out comes through."""
        lookup, connection = socket.getaddrinfo, socket.socket
        http_connection, session = http.client.HTTPConnection, requests.Session
        connect, connect_ex = connection.connect, connection.connect_ex
        tunnel, put = http_connection.set_tunnel, http_connection.putrequest
        by_socks, target = sockssocket._make_proxy, session.get_redirect_target

        def look_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
            return self._checked(host, port, lookup(self._known(host, port), port, *args, **more))

        def checked_connect(self_: socket.socket, address: Any) -> None:
            connect(self_, self._found(address))

        def checked_connect_ex(self_: socket.socket, address: Any) -> int:
            return connect_ex(self_, self._found(address))

        def checked_tunnel(self_: Any, host: str, port: int | None = None, **more: Any) -> None:
            tunnel(self_, *_destination(host, port or _HTTPS), **more)

        def checked_request(self_: Any, method: str, url: str, *args: Any, **more: Any) -> None:
            if not url.startswith("/"):  # what a proxy is asked for without TLS
                raise EgressError(f"not over TLS: {url}")
            put(self_, method, url, *args, **more)

        def checked_socks(self_: Any, function: Any, address: Any) -> Any:
            return by_socks(self_, function, _destination(*address))

        def inside(self_: requests.Session, response: requests.Response) -> str | None:
            location = target(self_, response)
            # A relative one stays on the host that sent it.
            if location and allowed(requests.compat.urljoin(response.url, location)):
                return location
            return None

        yield socket, "getaddrinfo", look_up
        yield connection, "connect", checked_connect
        yield connection, "connect_ex", checked_connect_ex
        yield http_connection, "set_tunnel", checked_tunnel
        yield http_connection, "putrequest", checked_request
        yield sockssocket, "_make_proxy", checked_socks
        yield session, "get_redirect_target", inside

    def _known(self, host: Any, port: Any) -> Any:
        name = _text(host)
        if (name, port) not in self._proxies:
            _destination(name, port if port is not None else _HTTPS)
        return host

    def _checked(self, host: Any, port: Any, found: list[Any]) -> list[Any]:
        """Of the addresses that were found, those that may be connected to, which are noted."""
        if (_text(host), port) not in self._proxies:
            found = [entry for entry in found if _is_public(entry[4][0])]
            if not found:
                raise socket.gaierror(socket.EAI_NONAME, f"{host} has no public address")
        self._addresses.update(entry[4][:2] for entry in found)
        return found

    def _found(self, address: Any) -> Any:
        if tuple(address[:2]) not in self._addresses:
            raise EgressError(f"not an address of YouTube's: {address}")
        return address


def _text(host: Any) -> str:
    return (host.decode() if isinstance(host, bytes) else str(host)).lower().rstrip(".")


def _destination(host: Any, port: int) -> tuple[Any, int]:
    """Host and port, if they are YouTube's."""
    if port != _HTTPS or not _is_youtube(_text(host)):
        raise EgressError(f"not YouTube's: {host}, port {port}")
    return host, port


def _is_public(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_global and not found.is_multicast

"""Addresses of clients: one client may have many."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        whole = IPv6Address(address.partition("%")[0])
        return str(whole.ipv4_mapped or IPv6Network((whole, 64), strict=False))
    except ValueError:
        return address[:64]


def plain(address: str) -> str:
    """The address, in IPv4 form if it is an IPv4-mapped IPv6 address.

    Sockets that listen on both families report IPv4 clients as mapped addresses, but settings name
    them in IPv4 form.
    """
    try:
        return str(IPv6Address(address).ipv4_mapped or address)
    except ValueError:
        return address

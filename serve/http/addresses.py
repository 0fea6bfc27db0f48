"""Whose an address is: one client may have many."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the 64 bits that an IPv6 customer is given."""
    if ":" not in address:
        return address
    try:
        whole = IPv6Address(address.partition("%")[0])
        return str(whole.ipv4_mapped or IPv6Network((whole, 64), strict=False))
    except ValueError:
        return address[:64]


def plain(address: str) -> str:
    """An IPv4 address as itself where it is written as an IPv6 one.

    That is how it looks on a socket that listens to both kinds, and nobody names it so.
    """
    try:
        return str(IPv6Address(address).ipv4_mapped or address)
    except ValueError:
        return address

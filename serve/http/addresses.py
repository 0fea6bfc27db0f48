"""Whose an address is: one client may have many."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the 64 bits that an IPv6 customer is given."""
    if ":" not in address:
        return address
    try:
        whole = IPv6Address(address.partition("%")[0])
        return str(whole.ipv4_mapped or IPv6Network((whole, 64), strict=False))
    except ValueError:
        return address[:64]


def is_within(address: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of the networks; raise ValueError where it is none."""
    found: IPv4Address | IPv6Address = ip_address(address)
    # As IPv4 looks on a socket that listens to both kinds.
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in networks)

"""Where a call comes from, as far as the address tells: used before anybody has a certificate."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import unquote

IPV6_PREFIX = 64


def network_of(peer: str) -> str:
    """The address of a peer as gRPC names it; of IPv6 its /64, which one host has for itself.

    "ipv4:192.0.2.7:4711" gives "192.0.2.7". What is no address of the internet stays as it is.
    """
    scheme, _, rest = unquote(peer).partition(":")
    host = rest.rpartition(":")[0].strip("[]").partition("%")[0]
    return network_of_host(host) or scheme or "unknown"


def network_of_host(host: str) -> str:
    """The same of an address by itself, "192.0.2.7"; "" if it is none."""
    try:
        address = ip_address(host)
    except ValueError:
        return ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, IPV6_PREFIX), strict=False))

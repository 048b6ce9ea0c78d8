"""Identities: who a certificate says that its holder is (design section 3).

`spiffe://<domain>/agent/<merchant>/<terminal>`, `/phone/<wallet>/<device>`, `/relay/<fleet>`,
`/operator/<name>` or `/server`. The part after the domain, without its first slash, is the device:
"agent/shop-7/till-2".
Read by the switch from every caller's certificate, and by a device from its own.
"""

from __future__ import annotations

import re

AGENT = "agent"
PHONE = "phone"
RELAY = "relay"
OPERATOR = "operator"
SERVER = "server"

_NAMES_AFTER = {AGENT: 2, PHONE: 2, RELAY: 1, OPERATOR: 1, SERVER: 0}
_NAME = re.compile(r"[a-z0-9-]{1,40}")
_IDENTITY = re.compile(r"spiffe://([a-z0-9.-]{1,253})/(.+)")


class IdentityError(ValueError):
    """Not an identity of Kessai; the message is for people."""


def terminal_host(merchant_id: str, terminal_id: str) -> str:
    """Name the host that a terminal's certificate serves under, to its own venue's doors.

    In .invalid (RFC 2606), which never resolves: nobody who dials a host takes it for that host.
    """
    return f"{terminal_id}.{merchant_id}.agent.kessai.invalid"


def relay_host(fleet_id: str) -> str:
    """The host that a fleet's server is certified for, towards its machines; none in the world."""
    return f"{fleet_id}.relay.kessai.invalid"


def is_name(text: str) -> bool:
    """Tell whether a text names a merchant, terminal, wallet, phone, fleet or operator."""
    return _NAME.fullmatch(text) is not None


def parse_device(device: str) -> tuple[str, tuple[str, ...]]:
    """Split "agent/shop-7/till-2" into its kind and its names; IdentityError if malformed."""
    kind, *names = device.split("/")
    if _NAMES_AFTER.get(kind) != len(names) or not all(map(is_name, names)):
        raise IdentityError(
            'a device is "agent/<merchant>/<terminal>", "phone/<wallet>/<device>", "relay/<fleet>" '
            'or "operator/<name>"; a name is 1 to 40 of a-z, 0-9 and "-"'
        )
    return kind, tuple(names)


def parse_identity(identity: str) -> tuple[str, str]:
    """Split an identity into its domain and its device; IdentityError if malformed."""
    match = _IDENTITY.fullmatch(identity)
    if match is None:
        raise IdentityError("an identity is spiffe://<domain>/<device>")
    parse_device(match[2])
    return match[1], match[2]


def format_identity(domain: str, device: str) -> str:
    """Write the identity of a device of a domain."""
    return f"spiffe://{domain}/{device}"

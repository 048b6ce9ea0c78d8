"""The address of a fleet's server, as a machine behind it has it: FLEET@HOST:PORT.

The fleet is part of it because the machine believes the server's certificate for that name alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kessai.identity_path import is_name

_ADDRESS = re.compile(r"([^@]+)@(.+:[0-9]{1,5})")


class RelayAddress(NamedTuple):
    """A fleet, and HOST:PORT where its server listens for machines."""

    fleet_id: str
    address: str


def parse_relay(text: str) -> RelayAddress:
    """Read "nordic@10.0.0.5:7450"; ValueError, with what it should be, if it is none."""
    match = _ADDRESS.fullmatch(text)
    if match is None or not is_name(match[1]):
        raise ValueError("should be FLEET@HOST:PORT, such as nordic@10.0.0.5:7450")
    return RelayAddress(match[1], match[2])

"""The entrance's configuration: each kind of door has addresses of its own."""

from __future__ import annotations

import pytest

from edge_agents.config import load_config
from edge_agents.entrance.config import EntranceConfig
from kessai.complaint import Complaint


@pytest.mark.parametrize(("protocol", "first", "last"), [("osdp", 0, 126), ("modbus", 1, 247)])
def test_addresses_of_doors(protocol: str, first: int, last: int) -> None:
    flags = {"events": "concert", "door_protocol": protocol}
    for address in (first, last):
        config = load_config(EntranceConfig, None, {**flags, "door_address": address})
        assert (config.door_protocol, config.door_address) == (protocol, address)
    for address in (first - 1, last + 1):
        with pytest.raises(Complaint, match=f"door_address should be {first} to {last}"):
            load_config(EntranceConfig, None, {**flags, "door_address": address})


def test_a_door_that_speaks_neither() -> None:
    with pytest.raises(Complaint, match="door_protocol"):
        load_config(EntranceConfig, None, {"events": "concert", "door_protocol": "knx"})

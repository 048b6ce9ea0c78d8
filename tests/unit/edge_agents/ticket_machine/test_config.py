"""The ticket machine's configuration: a counter's, and nothing is sold without the switch."""

from __future__ import annotations

import tomllib

import pytest

from edge_agents.config import load_config, sample_config
from edge_agents.ticket_machine.config import TicketMachineConfig
from kessai.complaint import Complaint


def test_the_sample_is_the_default() -> None:
    sample = tomllib.loads(sample_config(TicketMachineConfig, "ticket-machine"))
    assert (sample["refresh_seconds"], sample["rest_seconds"]) == (10, 30)
    assert sample["folder"] == "ticket-machine"


def test_no_ticket_is_sold_without_the_switch() -> None:
    with pytest.raises(Complaint, match="the switch signs tickets"):
        load_config(TicketMachineConfig, None, {"offline_days": 1})


@pytest.mark.parametrize(("key", "value"), [("refresh_seconds", 0), ("rest_seconds", 1)])
def test_what_is_out_of_its_limits(key: str, value: int) -> None:
    with pytest.raises(Complaint, match=key):
        load_config(TicketMachineConfig, None, {key: value})

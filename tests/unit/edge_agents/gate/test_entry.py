"""An entry while the switch answers with errors: the gate decides by itself only if it is away."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc.aio
import pytest

from edge_agents.config import load_config
from edge_agents.events import Events
from edge_agents.gate.config import GateConfig
from edge_agents.gate.entry import EntryLane
from edge_agents.gate.lane import GateParts, Undecided
from edge_agents.gate.rules import read_rules
from edge_agents.journal import Journal
from edge_agents.offline_decision import OfflineDecision
from edge_agents.uplink import Uplink
from kessai.envelope import HOLDER_CREDENTIAL, sign
from kessai.holder import nonce_us, open_credential
from kessai.v1.fare_pb2 import (
    ConfirmTravelRequest,
    ConfirmTravelResponse,
    SetMinimumBalanceRequest,
    SetMinimumBalanceResponse,
)
from kessai.v1.fare_pb2_grpc import FareServiceServicer, add_FareServiceServicer_to_server
from kessai.v1.holder_pb2 import HolderAnswer
from tests.unit.edge_agents.parties import NOW_US, SWITCH_KEY, Step, fail_if_planned
from tests.unit.edge_agents.test_offline_decision import CutOff, credential

Context = grpc.aio.ServicerContext[Any, Any]


class Switch(FareServiceServicer):
    """A switch that answers as planned."""

    def __init__(self, step: Step) -> None:
        self.step = step

    async def ConfirmTravel(
        self, request: ConfirmTravelRequest, context: Context
    ) -> ConfirmTravelResponse:
        await fail_if_planned(self.step, context)
        return ConfirmTravelResponse()

    async def SetMinimumBalance(
        self, request: SetMinimumBalanceRequest, context: Context
    ) -> SetMinimumBalanceResponse:
        raise NotImplementedError  # no gate may call it


@asynccontextmanager
async def line_to(switch: Switch) -> AsyncIterator[grpc.aio.Channel]:
    """Serve a switch, and give a line to it that stands."""
    server = grpc.aio.server()
    add_FareServiceServicer_to_server(switch, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
        yield channel
    await server.stop(None)


async def confirm(folder: Path, step: Step) -> ConfirmTravelResponse:
    """Ask whether a known holder may enter, at a gate that may decide without the switch."""
    journal = Journal(folder)
    gate = CutOff(folder, journal)
    offline = OfflineDecision(gate.terminal, gate.denied, gate.settings, journal, gate.clock)
    signed = sign(HOLDER_CREDENTIAL, credential(), SWITCH_KEY)
    holder = open_credential(signed, SWITCH_KEY.public_key())
    async with line_to(Switch(step)) as channel:
        # What no entry asks before the switch has answered is not there.
        fields: dict[str, Any] = dict.fromkeys(each.name for each in dataclasses.fields(GateParts))
        member = SimpleNamespace(is_in_touch=True, offline=offline)
        uplink, rules = (
            Uplink(channel, bytes, first_pause_s=0.02),
            read_rules(load_config(GateConfig, None, {})),
        )
        fields |= {"terminal": gate.terminal, "rules": rules, "uplink": uplink, "member": member}
        fields |= {"now_us": gate.clock, "random_bytes": bytes, "may_trust": True}
        parts = GateParts(**fields | {"events": Events(gate.clock)})
        assert nonce_us(parts.new_nonce()) == NOW_US
        try:
            lane = EntryLane(parts, None)  # type: ignore[arg-type]
            return await lane._confirm(holder, HolderAnswer(), parts.new_nonce(), b"")
        finally:
            journal.close()


@pytest.mark.parametrize(
    "step", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, "CERTIFICATE_REFUSED"]
)
async def test_an_error_opens_no_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    """A patient gate, because a busy machine may be too slow for a hasty one: that is no answer."""
    monkeypatch.setattr("edge_agents.gate.entry.HASTY_S", 10.0)
    with pytest.raises(Undecided, match="NOT CHECKED"):
        await confirm(tmp_path, step)


@pytest.mark.parametrize("step", [grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", "hang"])
async def test_a_known_holder_enters_while_the_switch_is_away(tmp_path: Path, step: Step) -> None:
    assert await confirm(tmp_path, step) == ConfirmTravelResponse()

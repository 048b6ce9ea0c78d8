"""A door whose switch answers with errors: it opens on none, and goes on telling the rest."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc.aio
import pytest

from edge_agents.deny_list import DenyList
from edge_agents.entrance.book import EntranceBook, Entry, EntryState
from edge_agents.entrance.entrance import Entrance
from edge_agents.entrance.upload import Upload
from edge_agents.entrance.verdict import Doorkeeper
from edge_agents.events import Events
from edge_agents.ticket_line import SwitchAway, TicketLine
from edge_agents.uplink import Uplink
from kessai.decline import name_of
from kessai.request_id import new_request_id, parse_request_id
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.decline_pb2 import DECLINE_REASON_CLOCK_AHEAD, DECLINE_REASON_UNSPECIFIED
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.ticket_pb2 import Ticket
from kessai.v1.ticket_pb2_grpc import TicketServiceServicer, add_TicketServiceServicer_to_server
from tests.unit.edge_agents.entrance.parties import VENUE, Venue, now_us
from tests.unit.edge_agents.parties import NOW_US, WAIT_S, Step, fail_if_planned

Context = grpc.aio.ServicerContext[Any, Any]


class Switch(TicketServiceServicer):
    """A switch that fails a call in which a certain entry is; one entry is ahead of its clock."""

    def __init__(self, fails: Step, poison: bytes = b"", ahead: bytes = b"") -> None:
        self.fails, self.poison, self.ahead = fails, poison, ahead
        self.redeemed: set[bytes] = set()

    async def RedeemTickets(
        self, request: pb.RedeemTicketsRequest, context: Context
    ) -> pb.RedeemTicketsResponse:
        ids = {parse_request_id(use.request_id) for use in request.redemptions}
        if self.poison in ids:
            await fail_if_planned(self.fails, context)
        self.redeemed |= ids
        return pb.RedeemTicketsResponse(
            results=[self._result(use.request_id) for use in request.redemptions]
        )

    def _result(self, request_id: str) -> pb.RedemptionResult:
        is_ahead = parse_request_id(request_id) == self.ahead
        reason = DECLINE_REASON_CLOCK_AHEAD if is_ahead else DECLINE_REASON_UNSPECIFIED
        return pb.RedemptionResult(request_id=request_id, decline_reason=reason)

    async def GetTicket(
        self, request: pb.GetTicketRequest, context: Context
    ) -> pb.GetTicketResponse:
        await fail_if_planned(self.fails, context)
        return pb.GetTicketResponse()


@asynccontextmanager
async def served(switch: Switch) -> AsyncIterator[TicketLine]:
    """Serve a switch, and give a terminal's line to it."""
    server = grpc.aio.server()
    add_TicketServiceServicer_to_server(switch, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
        yield TicketLine(Uplink(channel, bytes))
    await server.stop(None)


class Ready:
    """A door that is shut, and works."""

    stands_open = False

    async def is_ready(self) -> bool:
        return True


def let_in(book: EntranceBook, count: int) -> list[bytes]:
    """Let persons in, and give the entries' ids."""
    ids = [new_request_id(NOW_US // 1000, os.urandom) for _ in range(count)]
    for request_id in ids:
        book.ask(Entry(request_id, os.urandom(18), 1, Signed(payload=b"ticket"), NOW_US))
        book.move(request_id, EntryState.ADMITTED)
        book.move(request_id, EntryState.PASSED)
    return ids


@pytest.mark.parametrize("fails", ["FIELD_INVALID", grpc.StatusCode.INTERNAL])
async def test_a_refused_entry_keeps_no_other_back(tmp_path: Path, fails: Step) -> None:
    """What the switch will never take is over; what it fails over waits alone."""
    book = EntranceBook(tmp_path)
    ids = let_in(book, 5)
    switch = Switch(fails, ids[1])  # type: ignore[abstract]
    async with served(switch) as line:
        upload = Upload(book, line, None, Events(lambda: NOW_US))
        running = asyncio.create_task(upload.run())
        async with asyncio.timeout(WAIT_S):
            await _until(lambda: len(switch.redeemed) == 4)
            left = {"FIELD_INVALID": []}.get(str(fails), [ids[1]])
            await _until(lambda: [entry.request_id for entry in book.waiting(9)] == left)
        running.cancel()
    book.close()


async def test_an_entry_that_is_ahead_of_the_switchs_clock_waits(tmp_path: Path) -> None:
    """The door's clock is wrong: nothing is lost, and the others are told."""
    book = EntranceBook(tmp_path)
    ids = let_in(book, 3)
    switch = Switch("", ahead=ids[1])  # type: ignore[abstract]
    async with served(switch) as line:
        upload = Upload(book, line, None, Events(lambda: NOW_US))
        assert not await upload._tell_switch()
        assert [entry.request_id for entry in book.waiting(9)] == [ids[1]]
        switch.ahead = b""
        assert await upload._tell_switch()
        assert book.waiting(9) == []
    book.close()


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        (grpc.StatusCode.INTERNAL, "ENTRANCE_OUT_OF_SERVICE"),
        ("CERTIFICATE_REFUSED", "ENTRANCE_OUT_OF_SERVICE"),
        ("RESOURCE_UNKNOWN", "TICKET_INVALID"),
        (grpc.StatusCode.UNAVAILABLE, "UNSPECIFIED"),
        ("OVERLOADED", "UNSPECIFIED"),
    ],
)
async def test_a_door_decides_alone_only_while_the_switch_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: Step, reason: str
) -> None:
    """And not at all once the switch has refused it: then also a cut line opens nothing."""
    monkeypatch.setattr("edge_agents.ticket_line.LOOK_S", 10.0)  # a busy machine is no answer
    denied, venue = DenyList(tmp_path), Venue(tmp_path)
    keeper = Doorkeeper(VENUE, ("concert",), denied, 0, now_us)
    ticket = Ticket.FromString(venue.ticket().payload)
    async with served(Switch(fails)) as line:  # type: ignore[abstract]
        entrance = Entrance.__new__(Entrance)
        entrance._events = Events(now_us)
        fields = {"keeper": keeper, "watch": Ready(), "door": Ready(), "line": line}
        entrance._parts = SimpleNamespace(**fields)  # type: ignore[assignment]
        assert name_of(await entrance._judge(ticket, 1)) == reason
        denied.refuse()
        expected = reason if reason != "UNSPECIFIED" else "ENTRANCE_OUT_OF_SERVICE"
        assert name_of(await entrance._judge(ticket, 1)) == expected
    denied.close()


async def test_a_dead_line_is_no_answer() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        with pytest.raises(SwitchAway):
            await TicketLine(Uplink(channel, bytes)).look(b"t" * 18)


async def _until(holds: Callable[[], bool]) -> None:
    while True:
        if holds():
            return
        await asyncio.sleep(0.02)

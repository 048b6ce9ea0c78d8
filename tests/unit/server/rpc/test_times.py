"""A time out of range in a request is a bad field, over a real line, in every shape of a method."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from kessai.v1 import fare_pb2, fleet_pb2, ticket_pb2
from kessai.v1.fare_pb2_grpc import FareServiceStub
from kessai.v1.fleet_pb2_grpc import FleetServiceStub
from kessai.v1.ticket_pb2_grpc import TicketServiceStub
from tests.unit.server.switch.in_process import LIMIT_S, reason_of, served

TILL = "agent/shop/till-1"
POISON = [(2**62, 0), (-(2**62), 0), (0, -1), (0, 2 * 10**9), (-1, 0)]


async def refusal(call: Any) -> str:  # noqa: ANN401
    """Tell what a call is refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await call
    return reason_of(ended.value)


async def test_times_out_of_range_are_bad_fields(tmp_path: Path) -> None:
    async with served(tmp_path / "data") as switch, switch.line(TILL) as line:
        fares: Any = FareServiceStub(line)
        tickets: Any = TicketServiceStub(line)
        for seconds, nanos in POISON:
            travel = fare_pb2.ConfirmTravelRequest()
            travel.day_start_time.seconds, travel.day_start_time.nanos = seconds, nanos
            told = await refusal(fares.ConfirmTravel(travel, timeout=LIMIT_S))
            assert told == "FIELD_INVALID day_start_time"
            redeem = ticket_pb2.RedeemTicketsRequest(redemptions=[ticket_pb2.Redemption()])
            time = redeem.redemptions[0].redeem_time
            time.seconds, time.nanos = seconds, nanos
            told = await refusal(tickets.RedeemTickets(redeem, timeout=LIMIT_S))
            assert told == "FIELD_INVALID redemptions.redeem_time"


async def test_an_offer_has_its_times(tmp_path: Path) -> None:
    """An operator's own slip, or somebody else with his key."""
    async with served(tmp_path / "data") as switch, switch.line() as line:
        request = ticket_pb2.CreateTicketOfferRequest()
        request.offer.valid_until_time.seconds = 2**62
        stub: Any = TicketServiceStub(line)
        told = await refusal(stub.CreateTicketOffer(request, timeout=LIMIT_S))
        assert told == "FIELD_INVALID offer.valid_until_time"


async def test_a_report_s_time_ends_the_stream(tmp_path: Path) -> None:
    async def reports() -> AsyncIterator[fleet_pb2.AttachRequest]:
        report = fleet_pb2.AttachRequest()
        report.report.report_time.nanos = -1
        yield report

    async with served(tmp_path / "data") as switch, switch.line(TILL) as line:
        stub: Any = FleetServiceStub(line)
        call = stub.Attach(reports(), timeout=LIMIT_S)
        assert await refusal(anext(aiter(call))) == "FIELD_INVALID report.report_time"

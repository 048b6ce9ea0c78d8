"""The agent's question for its marks, where the switch or the line fails it."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import grpc
import grpc.aio

from edge_agents.events import Events
from edge_agents.log_watch import LogWatch
from edge_agents.uplink import Uplink
from kessai.log_marks import LogMarks
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.ledger_pb2 import (
    GetLogHashRequest,
    GetLogHashResponse,
    ListPaymentsRequest,
    ListPaymentsResponse,
)
from kessai.v1.ledger_pb2_grpc import LedgerServiceServicer, add_LedgerServiceServicer_to_server
from kessai.v1.payment_pb2 import LogPosition, Receipt
from tests.unit.edge_agents.parties import NOW_US

LIMIT_S = 60.0


class SilentLedger(LedgerServiceServicer):
    """Takes questions, and answers none."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def GetLogHash(
        self,
        request: GetLogHashRequest,
        context: grpc.aio.ServicerContext[GetLogHashRequest, GetLogHashResponse],
    ) -> GetLogHashResponse:
        """Wait until the caller has gone."""
        self.asked.set()
        await asyncio.get_running_loop().create_future()
        return GetLogHashResponse()

    async def ListPayments(
        self,
        request: ListPaymentsRequest,
        context: grpc.aio.ServicerContext[ListPaymentsRequest, ListPaymentsResponse],
    ) -> ListPaymentsResponse:
        """Nobody asks this."""
        return ListPaymentsResponse()


async def test_a_line_that_is_exchanged_meanwhile_is_no_answer(tmp_path: Path) -> None:
    """It ended the fleet line's loop, and with it the agent, at the renewal of a certificate."""
    server, ledger = grpc.aio.server(), SilentLedger()
    add_LedgerServiceServicer_to_server(ledger, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    marks = LogMarks(tmp_path)
    at = LogPosition(sequence=7, chain_hash=b"h" * 32)
    marks.keep(Signed(payload=Receipt(log_position=at).SerializeToString()))
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    watch = LogWatch(Uplink(channel, os.urandom), marks, Events(lambda: NOW_US, io.StringIO()))
    asking = asyncio.create_task(watch.ask(0))
    try:
        async with asyncio.timeout(LIMIT_S):
            await ledger.asked.wait()
            await channel.close()
            assert await asking is False
    finally:
        asking.cancel()
        await server.stop(0)

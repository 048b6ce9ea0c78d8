"""Whether the switch's log and lists are still what this agent has seen of them.

Asked whenever the fleet line is in touch anew. If they went back, the agent tells it (an event, its
state for the operator), and accepts nothing without the switch any more: a switch that forgot may
not know what it owes, or whom to deny. On the line it goes on: there the switch decides each
payment by what it has, and its receipt is good for that. What was lost in a restore that its
operator accepted is told once; then the marks begin anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc.aio

from edge_agents.events import Events
from edge_agents.loops import is_being_cancelled
from edge_agents.uplink import Uplink
from kessai.log_marks import LogMarks, first_difference
from kessai.v1.ledger_pb2 import GetLogHashRequest
from kessai.v1.ledger_pb2_grpc import LedgerServiceStub
from kessai.v1.payment_pb2 import LogPosition

CALL_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class LogWatch:
    """Asks for the places of one agent's marks."""

    def __init__(self, uplink: Uplink, marks: LogMarks, events: Events) -> None:
        self._uplink, self._marks, self._events = uplink, marks, events

    def saw_list(self, version: int) -> None:
        """Keep the version of a deny list that the switch told."""
        self._marks.keep_version(version)

    async def ask_until_answered(self, deny_list_version: Callable[[], int]) -> None:
        """Ask, and again after a pause while the switch does not answer."""
        pause_s = FIRST_PAUSE_S
        while not await self.ask(deny_list_version()):
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def ask(self, deny_list_version: int) -> bool:
        """Compare log and deny list with the marks; False if the switch did not answer.

        `deny_list_version` is that of the switch.
        """
        try:
            gone = await self._first_gone()
        except grpc.aio.AioRpcError:
            return False
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            return False
        alarm = ""
        if gone is not None:
            alarm = f"the switch lost or changed row {gone.sequence} of shard {gone.shard}"
        elif deny_list_version < self._marks.deny_list_version:
            alarm = f"the switch lost its deny list after version {deny_list_version}"
        if self._marks.set_alarm(alarm):
            if alarm:
                self._events.emit("switch_went_back", why=alarm)
            else:
                self._events.emit("switch_whole_again")
        return True

    async def _first_gone(self) -> LogPosition | None:
        for receipts in self._marks.pages():
            request = GetLogHashRequest(receipts=receipts)
            stub = LedgerServiceStub(self._uplink.channel)
            answer = await stub.GetLogHash(request, timeout=CALL_S)
            if told := self._marks.begin_anew(receipts, answer.places):
                self._events.emit("switch_restored", why=told)
                self._marks.take_notice()
            gone = first_difference(receipts, answer.places)
            if gone is not None:
                return gone
        return None

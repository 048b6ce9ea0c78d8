"""The line of a fleet's server to the switch: passes calls as they came, and asks whom it serves.

No queue and no second try: a machine that has no answer asks again, with the same request inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import grpc.aio

from edge_agents.events import Events
from edge_agents.relay.machines import Machines
from edge_agents.uplink import describe, reason_of
from kessai.channel import CALL_TIMEOUT_S, is_line_lost, open_channel
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity
from kessai.enrollment import renew_if_due
from kessai.relayed import RELAY_METHOD
from kessai.v1.relay_pb2 import GetRelayRequest
from kessai.v1.relay_pb2_grpc import RelayServiceStub

ASK_EVERY_S, ASK_AGAIN_S = 30.0, 2.0
RENEW_EVERY_S = 3600.0
# A machine's call under way ends on the former line after a renewal.
FAREWELL_S = 6.0

_REFUSES_US = {"CERTIFICATE_REFUSED", "CALLER_NOT_PERMITTED"}


class SwitchLine:
    """One fleet server's line."""

    def __init__(self, identity: DeviceIdentity, machines: Machines, events: Events) -> None:
        self._machines, self._events = machines, events
        self._in_touch: bool | None = None
        self._open(identity)

    def _open(self, identity: DeviceIdentity) -> None:
        self._channel = open_channel(identity)
        self._pass: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        self._pass = self._channel.unary_unary(RELAY_METHOD)

    async def close(self) -> None:
        """Close the line."""
        await self._channel.close()

    async def pass_on(self, request: bytes, timeout_s: float) -> bytes:
        """Bring a machine's bytes to the switch, and its bytes back; grpc.aio.AioRpcError."""
        try:
            response = await self._pass(request, timeout=timeout_s, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            if is_line_lost(error):
                self._on_failure(error)
            raise
        self._on_answer()
        return response

    async def keep_asking(self) -> None:
        """Ask again and again which merchants' machines are served, for ever."""
        while True:
            try:
                await self._ask()
                pause_s = ASK_EVERY_S
            except grpc.aio.AioRpcError as error:
                self._on_failure(error)
                pause_s = ASK_AGAIN_S
            await asyncio.sleep(pause_s)

    async def _ask(self) -> None:
        stub = RelayServiceStub(self._channel)
        answer = await stub.GetRelay(GetRelayRequest(), timeout=CALL_TIMEOUT_S)
        merchants = frozenset(answer.merchant_ids)
        self._on_answer()
        if merchants != self._machines.merchants:
            self._machines.merchants = merchants
            self._events.emit("serves", merchants=", ".join(sorted(merchants)))

    def _on_answer(self) -> None:
        if self._in_touch is not True:
            self._in_touch = True
            self._events.emit("in_touch")

    def _on_failure(self, error: grpc.aio.AioRpcError) -> None:
        if reason_of(error) in _REFUSES_US:
            if self._machines.merchants != frozenset():
                self._machines.merchants = frozenset()
                self._events.emit("refused_by_switch", why=describe(error))
            return
        if self._in_touch is not False:
            self._in_touch = False
            why = "the switch does not answer" if is_line_lost(error) else describe(error)
            self._events.emit("out_of_touch", why=why)

    async def keep_certificate(
        self,
        folder: Path,
        on_renewed: Callable[[DeviceIdentity], Awaitable[None]],
        now_us: Callable[[], int],
    ) -> None:
        """Renew the certificate whenever it is due, for ever."""
        while True:
            try:
                identity = await renew_if_due(folder, now_us, self._channel)
            except (Complaint, grpc.aio.AioRpcError) as error:
                why = str(error) if isinstance(error, Complaint) else describe(error)
                self._events.emit("certificate_not_renewed", why=why)
            else:
                if identity is not None:
                    former = self._channel
                    self._open(identity)
                    await on_renewed(identity)
                    self._events.emit("certificate_renewed")
                    await former.close(grace=FAREWELL_S)
            await asyncio.sleep(RENEW_EVERY_S)

"""FleetService on the wire: terminals in touch, and operators who look after them.

`server/identity/fleet.py` and `deny_list.py` decide. A stream ends when the terminal leaves, is
revoked (the guard cuts it) or the switch stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TypeAlias

import grpc.aio

from kessai.v1 import fleet_pb2 as pb
from kessai.v1.fleet_pb2_grpc import FleetServiceServicer
from server.domain.directory import DenyEntry
from server.identity.audit import in_act
from server.identity.callers import Caller, current_caller
from server.identity.deny_list import PAGE, DenyList
from server.identity.directory_call import in_thread
from server.identity.fleet import Fleet
from server.rpc import fields
from server.rpc.errors import field_invalid

STILL_NEWEST_S = 20.0
MAX_SETTINGS = 50

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class FleetServicer(FleetServiceServicer):
    """Serves terminals and operators. `still_newest_s`: how often an idle terminal is told so."""

    def __init__(
        self, fleet: Fleet, deny_list: DenyList, still_newest_s: float = STILL_NEWEST_S
    ) -> None:
        self._fleet, self._deny_list = fleet, deny_list
        self._still_newest_s = still_newest_s

    async def Attach(
        self, requests: AsyncIterator[pb.AttachRequest], context: Context
    ) -> AsyncIterator[pb.AttachResponse]:
        """Keep a terminal in touch: FIELD_INVALID for a report that makes no sense."""
        caller = current_caller()
        first = await anext(aiter(requests), None)
        if first is None or not first.HasField("report"):
            raise field_invalid("report", "is missing: the first message is a report")
        await in_thread(self._fleet.hear, caller, first.report)
        hearing = asyncio.ensure_future(self._hear(caller, requests))
        with self._fleet.attached(caller.device):
            try:
                async for update in self._updates(caller, first.report, hearing):
                    yield update
            finally:
                hearing.cancel()
        with suppress(asyncio.CancelledError):
            await hearing  # what a report was refused with ends the stream

    async def GetDeviceState(
        self, request: pb.GetDeviceStateRequest, context: Context
    ) -> pb.GetDeviceStateResponse:
        """Tell how a device is: FIELD_INVALID, RESOURCE_UNKNOWN."""
        state = await in_thread(self._fleet.known_state, request.device)
        return pb.GetDeviceStateResponse(state=state)

    async def ConfigureDevice(
        self, request: pb.ConfigureDeviceRequest, context: Context
    ) -> pb.ConfigureDeviceResponse:
        """Change settings of a terminal: FIELD_INVALID, RESOURCE_UNKNOWN."""
        fields.request_id(request.request_id)
        settings = {setting.key: setting.value for setting in request.settings}
        if not 1 <= len(request.settings) <= MAX_SETTINGS or len(settings) < len(request.settings):
            raise field_invalid("settings", f"1 to {MAX_SETTINGS}, each once")
        config = await in_act(self._fleet.configure, request.device, settings)
        return pb.ConfigureDeviceResponse(config=config)

    async def _hear(self, caller: Caller, requests: AsyncIterator[pb.AttachRequest]) -> None:
        async for request in requests:
            await in_thread(self._fleet.hear, caller, request.report)

    async def _updates(
        self,
        caller: Caller,
        report: pb.DeviceReport,
        hearing: asyncio.Future[None],
    ) -> AsyncIterator[pb.AttachResponse]:
        changed, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        ends = (self._deny_list.listen(wake), self._fleet.listen(wake))
        hearing.add_done_callback(lambda _: changed.set())
        denied, configured = report.deny_list_version, report.config_version
        try:
            while not hearing.done():
                changed.clear()
                config = await in_thread(self._fleet.config_for, caller)
                if config.version != configured:
                    configured = config.version
                    yield pb.AttachResponse(config=config)
                entries, denied = await in_thread(
                    self._deny_list.page_after, denied, caller.path[0]
                )
                yield pb.AttachResponse(deny_list=_update(entries, denied))
                if len(entries) == PAGE:
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._still_newest_s):
                        await changed.wait()
        finally:
            for end in ends:
                end()


def _update(entries: list[DenyEntry], version: int) -> pb.DenyListUpdate:
    update = pb.DenyListUpdate(version=version, complete=len(entries) < PAGE)
    for entry in entries:
        listed = update.entries.add(kind=pb.DenyKind.ValueType(entry.kind), id=entry.id)
        listed.expire_time.FromMicroseconds(entry.expire_us)
    return update

"""The line to the fleet's operator: says how this agent is, hears what to turn away and settings.

One loop of every agent, run beside its others. While the line is down it goes on trying, with
growing pauses; what it knows then is as old as `DenyList.as_of_us` says, and who decides
without the switch looks at that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc.aio

from edge_agents.agent_state import AgentState
from edge_agents.deny_list import DenyList
from edge_agents.events import Events
from edge_agents.log_watch import LogWatch
from edge_agents.loops import is_being_cancelled, run_until_one_ends, wait_at_most
from edge_agents.remote_settings import RemoteSettings
from edge_agents.uplink import Uplink, describe, reason_of
from kessai.v1.fleet_pb2 import AttachRequest, AttachResponse
from kessai.v1.fleet_pb2_grpc import FleetServiceStub

REPORT_EVERY_S = 30.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 20.0
SILENCE_S = 60.0

# A terminal that was revoked must not begin to decide for itself when somebody cuts its line.
_REFUSES_US = {"CERTIFICATE_REFUSED", "CALLER_NOT_PERMITTED"}


class FleetLine:
    """Keeps one agent in touch."""

    def __init__(
        self,
        uplink: Uplink,
        state: AgentState,
        deny_list: DenyList,
        settings: RemoteSettings,
        events: Events,
        now_us: Callable[[], int],
        log_watch: LogWatch | None = None,
    ) -> None:
        self._uplink, self._state = uplink, state
        self._deny_list, self._settings = deny_list, settings
        self._events, self._now_us = events, now_us
        self._changed, self._in_touch = asyncio.Event(), asyncio.Event()
        self._log_watch, self._switch_s_version = log_watch, 0
        self._heard, self._knows_all, self._told = False, False, False

    @property
    def is_in_touch(self) -> bool:
        """Tell whether the switch was heard on the line that is open now."""
        return self._heard

    async def run(self) -> None:
        """Be in touch whenever that is possible, for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            self._heard = self._knows_all = False
            self._in_touch.clear()
            self._begin_list_anew()
            try:
                await run_until_one_ends(self._listen(), self._watch_state(), self._watch_log())
            except grpc.aio.AioRpcError as error:
                if reason_of(error) in _REFUSES_US and not self._deny_list.is_refused:
                    self._deny_list.refuse()
                    self._events.emit("refused_by_switch", why=describe(error))
                self._tell_out_of_touch(describe(error))
            except TimeoutError:
                self._tell_out_of_touch("the switch is silent")
            pause_s = FIRST_PAUSE_S if self._heard else min(LONGEST_PAUSE_S, pause_s * 2)
            self._heard = False
            await asyncio.sleep(pause_s)

    def _begin_list_anew(self) -> bool:
        """Have the list sent from its beginning if this machine's clock was ahead; True if so."""
        was_ahead = self._deny_list.begin_anew(self._now_us())
        if was_ahead:
            self._events.emit("deny_list_anew", why="this machine's clock was ahead, and went back")
        return was_ahead

    def _tell_out_of_touch(self, why: str) -> None:
        if self._heard or not self._told:
            self._events.emit("out_of_touch", why=why)
            self._told = True

    async def _listen(self) -> None:
        call = FleetServiceStub(self._uplink.channel).Attach(self._reports())
        try:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    update = await call.read()
                if not isinstance(update, AttachResponse):
                    return  # the switch stops
                self._heard = True
                if self._begin_list_anew():
                    return  # the next report asks for all of it
                self._take(update)
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
        finally:
            call.cancel()

    def _take(self, update: AttachResponse) -> None:
        match update.WhichOneof("update"):
            case "deny_list":
                was, self._switch_s_version = self._deny_list.version, update.deny_list.version
                self._deny_list.take(update.deny_list, self._now_us())
                if self._log_watch is not None:
                    self._log_watch.saw_list(max(was, self._switch_s_version))
                if update.deny_list.complete and not self._knows_all:
                    # Settings come before the list: from here on it may decide by itself.
                    self._knows_all = True
                    self._events.emit("in_touch")
                    self._in_touch.set()
                if self._deny_list.version != was:
                    self._events.emit("deny_list_grew", version=self._deny_list.version)
                    self._changed.set()
            case "config":
                self._settings.take(update.config)
                self._events.emit("configured", version=update.config.version)
                self._changed.set()

    async def _watch_state(self) -> None:
        while True:
            await self._state.changed.wait()
            self._state.changed.clear()
            self._changed.set()

    async def _watch_log(self) -> None:
        """Ask once in each connection whether the switch's log and list are what they were."""
        await self._in_touch.wait()
        if self._log_watch is not None:
            await self._log_watch.ask_until_answered(lambda: self._switch_s_version)
        self._changed.set()
        await asyncio.get_running_loop().create_future()

    async def _reports(self) -> AsyncIterator[AttachRequest]:
        while True:
            self._changed.clear()
            yield AttachRequest(report=self._state.report())
            await wait_at_most(self._changed, REPORT_EVERY_S)

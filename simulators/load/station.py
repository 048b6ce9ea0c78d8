"""A gate for the gate bench: the agent's real parts, a simulated barrier, and a stopwatch.

Gate and phone share this process and nothing else: between them are nfcpy's reader and the field,
between gate and barrier a serial line with Modbus, between gate and switch mutual TLS. The time
begins when the phone comes into the field, and ends when the barrier stands open. Used by
`gates.py`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import AsyncExitStack, closing
from pathlib import Path
from time import perf_counter

from edge_agents.config import load_config
from edge_agents.devices.barrier import Barrier
from edge_agents.devices.display import Display
from edge_agents.events import Events
from edge_agents.fleet_member import FleetMember
from edge_agents.gate.config import GateConfig
from edge_agents.gate.main import Gate, Surroundings
from edge_agents.gate.rides import Rides
from edge_agents.gate.rules import read_rules
from edge_agents.journal import Journal
from edge_agents.links.radio import open_radio
from edge_agents.loops import run_until_one_ends
from edge_agents.payment_request import Terminal
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity
from server import main
from simulators.devices.barrier import SimulatedBarrier
from simulators.devices.display import SimulatedDisplay
from simulators.load.touch import WatchedField, WatchedRadio
from simulators.phone.field import Field
from simulators.phone.phone import Phone
from simulators.phone.screen import Screen

TAP_LIMIT_S = 10.0
PHONE_STAYS_S = 2.0
_READY_LIMIT_S = 20.0


class StationGate:
    """One gate; it serves within `async with`."""

    def __init__(
        self,
        folder: Path,
        terminal: Terminal,
        identity: DeviceIdentity,
        direction: str,
        station: str,
        reader: str,
        field: Field,
    ) -> None:
        folder.mkdir(parents=True)
        self._opened = threading.Event()
        self._opened_at = 0.0
        self.barrier = SimulatedBarrier(folder / "barrier", self._watch)
        self._display = SimulatedDisplay(folder / "display")
        flags = {
            "folder": folder,
            "direction": direction,
            "station": station,
            "reader": reader,
            "offline_days": 7,
            "passback_seconds": 0,
            "open_seconds": 2,
        }
        self._config = load_config(GateConfig, None, flags)
        self._terminal, self._identity = terminal, identity
        self._field = WatchedField(field)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> StationGate:
        folder, events = self._config.folder, Events(main.now_us)
        journal = self._stack.enter_context(closing(Journal(folder)))
        rides = self._stack.enter_context(closing(Rides(folder)))
        barrier, display = Barrier(str(folder / "barrier")), Display(str(folder / "display"))
        for device in (barrier, display):
            device.open()
            self._stack.callback(device.close)
        radio = self._radio = WatchedRadio(open_radio(self._config.reader))
        uplink = Uplink(open_channel(self._identity), os.urandom)
        self.member = FleetMember(
            folder, self._terminal, radio, journal, uplink, events, main.now_us
        )
        self._stack.callback(self.member.close)
        self._stack.push_async_callback(uplink.close)
        self._stack.push_async_callback(radio.close)
        around = Surroundings(barrier, display, radio, journal, rides, uplink, self.member)
        rules = read_rules(self._config)
        gate = Gate(self._terminal, rules, self._config, around, events, main.now_us, os.urandom)
        self._serving = asyncio.create_task(run_until_one_ends(gate.run(), self.member.run()))
        await asyncio.to_thread(self._display.wait_for, "Tap to", _READY_LIMIT_S)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        await self._stack.aclose()
        self.barrier.close()
        self._display.close()

    async def until_in_touch(self, wanted: bool) -> None:
        """Wait until the line to the switch is good, or gone; Complaint if that does not come."""
        deadline = perf_counter() + _READY_LIMIT_S
        while self.member.is_in_touch is not wanted:
            if perf_counter() > deadline:
                raise Complaint("the gate's line to the switch did not change in time")
            await asyncio.sleep(0.02)

    async def let_through(self, phone: Phone, pause_s: float) -> tuple[float, Screen]:
        """Let a passenger tap and walk: milliseconds until it opened, and the phone's last page.

        He comes `pause_s` seconds after the last phone was seen to leave. Complaint if it does not
        open.
        """
        await self._until_ready(pause_s)
        self._opened.clear()
        tap = asyncio.create_task(asyncio.to_thread(phone.tap, self._field, PHONE_STAYS_S))
        if not await asyncio.to_thread(self._opened.wait, TAP_LIMIT_S):
            raise Complaint(f"a gate did not open within {TAP_LIMIT_S:g} s")
        self.barrier.walk_through()
        page = await tap
        try:
            await asyncio.to_thread(self.barrier.wait_until_shut)
        except TimeoutError as error:
            raise Complaint(f"behind a passenger {error}") from None
        return (self._opened_at - self._field.touched) * 1000, page

    async def turn_away(self, phone: Phone, pause_s: float) -> bool:
        """Let somebody tap who may not pass; False if it opened for him."""
        await self._until_ready(pause_s)
        openings = self.barrier.openings
        await asyncio.to_thread(phone.tap, self._field, PHONE_STAYS_S)
        return self.barrier.openings == openings

    async def _until_ready(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(_READY_LIMIT_S):
                await self._radio.searching.wait()
        except TimeoutError:
            raise Complaint("the gate's reader does not see that a phone has left") from None
        await asyncio.sleep(pause_s)

    def _watch(self) -> None:
        if self.barrier.is_open and not self._opened.is_set():
            self._opened_at = perf_counter()
            self._opened.set()

"""Runs a register: opens what it needs, starts its loops, and stops cleanly at a signal.

Called by `kessai agent register`. What is missing at start is a Complaint before anything was done;
after that only a journal that cannot be written ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Coroutine
from typing import Any, TextIO

from edge_agents import register_screens as screens
from edge_agents.config import RegisterConfig
from edge_agents.device_care import Device, wait_until_back
from edge_agents.devices.display import Display
from edge_agents.devices.printer import Printer
from edge_agents.devices.scanner import Scanner
from edge_agents.devices.serial_line import DeviceLost
from edge_agents.display_board import DisplayBoard
from edge_agents.events import Events
from edge_agents.journal import Journal
from edge_agents.links.message_link import Radio
from edge_agents.links.radio import open_radio
from edge_agents.payment_request import RequestMaker, Terminal
from edge_agents.price_list import PriceList, load_price_list
from edge_agents.receipt_desk import ReceiptDesk
from edge_agents.register import Register, RegisterParts
from edge_agents.renewal import keep_certificate
from edge_agents.settlements import Settlements
from edge_agents.tap_desk import SETTLE_BUDGET_S, TapDesk
from edge_agents.terminal import open_terminal
from edge_agents.uplink import Uplink
from kessai.channel import open_channel
from kessai.device_identity import load_identity

_UNPLUGGED = ("Scanner unplugged", "")


def now_us() -> int:
    """Tell the machine's time, microseconds since 1970."""
    return time.time_ns() // 1000


async def run_register(config: RegisterConfig, follower: TextIO | None) -> None:
    """Run until SIGTERM or SIGINT; Complaint if something is missing at start."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    identity = load_identity(config.folder)
    identity.require_in_date(now_us())
    terminal = open_terminal(config.folder, identity)
    prices = load_price_list(config.price_list, config.currency)
    scanner = Scanner(str(config.scanner), config.scanner_baudrate)
    display = Display(str(config.display), config.display_baudrate)
    printer = Printer(str(config.printer), config.printer_baudrate, config.printer_flow_control)
    async with contextlib.AsyncExitStack() as stack:
        journal = stack.enter_context(contextlib.closing(Journal(config.folder)))
        for device in (scanner, display, printer):
            _open(stack, device)
        radio = open_radio(config.reader)
        stack.push_async_callback(radio.close)
        uplink = Uplink(open_channel(identity), os.urandom)
        stack.push_async_callback(uplink.close)
        till = _Till(config, terminal, prices, journal, uplink, radio, follower)
        await till.run(scanner, display, printer, stop)


class _Till:
    """The parts of a running register, wired."""

    def __init__(
        self,
        config: RegisterConfig,
        terminal: Terminal,
        prices: PriceList,
        journal: Journal,
        uplink: Uplink,
        radio: Radio,
        follower: TextIO | None,
    ) -> None:
        self._config, self._terminal, self._prices = config, terminal, prices
        self._journal, self._uplink, self._radio = journal, uplink, radio
        self._events = Events(now_us, follower)
        self._settlements = Settlements(journal, uplink, terminal.switch_key, self._events)
        self._phone_wanted = asyncio.Event()

    async def run(
        self, scanner: Scanner, display: Display, printer: Printer, stop: asyncio.Event
    ) -> None:
        """Start all loops, wait for the stop signal, and leave the display closed."""
        board = DisplayBoard(display, self._events)
        desk = ReceiptDesk(self._journal, printer, board, self._terminal, self._events)
        register = self._make_register(board, desk)
        taps = TapDesk(
            self._radio,
            register,
            self._terminal,
            self._journal,
            self._settlements,
            self._events,
            self._phone_wanted,
            now_us,
            os.urandom,
        )
        register.start()
        self._events.emit("started", terminal=self._terminal.terminal_id)
        await _run_until(
            stop,
            board.run(),
            desk.run(),
            taps.run(),
            self._read_scanner(scanner, register, board),
            self._settlements.take_up(register.on_outcome, SETTLE_BUDGET_S),
            keep_certificate(
                self._config.folder, self._uplink, taps.use_certificate, self._events, now_us
            ),
        )
        with contextlib.suppress(DeviceLost):
            await display.show(*screens.closed()[0])
        self._events.emit("stopped")

    def _make_register(self, board: DisplayBoard, desk: ReceiptDesk) -> Register:
        seconds = self._config.request_seconds
        return Register(
            RegisterParts(
                terminal=self._terminal,
                prices=self._prices,
                journal=self._journal,
                requests=RequestMaker(self._terminal, seconds, now_us, os.urandom),
                board=board,
                desk=desk,
                events=self._events,
                phone_wanted=self._phone_wanted,
                now_us=now_us,
            )
        )

    async def _read_scanner(
        self, scanner: Scanner, register: Register, board: DisplayBoard
    ) -> None:
        while True:
            try:
                async for line in scanner.lines():
                    register.on_line(line)
            except DeviceLost as lost:
                board.set_notice(scanner.name, _UNPLUGGED)
                await wait_until_back(scanner, lost, self._events)
                board.set_notice(scanner.name, None)


def _open(stack: contextlib.AsyncExitStack, device: Device) -> None:
    device.open()
    stack.callback(device.close)


async def _run_until(stop: asyncio.Event, *loops: Coroutine[Any, Any, None]) -> None:
    """Run loops that never end until the stop; if one fails, all stop and its error is raised."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            task.result()
    finally:
        for task in (stopping, *tasks):
            task.cancel()
        await asyncio.gather(stopping, *tasks, return_exceptions=True)

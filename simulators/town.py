"""The town: a switch, a register and phones as processes of their own, with simulated hardware.

`kessai demo` lets it run through the scenes of `town_story.py`, or lets a person play
(`town_interactive.py`). Everything crosses its real wire: the radio through nfcpy, bar codes,
display and paper through serial lines, payments through gRPC with mutual TLS. The town only
watches.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kessai.complaint import Complaint
from kessai.device_identity import load_identity
from kessai.request_id import new_request_id
from kessai.v1 import device_pb2
from server.data_folder import read_running
from simulators.devices.display import SimulatedDisplay
from simulators.devices.paper_roll import Printed
from simulators.devices.printer import SimulatedPrinter
from simulators.devices.scanner import SimulatedScanner
from simulators.phone.screen import Screen
from simulators.town_ledger import LedgerWatch, Operator
from simulators.town_processes import Process, run
from simulators.town_stage import Movement, Stage

CURRENCY = "EUR"
MERCHANT, SHOP, TERMINAL = "corner-shop", "Corner Shop", "till-1"
PIN = "4711"

Event = dict[str, Any]

# What the register may say to a key of the cashier's.
_ANSWERS = (
    "waiting_for_tap",
    "sale_cleared",
    "key_refused",
    "item_removed",
    "receipt_printed",
    "receipt_waits",
)

START_LIMIT_S = 20.0
EVENT_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Resident:
    """Somebody with a phone and an account."""

    name: str
    account_number: str
    folder: Path


class Town:
    """Runs while it is entered; `stage` shows it. `on_step` is told of every step in words."""

    def __init__(self, folder: Path, on_step: Callable[[str], None]) -> None:
        self._folder, self._on_step = folder, on_step
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self.residents: dict[str, Resident] = {}
        self.movements: list[Movement] = []

    def open(self, cash: dict[str, int]) -> None:
        """Start everything; `cash` is what each resident pays in, minor units."""
        lines = self._folder / "lines"
        self.scanner = SimulatedScanner(lines / "scanner")
        self.display = SimulatedDisplay(lines / "display")
        self.printer = SimulatedPrinter(lines / "printer")
        self.stage = Stage(self.display)
        self._start_switch()
        self._settle_in(cash)
        self._start_register()

    def close(self) -> None:
        """Stop everything, the switch last, and check that it stopped cleanly."""
        for name in ("_watch", "_register", "scanner", "display", "printer", "operator"):
            part = getattr(self, name, None)
            if part is not None:
                (part.stop if isinstance(part, Process) else part.close)()
        switch = getattr(self, "_switch", None)
        if switch is not None:
            switch.stop()

    def scan(self, code: str, name: str) -> None:
        """Let the cashier scan a code, and wait until the register has taken it in."""
        self.stage.scans.append(name)
        self._on_step(f"scanner: {name}")
        wanted = {
            "%PAY": ("waiting_for_tap",),
            "%CANCEL": ("sale_cleared", "key_refused"),
        }.get(code, ("item_scanned", "goods_unknown", "code_unreadable", "key_refused"))
        self.expect(*wanted, after=lambda: self.scanner.scan(code))

    def press(self, code: str, name: str) -> None:
        """Let the cashier press a key, whatever comes of it."""
        self.stage.scans.append(name)
        self.expect(*_ANSWERS, after=lambda: self.scanner.scan(code))

    @property
    def is_waiting_for_phone(self) -> bool:
        """Tell whether the register asked for a phone last."""
        return str(self._events[-1]["event"]) == "waiting_for_tap"

    def expect(self, *names: str, after: Callable[[], object]) -> Event:
        """Do something, then wait until the register tells of one of these events."""
        with self._changed:
            seen = len(self._events)
        after()
        with self._changed:
            found = self._changed.wait_for(lambda: self._find(names, seen), EVENT_LIMIT_S)
        if found is None:
            raise Complaint(f"the register did not say {' or '.join(names)} within 20 s")
        return found

    def tap(self, name: str, *words: str, events: bool = True) -> Process:
        """Bring somebody's phone into the field, as a process."""
        resident = self.residents[name]
        command = ["phone", "tap", "--folder", str(resident.folder), "--field", self.field, *words]
        self.stage.phone_of = name
        return Process(
            [*command, "--events"] if events else command,
            self._folder / f"{name}.log",
            self._on_phone,
        )

    def slips(self, count: int) -> list[list[Printed]]:
        """Wait until so many receipts were printed."""
        slips = self.printer.wait_for_slips(count)
        self.stage.slip = slips[-1]
        return slips

    def balance(self, number: str) -> int:
        """Ask the switch for a balance, minor units."""
        return self.operator.entries(number).account.balance.amount_minor

    @property
    def data(self) -> Path:
        """The switch's data folder."""
        return self._folder / "switch"

    def _start_switch(self) -> None:
        free = "127.0.0.1:0"
        run("init", "--data", str(self.data), "--domain", "town.example", "--listen", free,
            "--pairing-listen", free, "--metrics-listen", free)  # fmt: skip
        self._switch = Process(["serve", "--data", str(self.data)], self._folder / "switch.log")
        deadline = time.monotonic() + START_LIMIT_S
        while (running := read_running(self.data)) is None:
            if not self._switch.is_running or time.monotonic() > deadline:
                raise Complaint(f"the switch did not start: {self._log_of('switch')}")
            time.sleep(0.02)
        self._on_step(f"switch: serves on {running.address}")
        identity = load_identity(self.data / "operator")
        self.operator = Operator(
            replace(identity, server_address=running.address),
            lambda: new_request_id(time.time_ns() // 1_000_000, os.urandom),
        )

    def _settle_in(self, cash: dict[str, int]) -> None:
        self.shop_account = self.operator.open_account(f"merchant/{MERCHANT}", CURRENCY, 0)
        self.operator.create_merchant(MERCHANT, SHOP, self.shop_account)
        names = {self.shop_account: SHOP}
        for name, minor in cash.items():
            number = self.operator.open_account(f"wallet/{name.lower()}", CURRENCY, minor)
            names[number] = name
            self.residents[name] = Resident(name, number, self._folder / name.lower())
        self._watch = LedgerWatch(self.operator, names, self._on_movement)
        for resident in self.residents.values():
            phone = device_pb2.PhonePairing(
                wallet_id=resident.name.lower(),
                device_id="phone",
                account_numbers=[resident.account_number],
            )
            uri = self.operator.pair(device_pb2.CreatePairingCodeRequest(phone=phone))
            run("phone", "pair", "--folder", str(resident.folder), "--pin", PIN, uri)
            self._on_step(f"phone: {resident.name}'s is paired")

    def _start_register(self) -> None:
        till = self._folder / "register"
        terminal = device_pb2.TerminalPairing(merchant_id=MERCHANT, terminal_id=TERMINAL)
        uri = self.operator.pair(device_pb2.CreatePairingCodeRequest(terminal=terminal))
        run("agent", "pair", "--folder", str(till), uri)
        self.field = f"udp:127.0.0.1:{free_udp_port()}"
        words = ["agent", "register", "--events", "--folder", str(till), "--reader", self.field]
        for device in ("scanner", "display", "printer"):
            words += [f"--{device}", str(self._folder / "lines" / device)]

        def start() -> None:
            self._register = Process(words, self._folder / "register.log", self._on_register)

        try:
            self.expect("started", after=start)
        except Complaint:
            raise Complaint(f"the register did not start: {self._log_of('register')}") from None
        self._on_step(f"register: {SHOP}, {TERMINAL} is open")

    def _log_of(self, name: str) -> str:
        log = self._folder / f"{name}.log"
        return log.read_text().strip()[-300:] if log.exists() else "it printed nothing"

    def _find(self, names: tuple[str, ...], seen: int) -> Event | None:
        return next((event for event in self._events[seen:] if event["event"] in names), None)

    def _on_register(self, line: str) -> None:
        event: Event = json.loads(line)
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()
        if event["event"] not in ("item_scanned", "started", "stopped"):
            step = event["event"].replace("_", " ")
            self.stage.steps.append(step)
            self._on_step(f"register: {step}")

    def _on_phone(self, line: str) -> None:
        self.stage.phone = screen = Screen.from_json(line)
        self._on_step(
            f"{self.stage.phone_of}'s phone: {screen.view.value} {screen.message}".strip()
        )

    def _on_movement(self, movement: Movement) -> None:
        self.movements.append(movement)
        self.stage.movements.append(movement)
        self._on_step(
            f"ledger: {movement.account} {movement.amount} (balance {movement.balance}), "
            f"{movement.what} with {movement.counterparty}"
        )


def free_udp_port() -> int:
    """Find a UDP port on 127.0.0.1 that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

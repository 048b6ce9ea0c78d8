"""The town: a switch, and people with accounts and phones; places are opened in it.

`kessai demo` plays scenes in it (`town_story.py`), or lets a person play (`town_interactive.py`).
Every place is an agent of its own (`town_place.py`), every phone a process. Everything crosses its
real wire: the radio through nfcpy, devices through serial lines, payments through gRPC with mutual
TLS. The town only watches.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kessai.complaint import Complaint
from kessai.device_identity import load_identity
from kessai.money import Money
from kessai.request_id import new_request_id
from kessai.v1 import device_pb2
from server.data_folder import read_running
from simulators.phone.screen import Screen
from simulators.town_ledger import LedgerWatch, Operator
from simulators.town_processes import Process, run
from simulators.town_stage import Movement, Stage

CURRENCY = "EUR"
PIN = "4711"
# What the phones of the town pay without their PIN, where the merchant allows it.
WITHOUT_PIN = "10.00 EUR"

START_LIMIT_S = 60.0
BALANCE_LIMIT_S = 60.0

# Below those that Linux gives to whoever asks for any, as every reader does: from 32,768.
_FIELD_PORTS = range(20_000, 32_000)


@dataclass(frozen=True, slots=True)
class Resident:
    """Somebody with a phone and an account."""

    name: str
    account_number: str
    folder: Path


class Town:
    """Runs from `open` to `close`; `stage` shows it. `on_step` is told of every step in words."""

    def __init__(self, folder: Path, on_step: Callable[[str], None]) -> None:
        self.folder, self.on_step = folder, on_step
        self.stage = Stage()
        self.residents: dict[str, Resident] = {}
        self.accounts: dict[str, str] = {}
        self.movements: list[Movement] = []
        self._phones: list[Process] = []

    @property
    def data(self) -> Path:
        """The switch's data folder."""
        return self.folder / "switch"

    def open(self, cash: dict[str, int]) -> None:
        """Start the switch and let people settle in; `cash` is what each pays in, minor units."""
        free = "127.0.0.1:0"
        run("init", "--data", str(self.data), "--domain", "town.example", "--listen", free,
            "--pairing-listen", free, "--metrics-listen", free)  # fmt: skip
        address = self.start_switch()
        identity = load_identity(self.data / "operator")
        self.operator = Operator(
            replace(identity, server_address=address),
            lambda: new_request_id(time.time_ns() // 1_000_000, os.urandom),
        )
        self._watch = LedgerWatch(self.operator, self._on_movement)
        for name, minor in cash.items():
            self._settle_in(name, minor)
        with ThreadPoolExecutor(len(cash)) as pool:
            list(pool.map(self._pair_phone, cash))

    def close(self) -> None:
        """Stop everything, the switch last."""
        for phone in self._phones:
            phone.stop()
        for name in ("_watch", "operator"):
            part = getattr(self, name, None)
            if part is not None:
                part.close()
        switch = getattr(self, "_switch", None)
        if switch is not None:
            switch.stop()

    def start_switch(self, address: str = "") -> str:
        """Start the switch, at the address that it had before if there is one; its address."""
        environment = {"KESSAI_LISTEN": address} if address else {}
        words = ["serve", "--data", str(self.data)]
        self._switch = Process(words, self.folder / "switch.log", environment=environment)
        deadline = time.monotonic() + START_LIMIT_S
        while (running := read_running(self.data)) is None:
            if not self._switch.is_running or time.monotonic() > deadline:
                raise Complaint(f"the switch did not start: {self.log_of('switch')}")
            time.sleep(0.02)
        self.on_step(f"switch: serves on {running.address}")
        self._address = running.address
        return running.address

    def kill_switch(self) -> None:
        """End the switch with SIGKILL: nobody can reach it."""
        self._switch.kill()
        self.on_step("switch: killed")

    def restart_switch(self) -> None:
        """Start the killed switch again, where it was."""
        self.start_switch(self._address)

    def merchant(
        self, merchant_id: str, name: str, category: str, unverified_limit: Money | None = None
    ) -> None:
        """Let a merchant open for business, with an account under its name."""
        number = self.operator.open_account(f"merchant/{merchant_id}", CURRENCY, 0)
        self.operator.create_merchant(merchant_id, name, number, category, unverified_limit)
        self._follow(name, number)

    def pair_terminal(self, merchant_id: str, terminal_id: str) -> Path:
        """Pair an agent of a merchant; its folder."""
        terminal = device_pb2.TerminalPairing(merchant_id=merchant_id, terminal_id=terminal_id)
        return self._pair(terminal_id, device_pb2.CreatePairingCodeRequest(terminal=terminal))

    def pair_relay(self, fleet_id: str, merchant_id: str) -> Path:
        """Pair the server of a fleet, for a merchant's machines; its folder."""
        relay = device_pb2.RelayPairing(fleet_id=fleet_id, merchant_ids=[merchant_id])
        return self._pair(f"fleet-{fleet_id}", device_pb2.CreatePairingCodeRequest(relay=relay))

    def phone(self, name: str, command: str, *words: str) -> Process:
        """Somebody's phone that does something at its cue, and shows its screen on the stage."""
        resident = self.residents[name]
        line = ["phone", command, "--folder", str(resident.folder), *words, "--events", "--on-cue"]

        def show(page: str) -> None:
            screen = Screen.from_json(page)
            self.stage.show_phone(name, screen)
            self.on_step(f"{name}'s phone: {screen.view.value} {screen.message}".strip())

        process = Process(line, self.folder / f"{name}.log", show, says=PIN, on_cue=True)
        self._phones.append(process)
        return process

    def balance(self, name: str) -> int:
        """Ask the switch for the balance of a person or merchant, minor units."""
        return self.operator.entries(self.accounts[name]).account.balance.amount_minor

    def require_balance(self, name: str, minor: int) -> None:
        """Wait until an account holds an amount; Complaint if it does not come to that."""
        deadline = time.monotonic() + BALANCE_LIMIT_S
        while (has := self.balance(name)) != minor:
            if time.monotonic() > deadline:
                raise Complaint(f"{name} has {has} minor units, must have {minor}")
            time.sleep(0.05)

    def log_of(self, name: str) -> str:
        """Give the last words of a process."""
        log = self.folder / f"{name}.log"
        return log.read_text().strip()[-300:] if log.exists() else "it printed nothing"

    def _pair(self, name: str, request: device_pb2.CreatePairingCodeRequest) -> Path:
        folder = self.folder / name
        run("agent", "pair", "--folder", str(folder), says=self.operator.pair(request))
        return folder

    def _settle_in(self, name: str, cash_minor: int) -> None:
        number = self.operator.open_account(f"wallet/{name.lower()}", CURRENCY, cash_minor)
        folder = self.folder / name.lower()
        self.residents[name] = Resident(name, number, folder)
        self._follow(name, number)

    def _pair_phone(self, name: str) -> None:
        folder, number = self.residents[name].folder, self.residents[name].account_number
        phone = device_pb2.PhonePairing(
            wallet_id=name.lower(), device_id="phone", account_numbers=[number], display_name=name
        )
        uri = self.operator.pair(device_pb2.CreatePairingCodeRequest(phone=phone))
        run("phone", "pair", "--folder", str(folder), says=f"{uri}\n{PIN}\n")
        run("phone", "without-pin", "--folder", str(folder), WITHOUT_PIN, says=PIN)
        self.on_step(f"phone: {name}'s is paired")

    def _follow(self, name: str, number: str) -> None:
        self.accounts[name] = number
        self._watch.follow(name, number)

    def _on_movement(self, movement: Movement) -> None:
        self.movements.append(movement)
        self.stage.movements.append(movement)
        self.on_step(
            f"ledger: {movement.account} {movement.amount} (balance {movement.balance}), "
            f"{movement.what} with {movement.counterparty}"
        )


def free_udp_port() -> int:
    """Find a UDP port on 127.0.0.1 that nobody has, and that nobody is given by chance later."""
    while True:
        port = secrets.choice(_FIELD_PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port

"""A railway with real processes: a switch, gates with simulated barriers, passengers with phones.

For the scenarios of row B4. `Railway` is the world, `Gate` one gate of it, `Passenger` somebody
with an account and a phone. The line is the sample feed; its carrier lets small fares pass without
a PIN.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edge_agents.deny_list import CREDENTIAL, DenyList
from edge_agents.gate.admission import write_admission
from edge_agents.gate.config import SAMPLE_FEED
from edge_agents.journal import Entry, read_journal
from edge_agents.terminal import open_terminal
from kessai.device_identity import load_identity
from kessai.money import Money
from kessai.request_id import new_request_id
from kessai.v1.envelope_pb2 import Signed
from simulators.devices.barrier import SimulatedBarrier
from simulators.devices.display import SimulatedDisplay
from simulators.phone.admissions import FILE_NAME, Admissions, Ride
from simulators.phone.customer import Approving, Customer
from simulators.phone.field import open_field
from simulators.phone.holder_key import HolderKey
from simulators.phone.misbehaviour import HONEST, Misbehaviour
from simulators.phone.phone import Phone
from simulators.phone.screen import Screen
from simulators.phone.vault import Vault
from tests.pairing import pair_agent, pair_phone
from tests.running import RunningSwitch, kessai
from tests.scenarios.following import Followed, Step
from tests.scenarios.radios import Radio

MERCHANT, CARRIER = "harbour-line", "Harbour Line"
PIN = "4711"
SMALL = Money(1000, "EUR")
STAY_S = 20.0
# Long enough for a reader to be sure that the last phone has gone.
FARE = 320


@dataclass
class Passenger:
    """Somebody with an account and a phone."""

    name: str
    account: str
    folder: Path
    pages: list[Screen] = field(default_factory=list)

    def tap(
        self,
        gate: Gate,
        does: Misbehaviour = HONEST,
        customer: Customer | None = None,
        stay_s: float = STAY_S,
    ) -> Screen:
        """Hold the phone to a gate's reader until it shows how it ended; the last page."""
        phone = Phone(
            self.folder, customer or Approving(PIN), self.pages.append, does, linger_s=0.05
        )
        held = open_field(gate.reader)
        try:
            return phone.tap(held, stay_s)
        finally:
            held.close()
            phone.close()

    def rides(self) -> list[Ride]:
        """List the rides in the phone, newest first."""
        with closing(Admissions(self.folder)) as admissions:
            return admissions.history()

    def change_rides(self, statement: str, *values: object) -> None:
        """Change what the phone keeps, behind its back."""
        with closing(sqlite3.connect(self.folder / FILE_NAME)) as db, db:
            db.execute(statement, values)

    def reopen_rides(self) -> None:
        """Forget that rides are over, as a phone does that missed it, or a dishonest one."""
        self.change_rides("UPDATE ride SET exit_note = NULL")

    def take_admission(self, folder: Path, station: str, age_s: int = 0) -> None:
        """Put an admission into the phone that a gate's own key signed, some seconds ago."""
        terminal = open_terminal(folder, load_identity(folder))
        holder = HolderKey(self.folder, terminal.switch_key).holder
        assert holder is not None
        now_us = time.time_ns() // 1000 - age_s * 1_000_000
        ride = new_request_id(now_us // 1000, os.urandom)
        until_us = now_us + 3600 * 1_000_000
        admission, signed = write_admission(ride, holder, station, 0, now_us, until_us, terminal)
        with closing(Admissions(self.folder)) as admissions:
            admissions.keep(admission, signed, terminal.merchant_certificate)


class Gate:
    """One gate: its process, its barrier and display, and the field of its reader."""

    def __init__(self, folder: Path, reader: str, settings: str) -> None:
        """Plug the devices in; `settings` are lines of its config."""
        self.folder, self.reader = folder, reader
        self.barrier = SimulatedBarrier(folder / "lines" / "barrier")
        self.display = SimulatedDisplay(folder / "lines" / "display")
        self._running: Followed | None = None
        lines = [f'reader = "{reader}"', f'folder = "{folder}"', settings]
        lines += [f'{name} = "{folder}/lines/{name}"' for name in ("barrier", "display")]
        (folder / "gate.toml").write_text("\n".join(lines) + "\n")

    @property
    def steps(self) -> Followed:
        """The process, with what it tells."""
        assert self._running is not None
        return self._running

    def start(self) -> None:
        """Run it, for the first time or again."""
        command = ["agent", "gate", "--events", "--config", str(self.folder / "gate.toml")]
        self._running = Followed(command, self.folder / "gate.log", "event")
        self.steps.next("started")
        self.display.wait_for("Tap to")

    def let_through(self, passenger: Passenger, does: Misbehaviour = HONEST) -> Screen:
        """Let a passenger tap and walk; the last page of the phone."""
        walker = threading.Thread(target=self.walk, daemon=True)
        walker.start()
        page = passenger.tap(self, does)
        self.steps.next("passed")
        walker.join(STAY_S)
        self.barrier.wait_until_shut()
        return page

    def walk(self, persons: int = 1) -> None:
        """Walk through as soon as it opens."""
        self.barrier.wait_until_open()
        assert self.barrier.walk_through(persons)

    def turn_away(self, passenger: Passenger, reason: str, does: Misbehaviour = HONEST) -> Screen:
        """Let a passenger tap who is refused: the gate says why, and stays shut."""
        openings = self.barrier.openings
        page = passenger.tap(self, does)
        refusal = self.refusal()
        assert refusal["reason"] == reason, (refusal, page)
        assert self.barrier.openings == openings
        return page

    def wait_until_denied(self, passenger: Passenger) -> None:
        """Wait until the gate's own deny list has a passenger's credential."""
        holder = HolderKey(passenger.folder, load_identity(self.folder).switch_key).holder
        assert holder is not None
        deadline = time.monotonic() + STAY_S
        while time.monotonic() < deadline:
            with closing(DenyList(self.folder)) as denied:
                if denied.is_denied(CREDENTIAL, holder.credential_id):
                    return
            time.sleep(0.05)
        raise TimeoutError("the deny list does not come")

    def refusal(self) -> Step:
        """Wait for the next refusal."""
        return self.steps.next("refused")

    def journal(self) -> list[Entry]:
        """Read its payments, newest first."""
        return read_journal(self.folder)

    def kill(self) -> None:
        """End its process with SIGKILL."""
        if self._running is not None:
            self._running.kill()

    def close(self) -> None:
        """Stop it, and unplug the devices."""
        try:
            if self._running is not None and self._running.is_running:
                assert self._running.stop() == 0
        finally:
            self.kill()
            self.barrier.close()
            self.display.close()


class Railway:
    """The world of a scenario: a switch, a carrier, and who comes."""

    def __init__(self, folder: Path) -> None:
        """Start a switch with one carrier."""
        self.folder = folder
        self.switch = RunningSwitch.start(folder / "switch", 2)
        self._number = itertools.count(1)
        self._gates: list[Gate] = []
        self.account = self.switch.open_account(f"merchant/{MERCHANT}", next(self._number))
        self.switch.create_merchant(MERCHANT, CARRIER, self.account, "4111", SMALL)

    def gate(self, radio: Radio, direction: str, station: str, settings: str = "") -> Gate:
        """Pair and start a gate."""
        name = f"{direction}-{station}-{next(self._number)}"
        folder = self.folder / name
        pair_agent(folder, self.switch.pair_terminal(MERCHANT, name))
        settings = f'direction = "{direction}"\nstation = "{station}"\n{settings}'
        gate = Gate(folder, radio.reader(), settings)
        self._gates.append(gate)
        gate.start()
        return gate

    def require_balance(self, minimum: str) -> None:
        """Say what an account must hold to enter, as the operator does."""
        kessai("merchant", "minimum-balance", MERCHANT, minimum, "--data", str(self.switch.folder))

    def pair_other_carrier(self, folder: Path) -> None:
        """Pair a gate of another carrier."""
        account = self.switch.open_account("merchant/other-line", next(self._number))
        self.switch.create_merchant("other-line", "Other Line", account, "4111", SMALL)
        uri = self.switch.pair_terminal("other-line", "gate-1")
        pair_agent(folder, uri)

    def passenger(self, name: str, cash: int) -> Passenger:
        """Let somebody open an account, pay cash in, and pair a phone that pays small sums."""
        number = next(self._number)
        name = f"{name}-{number}"
        account = self.switch.open_account(f"wallet/{name}", number, cash)
        folder = self.folder / name
        uri = self.switch.pair_phone(name, name, account)
        pair_phone(folder, PIN, uri)
        Vault(folder).allow_small(PIN, SMALL, os.urandom)
        return Passenger(name, account, folder)

    def balance(self, passenger: Passenger) -> int:
        """Tell what a passenger has, minor units."""
        return self.switch.balance(passenger.account)

    def close(self) -> None:
        """Stop everything, and verify the books; whatever happens, nothing goes on."""
        try:
            for gate in self._gates:
                gate.close()
            self.switch.verify()
            self.switch.stop()
        finally:
            for gate in self._gates:
                gate.kill()
            self.switch.kill()


def write_transfer_feed(folder: Path) -> str:
    """Write the line's feed with transfers into a folder: what gates set to use it.

    From a ride in the city to another one free, once; and 1.00 less to the airport.
    """
    feed = shutil.copytree(SAMPLE_FEED, folder / "feed")
    (feed / "fare_transfer_rules.txt").write_text(
        "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,"
        "fare_transfer_type,fare_product_id\n"
        "inner,inner,1,5400,1,0,\n"
        "inner,to_airport,,3600,1,1,off\n"
    )
    with (feed / "fare_products.txt").open("a") as products:
        products.write("off,Transfer,,,-1.00,EUR\n")
    return f'feed = "{feed}"'


def forge_station(signed: Signed) -> bytes:
    """Change where an admission says that its holder entered; serialised."""
    forged = Signed.FromString(signed.SerializeToString())
    forged.payload = forged.payload.replace(b"harbour\x2a", b"central\x2a")
    assert forged.payload != signed.payload
    return forged.SerializeToString()

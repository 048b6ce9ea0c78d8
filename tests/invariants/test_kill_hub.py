"""SIGKILL at a venue with two doors, one of them the hub that counts for both: in once a ticket.

The holder taps at either door, sometimes with the switch out of reach. Whoever is killed starts
again, and the holder goes from door to door until he is in. Then both doors turn him away, and the
switch hears of one entry. If a door was killed between its note and the lock's answer, or its lock
does not answer, nobody can know whether it was opened: it says so, and the entry counts.
KESSAI_KILLS says how many kills, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.town import free_udp_port
from tests.invariants.kill_cases import cases, kills
from tests.invariants.kill_table import UNSURE, WHOLE, KillTable
from tests.scenarios.following import Followed
from tests.scenarios.shop import Customer, Shop
from tests.scenarios.venue import PRICE, EntranceAgent, Venue

KILLS = kills(1)
SCENE = "hub of two doors"
LIMIT_S = 60.0
VICTIMS = ("hub", "door", "phone", "switch")
# The step of the door that is tapped at after which the kill comes, and within how many seconds.
WINDOWS = (
    ("tap", 1.0),
    ("phone_seen", 0.03),
    ("admitted", 0.3),
    ("passed", 0.05),
)


class Doors:
    """Two doors of a venue: the hall's agent is the hub."""

    def __init__(self, venue: Venue) -> None:
        self.venue, self.persons_before = venue, 0
        self.hall = venue.entrance("hall", f"udp:127.0.0.1:{free_udp_port()}")
        self.side = venue.entrance("side", f"udp:127.0.0.1:{free_udp_port()}")
        self._hub = f"127.0.0.1:{free_udp_port()}"
        for door in (self.hall, self.side):
            self.start(door)
            door.steps.latest("in_touch", since="started")

    def start(self, door: EntranceAgent) -> None:
        """Start a door's agent."""
        if door is self.hall:
            door.start("--hub-listen", self._hub)
        else:
            door.start("--hub", self._hub, "--hub-terminal", "hall")

    def kill(self, door: EntranceAgent) -> None:
        """Kill a door's agent, and start it again."""
        door.kill()
        self.start(door)

    @property
    def persons_in(self) -> int:
        """Count who went in, by either door."""
        return self.hall.door.view.persons + self.side.door.view.persons


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[Doors]:
    """Give a venue with two doors whose books verify at the end."""
    venue = Venue(Shop(tmp_path))
    try:
        yield Doors(venue)
    finally:
        venue.close()
        venue.shop.close()


@pytest.mark.timeout(120 + 60 * KILLS)
def test_one_entry_a_ticket_at_all_doors(
    doors: Doors, random_seed: int, kill_table: KillTable
) -> None:
    """Whoever is killed, whenever: in once, by one door, told once, paid once."""
    dice = random.Random(random_seed)
    shop = doors.venue.shop
    kill_table.expect(SCENE, (step for step, _ in WINDOWS))
    for victim, (step, seconds) in itertools.islice(cases(dice, VICTIMS, WINDOWS), KILLS):
        holder = shop.customer("holder", PRICE, shard=1)
        ticket, doors.persons_before = doors.venue.sell(holder), doors.persons_in
        is_cut_off = victim == "switch" or dice.random() < 0.3
        if is_cut_off:
            shop.switch.kill()
        first, second = dice.sample((doors.hall, doors.side), 2)
        first.steps.skip()
        phone = first.tap(holder)
        if step != "tap":
            first.steps.next(step)
        time.sleep(dice.uniform(0, seconds))  # the kill comes at a random moment
        _kill(doors, first, phone, victim)
        went_in = _go_in(doors, first, holder, ticket)
        assert _show(second, holder) == "TICKET_USED"
        assert doors.persons_in - doors.persons_before == went_in
        if is_cut_off:
            shop.switch.restart()
        doors.venue.wait_until_told(ticket, 1)
        kill_table.add(SCENE, victim, step, WHOLE if went_in else UNSURE)
    shop.switch.verify()
    assert shop.earned() == KILLS * PRICE


def _kill(doors: Doors, door: EntranceAgent, phone: Followed, victim: str) -> None:
    if victim == "hub":
        doors.kill(doors.hall)
    elif victim == "door":
        doors.kill(door)
    phone.kill()


def _go_in(doors: Doors, door: EntranceAgent, holder: Customer, ticket: bytes) -> int:
    """Tap until the ticket is used, by an entry or by one that its door cannot be sure of."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if _show(door, holder) != "TICKET_USED":
            continue
        went_in = doors.persons_in - doors.persons_before
        assert went_in <= 1
        if went_in or door.is_unsure_of(ticket):
            return went_in
        # The hub still counts what the door is about to give back.
    raise AssertionError(f"neither in nor told why not: {door.steps.names}")


def _show(door: EntranceAgent, holder: Customer) -> str:
    """Hold the phone to a door when it is shut: why it was turned away, or nothing."""
    door.door.wait_for(lambda view: not view.stands_open)
    phone = door.tap(holder)
    shown = phone.next("welcome", "turned-away", "not-read", timeout_s=40)
    phone.kill()
    return str(shown.get("reason", ""))

"""SIGKILL of an entrance, a phone or the switch while somebody goes in: once for one ticket.

After every kill the killed process starts again, and the holder taps until he is in, or is told
that his ticket was used. He was let in at most once, and the switch hears of one entry. If the
entrance was killed between its note and the door's answer, or the door's reader does not answer,
nobody can know whether the door was opened: it says so, and the entry counts.
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

KILLS = kills(2)
MOST_TAPS = 5
SCENE = "entrance"
VICTIMS = ("entrance", "phone", "switch")
# The step after which the kill comes, and within how many seconds.
WINDOWS = (
    ("tap", 1.0),
    ("phone_seen", 0.03),
    ("admitted", 0.3),
    ("passed", 0.05),
)


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    """Give a venue whose books verify at the end."""
    opened = Venue(Shop(tmp_path))
    yield opened
    opened.close()
    opened.shop.close()


@pytest.mark.timeout(120 + 45 * KILLS)
def test_one_entry_a_ticket(venue: Venue, random_seed: int, kill_table: KillTable) -> None:
    """Whoever is killed, whenever: in once, told once, paid once."""
    dice = random.Random(random_seed)
    door = venue.entrance("door-1", f"udp:127.0.0.1:{free_udp_port()}")
    door.start()
    kill_table.expect(SCENE, (step for step, _ in WINDOWS))
    for victim, (step, seconds) in itertools.islice(cases(dice, VICTIMS, WINDOWS), KILLS):
        holder = venue.shop.customer("holder", PRICE, shard=1)
        ticket = venue.sell(holder)
        before = door.door.view.persons
        door.steps.skip()
        phone = door.tap(holder)
        if step != "tap":
            door.steps.next(step)
        time.sleep(dice.uniform(0, seconds))  # the kill comes at a random moment
        _kill(venue, door, phone, victim)
        _tap_until_used(door, holder)
        went_in = door.door.view.persons - before
        assert went_in <= 1
        assert went_in == 1 or door.is_unsure_of(ticket)
        venue.wait_until_told(ticket, 1)
        kill_table.add(SCENE, victim, step, WHOLE if went_in else UNSURE)
    venue.shop.switch.verify()
    assert venue.shop.earned() == KILLS * PRICE


def _kill(venue: Venue, door: EntranceAgent, phone: Followed, victim: str) -> None:
    if victim == "switch":
        venue.shop.switch.kill()
        venue.shop.switch.restart()
    elif victim == "entrance":
        door.kill()
        door.start()
    phone.kill()


def _tap_until_used(door: EntranceAgent, holder: Customer) -> None:
    """Tap until the ticket is used: by then somebody was let in, or it counts so."""
    for _ in range(MOST_TAPS):
        phone = door.tap(holder)
        shown = phone.next("welcome", "turned-away", "not-read", timeout_s=40)
        phone.kill()
        if shown.get("reason") == "TICKET_USED":
            return
        door.door.wait_for(lambda view: not view.stands_open)
    raise AssertionError(f"not in after {MOST_TAPS} taps: {door.steps.names}")

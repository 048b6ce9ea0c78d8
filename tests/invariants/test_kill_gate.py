"""SIGKILL of a gate or the switch at random moments of rides: one fare each, and out in the end.

KESSAI_KILLS says how many kills, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.invariants.kill_cases import kills
from tests.invariants.kill_table import WHOLE, KillTable
from tests.scenarios.radios import Nfc
from tests.scenarios.railway import FARE, Gate, Passenger, Railway

KILLS = kills(2)
TAKE_S = 1.2
# How long phone and rider wait at the gate: it starts again meanwhile.
STAY_S = 3
# A ride takes a few taps at most: killed, told to wait, then out.
MOST_TAPS = 6


@dataclass(frozen=True)
class _Kill:
    """Who is killed, so many seconds after the phone was brought, and how he is started again."""

    kill: Callable[[], None]
    start_again: Callable[[], None]
    after_s: float

    def begin(self) -> threading.Timer:
        """Let it happen while the phone is still there."""
        timer = threading.Timer(self.after_s, self._happen)
        timer.start()
        return timer

    def _happen(self) -> None:
        self.kill()
        self.start_again()


@pytest.fixture
def railway(tmp_path: Path) -> Iterator[Railway]:
    """Give a railway whose books verify at the end."""
    opened = Railway(tmp_path)
    yield opened
    opened.close()


@pytest.mark.timeout(60 + 20 * KILLS)
def test_one_fare_a_ride_whatever_is_killed(
    railway: Railway, tmp_path: Path, random_seed: int, kill_table: KillTable
) -> None:
    """In and out again and again, with a kill in every ride; no fare is lost or doubled."""
    dice = random.Random(random_seed)
    nfc = Nfc(tmp_path)
    entry = railway.gate(nfc, "entry", "harbour", "passback_seconds = 0")
    leave = railway.gate(nfc, "exit", "airport", "open_seconds = 1")
    rider = railway.passenger("rider", 10_000_00)
    for number, victim in enumerate(itertools.islice(_victims(dice), KILLS)):
        what = f"ride {number}"
        delay_s = dice.uniform(0, TAKE_S)
        entering = _Kill(entry.kill, entry.start, delay_s) if victim == "entry" else None
        _pass(entry, rider, entering, what)
        leaving = {
            "exit": _Kill(leave.kill, leave.start, delay_s),
            "switch": _Kill(railway.switch.kill, railway.switch.restart, delay_s),
        }.get(victim)
        _pass(leave, rider, leaving, what)
        kill_table.add("gate", victim, WHOLE)
    settled = railway.balance(rider)
    assert settled == 10_000_00 - KILLS * FARE


def _pass(gate: Gate, rider: Passenger, kill: _Kill | None, what: str) -> None:
    """Tap, at first with a kill in the middle, until the barrier let the rider pass."""
    before = gate.barrier.passages
    for _ in range(MOST_TAPS):
        walker = threading.Thread(target=_walk_if_open, args=(gate,), daemon=True)
        walker.start()
        timer = kill.begin() if kill is not None else None
        rider.tap(gate, stay_s=STAY_S)
        walker.join()
        if timer is not None:
            timer.join()
            kill = None
        if gate.barrier.passages > before:
            return
    told = [(step["event"], step.get("reason", "")) for step in gate.steps.told]
    raise AssertionError(f"{what}: nobody got through in {MOST_TAPS} taps: {told}")


def _victims(dice: random.Random) -> Iterator[str]:
    while True:
        yield from dice.sample(("entry", "exit", "switch"), 3)


def _walk_if_open(gate: Gate) -> None:
    try:
        gate.barrier.wait_until_open(STAY_S)
    except TimeoutError:
        return
    gate.barrier.walk_through()

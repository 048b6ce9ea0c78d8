"""SIGKILL of a gate or the switch at random moments of rides: one fare each, and out in the end.

KESSAI_KILLS says how many kills, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.invariants.kill_cases import kills
from tests.invariants.kill_table import WHOLE, KillTable
from tests.scenarios.following import Followed
from tests.scenarios.radios import Nfc
from tests.scenarios.railway import FARE, Gate, Passenger, Railway

KILLS = kills(2)
SCENE = "gate"
# Who is killed, after which step of the gate that is tapped at, and within how many seconds.
CASES = (
    ("entry", "tap", 0.8),
    ("entry", "phone_seen", 0.03),
    ("entry", "admitted", 0.1),
    ("entry", "passed", 0.1),
    ("exit", "tap", 0.8),
    ("exit", "phone_seen", 0.03),
    ("exit", "authorized", 0.02),
    ("exit", "settled", 0.02),
    ("exit", "left", 0.1),
    ("exit", "passed", 0.1),
    ("switch", "tap", 0.8),
    ("switch", "phone_seen", 0.03),
    ("switch", "authorized", 0.02),
    ("switch", "settled", 0.1),
)
# How long phone and rider wait at the gate: it starts again meanwhile.
STAY_S = 3
# A ride takes a few taps at most: killed, told to wait, then out.
MOST_TAPS = 6


@dataclass(frozen=True)
class _Kill:
    """A kill after a step of the gate that is tapped at, and how the victim is started again."""

    kill: Callable[[], None]
    start_again: Callable[[], None]
    step: str
    after_s: float

    def begin(self, gate: Gate) -> threading.Thread:
        """Let it happen while the phone is still there."""
        steps = gate.steps
        steps.skip()
        happening = threading.Thread(target=self._happen, args=(steps,))
        happening.start()
        return happening

    def _happen(self, steps: Followed) -> None:
        if self.step != "tap":
            steps.next(self.step)
        time.sleep(self.after_s)
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
    kill_table.expect(SCENE, (step for _, step, _ in CASES))
    nfc = Nfc(tmp_path)
    entry = railway.gate(nfc, "entry", "harbour", "passback_seconds = 0")
    leave = railway.gate(nfc, "exit", "airport", "open_seconds = 1")
    rider = railway.passenger("rider", 10_000_00)
    for number, case in enumerate(itertools.islice(_cases(dice), KILLS)):
        victim, step, seconds = case
        what = f"ride {number}, {victim} killed after {step}"
        when = step, dice.uniform(0, seconds)
        entering = _Kill(entry.kill, entry.start, *when) if victim == "entry" else None
        _pass(entry, rider, entering, what)
        leaving = {
            "exit": _Kill(leave.kill, leave.start, *when),
            "switch": _Kill(railway.switch.kill, railway.switch.restart, *when),
        }.get(victim)
        _pass(leave, rider, leaving, what)
        kill_table.add(SCENE, victim, step, WHOLE)
    settled = railway.balance(rider)
    assert settled == 10_000_00 - KILLS * FARE


def _pass(gate: Gate, rider: Passenger, kill: _Kill | None, what: str) -> None:
    """Tap, at first with a kill in the middle, until the barrier let the rider pass."""
    before = gate.barrier.passages
    for _ in range(MOST_TAPS):
        walker = threading.Thread(target=_walk_if_open, args=(gate,), daemon=True)
        walker.start()
        killing = kill.begin(gate) if kill is not None else None
        rider.tap(gate, stay_s=STAY_S)
        walker.join()
        if killing is not None:
            killing.join()
            kill = None
        if gate.barrier.passages > before:
            return
    told = [(step["event"], step.get("reason", "")) for step in gate.steps.told]
    raise AssertionError(f"{what}: nobody got through in {MOST_TAPS} taps: {told}")


def _cases(dice: random.Random) -> Iterator[tuple[str, str, float]]:
    while True:
        yield from dice.sample(CASES, len(CASES))


def _walk_if_open(gate: Gate) -> None:
    try:
        gate.barrier.wait_until_open(STAY_S)
    except TimeoutError:
        return
    gate.barrier.walk_through()

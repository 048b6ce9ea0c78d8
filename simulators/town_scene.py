"""What a scene of the town is: a place is opened, something happens, and what it shows is checked.

Played by `town_story.py`; the scenes are in `town_scenes_counter.py` and `town_scenes_street.py`.
"""

from __future__ import annotations

import abc
import time
from collections import Counter
from typing import ClassVar

from kessai.complaint import Complaint
from simulators.phone.screen import View
from simulators.town import Town
from simulators.town_place import Place
from simulators.town_processes import Process
from simulators.town_stage import Line

PHONE_LIMIT_S = 60.0
APPROVE = ("--answer", "approve")


class Scene(abc.ABC):
    """One scene. `moved` counts what each account gained or lost in it, minor units."""

    name: ClassVar[str]
    title: ClassVar[str]
    says: ClassVar[str]

    def __init__(self, town: Town, pace: float) -> None:
        self.town, self._pace = town, pace
        self.line = Line(self.title)
        self.moved: Counter[str] = Counter()
        self.answers_ms: list[float] = []
        self.places: list[Place] = []

    @abc.abstractmethod
    def set_up(self) -> None:
        """Open the places where it plays."""

    @abc.abstractmethod
    def play(self) -> str:
        """Let it happen; what came of it, in words. Complaint if anything did not hold."""

    def close(self) -> None:
        """Close the places again."""
        for place in self.places:
            place.close()

    def pay(self, payer: str, payee: str, minor: int) -> None:
        """Count a payment that must show in the books."""
        self.moved[payer] -= minor
        self.moved[payee] += minor

    def tap(self, name: str, place: Place, *words: str) -> Process:
        """Hold somebody's phone to a place's reader."""
        return self.town.phone(name, "tap", "--field", place.field, *words)

    def tap_until(self, outcome: str, name: str, place: Place, *words: str) -> dict[str, object]:
        """Hold somebody's phone there until the agent tells the outcome, and the phone is done."""
        phones: list[Process] = []
        found = place.expect(outcome, after=lambda: phones.append(self.tap(name, place, *words)))
        phones[0].wait(PHONE_LIMIT_S)
        return found

    def require_phone(self, name: str, view: View) -> None:
        """Complaint unless somebody's phone shows a page."""
        screen = self.town.stage.phones.get(name)
        if screen is None or screen.view is not view:
            shown = screen.view.value if screen else "nothing"
            raise Complaint(f"{name}'s phone shows {shown}, not {view.value}")

    def pause(self, seconds: float) -> None:
        """Give onlookers time."""
        time.sleep(seconds * self._pace)

    def think(self, seconds: float) -> tuple[str, str]:
        """Let a customer take so long to decide, at this pace."""
        return "--think", str(round(seconds * self._pace, 2))


def money(minor: int) -> str:
    """Write an amount of the town's currency."""
    return f"{minor // 100}.{minor % 100:02}"

"""What a scene of the town is: a place is opened, something happens, and what it shows is checked.

Played by `town_story.py`; the scenes are in `town_scenes_counter.py` and `town_scenes_street.py`.
"""

from __future__ import annotations

import abc
import time
from collections import Counter, deque
from typing import ClassVar

from kessai.complaint import Complaint
from simulators.phone.screen import View
from simulators.town import Town
from simulators.town_place import Place
from simulators.town_processes import Process
from simulators.town_stage import Line

PHONE_LIMIT_S = 60.0
APPROVE = ("--answer", "approve")
AGREE = ("--answer", "agree")

# Who comes, to which place, and what the phone does there.
Visit = tuple[str, Place, tuple[str, ...]]


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
        self._phones: deque[Process] = deque()

    @abc.abstractmethod
    def set_up(self) -> None:
        """Open the places where it plays."""

    @abc.abstractmethod
    def visits(self) -> list[Visit]:
        """Whose phones are held to what, in their order."""

    def bring_phones(self) -> None:
        """Let the phones of all visits be switched on; each waits for its cue."""
        for name, place, words in self.visits():
            self._phones.append(self.town.phone(name, "tap", "--field", place.field, *words))

    @abc.abstractmethod
    def play(self) -> str:
        """Let it happen; what came of it, in words. Complaint if anything did not hold."""

    def pay(self, payer: str, payee: str, minor: int) -> None:
        """Count a payment that must show in the books."""
        self.moved[payer] -= minor
        self.moved[payee] += minor

    def close(self) -> None:
        """Close the places again."""
        for place in self.places:
            place.close()

    def next_phone(self) -> Process:
        """The phone of the next visit."""
        return self._phones.popleft()

    def tap_until(self, outcome: str, place: Place) -> dict[str, object]:
        """Hold the next phone there until the agent tells the outcome, and the phone is done."""
        phone = self.next_phone()
        found = place.expect(outcome, after=phone.cue)
        phone.wait(PHONE_LIMIT_S)
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

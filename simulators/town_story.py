"""The story that `kessai demo` tells: scenes one after another, then the books of all of them.

Each scene checks what it shows; the story checks that every account has moved by what the scenes
say. A demo in which anything did not hold ends with a Complaint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest

from simulators import town_hall, town_railway, town_shop, town_snacks
from simulators.town import Town
from simulators.town_scene import Scene
from simulators.town_scenes_counter import CutOff, Register
from simulators.town_scenes_street import Concert, Friends, Ride, Vending

CASH = {"Alice": 10_000, "Bob": 500}
SCENES: tuple[type[Scene], ...] = (Register, Vending, Ride, Friends, Concert, CutOff)


class Story:
    """Plays scenes in a town that is open; `pace` stretches the pauses for onlookers."""

    def __init__(
        self,
        town: Town,
        scenes: Sequence[type[Scene]],
        announce: Callable[[str, str], None],
        pace: float,
    ) -> None:
        self._town, self._announce = town, announce
        self.scenes = [scene(town, pace) for scene in scenes]
        self.moved: Counter[str] = Counter()
        town.stage.lines = [scene.line for scene in self.scenes]

    def set_up(self) -> None:
        """Enter the merchants, and open all places at once."""
        self._town.merchant(town_shop.MERCHANT, town_shop.NAME, town_shop.CATEGORY)
        for place in (town_snacks, town_railway, town_hall):
            self._town.merchant(place.MERCHANT, place.NAME, place.CATEGORY, place.LIMIT)
        with ThreadPoolExecutor(len(self.scenes)) as pool:
            for done in [pool.submit(scene.set_up) for scene in self.scenes]:
                done.result()
        self.scenes[0].bring_phones()

    def play(self) -> None:
        """Play all scenes, then check the accounts; Complaint if anything did not hold."""
        for scene, following in zip_longest(self.scenes, self.scenes[1:]):
            drawings = [place.draw for place in scene.places]
            self._town.stage.begin(scene.line, scene.says, *drawings)
            self._announce(scene.title, scene.says)
            if following is not None:  # its phones load while this one plays
                following.bring_phones()
            scene.line.outcome = scene.play()
            self.moved.update(scene.moved)
        for name in self._town.accounts:
            self._town.require_balance(name, CASH.get(name, 0) + self.moved[name])

    def close(self) -> None:
        """Close the places of all scenes at once."""
        with ThreadPoolExecutor(len(self.scenes)) as pool:
            list(pool.map(Scene.close, self.scenes))

"""The scenes that `kessai demo` plays, and what must hold at their end.

A customer pays; a second one has too little money; a tap is torn off and repeated. Each scene
checks what it shows: a demo in which anything did not hold ends with a Complaint.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from kessai.complaint import Complaint
from simulators.phone.screen import View
from simulators.town import PIN, Event, Town

BREAD, MILK, EGGS = "9506000134352", "9506000134369", "9506000134376"
COFFEE, CHOCOLATE, APPLES = "9506000134413", "9506000134420", "9506000134390"
PRICES = {BREAD: 349, MILK: 129, EGGS: 319, COFFEE: 799, CHOCOLATE: 149, APPLES: 299}
NAMES = {
    BREAD: "Rye bread 1 kg",
    MILK: "Whole milk 1 l",
    EGGS: "Free-range eggs (10)",
    COFFEE: "Coffee beans 500 g",
    CHOCOLATE: "Dark chocolate 100 g",
    APPLES: "Apples 1 kg",
}
CASH = {"Alice": 5000, "Bob": 500}
PHONE_LIMIT_S = 20.0


@dataclass
class Figures:
    """What the demo counts."""

    purchases: int = 0
    paid_minor: int = 0
    declined: int = 0
    answers_ms: list[float] = field(default_factory=list)


class Story:
    """Plays the scenes in a town that is open; `pace` stretches the pauses for onlookers."""

    def __init__(self, town: Town, announce: Callable[[str, str], None], pace: float) -> None:
        self._town, self._announce, self._pace = town, announce, pace
        self._slips = 0
        self.figures = Figures()

    def play(self) -> None:
        """Play all scenes, then check the accounts; Complaint if anything did not hold."""
        self._alice_pays()
        self._bob_has_too_little()
        self._a_tap_is_torn_off()
        self._check_accounts()

    def _alice_pays(self) -> None:
        self._scene(
            "1  Alice buys breakfast",
            "She holds her phone to the reader, looks, and enters her PIN.",
        )
        total = self._ring_up(BREAD, MILK, EGGS)
        think = str(round(1.5 * self._pace, 2))
        settled = self._until(
            "settled", "Alice", "--answer", "approve", "--pin", PIN, "--think", think
        )
        self._count_paid(total, settled)
        self._require_phone(View.PAID)

    def _bob_has_too_little(self) -> None:
        self._scene(
            "2  Bob has too little money", "He agrees, and the switch declines: nothing is moved."
        )
        self._ring_up(COFFEE, CHOCOLATE)
        think = str(round(1.0 * self._pace, 2))
        declined = self._until(
            "declined", "Bob", "--answer", "approve", "--pin", PIN, "--think", think
        )
        if declined.get("reason") != "INSUFFICIENT_FUNDS":
            raise Complaint(f"Bob was declined for {declined.get('reason')}")
        self.figures.declined += 1
        self._require_phone(View.NOT_PAID)
        self._town.scan("%CANCEL", "CANCEL")
        self._pause(1.0)

    def _a_tap_is_torn_off(self) -> None:
        self._scene(
            "3  A tap is torn off, and repeated",
            "Alice pulls her phone away just as it answers. She taps again, and pays once.",
        )
        total = self._ring_up(APPLES, MILK)
        words = ("--answer", "approve", "--pin", PIN)
        torn = self._town.expect(
            "phone_left",
            after=lambda: self._town.tap("Alice", *words, "--leave-after-exchanges", "1").wait(
                PHONE_LIMIT_S
            ),
        )
        if torn["amount_minor"] != total:
            raise Complaint("the register lost the torn-off purchase")
        self._pause(1.2)
        self._count_paid(total, self._until("settled", "Alice", *words))
        self._require_phone(View.PAID)

    def _ring_up(self, *goods: str) -> int:
        for gtin in goods:
            self._town.scan(gtin, NAMES[gtin])
            self._pause(0.5)
        self._town.scan("%PAY", "PAY")
        self._pause(0.6)
        self.figures.purchases += 1
        return sum(PRICES[gtin] for gtin in goods)

    def _until(self, outcome: str, name: str, *words: str) -> Event:
        authorized: list[Event] = []

        def tap() -> None:
            phone = self._town.tap(name, *words)
            authorized.append(self._town.expect("authorized", after=lambda: None))
            phone.wait(PHONE_LIMIT_S)

        found = self._town.expect(outcome, after=tap)
        self.figures.answers_ms.append((found["time"] - authorized[0]["time"]) / 1000)
        return found

    def _count_paid(self, total: int, settled: Event) -> None:
        if settled["amount_minor"] != total:
            raise Complaint(f"{settled['amount_minor']} was paid for goods worth {total}")
        self.figures.paid_minor += total
        self._slips += 1
        self._town.slips(self._slips)
        self._pause(2.0)

    def _require_phone(self, view: View) -> None:
        screen = self._town.stage.phone
        if screen is None or screen.view is not view:
            raise Complaint(f"the phone shows {screen.view if screen else 'nothing'}, not {view}")

    def _check_accounts(self) -> None:
        town, paid = self._town, self.figures.paid_minor
        deadline = time.monotonic() + PHONE_LIMIT_S
        while town.balance(town.shop_account) != paid:
            if time.monotonic() > deadline:
                raise Complaint(f"the shop has {town.balance(town.shop_account)}, was paid {paid}")
            time.sleep(0.05)
        expected = {"Alice": CASH["Alice"] - paid, "Bob": CASH["Bob"]}
        for name, minor in expected.items():
            has = town.balance(town.residents[name].account_number)
            if has != minor:
                raise Complaint(f"{name} has {has} minor units, must have {minor}")

    def _scene(self, title: str, says: str) -> None:
        stage = self._town.stage
        stage.scans.clear()
        stage.steps.clear()
        stage.phone, stage.slip = None, None
        stage.scene, stage.says = title, says
        self._announce(title, says)
        self._pause(1.0)

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds * self._pace)

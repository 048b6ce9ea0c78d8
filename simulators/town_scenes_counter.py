"""The scenes at the counter: paying at a register both ways, and when the network is down."""

from __future__ import annotations

from kessai.complaint import Complaint
from simulators.phone.screen import View
from simulators.town_processes import run
from simulators.town_scene import APPROVE, Scene, Visit, money
from simulators.town_shop import APPLES, BREAD, CHOCOLATE, COFFEE, EGGS, MILK, NAME, Shop

_OFFLINE_LIMIT_MINOR = 1000


class Register(Scene):
    """Row B1, and row B2 with the same goods."""

    name = "register"
    title = "At the register: relayed by the till, or by the phone's own line"
    says = "Alice looks and enters her PIN. Bob has too little. A tap is torn off, and paid once."

    def set_up(self) -> None:
        """Open two tills: one that relays, one that leaves it to the phone."""
        self.till, self.direct = Shop(self.town, "till-1"), Shop(self.town, "till-2")
        self.places += [self.till, self.direct]
        self.till.open()
        self.direct.open("--submission", "direct")

    def visits(self) -> list[Visit]:
        """Alice, Bob, Alice twice, of which one tap is torn off, and Alice at the other till."""
        slowly = (*APPROVE, *self.think(1.5))
        return [
            ("Alice", self.till, slowly),
            ("Bob", self.till, (*APPROVE, *self.think(1.0))),
            ("Alice", self.till, (*APPROVE, "--leave-after-exchanges", "1")),
            ("Alice", self.till, APPROVE),
            ("Alice", self.direct, slowly),
        ]

    def play(self) -> str:
        """Alice pays, Bob is declined, a torn-off tap is repeated, Alice's phone submits itself."""
        self._pay(self.till, BREAD, MILK, EGGS)
        self._bob_has_too_little()
        self._a_tap_is_torn_off()
        self._pay(self.direct, CHOCOLATE)
        return f"{money(self.moved[NAME])} EUR paid, 1 declined, 1 torn-off tap paid once"

    def _pay(self, till: Shop, *goods: str) -> None:
        total = till.ring_up(*goods)
        printed = len(till.printer.roll.slips)
        settled = self.tap_until("settled", till)
        self._count(till, total, settled, printed)

    def _count(self, till: Shop, total: int, settled: dict[str, object], printed: int) -> None:
        if settled["amount_minor"] != total:
            raise Complaint(f"{settled['amount_minor']} was paid for goods worth {total}")
        self.require_phone("Alice", View.PAID)
        self.pay("Alice", NAME, total)
        till.next_slip(printed)
        self.pause(2.0)

    def _bob_has_too_little(self) -> None:
        self.till.ring_up(COFFEE, CHOCOLATE)
        declined = self.tap_until("declined", self.till)
        if declined.get("reason") != "INSUFFICIENT_FUNDS":
            raise Complaint(f"Bob was declined for {declined.get('reason')}")
        self.require_phone("Bob", View.NOT_PAID)
        self.pause(1.0)
        self.till.scan("%CANCEL")

    def _a_tap_is_torn_off(self) -> None:
        total = self.till.ring_up(APPLES, MILK)
        printed = len(self.till.printer.roll.slips)
        torn = self.tap_until("phone_left", self.till)
        if torn["amount_minor"] != total:
            raise Complaint("the register lost the torn-off purchase")
        self.pause(1.0)
        self._count(self.till, total, self.tap_until("settled", self.till), printed)


class CutOff(Scene):
    """Store and forward: the switch is killed, and comes back."""

    name = "cut-off"
    title = "The network goes down, and comes back"
    says = "The switch is killed. The till knows Alice's phone, and accepts a small amount."

    def set_up(self) -> None:
        """Open a till that may accept up to 10.00 EUR, and wait until it knows."""
        self.till = Shop(self.town, "till-3")
        self.places.append(self.till)
        run("device", "config", "--data", str(self.town.data), "agent/corner-shop/till-3",
            f"offline_payment_limit_minor={_OFFLINE_LIMIT_MINOR}")  # fmt: skip
        self.till.open("--offline-days", "3")
        if "configured" not in self.till.told:
            self.till.expect("configured")

    def visits(self) -> list[Visit]:
        """Alice alone."""
        return [("Alice", self.till, (*APPROVE, "--stay", "4"))]

    def play(self) -> str:
        """Alice buys without the switch; what is too much is refused; later all is settled."""
        self.town.kill_switch()
        total = self.till.ring_up(MILK)
        self.tap_until("accepted", self.till)
        self.till.scan("%CANCEL")
        self.pause(1.0)
        self.till.expect("settled", after=self.town.restart_switch)
        self.pay("Alice", NAME, total)
        self.pause(1.0)
        return f"{money(total)} EUR accepted without the switch, settled once when it was back"

"""The corner shop of the town: a register with scanner, display and printer (rows B1, B2)."""

from __future__ import annotations

from rich.console import Group, RenderableType

from simulators.devices.display import SimulatedDisplay
from simulators.devices.paper_roll import Printed, PrintedQr, draw_slip
from simulators.devices.printer import SimulatedPrinter
from simulators.devices.scanner import SimulatedScanner
from simulators.town import Town
from simulators.town_place import Place

MERCHANT, NAME, CATEGORY = "corner-shop", "Corner Shop", "5411"

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

# What the register may say to a code that is scanned.
_KEYS = {
    "%PAY": ("waiting_for_tap", "key_refused"),
    "%CANCEL": ("sale_cleared", "key_refused"),
    "%REMOVE": ("item_removed", "key_refused"),
    "%REPRINT": ("receipt_printed", "receipt_waits", "key_refused"),
}
_GOODS = ("item_scanned", "goods_unknown", "code_unreadable", "key_refused", "basket_full")


class Shop(Place):
    """One till of the shop."""

    def __init__(self, town: Town, terminal: str) -> None:
        """Pair the till, and put its devices on their lines."""
        super().__init__(town, terminal, town.pair_terminal(MERCHANT, terminal))
        self.scanner = SimulatedScanner(self.lines / "scanner")
        self.display = SimulatedDisplay(self.lines / "display")
        self.printer = SimulatedPrinter(self.lines / "printer")
        self.devices += [self.scanner, self.display, self.printer]
        self.slip: list[Printed] | None = None

    def open(self, *words: str) -> None:
        """Run the register."""
        lines = [f"--{name}={self.lines / name}" for name in ("scanner", "display", "printer")]
        self.start("register", *lines, *words)

    def draw(self) -> RenderableType:
        """Draw the display, and the last receipt."""
        if self.slip is None or not self.town.stage.room_for_slips:
            return self.display.draw()
        lines: list[Printed] = [item for item in self.slip if not isinstance(item, PrintedQr)]
        return Group(self.display.draw(), draw_slip(lines))

    def scan(self, code: str) -> None:
        """Let the cashier scan goods or press a key, and wait until it was taken in."""
        self.town.on_step(f"scanner: {NAMES.get(code, code)}")
        self.expect(*_KEYS.get(code, _GOODS), after=lambda: self.scanner.scan(code))

    def ring_up(self, *goods: str) -> int:
        """Scan goods and press PAY; what they cost."""
        for gtin in goods:
            self.scan(gtin)
        self.scan("%PAY")
        return sum(PRICES[gtin] for gtin in goods)

    def next_slip(self, printed: int) -> None:
        """Wait until a receipt more than `printed` came out."""
        self.slip = self.printer.wait_for_slips(printed + 1)[-1]

    @property
    def is_waiting_for_phone(self) -> bool:
        """Tell whether the register asked for a phone last."""
        return self.latest in ("waiting_for_tap", "code_shown")

"""What the customer does with the phone in hand: looks, agrees or not, enters a PIN.

The scripted ones are for tests, demonstrations and load; `AtTheKeyboard` asks whoever sits there.
The wallet calls them in its own thread, so they may take their time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Protocol

from rich.prompt import Confirm, Prompt
from rich.text import Text

from kessai.console import Console
from simulators.phone.purchase import Purchase


class Customer(Protocol):
    """Decides what the phone asks."""

    def agrees(self, purchase: Purchase) -> bool:
        """Look at a purchase and say whether to pay."""
        ...

    def enter_pin(self, tries_left: int) -> str | None:
        """Enter a PIN; None to give up."""
        ...


class Approving:
    """Agrees to everything and enters these PINs in turn, the last one again and again."""

    def __init__(self, *pins: str) -> None:
        if not pins:
            raise ValueError("a customer who agrees needs a PIN")
        self._pins = list(pins)

    def agrees(self, purchase: Purchase) -> bool:
        """Agree."""
        return True

    def enter_pin(self, tries_left: int) -> str | None:
        """Enter the next PIN."""
        return self._pins.pop(0) if len(self._pins) > 1 else self._pins[0]


class Declining:
    """Agrees to nothing."""

    def agrees(self, purchase: Purchase) -> bool:
        """Say no."""
        return False

    def enter_pin(self, tries_left: int) -> str | None:
        """Give up; nobody asks."""
        return None


class GivingUp:
    """Agrees, enters these PINs, and then walks away from the PIN pad."""

    def __init__(self, pins: Iterable[str]) -> None:
        self._pins = iter(pins)

    def agrees(self, purchase: Purchase) -> bool:
        """Agree."""
        return True

    def enter_pin(self, tries_left: int) -> str | None:
        """Enter the next PIN, or give up."""
        return next(self._pins, None)


class Thinking:
    """Looks at the purchase for some seconds, then does what another customer would do."""

    def __init__(self, seconds: float, then: Customer) -> None:
        self._seconds, self._then = seconds, then
        self._hurried = threading.Event()

    def agrees(self, purchase: Purchase) -> bool:
        """Think, then decide."""
        self._hurried.wait(self._seconds)
        return self._then.agrees(purchase)

    def enter_pin(self, tries_left: int) -> str | None:
        """Enter what the other one would."""
        return self._then.enter_pin(tries_left)

    def hurry(self) -> None:
        """Make up the mind now."""
        self._hurried.set()


class AtTheKeyboard:
    """Asks the person at the terminal window; a closed input is a no."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def agrees(self, purchase: Purchase) -> bool:
        """Ask whether to pay."""
        question = Text(f"Pay {purchase.total} to {purchase.shop}?")
        try:
            return Confirm.ask(question, console=self._console, default=False)
        except EOFError:
            return False

    def enter_pin(self, tries_left: int) -> str | None:
        """Ask for the PIN; an empty line gives up."""
        question = f"PIN ({tries_left} tries left, empty to give up)"
        try:
            return Prompt.ask(question, console=self._console, password=True) or None
        except EOFError:
            return None

"""What `kessai phone tap` says beside the phone: what it waits for, and how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kessai.console import Console
from kessai.patience import PATIENCE_S
from simulators.phone.screen import Screen, View

_ENDS = {
    View.IDLE: "no terminal asked for anything; nothing was paid.",
    View.PURCHASE: "taken away before you agreed; nothing was paid.",
    View.ENTER_PIN: "taken away before you agreed; nothing was paid.",
    View.AUTHORIZED: (
        "taken away before the receipt came, so the outcome is not known here. Hold the phone to "
        "the terminal again, or look: kessai phone purchases, kessai phone balance."
    ),
    View.HELD: "the amount is reserved; it is paid once the machine has given out what you chose.",
}


@contextmanager
def told_until_a_reader_came(
    field: str, stay_s: float, show: Callable[[Screen], None]
) -> Iterator[Callable[[Screen], None]]:
    """Say on stderr what is waited for, unless a page other than the first comes in three seconds.

    Gives what shows the pages from now on.
    """
    timer = threading.Timer(PATIENCE_S, _tell_waiting, (field, stay_s))
    timer.daemon = True

    def shown(page: Screen) -> None:
        if page.view is not View.IDLE:
            timer.cancel()
        show(page)

    timer.start()
    try:
        yield shown
    finally:
        timer.cancel()


def tell_the_end(page: Screen) -> None:
    """Say on stderr how a tap ended without payment or entry."""
    says = _ENDS.get(page.view) or f"{page.message.rstrip('.')}."
    Console(stderr=True, soft_wrap=True).print(f"kessai: {says}")


def _tell_waiting(field: str, stay_s: float) -> None:
    Console(stderr=True, soft_wrap=True).print(
        f"kessai: no terminal is at {field} yet. At a register: scan something, then pay. The "
        f"phone stays there for {stay_s:g} s; Ctrl-C takes it away."
    )

"""What a counter's customer display says, 2 lines of 20 characters, for every moment of a sale.

Texts and layout only: the checkout chooses, the display board shows. A text that needs more room
comes as several pages, shown in turn (`paging`).
"""

from __future__ import annotations

import textwrap

from edge_agents.devices.display import COLUMNS
from edge_agents.devices.paging import headed, lines_of, pages_of
from edge_agents.display_board import Page
from kessai.decline import meaning_of
from kessai.money import Money
from kessai.v1.decline_pb2 import DeclineReason


def idle(shop: str) -> list[Page]:
    """Nothing scanned yet."""
    welcome = "Welcome".center(COLUMNS)
    return [(line.center(COLUMNS), welcome) for line in lines_of(shop, COLUMNS)]


def closed() -> list[Page]:
    """The agent was stopped."""
    return [("Closed".center(COLUMNS), "")]


def line(text: str, amount: str, total: Money) -> list[Page]:
    """One line of the purchase, and the total; then its whole text, if that is longer."""
    room = COLUMNS - len(amount) - 1
    if len(text) <= room:
        return [(apart(text, amount), _total("Total", total))]
    beside = textwrap.shorten(text, max(room, 1), placeholder="") or text
    whole = [(page[0], page[1] if len(page) > 1 else "") for page in pages_of(text, COLUMNS, 2)]
    return [(apart(beside, amount), _total("Total", total)), *whole]


def refused(text: str, total: Money | None) -> list[Page]:
    """Something scanned or pressed was not taken; the total stands as before, if there is one."""
    below = _total("Total", total) if total is not None else ""
    return [(line, below) for line in lines_of(text, COLUMNS)]


def hold_phone(total: Money, code: str | None = None) -> list[Page]:
    """The customer is asked to hold the phone to the reader, or to enter a code on it."""
    how = "Hold phone to reader" if code is None else f"Code for phone: {code}"
    return [(_total("To pay", total), how)]


def fetch_receipt(code: str) -> Page:
    """A phone that left too early can fetch its receipt with this code."""
    return ("Receipt on the phone", f"Code for phone: {code}")


def confirm_on_phone(total: Money) -> list[Page]:
    """The customer is looking at the phone."""
    return [(_total("To pay", total), "Confirm on the phone")]


def paying(total: Money) -> list[Page]:
    """The switch was asked."""
    return [(_total("To pay", total), "One moment ...")]


def paid(total: Money) -> list[Page]:
    """Settled: the goods are the customer's."""
    return [(_total("Paid", total), "Thank you!".center(COLUMNS))]


def accepted(total: Money) -> list[Page]:
    """Accepted while the switch is out of reach: the goods are the customer's."""
    return [(_total("Accepted", total), "Receipt will follow")]


def declined(reason: DeclineReason.ValueType, total: Money) -> list[Page]:
    """Declined: why, in the customer's words."""
    return message("NOT PAID", meaning_of(reason).customer, total)


def unknown(total: Money) -> list[Page]:
    """Nobody knows yet: no goods are handed over."""
    headline = "NOT YET PAID"
    return [
        (headline, "Do not hand over"),
        (headline, "Please wait: asking"),
        (headline, _total("Open", total)),
    ]


def message(headline: str, text: str, total: Money) -> list[Page]:
    """Show a headline and a text of any length; where only the headline fits, what is to pay."""
    return headed(headline, text, COLUMNS, under=_total("To pay", total))


def _total(label: str, total: Money) -> str:
    line = f"{label} {total.currency}"
    amount = total.decimal()
    return apart(line if len(line) + len(amount) < COLUMNS else total.currency, amount)


def apart(left: str, right: str) -> str:
    """Put two texts at both ends of a line; the right one, an amount, is never cut."""
    room = COLUMNS - len(right) - 1
    return f"{left[:room]:<{room}} {right}" if room > 0 else right

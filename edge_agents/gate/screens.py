"""What a gate's display says, 2 lines of 20 characters: texts and layout. `desk` shows them."""

from __future__ import annotations

from edge_agents.devices.display import COLUMNS
from edge_agents.devices.paging import headed, lines_of
from edge_agents.display_board import Page
from kessai.decline import meaning_of
from kessai.money import Money
from kessai.v1.decline_pb2 import DeclineReason


def ready(station: str, is_entry: bool) -> list[Page]:
    """Nobody is there."""
    text = "Tap to enter >>>" if is_entry else "Tap to leave >>>"
    return [(line.center(COLUMNS), text.center(COLUMNS)) for line in lines_of(station, COLUMNS)]


def code(digits: str) -> Page:
    """What is entered on a phone that has no NFC."""
    return ("By Bluetooth:".center(COLUMNS), f"enter {digits}".center(COLUMNS))


def come_in() -> list[Page]:
    """The barrier opens at an entry."""
    return [("Come in  >>>".center(COLUMNS), "Tap when you leave".center(COLUMNS))]


def goodbye(fare: Money) -> list[Page]:
    """The barrier opens at an exit."""
    paid = f"Paid {fare}" if fare.minor else "Nothing to pay"
    below = next((text for text in (paid, str(fare)) if len(text) <= COLUMNS), fare.decimal())
    return [("Goodbye  >>>".center(COLUMNS), below.center(COLUMNS))]


def fare_follows() -> list[Page]:
    """The barrier opens at an exit that has no fare for the ride."""
    return [("Goodbye  >>>".center(COLUMNS), "The fare comes later".center(COLUMNS))]


def refused(reason: DeclineReason.ValueType) -> list[Page]:
    """The gate stays shut: why, in the customer's words."""
    return _message("STOP", meaning_of(reason).customer)


def not_paid(said_no: bool) -> list[Page]:
    """The fare was not agreed to."""
    return _message("NOT PAID", "You said no." if said_no else "The phone did not pay. Tap again.")


def asking() -> list[Page]:
    """Nobody knows yet whether the fare was paid."""
    return _message("PLEASE WAIT", "Your fare is being checked. Tap again here.")


def not_checked() -> list[Page]:
    """The switch answered, but not whether the person may travel."""
    return _message("NOT CHECKED", "Take another gate. Or see the attendant.")


def tap_again() -> list[Page]:
    """The phone left too early."""
    return _message("TAP AGAIN", "Hold the phone still.")


def one_at_a_time() -> list[Page]:
    """More than one person passed."""
    return _message("ONE AT A TIME", "Everybody taps.")


def failed() -> list[Page]:
    """The barrier did not open, although it was told to."""
    return _message("NOT OPENED", "See the attendant. You will not pay twice.")


def closed() -> list[Page]:
    """The gate was stopped."""
    return [("Gate closed".center(COLUMNS), "Take another one".center(COLUMNS))]


def _message(headline: str, text: str) -> list[Page]:
    pages = headed(headline, text, COLUMNS, under="The gate stays shut")
    return [(upper.center(COLUMNS), lower.center(COLUMNS)) for upper, lower in pages]

"""What the vending machine's display says, at most 32 characters, for every moment of a vend."""

from __future__ import annotations

from kessai.decline import meaning_of
from kessai.money import Money
from kessai.v1.decline_pb2 import DeclineReason

UNKNOWN_ITEM = "Unknown item"
BAD_PRICE = "Price not understood"
BUSY = "One moment please"
TIME_IS_UP = "Time is up. Nothing was paid"
CANCELLED = "Cancelled. Nothing was paid"
NOT_UNDERSTOOD = "Hold the phone again, please"
CONFIRM = "Confirm on the phone"
PAYING = "One moment ..."
NO_ANSWER = "No line to the bank. Not paid"
GIVING_OUT = "Thank you! Here it comes"
DELIVERED = "Enjoy it!"
FAILED = "Sorry! Your money is given back"


def hold_phone(price: Money) -> str:
    """The customer is asked to hold the phone to the reader."""
    return f"{price} Hold phone here"


def hold_phone_with_code(price: Money, code: str) -> str:
    """Say also which code of four digits leads a phone here."""
    return f"{price} Code {code}"


def declined(reason: DeclineReason.ValueType) -> str:
    """The switch declined: why, in the customer's words."""
    return meaning_of(reason).customer


def refused(text: str) -> str:
    """The phone does not pay."""
    return f"Not paid. {text}"

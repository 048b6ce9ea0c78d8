"""The pages of a phone that asks another one for money, as data. `bill_collector` shows them."""

from __future__ import annotations

from dataclasses import replace

from kessai.decline import meaning_of, name_of
from kessai.money import Money
from kessai.v1 import payment_pb2
from simulators.phone.bill_store import OwnBill
from simulators.phone.screen import Screen, View


def bill(own: OwnBill, code: str) -> Screen:
    """Show the bill, for the other phone to come; with the code that is entered there, if any."""
    hold = f"Code {code} on the other phone." if code else "Hold the other phone here."
    return _about(View.BILL, own, hold)


def deciding(own: OwnBill) -> Screen:
    """Show that the other one is looking at it."""
    return _about(View.BILL, own, "The other one is looking at it.")


def submitting(own: OwnBill) -> Screen:
    """Show that the other one agreed, and the bank is asked."""
    who = "The other phone asks the bank." if own.is_submitted_by_payer else "Asking the bank."
    return _about(View.AUTHORIZED, own, f"Agreed. {who}")


def outcome(own: OwnBill) -> Screen:
    """Show what became of it, from a verified receipt."""
    receipt = own.receipt
    if receipt is None:
        return unknown(own)
    if receipt.outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED:
        number = f"{receipt.log_position.shard}-{receipt.log_position.sequence}"
        return replace(_about(View.RECEIVED, own, "Received"), receipt_number=number)
    reason = receipt.decline_reason
    page = _about(View.NOT_PAID, own, meaning_of(reason).customer)
    return replace(page, reason=name_of(reason))


def not_agreed(own: OwnBill, why: str) -> Screen:
    """Show that the other one did not agree."""
    return _about(View.CANCELLED, own, f"{why} No money was moved.")


def not_taken(own: OwnBill, why: str) -> Screen:
    """Show that the bank did not take it up."""
    return _about(View.NOT_PAID, own, f"The bank did not take it: {why}"[:160])


def unknown(own: OwnBill) -> Screen:
    """Show that nobody knows yet."""
    return _about(View.UNKNOWN, own, "Not paid as far as is known. `kessai phone bills` asks.")


def _about(view: View, own: OwnBill, message: str) -> Screen:
    total = str(Money.from_proto(own.bill.amount))
    return Screen(view, own.bill.description, total=total, message=message)

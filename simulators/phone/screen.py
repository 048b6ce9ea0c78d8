"""What the phone shows, as data: one `Screen` for each change, which can travel as a line of JSON.

`wallet` makes them, `screen_view` draws them; with `kessai phone tap --events` another process can.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from kessai.decline import meaning_of, name_of
from kessai.enum_name import enum_name
from kessai.money import Money, format_minor
from kessai.settlement_terms import is_held_first
from kessai.ticket import format_ticket_id
from kessai.v1 import payment_pb2, tap_pb2
from kessai.v1.decline_pb2 import DECLINE_REASON_TICKET_USED, DeclineReason
from kessai.v1.fare_pb2 import Admission, ExitNote
from kessai.v1.payment_pb2 import Receipt
from kessai.v1.ticket_pb2 import Ticket
from simulators.phone.purchase import Purchase
from simulators.phone.store import Decision


class View(StrEnum):
    """Which page the phone shows."""

    IDLE = "idle"
    PURCHASE = "purchase"
    ENTER_PIN = "enter-pin"
    AUTHORIZED = "authorized"
    HELD = "held"
    PAID = "paid"
    NOT_PAID = "not-paid"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    LOCKED = "locked"
    TICKET = "ticket"
    WELCOME = "welcome"
    TURNED_AWAY = "turned-away"
    ADMITTED = "admitted"
    RIDE_OVER = "ride-over"
    BILL = "bill"
    RECEIVED = "received"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Tell whether this is the last page of a purchase."""
        return self in _FINAL

    @property
    def is_good(self) -> bool:
        """Tell whether the customer got what he came for."""
        return self in _GOOD


_GOOD = {View.PAID, View.WELCOME, View.ADMITTED, View.RIDE_OVER, View.RECEIVED}
_FINAL = _GOOD | {
    View.NOT_PAID,
    View.REFUSED,
    View.CANCELLED,
    View.LOCKED,
    View.TURNED_AWAY,
    View.UNKNOWN,
}


_GIVEN_BACK = (payment_pb2.PAYMENT_OUTCOME_VOIDED, payment_pb2.PAYMENT_OUTCOME_EXPIRED)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a purchase as the customer reads it; `amount` in the currency's decimals."""

    description: str
    quantity: int
    amount: str


@dataclass(frozen=True, slots=True)
class Screen:
    """What the phone shows now; what a view does not need is empty.

    `total` is what is to be paid, such as "12.34 EUR"; `reason` names a decline, `message` says it
    for people; `receipt_number` is shard and row of the settlement log; `tries_left` is 0 to 5.
    """

    view: View
    shop: str = ""
    items: tuple[Item, ...] = ()
    total: str = ""
    reason: str = ""
    message: str = ""
    receipt_number: str = ""
    tries_left: int = 0

    def to_json(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Screen:
        """Read what `to_json` wrote."""
        content = json.loads(line)
        content["view"] = View(content["view"])
        content["items"] = tuple(Item(**item) for item in content["items"])
        return cls(**content)


def idle() -> Screen:
    """Show that the wallet is ready."""
    return Screen(View.IDLE, message="Hold your phone to the terminal.")


def ask(purchase: Purchase) -> Screen:
    """Show what is bought, from whom, for how much."""
    held_first = is_held_first(purchase.request)
    return _about(View.PURCHASE, purchase, "Pay when it comes out?" if held_first else "Pay?")


def ask_for_pin(purchase: Purchase, tries_left: int, was_wrong: bool) -> Screen:
    """Show the PIN pad."""
    message = "Wrong PIN. Try again." if was_wrong else "Enter your PIN."
    return _about(View.ENTER_PIN, purchase, message, tries_left=tries_left)


def authorized(purchase: Purchase) -> Screen:
    """Show that the customer agreed and the phone waits for the outcome."""
    message = "Agreed. Hold your phone to the terminal."
    if purchase.is_direct:
        message = "Agreed. Your phone asks the bank to pay."
    return _about(View.AUTHORIZED, purchase, message)


def cancelled(purchase: Purchase) -> Screen:
    """Show that the customer said no."""
    return _about(View.CANCELLED, purchase, "You said no. No money was moved.")


def decided(purchase: Purchase, decision: Decision) -> Screen:
    """Show again how a purchase stands that was decided before."""
    receipt = decision.read_receipt()
    if receipt is not None:
        return outcome(purchase.shop, receipt)
    is_authorized = decision.status == tap_pb2.TAP_STATUS_AUTHORIZED
    return authorized(purchase) if is_authorized else cancelled(purchase)


def refused(shop: str, reason: DeclineReason.ValueType) -> Screen:
    """Show that the phone does not go along with what the terminal presented."""
    return Screen(
        View.REFUSED, shop=shop, reason=name_of(reason), message=meaning_of(reason).customer
    )


def locked() -> Screen:
    """Show that the PIN was wrong too often."""
    return Screen(View.LOCKED, message="The PIN was wrong too often. Call your bank.")


def outcome(shop: str, receipt: Receipt) -> Screen:
    """Show what became of a payment, from a verified receipt."""
    total = str(Money.from_proto(receipt.amount)) if receipt.HasField("amount") else ""
    if receipt.outcome == payment_pb2.PAYMENT_OUTCOME_SETTLED:
        at = receipt.log_position
        number = f"{at.shard}-{at.sequence}"
        return Screen(View.PAID, shop, total=total, message="Paid", receipt_number=number)
    if receipt.outcome == payment_pb2.PAYMENT_OUTCOME_HELD:
        return Screen(View.HELD, shop, total=total, message="Paid as soon as you have it.")
    if receipt.outcome in _GIVEN_BACK:
        kinds = payment_pb2.PaymentOutcome.DESCRIPTOR
        name = enum_name(kinds, receipt.outcome, "PAYMENT_OUTCOME_")
        message = "You did not get it: nothing was paid, the money is yours again."
        return Screen(View.NOT_PAID, shop, total=total, reason=name, message=message)
    reason = receipt.decline_reason
    message = meaning_of(reason).customer
    return Screen(View.NOT_PAID, shop, total=total, reason=name_of(reason), message=message)


def with_tickets(page: Screen, count: int) -> Screen:
    """Add to the page of a payment how many tickets came with it."""
    came = "Your ticket is" if count == 1 else f"Your {count} tickets are"
    return replace(page, message=f"{came} on this phone.") if count else page


def ticket(shown: Ticket, persons: int) -> Screen:
    """Show the ticket that an entrance is being shown."""
    return _of_ticket(View.TICKET, shown, f"for {persons}" if persons > 1 else "")


def welcome(shown: Ticket, persons_left: int) -> Screen:
    """Show that the door opens."""
    admits = shown.offer.admits
    left = f"{persons_left} of {admits} may still come in." if admits > 1 else "Welcome."
    return _of_ticket(View.WELCOME, shown, left)


def certificate(shown: Ticket, amount: Money) -> Screen:
    """Show the gift certificate that a counter is being shown, and what it is to pay."""
    return _of_ticket(View.TICKET, shown, f"to pay {amount}")


def certificate_paid(shown: Ticket, amount: Money, left_minor: int) -> Screen:
    """Show what a gift certificate paid, and what it is still worth."""
    left = f"Your certificate has {Money(left_minor, amount.currency)} left."
    return Screen(View.PAID, shown.venue_name, total=str(amount), message=left)


def certificate_refused(shown: Ticket, amount: Money, reason: DeclineReason.ValueType) -> Screen:
    """Show why a gift certificate did not pay."""
    is_short = reason == DECLINE_REASON_TICKET_USED
    message = "It has less than that left." if is_short else meaning_of(reason).customer
    return Screen(
        View.NOT_PAID, shown.venue_name, total=str(amount), reason=name_of(reason), message=message
    )


def no_certificate(shop: str, amount: Money) -> Screen:
    """Show that no gift certificate of a shop is open for an amount."""
    message = "No certificate was opened for that much here."
    return Screen(View.NOT_PAID, shop, total=str(amount), message=message)


def turned_away(shown: Ticket, reason: DeclineReason.ValueType) -> Screen:
    """Show why the door stays shut."""
    page = _of_ticket(View.TURNED_AWAY, shown, meaning_of(reason).customer)
    return replace(page, reason=name_of(reason))


def no_ticket(venue: str) -> Screen:
    """Show that there is no ticket of this venue on the phone."""
    message = "There is no ticket for here on this phone."
    return Screen(View.TURNED_AWAY, venue, message=message)


def not_submitted(shop: str, why: str) -> Screen:
    """Show that the bank did not take up what this phone submitted."""
    return Screen(View.REFUSED, shop=shop, message=f"The bank did not take it: {why}"[:160])


def not_final(shop: str, receipt: Receipt, expire: datetime) -> Screen:
    """Show that a submission was declined, and that another may settle until `expire` (UTC)."""
    page = outcome(shop, receipt)
    until = expire.strftime("%H:%M:%S")
    return replace(page, message=f"{page.message} Not final before {until} UTC.")


def _of_ticket(view: View, shown: Ticket, message: str) -> Screen:
    terms = shown.offer
    begins = terms.valid_from_time.ToDatetime(UTC).astimezone().strftime("%a %d %b %Y, %H:%M")
    lines = (Item(terms.event_name, 1, ""), Item(terms.title, 1, ""), Item(begins, 1, ""))
    number = format_ticket_id(shown.ticket_id)
    return Screen(view, shown.venue_name, lines, message=message, receipt_number=number)


def admitted(carrier: str, admission: Admission) -> Screen:
    """Show that the customer may come in, and since when."""
    since = admission.entry_time.ToDatetime().strftime("%H:%M")
    message = f"Entered at {admission.station_id}, {since} UTC. Tap again when you leave."
    return Screen(View.ADMITTED, carrier, message=message)


def ride_over(
    carrier: str, admission: Admission, note: ExitNote, paid: Screen | None, is_unpriced: bool
) -> Screen:
    """Show what a ride cost; `paid` is the page of its receipt, if it came with one."""
    fare = Money.from_proto(note.fare)
    ends = f"{admission.station_id} to {note.station_id}" if note.station_id else "No exit was seen"
    number = paid.receipt_number if paid is not None else ""
    message = f"{ends}." if fare.minor else f"{ends}. Nothing to pay here."
    if is_unpriced:
        message = f"{ends}. The gate has no fare for this ride: {carrier} will tell you."
    return Screen(View.RIDE_OVER, carrier, total=str(fare), message=message, receipt_number=number)


def _about(view: View, purchase: Purchase, message: str, tries_left: int = 0) -> Screen:
    currency = purchase.total.currency
    items = tuple(
        Item(
            item.description,
            item.quantity,
            format_minor(item.quantity * item.unit_price_minor, currency),
        )
        for item in purchase.request.items
    )
    return Screen(
        view, purchase.shop, items, str(purchase.total), message=message, tries_left=tries_left
    )

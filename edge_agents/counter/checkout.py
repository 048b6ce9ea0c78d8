"""The checkout: what is chosen is paid by a phone, and a receipt is printed (mission row B1).

Holds the sale at hand and says what keys, phones and answers do to it; it is the seller of the tap
desk. All of it runs on one event loop and no method waits, so no step of a sale is half done when
another begins. Register and ticket machine say what is sold; put together by `till`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from edge_agents.counter import screens
from edge_agents.counter.sale import AT_REST, B, Sale, SaleState
from edge_agents.display_board import DisplayBoard, Page
from edge_agents.events import Events
from edge_agents.journal import Journal, PaymentState
from edge_agents.payment_request import PendingPayment, RequestMaker, Terminal
from edge_agents.receipt_desk import ReceiptDesk
from edge_agents.settlements import Outcome, Verdict
from edge_agents.tap import PHONE_SAYS_NO, PhoneAnswer
from kessai.v1.payment_pb2 import PaymentRequest

_AGAIN = "Nothing was paid. PAY asks again."
_MAY_BE_PAID = "If it is paid yet, a receipt is printed."


@dataclass(frozen=True, slots=True)
class CheckoutParts:
    """What a checkout works with."""

    terminal: Terminal
    journal: Journal
    requests: RequestMaker
    board: DisplayBoard
    desk: ReceiptDesk
    events: Events
    phone_wanted: asyncio.Event
    now_us: Callable[[], int]


class Checkout(ABC, Generic[B]):
    """The sale at hand, and what happens to it."""

    def __init__(self, parts: CheckoutParts) -> None:
        self._parts, self._events, self._board = parts, parts.events, parts.board
        self._sale = self._new_sale()
        self._keys: dict[str, Callable[[], None]] = {
            "%PAY": self._on_pay,
            "%CANCEL": self._on_cancel,
            "%REPRINT": self._on_reprint,
        }

    # What is sold.

    @abstractmethod
    def _empty_basket(self) -> B:
        """Give what the next customer fills."""

    @abstractmethod
    def _basket_of(self, request: PaymentRequest) -> B:
        """Fill a basket again from a request that was made of one."""

    @abstractmethod
    def _make_request(self, order_id: str, basket: B) -> PendingPayment:
        """Make the payment request of a basket."""

    @abstractmethod
    def _on_text(self, line: str) -> None:
        """Take a line that is no function key."""

    def _idle(self) -> list[Page]:
        return screens.idle(self._parts.terminal.display_name)

    def start(self) -> None:
        """Show the first screen, and take up what was under way when the agent last stopped."""
        journal = self._parts.journal
        self._board.show(self._idle())
        now_us = self._parts.now_us()
        presented = [e for e in journal.in_state(PaymentState.PRESENTED) if not e.note]
        unknown = [entry for entry in presented if entry.pending.expire_us <= now_us]
        waiting = [entry for entry in presented if entry.pending.expire_us > now_us]
        asked = [e for e in journal.in_state(PaymentState.AUTHORIZED) if e.is_waited_for]
        for entry in asked + unknown:
            screen = screens.unknown(entry.pending.total)
            self._resume(entry.pending, SaleState.UNKNOWN, screen)
        for entry in journal.in_state(PaymentState.REQUESTED) + waiting:
            if entry.pending.expire_us <= now_us:
                self._abandon(entry.pending, "expired")
                continue
            screen = screens.hold_phone(entry.pending.total)
            self._resume(entry.pending, SaleState.WAITING_FOR_TAP, screen)
            self._events.emit("waiting_for_tap", entry.pending)

    def on_line(self, line: str) -> None:
        """Take a line from the scanner or the keys: a function key, or what is sold here."""
        key = self._keys.get(line.strip().upper())
        if key is not None:
            key()
        else:
            self._on_text(line)

    def show_code(self, pending: PendingPayment | None, code: str | None) -> None:
        """Show the code by which a phone finds this terminal; see `tap_desk.ShowCode`."""
        notice = screens.fetch_receipt(code) if pending is None and code is not None else None
        self._board.set_notice("code", notice)
        if code is None:
            return
        self._events.emit("code_shown", pending, code=code)
        if pending is not None:
            self._board.show(screens.hold_phone(pending.total, code))

    # What the tap desk asks and tells: see `tap_desk.Seller`.

    def wanted_payment(self) -> PendingPayment | None:
        """Give the request that waits for a phone; one that has expired is given up here."""
        pending = self._sale.pending
        if self._sale.state is not SaleState.WAITING_FOR_TAP or pending is None:
            return None
        if pending.expire_us <= self._parts.now_us():
            self._on_expired(pending)
            return None
        return pending

    def _on_expired(self, pending: PendingPayment) -> None:
        """End a request whose time is up; a phone that has it may have submitted it before."""
        if self._parts.journal.is_presented(pending.request_id):
            self._sale.advance(SaleState.UNKNOWN)
            self._events.emit("unknown", pending, why="time is up; a phone may have paid before")
            self._board.show(screens.unknown(pending.total))
        else:
            self._give_up(pending, "expired", "TIME IS UP", _AGAIN)

    def on_deciding(self, pending: PendingPayment) -> None:
        """Take note that the customer is looking at the phone."""
        self._events.emit("customer_deciding", pending)
        self._board.show(screens.confirm_on_phone(pending.total))

    def on_refusal(self, pending: PendingPayment, answer: PhoneAnswer) -> None:
        """End the request if the customer or the phone said no; else wait for a better answer."""
        if answer.status in PHONE_SAYS_NO:
            event, text = PHONE_SAYS_NO[answer.status]
            self._give_up(pending, event, "NOT PAID", f"{text} {_AGAIN}")
            return
        self._events.emit("phone_refused", pending, status=answer.status)
        self._board.show([("Phone not understood", "Please hold it again")])

    def on_authorized(self, pending: PendingPayment) -> None:
        """Take note that the switch is asked now; from here on nothing can be cancelled."""
        self._sale.advance(SaleState.AUTHORIZED)
        self._events.emit("submitting" if pending.is_direct else "authorized", pending)
        self._sale.advance(SaleState.SETTLING)
        self._events.emit("settling", pending)
        self._board.show(screens.paying(pending.total))

    def on_outcome(self, pending: PendingPayment, outcome: Outcome) -> None:
        """Take note of the outcome of the sale at hand, or of one that was set aside."""
        self._parts.phone_wanted.set()
        self._parts.desk.wake()
        current, sale = self._sale.pending, self._sale
        if current is None or current.request_id != pending.request_id:
            return
        if sale.state is SaleState.SETTLED:
            return  # accepted before, and now the switch has answered
        if outcome.verdict is Verdict.ACCEPTED:
            sale.advance(SaleState.SETTLED)
            self._board.show(screens.accepted(pending.total))
        elif outcome.verdict is Verdict.SETTLED:
            sale.advance(SaleState.SETTLED)
            self._board.show(screens.paid(pending.total))
        elif outcome.verdict is Verdict.DECLINED and outcome.receipt is not None:
            sale.advance(SaleState.DECLINED)
            self._board.show(screens.declined(outcome.receipt.decline_reason, pending.total))
        elif outcome.verdict is Verdict.NOT_TAKEN:
            sale.advance(SaleState.SCANNING)
            self._board.show(screens.message("NOT PAID", _AGAIN, pending.total))
        else:
            sale.advance(SaleState.UNKNOWN)
            self._board.show(screens.unknown(pending.total))

    # The keys.

    def _on_pay(self) -> None:
        basket = self._open_basket("%PAY")
        if basket is None:
            return
        if not basket:
            self._refuse("key_refused", "Nothing to pay", key="%PAY")
            return
        parts = self._parts
        number = parts.journal.next_order_number()
        order_id = f"{parts.terminal.terminal_id[:28]}-{number:06d}"
        pending = self._make_request(order_id, basket)
        parts.journal.request(pending)
        self._sale.pending = pending
        self._sale.advance(SaleState.WAITING_FOR_TAP)
        self._events.emit("waiting_for_tap", pending)
        self._board.show(screens.hold_phone(pending.total))
        parts.phone_wanted.set()

    def _on_cancel(self) -> None:
        """Cancel what was not authorised; set aside what is unknown; never undo a payment."""
        state, pending = self._sale.state, self._sale.pending
        if state is SaleState.SETTLING:
            self._events.emit("key_refused", pending, key="%CANCEL", state=state.value)
            return
        if state is SaleState.WAITING_FOR_TAP and pending is not None:
            presented = self._parts.journal.is_presented(pending.request_id)
            text = _MAY_BE_PAID if presented else "Nothing was paid."
            self._give_up(pending, "cancelled", "SALE CANCELLED", text)
        elif state is SaleState.UNKNOWN and pending is not None:
            text = "Do not hand over. The till asks on."
            self._board.show(screens.message("NOT YET PAID", text, pending.total))
        else:
            self._board.show(self._idle())
        self._events.emit("sale_cleared", pending)
        self._sale = self._new_sale()

    def _on_reprint(self) -> None:
        if not self._parts.desk.reprint():
            self._refuse("key_refused", "Nothing to reprint", key="%REPRINT")

    # Steps that several of the above take.

    def _new_sale(self) -> Sale[B]:
        return Sale(self._empty_basket())

    def _open_basket(self, key: str) -> B | None:
        """Give the basket if it may be changed now; a settled sale makes room for a new one."""
        if self._sale.state is SaleState.SETTLED:
            self._sale = self._new_sale()
        if self._sale.state is SaleState.DECLINED:
            self._sale.advance(SaleState.SCANNING)
        if self._sale.state is SaleState.SCANNING:
            return self._sale.basket
        state = self._sale.state.value
        self._events.emit("key_refused", self._sale.pending, key=key, state=state)
        return None

    def _give_up(self, pending: PendingPayment, event: str, headline: str, text: str) -> None:
        """End a request that nobody authorised; the basket stays, for another try."""
        self._abandon(pending, event)
        self._sale.advance(SaleState.SCANNING)
        self._board.show(screens.message(headline, text, pending.total))

    def _abandon(self, pending: PendingPayment, event: str) -> None:
        """Give a request up; one that a phone may submit stays open until the switch tells."""
        journal = self._parts.journal
        if journal.is_presented(pending.request_id):
            journal.set_aside(pending.request_id, event)
        else:
            journal.abandon(pending.request_id, event)
        self._events.emit(event, pending)

    def _resume(self, pending: PendingPayment, state: SaleState, screen: list[Page]) -> None:
        self._sale = Sale(self._basket_of(pending.request), state, pending)
        self._board.show(screen)
        self._parts.phone_wanted.set()

    def _refuse(self, event: str, text: str, **fields: str) -> None:
        """Say on the display what was not taken; a screen of a payment under way stays."""
        self._events.emit(event, None, **fields)
        if self._sale.state in AT_REST:
            basket = self._sale.basket
            is_open = bool(basket) and self._sale.state is not SaleState.SETTLED
            total = basket.total if is_open else None
            self._board.show(screens.refused(text, total))

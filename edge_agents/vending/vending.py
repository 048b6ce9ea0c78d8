"""The vend at hand: what the machine's words, phones and answers do to it (mission row B3).

    requested by the machine -> waiting for a tap -> settling -> dispensing -> delivered | failed

The seller of the tap desk. Money is held before the item falls and captured after; what the machine
does not say that it gave out is given back. If it says so later all the same, that is told and
counted: nobody pays for it. All of it runs on one event loop and no method waits.
Put together by `machine`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge_agents.devices import mdb_adapter
from edge_agents.devices.mdb_adapter import Status, VendRequest, VendResult, Word
from edge_agents.journal import PaymentState
from edge_agents.payment_request import PendingPayment
from edge_agents.settlements import Outcome, Verdict
from edge_agents.tap import PHONE_SAYS_NO, PhoneAnswer
from edge_agents.vending import screens
from edge_agents.vending.vend import Vend, VendingParts, VendState
from kessai.money import Money, MoneyError
from kessai.v1.payment_pb2 import LineItem

_GONE = ("INACTIVE", "DISABLED", "ENABLED")


class Vending:
    """One machine: the vend at hand, and those before it whose end nobody has told yet."""

    def __init__(self, parts: VendingParts) -> None:
        self._parts, self._events, self._journal = parts, parts.events, parts.journal
        self._vend: Vend | None = None
        self._untold: list[PendingPayment] = []
        self._timer: asyncio.TimerHandle | None = None
        self._may_be_asking = False
        # The latest decision, and whether the item was given out: a late word is about it.
        self._decided: tuple[PendingPayment | None, bool] = (None, False)

    def start(self) -> None:
        """Take up what was under way when the agent last stopped."""
        under_way = (PaymentState.AUTHORIZED, PaymentState.PRESENTED)
        self._may_be_asking = any(self._journal.in_state(state) for state in under_way)
        for entry in self._journal.in_state(PaymentState.REQUESTED):
            self._may_be_asking = True
            self._abandon(entry.pending, "cancelled")
        for entry in self._journal.in_state(PaymentState.HELD):
            self._may_be_asking = True
            self._decide(entry.pending, False, "the agent stopped before the machine was told")
        self._untold = [e.pending for e in self._journal.in_state(PaymentState.APPROVED)]
        self._parts.ends.wake()

    # What the machine's line tells.

    def on_line_open(self) -> None:
        """Be there for the machine; and hear how a vend ended that was cut off."""
        self._parts.say(mdb_adapter.ENABLE)
        if self._untold:
            self._start_timer(self._parts.ask_s, self._on_silence)
        elif self._may_be_asking:
            self._parts.say(mdb_adapter.DENY)
        self._may_be_asking = False

    def _on_silence(self) -> None:
        # If the approval never reached the machine, it still asks, and must not wait for ever.
        self._end_vend("the machine did not tell how it ended")
        self._parts.say(mdb_adapter.DENY)

    def on_line_lost(self) -> None:
        """Keep what is not decided; what nobody agreed to is over."""
        vend, self._vend = self._vend, None
        self._stop_timer()
        if vend is None:
            return
        vend.is_wanted = False
        if vend.state is VendState.WAITING_FOR_TAP:
            self._abandon(vend.pending, "cancelled")
        elif vend.state is VendState.DISPENSING:
            self._untold.append(vend.pending)

    def on_word(self, word: Word) -> None:
        """Take what the machine says."""
        if isinstance(word, VendRequest):
            self._on_request(word)
        elif isinstance(word, VendResult):
            self._on_result(word.delivered)
        else:
            self._on_status(word)

    def _on_request(self, asked: VendRequest) -> None:
        vend = self._vend
        if vend is not None and vend.state is VendState.WAITING_FOR_TAP and vend.asked == asked:
            return  # asked once more
        if vend is not None and vend.state is VendState.SETTLING:
            vend.is_wanted = False
            self._refuse(screens.BUSY, asked)
            return
        self._end_vend("the machine asks for something else")
        try:
            price = Money.parse(asked.price, self._parts.currency)
        except MoneyError:
            price = Money(0, self._parts.currency)
        if price.minor <= 0:
            self._refuse(screens.BAD_PRICE, asked)
            return
        items = self._parts.items
        if items is not None and asked.item not in items:
            self._refuse(screens.UNKNOWN_ITEM, asked)
            return
        self._ask_for_money(asked, price, items[asked.item] if items else "Selection")

    def _ask_for_money(self, asked: VendRequest, price: Money, name: str) -> None:
        parts = self._parts
        number = self._journal.next_order_number()
        order_id = f"{parts.terminal_id[:28]}-{number:06d}"
        line = LineItem(
            description=f"{asked.item} {name}", quantity=1, unit_price_minor=price.minor
        )
        pending = parts.requests.make(order_id, [line], price, hold_s=parts.hold_s)
        self._journal.request(pending)
        self._vend = Vend(asked, pending)
        self._events.emit("vend_requested", pending, item=asked.item)
        self._events.emit("waiting_for_tap", pending)
        parts.show(screens.hold_phone(price))
        parts.phone_wanted.set()

    def _on_result(self, delivered: bool) -> None:
        why = "the machine said so"
        if self._vend is not None and self._vend.state is VendState.DISPENSING:
            self._finish(delivered, why)
        elif self._untold:
            self._decide_untold(delivered, why)
        else:
            self._note_unpaid(delivered)
            self._end_vend(why)

    def _on_status(self, status: Status) -> None:
        """A machine that is ready, or was reset, waits for nothing; its word may still come."""
        if status.name not in _GONE or self._untold:
            return  # what is untold has its time already
        why, vend = f"the machine is {status.name.lower()} and told nothing", self._vend
        if vend is None or vend.state is not VendState.DISPENSING:
            self._end_vend(why)
        elif not vend.is_left:
            vend.is_left = True
            self._start_timer(self._parts.ask_s, lambda: self._end_vend(why))

    def _note_unpaid(self, delivered: bool) -> None:
        """Count what was given out and is not paid; a sale that is told twice is none."""
        about, is_told_twice = self._decided
        if self._vend is not None:
            about, is_told_twice = self._vend.pending, False
        if delivered and not is_told_twice:
            self._journal.note_unpaid(self._parts.now_us(), about)
            self._events.emit("given_out_unpaid", about)

    def _end_vend(self, why: str) -> None:
        """End the vend at hand, because the machine does not go on with it."""
        if self._untold:
            self._decide_untold(False, why)
        vend = self._vend
        if vend is None:
            return
        if vend.state is VendState.DISPENSING:
            self._finish(False, why)
        elif vend.state is VendState.WAITING_FOR_TAP:
            self._abandon(vend.pending, "cancelled")
            self._parts.show(screens.CANCELLED)
            self._vend = None
        else:
            vend.is_wanted = False

    # What the tap desk asks and tells: see `tap_desk.Seller`.

    def wanted_payment(self) -> PendingPayment | None:
        """Give the request that waits for a phone; one that has expired is given up here."""
        vend = self._vend
        if vend is None or vend.state is not VendState.WAITING_FOR_TAP:
            return None
        if vend.pending.expire_us <= self._parts.now_us():
            self._give_up(vend, "expired", screens.TIME_IS_UP)
            return None
        return vend.pending

    def on_deciding(self, pending: PendingPayment) -> None:
        """Take note that the customer is looking at the phone."""
        self._events.emit("customer_deciding", pending)
        self._parts.show(screens.CONFIRM)

    def on_refusal(self, pending: PendingPayment, answer: PhoneAnswer) -> None:
        """Deny the vend if the customer or the phone said no; else wait for a better answer."""
        vend = self._vend
        if answer.status in PHONE_SAYS_NO and vend is not None:
            event, text = PHONE_SAYS_NO[answer.status]
            self._give_up(vend, event, screens.refused(text))
            return
        self._events.emit("phone_refused", pending, status=answer.status)
        self._parts.show(screens.NOT_UNDERSTOOD)

    def on_authorized(self, pending: PendingPayment) -> None:
        """Take note that the switch is asked now."""
        if self._vend is not None and self._vend.pending is pending:
            self._vend.state = VendState.SETTLING
        self._events.emit("submitting" if pending.is_direct else "authorized", pending)
        self._parts.show(screens.PAYING)

    def on_outcome(self, pending: PendingPayment, outcome: Outcome) -> None:
        """Give the item out if the money is held and the machine still waits; else deny."""
        self._parts.phone_wanted.set()
        vend = self._vend
        is_at_hand = vend is not None and vend.pending.request_id == pending.request_id
        if outcome.verdict is Verdict.HELD:
            if vend is not None and is_at_hand and vend.is_wanted:
                self._give_out(vend)
                return
            self._decide(pending, False, "nobody waits for it any more")
        if vend is None or not is_at_hand:
            return
        self._vend = None
        if not vend.is_wanted:
            return
        self._parts.say(mdb_adapter.DENY)
        if outcome.verdict is Verdict.DECLINED and outcome.receipt is not None:
            self._parts.show(screens.declined(outcome.receipt.decline_reason))
        else:
            self._parts.show(screens.NO_ANSWER)

    def on_hold_end(self, pending: PendingPayment) -> None:
        """Take note that a hold was captured or voided: its phone may fetch the receipt."""
        self._parts.phone_wanted.set()

    def show_code(self, pending: PendingPayment | None, code: str | None) -> None:
        """Show by which code a phone finds this machine, where its radio needs one."""
        if pending is not None and code is not None:
            self._events.emit("code_shown", pending, code=code)
            self._parts.show(screens.hold_phone_with_code(pending.total, code))

    # Steps that several of the above take.

    def _give_out(self, vend: Vend) -> None:
        self._journal.approve(vend.pending.request_id)
        vend.state = VendState.DISPENSING
        self._events.emit("approved", vend.pending)
        self._parts.show(screens.GIVING_OUT)
        self._parts.say(mdb_adapter.approve(vend.asked.price))
        why = "the machine told nothing in time"
        self._start_timer(self._parts.vend_s, lambda: self._end_vend(why))

    def _finish(self, delivered: bool, why: str) -> None:
        vend, self._vend = self._vend, None
        self._stop_timer()
        if vend is not None:
            self._decide(vend.pending, delivered, why)
            self._parts.show(screens.DELIVERED if delivered else screens.FAILED)

    def _decide_untold(self, delivered: bool, why: str) -> None:
        """Decide what was cut off; the machine's word is about the newest of them."""
        self._stop_timer()
        untold, self._untold = self._untold, []
        for pending in untold[:-1]:
            self._decide(pending, False, "another vend came after it")
        self._decide(untold[-1], delivered, why)

    def _decide(self, pending: PendingPayment, delivered: bool, why: str) -> None:
        self._journal.decide(pending.request_id, delivered, why)
        self._decided = pending, delivered
        self._events.emit("delivered" if delivered else "failed", pending, why=why)
        self._parts.ends.wake()

    def _start_timer(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, text: str, asked: VendRequest) -> None:
        self._events.emit("vend_refused", None, why=text, item=asked.item, price=asked.price)
        self._parts.show(text)
        self._parts.say(mdb_adapter.DENY)

    def _give_up(self, vend: Vend, event: str, text: str) -> None:
        self._abandon(vend.pending, event)
        self._vend = None
        self._parts.show(text)
        self._parts.say(mdb_adapter.DENY)

    def _abandon(self, pending: PendingPayment, event: str) -> None:
        if self._journal.is_presented(pending.request_id):
            # Its phone may submit it still: what is held then is voided (`on_outcome`).
            self._journal.set_aside(pending.request_id, event)
        else:
            self._journal.abandon(pending.request_id, event)
        self._events.emit(event, pending)

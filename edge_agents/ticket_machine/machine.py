"""The ticket machine: a customer chooses tickets by keys, a phone pays and gets them (row B10).

    1 ... 99       one more ticket of the offer with that number on the display
    X0 ... X20     how many of what was chosen last; X0 takes it back
    %PAY %CANCEL %REPRINT

A checkout that nobody attends: after a while without a key, the next customer begins anew. Nothing
is sold while the switch is out of reach, because it signs the tickets. Wired by `main`.
"""

from __future__ import annotations

import asyncio

from edge_agents.counter import screens
from edge_agents.counter.checkout import Checkout, CheckoutParts
from edge_agents.counter.sale import AT_REST, SaleState
from edge_agents.devices.display import COLUMNS
from edge_agents.devices.paging import headed
from edge_agents.display_board import Page
from edge_agents.payment_request import PendingPayment
from edge_agents.settlements import Outcome, Verdict
from edge_agents.ticket_machine.choice import MAX_TICKETS, Choice, DoesNotFit, Wanted
from edge_agents.ticket_machine.screens import NO_LINE, NOTHING_ON_SALE, offers
from edge_agents.ticket_machine.shelf import Shelf
from kessai.v1 import decline_pb2
from kessai.v1.payment_pb2 import PaymentRequest

_SHOWN_KEY = 20
_UNDER_WAY = (SaleState.WAITING_FOR_TAP, SaleState.AUTHORIZED, SaleState.SETTLING)
_OFFERS_ARE_OTHER = (
    decline_pb2.DECLINE_REASON_TICKET_OFFER_UNKNOWN,
    decline_pb2.DECLINE_REASON_TICKET_ORDER_WRONG,
)
_CHANGED = "Choose again please. Nothing was paid."


class TicketMachine(Checkout[Choice]):
    """A checkout whose lines are keys that name offers and counts."""

    def __init__(self, parts: CheckoutParts, shelf: Shelf, rest_s: float) -> None:
        self._shelf, self._rest_s = shelf, rest_s
        self._timer: asyncio.TimerHandle | None = None
        super().__init__(parts)
        shelf.on_change = self._on_offers

    def start(self) -> None:
        """Show the first screen, and take up what was under way when the agent last stopped."""
        super().start()
        self._begin_anew_later()

    def on_line(self, line: str) -> None:
        """Take a key; see above."""
        super().on_line(line)
        self._begin_anew_later()

    def on_outcome(self, pending: PendingPayment, outcome: Outcome) -> None:
        """Take note of an outcome; offers that the switch has not are fetched again."""
        super().on_outcome(pending, outcome)
        self._begin_anew_later()
        receipt = outcome.receipt
        if outcome.verdict is not Verdict.DECLINED or receipt is None:
            return
        if receipt.decline_reason in _OFFERS_ARE_OTHER:
            self._shelf.refresh()

    # What is sold.

    def _empty_basket(self) -> Choice:
        return Choice()

    def _basket_of(self, request: PaymentRequest) -> Choice:
        return Choice.of_request(request)

    def _make_request(self, order_id: str, basket: Choice) -> PendingPayment:
        return self._parts.requests.make(
            order_id, basket.items(), basket.total, ticket_orders=basket.orders()
        )

    def _idle(self) -> list[Page]:
        shelf = self._shelf
        return offers(self._parts.terminal.display_name, shelf.on_sale(), shelf.is_fresh)

    # The customer's keys.

    def _on_text(self, line: str) -> None:
        key = line.strip().upper()
        if _is_number(key):
            self._on_offer(int(key))
        elif key.startswith("X") and _is_number(key[1:]):
            self._on_count(int(key[1:]))
        else:
            self._refuse("key_refused", "Unknown key", key=key[:_SHOWN_KEY])

    def _on_offer(self, number: int) -> None:
        on_sale = self._shelf.on_sale()
        if not self._may_sell(str(number)):
            return
        if not 1 <= number <= len(on_sale):
            self._refuse("offer_unknown", "No such ticket", key=str(number))
            return
        choice = self._open_basket(str(number))
        if choice is None:
            return
        try:
            self._tell("ticket_chosen", choice, choice.add(on_sale[number - 1]))
        except DoesNotFit as why:
            self._refuse("count_refused", str(why), key=str(number))

    def _on_count(self, count: int) -> None:
        choice = self._open_basket(f"X{count}")
        if choice is None:
            return
        try:
            changed = choice.count_newest(count)
        except DoesNotFit as why:
            self._refuse("count_refused", str(why), key=f"X{count}")
            return
        if changed is None:
            self._refuse("key_refused", "Choose a ticket", key=f"X{count}")
        else:
            self._tell("ticket_chosen" if count else "ticket_removed", choice, changed)

    def _on_pay(self) -> None:
        """Ask for the money, if all that was chosen is still on sale as it was shown."""
        if self._sale.state not in (SaleState.SCANNING, SaleState.DECLINED):
            super()._on_pay()
        elif self._may_sell("%PAY"):
            if self._sale.basket.is_offered(self._shelf.on_sale()):
                super()._on_pay()
            else:
                self._choose_again()

    # Steps that several of the above take.

    def _may_sell(self, key: str) -> bool:
        """Tell whether there is anything to sell now; if not, say so."""
        if self._sale.state not in AT_REST:
            return True  # a payment is under way: `_open_basket` refuses
        if not self._shelf.is_fresh:
            self._events.emit("no_offers", None, key=key, why="the switch does not answer")
            self._board.show([NO_LINE])
        elif not self._shelf.on_sale():
            self._events.emit("no_offers", None, key=key, why="nothing is on sale")
            self._board.show([NOTHING_ON_SALE])
        else:
            return True
        return False

    def _tell(self, event: str, choice: Choice, wanted: Wanted) -> None:
        total = choice.total if choice else None
        minor = total.minor if total is not None else 0
        count = wanted.count
        self._events.emit(
            event, None, offer=wanted.offer_id, count=count, total_minor=minor
        )  # fmt: skip
        if total is None:
            self._board.show(self._idle())
        else:
            text = f"{count} {wanted.title}" if count else f"No {wanted.title}"
            self._board.show(screens.line(text, wanted.total.decimal(), total))

    def _choose_again(self) -> None:
        self._events.emit("choice_gone")
        self._sale = self._new_sale()
        self._board.show(headed("TICKETS CHANGED", _CHANGED, COLUMNS))

    def _on_offers(self) -> None:
        """Show what is on sale now; a choice of what is not any more is taken back."""
        sale = self._sale
        if sale.state is SaleState.SCANNING and not sale.basket:
            self._board.show(self._idle())
            return
        is_open = sale.state in (SaleState.SCANNING, SaleState.DECLINED)
        is_gone = self._shelf.is_fresh and not sale.basket.is_offered(self._shelf.on_sale())
        if is_open and is_gone:
            self._choose_again()

    def _begin_anew_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._rest_s, self._begin_anew)

    def _begin_anew(self) -> None:
        """Be there for the next customer; what is unknown is asked for on."""
        if self._sale.state in _UNDER_WAY:
            self._begin_anew_later()
            return
        self._events.emit("sale_cleared", self._sale.pending)
        self._sale = self._new_sale()
        self._board.show(self._idle())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_TICKETS))

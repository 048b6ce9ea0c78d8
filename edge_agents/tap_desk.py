"""The tap desk: serves one phone after another at a terminal's reader.

A phone in the field is asked to pay if its seller waits for that; else it is offered a receipt that
it may have missed. Used by every agent that takes money from phones; what is sold, and what people
see, is the seller's business. A receipt is offered to a phone only after it has shown, by the hash
of the request, that the payment is its own; so no customer learns of another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from edge_agents.direct_payments import DirectPayments
from edge_agents.events import Events
from edge_agents.journal import Entry, Journal
from edge_agents.links.message_link import LinkLost, MessageLink, Radio
from edge_agents.payment_request import PendingPayment, Terminal
from edge_agents.settlements import Outcome, Settlements
from edge_agents.tap import SESSION_ID_BYTES, PhoneAnswer, TapSession, ask_to_pay
from kessai.v1 import tap_pb2
from kessai.v1.envelope_pb2 import Signed

POLL_S = 0.5
LEAVE_S = 2.0
SETTLE_BUDGET_S = 8.0
OFFER_FOR_US = 15 * 60 * 1_000_000
MAX_OFFERS = 3

_NOT_ITS_OWN = (tap_pb2.TAP_STATUS_REQUEST_UNKNOWN, tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)


# Show the code by which a phone is to find this terminal: to pay this, or to fetch a receipt. None
# if phones need no code, or none is looked for.
ShowCode = Callable[[PendingPayment | None, str | None], None]

# Give the tickets that a settled payment bought; None if they cannot be had now.
TicketsOf = Callable[[PendingPayment], Awaitable[Sequence[Signed] | None]]


class Seller(Protocol):
    """Who sells: decides what is to be paid, and tells people how it stands."""

    def wanted_payment(self) -> PendingPayment | None:
        """Give the request that a phone is to be asked to pay now."""
        ...

    def on_deciding(self, pending: PendingPayment) -> None:
        """Take note that the customer is looking at the phone."""
        ...

    def on_refusal(self, pending: PendingPayment, answer: PhoneAnswer) -> None:
        """Take note that this phone does not pay."""
        ...

    def on_authorized(self, pending: PendingPayment) -> None:
        """Take note that the customer agreed; the switch is asked now, by us or by the phone."""
        ...

    def on_outcome(self, pending: PendingPayment, outcome: Outcome) -> None:
        """Take note of what became of a payment."""
        ...


class TapDesk:
    """Serves the phones at one reader."""

    def __init__(
        self,
        radio: Radio,
        seller: Seller,
        terminal: Terminal,
        journal: Journal,
        settlements: Settlements,
        events: Events,
        phone_wanted: asyncio.Event,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        show_code: ShowCode = lambda pending, code: None,
        direct: DirectPayments | None = None,
        tickets_of: TicketsOf | None = None,
    ) -> None:
        """Serve phones; without `show_code` the moniker of a BLE radio must name a code.

        A seller whose requests say that the phone submits them needs `direct`; one whose requests
        order tickets needs `tickets_of`.
        """
        self._radio, self._seller, self._show_code = radio, seller, show_code
        self._certificate = terminal.merchant_certificate
        self._journal, self._settlements, self._events = journal, settlements, events
        self._phone_wanted, self._now_us = phone_wanted, now_us
        self._random_bytes, self._direct = random_bytes, direct
        self._tickets_of = tickets_of
        self._not_taken: set[bytes] = set()
        self._former: PendingPayment | None = None
        self._shown: tuple[PendingPayment | None, str | None] = (None, None)

    def use_certificate(self, terminal: Terminal) -> None:
        """Present another merchant certificate from now on, as after a renewal."""
        self._certificate = terminal.merchant_certificate

    async def run(self) -> None:
        """Serve phones, for ever; the reader rests while there is nothing to say to any."""
        while True:
            pending = self._seller.wanted_payment()
            if pending is None and not self._offers():
                self._tell_code(None, None)
                self._phone_wanted.clear()
                await self._phone_wanted.wait()
                continue
            if pending is not None and pending is not self._former:
                self._radio.new_code()
                self._former = pending
            self._tell_code(pending, self._radio.code)
            link = await self._radio.wait_for_phone(POLL_S)
            if link is not None:
                await self._serve(link)

    def _tell_code(self, pending: PendingPayment | None, code: str | None) -> None:
        if (pending, code) != self._shown:
            self._shown = (pending, code)
            self._show_code(pending, code)

    async def _serve(self, link: MessageLink) -> None:
        session = TapSession(link, self._random_bytes(SESSION_ID_BYTES))
        pending = self._seller.wanted_payment()
        self._events.emit("phone_seen", pending)
        try:
            if pending is not None:
                await self._take_payment(session, pending)
            else:
                await self._offer_receipts(session)
        except LinkLost as error:
            self._events.emit("phone_left", pending, why=str(error))
        await self._radio.wait_until_gone(LEAVE_S)
        self._shown = (None, None)  # the display may have said something else meanwhile

    async def _take_payment(self, session: TapSession, pending: PendingPayment) -> None:
        direct = self._direct if pending.is_direct else None
        if direct is not None:
            direct.present(pending)
        answer = await ask_to_pay(
            session,
            pending,
            self._certificate,
            is_wanted=lambda: self._seller.wanted_payment() is pending,
            on_deciding=lambda: self._seller.on_deciding(pending),
        )
        if answer is None:
            if direct is not None:  # the switch may have told the outcome before the phone could
                await self._offer_receipts(session)
            return
        if direct is not None and answer.status == tap_pb2.TAP_STATUS_SUBMITTING:
            self._seller.on_authorized(pending)
            outcome = await direct.outcome_of(pending, SETTLE_BUDGET_S)
        elif direct is not None or answer.sealed is None:
            self._seller.on_refusal(pending, answer)
            return
        else:
            self._journal.authorize(pending.request_id, answer.sealed)
            self._seller.on_authorized(pending)
            outcome = await self._settlements.settle(
                pending, answer.sealed, SETTLE_BUDGET_S, answer.holder
            )
        self._seller.on_outcome(pending, outcome)
        if outcome.signed is not None:
            await self._deliver(session, pending, outcome.signed)

    async def _offer_receipts(self, session: TapSession) -> None:
        for entry in reversed(self._offers()):
            answer = await session.inquire(entry.pending)
            if answer.status not in _NOT_ITS_OWN and entry.receipt is not None:
                await self._deliver(session, entry.pending, entry.receipt)

    async def _deliver(self, session: TapSession, pending: PendingPayment, signed: Signed) -> None:
        """Give the phone its receipt, and its tickets; without these it is given both once more."""
        tickets = await self._tickets_of(pending) if self._tickets_of is not None else ()
        taken = await session.deliver(signed, tickets or ())
        if taken and tickets is None:
            self._events.emit("tickets_wait", pending)
        elif taken:
            self._journal.mark_delivered(pending.request_id)
            self._events.emit("receipt_delivered", pending)
        else:
            self._not_taken.add(pending.request_id)
            self._events.emit("receipt_not_taken", pending)

    def _offers(self) -> list[Entry]:
        """List the receipts that a phone may still come back for.

        None while money is held: the phone that waits for its end is not to be sent away by others.
        """
        if self._journal.has_open_holds():
            return []
        oldest_us = self._now_us() - OFFER_FOR_US
        return [
            entry
            for entry in self._journal.undelivered(MAX_OFFERS)
            if entry.pending.expire_us > oldest_us
            and entry.pending.request_id not in self._not_taken
        ]

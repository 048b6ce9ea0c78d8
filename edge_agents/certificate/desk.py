"""A gift certificate pays at a counter: asked of the phone, kept, spent at the switch (row B10).

The order is that of every payment: on the disk before the switch hears of it, and the same request
until there is an answer, also after a kill. Called by `main`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from edge_agents.certificate.pending import Pending
from edge_agents.links.message_link import LinkLost, MessageLink
from edge_agents.payment_request import Terminal
from edge_agents.tap import SESSION_ID_BYTES, TapSession
from edge_agents.ticket_line import CallFailed, SwitchRefused, TicketLine
from kessai.complaint import Complaint
from kessai.envelope import read_verified
from kessai.money import Money
from kessai.request_id import format_request_id, new_request_id
from kessai.ticket import (
    NONCE_BYTES,
    Entrance,
    TicketRefused,
    claimed_ticket_id,
    open_certificate_answer,
)
from kessai.v1 import decline_pb2, tap_pb2
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.tap_pb2 import AskForTicket, TapRequest, TellEntry
from kessai.v1.ticket_pb2 import Redemption, Ticket

TRIES = 3
PAUSE_S = 0.5

_PAID = decline_pb2.DECLINE_REASON_UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Spent:
    """What became of it; `left` is what the certificate is still worth, None if not known."""

    ticket_id: bytes
    amount: Money
    refusal: DeclineReason.ValueType
    left: Money | None

    @property
    def is_paid(self) -> bool:
        """Tell whether the certificate paid."""
        return self.refusal == _PAID


class CertificateDesk:
    """One terminal's counter, for one certificate at a time."""

    def __init__(
        self,
        terminal: Terminal,
        pending: Pending,
        line: TicketLine,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._terminal, self._pending, self._line = terminal, pending, line
        self._now_us, self._random_bytes = now_us, random_bytes

    async def finish(self) -> Spent | None:
        """Learn what became of what was under way when this was cut off; None if nothing was.

        Complaint if the switch does not answer: then it is still not known.
        """
        use = self._pending.read()
        return await self._spend(use) if use is not None else None

    async def collect(self, link: MessageLink, amount: Money) -> Spent:
        """Let the certificate in a phone pay; both learn the result.

        Complaint if the phone has none, or the switch does not answer. LinkLost before the phone
        has shown it: nothing was paid.
        """
        session = TapSession(link, self._random_bytes(SESSION_ID_BYTES))
        use = await self._ask(session, amount)
        spent = await self._spend(use)
        told = TellEntry(ticket_id=spent.ticket_id, decline_reason=spent.refusal)
        if spent.left is not None:
            told.value_left_minor = spent.left.minor
        await _tell(session, told)
        return spent

    async def _ask(self, session: TapSession, amount: Money) -> Redemption:
        terminal, nonce = self._terminal, self._random_bytes(NONCE_BYTES)
        body = AskForTicket(
            nonce=nonce,
            merchant_certificate=terminal.merchant_certificate,
            amount=amount.to_proto(),
        )
        answer = await session.exchange(TapRequest(ask_for_ticket=body))
        if answer.status != tap_pb2.TAP_STATUS_TICKET_SHOWN:
            raise Complaint(
                f"The phone has no gift certificate open for {amount} here. Nothing was paid. The "
                "customer opens one on the phone, for as much."
            )
        counter = Entrance(nonce, terminal.merchant_id, terminal.terminal_id)
        try:
            open_certificate_answer(answer.ticket_answer, terminal.switch_key, counter, amount)
        except TicketRefused as refused:
            shown = claimed_ticket_id(answer.ticket_answer.ticket)
            told = TellEntry(ticket_id=shown, decline_reason=refused.reason)
            await _tell(session, told)
            raise Complaint(
                f"What the phone showed is no good certificate of yours ({refused}). Nothing was "
                "paid. Ask for another way to pay."
            ) from None
        now_us = self._now_us()
        request_id = new_request_id(now_us // 1000, self._random_bytes)
        use = Redemption(
            request_id=format_request_id(request_id),
            ticket=answer.ticket_answer.ticket,
            amount_minor=amount.minor,
        )
        use.redeem_time.FromMicroseconds(now_us)
        self._pending.keep(use)
        return use

    async def _spend(self, use: Redemption) -> Spent:
        ticket = read_verified(use.ticket, Ticket)
        currency = ticket.offer.value.currency_code
        amount, refusal = Money(use.amount_minor, currency), await self._result(use)
        self._pending.forget()
        try:
            state = await self._line.look(ticket.ticket_id)
        except CallFailed:
            return Spent(ticket.ticket_id, amount, refusal, None)
        left = Money(ticket.offer.value.amount_minor - state.spent_minor, currency)
        return Spent(ticket.ticket_id, amount, refusal, left)

    async def _result(self, use: Redemption) -> DeclineReason.ValueType:
        why = ""
        for _ in range(TRIES):
            try:
                return (await self._line.redeem([use]))[0].decline_reason
            except CallFailed as failed:
                why = str(failed)
                if isinstance(failed, SwitchRefused) and failed.is_final:
                    self._pending.forget()
                    raise Complaint(
                        f"The switch does not take this ({why}). Nothing was paid. Update this "
                        "terminal, or ask for another way to pay."
                    ) from None
                await asyncio.sleep(PAUSE_S)
        raise Complaint(
            f"The switch does not answer ({why}). It is not known whether the certificate paid: do "
            "not hand over anything. Run this again: it asks for the same payment first."
        )


async def _tell(session: TapSession, told: TellEntry) -> None:
    """Tell the phone; one that left learns what is left with its next payment."""
    with contextlib.suppress(LinkLost):
        await session.exchange(TapRequest(tell_entry=told))

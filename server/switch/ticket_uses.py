"""What becomes of tickets: redeemed at entrances, refunded, revoked (row B10).

Called by `server/rpc/ticket_servicer.py`; decided in the shard of the venue's account
(`server/domain/ticket.py`). What was refunded or revoked goes on the deny list, which entrances
keep a copy of; the answer goes out when both are durable, and a repeated call does what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kessai.currency import BY_CODE
from kessai.envelope import PublicKey
from kessai.ticket import TicketRefused, open_ticket, terms_of
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.ticket_pb2 import (
    TICKET_KIND_GIFT_CERTIFICATE,
    Redemption,
    RefundTicketRequest,
    RevokeTicketRequest,
    Ticket,
    TicketEvidence,
    TicketState,
)
from server.domain.command import ACCEPTED
from server.domain.directory import DenyKind
from server.domain.history import operator_input_hash
from server.domain.payment import CLOCK_TOLERANCE_US
from server.domain.ticket import RedeemTicket, RefundTicket, RevokeTicket, redemption_id
from server.identity.deny_list import DenyList
from server.identity.directory_call import in_thread
from server.identity.refusals import RequestIdReused, Unknown
from server.shards import settlement_log
from server.shards.directory import Directory
from server.shards.router import Shards
from server.switch.faults import declined_fault
from server.switch.refused import refusing_store_trouble
from server.switch.settle import Settle
from server.switch.ticket_sales import SoldTicket, TicketSales

_VOID = (ACCEPTED, d.DECLINE_REASON_TICKET_REFUNDED, d.DECLINE_REASON_TICKET_REVOKED)


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks: the path of a device or operator, and the merchant of a terminal; "": any."""

    device: str
    merchant_id: str = ""

    def require_venue(self, sold: SoldTicket) -> None:
        """Refuse another merchant's terminal, as if there were no such ticket."""
        if self.merchant_id not in ("", sold.ticket.offer.merchant_id):
            raise Unknown("there is no such ticket, or it is not your venue's")


class TicketUses:
    """Books what becomes of tickets."""

    def __init__(
        self,
        sales: TicketSales,
        shards: Shards,
        settle: Settle,
        directory: Directory,
        deny_list: DenyList,
        switch_key: PublicKey,
        now_us: Callable[[], int],
    ) -> None:
        self._sales, self._shards, self._settle = sales, shards, settle
        self._now_us = now_us
        self._directory, self._deny_list, self._switch_key = directory, deny_list, switch_key

    async def redeem(
        self, uses: Sequence[tuple[bytes, Redemption]], requester: Requester
    ) -> list[DeclineReason.ValueType]:
        """Book uses of tickets, each under its request id; a decline or ACCEPTED for each.

        Raises RequestIdReused, Unknown (no such merchant), Unavailable, Overloaded.
        """
        merchant = await in_thread(self._directory.merchant, requester.merchant_id)
        if merchant is None:
            raise Unknown(f'there is no merchant "{requester.merchant_id}"')
        booking = (self._redeem(use, requester, merchant.account) for use in uses)
        return await asyncio.gather(*booking)

    async def refund(
        self, request: RefundTicketRequest, request_id: bytes, requester: Requester
    ) -> tuple[DeclineReason.ValueType, Ticket]:
        """Give the price of an unused ticket back: a decline or ACCEPTED, and the ticket.

        Raises Unknown, DirectoryUnavailable, and what `Settle` raises.
        """
        sold = await self._sales.find(request.ticket_id)
        requester.require_venue(sold)
        price, content = sold.ticket.offer.price, request.SerializeToString(deterministic=True)
        command = RefundTicket(
            request_id,
            operator_input_hash(content),
            sold.venue_account,
            sold.payer_account,
            price.amount_minor,
            _ledger(sold.ticket),
            _evidence(content, sold.signed, requester),
            ticket=terms_of(sold.ticket),
        )
        _, row = await self._settle(command)
        await self._deny(row.decline, sold)
        return row.decline, sold.ticket

    async def revoke(
        self, request: RevokeTicketRequest, request_id: bytes, requester: Requester
    ) -> DeclineReason.ValueType:
        """Make a ticket void: a decline or ACCEPTED. Raises as `refund`."""
        sold = await self._sales.find(request.ticket_id)
        content = request.SerializeToString(deterministic=True)
        command = RevokeTicket(
            request_id,
            operator_input_hash(content),
            0,
            sold.venue_account,
            0,
            _ledger(sold.ticket),
            _evidence(content, sold.signed, requester),
            ticket=terms_of(sold.ticket),
        )
        _, row = await self._settle(command)
        await self._deny(row.decline, sold)
        return row.decline

    async def look(self, ticket_id: bytes, requester: Requester) -> tuple[SoldTicket, TicketState]:
        """Tell how a ticket stands. Raises Unknown, Unavailable, Overloaded."""
        sold = await self._sales.find(ticket_id)
        requester.require_venue(sold)
        with refusing_store_trouble():
            kept = await self._shards.look(
                sold.venue_account, lambda reader: reader.document(ticket_id), bool
            )
        return sold, TicketState.FromString(kept.body) if kept is not None else TicketState()

    async def _redeem(
        self, use: tuple[bytes, Redemption], requester: Requester, venue_account: int
    ) -> DeclineReason.ValueType:
        request_id, message = use
        try:
            command = self._redemption(request_id, message, requester, venue_account)
        except TicketRefused as refused:
            return refused.reason
        except Exception as error:
            return declined_fault(error, request_id)
        with refusing_store_trouble():
            try:
                return (await self._shards.submit(command)).decline
            except settlement_log.RequestIdReused:
                raise RequestIdReused from None

    def _redemption(
        self, request_id: bytes, message: Redemption, requester: Requester, venue_account: int
    ) -> RedeemTicket:
        ticket = open_ticket(message.ticket, self._switch_key)
        if ticket.offer.merchant_id != requester.merchant_id or not _fits(message, ticket):
            raise TicketRefused(d.DECLINE_REASON_TICKET_INVALID)
        redeem_us = message.redeem_time.ToMicroseconds()
        if redeem_us > self._now_us() + CLOCK_TOLERANCE_US:
            raise TicketRefused(d.DECLINE_REASON_CLOCK_AHEAD)
        content = message.SerializeToString(deterministic=True)
        return RedeemTicket(
            redemption_id(requester.device, request_id),
            operator_input_hash(content),
            0,
            venue_account,
            message.amount_minor,
            _ledger(ticket),
            _evidence(content, message.ticket, requester),
            ticket=terms_of(ticket),
            persons=message.persons,
            redeem_us=redeem_us,
        )

    async def _deny(self, decline: DeclineReason.ValueType, sold: SoldTicket) -> None:
        # Also for a ticket that is void already: the switch may have been killed before it was
        # denied.
        if decline in _VOID:
            terms = terms_of(sold.ticket)
            await in_thread(
                self._deny_list.deny,
                DenyKind.TICKET,
                terms.ticket_id,
                terms.valid_until_us,
                sold.ticket.offer.merchant_id,
            )


def _evidence(request: bytes, ticket: Signed, requester: Requester) -> bytes:
    evidence = TicketEvidence(caller=requester.device, request=request, ticket=ticket)
    return evidence.SerializeToString()


def _ledger(ticket: Ticket) -> int:
    return BY_CODE[ticket.offer.price.currency_code].number


def _fits(use: Redemption, ticket: Ticket) -> bool:
    if ticket.offer.kind == TICKET_KIND_GIFT_CERTIFICATE:
        return use.persons == 0 and use.amount_minor > 0
    return use.persons > 0 and use.amount_minor == 0

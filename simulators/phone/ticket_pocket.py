"""The phone's tickets: kept when they are bought, shown at entrances with a proof (row B10).

No PIN and no question at an entrance: the holder key needs none, and the customer tapped. Called by
`wallet` for what terminals say, and by `cli` for what the bank gives over the phone's own line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kessai.money import Money, MoneyError
from kessai.ticket import (
    NONCE_BYTES,
    Entrance,
    TicketRefused,
    holder_key_hash,
    open_ticket,
    payment_of,
)
from kessai.v1 import decline_pb2, tap_pb2
from kessai.v1 import money_pb2 as pb
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.tap_pb2 import AskForTicket, TapResponse, TellEntry
from kessai.v1.ticket_pb2 import Ticket
from simulators.phone import screen
from simulators.phone.holder_key import HolderKey
from simulators.phone.purchase import Refused, certificate_time_refusal, open_certificate
from simulators.phone.screen import Screen
from simulators.phone.ticket_store import KeptTicket, TicketStore

_UNSPECIFIED = decline_pb2.DECLINE_REASON_UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Wants:
    """What the owner wants with this tap: how many go in, 1 or more; what a certificate may pay.

    `spend` is what he said when he opened the certificate; None: it pays nothing.
    """

    persons: int = 1
    spend: Money | None = None


ALONE = Wants()


class TicketPocket:
    """What a phone has for entrances and counters."""

    def __init__(
        self,
        switch_key: Ed25519PublicKey,
        store: TicketStore,
        holder_key: HolderKey,
        show: Callable[[Screen], None],
        now_us: Callable[[], int],
        wants: Wants = ALONE,
    ) -> None:
        self._switch_key, self._store, self._holder_key = switch_key, store, holder_key
        self._show, self._now_us, self._wants = show, now_us, wants
        self._amount = Money(0, "EUR")

    def keep(self, tickets: Sequence[Signed], request_id: bytes) -> None:
        """Keep the tickets of a payment durably.

        TicketRefused if one is not the switch's, not of this payment, or bound to another phone.
        """
        own_hash = holder_key_hash(self._holder_key.public_key)
        opened: list[tuple[Ticket, Signed]] = []
        for signed in tickets:
            ticket = open_ticket(signed, self._switch_key)
            if payment_of(ticket.ticket_id) != request_id:
                raise TicketRefused(decline_pb2.DECLINE_REASON_TICKET_INVALID)
            if ticket.holder_key_hash != own_hash:
                raise TicketRefused(decline_pb2.DECLINE_REASON_TICKET_NOT_HOLDER)
            opened.append((ticket, signed))
        self._store.keep(opened)

    def show_ticket(self, ask: AskForTicket) -> TapResponse:
        """Show the ticket that fits best, with the proof that this is its phone.

        To an entrance one for its events, to a counter that names an amount a gift certificate.
        """
        if len(ask.nonce) != NONCE_BYTES:
            return TapResponse(status=tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)
        try:
            certificate = open_certificate(ask.merchant_certificate, self._switch_key)
            reason = certificate_time_refusal(certificate, self._now_us())
            if reason != _UNSPECIFIED:
                raise Refused(reason)
        except Refused as refusal:
            self._show(screen.refused("", refusal.reason))
            return TapResponse(status=tap_pb2.TAP_STATUS_REQUEST_REFUSED)
        asking = Entrance(ask.nonce, certificate.merchant_id, certificate.terminal_id)
        if ask.HasField("amount"):
            return self._show_certificate(asking, certificate.display_name, ask.amount)
        chosen = self._choose(certificate.merchant_id, ask.event_ids)
        if chosen is None:
            self._show(screen.no_ticket(certificate.display_name))
            return TapResponse(status=tap_pb2.TAP_STATUS_TICKET_MISSING)
        persons = max(1, min(self._wants.persons, chosen.persons_left))
        self._show(screen.ticket(chosen.ticket, persons))
        return TapResponse(
            status=tap_pb2.TAP_STATUS_TICKET_SHOWN,
            ticket_answer=self._holder_key.show_ticket(chosen.signed, persons, asking),
        )

    def _show_certificate(self, counter: Entrance, shop: str, asked: pb.Money) -> TapResponse:
        try:
            self._amount = amount = Money.from_proto(asked)
        except MoneyError:
            return TapResponse(status=tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)
        chosen = self._certificate_for(counter.merchant_id, amount)
        if chosen is None:
            self._show(screen.no_certificate(shop, amount))
            return TapResponse(status=tap_pb2.TAP_STATUS_TICKET_MISSING)
        self._show(screen.certificate(chosen.ticket, amount))
        answer = self._holder_key.show_certificate(chosen.signed, amount.minor, counter)
        return TapResponse(status=tap_pb2.TAP_STATUS_TICKET_SHOWN, ticket_answer=answer)

    def hear(self, told: TellEntry) -> TapResponse:
        """Take a terminal's word for a ticket; it is shown, and believed by nobody else."""
        kept = next((k for k in self._store.all() if k.ticket.ticket_id == told.ticket_id), None)
        if kept is None:
            return TapResponse(status=tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)
        value_minor = kept.ticket.offer.value.amount_minor
        if told.persons_left < 0 or not 0 <= told.value_left_minor <= value_minor:
            return TapResponse(status=tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)
        if value_minor:
            self._hear_of_certificate(kept.ticket, told)
        elif told.decline_reason == _UNSPECIFIED:
            admits = kept.ticket.offer.admits
            self._store.note_entry(told.ticket_id, max(0, admits - told.persons_left))
            self._show(screen.welcome(kept.ticket, told.persons_left))
        else:
            self._store.note_refusal(told.ticket_id, told.decline_reason)
            self._show(screen.turned_away(kept.ticket, told.decline_reason))
        return TapResponse(status=tap_pb2.TAP_STATUS_ENTRY_SHOWN)

    def _hear_of_certificate(self, ticket: Ticket, told: TellEntry) -> None:
        if told.decline_reason == _UNSPECIFIED:
            left = told.value_left_minor
            self._store.note_spent(ticket.ticket_id, ticket.offer.value.amount_minor - left)
            self._show(screen.certificate_paid(ticket, self._amount, left))
        else:
            self._store.note_refusal(ticket.ticket_id, told.decline_reason)
            self._show(screen.certificate_refused(ticket, self._amount, told.decline_reason))

    def _certificate_for(self, merchant_id: str, amount: Money) -> KeptTicket | None:
        """Choose a certificate of a shop: the one with the least left that is enough."""
        spend = self._wants.spend
        if (
            spend is None
            or spend.currency != amount.currency
            or not 0 < amount.minor <= spend.minor
        ):
            return None
        own = [
            kept
            for kept in self._store.all()
            if kept.ticket.offer.merchant_id == merchant_id
            and kept.ticket.offer.value.currency_code == amount.currency
        ]
        enough = [kept for kept in own if kept.value_left_minor >= amount.minor]
        return min(enough or own, key=lambda kept: kept.value_left_minor, default=None)

    def _choose(self, merchant_id: str, event_ids: Sequence[str]) -> KeptTicket | None:
        """Choose among the venue's tickets: for the event, with somebody left, in time."""
        now_us = self._now_us()

        def fitness(kept: KeptTicket) -> tuple[bool, bool, bool]:
            terms = kept.ticket.offer
            from_us = terms.valid_from_time.ToMicroseconds()
            in_time = from_us <= now_us < terms.valid_until_time.ToMicroseconds()
            return terms.event_id in event_ids, kept.persons_left > 0, in_time

        own = [k for k in self._store.all() if k.ticket.offer.merchant_id == merchant_id]
        return max((k for k in own if k.ticket.offer.admits), key=fitness, default=None)

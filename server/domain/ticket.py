"""What becomes of a ticket (row B10): used, spent in parts, refunded, revoked.

Built by `server/switch/ticket_uses.py` and from the log. A ticket is sold by a payment
(`payment.py`) and needs nothing more: as long as nothing became of it there is no document. Its
state lies in the shard of the venue's account, because that is where a refund takes the money from.

    movement    debit    credit                 with it, in the same commit
    redeem      -        -                      persons in, or value spent
    refund      venue    payer, his auxiliary   marked as refunded
                         or in transit
    revoke      -        -                      marked as revoked
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from kessai.ticket import TicketTerms
from kessai.v1 import account_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.ticket_pb2 import TicketState
from server.domain.command import ACCEPTED, Command, CommandKind, Decision, Needs, Place, State
from server.domain.document import Document, DocumentKind
from server.domain.payment import landings, paid_out


@dataclass(slots=True)
class _OfTicket(Command):
    ticket: TicketTerms

    def state_of(self, state: State) -> TicketState:
        """Give how the ticket stands; a ticket without a document is as it was sold."""
        kept = state.documents.get(self.ticket.ticket_id)
        return TicketState.FromString(kept.body) if kept is not None else TicketState()

    def changed(self, standing: TicketState) -> tuple[Document]:
        """Write how the ticket stands from now on."""
        body = standing.SerializeToString(deterministic=True)
        return (Document(self.ticket.ticket_id, DocumentKind.TICKET, self.home(), body),)


@dataclass(slots=True)
class RedeemTicket(_OfTicket):
    """Persons let in, or `amount` of a certificate spent, at `payee`, the venue; no money moves.

    `redeem_us` is when it happened. Declines: TICKET_REFUNDED, TICKET_REVOKED, TICKET_NOT_IN_TIME,
    AMOUNT_NOT_POSITIVE, TICKET_USED.
    """

    kind = CommandKind.REDEEM_TICKET

    persons: int
    redeem_us: int

    def home(self) -> int:
        """A ticket's state lies where the venue's account is."""
        return self.payee

    def needs(self, place: Place) -> Needs:
        """The ticket's state."""
        return Needs((), documents=(self.ticket.ticket_id,))

    def decide(self, state: State, now_us: int) -> Decision:
        """Count what was used, up to what the ticket gives."""
        standing, ticket = self.state_of(state), self.ticket
        refusal = _void(standing)
        if refusal != ACCEPTED:
            return Decision(refusal)
        if not ticket.valid_from_us <= self.redeem_us < ticket.valid_until_us:
            return Decision(d.DECLINE_REASON_TICKET_NOT_IN_TIME)
        if self.persons < 0 or self.amount < 0:
            return Decision(d.DECLINE_REASON_AMOUNT_NOT_POSITIVE)
        # Compared before they are written down, where a number of 64 bits has no room for more.
        persons, spent = standing.persons_in + self.persons, standing.spent_minor + self.amount
        if persons > ticket.admits or spent > ticket.value_minor:
            return Decision(d.DECLINE_REASON_TICKET_USED)
        standing.persons_in, standing.spent_minor = persons, spent
        return Decision(documents=self.changed(standing))


@dataclass(slots=True)
class RefundTicket(_OfTicket):
    """The price goes back from `payer`, the venue, to `payee`, the account that had paid.

    Declines: TICKET_USED, TICKET_REFUNDED, TICKET_REVOKED, TICKET_NOT_IN_TIME, INSUFFICIENT_FUNDS,
    PAYER_ACCOUNT_UNKNOWN, PAYEE_ACCOUNT_UNKNOWN, CURRENCY_MISMATCH, AMOUNT_TOO_LARGE.
    """

    kind = CommandKind.REFUND_TICKET

    def home(self) -> int:
        """A refund is decided where the venue's account is."""
        return self.payer

    def needs(self, place: Place) -> Needs:
        """The venue's account, where the money may land, and the ticket's state."""
        accounts = (self.payer, *landings(self.payee, self.ledger, place))
        return Needs(accounts, documents=(self.ticket.ticket_id,))

    def decide(self, state: State, now_us: int) -> Decision:
        """Give the money back for a ticket of which nothing was used."""
        standing = self.state_of(state)
        refusal = _void(standing)
        if refusal != ACCEPTED:
            return Decision(refusal)
        if standing.persons_in or standing.spent_minor:
            return Decision(d.DECLINE_REASON_TICKET_USED)
        if now_us >= self.ticket.valid_until_us:
            return Decision(d.DECLINE_REASON_TICKET_NOT_IN_TIME)
        standing.refunded = True
        transfer, owes = paid_out(self, account_pb2.ENTRY_KIND_REFUND, state)
        return Decision(transfers=(transfer,), owes=owes, documents=self.changed(standing))


@dataclass(slots=True)
class RevokeTicket(_OfTicket):
    """The venue `payee` makes a ticket void. Declines: TICKET_REFUNDED, TICKET_REVOKED."""

    kind = CommandKind.REVOKE_TICKET

    def home(self) -> int:
        """A ticket's state lies where the venue's account is."""
        return self.payee

    def needs(self, place: Place) -> Needs:
        """The ticket's state."""
        return Needs((), documents=(self.ticket.ticket_id,))

    def decide(self, state: State, now_us: int) -> Decision:
        """Mark it, whatever was used of it."""
        standing = self.state_of(state)
        refusal = _void(standing)
        if refusal != ACCEPTED:
            return Decision(refusal)
        standing.revoked = True
        return Decision(documents=self.changed(standing))


def redemption_id(caller: str, request_id: bytes) -> bytes:
    """Give the id under which the log keeps a redemption: a UUIDv10 of the request's time.

    Entrances upload long after they let in, when a request id would be too old to be new. An id of
    the caller and his request id is never a payment's, and two devices never share one.
    """
    digest = hashlib.sha256(b"redemption\0" + caller.encode() + b"\0" + request_id).digest()
    return request_id[:6] + bytes((digest[6] & 0x0F | 0xA0,)) + digest[7:16]


def _void(standing: TicketState) -> DeclineReason.ValueType:
    if standing.refunded:
        return d.DECLINE_REASON_TICKET_REFUNDED
    if standing.revoked:
        return d.DECLINE_REASON_TICKET_REVOKED
    return ACCEPTED

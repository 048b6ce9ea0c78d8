"""Tickets: what both ends must compute alike (mission row B10; `kessai/v1/ticket.proto`).

A ticket is signed by the switch and bound to a key in the holder's phone. The phone shows it with a
proof, `prove_holder`, that answers the entrance's nonce for this ticket, this many persons and this
terminal; the entrance verifies it with `open_ticket_answer`. So a copy of a ticket lets nobody in,
and a proof is of no use at another door or another time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from kessai.decline import name_of
from kessai.envelope import (
    HOLDER_PROOF,
    TICKET,
    DocumentMalformed,
    EnvelopeError,
    PublicKey,
    load_public_key,
    open_signed,
    raw_public_key,
    read_unverified,
    sign,
)
from kessai.money import Money
from kessai.request_id import RequestIdError, check_request_id, format_request_id, parse_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.holder_pb2 import HolderProof
from kessai.v1.tap_pb2 import TicketAnswer
from kessai.v1.ticket_pb2 import Ticket

MAX_TICKETS = 20
MAX_PERSONS = 100
TICKET_ID_BYTES = 18
NONCE_BYTES = 32


class TicketRefused(Exception):
    """The ticket opens no door; `reason` says why."""

    def __init__(self, reason: DeclineReason.ValueType) -> None:
        super().__init__(name_of(reason))
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TicketTerms:
    """What a ticket gives: persons, or value in minor units; times are microseconds since 1970."""

    ticket_id: bytes
    admits: int
    value_minor: int
    valid_from_us: int
    valid_until_us: int


@dataclass(frozen=True, slots=True)
class Entrance:
    """Who asks for a ticket, and with which nonce (32 bytes)."""

    nonce: bytes
    merchant_id: str
    terminal_id: str


def ticket_id_of(request_id: bytes, position: int) -> bytes:
    """Name the ticket at a position, from 0, among those of a payment: 18 bytes."""
    return request_id + position.to_bytes(2, "big")


def payment_of(ticket_id: bytes) -> bytes:
    """Give the request id of the payment that bought a ticket."""
    return ticket_id[:16]


def format_ticket_id(ticket_id: bytes) -> str:
    """Write a ticket's number for people: its payment's id, a slash, and its place from 1."""
    position = int.from_bytes(ticket_id[16:], "big")
    return f"{format_request_id(ticket_id[:16])}/{position + 1}"


def parse_ticket_id(text: str) -> bytes:
    """Read what `format_ticket_id` wrote; RequestIdError otherwise."""
    payment, _, place = text.partition("/")
    if not (place.isascii() and place.isdecimal() and 1 <= int(place) <= MAX_TICKETS):
        raise RequestIdError("a ticket's number is that of its payment, a slash, and its place")
    return ticket_id_of(parse_request_id(payment), int(place) - 1)


def check_ticket_id(raw: bytes) -> bytes:
    """Give the id back if it can be a ticket's; RequestIdError otherwise."""
    if len(raw) != TICKET_ID_BYTES:
        raise RequestIdError("a ticket's id has 18 bytes")
    check_request_id(raw[:16])
    return raw


def terms_of(ticket: Ticket) -> TicketTerms:
    """Read what a ticket gives."""
    offer = ticket.offer
    return TicketTerms(
        ticket.ticket_id,
        offer.admits,
        offer.value.amount_minor,
        offer.valid_from_time.ToMicroseconds(),
        offer.valid_until_time.ToMicroseconds(),
    )


def holder_key_hash(raw_key: bytes) -> bytes:
    """Name the key that a ticket is bound to: SHA-256 over its 65 bytes."""
    return hashlib.sha256(raw_key).digest()


def open_ticket(signed: Signed, switch_key: PublicKey) -> Ticket:
    """Verify that the switch signed a ticket; TicketRefused with TICKET_INVALID if not."""
    try:
        return open_signed(signed, TICKET, switch_key, Ticket.FromString)
    except EnvelopeError:
        raise TicketRefused(d.DECLINE_REASON_TICKET_INVALID) from None


def claimed_ticket_id(shown: Signed) -> bytes:
    """The id that a ticket says of itself, verified by nobody, 18 bytes; or b""."""
    try:
        claimed = read_unverified(shown, Ticket).ticket_id
    except DocumentMalformed:
        return b""
    return claimed if len(claimed) == TICKET_ID_BYTES else b""


def prove_holder(
    ticket: Signed,
    persons: int,
    key: ec.EllipticCurvePrivateKey,
    entrance: Entrance,
    amount_minor: int = 0,
) -> TicketAnswer:
    """Show a ticket for some persons, with the proof that this phone is its holder.

    A gift certificate is shown for an amount, and for 0 persons.
    """
    proof = HolderProof(
        challenge=ticket_challenge(ticket, persons, amount_minor, entrance.nonce),
        merchant_id=entrance.merchant_id,
        terminal_id=entrance.terminal_id,
    )
    return TicketAnswer(
        ticket=ticket,
        holder_public_key=raw_public_key(key.public_key()),
        proof=sign(HOLDER_PROOF, proof, key),
        persons=persons,
        amount_minor=amount_minor,
    )


def open_ticket_answer(answer: TicketAnswer, switch_key: PublicKey, entrance: Entrance) -> Ticket:
    """Verify a ticket and its holder, for this entrance and this nonce; the ticket comes back.

    TicketRefused with TICKET_INVALID or TICKET_NOT_HOLDER. Venue, event, time, deny list and use
    are the entrance's to judge.
    """
    ticket = open_ticket(answer.ticket, switch_key)
    if not 1 <= answer.persons <= MAX_PERSONS or answer.amount_minor:
        raise TicketRefused(d.DECLINE_REASON_TICKET_INVALID)
    _check_holder(answer, ticket, entrance)
    return ticket


def open_certificate_answer(
    answer: TicketAnswer, switch_key: PublicKey, counter: Entrance, amount: Money
) -> Ticket:
    """Verify a gift certificate of this merchant and its holder, for this amount and nonce.

    TicketRefused with TICKET_INVALID or TICKET_NOT_HOLDER. What it is still worth, its time, and
    whether it was revoked the switch judges.
    """
    ticket = open_ticket(answer.ticket, switch_key)
    said = (ticket.offer.merchant_id, ticket.offer.value.currency_code, answer.amount_minor)
    if said != (counter.merchant_id, amount.currency, amount.minor) or answer.persons:
        raise TicketRefused(d.DECLINE_REASON_TICKET_INVALID)
    _check_holder(answer, ticket, counter)
    return ticket


def _check_holder(answer: TicketAnswer, ticket: Ticket, entrance: Entrance) -> None:
    copied = TicketRefused(d.DECLINE_REASON_TICKET_NOT_HOLDER)
    if holder_key_hash(answer.holder_public_key) != ticket.holder_key_hash:
        raise copied
    try:
        key = load_public_key(answer.holder_public_key)
        proof = open_signed(answer.proof, HOLDER_PROOF, key, HolderProof.FromString)
    except EnvelopeError:
        raise copied from None
    challenge = ticket_challenge(answer.ticket, answer.persons, answer.amount_minor, entrance.nonce)
    said = (proof.challenge, proof.merchant_id, proof.terminal_id)
    if said != (challenge, entrance.merchant_id, entrance.terminal_id):
        raise copied


def ticket_challenge(ticket: Signed, persons: int, amount_minor: int, nonce: bytes) -> bytes:
    """Give the challenge that answers an entrance's or a counter's nonce for a ticket, 32 bytes."""
    content = hashlib.sha256(ticket.payload).digest()
    what_for = persons.to_bytes(4, "big")
    if amount_minor:
        what_for += amount_minor.to_bytes(8, "big", signed=True)
    return hashlib.sha256(b"kessai/ticket-nonce/v1\0" + nonce + content + what_for).digest()

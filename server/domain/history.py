"""Commands out of the settlement log: what was written can be decided again.

Used by `server/shards/verify.py`, and by tests that rebuild the books.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from google.protobuf.message import DecodeError

from kessai.envelope import read_verified
from kessai.request_id import parse_request_id
from kessai.ticket import terms_of
from kessai.v1.shard_pb2 import SlotMove
from kessai.v1.ticket_pb2 import (
    Redemption,
    RefundTicketRequest,
    RevokeTicketRequest,
    Ticket,
    TicketEvidence,
)
from server.domain.arrival import Arrive, arrival, payment_id, read_origin
from server.domain.busy_payee import MergeAuxiliary, merge
from server.domain.command import Command, CommandKind
from server.domain.fare import SettleFare
from server.domain.hold import CaptureHold, ExpireHold, PlaceHold, VoidHold
from server.domain.operator_history import OPERATOR_READERS, check, money_of
from server.domain.operator_history import Parts as Parts
from server.domain.operator_history import operator_input_hash as operator_input_hash
from server.domain.payment import SettlePayment
from server.domain.payment_history import read_bill, read_payment
from server.domain.slot_move import MoveIn, MoveOut, move_out
from server.domain.ticket import RedeemTicket, RefundTicket, RevokeTicket, redemption_id


def read_command(kind: int, parts: Parts) -> Command:
    """Make the command of a log row again.

    `parts` are the command's own fields: request id, input hash, payer, payee, amount, ledger,
    body. ValueError if the kind is unknown, the body does not belong to the input hash, or the
    documents in it say something else than the row.
    """
    try:
        command = _READERS[CommandKind(kind)](*parts)
    except DecodeError as error:
        raise ValueError(f"the documents cannot be read: {error}") from None
    check(command.kind, kind)
    return command


def finish_input_hash(hold_id: bytes, amount: int) -> bytes:
    """Hash what a capture, void or expiry says: which hold, 16 bytes, and how much of it."""
    return hashlib.sha256(hold_id + amount.to_bytes(8, "big", signed=True)).digest()


def _read_finish(make: Callable[..., Command], *parts: *Parts) -> Command:
    _, input_hash, _, _, amount, _, body = parts
    check(finish_input_hash(body, amount), input_hash)
    return make(*parts)


def _read_arrival(*parts: *Parts) -> Arrive:
    request_id, input_hash, payer, payee, amount, ledger, body = parts
    origin = read_origin(body)
    command = arrival(
        origin.shard, origin.log_sequence, payment_id(request_id), payer, payee, amount, ledger,
        origin.code,
    )  # fmt: skip
    check((command.request_id, command.input_hash), (request_id, input_hash))
    return command


def _read_merge(*parts: *Parts) -> MergeAuxiliary:
    request_id, _, auxiliary, _, amount, ledger, _ = parts
    command = merge(request_id, auxiliary, amount, ledger)
    check(command, MergeAuxiliary(*parts))
    return command


def _read_redemption(*parts: *Parts) -> RedeemTicket:
    own_id, input_hash, payer, _, amount, ledger, body = parts
    evidence, ticket = _read_evidence(body, input_hash)
    use = Redemption.FromString(evidence.request)
    check(
        (redemption_id(evidence.caller, parse_request_id(use.request_id)), 0, use.amount_minor),
        (own_id, payer, amount),
    )
    check((use.ticket, money_of(ticket.offer.price)[1]), (evidence.ticket, ledger))
    return RedeemTicket(
        *parts,
        ticket=terms_of(ticket),
        persons=use.persons,
        redeem_us=use.redeem_time.ToMicroseconds(),
    )


def _read_ticket_refund(*parts: *Parts) -> RefundTicket:
    request_id, input_hash, _, _, amount, ledger, body = parts
    evidence, ticket = _read_evidence(body, input_hash)
    request = RefundTicketRequest.FromString(evidence.request)
    check(
        (parse_request_id(request.request_id), request.ticket_id, *money_of(ticket.offer.price)),
        (request_id, ticket.ticket_id, amount, ledger),
    )
    return RefundTicket(*parts, ticket=terms_of(ticket))


def _read_ticket_revocation(*parts: *Parts) -> RevokeTicket:
    request_id, input_hash, payer, _, amount, _, body = parts
    evidence, ticket = _read_evidence(body, input_hash)
    request = RevokeTicketRequest.FromString(evidence.request)
    check(
        (parse_request_id(request.request_id), request.ticket_id, 0, 0),
        (request_id, ticket.ticket_id, payer, amount),
    )
    return RevokeTicket(*parts, ticket=terms_of(ticket))


def _read_evidence(body: bytes, input_hash: bytes) -> tuple[TicketEvidence, Ticket]:
    evidence = TicketEvidence.FromString(body)
    check(operator_input_hash(evidence.request), input_hash)
    return evidence, read_verified(evidence.ticket, Ticket)


def _read_move_out(*parts: *Parts) -> MoveOut:
    command = move_out(parts[0], SlotMove.FromString(parts[-1]))
    check(command, MoveOut(*parts, command.move))
    return command


def _read_move_in(*parts: *Parts) -> MoveIn:
    _, input_hash, *_, body = parts
    check(hashlib.sha256(body).digest(), input_hash)
    return MoveIn(*parts, SlotMove.FromString(body))


_READERS: dict[CommandKind, Callable[..., Command]] = {
    **OPERATOR_READERS,
    CommandKind.SETTLE_PAYMENT: partial(read_payment, SettlePayment),
    CommandKind.ARRIVE: _read_arrival,
    CommandKind.PLACE_HOLD: partial(read_payment, PlaceHold),
    CommandKind.CAPTURE_HOLD: partial(_read_finish, CaptureHold),
    CommandKind.VOID_HOLD: partial(_read_finish, VoidHold),
    CommandKind.EXPIRE_HOLD: partial(_read_finish, ExpireHold),
    CommandKind.MERGE_AUXILIARY: _read_merge,
    CommandKind.REDEEM_TICKET: _read_redemption,
    CommandKind.REFUND_TICKET: _read_ticket_refund,
    CommandKind.REVOKE_TICKET: _read_ticket_revocation,
    CommandKind.SETTLE_BILL: read_bill,
    CommandKind.SETTLE_FARE: partial(read_payment, SettleFare),
    CommandKind.MOVE_OUT: _read_move_out,
    CommandKind.MOVE_IN: _read_move_in,
}

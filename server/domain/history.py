"""Commands out of the settlement log: what was written can be decided again.

Used by `server/shards/verify.py`, and by tests that rebuild the books.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from google.protobuf.message import DecodeError

from kessai.account_number import make_account, parse_account
from kessai.envelope import read_verified
from kessai.money import currency_of
from kessai.request_id import parse_request_id
from kessai.settlement_terms import is_held_first
from kessai.ticket import terms_of
from kessai.v1.account_pb2 import (
    DepositCashRequest,
    DistributeAccountRequest,
    OpenAccountRequest,
    OperatorEvidence,
    WithdrawCashRequest,
)
from kessai.v1.bill_pb2 import Bill, BillEvidence
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import PaymentAuthorization, PaymentEvidence, PaymentRequest
from kessai.v1.shard_pb2 import SlotMove
from kessai.v1.ticket_pb2 import (
    Redemption,
    RefundTicketRequest,
    RevokeTicketRequest,
    Ticket,
    TicketEvidence,
)
from server.domain.account_opening import OpenAccount, attempt_of, id_of_attempt, number_for
from server.domain.arrival import Arrive, arrival, payment_id, read_origin
from server.domain.bill import SettleBill
from server.domain.busy_payee import MergeAuxiliary, OpenAuxiliary, merge, opening_id
from server.domain.cash import DepositCash, WithdrawCash
from server.domain.command import Command, CommandKind
from server.domain.hold import CaptureHold, ExpireHold, PlaceHold, VoidHold
from server.domain.payment import SettlePayment
from server.domain.slot_move import MoveIn, MoveOut, move_out
from server.domain.ticket import RedeemTicket, RefundTicket, RevokeTicket, redemption_id
from server.ledger.chart import main_account, shard_of_auxiliary

Parts = tuple[bytes, bytes, int, int, int, int, bytes]


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
    _check(command.kind, kind)
    return command


def payment_input_hash(request_payload: bytes, authorization_payload: bytes) -> bytes:
    """Hash what a payment says: both documents, without their signatures."""
    return hashlib.sha256(
        hashlib.sha256(request_payload).digest() + hashlib.sha256(authorization_payload).digest()
    ).digest()


def finish_input_hash(hold_id: bytes, amount: int) -> bytes:
    """Hash what a capture, void or expiry says: which hold, 16 bytes, and how much of it."""
    return hashlib.sha256(hold_id + amount.to_bytes(8, "big", signed=True)).digest()


def operator_input_hash(request: bytes) -> bytes:
    """Hash what an operator's command says: its serialised request."""
    return hashlib.sha256(request).digest()


def expire_us_of(request: PaymentRequest, authorization: PaymentAuthorization) -> int:
    """Tell from when on a payment cannot be settled any more, microseconds since 1970."""
    return min(settle_until_us(request), authorization.expire_time.ToMicroseconds())


def settle_until_us(request: PaymentRequest) -> int:
    """Tell until when a request may be settled: longer if its terminal may accept it off line."""
    has_deferred = request.HasField("deferred_expire_time")
    until = request.deferred_expire_time if has_deferred else request.expire_time
    return until.ToMicroseconds()


def _read_payment(*parts: *Parts) -> SettlePayment | PlaceHold:
    request_id, input_hash, payer, _, amount, ledger, body = parts
    evidence = PaymentEvidence.FromString(body)
    payloads = (evidence.payment_request.payload, evidence.authorization.payload)
    _check(payment_input_hash(*payloads), input_hash)
    request = read_verified(evidence.payment_request, PaymentRequest)
    authorization = read_verified(evidence.authorization, PaymentAuthorization)
    _check(
        (request.request_id, parse_account(authorization.account_number), *_money(request.total)),
        (request_id, payer, amount, ledger),
    )
    agreed = (
        evidence.wallet_id,
        request.create_time.ToMicroseconds(),
        expire_us_of(request, authorization),
        evidence.refusal,
        request.admission_id,
    )
    if is_held_first(request):
        return PlaceHold(*parts, *agreed, request.hold_seconds)
    return SettlePayment(*parts, *agreed)


def _read_bill(*parts: *Parts) -> SettleBill:
    request_id, input_hash, payer, payee, amount, ledger, body = parts
    evidence = BillEvidence.FromString(body)
    payloads = (evidence.bill.payload, evidence.authorization.payload)
    _check(payment_input_hash(*payloads), input_hash)
    bill = read_verified(evidence.bill, Bill)
    authorization = read_verified(evidence.authorization, PaymentAuthorization)
    accounts = map(parse_account, (authorization.account_number, evidence.payee_account))
    _check(
        (bill.request_id, *accounts, *_money(bill.amount)),
        (request_id, payer, payee, amount, ledger),
    )
    return SettleBill(
        *parts,
        wallet=evidence.payer_wallet_id,
        create_us=bill.create_time.ToMicroseconds(),
        expire_us=authorization.expire_time.ToMicroseconds(),
        refusal=evidence.refusal,
    )


def _read_finish(make: Callable[..., Command], *parts: *Parts) -> Command:
    _, input_hash, _, _, amount, _, body = parts
    _check(finish_input_hash(body, amount), input_hash)
    return make(*parts)


def _read_opening(*parts: *Parts) -> OpenAccount:
    own_id, input_hash, _, payee, _, ledger, body = parts
    evidence = OperatorEvidence.FromString(body)
    _check(operator_input_hash(evidence.request), input_hash)
    request = OpenAccountRequest.FromString(evidence.request)
    request_id = parse_request_id(request.request_id)
    attempt = attempt_of(request_id, own_id)
    account = make_account(request.branch, request.number or number_for(request_id, attempt))
    _check(
        (id_of_attempt(request_id, attempt), account, currency_of(request.currency_code).number),
        (own_id, payee, ledger),
    )
    return OpenAccount(*parts, owner=request.owner)


def _read_deposit(*parts: *Parts) -> DepositCash:
    request_id, _, payer, payee, amount, ledger, _ = parts
    said = _read_cash(DepositCashRequest.FromString, *parts)
    _check((said[0], 0, *said[1:]), (request_id, payer, payee, amount, ledger))
    return DepositCash(*parts)


def _read_withdrawal(*parts: *Parts) -> WithdrawCash:
    request_id, _, payer, payee, amount, ledger, _ = parts
    said = _read_cash(WithdrawCashRequest.FromString, *parts)
    _check((said[0], 0, *said[1:]), (request_id, payee, payer, amount, ledger))
    return WithdrawCash(*parts)


def _read_cash(
    parse: Callable[[bytes], DepositCashRequest | WithdrawCashRequest], *parts: *Parts
) -> tuple[bytes, int, int, int]:
    evidence = OperatorEvidence.FromString(parts[-1])
    _check(operator_input_hash(evidence.request), parts[1])
    request = parse(evidence.request)
    account = parse_account(request.account_number)
    return parse_request_id(request.request_id), account, *_money(request.amount)


def _read_arrival(*parts: *Parts) -> Arrive:
    request_id, input_hash, payer, payee, amount, ledger, body = parts
    origin = read_origin(body)
    command = arrival(
        origin.shard, origin.log_sequence, payment_id(request_id), payer, payee, amount, ledger,
        origin.code,
    )  # fmt: skip
    _check((command.request_id, command.input_hash), (request_id, input_hash))
    return command


def _read_auxiliary(*parts: *Parts) -> OpenAuxiliary:
    own_id, input_hash, _, payee, _, _, body = parts
    evidence = OperatorEvidence.FromString(body)
    _check(operator_input_hash(evidence.request), input_hash)
    request = DistributeAccountRequest.FromString(evidence.request)
    request_id, shard = parse_request_id(request.request_id), shard_of_auxiliary(payee)
    if shard is None or own_id not in (request_id, opening_id(request_id, shard)):
        raise ValueError("the row is not what its documents say")
    _check(parse_account(request.account_number), main_account(payee))
    return OpenAuxiliary(*parts, owner=evidence.owner)


def _read_merge(*parts: *Parts) -> MergeAuxiliary:
    request_id, _, auxiliary, _, amount, ledger, _ = parts
    command = merge(request_id, auxiliary, amount, ledger)
    _check(command, MergeAuxiliary(*parts))
    return command


def _read_redemption(*parts: *Parts) -> RedeemTicket:
    own_id, input_hash, payer, _, amount, ledger, body = parts
    evidence, ticket = _read_evidence(body, input_hash)
    use = Redemption.FromString(evidence.request)
    _check(
        (redemption_id(evidence.caller, parse_request_id(use.request_id)), 0, use.amount_minor),
        (own_id, payer, amount),
    )
    _check((use.ticket, _money(ticket.offer.price)[1]), (evidence.ticket, ledger))
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
    _check(
        (parse_request_id(request.request_id), request.ticket_id, *_money(ticket.offer.price)),
        (request_id, ticket.ticket_id, amount, ledger),
    )
    return RefundTicket(*parts, ticket=terms_of(ticket))


def _read_ticket_revocation(*parts: *Parts) -> RevokeTicket:
    request_id, input_hash, payer, _, amount, _, body = parts
    evidence, ticket = _read_evidence(body, input_hash)
    request = RevokeTicketRequest.FromString(evidence.request)
    _check(
        (parse_request_id(request.request_id), request.ticket_id, 0, 0),
        (request_id, ticket.ticket_id, payer, amount),
    )
    return RevokeTicket(*parts, ticket=terms_of(ticket))


def _read_evidence(body: bytes, input_hash: bytes) -> tuple[TicketEvidence, Ticket]:
    evidence = TicketEvidence.FromString(body)
    _check(operator_input_hash(evidence.request), input_hash)
    return evidence, read_verified(evidence.ticket, Ticket)


def _read_move_out(*parts: *Parts) -> MoveOut:
    command = move_out(parts[0], SlotMove.FromString(parts[-1]))
    _check(command, MoveOut(*parts, command.move))
    return command


def _read_move_in(*parts: *Parts) -> MoveIn:
    _, input_hash, *_, body = parts
    _check(hashlib.sha256(body).digest(), input_hash)
    return MoveIn(*parts, SlotMove.FromString(body))


def _money(amount: Money) -> tuple[int, int]:
    return amount.amount_minor, currency_of(amount.currency_code).number


def _check(said: object, kept: object) -> None:
    if said != kept:
        raise ValueError("the row is not what its documents say")


_READERS: dict[CommandKind, Callable[..., Command]] = {
    CommandKind.OPEN_ACCOUNT: _read_opening,
    CommandKind.DEPOSIT_CASH: _read_deposit,
    CommandKind.WITHDRAW_CASH: _read_withdrawal,
    CommandKind.SETTLE_PAYMENT: _read_payment,
    CommandKind.ARRIVE: _read_arrival,
    CommandKind.PLACE_HOLD: _read_payment,
    CommandKind.CAPTURE_HOLD: partial(_read_finish, CaptureHold),
    CommandKind.VOID_HOLD: partial(_read_finish, VoidHold),
    CommandKind.EXPIRE_HOLD: partial(_read_finish, ExpireHold),
    CommandKind.OPEN_AUXILIARY: _read_auxiliary,
    CommandKind.MERGE_AUXILIARY: _read_merge,
    CommandKind.REDEEM_TICKET: _read_redemption,
    CommandKind.REFUND_TICKET: _read_ticket_refund,
    CommandKind.REVOKE_TICKET: _read_ticket_revocation,
    CommandKind.SETTLE_BILL: _read_bill,
    CommandKind.MOVE_OUT: _read_move_out,
    CommandKind.MOVE_IN: _read_move_in,
}

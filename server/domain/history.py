"""Commands out of the settlement log: what was written can be decided again.

Used by `server/shards/verify.py`, and by tests that rebuild the books.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from kessai.v1.account_pb2 import OpenAccountRequest, OperatorEvidence
from kessai.v1.payment_pb2 import PaymentAuthorization, PaymentEvidence, PaymentRequest
from server.domain.account_opening import OpenAccount
from server.domain.arrival import Arrive
from server.domain.cash import DepositCash, WithdrawCash
from server.domain.command import Command, CommandKind
from server.domain.hold import CaptureHold, ExpireHold, PlaceHold, VoidHold
from server.domain.payment import SettlePayment

Parts = tuple[bytes, bytes, int, int, int, int, bytes]


def read_command(kind: int, parts: Parts) -> Command:
    """Make the command of a log row again.

    `parts` are the command's own fields: request id, input hash, payer, payee, amount, ledger,
    body. ValueError if the body does not belong to the input hash, or the kind is unknown.
    """
    return _READERS[CommandKind(kind)](*parts)


def payment_input_hash(request_payload: bytes, authorization_payload: bytes) -> bytes:
    """Hash what a payment says: both documents, without their signatures."""
    return hashlib.sha256(
        hashlib.sha256(request_payload).digest() + hashlib.sha256(authorization_payload).digest()
    ).digest()


def operator_input_hash(request: bytes) -> bytes:
    """Hash what an operator's command says: its serialised request."""
    return hashlib.sha256(request).digest()


def expire_us_of(request: PaymentRequest, authorization: PaymentAuthorization) -> int:
    """Tell from when on a payment cannot be settled any more, microseconds since 1970."""
    return min(
        request.expire_time.ToMicroseconds(),
        authorization.expire_time.ToMicroseconds(),
    )


def _read_payment(*parts: *Parts) -> SettlePayment:
    evidence = PaymentEvidence.FromString(parts[-1])
    request_payload = evidence.payment_request.payload
    authorization_payload = evidence.authorization.payload
    if payment_input_hash(request_payload, authorization_payload) != parts[1]:
        raise ValueError("the documents are not those of the input hash")
    request = PaymentRequest.FromString(request_payload)
    authorization = PaymentAuthorization.FromString(authorization_payload)
    return SettlePayment(
        *parts,
        wallet=evidence.wallet_id,
        create_us=request.create_time.ToMicroseconds(),
        expire_us=expire_us_of(request, authorization),
        refusal=evidence.refusal,
    )


def _read_opening(*parts: *Parts) -> OpenAccount:
    evidence = OperatorEvidence.FromString(parts[-1])
    if operator_input_hash(evidence.request) != parts[1]:
        raise ValueError("the request is not that of the input hash")
    return OpenAccount(*parts, owner=OpenAccountRequest.FromString(evidence.request).owner)


_READERS: dict[CommandKind, Callable[..., Command]] = {
    CommandKind.OPEN_ACCOUNT: _read_opening,
    CommandKind.DEPOSIT_CASH: DepositCash,
    CommandKind.WITHDRAW_CASH: WithdrawCash,
    CommandKind.SETTLE_PAYMENT: _read_payment,
    CommandKind.ARRIVE: Arrive,
    CommandKind.PLACE_HOLD: PlaceHold,
    CommandKind.CAPTURE_HOLD: CaptureHold,
    CommandKind.VOID_HOLD: VoidHold,
    CommandKind.EXPIRE_HOLD: ExpireHold,
}

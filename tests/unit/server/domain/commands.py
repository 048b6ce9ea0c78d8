"""Commands as the switch makes them, with documents that can be read again. Shared by the tests.

The documents are not signed: below the switch nobody looks at signatures.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator

from kessai.account_number import format_account, make_account
from kessai.currency import BY_NUMBER
from kessai.request_id import format_request_id, new_request_id
from kessai.v1 import account_pb2, payment_pb2
from kessai.v1.account_pb2 import (
    CloseAccountRequest,
    DepositCashRequest,
    DistributeAccountRequest,
    FreezeAccountRequest,
    OpenAccountRequest,
    OperatorEvidence,
    UnfreezeAccountRequest,
    WithdrawCashRequest,
)
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import (
    SETTLEMENT_TERMS_HOLD,
    SETTLEMENT_TERMS_UNSPECIFIED,
    PaymentAuthorization,
    PaymentEvidence,
    PaymentRequest,
    SettlementTerms,
)
from kessai.v1.suspense_pb2 import ReleaseSuspenseRequest
from server.domain.account_opening import OpenAccount
from server.domain.account_standing import (
    CloseAccount,
    FreezeAccount,
    UnfreezeAccount,
    change_standing,
)
from server.domain.busy_payee import OpenAuxiliary
from server.domain.cash import DepositCash, WithdrawCash
from server.domain.command import ACCEPTED
from server.domain.fare import SettleFare
from server.domain.history import finish_input_hash, operator_input_hash
from server.domain.hold import CaptureHold, ExpireHold, PlaceHold, VoidHold
from server.domain.operator_history import Parts
from server.domain.payment import SettlePayment
from server.domain.payment_history import expire_us_of, payment_input_hash
from server.domain.suspense import ReleaseSuspense, release
from server.ledger.chart import AccountKind, auxiliary_id, house_account_id
from server.shards.placement import SlotMap
from tests.placing import shard_of

EUR, JPY, USD = 978, 392, 840
PAYMENT = account_pb2.ENTRY_KIND_PAYMENT
MERGE = account_pb2.ENTRY_KIND_MERGE
NOW_US = 1_790_000_000_000_000
MINUTE_US = 60_000_000

_counter = itertools.count(1)


def fresh_id(now_us: int = NOW_US) -> bytes:
    """Make a request id; no two of a run are equal."""
    number = next(_counter)
    return new_request_id(now_us // 1000, lambda count: number.to_bytes(count, "big"))


def accounts_on(shard: int, shards: int, first: int = 1) -> Iterator[int]:
    """Name accounts of branch 1 that fall into a shard of so many."""
    slots = SlotMap.even(shards)
    numbers = (make_account(1, number) for number in itertools.count(first))
    return (account for account in numbers if shard_of(slots, account) == shard)


def open_account(
    account: int,
    owner: str = "wallet/ann",
    ledger: int = EUR,
    request_id: bytes = b"",
) -> OpenAccount:
    """Open an account under a number of one's choice."""
    request_id = request_id or fresh_id()
    branch, number = divmod(account, 10**8)
    request = OpenAccountRequest(
        request_id=format_request_id(request_id),
        owner=owner,
        currency_code=BY_NUMBER[ledger].code,
        branch=branch,
        number=number,
    ).SerializeToString(deterministic=True)
    content = operator_input_hash(request)
    return OpenAccount(request_id, content, 0, account, 0, ledger, _body(request), owner)


def freeze(account: int, request_id: bytes = b"") -> FreezeAccount:
    """Let nothing out of an account."""
    request_id = request_id or fresh_id()
    message = FreezeAccountRequest(
        request_id=format_request_id(request_id), account_number=format_account(account)
    )
    return change_standing(FreezeAccount, message, request_id, "operator")


def unfreeze(account: int, request_id: bytes = b"") -> UnfreezeAccount:
    """Let money out of it again."""
    request_id = request_id or fresh_id()
    message = UnfreezeAccountRequest(
        request_id=format_request_id(request_id), account_number=format_account(account)
    )
    return change_standing(UnfreezeAccount, message, request_id, "operator")


def close(account: int, request_id: bytes = b"") -> CloseAccount:
    """Close an account."""
    request_id = request_id or fresh_id()
    message = CloseAccountRequest(
        request_id=format_request_id(request_id), account_number=format_account(account)
    )
    return change_standing(CloseAccount, message, request_id, "operator")


def deposit(account: int, amount: int, ledger: int = EUR, request_id: bytes = b"") -> DepositCash:
    """Pay cash in."""
    request_id = request_id or fresh_id()
    request = DepositCashRequest(
        request_id=format_request_id(request_id),
        account_number=format_account(account),
        amount=_money(amount, ledger),
    ).SerializeToString(deterministic=True)
    content = operator_input_hash(request)
    return DepositCash(request_id, content, 0, account, amount, ledger, _body(request))


def withdraw(account: int, amount: int, ledger: int = EUR, request_id: bytes = b"") -> WithdrawCash:
    """Pay cash out."""
    request_id = request_id or fresh_id()
    request = WithdrawCashRequest(
        request_id=format_request_id(request_id),
        account_number=format_account(account),
        amount=_money(amount, ledger),
    ).SerializeToString(deterministic=True)
    content = operator_input_hash(request)
    return WithdrawCash(request_id, content, account, 0, amount, ledger, _body(request))


def release_to(
    account: int,
    amount: int,
    entry: bytes,
    shard: int = 0,
    ledger: int = EUR,
    request_id: bytes = b"",
    refusal: DeclineReason.ValueType = ACCEPTED,
) -> ReleaseSuspense:
    """Pay out what came into a shard's suspense under the id `entry`."""
    message = ReleaseSuspenseRequest(
        request_id=format_request_id(request_id or fresh_id()),
        entry_request_id=format_request_id(entry),
        account_number=format_account(account),
        amount=_money(amount, ledger),
    )
    suspense = house_account_id(AccountKind.SUSPENSE, shard, ledger)
    return release(message, "joe", suspense, ledger, refusal)


def pay(
    payer: int,
    payee: int,
    amount: int,
    *,
    wallet: str = "ann",
    ledger: int = EUR,
    request_id: bytes = b"",
    refusal: DeclineReason.ValueType = ACCEPTED,
    create_us: int = NOW_US - MINUTE_US,
    expire_us: int = NOW_US + MINUTE_US,
    terms: SettlementTerms.ValueType = SETTLEMENT_TERMS_UNSPECIFIED,
    hold_seconds: int = 0,
    ride: bytes = b"",
) -> SettlePayment:
    """Pay, at any time within a minute of NOW_US; with a ride (16 bytes) the fare of a line."""
    request_id = request_id or fresh_id()
    request = PaymentRequest(
        request_id=request_id,
        total=_money(amount, ledger),
        terms=terms,
        hold_seconds=hold_seconds,
        admission_id=ride,
        merchant_id="line" if ride else "",
    )
    request.create_time.FromMicroseconds(create_us)
    request.expire_time.FromMicroseconds(expire_us)
    payload = request.SerializeToString(deterministic=True)
    authorization = _agree(request, payload, payer)
    agreed = authorization.SerializeToString(deterministic=True)
    evidence = PaymentEvidence(
        payment_request=Signed(payload=payload),
        authorization=Signed(payload=agreed),
        wallet_id=wallet,
        refusal=refusal,
    )
    content = payment_input_hash(payload, agreed)
    said = (request_id, content, payer, payee, amount, ledger, evidence.SerializeToString())
    agreed_on = (wallet, create_us, expire_us_of(request, authorization), refusal)
    return SettleFare(*said, *agreed_on, ride, "line") if ride else SettlePayment(*said, *agreed_on)


def open_auxiliary(
    shard: int,
    account: int,
    owner: str = "merchant/shop",
    ledger: int = EUR,
    request_id: bytes = b"",
    own_id: bytes = b"",
) -> OpenAuxiliary:
    """Open the auxiliary of an account in a shard, by a request for all shards."""
    request_id = request_id or fresh_id()
    request = DistributeAccountRequest(
        request_id=format_request_id(request_id), account_number=format_account(account)
    ).SerializeToString(deterministic=True)
    evidence = OperatorEvidence(operator="joe", request=request, owner=owner)
    return OpenAuxiliary(
        own_id or request_id,
        operator_input_hash(request),
        0,
        auxiliary_id(shard, account),
        0,
        ledger,
        evidence.SerializeToString(),
        owner=owner,
    )


def place_hold(
    payer: int,
    payee: int,
    amount: int,
    timeout_s: int = 0,
    ledger: int = EUR,
    *,
    wallet: str = "ann",
    create_us: int = NOW_US - MINUTE_US,
    expire_us: int = NOW_US + MINUTE_US,
) -> PlaceHold:
    """Reserve money."""
    paid = pay(
        payer, payee, amount, wallet=wallet, ledger=ledger, create_us=create_us,
        expire_us=expire_us, terms=SETTLEMENT_TERMS_HOLD, hold_seconds=timeout_s,
    )  # fmt: skip
    agreed = (paid.wallet, paid.create_us, paid.expire_us, paid.refusal)
    parts = (paid.request_id, paid.input_hash, payer, payee, amount, ledger, paid.body)
    return PlaceHold(*parts, *agreed, hold_seconds=timeout_s)


def capture(hold: PlaceHold, amount: int) -> CaptureHold:
    """Take an amount of a hold."""
    return CaptureHold(*_finish(hold, amount))


def void(hold: PlaceHold) -> VoidHold:
    """Give a hold up."""
    return VoidHold(*_finish(hold, hold.amount))


def expire(hold: PlaceHold) -> ExpireHold:
    """Release a hold whose time is over."""
    return ExpireHold(*_finish(hold, hold.amount))


def _finish(hold: PlaceHold, amount: int) -> Parts:
    body = hold.request_id
    content = finish_input_hash(body, amount)
    return fresh_id(), content, hold.payer, hold.payee, amount, hold.ledger, body


def _agree(request: PaymentRequest, payload: bytes, payer: int) -> PaymentAuthorization:
    return PaymentAuthorization(
        request_hash=hashlib.sha256(payload).digest(),
        amount=request.total,
        account_number=format_account(payer),
        customer_verification=payment_pb2.CUSTOMER_VERIFICATION_DEVICE_PIN,
        expire_time=request.expire_time,
    )


def _money(amount: int, ledger: int) -> Money:
    return Money(amount_minor=amount, currency_code=BY_NUMBER[ledger].code)


def _body(request: bytes) -> bytes:
    return OperatorEvidence(operator="joe", request=request).SerializeToString()

"""Operators' commands out of the settlement log: what was written can be decided again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import TypeAlias, TypeVar

from kessai.account_number import make_account, parse_account
from kessai.money import currency_of
from kessai.request_id import parse_request_id
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
from kessai.v1.money_pb2 import Money
from kessai.v1.suspense_pb2 import ReleaseSuspenseRequest
from server.domain.account_opening import OpenAccount, attempt_of, id_of_attempt, number_for
from server.domain.account_standing import (
    CloseAccount,
    FreezeAccount,
    StandingRequest,
    UnfreezeAccount,
)
from server.domain.busy_payee import OpenAuxiliary, opening_id
from server.domain.cash import DepositCash, WithdrawCash
from server.domain.command import Command, CommandKind
from server.domain.suspense import ReleaseSuspense, release
from server.ledger.chart import main_account, shard_of_auxiliary

Parts: TypeAlias = tuple[bytes, bytes, int, int, int, int, bytes]
Make = TypeVar("Make", bound=Command)


def operator_input_hash(request: bytes) -> bytes:
    """Hash what an operator's command says: its serialised request."""
    return hashlib.sha256(request).digest()


def money_of(amount: Money) -> tuple[int, int]:
    """Minor units and the number of the currency of an amount on the wire."""
    return amount.amount_minor, currency_of(amount.currency_code).number


def check(said: object, kept: object) -> None:
    """ValueError unless a row is what its documents say."""
    if said != kept:
        raise ValueError("the row is not what its documents say")


def _read_opening(*parts: *Parts) -> OpenAccount:
    own_id, input_hash, _, payee, _, ledger, body = parts
    evidence = OperatorEvidence.FromString(body)
    check(operator_input_hash(evidence.request), input_hash)
    request = OpenAccountRequest.FromString(evidence.request)
    request_id = parse_request_id(request.request_id)
    attempt = attempt_of(request_id, own_id)
    account = make_account(request.branch, request.number or number_for(request_id, attempt))
    check(
        (id_of_attempt(request_id, attempt), account, currency_of(request.currency_code).number),
        (own_id, payee, ledger),
    )
    return OpenAccount(*parts, owner=request.owner)


def _read_deposit(*parts: *Parts) -> DepositCash:
    request_id, _, payer, payee, amount, ledger, _ = parts
    said = _read_cash(DepositCashRequest.FromString, *parts)
    check((said[0], 0, *said[1:]), (request_id, payer, payee, amount, ledger))
    return DepositCash(*parts)


def _read_withdrawal(*parts: *Parts) -> WithdrawCash:
    request_id, _, payer, payee, amount, ledger, _ = parts
    said = _read_cash(WithdrawCashRequest.FromString, *parts)
    check((said[0], 0, *said[1:]), (request_id, payee, payer, amount, ledger))
    return WithdrawCash(*parts)


def _read_cash(
    parse: Callable[[bytes], DepositCashRequest | WithdrawCashRequest], *parts: *Parts
) -> tuple[bytes, int, int, int]:
    evidence = OperatorEvidence.FromString(parts[-1])
    check(operator_input_hash(evidence.request), parts[1])
    request = parse(evidence.request)
    account = parse_account(request.account_number)
    return parse_request_id(request.request_id), account, *money_of(request.amount)


def _read_auxiliary(*parts: *Parts) -> OpenAuxiliary:
    own_id, input_hash, _, payee, _, _, body = parts
    evidence = OperatorEvidence.FromString(body)
    check(operator_input_hash(evidence.request), input_hash)
    request = DistributeAccountRequest.FromString(evidence.request)
    request_id, shard = parse_request_id(request.request_id), shard_of_auxiliary(payee)
    if shard is None or own_id not in (request_id, opening_id(request_id, shard)):
        raise ValueError("the row is not what its documents say")
    check(parse_account(request.account_number), main_account(payee))
    return OpenAuxiliary(*parts, owner=evidence.owner)


def _read_standing(
    make: Callable[..., Make], parse: Callable[[bytes], StandingRequest], *parts: *Parts
) -> Make:
    request_id, input_hash, payer, payee, amount, ledger, body = parts
    evidence = OperatorEvidence.FromString(body)
    check(operator_input_hash(evidence.request), input_hash)
    request = parse(evidence.request)
    check(
        (parse_request_id(request.request_id), parse_account(request.account_number), 0, 0, 0),
        (request_id, payee, payer, amount, ledger),
    )
    return make(*parts)


def _read_release(*parts: *Parts) -> ReleaseSuspense:
    evidence = OperatorEvidence.FromString(parts[-1])
    check(operator_input_hash(evidence.request), parts[1])
    request = ReleaseSuspenseRequest.FromString(evidence.request)
    _, ledger = money_of(request.amount)
    command = release(request, evidence.operator, parts[2], ledger, evidence.refusal)
    check(command, ReleaseSuspense(*parts, command.arrival, command.refusal))
    return command


OPERATOR_READERS: dict[CommandKind, Callable[..., Command]] = {
    CommandKind.OPEN_ACCOUNT: _read_opening,
    CommandKind.DEPOSIT_CASH: _read_deposit,
    CommandKind.WITHDRAW_CASH: _read_withdrawal,
    CommandKind.OPEN_AUXILIARY: _read_auxiliary,
    CommandKind.FREEZE_ACCOUNT: partial(
        _read_standing, FreezeAccount, FreezeAccountRequest.FromString
    ),
    CommandKind.UNFREEZE_ACCOUNT: partial(
        _read_standing, UnfreezeAccount, UnfreezeAccountRequest.FromString
    ),
    CommandKind.CLOSE_ACCOUNT: partial(
        _read_standing, CloseAccount, CloseAccountRequest.FromString
    ),
    CommandKind.RELEASE_SUSPENSE: _read_release,
}

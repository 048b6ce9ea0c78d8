"""Accounts: opening, balance and history (rows B11, B14), cash in and out, the trial balance.

Called by `server/rpc/account_servicer.py`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from kessai.account_number import make_account
from kessai.currency import BY_CODE
from kessai.v1.account_pb2 import (
    DepositCashRequest,
    OpenAccountRequest,
    OperatorEvidence,
    WithdrawCashRequest,
)
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.account_opening import OpenAccount, id_of_attempt, number_for
from server.domain.cash import DepositCash, WithdrawCash
from server.domain.command import ACCEPTED
from server.domain.history import operator_input_hash
from server.identity.refusals import Exists, Unknown
from server.ledger.account import Account as Account
from server.ledger.chart import (
    AccountKind,
    auxiliary_id,
    kind_of_owner,
    main_account,
    open_account,
)
from server.shards.router import Shards
from server.shards.store import BookedEntry as BookedEntry
from server.shards.store import Total
from server.switch.refused import refusing_store_trouble
from server.switch.settle import Settle

_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Statement:
    """An account and a page of its entries, newest first, read at one moment.

    As people see them: an auxiliary has the number of its payee's account.
    """

    account: Account
    entries: list[BookedEntry]


@dataclass(slots=True)
class TrialBalanceLine:
    """The accounts of a kind (by its name in the chart) and currency (ISO 4217 number)."""

    kind: str
    ledger: int
    accounts: int = 0
    debits: int = 0
    credits: int = 0


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """All lines, and whether the books balance."""

    lines: list[TrialBalanceLine]
    balanced: bool


class Accounts:
    """What owners and operators do with accounts."""

    def __init__(self, shards: Shards, settle: Settle) -> None:
        self._shards = shards
        self._settle = settle

    async def open(self, message: OpenAccountRequest, request_id: bytes, operator: str) -> Account:
        """Open an account, empty; a repeated request gets the same answer again.

        Exists if the wanted number is taken, and what `Settle` raises.
        """
        request, ledger = message.SerializeToString(deterministic=True), _ledger(message)
        body = _evidence(operator, request)
        for attempt in range(_ATTEMPTS):
            number = message.number or number_for(request_id, attempt)
            account_id = make_account(message.branch, number)
            own_id = id_of_attempt(request_id, attempt)
            content = operator_input_hash(request)
            _, row = await self._settle(
                OpenAccount(own_id, content, 0, account_id, 0, ledger, body, owner=message.owner)
            )
            if row.decline == ACCEPTED:
                kind = kind_of_owner(message.owner)
                return open_account(account_id, ledger, kind, message.owner, row.time.decide_us)
            if message.number:
                break
        raise Exists("that account number is taken")

    async def find(self, account_id: int, owner: str | None) -> Account:
        """Give an account; Unknown if there is none, or it is not the owner's (None: anybody's)."""
        account = await self._existing(account_id)
        if owner is not None and account.owner != owner:
            raise _unknown()
        return account

    async def statement(
        self, account_id: int, owner: str | None, before: int, limit: int, auxiliary: int = 0
    ) -> Statement:
        """Give a page of entries below sequence `before` (0: the newest); Unknown as `find`.

        Of the account itself, or of one of its auxiliaries, from 1 to the number of shards.
        """
        if auxiliary > len(self._shards):
            raise _unknown()
        kept = auxiliary_id(auxiliary - 1, account_id)
        with refusing_store_trouble():
            account, entries = await self._shards.statement(kept, before, limit)
        if account is None or (owner is not None and account.owner != owner):
            raise _unknown()
        return Statement(
            replace(account, id=account_id),
            [entry._replace(counterparty=main_account(entry.counterparty)) for entry in entries],
        )

    async def deposit(
        self, message: DepositCashRequest, request_id: bytes, account_id: int, operator: str
    ) -> DeclineReason.ValueType:
        """Book cash that came in; a decline reason, or ACCEPTED. Raises what `Settle` raises."""
        request, amount = message.SerializeToString(deterministic=True), message.amount
        ledger = BY_CODE[amount.currency_code].number
        content, body = operator_input_hash(request), _evidence(operator, request)
        command = DepositCash(request_id, content, 0, account_id, amount.amount_minor, ledger, body)
        return (await self._settle(command))[1].decline

    async def withdraw(
        self, message: WithdrawCashRequest, request_id: bytes, account_id: int, operator: str
    ) -> DeclineReason.ValueType:
        """Book cash that went out; a decline reason, or ACCEPTED. Raises what `Settle` raises."""
        request, amount = message.SerializeToString(deterministic=True), message.amount
        ledger = BY_CODE[amount.currency_code].number
        content, body = operator_input_hash(request), _evidence(operator, request)
        command = WithdrawCash(
            request_id, content, account_id, 0, amount.amount_minor, ledger, body
        )
        return (await self._settle(command))[1].decline

    async def trial_balance(self) -> TrialBalance:
        """Add up all accounts by kind and currency, each shard at one moment; Unavailable."""
        with refusing_store_trouble():
            by_shard = await self._shards.totals()
        return trial_balance(by_shard)

    async def _existing(self, account_id: int) -> Account:
        with refusing_store_trouble():
            account = await self._shards.account(account_id)
        if account is None:
            raise _unknown()
        return account


def trial_balance(by_shard: list[list[Total]]) -> TrialBalance:
    """Add up the shards' totals; `balanced` says whether debits equal credits in each of them."""
    lines: dict[tuple[int, int], TrialBalanceLine] = {}
    balanced = True
    for totals in by_shard:
        differences: Counter[int] = Counter()
        for total in totals:
            differences[total.ledger] += total.debits_posted - total.credits_posted
            line = lines.setdefault(
                (total.ledger, total.code),
                TrialBalanceLine(AccountKind(total.code).name.lower(), total.ledger),
            )
            line.accounts += total.accounts
            line.debits += total.debits_posted
            line.credits += total.credits_posted
        balanced = balanced and not any(differences.values())
    return TrialBalance([lines[key] for key in sorted(lines)], balanced)


def _ledger(message: OpenAccountRequest) -> int:
    return BY_CODE[message.currency_code].number


def _evidence(operator: str, request: bytes) -> bytes:
    return OperatorEvidence(operator=operator, request=request).SerializeToString()


def _unknown() -> Unknown:
    return Unknown("there is no such account, or it is not yours")

"""AccountService on the wire: translates, decides nothing.

What is decided is decided in `server/switch/accounts.py`.
"""

from __future__ import annotations

import re
from typing import Any

import grpc.aio

from kessai.account_number import format_account
from kessai.currency import BY_NUMBER
from kessai.request_id import format_request_id
from kessai.v1 import account_pb2 as pb
from kessai.v1.account_pb2_grpc import AccountServiceServicer
from kessai.v1.money_pb2 import Money
from server.domain.arrival import cause_of
from server.identity.callers import CallerKind, current_caller
from server.identity.cash_limit import CashLimit
from server.identity.directory_call import in_thread
from server.identity.four_eyes import FourEyes
from server.rpc import fields
from server.rpc.errors import field_invalid
from server.switch import accounts as use_case
from server.switch.account_standing import Standings
from server.switch.busy_payees import BusyPayees, Holding
from server.switch.merge import Merge

DEFAULT_PAGE, DEFAULT_LIST = 50, 100
LARGEST_PAGE = 500

_OWNER = re.compile(r"(wallet|merchant)/[a-z0-9-]{1,40}")

Context = grpc.aio.ServicerContext[Any, Any]


class AccountServicer(AccountServiceServicer):
    """Serves phones, for their wallet's own accounts, and operators."""

    def __init__(
        self,
        accounts: use_case.Accounts,
        busy: BusyPayees,
        merge: Merge,
        four_eyes: FourEyes,
        cash_limit: CashLimit,
        standings: Standings,
    ) -> None:
        self._accounts, self._standings = accounts, standings
        self._four_eyes, self._cash_limit = four_eyes, cash_limit
        self._busy = busy
        self._merge = merge

    async def OpenAccount(
        self, request: pb.OpenAccountRequest, context: Context
    ) -> pb.OpenAccountResponse:
        """Open an account for a wallet or a merchant."""
        request_id = fields.request_id(request.request_id)
        if not _OWNER.fullmatch(request.owner):
            raise field_invalid("owner", 'must be "wallet/<id>" or "merchant/<id>"')
        fields.currency(request.currency_code)
        if not 1 <= request.branch <= 9999:
            raise field_invalid("branch", "must be 1 to 9999")
        if not 0 <= request.number <= 99_999_999:
            raise field_invalid("number", "must be 1 to 99,999,999, or 0 for any free one")
        account = await self._accounts.open(request, request_id, _operator())
        return pb.OpenAccountResponse(account=_whole(Holding(account)))

    async def GetAccount(
        self, request: pb.GetAccountRequest, context: Context
    ) -> pb.GetAccountResponse:
        """Tell balance and properties of an account."""
        account_id = fields.account(request.account_number)
        return pb.GetAccountResponse(account=await self._holding(account_id, _owner()))

    async def ListEntries(
        self, request: pb.ListEntriesRequest, context: Context
    ) -> pb.ListEntriesResponse:
        """List the entries of an account, newest first."""
        account_id = fields.account(request.account_number)
        limit = fields.page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE)
        before = _page_token(request.page_token)
        auxiliary = fields.count(request.auxiliary, "auxiliary")
        statement = await self._accounts.statement(account_id, _owner(), before, limit, auxiliary)
        currency = BY_NUMBER[statement.account.ledger].code
        response = pb.ListEntriesResponse(account=_account(statement.account))
        for entry in statement.entries:
            line = response.entries.add(
                sequence=entry.sequence,
                amount=Money(amount_minor=entry.amount, currency_code=currency),
                balance=Money(amount_minor=entry.balance, currency_code=currency),
                counterparty=_counterparty(entry),
                kind=pb.EntryKind.ValueType(entry.code),
                request_id=format_request_id(cause_of(entry.request_id)),
            )
            line.book_time.FromMicroseconds(entry.book_us)
        if statement.entries and statement.entries[-1].sequence > 1:
            response.next_page_token = str(statement.entries[-1].sequence)
        return response

    async def DepositCash(
        self, request: pb.DepositCashRequest, context: Context
    ) -> pb.DepositCashResponse:
        """Book cash that came in."""
        request_id = fields.request_id(request.request_id)
        account_id = fields.account(request.account_number)
        fields.positive_money(request.amount)
        caller, method = current_caller(), "AccountService/DepositCash"
        await in_thread(self._four_eyes.require, caller, method, request)
        decline = await self._accounts.deposit(request, request_id, account_id, _operator())
        return pb.DepositCashResponse(decline_reason=decline)

    async def WithdrawCash(
        self, request: pb.WithdrawCashRequest, context: Context
    ) -> pb.WithdrawCashResponse:
        """Book cash that went out."""
        request_id = fields.request_id(request.request_id)
        account_id = fields.account(request.account_number)
        amount = fields.positive_money(request.amount)
        caller, method = current_caller(), "AccountService/WithdrawCash"
        await in_thread(self._four_eyes.require, caller, method, request)
        limit = self._cash_limit
        await in_thread(limit.count, caller.device, request_id, account_id, amount)
        decline = await self._accounts.withdraw(request, request_id, account_id, _operator())
        if decline:
            await in_thread(limit.forget, request_id)
        return pb.WithdrawCashResponse(decline_reason=decline)

    async def DistributeAccount(
        self, request: pb.DistributeAccountRequest, context: Context
    ) -> pb.DistributeAccountResponse:
        """Give a busy payee's account an auxiliary on every shard."""
        request_id = fields.request_id(request.request_id)
        account_id = fields.account(request.account_number)
        count = await self._standings.distribute(request, request_id, _operator())
        return pb.DistributeAccountResponse(
            account=await self._holding(account_id), auxiliary_count=count
        )

    async def MergeAccount(
        self, request: pb.MergeAccountRequest, context: Context
    ) -> pb.MergeAccountResponse:
        """Merge at once what the auxiliaries of an account hold."""
        request_id = fields.request_id(request.request_id)
        account_id = fields.account(request.account_number)
        found = await self._accounts.find(account_id, None)
        merged = await self._merge.merge_account(account_id, found.ledger, request_id)
        account = await self._holding(account_id)
        currency = account.balance.currency_code
        return pb.MergeAccountResponse(
            account=account, merged=Money(amount_minor=merged, currency_code=currency)
        )

    async def ListAccounts(
        self, request: pb.ListAccountsRequest, context: Context
    ) -> pb.ListAccountsResponse:
        """List accounts by number."""
        size = fields.page_size(request.page_size, DEFAULT_LIST, LARGEST_PAGE)
        after = _page_token(request.page_token)
        listed = await self._standings.page(after, size + 1, request.owner)
        more = len(listed) > size
        return pb.ListAccountsResponse(
            accounts=map(_account, listed[:size]),
            next_page_token=str(listed[size - 1].id) if more else "",
        )

    async def FreezeAccount(
        self, request: pb.FreezeAccountRequest, context: Context
    ) -> pb.FreezeAccountResponse:
        """Let nothing out of an account."""
        request_id = fields.request_id(request.request_id)
        fields.account(request.account_number)
        decline = await self._standings.freeze(request, request_id, _operator())
        return pb.FreezeAccountResponse(decline_reason=decline)

    async def UnfreezeAccount(
        self, request: pb.UnfreezeAccountRequest, context: Context
    ) -> pb.UnfreezeAccountResponse:
        """Let money out of an account again."""
        request_id = fields.request_id(request.request_id)
        fields.account(request.account_number)
        caller, method = current_caller(), "AccountService/UnfreezeAccount"
        await in_thread(self._four_eyes.require, caller, method, request)
        decline = await self._standings.unfreeze(request, request_id, _operator())
        return pb.UnfreezeAccountResponse(decline_reason=decline)

    async def CloseAccount(
        self, request: pb.CloseAccountRequest, context: Context
    ) -> pb.CloseAccountResponse:
        """Close an account that nothing names."""
        request_id = fields.request_id(request.request_id)
        fields.account(request.account_number)
        decline = await self._standings.close(request, request_id, _operator())
        return pb.CloseAccountResponse(decline_reason=decline)

    async def GetTrialBalance(
        self, request: pb.GetTrialBalanceRequest, context: Context
    ) -> pb.GetTrialBalanceResponse:
        """Add up all accounts by kind and currency."""
        trial = await self._accounts.trial_balance()
        response = pb.GetTrialBalanceResponse(balanced=trial.balanced)
        for line in trial.lines:
            response.lines.add(
                account_kind=line.kind,
                currency_code=BY_NUMBER[line.ledger].code,
                account_count=line.accounts,
                debits_minor=line.debits,
                credits_minor=line.credits,
            )
        return response

    async def _holding(self, account_id: int, owner: str | None = None) -> pb.Account:
        return _whole(await self._busy.holding(account_id, owner))


def _operator() -> str:
    return current_caller().path[0]


def _owner() -> str | None:
    caller = current_caller()
    return None if caller.kind is CallerKind.OPERATOR else f"wallet/{caller.path[0]}"


def _counterparty(entry: use_case.BookedEntry) -> str:
    # People do not learn each other's account numbers by a bill (row B5).
    between_people = entry.code == pb.ENTRY_KIND_BILL
    is_operator = current_caller().kind is CallerKind.OPERATOR
    return format_account(entry.counterparty) if is_operator or not between_people else ""


def _page_token(token: str) -> int:
    if token and not (token.isascii() and token.isdigit() and len(token) <= 18):
        raise field_invalid("page_token", "is not one that this service gave")
    return int(token or 0)


def _whole(holding: Holding) -> pb.Account:
    message = _account(holding.account)
    currency = message.balance.currency_code
    message.auxiliary.CopyFrom(Money(amount_minor=holding.auxiliary, currency_code=currency))
    message.total.CopyFrom(Money(amount_minor=holding.total, currency_code=currency))
    return message


def _account(account: use_case.Account) -> pb.Account:
    currency = BY_NUMBER[account.ledger].code
    message = pb.Account(
        account_number=format_account(account.id),
        owner=account.owner,
        balance=Money(amount_minor=account.balance, currency_code=currency),
        available=Money(amount_minor=account.available, currency_code=currency),
        standing=_standing(account),
    )
    message.open_time.FromMicroseconds(account.open_us)
    return message


def _standing(account: use_case.Account) -> pb.AccountStanding.ValueType:
    if account.is_closed:
        return pb.ACCOUNT_STANDING_CLOSED
    return pb.ACCOUNT_STANDING_FROZEN if account.is_frozen else pb.ACCOUNT_STANDING_OPEN

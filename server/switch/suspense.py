"""What lies in suspense, and paying it out to whom it belongs; for operators."""

from __future__ import annotations

from dataclasses import dataclass

from kessai.account_number import parse_account
from kessai.currency import BY_CODE, BY_NUMBER
from kessai.money import Money
from kessai.request_id import parse_request_id
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.suspense_pb2 import ReleaseSuspenseRequest
from server.domain.arrival import arrival_id, cause_of
from server.domain.command import CommandKind
from server.domain.suspense import receiver_decline, release, release_id
from server.identity.refusals import FieldRefused, Unknown
from server.ledger.account import Account
from server.ledger.chart import AccountKind, house_account_id, main_account, shard_named_in
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.shards.store import BookedEntry, Reader
from server.switch.refused import refusing_store_trouble
from server.switch.settle import Settle

_ENTRIES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Suspended:
    """An entry in suspense: what moved it there, from whom and for whom.

    `at` is where it lies, account and sequence, for whoever lists on.
    """

    at: tuple[int, int]
    cause: bytes
    amount: Money
    payer: int
    payee: int
    code: int
    book_us: int


class Suspense:
    """Lists and releases what payees could not take."""

    def __init__(self, shards: Shards, settle: Settle) -> None:
        self._shards, self._settle = shards, settle

    async def page(self, after: tuple[int, int], size: int) -> list[Suspended]:
        """What lies there after an entry, by account and then newest first; (0, 0): the first.

        Raises Unavailable.
        """
        found: list[Suspended] = []
        with refusing_store_trouble():
            for account in await self._accounts():
                before = after[1] if account.id == after[0] else 0
                while account.id >= after[0] and len(found) < size:
                    more, before = await self._look(account, before)
                    found += more
                    if before <= 1:
                        break
        return found[:size]

    async def release(
        self, message: ReleaseSuspenseRequest, request_id: bytes, operator: str
    ) -> DeclineReason.ValueType:
        """Pay an entry out, whole; a decline reason, or ACCEPTED.

        Unknown if nothing came into suspense under that id; FieldRefused if the amount is not what
        came; and what `Settle` raises.
        """
        with refusing_store_trouble():
            shard, row = await self._arrival(parse_request_id(message.entry_request_id))
            account = await self._shards.account(parse_account(message.account_number))
        amount = Money.from_proto(message.amount)
        came = Money(row.amount, BY_NUMBER[row.ledger].code)
        if amount != came:
            raise FieldRefused("amount", f"what lies there is {came}, paid out whole or not at all")
        ledger = BY_CODE[amount.currency].number
        suspense = house_account_id(AccountKind.SUSPENSE, shard, ledger)
        refusal = receiver_decline(account, ledger)
        command = release(message, operator, suspense, ledger, refusal)
        return (await self._settle(command))[1].decline

    async def _accounts(self) -> list[Account]:
        """The suspense accounts in which there is money, by id."""
        accounts: list[Account] = []
        for number in range(len(self._shards)):
            own = tuple(house_account_id(AccountKind.SUSPENSE, number, n) for n in BY_NUMBER)
            shard = self._shards.shard(number)
            accounts += await shard.read(lambda reader, own=own: reader.accounts(own))  # type: ignore[misc]
        return sorted((a for a in accounts if a.balance), key=lambda account: account.id)

    async def _look(self, account: Account, before: int) -> tuple[list[Suspended], int]:
        """What lies there among the entries below a sequence, and how far was looked."""
        shard = self._shards.shard(shard_named_in(account.id) or 0)
        return await shard.read(lambda reader: _suspended(reader, account, before))

    async def _arrival(self, cause: bytes) -> tuple[int, LogRow]:
        """The shard and log row by which something came into suspense; Unknown."""
        found = await self._shards.find(arrival_id(cause))
        if found is not None and found[1].kind == CommandKind.ARRIVE:
            shard, row = found
            account = house_account_id(AccountKind.SUSPENSE, shard, row.ledger)
            if await self._shards.shard(shard).read(lambda reader: _has(reader, account, row)):
                return shard, row
        raise Unknown("nothing lies in suspense under that entry_request_id")


def _suspended(reader: Reader, account: Account, before: int) -> tuple[list[Suspended], int]:
    _, entries = reader.statement(account.id, before, _ENTRIES_AT_ONCE)
    found = []
    for entry in entries:
        if entry.amount > 0 and reader.document(release_id(entry.request_id)) is None:
            row = reader.row(entry.request_id)
            found.append(_describe(account, entry, row.payee if row is not None else 0))
    return found, entries[-1].sequence if entries else 0


def _describe(account: Account, entry: BookedEntry, payee: int) -> Suspended:
    return Suspended(
        (account.id, entry.sequence),
        cause_of(entry.request_id),
        Money(entry.amount, BY_NUMBER[account.ledger].code),
        main_account(entry.counterparty),
        payee,
        entry.code,
        entry.book_us,
    )


def _has(reader: Reader, account: int, row: LogRow) -> bool:
    """Whether an account has an entry of a log row; entries are in the log's order."""
    before = 0
    while True:
        _, entries = reader.statement(account, before, _ENTRIES_AT_ONCE)
        if any(entry.request_id == row.request_id for entry in entries):
            return True
        if not entries or entries[-1].log_sequence < row.sequence or entries[-1].sequence <= 1:
            return False
        before = entries[-1].sequence

"""What a feature is to the rest of the house: a command that names its needs and decides.

`server/shards/shard.py` takes commands in groups, loads what they need in one read, lets one after
another decide, and commits once. A command does no I/O and knows no SQL, so the books can be
rebuilt from the settlement log by deciding again.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

from kessai.v1 import decline_pb2
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.document import Document
from server.ledger.account import Account
from server.ledger.books import Books
from server.ledger.chart import AccountKind, house_account_id
from server.ledger.relocation import Relocation
from server.ledger.transfer import Transfer

ACCEPTED = decline_pb2.DECLINE_REASON_UNSPECIFIED


class CommandKind(IntEnum):
    """Names a command in the settlement log. Numbers are never reused.

    The log is verified by deciding it again. So where `decide` itself changes, the command gets a
    new kind, and the former class stays, read from logs only. At which time a row was decided is
    not the command's affair: the row says it (`server/shards/settlement_log.py`).
    """

    OPEN_ACCOUNT = 1
    DEPOSIT_CASH = 2
    WITHDRAW_CASH = 3
    SETTLE_PAYMENT = 4
    ARRIVE = 5
    PLACE_HOLD = 6
    CAPTURE_HOLD = 7
    VOID_HOLD = 8
    EXPIRE_HOLD = 9
    OPEN_AUXILIARY = 10
    MERGE_AUXILIARY = 11
    FREEZE_ACCOUNT = 12
    UNFREEZE_ACCOUNT = 13
    CLOSE_ACCOUNT = 14
    RELEASE_SUSPENSE = 15
    REDEEM_TICKET = 20
    REFUND_TICKET = 21
    REVOKE_TICKET = 22
    SETTLE_BILL = 26
    SETTLE_FARE = 27
    MOVE_OUT = 30
    MOVE_IN = 31


class Place(Protocol):
    """Where a command is decided: one shard among others."""

    @property
    def shard(self) -> int:
        """Number of the shard, from 0."""
        ...

    def is_here(self, account: int) -> bool:
        """Tell whether this shard keeps an account."""
        ...


class Needs(NamedTuple):
    """What a command reads: accounts, holds and documents, by id."""

    accounts: tuple[int, ...]
    holds: tuple[int, ...] = ()
    documents: tuple[bytes, ...] = ()


class State(NamedTuple):
    """What was loaded for a command, and the place where it is decided."""

    books: Books
    place: Place
    documents: Mapping[bytes, Document] = MappingProxyType({})

    def account(self, account_id: int) -> Account | None:
        """Give an account, if the shard keeps it."""
        return self.books.accounts.get(account_id)

    def house(self, kind: AccountKind, ledger: int) -> int:
        """Give the id of this shard's house account of a kind and currency."""
        return house_account_id(kind, self.place.shard, ledger)


class Owed(NamedTuple):
    """Money that left its payer here and is owed to a payee on another shard (an outbox row).

    `code` is the kind of movement (EntryKind of account.proto) that its arrival will be.
    """

    payer: int
    payee: int
    amount: int
    ledger: int
    code: int


class Marked(NamedTuple):
    """An account, and its flags (`AccountFlag`) from then on."""

    account: int
    flags: int


class Decision(NamedTuple):
    """What a command does: nothing but a reason why not, or what moves and what changes.

    Movements, new accounts, debts, expired holds, and documents and flags as they are from then on.

    Or, where a slot moves, accounts that leave or come with all that is theirs.

    The transfers are one linked chain: if the ledger refuses one, `refusal.decline_for` names the
    reason and nothing of the decision is done.
    """

    decline: DeclineReason.ValueType = ACCEPTED
    transfers: tuple[Transfer, ...] = ()
    opens: tuple[Account, ...] = ()
    owes: tuple[Owed, ...] = ()
    expires: tuple[int, ...] = ()
    documents: tuple[Document, ...] = ()
    drops: tuple[bytes, ...] = ()
    takes_out: Relocation | None = None
    puts_in: Relocation | None = None
    marks: tuple[Marked, ...] = ()


@dataclass(slots=True)
class Command(abc.ABC):
    """What every command says, and the settlement log keeps (row B13).

    `request_id`: 16 bytes, unique in the log for ever. `input_hash`: SHA-256 over the content, so
    that the same id with other content is noticed. `payer`, `payee`: accounts, 0 where there is
    none. `amount`: minor units of `ledger` (ISO 4217 number). `body`: the documents as they came.

    Nobody changes a command, yet it is not frozen: a frozen one takes a microsecond more to make.
    """

    kind: ClassVar[CommandKind]

    request_id: bytes
    input_hash: bytes
    payer: int
    payee: int
    amount: int
    ledger: int
    body: bytes

    @property
    def transfer_id(self) -> int:
        """The id of the command's first transfer; the ones after it count up."""
        return int.from_bytes(self.request_id, "big")

    def __reduce__(self) -> tuple[type[Command], tuple[Any, ...]]:
        # As the values that it is made of, to another process of the switch: a third of the time.
        return type(self), _values_of(type(self))(self)

    @abc.abstractmethod
    def home(self) -> int:
        """Name the account in whose shard the command is decided."""

    @abc.abstractmethod
    def needs(self, place: Place) -> Needs:
        """Name what the command reads in a place."""

    @abc.abstractmethod
    def decide(self, state: State, now_us: int) -> Decision:
        """Decide, from what was loaded and the time (microseconds since 1970) alone.

        `now_us` is the clock of whoever decides, and may be earlier than that of the row before.
        """


@cache
def _values_of(kind: type[Command]) -> attrgetter[tuple[Any, ...]]:
    return attrgetter(*(field.name for field in fields(kind)))

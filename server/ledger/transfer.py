"""A transfer between two accounts, and what it leaves behind: entries and holds.

Made by `server/domain`, applied by `books`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class TransferFlag:
    """What a transfer does, as TigerBeetle names it. LINKED ties it to the one after it.

    Plain integers: enum's IntFlag makes an object at every `&`, which the books would feel.
    """

    NONE = 0
    LINKED = 1 << 0
    PENDING = 1 << 1
    POST_PENDING_TRANSFER = 1 << 2
    VOID_PENDING_TRANSFER = 1 << 3


class Transfer(NamedTuple):
    """Moves `amount` minor units from the debit to the credit account.

    `id` is chosen by the caller, 128 bits, not zero. `ledger` is the currency's ISO 4217 number,
    `code` the kind of movement (EntryKind of account.proto). `timeout` is in seconds, for pending
    transfers only; 0: never. A transfer that posts or voids a pending one names it in `pending_id`
    and may leave accounts, ledger and code zero; posting less than was held releases the rest, and
    a void takes the whole amount (0 or equal). `far_payer` and `far_payee` are who pays and who is
    paid where the account here only stands for them (in transit, an auxiliary): the other side is
    told of them as its counterparty; 0: of the account itself.
    """

    id: int
    debit_account_id: int = 0
    credit_account_id: int = 0
    amount: int = 0
    ledger: int = 0
    code: int = 0
    flags: int = TransferFlag.NONE
    pending_id: int = 0
    timeout: int = 0
    far_payer: int = 0
    far_payee: int = 0


class Entry(NamedTuple):
    """One side of a posted transfer: `amount` is positive into the account, negative out of it."""

    account: int
    sequence: int
    amount: int
    balance: int
    counterparty: int
    code: int
    transfer_id: int


class HoldState(IntEnum):
    """What became of a pending transfer."""

    PENDING = 1
    POSTED = 2
    VOIDED = 3
    EXPIRED = 4


@dataclass(slots=True)
class Hold:
    """A pending transfer and its fate. `expire_us` is microseconds since 1970; 0: never.

    `far_account` is who is paid, where the credit account only stands for him (see Transfer).
    `finish_id` is what posted, voided or released it; 0 while it is pending.
    """

    id: int
    debit_account_id: int
    credit_account_id: int
    amount: int
    ledger: int
    code: int
    expire_us: int
    far_account: int
    state: HoldState = HoldState.PENDING
    finish_id: int = 0

    @property
    def payee(self) -> int:
        """Who is paid when the hold is posted, on this shard or another."""
        return self.far_account or self.credit_account_id

"""An account of the ledger: four counters and the limits on them (TigerBeetle's Account).

Read and changed by `books`; loaded and stored by `server/shards`.
"""

from __future__ import annotations

from dataclasses import dataclass


class AccountFlag:
    """Limits on a balance, as TigerBeetle names them; plain integers, as `TransferFlag` says.

    FROZEN is our own: nothing goes out, though what was held before is captured and voided.
    """

    NONE = 0
    DEBITS_MUST_NOT_EXCEED_CREDITS = 1 << 1
    CREDITS_MUST_NOT_EXCEED_DEBITS = 1 << 2
    CLOSED = 1 << 5
    FROZEN = 1 << 8


@dataclass(slots=True)
class Account:
    """An account; amounts are minor units of its ledger's currency, int64.

    `ledger` is the currency's ISO 4217 number, `code` the kind of account in the chart, `owner`
    "wallet/<id>", "merchant/<id>" or "house". `sequence` counts the entries written so far.
    """

    id: int
    ledger: int
    code: int
    flags: int
    owner: str
    open_us: int
    debits_pending: int = 0
    debits_posted: int = 0
    credits_pending: int = 0
    credits_posted: int = 0
    sequence: int = 0

    @property
    def balance(self) -> int:
        """Settled money: posted credits less posted debits."""
        return self.credits_posted - self.debits_posted

    @property
    def is_closed(self) -> bool:
        """Whether nothing comes in and nothing goes out, for ever."""
        return bool(self.flags & AccountFlag.CLOSED)

    @property
    def is_frozen(self) -> bool:
        """Whether nothing goes out but what was held before."""
        return bool(self.flags & AccountFlag.FROZEN)

    @property
    def available(self) -> int:
        """What can be spent: the balance less what is held."""
        return self.balance - self.debits_pending

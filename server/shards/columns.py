"""Columns of a shard's tables, the same on every engine, and rows made of accounts and holds.

Used by the stores and readers of `server/shards`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kessai.account_number import slot_of
from server.domain.document import Document
from server.ledger.account import Account
from server.ledger.chart import main_account, shard_named_in
from server.ledger.transfer import Hold, HoldState
from server.shards.placement import Moved
from server.shards.settlement_log import LogRow
from server.shards.store import BookedEntry, OutboxRow

LOG_COLUMNS = ", ".join(LogRow._fields)
ENTRY_COLUMNS = ", ".join(BookedEntry._fields)
DOCUMENT_COLUMNS = ", ".join(Document._fields)
OUTBOX_COLUMNS = ", ".join(OutboxRow._fields)
MOVED_COLUMNS = ", ".join(Moved._fields)
ACCOUNT_COLUMNS = (
    "id, ledger, code, flags, owner, open_us, "
    "debits_pending, debits_posted, credits_pending, credits_posted, sequence"
)
HOLD_COLUMNS = (
    "id, debit_account_id, credit_account_id, amount, ledger, code, expire_us, far_account, state, "
    "finish_id"
)


def read_account(row: Sequence[object]) -> Account:
    """Make an account of its columns."""
    return Account(*row)  # type: ignore[arg-type]


def read_hold(row: Sequence[object]) -> Hold:
    """Make a hold of its columns."""
    hold = Hold(*row)  # type: ignore[arg-type]
    hold.id = int.from_bytes(row[0], "big")  # type: ignore[arg-type]
    hold.state = HoldState(hold.state)
    hold.finish_id = int.from_bytes(row[9], "big")  # type: ignore[arg-type]
    return hold


def account_values(a: Account) -> tuple[object, ...]:
    """Give the columns of an account."""
    return (
        a.id, a.ledger, a.code, a.flags, a.owner, a.open_us,
        a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted, a.sequence,
    )  # fmt: skip


def hold_values(h: Hold) -> tuple[object, ...]:
    """Give the columns of a hold."""
    return (
        h.id.to_bytes(16, "big"), h.debit_account_id, h.credit_account_id,
        h.amount, h.ledger, h.code, h.expire_us, h.far_account, int(h.state),
        h.finish_id.to_bytes(16, "big"),
    )  # fmt: skip


def resident_values(accounts: Iterable[int]) -> list[tuple[int, int]]:
    """Give slot and account of those that lie in a slot, not in a shard."""
    return [(slot_of(main_account(a)), a) for a in accounts if shard_named_in(a) is None]

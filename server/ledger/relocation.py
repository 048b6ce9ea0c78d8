"""Taking accounts with all that is theirs out of one set of books, and putting them into another.

Both sets stay balanced by themselves: what leaves is credited to the account in transit, what comes
is debited from the other side's. Used by `server/shards/carry_out.py` for the commands of
`server/domain/slot_move.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from kessai.money import MAX_AMOUNT
from server.ledger.account import Account
from server.ledger.books import Books
from server.ledger.transfer import Entry, Hold


class RelocationBroken(Exception):
    """What is to be taken out is not what the books have, or what comes is there already."""


@dataclass(frozen=True, slots=True)
class Relocation:
    """Accounts as they leave, and the pending holds of which they are payers, as they were placed.

    `staying` are ids of pending holds whose payee leaves and whose payer does not. `transit` gives,
    by ledger, the account in transit on this side and on the other; `code` is the kind of movement,
    `transfer_id` its id.
    """

    accounts: tuple[Account, ...]
    holds: tuple[Hold, ...]
    staying: tuple[int, ...]
    transit: dict[int, tuple[int, int]]
    code: int
    transfer_id: int

    def sums(self) -> list[tuple[int, int]]:
        """Add the balances up by ledger; those that are zero are left out."""
        sums: Counter[int] = Counter()
        for account in self.accounts:
            sums[account.ledger] += account.balance
        return sorted((ledger, amount) for ledger, amount in sums.items() if amount)


def as_they_leave(
    accounts: Iterable[Account], holds: Iterable[Hold]
) -> tuple[tuple[Account, ...], tuple[Hold, ...], tuple[int, ...]]:
    """Sort what is to leave: the accounts, the holds that go with them, the ids of those that stay.

    A hold goes with its payer. If only its payee leaves it stays, and is not his any more.
    """
    leaving = {account.id: replace(account) for account in accounts}
    going: list[Hold] = []
    staying: list[int] = []
    for hold in holds:
        if hold.debit_account_id in leaving:
            going.append(hold)
        else:
            staying.append(hold.id)
            leaving[hold.credit_account_id].credits_pending -= hold.amount
    return tuple(leaving.values()), tuple(going), tuple(staying)


def take_out(books: Books, going: Relocation) -> None:
    """Take accounts and holds out of the books; RelocationBroken if they are not as it says.

    After RelocationBroken the books are of no use any more.
    """
    leaving = {account.id for account in going.accounts}
    for hold_id in going.staying:
        hold = books.holds[hold_id]
        books.accounts[hold.credit_account_id].credits_pending -= hold.amount
        _land_in_transit(books, hold, going)
    for hold in going.holds:
        if books.holds.pop(hold.id, None) != hold:
            raise RelocationBroken(f"hold {hold.id} is not as it left")
        if hold.credit_account_id not in leaving:
            books.accounts[hold.credit_account_id].credits_pending -= hold.amount
    for account in going.accounts:
        kept = books.accounts.pop(account.id, None)
        if kept != account:
            raise RelocationBroken(f"left as {account}, the books have {kept}")
    _carry(books, going, 1)


def put_in(books: Books, coming: Relocation) -> None:
    """Put accounts and holds into the books; RelocationBroken if an account is there already.

    A hold whose payee did not come with it lands in transit from now on.
    """
    arriving = {account.id for account in coming.accounts}
    for account in coming.accounts:
        if account.id in books.accounts:
            raise RelocationBroken(f"account {account.id} is there already")
        books.accounts[account.id] = replace(account)
    for hold in coming.holds:
        books.holds[hold.id] = kept = replace(hold)
        if hold.credit_account_id not in arriving:
            _land_in_transit(books, kept, coming)
    _carry(books, coming, -1)


def _land_in_transit(books: Books, hold: Hold, relocation: Relocation) -> None:
    hold.far_account = hold.payee
    hold.credit_account_id, _ = relocation.transit[hold.ledger]
    account = books.accounts[hold.credit_account_id]
    account.credits_pending += hold.amount
    _check_room(account)


def _check_room(account: Account) -> None:
    """Sums of a counter are 64 bits wide: what would be more cannot move."""
    if max(account.credits_pending, account.credits_posted, account.debits_posted) > MAX_AMOUNT:
        raise RelocationBroken(f"the counters of account {account.id} have no room for the slot")


def _carry(books: Books, relocation: Relocation, sign: int) -> None:
    for ledger, amount in relocation.sums():
        own, other = relocation.transit[ledger]
        account = books.accounts[own]
        if sign > 0:
            account.credits_posted += amount
        else:
            account.debits_posted += amount
        _check_room(account)
        account.sequence += 1
        books.entries.append(
            Entry(
                own, account.sequence, sign * amount, account.balance, other,
                relocation.code, relocation.transfer_id,
            )
        )  # fmt: skip

"""The chart of accounts: kinds of account, their limits, and the house's own accounts.

Customers and merchants have accounts numbered by branch. The house's accounts have branch 0, one of
each kind in every shard and currency, with a number that is computed: kind (2 digits), shard (3),
ISO 4217 number (3). So no payment ever waits for another shard's house account.
"""

from __future__ import annotations

from enum import IntEnum

from kessai.account_number import HOUSE_BRANCH, make_account
from server.ledger.account import Account, AccountFlag

MAX_SHARDS = 1000


class AccountKind(IntEnum):
    """The `code` of an account. The names are what the trial balance shows."""

    WORLD = 1
    OPERATOR = 2
    IN_TRANSIT = 3
    SUSPENSE = 4
    CUSTOMER = 20
    MERCHANT = 21


# Cash is money the house has from outside: the world's account may only be in debit. Nobody may
# spend more than he has. What is in transit may be either way in one shard; over all it is not.
LIMITS: dict[AccountKind, AccountFlag] = {
    AccountKind.WORLD: AccountFlag.NONE,
    AccountKind.OPERATOR: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountKind.IN_TRANSIT: AccountFlag.NONE,
    AccountKind.SUSPENSE: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountKind.CUSTOMER: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountKind.MERCHANT: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
}

HOUSE_KINDS = (
    AccountKind.WORLD,
    AccountKind.OPERATOR,
    AccountKind.IN_TRANSIT,
    AccountKind.SUSPENSE,
)
HOUSE = "house"


def house_account_id(kind: AccountKind, shard: int, ledger: int) -> int:
    """Compute the id of a house account in a shard (0 to 999) and currency (ISO 4217 number)."""
    return make_account(HOUSE_BRANCH, kind * 1_000_000 + shard * 1000 + ledger)


def open_account(
    account_id: int, ledger: int, kind: AccountKind, owner: str, open_us: int
) -> Account:
    """Make a new, empty account of a kind, with that kind's limits."""
    return Account(account_id, ledger, kind, LIMITS[kind], owner, open_us)


def house_accounts(shard: int, ledger: int, open_us: int) -> list[Account]:
    """Make the house's accounts that a shard needs before it can keep a currency."""
    return [
        open_account(house_account_id(kind, shard, ledger), ledger, kind, HOUSE, open_us)
        for kind in HOUSE_KINDS
    ]


def kind_of_owner(owner: str) -> AccountKind:
    """Tell the kind of account for an owner, "wallet/<id>" or "merchant/<id>"."""
    return AccountKind.MERCHANT if owner.startswith("merchant/") else AccountKind.CUSTOMER

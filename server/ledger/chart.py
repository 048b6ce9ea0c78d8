"""The chart of accounts: kinds of account, their limits, and the house's own accounts.

Customers and merchants have accounts numbered by branch. The house's accounts have branch 0, one of
each kind in every shard and currency, with a number that is computed: kind (2 digits), shard (3),
ISO 4217 number (3). So no payment ever waits for another shard's house account.

A busy payee's account (row B12) has further ones, whose numbers are computed from its own: with
shard + 1 before it, the auxiliary of each shard; with 1001 before it, the one through which all
that is merged passes. They are never written as account numbers: people see the payee's own.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache

from kessai.account_number import HOUSE_BRANCH, branch_of, make_account
from server.ledger.account import Account, AccountFlag

MAX_SHARDS = 1000

# People's accounts lie between: branch 1 and what a busy payee has beside his own.
LAST_HOUSE_ACCOUNT = 10**8 - 1
BEYOND_NUMBERS = 10**12


class AccountKind(IntEnum):
    """The `code` of an account. The names are what the trial balance shows."""

    WORLD = 1
    OPERATOR = 2
    IN_TRANSIT = 3
    SUSPENSE = 4
    CUSTOMER = 20
    MERCHANT = 21
    AUXILIARY = 22
    MERGED = 23


# Cash is money the house has from outside: the world's account may only be in debit. Nobody may
# spend more than he has. What is in transit may be either way in one shard; over all it is not.
LIMITS: dict[AccountKind, int] = {
    AccountKind.WORLD: AccountFlag.NONE,
    AccountKind.OPERATOR: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountKind.IN_TRANSIT: AccountFlag.NONE,
    AccountKind.SUSPENSE: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountKind.CUSTOMER: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountKind.MERCHANT: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountKind.AUXILIARY: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
    AccountKind.MERGED: AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS,
}

HOUSE_KINDS = (
    AccountKind.WORLD,
    AccountKind.OPERATOR,
    AccountKind.IN_TRANSIT,
    AccountKind.SUSPENSE,
)
HOUSE = "house"


@lru_cache(maxsize=4096)
def house_account_id(kind: AccountKind, shard: int, ledger: int) -> int:
    """Compute the id of a house account in a shard (0 to 999) and currency (ISO 4217 number)."""
    return make_account(HOUSE_BRANCH, kind * 1_000_000 + shard * 1000 + ledger)


def auxiliary_id(shard: int, account_id: int) -> int:
    """Compute the id of a busy payee's auxiliary in a shard (0 to 999)."""
    return (shard + 1) * BEYOND_NUMBERS + account_id


def merged_id(account_id: int) -> int:
    """Compute the id of the account through which passes what is merged into a busy payee's."""
    return (MAX_SHARDS + 1) * BEYOND_NUMBERS + account_id


def main_account(account_id: int) -> int:
    """Name the account that people see: an auxiliary's payee, else the account itself."""
    return account_id % BEYOND_NUMBERS


def shard_of_auxiliary(account_id: int) -> int | None:
    """Tell in which shard an auxiliary is by its id; None if it is no auxiliary."""
    shard = account_id // BEYOND_NUMBERS - 1
    return shard if 0 <= shard < MAX_SHARDS else None


def shard_named_in(account_id: int) -> int | None:
    """Tell the shard that an account's id names: an auxiliary's, or the house's; else None."""
    if branch_of(account_id) == HOUSE_BRANCH:
        return account_id // 1000 % MAX_SHARDS
    return shard_of_auxiliary(account_id)


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

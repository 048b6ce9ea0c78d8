"""Holds and linked chains: what is held, taken, given back; all of a chain or none of it."""

from __future__ import annotations

from copy import deepcopy

import pytest

from server.ledger.account import Account
from server.ledger.books import Books
from server.ledger.chart import AccountKind, open_account
from server.ledger.result import TransferResult as R
from server.ledger.transfer import HoldState, Transfer, TransferFlag

EUR, CODE, NOW_US = 978, 4, 5_000_000
WORLD, ANN, SHOP = 1, 2, 3
PENDING, LINKED = TransferFlag.PENDING, TransferFlag.LINKED
POST, VOID = TransferFlag.POST_PENDING_TRANSFER, TransferFlag.VOID_PENDING_TRANSFER
HOLD = Transfer(10, ANN, SHOP, 300, EUR, CODE, PENDING, timeout=60)


@pytest.fixture
def books() -> Books:
    """Ann has 1000, the shop nothing."""
    books = Books()
    kinds = {
        WORLD: AccountKind.WORLD,
        ANN: AccountKind.CUSTOMER,
        SHOP: AccountKind.MERCHANT,
    }
    books.accounts = {i: open_account(i, EUR, kind, "somebody", 0) for i, kind in kinds.items()}
    assert books.apply([Transfer(1, WORLD, ANN, 1000, EUR, CODE)], NOW_US) is R.OK
    books.entries.clear()
    return books


def money(account: Account) -> tuple[int, int]:
    """Balance and what of it can be spent."""
    return account.balance, account.available


def finish(flags: int, amount: int = 0, transfer_id: int = 11) -> Transfer:
    """Post or void the hold."""
    return Transfer(transfer_id, amount=amount, flags=flags, pending_id=HOLD.id)


def test_held_money_is_still_the_payers_but_cannot_be_spent(books: Books) -> None:
    assert books.apply([HOLD], NOW_US) is R.OK
    assert money(books.accounts[ANN]) == (1000, 700)
    assert money(books.accounts[SHOP]) == (0, 0)
    assert books.holds[10].expire_us == NOW_US + 60_000_000
    assert books.entries == []
    assert books.apply([Transfer(12, ANN, SHOP, 701, EUR, CODE)], NOW_US) is R.EXCEEDS_CREDITS
    assert books.apply([Transfer(12, ANN, SHOP, 700, EUR, CODE)], NOW_US) is R.OK


@pytest.mark.parametrize("amount", [300, 120, 1])
def test_posting_takes_the_amount_and_releases_the_rest(books: Books, amount: int) -> None:
    books.apply([HOLD], NOW_US)
    assert books.apply([finish(POST, amount)], NOW_US) is R.OK
    assert money(books.accounts[ANN]) == (1000 - amount, 1000 - amount)
    assert money(books.accounts[SHOP]) == (amount, amount)
    assert books.accounts[SHOP].credits_pending == 0
    assert books.holds[10].state is HoldState.POSTED
    assert [(e.account, e.amount, e.counterparty, e.code) for e in books.entries] == [
        (ANN, -amount, SHOP, CODE),
        (SHOP, amount, ANN, CODE),
    ]
    assert books.apply([finish(POST, 1)], NOW_US) is R.PENDING_TRANSFER_ALREADY_POSTED


@pytest.mark.parametrize("amount", [0, 300])
def test_voiding_releases_all(books: Books, amount: int) -> None:
    books.apply([HOLD], NOW_US)
    assert books.apply([finish(VOID, amount)], NOW_US) is R.OK
    assert money(books.accounts[ANN]) == (1000, 1000)
    assert books.accounts[SHOP].credits_pending == 0
    assert books.entries == []
    assert books.apply([finish(POST, 1)], NOW_US) is R.PENDING_TRANSFER_ALREADY_VOIDED


def test_a_hold_is_good_until_the_microsecond_of_its_time_out(books: Books) -> None:
    books.apply([HOLD], NOW_US)
    end_us = NOW_US + 60_000_000
    late = deepcopy(books)
    assert late.apply([finish(POST, 300)], end_us) is R.PENDING_TRANSFER_EXPIRED
    assert books.apply([finish(POST, 300)], end_us - 1) is R.OK


def test_an_expired_hold_is_released_and_stays_so(books: Books) -> None:
    books.apply([HOLD], NOW_US)
    books.expire(books.holds[10], 99)
    assert money(books.accounts[ANN]) == (1000, 1000)
    assert books.apply([finish(VOID)], NOW_US) is R.PENDING_TRANSFER_EXPIRED


def test_a_hold_without_time_out_never_expires(books: Books) -> None:
    books.apply([Transfer(10, ANN, SHOP, 300, EUR, CODE, PENDING)], NOW_US)
    assert books.holds[10].expire_us == 0
    assert books.apply([finish(POST, 300)], 2**62) is R.OK


def test_a_far_payee_is_told_to_the_payer(books: Books) -> None:
    held = Transfer(10, ANN, SHOP, 300, EUR, CODE, PENDING, far_payee=77)
    assert books.apply([held, finish(POST, 300)], NOW_US) is R.OK
    assert [e.counterparty for e in books.entries] == [77, ANN]


@pytest.mark.parametrize("position", range(4))
def test_a_chain_is_all_or_nothing(books: Books, position: int) -> None:
    """A payment, a hold, its capture and another payment; one of them does not hold."""
    chain = [
        Transfer(20, ANN, SHOP, 100, EUR, CODE),
        HOLD,
        finish(POST, 200),
        Transfer(21, SHOP, ANN, 50, EUR, CODE),
    ]
    good = deepcopy(books)
    assert good.apply(chain, NOW_US) is R.OK
    assert (good.accounts[ANN].balance, len(good.entries)) == (750, 6)

    before = deepcopy(books)
    chain[position] = Transfer(0, ANN, SHOP, 1, EUR, CODE)
    assert books.apply(chain, NOW_US) is not R.OK
    assert (books.accounts, books.holds, books.entries) == (before.accounts, before.holds, [])
    assert books.changed_holds == {}


@pytest.mark.parametrize("flags", [POST, VOID])
def test_a_failed_chain_gives_a_finished_hold_back(books: Books, flags: int) -> None:
    books.apply([HOLD], NOW_US)
    before = deepcopy(books)
    chain = [
        finish(flags, 300),
        Transfer(21, ANN, SHOP, 5000, EUR, CODE),
    ]
    assert books.apply(chain, NOW_US) is R.EXCEEDS_CREDITS
    assert (books.accounts, books.holds) == (before.accounts, before.holds)
    assert books.apply(chain[:1], NOW_US) is R.OK


def test_a_batch_has_chains_and_single_transfers(books: Books) -> None:
    """A refused chain names its culprit, and hurts nobody else."""
    batch = [
        Transfer(30, ANN, SHOP, 10, EUR, CODE),
        Transfer(31, ANN, SHOP, 10, EUR, CODE, LINKED),
        Transfer(32, ANN, SHOP, 5000, EUR, CODE, LINKED),
        Transfer(33, ANN, SHOP, 10, EUR, CODE),
        Transfer(34, ANN, SHOP, 20, EUR, CODE, LINKED),
        Transfer(35, ANN, SHOP, 20, EUR, CODE),
    ]
    failed = R.LINKED_EVENT_FAILED
    assert books.create_transfers(batch, NOW_US) == [
        R.OK, failed, R.EXCEEDS_CREDITS, failed, R.OK, R.OK,
    ]  # fmt: skip
    assert books.accounts[SHOP].balance == 50
    assert [e.transfer_id for e in books.entries] == [30, 30, 34, 34, 35, 35]


def test_an_open_chain_does_nothing(books: Books) -> None:
    batch = [
        Transfer(31, ANN, SHOP, 10, EUR, CODE, LINKED),
        Transfer(32, ANN, SHOP, 10, EUR, CODE, LINKED),
    ]
    expected = [R.LINKED_EVENT_FAILED, R.LINKED_EVENT_CHAIN_OPEN]
    assert books.create_transfers(batch, NOW_US) == expected
    assert books.create_transfers(batch[1:], NOW_US) == [R.LINKED_EVENT_CHAIN_OPEN]
    assert books.accounts[SHOP].balance == 0


def test_an_open_chain_names_the_transfer_at_fault(books: Books) -> None:
    """It stands at its place; the end says that the chain is open; nothing moved."""
    wrong = Transfer(32, ANN, SHOP, 0, EUR, CODE, LINKED)
    good = [Transfer(n, ANN, SHOP, 10, EUR, CODE, LINKED) for n in (31, 33, 34)]
    failed = R.LINKED_EVENT_FAILED
    assert books.create_transfers([good[0], wrong, *good[1:]], NOW_US) == [
        failed, R.AMOUNT_MUST_NOT_BE_ZERO, failed, R.LINKED_EVENT_CHAIN_OPEN,
    ]  # fmt: skip
    assert books.accounts[SHOP].balance == 0
    assert books.entries == []

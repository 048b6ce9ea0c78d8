"""Busy payees (row B12): where a payment lands, how it is merged, and that it is counted once."""

from __future__ import annotations

import pytest

from server.domain.arrival import arrival
from server.domain.busy_payee import merge, not_merged, opening_id
from server.domain.command import ACCEPTED, Command, Owed, State
from server.ledger.books import Books
from server.ledger.chart import (
    MAX_SHARDS,
    AccountKind,
    auxiliary_id,
    house_account_id,
    main_account,
    merged_id,
    shard_of_auxiliary,
)
from server.shards.placement import ShardPlace, SlotMap
from tests.placing import shard_of
from tests.unit.server.domain.commands import (
    EUR,
    MERGE,
    NOW_US,
    PAYMENT,
    capture,
    fresh_id,
    open_auxiliary,
    pay,
)
from tests.unit.server.domain.test_decisions import (
    ANN,
    BUSY,
    BUSY_HERE,
    CAT,
    FAR,
    HELD_BUSY,
    HELD_EARLY,
    IN_TRANSIT,
    LATE,
    MALL,
    MALL_FAR,
    MALL_MERGED,
    PLACE,
    SHOP,
    SUSPENSE,
    full_books,
    perform,
)

LARGEST = 10**12 - 1


def moved(command: Command, books: Books) -> list[tuple[int, int, int, int]]:
    """What a command's entries say: account, amount, counterparty, kind."""
    assert perform(command, books) == ACCEPTED
    return [(e.account, e.amount, e.counterparty, e.code) for e in books.entries]


def owed_by(command: Command) -> tuple[Owed, ...]:
    """What a command owes to other shards."""
    return command.decide(State(full_books(), PLACE), NOW_US).owes


@pytest.mark.parametrize("account", [1, BUSY, LARGEST, house_account_id(AccountKind.WORLD, 999, 1)])
@pytest.mark.parametrize("shard", [0, 1, MAX_SHARDS - 1])
def test_an_auxiliary_is_found_by_computing(account: int, shard: int) -> None:
    """No two accounts share a number, it fits 63 bits, and it leads back."""
    auxiliary = auxiliary_id(shard, account)
    assert (shard_of_auxiliary(auxiliary), main_account(auxiliary)) == (shard, account)
    assert shard_of_auxiliary(account) is shard_of_auxiliary(merged_id(account)) is None
    assert main_account(merged_id(account)) == main_account(account) == account
    assert LARGEST < auxiliary < merged_id(1) < 2**63


def test_an_auxiliary_stays_and_what_is_merged_lies_with_the_account() -> None:
    """Whatever the map of slots says of its payee."""
    for slots in (SlotMap.even(4), SlotMap((3,) * 1024)):
        assert [shard_of(slots, auxiliary_id(n, BUSY)) for n in range(4)] == [0, 1, 2, 3]
        assert shard_of(slots, merged_id(BUSY)) == shard_of(slots, BUSY)


def test_a_payment_to_a_busy_payee_is_settled_here() -> None:
    """In the payer's shard, in one commit, and nothing is owed; both are told of each other."""
    assert owed_by(pay(ANN, BUSY, 400)) == ()
    assert moved(pay(ANN, BUSY, 400), full_books()) == [
        (ANN, -400, BUSY, PAYMENT),
        (BUSY_HERE, 400, ANN, PAYMENT),
    ]


def test_who_is_here_is_paid_himself() -> None:
    """A busy payee's own shard needs no auxiliary."""
    assert moved(pay(ANN, MALL, 5), full_books())[1] == (MALL, 5, ANN, PAYMENT)


def test_a_hold_for_a_busy_payee_is_captured_here() -> None:
    assert owed_by(capture(HELD_BUSY, 300)) == ()
    entries = moved(capture(HELD_BUSY, 300), full_books())
    assert [entry[:3] for entry in entries] == [(CAT, -300, BUSY), (BUSY_HERE, 300, CAT)]


def test_a_hold_from_before_lands_where_it_was_to_land() -> None:
    """It was placed with the account in transit, so it is owed, though there is an auxiliary."""
    code = full_books().holds[int.from_bytes(HELD_EARLY.request_id, "big")].code
    assert owed_by(capture(HELD_EARLY, 300)) == (Owed(CAT, LATE, 300, EUR, code),)
    entries = moved(capture(HELD_EARLY, 300), full_books())
    assert [entry[:3] for entry in entries] == [(CAT, -300, LATE), (IN_TRANSIT, 300, CAT)]


def test_an_auxiliary_is_opened_once() -> None:
    """In the payee's own shard with the account that counts; again nothing happens."""
    books = full_books()
    before = set(books.accounts)
    for command in (open_auxiliary(0, SHOP), open_auxiliary(0, FAR), open_auxiliary(0, SHOP)):
        assert perform(command, books) == ACCEPTED
    new = {auxiliary_id(0, SHOP), merged_id(SHOP), auxiliary_id(0, FAR)}
    assert books.accounts.keys() - before == new
    assert {books.accounts[i].owner for i in new} == {"merchant/shop"}
    again = open_auxiliary(0, SHOP).decide(State(books, PLACE), NOW_US)
    assert (again.decline, again.opens) == (ACCEPTED, ())


def test_what_is_merged_is_owed_to_the_payee() -> None:
    command = merge(fresh_id(), BUSY_HERE, 50, EUR)
    assert owed_by(command) == (Owed(BUSY_HERE, BUSY, 50, EUR, MERGE),)
    assert moved(command, full_books()) == [
        (BUSY_HERE, -50, BUSY, MERGE),
        (IN_TRANSIT, 50, BUSY_HERE, MERGE),
    ]


def test_what_was_merged_arrives_counted() -> None:
    arrived = arrival(1, 7, fresh_id(), MALL_FAR, MALL, 5, EUR, MERGE)
    assert moved(arrived, full_books()) == [
        (IN_TRANSIT, -5, MALL_MERGED, MERGE),
        (MALL_MERGED, 5, MALL_FAR, MERGE),
        (MALL_MERGED, -5, MALL, MERGE),
        (MALL, 5, MALL_FAR, MERGE),
    ]


def test_what_was_merged_for_nobody_is_in_suspense() -> None:
    """If a shard came back from an old copy, its payee is not a busy one any more."""
    arrived = arrival(1, 7, fresh_id(), auxiliary_id(1, SHOP), SHOP, 5, EUR, MERGE)
    assert [entry[0] for entry in moved(arrived, full_books())] == [IN_TRANSIT, SUSPENSE]


def test_only_an_auxiliary_is_merged() -> None:
    for account in (BUSY, merged_id(BUSY)):
        with pytest.raises(ValueError, match="only an auxiliary"):
            merge(fresh_id(), account, 5, EUR)


def test_the_total_is_the_same_at_every_step_of_a_merge() -> None:
    """Paid, on its way, arrived: in the auxiliary, in transit, in the account; counted once."""
    here, there = full_books(), full_books()
    other = ShardPlace(1, SlotMap.even(2))
    assert not other.is_here(MALL)
    auxiliary = auxiliary_id(1, MALL)
    there.accounts[auxiliary] = account = full_books().accounts[BUSY_HERE]
    account.id, account.credits_posted = auxiliary, 70

    def total() -> int:
        main, merged = here.accounts[MALL], here.accounts[MALL_MERGED]
        return main.balance + not_merged(merged, [here.accounts[auxiliary_id(0, MALL)], account])

    merging = merge(fresh_id(), auxiliary, 70, EUR)
    assert total() == 70
    [debt] = merging.decide(State(there, other), NOW_US).owes
    account.debits_posted += 70
    assert (account.balance, total()) == (0, 70)
    row = (merging.request_id, debt.payer, debt.payee, debt.amount, debt.ledger, debt.code)
    assert perform(arrival(1, 7, *row), here) == ACCEPTED
    assert (here.accounts[MALL].balance, total()) == (70, 70)


def test_openings_have_ids_of_their_own() -> None:
    """Each shard's another, the same each time, with the request's time, and never a request's."""
    request_id = fresh_id()
    ids = [opening_id(request_id, shard) for shard in range(MAX_SHARDS)]
    assert len({*ids, request_id}) == MAX_SHARDS + 1
    assert ids[3] == opening_id(request_id, 3)
    assert {(i[:6], i[6] >> 4) for i in ids} == {(request_id[:6], 9)}

"""The store on every engine: what is written is read, durable or not at all, and once for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import apsw
import psycopg
import pytest

from kessai.money import MAX_AMOUNT
from server.domain.command import ACCEPTED
from server.ledger.chart import (
    HOUSE,
    AccountKind,
    auxiliary_id,
    house_account_id,
    merged_id,
    open_account,
)
from server.shards.settlement_log import CHAIN_START, RowTime, log_row
from server.shards.store import Batch, OutboxRow, Store
from tests.unit.server.domain.commands import EUR, JPY, NOW_US, PAYMENT, deposit, fresh_id
from tests.unit.server.shards.parts import ANN, BOB, Stores, full_batch, open_reader

BROKEN_RULE = (apsw.ConstraintError, psycopg.IntegrityError)


@pytest.fixture
def store(stores: Stores) -> Iterator[Store]:
    """Give the store of a new shard."""
    [place] = stores.make()
    opened = place.open_store()
    yield opened
    opened.close()


def write(store: Store, batch: Batch) -> None:
    """Write a group of its own."""
    store.begin()
    store.commit(batch)


def test_what_is_written_is_read(store: Store, stores: Stores) -> None:
    batch = full_batch()
    write(store, batch)
    assert store.begin() == (2, batch.rows[1].chain_hash, NOW_US)
    ids = [row.request_id for row in batch.rows]
    assert store.rows([*ids, bytes(16)]) == {row.request_id: row for row in batch.rows}
    assert store.accounts([BOB, 5, ANN]) == [batch.accounts[ANN], batch.accounts[BOB]]
    assert {hold.id: hold for hold in store.holds([2**128 - 1, 1, 7])} == batch.holds
    documents = [*batch.documents.values()]
    assert sorted(store.documents([document.id for document in documents] + [b"no"])) == documents
    reader = open_reader(stores)
    assert list(reader.log()) == batch.rows
    assert list(reader.all_accounts()) == list(batch.accounts.values())
    assert list(reader.all_entries()) == batch.entries
    assert {hold.id: hold for hold in reader.all_holds()} == batch.holds
    assert list(reader.all_documents()) == documents
    assert reader.outbox(10) == batch.outbox
    assert [reader.awaits(account) for account in (BOB, ANN, 77)] == [True, False, True]
    assert reader.due_holds(NOW_US - 1, 10) == []
    assert reader.due_holds(NOW_US, 10) == [batch.holds[2**128 - 1]]
    assert reader.last_sequence() == 2
    assert reader.rows_after(0, 9) == batch.rows
    assert reader.rows_after(0, 1) == batch.rows[:1]
    assert reader.rows_after(1, 9) == batch.rows[1:]
    assert reader.rows_after(2, 9) == []
    assert reader.recent_request_ids(NOW_US) == ids[::-1]
    assert reader.recent_request_ids(NOW_US + 1) == []
    [total] = reader.totals()
    assert (total.accounts, total.credits_posted) == (2, 2 * MAX_AMOUNT)
    reader.close()


def test_books_that_are_ahead_have_few_recent_ids(store: Store, stores: Stores) -> None:
    """A clock ran a day ahead, so all rows since have one booking time: two of them are recent."""
    batch, last, ids = Batch(), CHAIN_START, []
    for minute in range(60):
        now_us = NOW_US + minute * 60_000_000
        command = deposit(ANN, 1, request_id=fresh_id(now_us))
        time = RowTime(NOW_US + 24 * 3600 * 1_000_000, now_us)
        batch.rows.append(row := log_row(minute + 1, command, time, ACCEPTED, last))
        last = row.chain_hash
        ids.append(row.request_id)
    write(store, batch)
    reader = open_reader(stores)
    assert reader.recent_request_ids(now_us - 90_000_000) == ids[:-3:-1]
    reader.close()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9, 513])
def test_any_number_of_ids_can_be_asked_for(store: Store, count: int) -> None:
    batch = Batch()
    for account_id in range(1, count + 1):
        kind = AccountKind.CUSTOMER
        batch.accounts[account_id] = open_account(account_id, JPY, kind, "wallet/ann", 0)
    write(store, batch)
    store.begin()
    assert len(store.accounts(range(1, count + 1))) == count


def test_accounts_that_hold_money_are_found_in_a_range(store: Store, stores: Stores) -> None:
    """Those with a balance, however large their sums are, from the first to the last id."""
    batch = Batch()
    for account_id, debits, credits in ((1, 0, 9), (2, 0, 9), (3, 9, 9), (4, 8, MAX_AMOUNT)):
        account = open_account(account_id, JPY, AccountKind.MERCHANT, "merchant/shop", 0)
        account.debits_posted, account.credits_posted = debits, credits
        batch.accounts[account_id] = account
    write(store, batch)
    reader = open_reader(stores)
    assert reader.holding(2, 4, 10) == [batch.accounts[2], batch.accounts[4]]
    assert reader.holding(2, 4, 1) == [batch.accounts[2]]
    assert reader.holding(5, 9, 10) == []
    assert reader.accounts([3, 1, 7]) == [batch.accounts[1], batch.accounts[3]]
    reader.close()


def test_people_s_accounts_are_listed_page_by_page(store: Store, stores: Stores) -> None:
    """By id, of all owners or of one; neither the house's nor what a busy payee has beside his."""
    batch, shop = Batch(), BOB + 1
    house, beside = house_account_id(AccountKind.WORLD, 0, EUR), auxiliary_id(0, ANN)
    for account_id, owner in (
        (house, HOUSE), (ANN, "wallet/ann"), (shop, "merchant/shop"), (BOB, "wallet/ann"),
        (beside, "wallet/ann"), (merged_id(ANN), "wallet/ann"),
    ):  # fmt: skip
        batch.accounts[account_id] = open_account(account_id, EUR, AccountKind.CUSTOMER, owner, 0)
    write(store, batch)
    reader = open_reader(stores)
    everybody = sorted((ANN, BOB, shop))
    assert [account.id for account in reader.accounts_after(0, "", 9)] == everybody
    assert [account.id for account in reader.accounts_after(everybody[0], "", 1)] == everybody[1:2]
    assert reader.accounts_after(everybody[-1], "", 9) == []
    of_ann = reader.accounts_after(0, "wallet/ann", 9)
    assert of_ann == [batch.accounts[account_id] for account_id in sorted((ANN, BOB))]
    assert reader.accounts_after(0, "wallet/an", 9) == []
    reader.close()


def test_rows_that_hold_some_bytes_are_found(store: Store, stores: Stores) -> None:
    """Zeros and quotes, too; after a sequence, up to another, newest first."""
    batch, last = Batch(), CHAIN_START
    for number, body in enumerate((b"till-1", b"\0'%_\xff", b"on till-1", b"", b"till-2"), 1):
        command = replace(deposit(ANN, 1), body=body)
        time = RowTime(NOW_US, NOW_US)
        batch.rows.append(row := log_row(number, command, time, ACCEPTED, last))
        last = row.chain_hash
    write(store, batch)
    reader = open_reader(stores)
    rows = batch.rows
    assert reader.rows_holding(b"till-1", 0, 5) == [rows[2], rows[0]]
    assert reader.rows_holding(b"till-1", 1, 5) == [rows[2]]
    assert reader.rows_holding(b"till-1", 0, 2) == [rows[0]]
    for needle in (b"\0'%_\xff", b"\0", b"'%", b"\xff"):
        assert reader.rows_holding(needle, 0, 5) == [rows[1]]
    assert reader.rows_holding(b"till_1", 0, 5) == []
    reader.close()


def test_a_document_is_as_it_was_written_last(store: Store, stores: Stores) -> None:
    batch = full_batch()
    write(store, batch)
    [first, other] = batch.documents.values()
    changed = first._replace(body=b"")
    write(store, Batch(documents={changed.id: changed}))
    reader = open_reader(stores)
    assert [reader.document(first.id), reader.document(other.id)] == [changed, other]
    assert reader.document(b"\xee" * 16) is None
    reader.close()


def test_delivered_rows_go_and_later_ones_stay(store: Store, stores: Stores) -> None:
    rows = [OutboxRow(n, bytes((n,)) * 16, ANN, BOB, n, EUR, PAYMENT) for n in (1, 2, 5, 6)]
    write(store, Batch(outbox=rows))
    write(store, Batch(delivered_to=4, undelivered={1}))
    reader = open_reader(stores)
    assert reader.outbox(10) == [rows[0], *rows[2:]]
    write(store, Batch(delivered_to=4))
    assert reader.outbox(1) == rows[2:3]
    assert reader.outbox(10) == rows[2:]
    reader.close()


def test_what_fails_half_way_is_not_there(store: Store) -> None:
    """Neither for others nor for the store itself, and the next commit is not in its way."""
    batch = full_batch()
    twice = Batch(rows=batch.rows[:1], entries=batch.entries[:1] * 2)
    with pytest.raises(BROKEN_RULE):
        write(store, twice)
    store.abandon()
    assert store.begin() == (0, CHAIN_START, 0)
    assert store.rows([batch.rows[0].request_id]) == {}
    store.commit(batch)
    assert store.begin().sequence == 2


def test_a_request_id_is_in_the_log_once_for_ever(store: Store) -> None:
    """The promise stands in the schema too, if all above it should fail."""
    batch = full_batch()
    write(store, batch)
    again = Batch(rows=[batch.rows[0]._replace(sequence=3)])
    with pytest.raises(BROKEN_RULE, match="request_id"):
        write(store, again)

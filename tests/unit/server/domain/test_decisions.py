"""What each command decides: every decline reason of its docstring, and what it moves."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest

from kessai.money import MAX_AMOUNT
from kessai.v1 import account_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.arrival import arrival
from server.domain.busy_payee import merge
from server.domain.command import ACCEPTED, Command, Decision, Needs, Owed, State
from server.domain.hold import PlaceHold
from server.domain.payment import CLOCK_TOLERANCE_US
from server.domain.refusal import DecisionBroken, decline_for
from server.ledger.account import Account
from server.ledger.books import Books
from server.ledger.chart import (
    AccountKind,
    auxiliary_id,
    house_account_id,
    house_accounts,
    kind_of_owner,
    merged_id,
)
from server.ledger.chart import open_account as new_account
from server.ledger.result import TransferResult
from server.ledger.transfer import Hold
from server.shards.placement import ShardPlace, SlotMap
from tests.unit.server.domain.commands import (
    EUR,
    JPY,
    MERGE,
    NOW_US,
    PAYMENT,
    USD,
    accounts_on,
    capture,
    close,
    deposit,
    expire,
    freeze,
    fresh_id,
    open_account,
    open_auxiliary,
    pay,
    place_hold,
    unfreeze,
    void,
    withdraw,
)

PLACE = ShardPlace(0, SlotMap.even(2))
_here = accounts_on(0, 2)
ANN, SHOP, YEN, RICH, FULL, NEW, UNKNOWN, CAT, MALL = (next(_here) for _ in range(9))
ICE, GONE = next(_here), next(_here)
_far = accounts_on(1, 2)
FAR, BUSY, LATE = (next(_far) for _ in range(3))
BUSY_HERE, LATE_HERE, MALL_HERE = (auxiliary_id(0, account) for account in (BUSY, LATE, MALL))
MALL_FAR, MALL_MERGED = auxiliary_id(1, MALL), merged_id(MALL)
HELD = place_hold(ANN, SHOP, 300)
HELD_FAR = place_hold(ANN, FAR, 200)
OVERDUE = place_hold(ANN, SHOP, 100, timeout_s=1)
HELD_BUSY = place_hold(CAT, BUSY, 300, wallet="cat")
HELD_EARLY = place_hold(CAT, LATE, 300, wallet="cat")
HELD_ICE = place_hold(ICE, CAT, 300)
LATER_US = NOW_US + 1_000_000
WORLD, OPERATOR, IN_TRANSIT, SUSPENSE = (
    house_account_id(kind, 0, EUR)
    for kind in (
        AccountKind.WORLD,
        AccountKind.OPERATOR,
        AccountKind.IN_TRANSIT,
        AccountKind.SUSPENSE,
    )
)


def full_books() -> Books:
    """Ann has 1000 of which 600 are held, the shop nothing, and others of every kind.

    Busy is a busy payee of the other shard, Late became one after a hold, the mall is one here.
    """
    books = Books()
    accounts = [
        *house_accounts(0, EUR, 0),
        *house_accounts(0, JPY, 0),
        opened(ANN, "wallet/ann", credits_posted=1000),
        opened(SHOP, "merchant/shop"),
        opened(YEN, "wallet/ann", JPY, credits_posted=1000),
        opened(RICH, "wallet/ann", credits_posted=MAX_AMOUNT),
        opened(FULL, "merchant/full", credits_posted=MAX_AMOUNT),
        opened(CAT, "wallet/cat", credits_posted=1000),
        opened(MALL, "merchant/mall"),
        opened(ICE, "wallet/ann", credits_posted=1000),
        opened(GONE, "wallet/ann"),
        auxiliary(BUSY_HERE, credits_posted=50),
        auxiliary(MALL_HERE),
        auxiliary(MALL_MERGED, AccountKind.MERGED),
    ]
    books.accounts = {account.id: account for account in accounts}
    for hold in (HELD, HELD_FAR, OVERDUE, HELD_BUSY, HELD_EARLY):
        assert perform(hold, books) == ACCEPTED
    for command in (HELD_ICE, freeze(ICE), close(GONE)):
        assert perform(command, books) == ACCEPTED
    books.accounts[LATE_HERE] = auxiliary(LATE_HERE)
    books.accounts[SUSPENSE].credits_posted = 70
    return books


def auxiliary(
    account_id: int, kind: AccountKind = AccountKind.AUXILIARY, credits_posted: int = 0
) -> Account:
    """One of a busy payee's further accounts."""
    account = new_account(account_id, EUR, kind, "merchant/mall", 0)
    account.credits_posted = credits_posted
    return account


def opened(account_id: int, owner: str, ledger: int = EUR, credits_posted: int = 0) -> Account:
    """An account with money."""
    account = new_account(account_id, ledger, kind_of_owner(owner), owner, 0)
    account.credits_posted = credits_posted
    return account


def perform(command: Command, books: Books, now_us: int = NOW_US) -> DeclineReason.ValueType:
    """Decide and apply, as a shard does."""
    decision = command.decide(State(books, PLACE), now_us)
    if decision.decline != ACCEPTED:
        assert decision == Decision(decision.decline)
        return decision.decline
    books.accounts.update((account.id, account) for account in decision.opens)
    result = books.apply(decision.transfers, now_us)
    if result is not TransferResult.OK:
        return decline_for(result)
    for hold_id in decision.expires:
        books.expire(books.holds[hold_id], command.transfer_id)
    for marked in decision.marks:
        books.mark(*marked)
    return ACCEPTED


def loaded(needs: Needs) -> Books:
    """Only what a command said it needs, as a shard loads it."""
    books, everything = Books(), full_books()
    books.accounts = {i: a for i, a in everything.accounts.items() if i in needs.accounts}
    books.holds = {i: h for i, h in everything.holds.items() if i in needs.holds}
    return books


CASES: dict[str, tuple[Command, DeclineReason.ValueType]] = {
    "open": (open_account(NEW), ACCEPTED),
    "open, first of its currency": (open_account(NEW, ledger=USD), ACCEPTED),
    "open twice": (open_account(ANN), d.DECLINE_REASON_ACCOUNT_EXISTS),
    "deposit": (deposit(ANN, 5), ACCEPTED),
    "deposit, nobody's": (deposit(UNKNOWN, 5), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
    "deposit, other money": (deposit(YEN, 5), d.DECLINE_REASON_CURRENCY_MISMATCH),
    "deposit, full": (deposit(FULL, 1), d.DECLINE_REASON_AMOUNT_TOO_LARGE),
    "deposit, house": (deposit(SUSPENSE, 5), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
    "withdraw": (withdraw(ANN, 400), ACCEPTED),
    "withdraw, too much": (withdraw(ANN, 401), d.DECLINE_REASON_INSUFFICIENT_FUNDS),
    "withdraw, nobody's": (withdraw(UNKNOWN, 5), d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN),
    "withdraw, other money": (withdraw(YEN, 5), d.DECLINE_REASON_CURRENCY_MISMATCH),
    "withdraw, in transit": (withdraw(IN_TRANSIT, 5), d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN),
    "pay": (pay(ANN, SHOP, 400), ACCEPTED),
    "pay far away": (pay(ANN, FAR, 400), ACCEPTED),
    "pay, refused before": (
        pay(ANN, SHOP, 5, refusal=d.DECLINE_REASON_WALLET_REVOKED),
        d.DECLINE_REASON_WALLET_REVOKED,
    ),
    "pay, too late": (pay(ANN, SHOP, 5, expire_us=NOW_US), d.DECLINE_REASON_EXPIRED),
    "pay, in the last moment": (pay(ANN, SHOP, 5, expire_us=NOW_US + 1), ACCEPTED),
    "pay, early but within": (pay(ANN, SHOP, 5, create_us=NOW_US + CLOCK_TOLERANCE_US), ACCEPTED),
    "pay, too early": (
        pay(ANN, SHOP, 5, create_us=NOW_US + CLOCK_TOLERANCE_US + 1),
        d.DECLINE_REASON_CLOCK_AHEAD,
    ),
    "pay, nobody's": (pay(UNKNOWN, SHOP, 5), d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN),
    "pay, another wallet's": (
        pay(ANN, SHOP, 5, wallet="bob"),
        d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN,
    ),
    "pay, a merchant's": (
        pay(FULL, SHOP, 5, wallet="full"),
        d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN,
    ),
    "pay, to nobody": (pay(ANN, UNKNOWN, 5), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
    "pay oneself": (pay(ANN, ANN, 5), d.DECLINE_REASON_PAYER_IS_PAYEE),
    "pay from other money": (pay(YEN, SHOP, 5), d.DECLINE_REASON_CURRENCY_MISMATCH),
    "pay to other money": (pay(ANN, YEN, 5), d.DECLINE_REASON_CURRENCY_MISMATCH),
    "pay, too much": (pay(ANN, SHOP, 401), d.DECLINE_REASON_INSUFFICIENT_FUNDS),
    "pay, nothing": (pay(ANN, SHOP, 0), d.DECLINE_REASON_AMOUNT_NOT_POSITIVE),
    "pay, less than nothing": (pay(ANN, SHOP, -5), d.DECLINE_REASON_AMOUNT_NOT_POSITIVE),
    "pay, payee full": (pay(ANN, FULL, 5), d.DECLINE_REASON_AMOUNT_TOO_LARGE),
    "pay all there can be": (pay(RICH, SHOP, MAX_AMOUNT - 400), ACCEPTED),
    "arrive": (arrival(1, 7, fresh_id(), FAR, SHOP, 5, EUR, PAYMENT), ACCEPTED),
    "arrive, first of its currency": (
        arrival(1, 7, fresh_id(), FAR, SHOP, 5, USD, PAYMENT),
        ACCEPTED,
    ),
    "arrive, nobody's": (arrival(1, 7, fresh_id(), FAR, UNKNOWN, 5, EUR, PAYMENT), ACCEPTED),
    "arrive, other money": (arrival(1, 7, fresh_id(), FAR, YEN, 5, EUR, PAYMENT), ACCEPTED),
    "arrive, full": (arrival(1, 7, fresh_id(), FAR, FULL, 5, EUR, PAYMENT), ACCEPTED),
    "hold": (place_hold(ANN, SHOP, 400), ACCEPTED),
    "hold far away": (place_hold(ANN, FAR, 400), ACCEPTED),
    "hold too much": (place_hold(ANN, SHOP, 401), d.DECLINE_REASON_INSUFFICIENT_FUNDS),
    "hold, nobody's": (place_hold(UNKNOWN, SHOP, 5), d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN),
    "hold, for nobody": (place_hold(ANN, UNKNOWN, 5), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
    "hold for oneself": (place_hold(ANN, ANN, 5), d.DECLINE_REASON_PAYER_IS_PAYEE),
    "hold other money": (place_hold(ANN, YEN, 5), d.DECLINE_REASON_CURRENCY_MISMATCH),
    "hold nothing": (place_hold(ANN, SHOP, 0), d.DECLINE_REASON_AMOUNT_NOT_POSITIVE),
    "hold, payee full": (place_hold(ANN, FULL, 5), d.DECLINE_REASON_AMOUNT_TOO_LARGE),
    "capture": (capture(HELD, 300), ACCEPTED),
    "capture a part": (capture(HELD, 1), ACCEPTED),
    "capture far away": (capture(HELD_FAR, 200), ACCEPTED),
    "capture too much": (capture(HELD, 301), d.DECLINE_REASON_AMOUNT_TOO_LARGE),
    "capture nothing": (capture(HELD, 0), d.DECLINE_REASON_AMOUNT_NOT_POSITIVE),
    "pay a busy one": (pay(ANN, BUSY, 400), ACCEPTED),
    "pay a busy one other money": (
        pay(YEN, BUSY, 5, ledger=JPY),
        d.DECLINE_REASON_CURRENCY_MISMATCH,
    ),
    "hold for a busy one": (place_hold(ANN, BUSY, 400), ACCEPTED),
    "capture for a busy one": (capture(HELD_BUSY, 300), ACCEPTED),
    "capture, busy since": (capture(HELD_EARLY, 300), ACCEPTED),
    "void, busy since": (void(HELD_EARLY), ACCEPTED),
    "distribute": (open_auxiliary(0, SHOP), ACCEPTED),
    "distribute again": (open_auxiliary(0, MALL, "merchant/mall"), ACCEPTED),
    "distribute, far away": (open_auxiliary(0, FAR), ACCEPTED),
    "distribute, first of its currency": (open_auxiliary(0, FAR, ledger=USD), ACCEPTED),
    "distribute nobody's": (open_auxiliary(0, UNKNOWN), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
    "distribute another's": (
        open_auxiliary(0, SHOP, "merchant/mall"),
        d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN,
    ),
    "distribute other money": (
        open_auxiliary(0, SHOP, ledger=JPY),
        d.DECLINE_REASON_CURRENCY_MISMATCH,
    ),
    "merge": (merge(fresh_id(), BUSY_HERE, 50, EUR), ACCEPTED),
    "merge more": (merge(fresh_id(), BUSY_HERE, 51, EUR), d.DECLINE_REASON_INSUFFICIENT_FUNDS),
    "merge nothing": (merge(fresh_id(), MALL_HERE, 0, EUR), d.DECLINE_REASON_AMOUNT_NOT_POSITIVE),
    "merge, no auxiliary": (
        merge(fresh_id(), auxiliary_id(0, FAR), 5, EUR),
        d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN,
    ),
    "arrive merged": (arrival(1, 7, fresh_id(), MALL_FAR, MALL, 5, EUR, MERGE), ACCEPTED),
    "arrive merged, not busy": (
        arrival(1, 7, fresh_id(), auxiliary_id(1, SHOP), SHOP, 5, EUR, MERGE),
        ACCEPTED,
    ),
    "freeze": (freeze(ANN), ACCEPTED),
    "freeze again": (freeze(ICE), ACCEPTED),
    "freeze nobody's": (freeze(UNKNOWN), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
    "freeze the house's": (freeze(WORLD), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
    "freeze a closed one": (freeze(GONE), d.DECLINE_REASON_ACCOUNT_CLOSED),
    "unfreeze": (unfreeze(ICE), ACCEPTED),
    "unfreeze an open one": (unfreeze(ANN), ACCEPTED),
    "unfreeze a closed one": (unfreeze(GONE), d.DECLINE_REASON_ACCOUNT_CLOSED),
    "pay out of a frozen one": (pay(ICE, SHOP, 5), d.DECLINE_REASON_ACCOUNT_FROZEN),
    "pay far out of a frozen one": (pay(ICE, FAR, 5), d.DECLINE_REASON_ACCOUNT_FROZEN),
    "withdraw from a frozen one": (withdraw(ICE, 5), d.DECLINE_REASON_ACCOUNT_FROZEN),
    "hold of a frozen one": (place_hold(ICE, SHOP, 5), d.DECLINE_REASON_ACCOUNT_FROZEN),
    "capture, frozen since": (capture(HELD_ICE, 300), ACCEPTED),
    "void, frozen since": (void(HELD_ICE), ACCEPTED),
    "deposit to a frozen one": (deposit(ICE, 5), ACCEPTED),
    "pay a frozen one": (pay(ANN, ICE, 5), ACCEPTED),
    "close": (close(MALL), ACCEPTED),
    "close again": (close(GONE), ACCEPTED),
    "close nobody's": (close(UNKNOWN), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
    "close, with money": (close(YEN), d.DECLINE_REASON_ACCOUNT_NOT_EMPTY),
    "close, something held for it": (close(SHOP), d.DECLINE_REASON_ACCOUNT_NOT_EMPTY),
    "pay out of a closed one": (pay(GONE, SHOP, 5), d.DECLINE_REASON_ACCOUNT_CLOSED),
    "pay a closed one": (pay(ANN, GONE, 5), d.DECLINE_REASON_ACCOUNT_CLOSED),
    "deposit to a closed one": (deposit(GONE, 5), d.DECLINE_REASON_ACCOUNT_CLOSED),
    "arrive, closed": (arrival(1, 7, fresh_id(), FAR, GONE, 5, EUR, PAYMENT), ACCEPTED),
    "void": (void(HELD), ACCEPTED),
    "void far away": (void(HELD_FAR), ACCEPTED),
    "expire": (expire(OVERDUE), ACCEPTED),
    "expire, no time-out": (expire(HELD), d.DECLINE_REASON_HOLD_NOT_PENDING),
}
NOT_THIS_HOLD: dict[str, Callable[[PlaceHold], PlaceHold]] = {
    "unknown": lambda hold: replace(hold, request_id=fresh_id()),
    "another payer": lambda hold: replace(hold, payer=RICH),
    "another payee": lambda hold: replace(hold, payee=FULL),
    "a far payee": lambda hold: replace(hold, payee=FAR),
    "other money": lambda hold: replace(hold, ledger=JPY),
}
for _name, _other in NOT_THIS_HOLD.items():
    for _finish in (lambda h: capture(h, 100), void, expire):
        _command = _finish(_other(OVERDUE))
        _expected = d.DECLINE_REASON_HOLD_NOT_PENDING
        CASES[f"{type(_command).__name__}, {_name}"] = (_command, _expected)


@pytest.mark.parametrize("name", CASES)
def test_a_command_decides(name: str) -> None:
    command, expected = CASES[name]
    books = full_books()
    got = perform(command, books, LATER_US if "expire" in name else NOW_US)
    assert DeclineReason.Name(got) == DeclineReason.Name(expected)
    if expected != ACCEPTED:
        assert (books.accounts, books.holds) == (full_books().accounts, full_books().holds)


@pytest.mark.parametrize("name", CASES)
def test_what_it_needs_is_all_that_it_looks_at(name: str) -> None:
    """On the needed accounts and holds alone the outcome is the same; none is missing."""
    command, expected = CASES[name]
    books = loaded(command.needs(PLACE))
    now_us = LATER_US if "expire" in name else NOW_US
    assert perform(command, books, now_us) == expected
    everything = full_books()
    perform(command, everything, now_us)
    assert books.accounts.items() <= everything.accounts.items()
    assert books.holds.items() <= everything.holds.items()


@pytest.mark.parametrize("name", CASES)
def test_deciding_is_pure(name: str) -> None:
    """The same twice, and deciding alone changes nothing."""
    command, _ = CASES[name]
    books = full_books()
    before = deepcopy(books)
    first = command.decide(State(books, PLACE), NOW_US)
    assert (books.accounts, books.holds, books.entries) == (
        before.accounts, before.holds, before.entries,
    )  # fmt: skip
    assert command.decide(State(before, PLACE), NOW_US) == first


def test_money_for_another_shard_passes_through_transit() -> None:
    """The payer is debited now, the debt is named, and both ends tell of each other."""
    books, command = full_books(), pay(ANN, FAR, 400)
    decision = command.decide(State(books, PLACE), NOW_US)
    [owed] = decision.owes
    assert (owed.payer, owed.payee, owed.amount, owed.ledger) == (ANN, FAR, 400, EUR)
    assert perform(command, books) == ACCEPTED
    assert [(e.account, e.amount, e.counterparty) for e in books.entries] == [
        (ANN, -400, FAR),
        (IN_TRANSIT, 400, ANN),
    ]


@pytest.mark.parametrize(
    ("payee", "credited"),
    [
        (SHOP, SHOP), (ICE, ICE),
        (UNKNOWN, SUSPENSE), (YEN, SUSPENSE), (FULL, SUSPENSE), (GONE, SUSPENSE),
    ],
)  # fmt: skip
def test_what_arrives_is_never_lost(payee: int, credited: int) -> None:
    """Who cannot take it has it in suspense, under the name of the payer."""
    books = full_books()
    assert perform(arrival(1, 7, fresh_id(), FAR, payee, 5, EUR, PAYMENT), books) == ACCEPTED
    assert [(e.account, e.amount, e.counterparty) for e in books.entries] == [
        (IN_TRANSIT, -5, credited),
        (credited, 5, FAR),
    ]


def test_a_captured_far_hold_is_owed() -> None:
    books = full_books()
    decision = capture(HELD_FAR, 150).decide(State(books, PLACE), NOW_US)
    capture_kind = account_pb2.ENTRY_KIND_CAPTURE
    assert decision.owes == (Owed(ANN, FAR, 150, EUR, capture_kind),)
    perform(arrival(1, 7, fresh_id(), FAR, SHOP, 150, EUR, capture_kind), books)
    assert {entry.code for entry in books.entries} == {capture_kind}


def test_cash_goes_through_the_operators_hands() -> None:
    books = full_books()
    perform(deposit(SHOP, 5), books)
    perform(withdraw(SHOP, 5), books)
    assert [(e.account, e.amount) for e in books.entries] == [
        (WORLD, -5), (OPERATOR, 5), (OPERATOR, -5), (SHOP, 5),
        (SHOP, -5), (OPERATOR, 5), (OPERATOR, -5), (WORLD, 5),
    ]  # fmt: skip
    kinds = {account_pb2.ENTRY_KIND_CASH_DEPOSIT, account_pb2.ENTRY_KIND_CASH_WITHDRAWAL}
    assert {e.code for e in books.entries} == kinds


def test_an_overdue_hold_is_not_released_before_its_time() -> None:
    books = full_books()
    assert perform(expire(OVERDUE), books, LATER_US - 1) == d.DECLINE_REASON_HOLD_NOT_PENDING
    hold: Hold = books.holds[int.from_bytes(OVERDUE.request_id, "big")]
    assert hold.expire_us == LATER_US


def test_only_a_fault_of_ours_breaks_a_decision() -> None:
    """A result that no balance can give has no decline reason, and is not hidden behind one."""
    with pytest.raises(DecisionBroken, match="CODE_MUST_NOT_BE_ZERO"):
        decline_for(TransferResult.CODE_MUST_NOT_BE_ZERO)

"""Every result of the ledger's ladder, and that the lower rung answers where two are broken."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest

from kessai.money import MAX_AMOUNT
from server.ledger.account import Account, AccountFlag
from server.ledger.books import Books
from server.ledger.result import TransferResult as R
from server.ledger.transfer import Hold, HoldState, Transfer, TransferFlag

NOW_US = 1_000_000_000
EUR, USD, CODE = 978, 840, 1
PAYER, PAYEE, DOLLARS, CAPPED, WORLD = 1, 2, 3, 4, 5
DEBITS_FULL, DEBITS_HELD_FULL, CREDITS_FULL, CREDITS_HELD_FULL = 6, 7, 8, 9
DEBITS_BOTH, CREDITS_BOTH = 10, 11
SHUT, ICED, SHUT_TOO = 12, 13, 14
PENDING, POSTED, VOIDED, EXPIRED, OVERDUE = 50, 51, 52, 53, 54
HALF = MAX_AMOUNT // 2
POST, VOID = TransferFlag.POST_PENDING_TRANSFER, TransferFlag.VOID_PENDING_TRANSFER

GOOD = Transfer(100, PAYER, PAYEE, 10, EUR, CODE)
GOOD_POST = Transfer(100, amount=10, flags=POST, pending_id=PENDING)


@dataclass(frozen=True)
class Fault:
    """A change to a good transfer, and the rung that it breaks."""

    result: R
    changes: dict[str, Any]


def fault(result: R, **changes: object) -> Fault:
    """Name a change and what comes of it."""
    return Fault(result, changes)


PLAIN = [
    fault(R.ID_MUST_NOT_BE_ZERO, id=0),
    fault(R.DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO, debit_account_id=0),
    fault(R.CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO, credit_account_id=0),
    fault(R.ACCOUNTS_MUST_BE_DIFFERENT, debit_account_id=PAYEE, credit_account_id=PAYEE),
    fault(R.PENDING_ID_MUST_BE_ZERO, pending_id=PENDING),
    fault(R.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER, timeout=1, flags=TransferFlag.NONE),
    fault(R.AMOUNT_MUST_NOT_BE_ZERO, amount=0),
    fault(R.AMOUNT_MUST_NOT_BE_ZERO, amount=-1),
    fault(R.LEDGER_MUST_NOT_BE_ZERO, ledger=0),
    fault(R.CODE_MUST_NOT_BE_ZERO, code=0),
    fault(R.DEBIT_ACCOUNT_NOT_FOUND, debit_account_id=99),
    fault(R.CREDIT_ACCOUNT_NOT_FOUND, credit_account_id=98),
    fault(R.ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER, credit_account_id=DOLLARS),
    fault(R.TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS, ledger=USD),
    fault(R.EXISTS, id=PENDING, flags=TransferFlag.PENDING),
    fault(
        R.OVERFLOWS_DEBITS_PENDING, debit_account_id=DEBITS_HELD_FULL, flags=TransferFlag.PENDING
    ),
    fault(
        R.OVERFLOWS_CREDITS_PENDING, credit_account_id=CREDITS_HELD_FULL, flags=TransferFlag.PENDING
    ),
    fault(R.OVERFLOWS_DEBITS_POSTED, debit_account_id=DEBITS_FULL),
    fault(R.OVERFLOWS_CREDITS_POSTED, credit_account_id=CREDITS_FULL),
    fault(R.OVERFLOWS_DEBITS, debit_account_id=DEBITS_BOTH),
    fault(R.OVERFLOWS_CREDITS, credit_account_id=CREDITS_BOTH),
    fault(R.DEBIT_ACCOUNT_ALREADY_CLOSED, debit_account_id=SHUT),
    fault(R.CREDIT_ACCOUNT_ALREADY_CLOSED, credit_account_id=SHUT_TOO),
    fault(R.DEBIT_ACCOUNT_FROZEN, debit_account_id=ICED),
    fault(R.OVERFLOWS_TIMEOUT, timeout=2**32, flags=TransferFlag.PENDING),
    fault(R.OVERFLOWS_TIMEOUT, timeout=-1, flags=TransferFlag.PENDING),
    fault(R.EXCEEDS_CREDITS, amount=1001 - 300),
    fault(R.EXCEEDS_DEBITS, credit_account_id=CAPPED, amount=101),
]
SECOND_PHASE = [
    fault(R.ID_MUST_NOT_BE_ZERO, id=0),
    fault(R.FLAGS_ARE_MUTUALLY_EXCLUSIVE, flags=POST | VOID),
    fault(R.FLAGS_ARE_MUTUALLY_EXCLUSIVE, flags=POST | TransferFlag.PENDING),
    fault(R.PENDING_ID_MUST_NOT_BE_ZERO, pending_id=0),
    fault(R.PENDING_ID_MUST_BE_DIFFERENT, id=PENDING, pending_id=PENDING),
    fault(R.TIMEOUT_RESERVED_FOR_PENDING_TRANSFER, timeout=1),
    fault(R.AMOUNT_MUST_NOT_BE_ZERO, amount=0, flags=POST),
    fault(R.AMOUNT_MUST_NOT_BE_ZERO, amount=-1, flags=POST),
    fault(R.PENDING_TRANSFER_NOT_FOUND, pending_id=99),
    fault(R.PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID, debit_account_id=WORLD),
    fault(R.PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID, credit_account_id=WORLD),
    fault(R.PENDING_TRANSFER_HAS_DIFFERENT_LEDGER, ledger=USD),
    fault(R.PENDING_TRANSFER_HAS_DIFFERENT_CODE, code=CODE + 1),
    fault(R.EXCEEDS_PENDING_TRANSFER_AMOUNT, amount=301),
    fault(R.PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT, amount=299, flags=VOID),
    fault(R.PENDING_TRANSFER_ALREADY_POSTED, pending_id=POSTED),
    fault(R.PENDING_TRANSFER_ALREADY_VOIDED, pending_id=VOIDED),
    fault(R.PENDING_TRANSFER_EXPIRED, pending_id=EXPIRED),
    fault(R.PENDING_TRANSFER_EXPIRED, pending_id=OVERDUE),
]
OF_CHAINS = {R.OK, R.LINKED_EVENT_FAILED, R.LINKED_EVENT_CHAIN_OPEN}


def account(account_id: int, **counters: object) -> Account:
    """An account in euros, without limits if not said otherwise."""
    values: dict[str, Any] = {"ledger": EUR, "flags": AccountFlag.NONE} | counters
    return Account(id=account_id, code=20, owner="wallet/ann", open_us=0, **values)


def hold(hold_id: int, state: HoldState = HoldState.PENDING, expire_us: int = 0) -> Hold:
    """300 held of the payer's."""
    return Hold(hold_id, PAYER, PAYEE, 300, EUR, CODE, expire_us, 0, state)


def full_books() -> Books:
    """Books in which every rung can be broken."""
    debit_limit = AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS
    credit_limit = AccountFlag.CREDITS_MUST_NOT_EXCEED_DEBITS
    books = Books()
    accounts = [
        account(PAYER, flags=debit_limit, credits_posted=1000, debits_pending=300),
        account(PAYEE, credits_pending=300),
        account(DOLLARS, ledger=USD),
        account(CAPPED, flags=credit_limit, debits_posted=100),
        account(WORLD),
        account(DEBITS_FULL, debits_posted=MAX_AMOUNT),
        account(DEBITS_HELD_FULL, debits_pending=MAX_AMOUNT),
        account(CREDITS_FULL, credits_posted=MAX_AMOUNT),
        account(CREDITS_HELD_FULL, credits_pending=MAX_AMOUNT),
        account(DEBITS_BOTH, debits_pending=HALF, debits_posted=HALF),
        account(CREDITS_BOTH, credits_pending=HALF, credits_posted=HALF),
        account(SHUT, flags=AccountFlag.CLOSED),
        account(SHUT_TOO, flags=AccountFlag.CLOSED),
        account(ICED, flags=AccountFlag.FROZEN),
    ]
    holds = [
        hold(PENDING),
        hold(POSTED, HoldState.POSTED),
        hold(VOIDED, HoldState.VOIDED),
        hold(EXPIRED, HoldState.EXPIRED),
        hold(OVERDUE, expire_us=NOW_US),
    ]
    books.accounts = {a.id: a for a in accounts}
    books.holds = {h.id: h for h in holds}
    return books


def outcome(transfer: Transfer) -> R:
    """Apply to full books; what is refused must have changed nothing."""
    books = full_books()
    result = books.apply([transfer], NOW_US)
    if result is not R.OK:
        assert (books.accounts, books.holds) == (full_books().accounts, full_books().holds)
        assert books.entries == []
    return result


def test_the_good_transfers_are_good() -> None:
    assert outcome(GOOD) is R.OK
    assert outcome(GOOD_POST) is R.OK


@pytest.mark.parametrize("broken", PLAIN, ids=lambda f: f"{f.result.name}-{f.changes}")
def test_a_plain_transfer_is_refused(broken: Fault) -> None:
    assert outcome(GOOD._replace(**broken.changes)) is broken.result


@pytest.mark.parametrize("broken", SECOND_PHASE, ids=lambda f: f"{f.result.name}-{f.changes}")
def test_a_second_phase_is_refused(broken: Fault) -> None:
    assert outcome(GOOD_POST._replace(**broken.changes)) is broken.result


@pytest.mark.parametrize(("good", "faults"), [(GOOD, PLAIN), (GOOD_POST, SECOND_PHASE)])
def test_the_lower_rung_answers(good: Transfer, faults: list[Fault]) -> None:
    """TigerBeetle numbers its results in the order of the checks, so the smaller number wins.

    Closed and frozen accounts were numbered later than they are checked.
    """
    pairs = 0
    for one, other in combinations(faults, 2):
        if one.changes.keys() & other.changes.keys():
            continue
        pairs += 1
        both = good._replace(**one.changes, **other.changes)
        assert outcome(both) is min(one.result, other.result, key=rung), (one, other)
    assert pairs > 60


def rung(result: R) -> float:
    """The place of a result in the ladder."""
    later = (
        R.DEBIT_ACCOUNT_ALREADY_CLOSED,
        R.DEBIT_ACCOUNT_FROZEN,
        R.CREDIT_ACCOUNT_ALREADY_CLOSED,
    )
    return R.EXISTS + 0.1 * (1 + later.index(result)) if result in later else result


def test_every_result_has_a_test() -> None:
    tested = {f.result for f in (*PLAIN, *SECOND_PHASE)} | OF_CHAINS
    assert tested == set(R)


@pytest.mark.parametrize(
    "transfer",
    [
        GOOD._replace(debit_account_id=WORLD, amount=MAX_AMOUNT - 300),
        GOOD._replace(amount=700),
        GOOD._replace(debit_account_id=WORLD, credit_account_id=CAPPED, amount=100),
        GOOD._replace(flags=TransferFlag.PENDING, timeout=2**32 - 1),
    ],
)
def test_the_last_value_that_fits_is_taken(transfer: Transfer) -> None:
    """2^63-1 minor units, the whole balance less holds, the longest time-out."""
    assert outcome(transfer) is R.OK


def test_one_more_than_fits_is_refused() -> None:
    """The counters never leave int64."""
    transfer = GOOD._replace(debit_account_id=WORLD, amount=MAX_AMOUNT - 300 + 1)
    assert outcome(transfer) is R.OVERFLOWS_CREDITS

"""What a release of money in suspense decides, and to whom it may go."""

from __future__ import annotations

import pytest

from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import ACCEPTED, Decision, Owed, State
from server.domain.suspense import ReleaseSuspense
from tests.unit.server.domain.commands import EUR, NOW_US, fresh_id, release_to
from tests.unit.server.domain.test_decisions import (
    BUSY,
    BUSY_HERE,
    FAR,
    FULL,
    GONE,
    ICE,
    IN_TRANSIT,
    PLACE,
    SHOP,
    SUSPENSE,
    UNKNOWN,
    WORLD,
    YEN,
    full_books,
    loaded,
    perform,
)

CASES: dict[str, tuple[ReleaseSuspense, DeclineReason.ValueType]] = {
    "release": (release_to(SHOP, 70, fresh_id()), ACCEPTED),
    "release far away": (release_to(FAR, 70, fresh_id()), ACCEPTED),
    "release to a busy one": (release_to(BUSY, 70, fresh_id()), ACCEPTED),
    "release to a frozen one": (release_to(ICE, 70, fresh_id()), ACCEPTED),
    "release more": (release_to(SHOP, 71, fresh_id()), d.DECLINE_REASON_INSUFFICIENT_FUNDS),
    "release nothing": (release_to(SHOP, 0, fresh_id()), d.DECLINE_REASON_AMOUNT_NOT_POSITIVE),
    "release to nobody": (
        release_to(UNKNOWN, 70, fresh_id()),
        d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN,
    ),
    "release to the house": (
        release_to(WORLD, 70, fresh_id()),
        d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN,
    ),
    "release to a closed one": (release_to(GONE, 70, fresh_id()), d.DECLINE_REASON_ACCOUNT_CLOSED),
    "release other money": (release_to(YEN, 70, fresh_id()), d.DECLINE_REASON_CURRENCY_MISMATCH),
    "release, full": (release_to(FULL, 70, fresh_id()), d.DECLINE_REASON_AMOUNT_TOO_LARGE),
    "release, refused before": (
        release_to(FAR, 70, fresh_id(), refusal=d.DECLINE_REASON_ACCOUNT_CLOSED),
        d.DECLINE_REASON_ACCOUNT_CLOSED,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_release_decides(name: str) -> None:
    """The same on the needed accounts alone."""
    command, expected = CASES[name]
    books, needed = full_books(), loaded(command.needs(PLACE))
    assert (perform(command, books), perform(command, needed)) == (expected, expected)
    if expected != ACCEPTED:
        assert books.accounts == full_books().accounts


def decided(command: ReleaseSuspense, documents: dict[bytes, object] | None = None) -> Decision:
    """Decide on all accounts."""
    return command.decide(State(full_books(), PLACE, documents or {}), NOW_US)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("payee", "credited"), [(FAR, IN_TRANSIT), (BUSY, BUSY_HERE), (SHOP, SHOP)]
)
def test_where_it_goes(payee: int, credited: int) -> None:
    """To another shard it is owed by the house's account."""
    decision = decided(release_to(payee, 70, fresh_id()))
    [transfer] = decision.transfers
    assert (transfer.debit_account_id, transfer.credit_account_id) == (SUSPENSE, credited)
    owes = (Owed(SUSPENSE, FAR, 70, EUR, transfer.code),) if payee == FAR else ()
    assert decision.owes == owes


def test_an_entry_is_released_once() -> None:
    """Under whatever request id, and to whomever."""
    entry = fresh_id()
    [document] = decided(release_to(SHOP, 30, entry)).documents
    again = decided(release_to(FAR, 30, entry), {document.id: document})
    assert again == Decision(d.DECLINE_REASON_ALREADY_RELEASED)
    assert decided(release_to(FAR, 30, fresh_id()), {document.id: document}).decline == ACCEPTED

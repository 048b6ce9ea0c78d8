"""Commands out of the log: what was written is read again, and a row that lies is found out."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from server.domain.account_opening import attempt_of, id_of_attempt, number_for
from server.domain.arrival import arrival, arrival_id, payment_id
from server.domain.busy_payee import merge, opening_id
from server.domain.command import Command
from server.domain.history import read_command
from server.domain.operator_history import Parts
from server.ledger.chart import auxiliary_id
from tests.unit.server.domain.commands import (
    EUR,
    PAYMENT,
    accounts_on,
    capture,
    deposit,
    expire,
    fresh_id,
    open_account,
    open_auxiliary,
    pay,
    place_hold,
    release_to,
    void,
    withdraw,
)

ANN, SHOP, OTHER = (account for account, _ in zip(accounts_on(0, 1), range(3), strict=False))
HELD = place_hold(ANN, SHOP, 300, 60)
_DISTRIBUTED = fresh_id()
COMMANDS: list[Command] = [
    open_account(ANN),
    deposit(ANN, 5),
    withdraw(ANN, 5),
    pay(ANN, SHOP, 5),
    arrival(3, 7, fresh_id(), ANN, SHOP, 5, EUR, PAYMENT),
    HELD,
    capture(HELD, 5),
    void(HELD),
    expire(HELD),
    open_auxiliary(1, SHOP),
    open_auxiliary(2, SHOP, request_id=_DISTRIBUTED, own_id=opening_id(_DISTRIBUTED, 2)),
    merge(fresh_id(), auxiliary_id(1, SHOP), 5, EUR),
    pay(ANN, SHOP, 5, ride=bytes(16)),
    release_to(SHOP, 5, fresh_id()),
]
DOCUMENTED = [*COMMANDS[:6], *COMMANDS[9:]]
_MONEY = ("amount", "ledger")
# Which columns a row's documents tell. The directory, not a document, tells whom a payment is for.
SAID = [
    *((0, field) for field in ("request_id", "input_hash", "payee", "ledger", "body")),
    *((1, field) for field in ("request_id", "input_hash", "payee", *_MONEY, "body")),
    *((2, field) for field in ("request_id", "input_hash", "payer", *_MONEY, "body")),
    *((3, field) for field in ("request_id", "input_hash", "payer", *_MONEY, "body")),
    *((4, field) for field in ("input_hash", "payer", "payee", *_MONEY, "body")),
    *((5, field) for field in ("request_id", "input_hash", "payer", *_MONEY, "body")),
    *((n, field) for n in (6, 7, 8) for field in ("input_hash", "amount", "body")),
    *((9, field) for field in ("request_id", "input_hash", "payee", "body")),
    *((10, field) for field in ("request_id", "input_hash", "payee", "body")),
    *((11, field) for field in ("input_hash", "payer", "payee", *_MONEY)),
    *((12, field) for field in ("request_id", "input_hash", "payer", *_MONEY, "body")),
    *((13, field) for field in ("request_id", "input_hash", "payee", *_MONEY, "body")),
]
FIELDS = ("request_id", "input_hash", "payer", "payee", "amount", "ledger", "body")


def parts_of(command: Command) -> Parts:
    """The command's own columns."""
    parts: Parts = astuple(command)[: len(FIELDS)]
    return parts


def name_of(command: Command) -> str:
    return type(command).__name__


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_a_command_is_read_as_it_was_written(command: Command) -> None:
    assert read_command(command.kind, parts_of(command)) == command


@pytest.mark.parametrize(("command", "field"), SAID, ids=str)
def test_a_row_must_say_what_its_documents_say(command: int, field: str) -> None:
    """Whoever alters a column is found out without the hash chain."""
    position = FIELDS.index(field)
    parts = list(parts_of(COMMANDS[command]))
    match parts[position]:
        case bytes(value):
            parts[position] = bytes((value[0], value[1] ^ 1)) + value[2:]
        case int(value):
            parts[position] = OTHER if value in (ANN, SHOP) else value + 1
    with pytest.raises(ValueError, match=r"not what its documents say|cannot be read|12 bytes"):
        read_command(COMMANDS[command].kind, tuple(parts))  # type: ignore[arg-type]


@pytest.mark.parametrize("command", DOCUMENTED, ids=name_of)
def test_garbage_is_no_document(command: Command) -> None:
    parts = (*parts_of(command)[:-1], b"\xff\xff\xff")
    with pytest.raises(ValueError, match=r"documents|12 bytes"):
        read_command(command.kind, parts)


def test_a_hold_is_no_payment_and_a_payment_no_hold() -> None:
    """The terms in the documents tell, not the row."""
    for command, other in ((COMMANDS[3], HELD), (HELD, COMMANDS[3])):
        with pytest.raises(ValueError, match="not what its documents say"):
            read_command(other.kind, parts_of(command))


def test_an_unknown_kind_is_no_command() -> None:
    with pytest.raises(ValueError, match="99"):
        read_command(99, parts_of(COMMANDS[0]))


def test_arrivals_have_ids_of_their_own() -> None:
    """Never a request's, always the same, and they lead back to the payment."""
    request_id = fresh_id()
    arrived = arrival_id(request_id)
    assert arrived != request_id
    assert arrived[6] >> 4 == 8
    assert payment_id(arrived) == request_id


def test_a_request_tries_numbers_that_follow_from_its_id() -> None:
    request_id = fresh_id()
    numbers = [number_for(request_id, attempt) for attempt in range(8)]
    assert numbers == [number_for(request_id, attempt) for attempt in range(8)]
    assert len(set(numbers)) == 8
    assert all(1 <= number <= 99_999_999 for number in numbers)
    assert id_of_attempt(request_id, 0) == request_id
    assert [attempt_of(request_id, id_of_attempt(request_id, n)) for n in range(8)] == [*range(8)]

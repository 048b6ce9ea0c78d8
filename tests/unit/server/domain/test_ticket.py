"""What becomes of a ticket, decided on shards of real files: used, spent, refunded, revoked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kessai.decline import name_of
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.account_pb2 import ENTRY_KIND_REFUND
from server.domain.arrival import arrival
from server.domain.command import ACCEPTED, Command
from server.domain.history import read_command
from server.domain.ticket import redemption_id
from server.shards.router import Shards
from tests.unit.server.domain.commands import (
    MINUTE_US,
    NOW_US,
    accounts_on,
    deposit,
    fresh_id,
    open_account,
)
from tests.unit.server.domain.tickets import DOOR, offer, redeem, refund, revoke, ticket
from tests.unit.server.shards.parts import Clock, shards_in, verify_shards

SHARDS = 2
VENUE, NEAR = [a for a, _ in zip(accounts_on(0, SHARDS), range(2), strict=False)]
FAR = next(accounts_on(1, SHARDS))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def shards(tmp_path: Path, clock: Clock) -> AsyncIterator[Shards]:
    """A venue with 100.00, and two customers; the books verify at the end."""
    with shards_in(tmp_path, SHARDS, clock) as opened:
        for account, owner in (
            (VENUE, "merchant/venue"),
            (NEAR, "wallet/ann"),
            (FAR, "wallet/bob"),
        ):
            await opened.submit(open_account(account, owner))
        await opened.submit(deposit(VENUE, 10_000))
        yield opened
    report = verify_shards(tmp_path, SHARDS)
    assert report.faults == []


async def outcome(shards: Shards, command: Command) -> str:
    """Submit a command: "" or the name of its decline."""
    decline = (await shards.submit(command)).decline
    return "" if decline == ACCEPTED else name_of(decline)


async def balance(shards: Shards, account: int) -> int:
    found = await shards.account(account)
    assert found is not None
    return found.balance


async def standing(shards: Shards, sold: pb.Ticket) -> pb.TicketState:
    kept = await shards.home_of(VENUE).read(lambda reader: reader.document(sold.ticket_id))
    assert kept is not None
    assert kept.account == VENUE
    return pb.TicketState.FromString(kept.body)


async def test_a_ticket_lets_in_once(shards: Shards) -> None:
    sold = ticket()
    first = redeem(sold, VENUE)
    assert await outcome(shards, first) == ""
    assert await outcome(shards, redeem(sold, VENUE)) == "TICKET_USED"
    assert await outcome(shards, first) == ""  # the same again is the first answer
    assert (await standing(shards, sold)).persons_in == 1


async def test_a_group_ticket_counts(shards: Shards) -> None:
    sold = ticket(offer(admits=5))
    assert await outcome(shards, redeem(sold, VENUE, persons=3)) == ""
    assert await outcome(shards, redeem(sold, VENUE, persons=3)) == "TICKET_USED"
    assert await outcome(shards, redeem(sold, VENUE, persons=2)) == ""
    assert (await standing(shards, sold)).persons_in == 5


async def test_a_certificate_is_spent_in_parts(shards: Shards) -> None:
    """Never below zero; what is asked for beyond the rest leaves the rest as it was."""
    sold = ticket(offer(value=5000))
    assert await outcome(shards, redeem(sold, VENUE, persons=0, amount=3000)) == ""
    assert await outcome(shards, redeem(sold, VENUE, persons=0, amount=2001)) == "TICKET_USED"
    assert await outcome(shards, redeem(sold, VENUE, persons=0, amount=2000)) == ""
    assert await outcome(shards, redeem(sold, VENUE, persons=0, amount=1)) == "TICKET_USED"
    assert (await standing(shards, sold)).spent_minor == 5000


@pytest.mark.parametrize(("after_us", "said"), [
    (-60 * MINUTE_US - 1, "TICKET_NOT_IN_TIME"),
    (-60 * MINUTE_US, ""),
    (60 * MINUTE_US - 1, ""),
    (60 * MINUTE_US, "TICKET_NOT_IN_TIME"),
])  # fmt: skip
async def test_it_lets_in_within_its_time(shards: Shards, after_us: int, said: str) -> None:
    """When it happened counts, not when it is told: entrances tell long after."""
    command = redeem(ticket(), VENUE, redeem_us=NOW_US + after_us)
    assert await outcome(shards, command) == said


async def test_more_than_64_bits_is_used_up(shards: Shards) -> None:
    """One terminal could fail all that was decided beside it: the sum had no room."""
    gift, crowd = ticket(offer(value=2**63 - 1)), ticket(offer(admits=2**31 - 1))
    for use in (redeem(gift, VENUE, 0, 2**63 - 1), redeem(crowd, VENUE, 2**31 - 1)):
        assert await outcome(shards, use) == ""
    for use in (redeem(gift, VENUE, 0, 2**63 - 1), redeem(crowd, VENUE, 2**31 - 1)):
        assert await outcome(shards, use) == "TICKET_USED"
    for use in (redeem(gift, VENUE, 0, -(2**63)), redeem(crowd, VENUE, -1)):
        assert await outcome(shards, use) == "AMOUNT_NOT_POSITIVE"


@pytest.mark.parametrize("payer", [NEAR, FAR])
async def test_a_refund_brings_the_price_back(shards: Shards, payer: int) -> None:
    """In one commit with the mark; on another shard it arrives through transit."""
    sold = ticket()
    asked = refund(sold, VENUE, payer)
    for _ in range(2):
        assert await outcome(shards, asked) == ""
    for debt in await shards.outbox(0, 10):
        assert debt.code == ENTRY_KIND_REFUND
        await shards.submit(arrival(0, *debt))
    assert (await balance(shards, VENUE), await balance(shards, payer)) == (7500, 2500)
    _, [entry] = await shards.statement(payer, 0, 10)
    assert (entry.code, entry.counterparty) == (ENTRY_KIND_REFUND, VENUE)
    assert (await standing(shards, sold)).refunded
    assert await outcome(shards, refund(sold, VENUE, payer)) == "TICKET_REFUNDED"
    assert await outcome(shards, redeem(sold, VENUE)) == "TICKET_REFUNDED"
    assert await outcome(shards, revoke(sold, VENUE)) == "TICKET_REFUNDED"


async def test_what_was_used_is_not_refunded(shards: Shards) -> None:
    group, certificate = ticket(offer(admits=5)), ticket(offer(value=5000))
    await outcome(shards, redeem(group, VENUE))
    await outcome(shards, redeem(certificate, VENUE, persons=0, amount=1))
    for sold in (group, certificate):
        assert await outcome(shards, refund(sold, VENUE, NEAR)) == "TICKET_USED"
    assert await balance(shards, VENUE) == 10_000


async def test_a_revoked_ticket_is_void(shards: Shards) -> None:
    sold = ticket()
    assert await outcome(shards, revoke(sold, VENUE)) == ""
    for command in (redeem(sold, VENUE), refund(sold, VENUE, NEAR), revoke(sold, VENUE)):
        assert await outcome(shards, command) == "TICKET_REVOKED"
    assert await balance(shards, VENUE) == 10_000


async def test_after_its_time_nothing_goes_back(shards: Shards, clock: Clock) -> None:
    clock.us += 60 * MINUTE_US
    assert await outcome(shards, refund(ticket(), VENUE, NEAR)) == "TICKET_NOT_IN_TIME"


async def test_a_venue_without_money_cannot_refund(shards: Shards) -> None:
    """Nothing is marked, so the ticket still lets in."""
    sold = ticket(offer(price=10_001))
    assert await outcome(shards, refund(sold, VENUE, NEAR)) == "INSUFFICIENT_FUNDS"
    assert await outcome(shards, redeem(sold, VENUE)) == ""


async def test_a_group_of_commands_sees_what_came_before(shards: Shards) -> None:
    """Decided in one group, none is let in twice, and money does not go back twice."""
    sold, other = ticket(), ticket()
    commands = [redeem(sold, VENUE), redeem(sold, VENUE), refund(sold, VENUE, NEAR),
                refund(other, VENUE, NEAR), refund(other, VENUE, NEAR)]  # fmt: skip
    futures = [shards.home_of(VENUE).submit(command) for command in commands]
    rows = [await future for future in futures]
    said = [name_of(row.decline) for row in rows if row is not None]
    assert said == ["UNSPECIFIED", "TICKET_USED", "TICKET_USED", "UNSPECIFIED", "TICKET_REFUNDED"]


def test_commands_are_read_again_from_their_documents() -> None:
    sold = ticket()
    for command in (redeem(sold, VENUE), refund(sold, VENUE, NEAR), revoke(sold, VENUE)):
        parts = (command.request_id, command.input_hash, command.payer, command.payee,
                 command.amount, command.ledger, command.body)  # fmt: skip
        assert read_command(command.kind, parts) == command
        for change in ({"input_hash": bytes(32)}, {"request_id": fresh_id()}, {"amount": 7}):
            other = replace(command, **change)
            parts = (other.request_id, other.input_hash, other.payer, other.payee,
                     other.amount, other.ledger, other.body)  # fmt: skip
            with pytest.raises(ValueError, match="not what its documents say"):
                read_command(command.kind, parts)


def test_a_redemption_has_an_id_of_its_own() -> None:
    """Never a payment's, nor another device's, and it still sorts by time."""
    request_id = fresh_id()
    own = redemption_id(DOOR, request_id)
    assert own[:6] == request_id[:6]
    assert own[6] >> 4 == 0xA
    assert own != redemption_id("agent/venue/door-2", request_id)
    assert len(own) == 16

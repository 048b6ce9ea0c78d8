"""The story that fills the released books: every kind of command, and what is rare about each.

Told on a clock that stands until it is moved, so it is the same on every run but for the phones'
signatures, which are random by nature. A new kind of command gets its scene here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kessai.account_number import make_account, slot_of
from kessai.money import MAX_AMOUNT, Money
from kessai.request_id import format_request_id
from kessai.v1 import decline_pb2 as d
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import CUSTOMER_VERIFICATION_NONE, SETTLEMENT_TERMS_HOLD, Receipt
from kessai.v1.ticket_pb2 import (
    TICKET_KIND_ADMISSION,
    TICKET_KIND_GIFT_CERTIFICATE,
    RefundTicketRequest,
    RevokeTicketRequest,
    Ticket,
    TicketOffer,
)
from server.domain.busy_payee import merge
from server.domain.command import ACCEPTED, Command
from server.ledger.chart import auxiliary_id
from server.switch.outcomes import terminal
from tests.released.cast import (
    BOB,
    BROKE,
    BUSY,
    CARL,
    DOOR,
    DORA,
    EVE,
    KIOSK,
    LODGER,
    MISSING,
    NOBODY,
    OTHER,
    STALL,
    YEN,
    Cast,
    phone_key,
)
from tests.unit.server.domain.commands import (
    EUR,
    JPY,
    MINUTE_US,
    close,
    deposit,
    freeze,
    open_account,
    pay,
    place_hold,
    release_to,
    unfreeze,
    withdraw,
)
from tests.unit.server.switch.counter import ANN, SHOP

SECOND_US = 1_000_000
THREE_HOURS_US = 3 * 3600 * SECOND_US
HELD_S = 60
OWNERS = {
    ANN: "wallet/ann", BOB: "wallet/bob", DORA: "wallet/dora", BROKE: "wallet/broke",
    LODGER: "wallet/ann", EVE: "wallet/ann", SHOP: "merchant/shop", KIOSK: "merchant/kiosk",
    STALL: "merchant/stall", BUSY: "merchant/busy",
}  # fmt: skip


def scenes() -> list[Callable[[Cast], Awaitable[None]]]:
    """The scenes, in order."""
    return [
        accounts_and_cash, frozen_and_closed, amounts_at_limits, purchases, released,
        declined_purchases, deferred_payments, fares, holds, busy_payee, bills, tickets,
        slots_that_move, after_the_moves, a_clock_that_ran_ahead, what_is_left_open,
    ]  # fmt: skip


def must(receipt: Receipt, decline: int = 0) -> None:
    """Hold a receipt against what the story says."""
    assert receipt.decline_reason == decline, receipt


async def accounts_and_cash(cast: Cast) -> None:
    """Opened, opened again, paid in and out; and what is declined of that."""
    for account, owner in OWNERS.items():
        await cast.shards.submit(open_account(account, owner, request_id=cast.new_id()))
        if owner.startswith("wallet") and account != BROKE:
            await cast.shards.submit(deposit(account, 100_000, request_id=cast.new_id()))
    await cast.shards.submit(open_account(YEN, "wallet/ann", JPY, request_id=cast.new_id()))
    for command in (
        open_account(BOB, "wallet/bob", request_id=cast.new_id()),
        deposit(NOBODY, 5, request_id=cast.new_id()),
        deposit(BOB, 5, JPY, request_id=cast.new_id()),
        deposit(BOB, 0, request_id=cast.new_id()),
        withdraw(BROKE, 5, request_id=cast.new_id()),
        withdraw(NOBODY, 5, request_id=cast.new_id()),
        withdraw(BOB, 5, JPY, request_id=cast.new_id()),
    ):
        assert (await cast.shards.submit(command)).decline, command
    await cast.shards.submit(withdraw(BOB, 1, request_id=cast.new_id()))


async def frozen_and_closed(cast: Cast) -> None:
    """Nothing goes out of a frozen account, and nothing into a closed one; money keeps it open."""
    lodger, loft = LODGER, make_account(1, 99)
    owner = OWNERS[LODGER]
    fine: tuple[Command, ...] = (
        open_account(loft, owner, request_id=cast.new_id()),
        freeze(lodger, request_id=cast.new_id()),
        freeze(lodger, request_id=cast.new_id()),
        deposit(lodger, 5, request_id=cast.new_id()),
    )
    for command in fine:
        assert not (await cast.shards.submit(command)).decline, command
    then: tuple[tuple[Command, int], ...] = (
        (withdraw(lodger, 5, request_id=cast.new_id()), d.DECLINE_REASON_ACCOUNT_FROZEN),
        (pay(lodger, SHOP, 5, request_id=cast.new_id()), d.DECLINE_REASON_ACCOUNT_FROZEN),
        (close(lodger, request_id=cast.new_id()), d.DECLINE_REASON_ACCOUNT_NOT_EMPTY),
        (unfreeze(lodger, request_id=cast.new_id()), 0),
        (withdraw(lodger, 5, request_id=cast.new_id()), 0),
        (close(loft, request_id=cast.new_id()), 0),
        (deposit(loft, 5, request_id=cast.new_id()), d.DECLINE_REASON_ACCOUNT_CLOSED),
        (freeze(loft, request_id=cast.new_id()), d.DECLINE_REASON_ACCOUNT_CLOSED),
    )
    for command, decline in then:
        assert (await cast.shards.submit(command)).decline == decline, command


async def amounts_at_limits(cast: Cast) -> None:
    """As much as an account can hold, and one more."""
    await cast.shards.submit(deposit(YEN, MAX_AMOUNT - 7, JPY, request_id=cast.new_id()))
    await cast.shards.submit(deposit(YEN, 7, JPY, request_id=cast.new_id()))
    full = await cast.shards.submit(deposit(YEN, 1, JPY, request_id=cast.new_id()))
    assert full.decline == d.DECLINE_REASON_AMOUNT_TOO_LARGE
    much = await cast.shards.submit(pay(ANN, SHOP, MAX_AMOUNT, request_id=cast.new_id()))
    assert much.decline == d.DECLINE_REASON_INSUFFICIENT_FUNDS
    must(await cast.pay(1))


async def purchases(cast: Cast) -> None:
    """In one shard, and from each to each; one payee has no account, and gets suspense."""
    for merchant in ("shop", "kiosk", "stall"):
        must(await cast.pay(300, merchant))
        must(await cast.pay(200, merchant, BOB, "bob"))
        must(await cast.pay(100, merchant, DORA, "dora"))
    lost = await cast.shards.submit(pay(ANN, MISSING, 40, request_id=cast.new_id()))
    assert not lost.decline
    for shard in range(3):
        await cast.deliver(shard)


async def released(cast: Cast) -> None:
    """What reached no account, paid out once: on the shard where it lies, and on another."""
    for beneficiary in (ANN, DORA):
        lost = await cast.shards.submit(pay(ANN, MISSING, 40, request_id=cast.new_id()))
        for shard in range(3):
            await cast.deliver(shard)
        home = cast.shards.home_of(MISSING).place.shard
        for account, decline in (
            (YEN, d.DECLINE_REASON_CURRENCY_MISMATCH),
            (beneficiary, 0),
            (ANN, d.DECLINE_REASON_ALREADY_RELEASED),
        ):
            refusal = d.DECLINE_REASON_CURRENCY_MISMATCH if account == YEN else ACCEPTED
            command = release_to(
                account, 40, lost.request_id, home, request_id=cast.new_id(), refusal=refusal
            )
            assert (await cast.shards.submit(command)).decline == decline


async def declined_purchases(cast: Cast) -> None:
    """What stays in the log with its reason."""
    now_us = cast.counter.clock()
    must(await cast.pay(300, until_us=now_us), d.DECLINE_REASON_EXPIRED)
    must(await cast.pay(300, until_us=now_us + 2 * MINUTE_US), d.DECLINE_REASON_CLOCK_AHEAD)
    must(await cast.pay(200_000), d.DECLINE_REASON_INSUFFICIENT_FUNDS)
    must(await cast.pay(5, payer=BROKE, wallet="broke"), d.DECLINE_REASON_INSUFFICIENT_FUNDS)
    must(await cast.pay(5, payer=BOB), d.DECLINE_REASON_PAYER_ACCOUNT_UNKNOWN)
    must(await cast.pay(5, payer=YEN), d.DECLINE_REASON_CURRENCY_MISMATCH)
    must(
        await cast.pay(900, verification=CUSTOMER_VERIFICATION_NONE),
        d.DECLINE_REASON_CUSTOMER_NOT_VERIFIED,
    )
    must(await cast.pay(400, verification=CUSTOMER_VERIFICATION_NONE))
    must(await cast.pay(5, "nowhere"), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN)
    cast.counter.enroll("phone/eve/lost", phone_key("eve"))
    cast.counter.directory.revoke("phone/eve/lost", now_us)
    must(await cast.pay(5, payer=EVE, wallet="eve"), d.DECLINE_REASON_WALLET_REVOKED)
    for command, why in (
        (pay(ANN, ANN, 5, request_id=cast.new_id()), d.DECLINE_REASON_PAYER_IS_PAYEE),
        (pay(ANN, SHOP, 0, request_id=cast.new_id()), d.DECLINE_REASON_AMOUNT_NOT_POSITIVE),
        (pay(ANN, OTHER, 5, request_id=cast.new_id()), d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN),
    ):
        assert (await cast.shards.submit(command)).decline == why


async def deferred_payments(cast: Cast) -> None:
    """Accepted at a till that was cut off, and brought when they could not be made any more."""
    now_us = cast.counter.clock()
    ended, later = now_us - MINUTE_US, now_us + 60 * MINUTE_US
    must(await cast.pay(150, until_us=ended, deferred_us=later))
    must(
        await cast.pay(150, payer=BROKE, wallet="broke", until_us=ended, deferred_us=later),
        d.DECLINE_REASON_INSUFFICIENT_FUNDS,
    )


async def fares(cast: Cast) -> None:
    """One for each ride; a second for the same is declined, and what the holder does not pay."""
    ride = cast.ride("ride", ANN)
    must(await cast.pay(220, "stall", request=ride))
    must(await cast.pay(220, "stall", request=ride), d.DECLINE_REASON_ADMISSION_USED)
    ride = cast.ride("another ride", LODGER)
    must(await cast.pay(180, "stall", request=ride), d.DECLINE_REASON_PAYER_NOT_HOLDER)
    must(await cast.pay(180, "stall", LODGER, request=ride))
    must(await cast.pay(1, "kiosk", request=ride), d.DECLINE_REASON_ADMISSION_INVALID)


async def hold(cast: Cast, minor: int, merchant: str, seconds: int = HELD_S) -> Receipt:
    """A payment of Ann's that is held first."""
    terms: dict[str, object] = {"terms": SETTLEMENT_TERMS_HOLD, "hold_seconds": seconds}
    receipt = await cast.pay(minor, merchant, request=terms)
    assert receipt.outcome == payment_pb2.PAYMENT_OUTCOME_HELD
    return receipt


async def holds(cast: Cast) -> None:
    """Captured whole, in part, on another shard, too much; voided; expired; for ever."""
    for merchant, held, taken in (("shop", 500, 500), ("shop", 500, 120), ("kiosk", 500, 130)):
        placed, owner = await hold(cast, held, merchant), terminal(merchant, "till-1")
        captured = await cast.holds.capture(
            cast.new_id(), placed.request_id, Money(taken, "EUR"), owner
        )
        assert not captured.decline
        again = await cast.holds.void(cast.new_id(), placed.request_id, owner)
        assert again.decline == d.DECLINE_REASON_HOLD_NOT_PENDING
    owner = terminal("shop", "till-1")
    placed = await hold(cast, 500, "shop")
    much = await cast.holds.capture(cast.new_id(), placed.request_id, Money(501, "EUR"), owner)
    assert much.decline == d.DECLINE_REASON_AMOUNT_TOO_LARGE
    assert not (await cast.holds.void(cast.new_id(), placed.request_id, owner)).decline
    await hold(cast, 70, "shop", seconds=1)
    await cast.shards.submit(place_hold(ANN, SHOP, 3, 0))
    cast.counter.clock.us += SECOND_US
    assert await cast.expiry.release_due() == 1


async def busy_payee(cast: Cast) -> None:
    """Paid on every shard; merged where it was paid most, with more paid since."""
    await cast.distribute(BUSY)
    for payer, wallet in ((ANN, "ann"), (BOB, "bob"), (DORA, "dora")):
        must(await cast.pay(1000, "busy", payer, wallet))
    auxiliary = auxiliary_id(1, BUSY)
    assert not (await cast.shards.submit(merge(cast.new_id(), auxiliary, 1000, EUR))).decline
    assert (await cast.shards.submit(merge(cast.new_id(), auxiliary, 1000, EUR))).decline
    await cast.deliver(1)
    must(await cast.pay(1000, "busy"))
    await cast.distribute(BUSY)


async def bills(cast: Cast) -> None:
    """Between two people; one whose account is not his own."""
    must(await cast.bill(650, BOB, "bob"))
    must(await cast.bill(650, DORA, "bob"), d.DECLINE_REASON_PAYEE_ACCOUNT_NOT_OWN)


def _offer(cast: Cast, name: str, price: int, admits: int, value: int) -> TicketOffer:
    kind = TICKET_KIND_GIFT_CERTIFICATE if value else TICKET_KIND_ADMISSION
    offer = TicketOffer(
        offer_id=name, merchant_id="shop", event_id="concert", event_name="Spring Concert",
        title=name.title(), kind=kind, admits=admits, price=Money(price, "EUR").to_proto(),
    )  # fmt: skip
    if value:
        offer.value.CopyFrom(Money(value, "EUR").to_proto())
    offer.valid_from_time.FromMicroseconds(cast.counter.clock() - MINUTE_US)
    offer.valid_until_time.FromMicroseconds(cast.counter.clock() + 60 * MINUTE_US)
    return offer


async def tickets(cast: Cast) -> None:
    """Used in parts and used up, spent in parts, too early; and orders that are declined."""
    cast.offers.add(_offer(cast, "family", 250, admits=3, value=0))
    cast.offers.add(_offer(cast, "gift", 100, admits=0, value=1000))
    bought = await cast.pay(100, payer=BOB, wallet="bob", orders={"gift": 1})
    [gift] = await cast.sales.bought_with(bought.request_id)
    must(await cast.pay(1, orders={"gift": 1}), d.DECLINE_REASON_TICKET_ORDER_WRONG)
    must(await cast.pay(1, orders={"none": 1}), d.DECLINE_REASON_TICKET_OFFER_UNKNOWN)
    family = await cast.pay(750, orders={"family": 3})
    first, second, third = await cast.sales.bought_with(family.request_id)
    uses = [await cast.redeem(first, persons=n) for n in (1, 1, 2, 1)]
    assert uses == [0, 0, d.DECLINE_REASON_TICKET_USED, 0]
    spent = [await cast.redeem(gift, spent=n) for n in (400, 500, 200, 100)]
    assert spent == [0, 0, d.DECLINE_REASON_TICKET_USED, 0]
    early = await cast.redeem(second, persons=1, after_us=-2 * MINUTE_US)
    assert early == d.DECLINE_REASON_TICKET_NOT_IN_TIME
    await void_tickets(cast, first, second, third)


async def void_tickets(cast: Cast, first: Signed, second: Signed, third: Signed) -> None:
    """Refunded, but not if used; revoked; each again, and then used."""
    for ticket, expected in ((second, 0), (second, 1), (first, 1)):
        request_id = cast.new_id()
        request = RefundTicketRequest(
            request_id=format_request_id(request_id), ticket_id=_ticket_id(ticket)
        )
        decline, _ = await cast.tickets.refund(request, request_id, DOOR)
        assert bool(decline) == bool(expected)
    for expected in (0, 1):
        request_id = cast.new_id()
        revoked = RevokeTicketRequest(
            request_id=format_request_id(request_id), ticket_id=_ticket_id(third)
        )
        assert bool(await cast.tickets.revoke(revoked, request_id, DOOR)) == bool(expected)
    assert await cast.redeem(second, persons=1) == d.DECLINE_REASON_TICKET_REFUNDED
    assert await cast.redeem(third, persons=1) == d.DECLINE_REASON_TICKET_REVOKED


def _ticket_id(ticket: Signed) -> bytes:
    return Ticket.FromString(ticket.payload).ticket_id


async def slots_that_move(cast: Cast) -> None:
    """With holds, documents and entries: the venue's, the lodger's there and back, a customer's."""
    await hold(cast, 90, "shop")
    await hold(cast, 95, "kiosk")
    await cast.mover.move(slot_of(BOB), 2)
    await cast.mover.move(slot_of(LODGER), 0)
    await cast.mover.move(slot_of(SHOP), 2)
    await cast.mover.move(slot_of(LODGER), 1)
    await cast.mover.move(slot_of(CARL), 1)  # nobody is in it


async def after_the_moves(cast: Cast) -> None:
    """Everybody is paid and pays where he is now."""
    cast.counter.clock.us += SECOND_US
    must(await cast.pay(55))
    must(await cast.pay(45, "shop", BOB, "bob"))
    must(await cast.pay(35, "kiosk", LODGER))
    for shard in (0, 2):
        await cast.deliver(shard)


async def a_clock_that_ran_ahead(cast: Cast) -> None:
    """On one shard: booked three hours ahead, and right again; book time still decides."""
    cast.counter.clock.us += THREE_HOURS_US
    await cast.shards.submit(deposit(DORA, 77, request_id=cast.new_id()))
    cast.counter.clock.us -= THREE_HOURS_US
    await cast.pay(12, "shop", DORA, "dora")


async def what_is_left_open(cast: Cast) -> None:
    """Holds pending, one of them overdue, and debts in every outbox."""
    await hold(cast, 60, "shop", seconds=3600)
    await hold(cast, 61, "shop", seconds=1)
    cast.counter.clock.us += 2 * SECOND_US
    must(await cast.pay(21, "kiosk"))
    must(await cast.pay(22, "shop", EVE))
    must(await cast.pay(23, "kiosk", EVE))

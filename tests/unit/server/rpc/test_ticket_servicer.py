"""TicketService over real lines: offers, sales, redemptions, refunds, and whose they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.account_number import format_account
from kessai.decline import name_of
from kessai.envelope import TICKET, raw_public_key, sign
from kessai.request_id import format_request_id, parse_request_id
from kessai.ticket import holder_key_hash, open_ticket, ticket_id_of
from kessai.v1 import ticket_pb2 as pb
from kessai.v1.account_pb2 import GetAccountRequest
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import (
    GetPaymentRequest,
    PaymentAuthorization,
    PaymentRequest,
    Receipt,
    SettlePaymentResponse,
)
from kessai.v1.ticket_pb2_grpc import TicketServiceStub
from server.domain.directory import DenyKind, Merchant
from tests.unit.server.rpc.test_payment_servicer import Till, till
from tests.unit.server.switch.counter import ANN, SHOP, Alterations
from tests.unit.server.switch.in_process import LIMIT_S, fresh_text, now_us, reason_of

if TYPE_CHECKING:
    from kessai.v1.ticket_pb2_grpc import TicketServiceAsyncStub

DOOR, STRANGER = "agent/shop/door-1", "agent/kiosk/door-1"
HOUR_US = 3_600_000_000
HOLDER = raw_public_key(ec.generate_private_key(ec.SECP256R1()).public_key())


def offer(offer_id: str = "adult", minor: int = 250, **changes: object) -> pb.TicketOffer:
    """A ticket of the shop, valid now."""
    made = pb.TicketOffer(
        offer_id=offer_id, merchant_id="shop", event_id="concert", event_name="Spring Concert",
        title="Adult", kind=pb.TICKET_KIND_ADMISSION, admits=1,
    )  # fmt: skip
    made.price.amount_minor, made.price.currency_code = minor, "EUR"
    made.valid_from_time.FromMicroseconds(now_us() - HOUR_US)
    made.valid_until_time.FromMicroseconds(now_us() + HOUR_US)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


CERTIFICATE = offer("gift", 100, kind=pb.TICKET_KIND_GIFT_CERTIFICATE, admits=0)
CERTIFICATE.value.amount_minor, CERTIFICATE.value.currency_code = 1000, "EUR"


@dataclass
class Venue:
    """A till that sells tickets, a door that takes them, and an operator."""

    till: Till
    operator: TicketServiceAsyncStub
    door: TicketServiceAsyncStub
    stranger: TicketServiceAsyncStub

    async def enter(self, *offers: pb.TicketOffer) -> None:
        """Put tickets on sale."""
        for entered in offers:
            request = pb.CreateTicketOfferRequest(request_id=fresh_text(), offer=entered)
            await self.operator.CreateTicketOffer(request, timeout=LIMIT_S)

    async def buy(
        self, orders: dict[str, int], minor: int, holder: bytes = HOLDER
    ) -> SettlePaymentResponse:
        """Buy tickets as a customer at the till."""

        def order(request: PaymentRequest) -> None:
            request.ticket_orders.extend(
                pb.TicketOrder(offer_id=name, count=count) for name, count in orders.items()
            )

        def hold(authorization: PaymentAuthorization) -> None:
            authorization.ticket_holder_public_key = holder

        self.till.counter.clock.us = now_us()
        request_id = parse_request_id(fresh_text())
        altered = Alterations(request=order, authorization=hold)
        message = self.till.counter.pay(minor, request_id, altered)
        return await self.till.stub.SettlePayment(message, timeout=LIMIT_S)

    async def redeem(self, *uses: pb.Redemption) -> list[str]:
        """Upload what a door let in; "" or the name of a decline for each."""
        request = pb.RedeemTicketsRequest(redemptions=uses)
        answer = await self.door.RedeemTickets(request, timeout=LIMIT_S)
        assert [result.request_id for result in answer.results] == [u.request_id for u in uses]
        return [name_of(r.decline_reason) if r.decline_reason else "" for r in answer.results]

    async def state(self, ticket_id: bytes) -> pb.TicketState:
        """Ask how a ticket stands."""
        request = pb.GetTicketRequest(ticket_id=ticket_id)
        return (await self.operator.GetTicket(request, timeout=LIMIT_S)).state

    async def balance(self, account: int) -> int:
        """Ask for a balance."""
        async with self.till.switch.line() as line:
            request = GetAccountRequest(account_number=format_account(account))
            answer = await AccountServiceStub(line).GetAccount(request, timeout=LIMIT_S)
            return answer.account.balance.amount_minor


@asynccontextmanager
async def venue(folder: Path) -> AsyncIterator[Venue]:
    """A shop that sells tickets, and Ann with 10.00."""
    async with till(folder) as opened:
        switch = opened.switch
        directory = switch.switch._directory
        directory.merchants.add(Merchant("kiosk", "Kiosk", "5994", SHOP, None))
        async with switch.line() as line, switch.line(DOOR) as door, switch.line(STRANGER) as other:
            stubs = [TicketServiceStub(channel) for channel in (line, door, other)]
            yield Venue(opened, *stubs)


def use(ticket: Signed, persons: int = 1, amount: int = 0, after_us: int = 0) -> pb.Redemption:
    """One use of a ticket."""
    made = pb.Redemption(
        request_id=fresh_text(), ticket=ticket, persons=persons, amount_minor=amount
    )
    made.redeem_time.FromMicroseconds(now_us() + after_us)
    return made


def why(answer: SettlePaymentResponse) -> str:
    """Read why a payment was declined; "" if it was not."""
    reason = Receipt.FromString(answer.receipt.payload).decline_reason
    return name_of(reason) if reason else ""


async def test_tickets_come_with_the_receipt(tmp_path: Path) -> None:
    """Signed by the switch, bound to the phone's key, and the same whenever they are asked for."""
    async with venue(tmp_path) as hall:
        await hall.enter(offer(), offer("child", 100, title="Child"))
        answer = await hall.buy({"adult": 2, "child": 1}, 600)
        receipt = hall.till.counter.read(answer.receipt)
        key = hall.till.counter.switch_key.public_key()
        tickets = [open_ticket(signed, key) for signed in answer.tickets]
        assert [ticket.offer.title for ticket in tickets] == ["Adult", "Adult", "Child"]
        for place, ticket in enumerate(tickets):
            assert ticket.ticket_id == ticket_id_of(receipt.request_id, place)
            assert ticket.holder_key_hash == holder_key_hash(HOLDER)
            assert (ticket.venue_name, ticket.offer.event_id) == ("Corner Shop", "concert")
            assert ticket.issue_time == receipt.settle_time
        payment = format_request_id(receipt.request_id)
        again = await hall.till.stub.GetPayment(
            GetPaymentRequest(request_id=payment), timeout=LIMIT_S
        )
        assert (again.receipt, list(again.tickets)) == (answer.receipt, list(answer.tickets))
        plain = await hall.buy({}, 10, b"")
        assert (why(plain), list(plain.tickets)) == ("", [])


async def test_what_is_not_sold(tmp_path: Path) -> None:
    """Each refusal, and no money moves."""
    async with venue(tmp_path) as hall:
        over = offer("over")
        over.valid_from_time.FromMicroseconds(1)
        over.valid_until_time.FromMicroseconds(2)
        await hall.enter(offer(), over, offer("dear", 10))
        for orders, minor, holder, said in (
            ({"unknown": 1}, 250, HOLDER, "TICKET_OFFER_UNKNOWN"),
            ({"over": 1}, 250, HOLDER, "TICKET_OFFER_UNKNOWN"),
            ({"adult": 1}, 249, HOLDER, "TICKET_ORDER_WRONG"),
            ({"adult": 2}, 250, HOLDER, "TICKET_ORDER_WRONG"),
            ({"adult": 1, "dear": 0}, 250, HOLDER, "TICKET_ORDER_WRONG"),
            ({"adult": 1, "dear": -1}, 240, HOLDER, "TICKET_ORDER_WRONG"),
            ({"dear": 21}, 210, HOLDER, "TICKET_ORDER_WRONG"),
            ({"adult": 1}, 250, b"", "TICKET_HOLDER_MISSING"),
            ({"adult": 1}, 250, bytes(65), "TICKET_HOLDER_MISSING"),
            ({"adult": 1}, 250, bytes(range(32)), "TICKET_HOLDER_MISSING"),
        ):
            answer = await hall.buy(orders, minor, holder)
            assert (why(answer), list(answer.tickets)) == (said, []), orders
        assert await hall.balance(ANN) == 1000


async def test_offers(tmp_path: Path) -> None:
    """The same again is no error, other terms under the id are; a terminal sees its own only."""
    async with venue(tmp_path) as hall:
        first = offer()
        await hall.enter(first, first, CERTIFICATE)
        for wrong, said in (
            (offer(minor=251), "RESOURCE_EXISTS"),
            (offer("x", merchant_id="nobody"), "RESOURCE_UNKNOWN"),
            (offer("X"), "FIELD_INVALID offer.offer_id"),
            (offer("x", event_id=""), "FIELD_INVALID offer.event_id"),
            (offer("x", event_name=" a"), "FIELD_INVALID offer.event_name"),
            (offer("x", title="a\n"), "FIELD_INVALID offer.title"),
            (offer("x", kind=0), "FIELD_INVALID offer.kind"),
            (offer("x", admits=0), "FIELD_INVALID offer.admits"),
            (offer("x", admits=101), "FIELD_INVALID offer.admits"),
            (offer("x", minor=0), "FIELD_INVALID offer.price.amount_minor"),
            (offer("x", kind=4), "FIELD_INVALID offer.admits"),
            (offer("x", kind=4, admits=0), "FIELD_INVALID offer.value"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await hall.enter(wrong)
            assert reason_of(failed.value) == said
        listed = await hall.door.ListTicketOffers(pb.ListTicketOffersRequest(), timeout=LIMIT_S)
        assert list(listed.offers) == [first, CERTIFICATE]
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await hall.stranger.ListTicketOffers(
                pb.ListTicketOffersRequest(merchant_id="shop"), timeout=LIMIT_S
            )
        assert reason_of(failed.value) == "CALLER_NOT_PERMITTED"


async def test_redemptions_are_booked_once(tmp_path: Path) -> None:
    """Also long after, in the order of the upload; a second use is declined by name."""
    async with venue(tmp_path) as hall:
        await hall.enter(offer(), CERTIFICATE)
        answer = await hall.buy({"adult": 1, "gift": 1}, 350)
        adult, gift = answer.tickets
        entry = use(adult, after_us=-HOUR_US // 2)
        late = parse_request_id(entry.request_id)
        hour_ago = int.from_bytes(late[:6], "big") - 3_600_000
        entry.request_id = format_request_id(hour_ago.to_bytes(6, "big") + late[6:])
        spent = use(gift, 0, 600)
        for _ in range(2):
            assert await hall.redeem(entry, spent) == ["", ""]
        assert await hall.redeem(use(adult), use(gift, 0, 401)) == ["TICKET_USED", "TICKET_USED"]
        assert await hall.redeem(use(gift, 0, 400)) == [""]
        ids = [pb.Ticket.FromString(signed.payload).ticket_id for signed in (adult, gift)]
        assert (await hall.state(ids[0])).persons_in == 1
        assert (await hall.state(ids[1])).spent_minor == 1000
        other = pb.Redemption()
        other.CopyFrom(entry)
        other.persons = 2
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await hall.redeem(other)
        assert reason_of(failed.value) == "REQUEST_ID_REUSED"


async def test_a_use_of_tomorrow_waits_until_it_is_that_late(tmp_path: Path) -> None:
    """A door's clock may be ahead by 30 s; what it says of later is not noted, and comes again."""
    async with venue(tmp_path) as hall:
        await hall.enter(offer())
        (adult,) = (await hall.buy({"adult": 1}, 250)).tickets
        ahead = use(adult, after_us=HOUR_US // 2)
        assert await hall.redeem(ahead) == ["CLOCK_AHEAD"]
        assert await hall.redeem(ahead) == ["CLOCK_AHEAD"]
        ahead.redeem_time.FromMicroseconds(now_us() + 10_000_000)
        assert await hall.redeem(ahead) == [""]


async def test_what_is_no_ticket_of_the_venue(tmp_path: Path) -> None:
    """Forged, another venue's, or used as what it is not."""
    async with venue(tmp_path) as hall:
        await hall.enter(offer(), CERTIFICATE)
        adult, gift = (await hall.buy({"adult": 1, "gift": 1}, 350)).tickets
        document = pb.Ticket.FromString(adult.payload)
        forged = sign(TICKET, document, hall.till.counter.terminal_key)
        wrong = "TICKET_INVALID"
        uses = (use(forged), use(adult, 0, 5), use(gift, 1), use(gift, 1, 5), use(adult, 0))
        assert await hall.redeem(*uses) == [wrong] * 5
        request = pb.RedeemTicketsRequest(redemptions=[use(adult)])
        answer = await hall.stranger.RedeemTickets(request, timeout=LIMIT_S)
        assert name_of(answer.results[0].decline_reason) == wrong
        assert await hall.redeem(use(adult)) == [""]


async def test_a_refund(tmp_path: Path) -> None:
    """The price is back, the ticket is denied at all doors, and asking again changes nothing."""
    async with venue(tmp_path) as hall:
        await hall.enter(offer())
        [signed] = (await hall.buy({"adult": 1}, 250)).tickets
        ticket_id = pb.Ticket.FromString(signed.payload).ticket_id
        request = pb.RefundTicketRequest(request_id=fresh_text(), ticket_id=ticket_id)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await hall.stranger.RefundTicket(request, timeout=LIMIT_S)
        assert reason_of(failed.value) == "RESOURCE_UNKNOWN"
        await hall.till.switch.switch._depositor.idle(LIMIT_S)
        deny_list = hall.till.switch.switch._deny_list
        assert not deny_list.is_denied(DenyKind.TICKET, ticket_id)
        for _ in range(2):
            answer = await hall.door.RefundTicket(request, timeout=LIMIT_S)
            assert (answer.decline_reason, answer.amount.amount_minor) == (0, 250)
        await hall.till.switch.switch._depositor.idle(LIMIT_S)
        assert (await hall.balance(ANN), await hall.balance(SHOP)) == (1000, 0)
        assert deny_list.is_denied(DenyKind.TICKET, ticket_id)
        assert await hall.redeem(use(signed)) == ["TICKET_REFUNDED"]
        again = pb.RefundTicketRequest(request_id=fresh_text(), ticket_id=ticket_id)
        answer = await hall.operator.RefundTicket(again, timeout=LIMIT_S)
        assert name_of(answer.decline_reason) == "TICKET_REFUNDED"


async def test_a_revocation(tmp_path: Path) -> None:
    """By an operator only; the money stays."""
    async with venue(tmp_path) as hall:
        await hall.enter(offer())
        [signed] = (await hall.buy({"adult": 1}, 250)).tickets
        ticket_id = pb.Ticket.FromString(signed.payload).ticket_id
        request = pb.RevokeTicketRequest(request_id=fresh_text(), ticket_id=ticket_id)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await hall.door.RevokeTicket(request, timeout=LIMIT_S)
        assert reason_of(failed.value) == "CALLER_NOT_PERMITTED"
        assert not (await hall.operator.RevokeTicket(request, timeout=LIMIT_S)).decline_reason
        assert hall.till.switch.switch._deny_list.is_denied(DenyKind.TICKET, ticket_id)
        assert await hall.redeem(use(signed)) == ["TICKET_REVOKED"]
        assert (await hall.state(ticket_id)).revoked
        for unknown, said in (
            (ticket_id_of(ticket_id[:16], 1), "RESOURCE_UNKNOWN"),
            (ticket_id_of(parse_request_id(fresh_text()), 0), "RESOURCE_UNKNOWN"),
            (ticket_id[:17], "FIELD_INVALID ticket_id"),
            (bytes(18), "FIELD_INVALID ticket_id"),
        ):
            request = pb.RevokeTicketRequest(request_id=fresh_text(), ticket_id=unknown)
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await hall.operator.RevokeTicket(request, timeout=LIMIT_S)
            assert reason_of(failed.value) == said

"""The phone's tickets: which it keeps, which it shows at which door, and with which proof."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from kessai.envelope import TICKET, sign
from kessai.money import Money
from kessai.seal import unseal
from kessai.ticket import (
    Entrance,
    TicketRefused,
    holder_key_hash,
    open_certificate_answer,
    open_ticket_answer,
    ticket_id_of,
)
from kessai.v1 import decline_pb2 as d
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentAuthorization, PaymentRequest
from kessai.v1.tap_pb2 import AskForTicket, DeliverReceipt, TapResponse, TellEntry
from kessai.v1.ticket_pb2 import (
    TICKET_KIND_ADMISSION,
    TICKET_KIND_GIFT_CERTIFICATE,
    Ticket,
    TicketOffer,
    TicketOrder,
)
from simulators.phone.screen_view import draw
from simulators.phone.ticket_papers import draw_tickets
from simulators.phone.ticket_store import TicketStore
from tests.unit.simulators.phone.conftest import SPEND, Pocket, PocketMaker
from tests.unit.simulators.phone.counter import SECOND_US, Counter, hash_of, read, status_of

NONCE = b"n" * 32
PAYMENT = bytes.fromhex("0190000000007000800000000000000a")


def sold(
    counter: Counter,
    pocket: Pocket,
    place: int = 0,
    key: Ed25519PrivateKey | None = None,
    holder: bytes = b"",
    payment: bytes = PAYMENT,
    change: Callable[[TicketOffer], object] = lambda offer: None,
) -> Signed:
    """A ticket of the bakery's concert for this phone, changed and signed by whom one likes."""
    terms = TicketOffer(
        offer_id="adult", merchant_id="bakery", event_id="concert", event_name="Spring Concert",
        title="Adult", kind=TICKET_KIND_ADMISSION, admits=1,
    )  # fmt: skip
    terms.price.amount_minor, terms.price.currency_code = 2500, "EUR"
    terms.valid_from_time.FromMicroseconds(counter.now_us - SECOND_US)
    terms.valid_until_time.FromMicroseconds(counter.now_us + SECOND_US)
    change(terms)
    ticket = Ticket(
        ticket_id=ticket_id_of(payment, place),
        offer=terms,
        venue_name="Town Hall",
        holder_key_hash=holder_key_hash(holder or pocket.holder_key.public_key),
    )
    return sign(TICKET, ticket, key or counter.switch_key)


def ask(counter: Counter, pocket: Pocket, *events: str, nonce: bytes = NONCE) -> TapResponse:
    """Ask for a ticket as the bakery's door."""
    body = AskForTicket(
        nonce=nonce, merchant_certificate=counter.certificate(), event_ids=events or ["concert"]
    )
    return read(pocket.wallet.answer(counter.message(ask_for_ticket=body)))


def name_of(answer: TapResponse) -> str:
    """Name the status of an answer."""
    return status_of(answer.SerializeToString())


def shown(answer: TapResponse) -> Ticket:
    """Read the ticket that a phone showed."""
    return Ticket.FromString(answer.ticket_answer.ticket.payload)


def test_tickets_come_with_the_receipt(counter: Counter, make_pocket: PocketMaker) -> None:
    """The customer agrees with the key that they are to be bound to; they are kept once."""
    pocket = make_pocket()
    request = counter.request(
        lambda r: r.ticket_orders.append(TicketOrder(offer_id="adult", count=2))
    )
    given = read(pocket.wallet.answer(counter.present(request)))
    payment = PaymentRequest.FromString(request.payload).request_id
    tickets = [sold(counter, pocket, place, payment=payment) for place in (0, 1)]
    body = DeliverReceipt(receipt=counter.receipt(request), tickets=tickets)
    for _ in range(2):
        answer = pocket.wallet.answer(counter.message(deliver_receipt=body))
        assert status_of(answer) == "RECEIPT_ACCEPTED"
    assert "2 tickets are on this phone" in pocket.pages[-1].message
    kept = pocket.tickets.all()
    assert [k.signed for k in kept] == tickets
    opened = unseal(given.sealed_authorization, counter.sealing_key, hash_of(request))
    authorization = PaymentAuthorization.FromString(Signed.FromString(opened).payload)
    assert authorization.ticket_holder_public_key == pocket.holder_key.public_key


def test_tickets_that_it_does_not_keep(counter: Counter, make_pocket: PocketMaker) -> None:
    """Forged, for another phone, or of another payment."""
    pocket = make_pocket()
    other = bytes.fromhex("0190000000007000800000000000000b")
    for wrong in (
        sold(counter, pocket, key=Ed25519PrivateKey.generate()),
        sold(counter, pocket, holder=b"k" * 65),
        sold(counter, pocket, payment=other),
    ):
        with pytest.raises(TicketRefused):
            pocket.pocket.keep([sold(counter, pocket), wrong], PAYMENT)
        assert pocket.tickets.all() == []


def test_it_shows_the_ticket_that_fits(counter: Counter, make_pocket: PocketMaker) -> None:
    """For the event first, then one that still admits; at another venue none."""
    pocket = make_pocket()
    assert status_of(ask(counter, pocket).SerializeToString()) == "TICKET_MISSING"
    opera = sold(counter, pocket, 0, change=lambda o: setattr(o, "event_id", "opera"))
    first, second = sold(counter, pocket, 1), sold(counter, pocket, 2)
    gift = sold(counter, pocket, 3, change=lambda o: setattr(o, "admits", 0))
    abroad = sold(counter, pocket, 4, change=lambda o: setattr(o, "merchant_id", "abroad"))
    pocket.pocket.keep([gift, abroad], PAYMENT)
    assert status_of(ask(counter, pocket).SerializeToString()) == "TICKET_MISSING"
    pocket.pocket.keep([opera, first, second], PAYMENT)
    assert shown(ask(counter, pocket, "opera")).offer.event_id == "opera"
    assert ask(counter, pocket).ticket_answer.ticket == first
    told = TellEntry(ticket_id=shown(ask(counter, pocket)).ticket_id, persons_left=0)
    answer = pocket.wallet.answer(counter.message(tell_entry=told))
    assert (status_of(answer), pocket.pages[-1].view.value) == ("ENTRY_SHOWN", "welcome")
    assert ask(counter, pocket).ticket_answer.ticket == second


def test_the_proof_is_for_this_door_and_this_nonce(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """A copied ticket, an old proof, another door, more persons: each fails."""
    pocket = make_pocket()
    pocket.pocket.keep([sold(counter, pocket)], PAYMENT)
    answer, key = ask(counter, pocket).ticket_answer, counter.switch_key.public_key()
    here = Entrance(NONCE, "bakery", "till-1")
    assert open_ticket_answer(answer, key, here).offer.event_id == "concert"
    wrong = (
        replace(here, nonce=b"m" * 32),
        replace(here, terminal_id="till-2"),
        replace(here, merchant_id="butcher"),
    )
    for entrance in wrong:
        with pytest.raises(TicketRefused, match="NOT_HOLDER"):
            open_ticket_answer(answer, key, entrance)
    answer.persons = 2
    with pytest.raises(TicketRefused, match="NOT_HOLDER"):
        open_ticket_answer(answer, key, here)
    answer.persons = 0
    with pytest.raises(TicketRefused, match="INVALID"):
        open_ticket_answer(answer, key, here)


def gift(value_minor: int, currency: str = "EUR") -> Callable[[TicketOffer], object]:
    """Make an offer that of a gift certificate."""

    def change(terms: TicketOffer) -> None:
        terms.kind, terms.admits = TICKET_KIND_GIFT_CERTIFICATE, 0
        terms.value.amount_minor, terms.value.currency_code = value_minor, currency

    return change


def ask_to_pay(counter: Counter, pocket: Pocket, amount: Money) -> TapResponse:
    """Ask for a gift certificate as the bakery's counter."""
    body = AskForTicket(
        nonce=NONCE, merchant_certificate=counter.certificate(), amount=amount.to_proto()
    )
    return read(pocket.wallet.answer(counter.message(ask_for_ticket=body)))


def test_the_certificate_with_the_least_that_is_enough(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """What it paid is noted, and what is left then counts; one in another currency does not."""
    pocket = make_pocket()
    places = enumerate((gift(900), gift(500), gift(100), gift(600, "JPY")))
    gifts = [sold(counter, pocket, place, change=change) for place, change in places]
    pocket.pocket.keep(gifts, PAYMENT)
    five = Money(500, "EUR")
    assert ask_to_pay(counter, pocket, five).ticket_answer.ticket == gifts[1]
    told = TellEntry(ticket_id=ticket_id_of(PAYMENT, 1), value_left_minor=0)
    answer = pocket.wallet.answer(counter.message(tell_entry=told))
    assert (status_of(answer), pocket.pages[-1].view.value) == ("ENTRY_SHOWN", "paid")
    assert ask_to_pay(counter, pocket, five).ticket_answer.ticket == gifts[0]
    refused = TellEntry(
        ticket_id=ticket_id_of(PAYMENT, 0), decline_reason=d.DECLINE_REASON_TICKET_REVOKED
    )
    pocket.wallet.answer(counter.message(tell_entry=refused))
    assert pocket.pages[-1].reason == "TICKET_REVOKED"
    assert name_of(ask(counter, pocket)) == "TICKET_MISSING"  # they open no door


def test_a_certificate_pays_no_more_than_it_was_opened_for(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """Nor in another currency; nor nothing, nor less."""
    pocket = make_pocket()
    pocket.pocket.keep([sold(counter, pocket, change=gift(9000))], PAYMENT)
    most = SPEND.minor
    for amount in (Money(most + 1, "EUR"), Money(5, "JPY"), Money(0, "EUR"), Money(-1, "EUR")):
        assert name_of(ask_to_pay(counter, pocket, amount)) == "TICKET_MISSING"
        assert pocket.pages[-1].view.value == "not-paid"
    assert name_of(ask_to_pay(counter, pocket, SPEND)) == "TICKET_SHOWN"


def test_the_proof_is_for_this_counter_and_this_amount(
    counter: Counter, make_pocket: PocketMaker
) -> None:
    """Another amount, another counter, an admission instead of a certificate: each fails."""
    pocket, key = make_pocket(), counter.switch_key.public_key()
    pocket.pocket.keep([sold(counter, pocket, change=gift(500))], PAYMENT)
    here, amount = Entrance(NONCE, "bakery", "till-1"), Money(300, "EUR")
    answer = ask_to_pay(counter, pocket, amount).ticket_answer
    assert open_certificate_answer(answer, key, here, amount).offer.value.amount_minor == 500
    for entrance, due, reason in (
        (replace(here, nonce=b"m" * 32), amount, "NOT_HOLDER"),
        (replace(here, terminal_id="till-2"), amount, "NOT_HOLDER"),
        (replace(here, merchant_id="butcher"), amount, "INVALID"),
        (here, Money(301, "EUR"), "INVALID"),
        (here, Money(300, "JPY"), "INVALID"),
    ):
        with pytest.raises(TicketRefused, match=reason):
            open_certificate_answer(answer, key, entrance, due)
    with pytest.raises(TicketRefused, match="INVALID"):
        open_ticket_answer(answer, key, here)
    answer.amount_minor = 301
    with pytest.raises(TicketRefused, match="NOT_HOLDER"):
        open_certificate_answer(answer, key, here, Money(301, "EUR"))


def test_a_copy_of_a_ticket_is_no_ticket(counter: Counter, make_pocket: PocketMaker) -> None:
    """A phone that has the bytes but not the key proves nothing; nor with a key of its own."""
    pocket = make_pocket()
    ticket = sold(counter, pocket, holder=b"k" * 65)
    pocket.tickets.keep([(Ticket.FromString(ticket.payload), ticket)])
    answer, key = ask(counter, pocket).ticket_answer, counter.switch_key.public_key()
    with pytest.raises(TicketRefused, match="NOT_HOLDER"):
        open_ticket_answer(answer, key, Entrance(NONCE, "bakery", "till-1"))
    answer.holder_public_key = b"k" * 65
    with pytest.raises(TicketRefused, match="NOT_HOLDER"):
        open_ticket_answer(answer, key, Entrance(NONCE, "bakery", "till-1"))
    answer.ticket.payload += b"\x00"
    with pytest.raises(TicketRefused, match="INVALID"):
        open_ticket_answer(answer, key, Entrance(NONCE, "bakery", "till-1"))


def test_it_answers_no_stranger(counter: Counter, make_pocket: PocketMaker) -> None:
    """A door whose certificate the switch did not sign, or a nonce that is none, gets nothing."""
    pocket = make_pocket()
    pocket.pocket.keep([sold(counter, pocket)], PAYMENT)
    forged = counter.certificate(key=Ed25519PrivateKey.generate())
    body = AskForTicket(nonce=NONCE, merchant_certificate=forged, event_ids=["concert"])
    answer = pocket.wallet.answer(counter.message(ask_for_ticket=body))
    assert status_of(answer) == "REQUEST_REFUSED"
    assert status_of(ask(counter, pocket, nonce=b"n").SerializeToString()) == "NOT_UNDERSTOOD"
    unknown = TellEntry(ticket_id=ticket_id_of(PAYMENT, 9))
    answer = pocket.wallet.answer(counter.message(tell_entry=unknown))
    assert status_of(answer) == "NOT_UNDERSTOOD"


def test_what_a_door_said_is_kept_and_shown(
    counter: Counter, make_pocket: PocketMaker, folder: Path
) -> None:
    """On the page of the moment and in the list, which looks like tickets."""
    pocket = make_pocket()
    pocket.pocket.keep([sold(counter, pocket)], PAYMENT)
    ticket = shown(ask(counter, pocket))
    reason = d.DECLINE_REASON_TICKET_REVOKED
    told = TellEntry(ticket_id=ticket.ticket_id, decline_reason=reason)
    pocket.wallet.answer(counter.message(tell_entry=told))
    assert (pocket.pages[-1].reason, pocket.pages[-1].view.is_final) == ("TICKET_REVOKED", True)
    again = TicketStore(folder)
    assert again.all()[0].refusal == reason
    again.close()
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(draw(pocket.pages[-1]), draw_tickets(folder))
    drawn = console.export_text()
    for said in ("TOWN HALL", "Spring Concert", "Adult", "No entry", "revoked", "25.00 EUR"):
        assert said in drawn

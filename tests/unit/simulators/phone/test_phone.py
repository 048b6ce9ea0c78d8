"""A whole phone in both fields, at the real reader's stack: what the customer sees and does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_agents.links.message_link import LinkLost, MessageLink
from kessai.account_number import format_account, make_account
from kessai.complaint import Complaint
from kessai.seal import SealBroken, unseal
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentAuthorization
from kessai.v1.tap_pb2 import TapResponse
from simulators.phone.customer import Approving, Customer, Declining, Thinking
from simulators.phone.misbehaviour import HONEST, Misbehaviour
from simulators.phone.phone import Phone
from simulators.phone.screen import Screen, View
from tests.unit.edge_agents.links.fields import PATIENCE_S, Ground, ground
from tests.unit.simulators.phone.counter import PIN, Counter, hash_of, read, status_of


class Shop:
    """The terminal's side of a tap, and a phone in somebody's hand."""

    def __init__(self, place: Ground, counter: Counter, folder: Path) -> None:
        self._place, self.counter, self._folder = place, counter, folder
        self.pages: list[Screen] = []
        self._phones: list[Phone] = []
        self._hand = ThreadPoolExecutor(1)

    def tap(
        self, customer: Customer, misbehaviour: Misbehaviour = HONEST, stay_s: float = PATIENCE_S
    ) -> Future[Screen]:
        """Hold the phone into the field; the future gives its last page."""
        phone = Phone(
            self._folder,
            customer,
            self.pages.append,
            misbehaviour,
            now_us=self.counter.clock,
            linger_s=0.15,
        )
        self._phones.append(phone)
        return self._hand.submit(phone.tap, self._place.field, stay_s)

    async def find(self) -> MessageLink:
        """Wait for a phone, in a new session."""
        self.counter.session_id = self.counter.random_bytes(16)
        link = await self._place.radio.wait_for_phone(PATIENCE_S)
        assert link is not None
        return link

    async def ask(self, link: MessageLink, request: Signed) -> TapResponse:
        """Present a request and inquire until the customer has decided."""
        answer = await link.exchange(self.counter.present(request), PATIENCE_S)
        while status_of(answer) == "CUSTOMER_DECIDING":
            await asyncio.sleep(0.05)
            answer = await link.exchange(self.counter.inquire(request), PATIENCE_S)
        return read(answer)

    async def settle(self, link: MessageLink, request: Signed) -> str:
        """Deliver the receipt of a request."""
        receipt = self.counter.deliver(self.counter.receipt(request))
        return status_of(await link.exchange(receipt, PATIENCE_S))

    async def close(self) -> None:
        """Switch the phones off."""
        self._hand.shutdown()
        for phone in self._phones:
            phone.close()


@pytest.fixture(params=["udp", "pn532"])
async def shop(
    request: pytest.FixtureRequest, counter: Counter, folder: Path, tmp_path: Path
) -> AsyncIterator[Shop]:
    """Give a shop with each field in turn."""
    async with ground(request.param, tmp_path) as place:
        made = Shop(place, counter, folder)
        yield made
        await made.close()


@pytest.fixture
async def quick(counter: Counter, folder: Path, tmp_path: Path) -> AsyncIterator[Shop]:
    """Give a shop with the field over UDP."""
    async with ground("udp", tmp_path) as place:
        made = Shop(place, counter, folder)
        yield made
        await made.close()


async def test_a_customer_pays(shop: Shop) -> None:
    """Two exchanges, one decision, one receipt; the phone leaves by itself."""
    last = shop.tap(Approving(PIN))
    link, request = await shop.find(), shop.counter.request()
    answer = await shop.ask(link, request)
    assert unseal(answer.sealed_authorization, shop.counter.sealing_key, hash_of(request))
    assert await shop.settle(link, request) == "RECEIPT_ACCEPTED"
    page = await asyncio.wrap_future(last)
    assert (page.view, page.receipt_number) == (View.PAID, "2-127")
    assert [page.view for page in shop.pages] == [
        View.IDLE,
        View.PURCHASE,
        View.ENTER_PIN,
        View.AUTHORIZED,
        View.PAID,
    ]


async def test_a_customer_thinks_and_says_no(shop: Shop) -> None:
    """The terminal inquires meanwhile."""
    last = shop.tap(Thinking(0.4, Declining()))
    answer = await shop.ask(await shop.find(), shop.counter.request())
    assert status_of(answer.SerializeToString()) == "CUSTOMER_DECLINED"
    assert (await asyncio.wrap_future(last)).view is View.CANCELLED


@pytest.mark.parametrize(
    "leaves",
    [
        Misbehaviour(leave_after_exchanges=1),
        Misbehaviour(leave_after_frames=3),
        Misbehaviour(leave_after_frames=4),
    ],
    ids=["authorised but unanswered", "request half read", "almost read"],
)
async def test_a_phone_that_left_half_way_taps_again(leaves: Misbehaviour, quick: Shop) -> None:
    """The second tap gets what was decided at the first, or asks then; one authorisation."""
    request = quick.counter.request()
    gone = quick.tap(Approving(PIN), leaves, stay_s=0.6)
    link = await quick.find()
    with pytest.raises(LinkLost):
        await quick.ask(link, request)
    await asyncio.wrap_future(gone)
    decided = quick.tap(Approving(PIN))
    link = await quick.find()
    answer = await quick.ask(link, request)
    assert unseal(answer.sealed_authorization, quick.counter.sealing_key, hash_of(request))
    assert await quick.settle(link, request) == "RECEIPT_ACCEPTED"
    assert (await asyncio.wrap_future(decided)).view is View.PAID
    if leaves.leave_after_exchanges:
        assert [page.view for page in quick.pages].count(View.ENTER_PIN) == 1


async def test_a_receipt_is_delivered_at_the_next_tap(quick: Shop) -> None:
    """The phone left after it had authorised."""
    request = quick.counter.request()
    gone = quick.tap(Approving(PIN), stay_s=1.5)
    await quick.ask(await quick.find(), request)
    assert (await asyncio.wrap_future(gone)).view is View.AUTHORIZED
    last = quick.tap(Approving(PIN))
    assert await quick.settle(await quick.find(), request) == "RECEIPT_ACCEPTED"
    assert (await asyncio.wrap_future(last)).view is View.PAID


async def test_a_lossy_air(quick: Shop) -> None:
    """Every fourth frame is lost, and the payment goes through."""
    last = quick.tap(Approving(PIN), Misbehaviour(lose_every=4))
    link, request = await quick.find(), quick.counter.request()
    await quick.ask(link, request)
    assert await quick.settle(link, request) == "RECEIPT_ACCEPTED"
    assert (await asyncio.wrap_future(last)).view is View.PAID


def _opened(shop: Shop, answer: TapResponse, request: Signed) -> PaymentAuthorization:
    sealed = answer.sealed_authorization
    signed = Signed.FromString(unseal(sealed, shop.counter.sealing_key, hash_of(request)))
    return PaymentAuthorization.FromString(signed.payload)


async def test_a_phone_that_agrees_to_something_else(quick: Shop) -> None:
    """It is well signed, and it is the switch that must notice."""
    lies = Misbehaviour(amount_minor=1, merchant_id="other", terminal_id="elsewhere")
    request = quick.counter.request()
    last = quick.tap(Approving(PIN), lies, stay_s=1.5)
    said = _opened(quick, await quick.ask(await quick.find(), request), request)
    assert said.amount.amount_minor == 1
    assert (said.merchant_id, said.terminal_id) == ("other", "elsewhere")
    assert said.request_hash == hash_of(request)
    await asyncio.wrap_future(last)


async def test_a_phone_that_replays(quick: Shop) -> None:
    """Its old authorisation does not open for the new request."""
    old, new = quick.counter.request(), quick.counter.request()
    last = quick.tap(Approving(PIN), stay_s=1.5)
    first = await quick.ask(await quick.find(), old)
    await asyncio.wrap_future(last)
    last = quick.tap(Approving(PIN), Misbehaviour(replay=True), stay_s=1.5)
    answer = await quick.ask(await quick.find(), new)
    assert answer.sealed_authorization == first.sealed_authorization
    with pytest.raises(SealBroken):
        _opened(quick, answer, new)
    await asyncio.wrap_future(last)


async def test_a_phone_that_alters_and_is_late(quick: Shop) -> None:
    """One bit, a third of a second."""
    request = quick.counter.request()
    does = Misbehaviour(alter_sealed=True, answer_late_s=0.3)
    last = quick.tap(Approving(PIN), does, stay_s=2.0)
    answer = await quick.ask(await quick.find(), request)
    with pytest.raises(SealBroken):
        _opened(quick, answer, request)
    await asyncio.wrap_future(last)


async def test_a_phone_that_cannot_keep_stays_silent(quick: Shop) -> None:
    """If the disk fails, the terminal learns nothing and the phone ends with the error."""
    request = quick.counter.request()
    last = quick.tap(Approving(PIN))
    link = await quick.find()
    quick._phones[-1]._store.close()  # as if the disk were gone
    with pytest.raises(LinkLost):
        await link.exchange(quick.counter.present(request), PATIENCE_S)
    with pytest.raises(Exception, match="closed"):
        await asyncio.wrap_future(last)


@pytest.mark.parametrize(
    ("account", "says"),
    [
        ("00010000004221", "check digits"),
        ("1", "14 digits"),
        (format_account(make_account(1, 15)), "none of this"),
    ],
)
def test_an_account_of_somebody_else(account: str, says: str, folder: Path) -> None:
    """Cannot be chosen to pay from."""

    def show(page: Screen) -> None: ...

    with pytest.raises(Complaint, match=says):
        Phone(folder, Approving(PIN), show, account_number=account)


def test_a_folder_that_is_no_phone(tmp_path: Path) -> None:
    """Says that it must be paired."""

    def show(page: Screen) -> None: ...

    make: Callable[[], Phone] = lambda: Phone(tmp_path, Approving(PIN), show)  # noqa: E731
    with pytest.raises(Complaint, match="pair"):
        make()

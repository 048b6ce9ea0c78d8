"""Followers: who is told what, from where, and that nothing is missed between log and stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.money import Money
from kessai.request_id import parse_request_id
from kessai.v1 import payment_pb2
from kessai.v1.payment_pb2 import SETTLEMENT_TERMS_HOLD, PaymentRequest, Receipt
from server.domain.command import CommandKind
from server.identity.refusals import FieldRefused
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.shards.store import StoreUnavailable
from server.switch import followers as module
from server.switch.followers import Follower, Followers, Told, read_token, write_token
from server.switch.held_payments import HeldPayments
from server.switch.hold_expiry import HoldExpiry
from server.switch.outcomes import Outcomes, terminal, wallet
from server.switch.receipts import Receipts
from server.switch.refused import Overloaded, Unavailable
from server.switch.register_purchase import RegisterPurchase
from server.switch.settle import Settle
from tests.unit.server.domain.commands import MINUTE_US, deposit, fresh_id, open_account
from tests.unit.server.shards.parts import open_shards
from tests.unit.server.switch.counter import ANN, SHOP, Alterations, Counter

SHARDS = 2
LIMIT_S = 60.0
HELD = payment_pb2.PAYMENT_OUTCOME_HELD
SETTLED = payment_pb2.PAYMENT_OUTCOME_SETTLED
VOIDED = payment_pb2.PAYMENT_OUTCOME_VOIDED
EXPIRED = payment_pb2.PAYMENT_OUTCOME_EXPIRED
TILL_1, TILL_2 = terminal("shop", "till-1"), terminal("shop", "till-2")


@dataclass
class Place:
    """A counter with its shards, and those who follow."""

    counter: Counter
    shards: Shards
    purchases: RegisterPurchase
    followers: Followers

    async def pay(self, minor: int = 1) -> bytes:
        """Settle a payment of the first till; its request id."""
        message = self.counter.pay(minor, fresh_id(self.counter.clock()))
        request_id = parse_request_id(message.request_id)
        await self.purchases.settle(message, request_id, "shop", "till-1")
        return request_id

    async def hold(self) -> bytes:
        """Hold 3.00 for a minute at the first till; the payment's id."""

        def terms(request: PaymentRequest) -> None:
            request.terms, request.hold_seconds = SETTLEMENT_TERMS_HOLD, 60

        request_id = fresh_id(self.counter.clock())
        message = self.counter.pay(300, request_id, Alterations(terms))
        await self.purchases.settle(message, request_id, "shop", "till-1")
        return request_id

    def read(self, told: Told) -> Receipt:
        """Open the receipt that was told."""
        assert told.receipt is not None
        return self.counter.read(told.receipt)


def outcome_in(receipt: Receipt) -> tuple[bytes, tuple[int, int]]:
    """Which payment a receipt is of, what became of it, and of how much."""
    return receipt.request_id, (receipt.outcome, receipt.amount.amount_minor)


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    """A counter whose customer has 10.00; the same one again in the same folder."""
    listening: list[Followers] = []

    def on_written(shard: int, rows: Sequence[LogRow]) -> None:
        for followers in listening:
            followers.on_written(shard, rows)

    fresh = not (folder / "directory.db").exists()
    counter = Counter(folder, known=not fresh)
    shards = open_shards(folder, SHARDS, counter.clock, on_written=on_written)
    if fresh:
        await shards.submit(open_account(ANN))
        await shards.submit(open_account(SHOP, "merchant/shop"))
        await shards.submit(deposit(ANN, 1000))
    outcomes = Outcomes(shards, Receipts(counter.switch_key))
    listening.append(Followers(shards, outcomes, counter.clock))
    purchases = counter.purchases(shards)
    try:
        yield Place(counter, shards, purchases, listening[0])
    finally:
        await listening[0].close()
        purchases.close()
        shards.close()
        counter.directory.close()


async def following(at: Place, owner: str, token: bytes = b"") -> AsyncGenerator[Told]:
    """Follow, past the first answer."""
    stream = at.followers.follow(owner, token)
    assert (await stop_after(stream)).receipt is None
    return stream


async def stop_after(stream: AsyncIterator[Told]) -> Told:
    """Give what is told next, within a limit."""
    return await asyncio.wait_for(anext(stream), LIMIT_S)


async def test_a_terminal_is_told_its_own_payments_as_they_are_booked(tmp_path: Path) -> None:
    """Settled or declined, in order; and another terminal of the shop is told nothing."""
    async with place(tmp_path) as at:
        own, others = await following(at, TILL_1), await following(at, TILL_2)
        waiting = asyncio.ensure_future(stop_after(others))
        paid, too_much = await at.pay(300), await at.pay(5_000)
        first, second = at.read(await stop_after(own)), at.read(await stop_after(own))
        assert [first.request_id, second.request_id] == [paid, too_much]
        assert [first.decline_reason > 0, second.decline_reason > 0] == [False, True]
        following_on = asyncio.ensure_future(stop_after(own))
        third = await at.pay()  # what was read from the log is not told again by the commit
        assert at.read(await following_on).request_id == third
        assert not waiting.done()
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting


async def test_what_was_booked_meanwhile_is_told_first(tmp_path: Path) -> None:
    """Also by a switch that was started anew; each once, in whatever place it was left."""
    async with place(tmp_path) as at:
        stream = await following(at, TILL_1)
        await at.pay()
        token = (await stop_after(stream)).resume_token
        missed = [await at.pay() for _ in range(3)]
    async with place(tmp_path) as again:
        again.counter.switch_key, key = at.counter.switch_key, at.counter.switch_key
        again.followers._outcomes = Outcomes(again.shards, Receipts(key))
        stream = await following(again, TILL_1, token)
        told = [await stop_after(stream) for _ in missed]
        assert [again.read(one).request_id for one in told] == missed
        later = await following(again, TILL_1, told[1].resume_token)
        assert again.read(await stop_after(later)).request_id == missed[2]


async def test_nothing_is_missed_while_payments_run(tmp_path: Path) -> None:
    """A follower that comes and goes all the time gets every payment at least once, in order."""
    async with place(tmp_path) as at:
        stream = at.followers.follow(TILL_1, b"")
        token = (await stop_after(stream)).resume_token
        await stream.aclose()
        paying = asyncio.gather(*(at.pay() for _ in range(60)))
        told: list[bytes] = []
        while len(set(told)) < 60:
            stream = at.followers.follow(TILL_1, token)
            for _ in range(8):
                one = await stop_after(stream)
                token = one.resume_token
                if one.receipt is not None:
                    told.append(at.read(one).request_id)
                if len(set(told)) == 60:
                    break
            await stream.aclose()
        assert sorted(set(told)) == sorted(await paying)
        assert len(told) == 60
        assert at.followers._followers == {}


async def test_only_the_last_quarter_of_an_hour_is_told(tmp_path: Path) -> None:
    """Who was away longer asks for what is open, by its request id."""
    async with place(tmp_path) as at:
        stream = at.followers.follow(TILL_1, b"")
        token = (await stop_after(stream)).resume_token
        await at.pay()
        at.counter.clock.us += 16 * MINUTE_US
        recent = await at.pay()
        later = await following(at, TILL_1, token)
        assert at.read(await stop_after(later)).request_id == recent


async def test_a_quiet_stream_tells_where_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a follower with nothing to be told need not read all that was others'."""
    monkeypatch.setattr(module, "REFRESH_S", 0.05)
    async with place(tmp_path) as at:
        stream = await following(at, TILL_2)
        await at.pay()
        while True:
            told = await stop_after(stream)
            assert told.receipt is None
            if read_token(told.resume_token, SHARDS) == await at.shards.last_sequences():
                break


async def test_what_comes_as_the_time_is_up_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payment in the moment in which a quiet stream would tell where to go on."""
    monkeypatch.setattr(module, "REFRESH_S", 0)
    async with place(tmp_path) as at:
        found = await at.shards.find(await at.pay())
        assert found is not None
        shard, row = found
        stream = await following(at, TILL_1)
        assert (await stop_after(stream)).receipt is None
        told = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)  # it waits now, and its time is up in the loop's next turn
        later = row._replace(sequence=row.sequence + 1)
        asyncio.get_running_loop().call_soon(at.followers._tell, shard, [later], later.sequence)
        answer = await asyncio.wait_for(told, LIMIT_S)
        while answer.receipt is None:
            answer = await stop_after(stream)
            assert read_token(answer.resume_token, SHARDS)[shard] <= later.sequence
        assert at.read(answer).log_position.sequence == later.sequence


async def test_who_reads_too_slowly_is_cut_off_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_LIMIT", 2)
    async with place(tmp_path) as at:
        stream = await following(at, TILL_1)
        paid = [await at.pay()]
        told = [await stop_after(stream)]
        paid += [await at.pay() for _ in range(5)]
        with pytest.raises(Overloaded):
            await read_all(stream, told)
        again = await following(at, TILL_1, told[-1].resume_token)
        told += [await stop_after(again) for _ in paid[len(told) :]]
        assert [at.read(one).request_id for one in told] == paid


async def read_all(stream: AsyncIterator[Told], told: list[Told]) -> None:
    """Read a stream to its end."""
    while True:
        told.append(await stop_after(stream))


async def test_how_a_hold_ends_is_told(tmp_path: Path) -> None:
    """Captured, voided, expired: to till and customer, as it happens and after a restart."""
    async with place(tmp_path) as at:
        till, ann = await following(at, TILL_1), await following(at, wallet("ann"))
        bob = at.followers.follow(wallet("bob"), b"")
        token = (await stop_after(bob)).resume_token
        nothing = asyncio.ensure_future(stop_after(bob))
        settle = Settle(at.shards, at.counter.clock)
        holds = HeldPayments(settle, at.followers._outcomes)
        held = [await at.hold() for _ in range(3)]
        new_id = partial(fresh_id, at.counter.clock())
        await holds.capture(new_id(), held[0], Money(120, "EUR"), TILL_1)
        late = await holds.capture(new_id(), held[0], Money(120, "EUR"), TILL_1)
        assert late.decline  # is told to who asked, and to no stream
        await holds.void(new_id(), held[1], TILL_1)
        at.counter.clock.us += 2 * MINUTE_US
        await HoldExpiry(at.shards, at.counter.clock).release_due()
        said = [
            *((payment, (HELD, 300)) for payment in held),
            *zip(held, ((SETTLED, 120), (VOIDED, 300), (EXPIRED, 300)), strict=True),
        ]
        for stream in (till, ann, await following(at, TILL_1, token)):
            assert [outcome_in(at.read(await stop_after(stream))) for _ in said] == said
        assert not nothing.done()
        nothing.cancel()
    key = at.counter.switch_key
    async with place(tmp_path) as again:
        again.counter.switch_key = key
        again.followers._outcomes = Outcomes(again.shards, Receipts(key))
        stream = await following(again, wallet("ann"), token)
        assert [outcome_in(again.read(await stop_after(stream))) for _ in said] == said


async def test_an_end_whose_hold_cannot_be_looked_up_ends_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is passed over: who resumes is told it."""
    async with place(tmp_path) as at:
        held = await at.hold()  # while nobody followed
        stream = await following(at, TILL_1)
        token = write_token(await at.shards.last_sequences())

        async def away(account: int, request_id: bytes) -> None:
            raise StoreUnavailable("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(at.shards, "first_row", away)
            holds = HeldPayments(Settle(at.shards, at.counter.clock), at.followers._outcomes)
            await holds.void(fresh_id(at.counter.clock()), held, TILL_1)
            with pytest.raises(Unavailable):
                await stop_after(stream)
        again = await following(at, TILL_1, token)
        assert outcome_in(at.read(await stop_after(again))) == (held, (VOIDED, 300))


async def test_the_end_of_a_hold_is_handed_to_its_parties_alone(tmp_path: Path) -> None:
    """Also one of which this run has not seen the beginning: it is looked up once, for all."""
    async with place(tmp_path) as at:
        held = await at.hold()  # while nobody followed
        till = await following(at, TILL_1)
        strangers = [Follower() for _ in range(50)]
        for number, stranger in enumerate(strangers):
            at.followers._followers[wallet(f"stranger-{number}")].add(stranger)
        holds = HeldPayments(Settle(at.shards, at.counter.clock), at.followers._outcomes)
        await holds.void(fresh_id(at.counter.clock()), held, TILL_1)
        assert outcome_in(at.read(await stop_after(till))) == (held, (VOIDED, 300))
        assert not any(stranger.waiting.qsize() for stranger in strangers)


async def test_a_shard_that_is_slow_to_look_delays_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of one shard wait for what stands before them; those of another are told meanwhile."""
    async with place(tmp_path) as at:
        found = await at.shards.find(await at.pay())
        assert found is not None
        shard, row = found
        stream = await following(at, TILL_1)
        looked = asyncio.Event()

        async def look(row: LogRow) -> None:
            looked.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(at.followers._outcomes, "asked", look)
        end = row._replace(kind=CommandKind.VOID_HOLD, body=bytes(16), sequence=row.sequence + 1)
        at.followers._tell(1 - shard, [end], end.sequence)
        await asyncio.wait_for(looked.wait(), LIMIT_S)
        later = row._replace(sequence=row.sequence + 1)
        monkeypatch.undo()
        at.followers._tell(shard, [later], later.sequence)
        told = at.read(await stop_after(stream))
        assert told.log_position.sequence == later.sequence
        assert 1 - shard not in at.followers._seen  # so no token goes beyond what was not told


@pytest.mark.parametrize(
    "token", [b"\x01", b"\x02" + bytes(16), bytes(17), b"\x01" + bytes(15), b"\x01" + bytes(24)]
)
async def test_a_token_of_another_kind_is_refused(tmp_path: Path, token: bytes) -> None:
    async with place(tmp_path) as at:
        with pytest.raises(FieldRefused) as refused:
            await stop_after(at.followers.follow(TILL_1, token))
        assert refused.value.field == "resume_token"


async def test_a_token_of_books_that_were_ahead_is_refused(tmp_path: Path) -> None:
    """As after an old backup was put back."""
    async with place(tmp_path) as at:
        tails = await at.shards.last_sequences()
        await stop_after(at.followers.follow(TILL_1, write_token(tails)))
        with pytest.raises(FieldRefused) as refused:
            await stop_after(at.followers.follow(TILL_1, write_token([tails[0] + 1, tails[1]])))
        assert refused.value.field == "resume_token"


async def test_another_tills_key_changes_nothing(tmp_path: Path) -> None:
    """A till that was paired anew is told what it asked for before."""
    async with place(tmp_path) as at:
        stream = at.followers.follow(TILL_1, b"")
        token = (await stop_after(stream)).resume_token
        paid = await at.pay()
        at.counter.enroll(TILL_1, Ed25519PrivateKey.generate())
        again = await following(at, TILL_1, token)
        assert at.read(await stop_after(again)).request_id == paid

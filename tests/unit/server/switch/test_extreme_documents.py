"""Any value in any field of a well-signed document: a receipt, or an error with a name.

`KESSAI_EXAMPLES` sets how many are tried for each document.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kessai.v1 import decline_pb2 as d
from kessai.v1.bill_pb2 import Bill
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentAuthorization, PaymentRequest
from server.identity.refusals import Refusal
from server.switch.faults import Failed
from tests.unit.server.domain.commands import deposit, open_account
from tests.unit.server.shards.parts import shards_in
from tests.unit.server.switch.counter import ANN, Alterations, Counter
from tests.unit.server.switch.test_bills import BOB, Altered, Friends
from tests.unit.server.switch.test_register_purchase import settle

EXAMPLES = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=int(os.environ.get("KESSAI_EXAMPLES", "25")),
)
_INTEGERS = {
    FieldDescriptor.TYPE_INT32: 31,
    FieldDescriptor.TYPE_INT64: 63,
    FieldDescriptor.TYPE_ENUM: 31,
}


def extreme(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Values at the ends of a field's type, and beyond what any document means."""
    if field.type in _INTEGERS:
        top = 2 ** _INTEGERS[field.type]
        return st.sampled_from([0, -1, 1, -top, top - 1, top // 2, 2 * 10**9]).filter(
            lambda value: value < top
        )
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.sampled_from([b"", b"\0", b"\xff" * 16, b"\x04" + bytes(64), bytes(3000)])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    return st.sampled_from(["", "\0", "a" * 3000, "\x1b[2J", "9" * 14, "EUR", "\U0010ffff"])


def spoil(message: Message, draw: Any) -> None:  # noqa: ANN401
    """Put an extreme value into one field, at any depth."""
    field = draw(st.sampled_from(list(message.DESCRIPTOR.fields)))
    if field.message_type is not None:
        value = getattr(message, field.name)
        inner = value.add() if field.is_repeated else value
        inner.SetInParent()
        spoil(inner, draw)
    elif field.is_repeated:
        getattr(message, field.name).append(draw(extreme(field)))
    else:
        setattr(message, field.name, draw(extreme(field)))


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[tuple[asyncio.Runner, Friends]]:
    """A loop, and a switch's use cases; Ann has money, and Bob's account is also the shop's."""
    counter = Counter(tmp_path)
    with shards_in(tmp_path, 2, counter.clock) as shards, asyncio.Runner() as loop:

        async def prepare() -> Friends:
            for account, owner in ((ANN, "wallet/ann"), (BOB, "wallet/bob")):
                await shards.submit(open_account(account, owner))
                await shards.submit(deposit(account, 10**9))
            return Friends(counter, shards)

        friends = loop.run(prepare())
        yield loop, friends
        friends.bills.close()
    counter.directory.close()


def check(friends: Friends, answer: Signed | Refusal) -> None:
    """A receipt that the switch did not write by a fault of its own; or a refusal with a name."""
    if isinstance(answer, Signed):
        told = friends.counter.read(answer)
        assert told.decline_reason != d.DECLINE_REASON_SWITCH_FAULT
    else:
        assert not isinstance(answer, Failed)


@EXAMPLES
@given(data=st.data(), part=st.sampled_from(["request", "authorization"]))
def test_a_payment(runner: tuple[asyncio.Runner, Friends], data: st.DataObject, part: str) -> None:
    loop, friends = runner

    def alter(document: PaymentRequest | PaymentAuthorization) -> None:
        for _ in range(data.draw(st.integers(1, 3))):
            spoil(document, data.draw)

    changes: dict[str, Any] = {part: alter}

    async def play() -> Signed | Refusal:
        purchases = friends.counter.purchases(friends.shards)
        try:
            return await settle(purchases, friends.counter.pay(altered=Alterations(**changes)))
        except Refusal as refusal:
            return refusal
        finally:
            purchases.close()

    check(friends, loop.run(play()))


@EXAMPLES
@given(data=st.data(), of_bill=st.booleans())
def test_a_bill(runner: tuple[asyncio.Runner, Friends], data: st.DataObject, of_bill: bool) -> None:
    loop, friends = runner

    def alter(document: Bill | PaymentAuthorization) -> None:
        for _ in range(data.draw(st.integers(1, 3))):
            spoil(document, data.draw)

    changes: dict[str, Any] = {"bill" if of_bill else "authorization": alter}
    message = friends.agree(300, altered=Altered(**changes))

    async def play() -> Signed | Refusal:
        try:
            return await friends.settle(message, "bob")
        except Refusal as refusal:
            return refusal

    check(friends, loop.run(play()))

"""The tap dialogue: what the terminal asks, and what it makes of answers that are none."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agents.links.message_link import LinkLost
from edge_agents.payment_request import PendingPayment
from edge_agents.tap import MAX_ANSWER_BYTES, PhoneAnswer, TapSession, ask_to_pay
from kessai.v1 import tap_pb2
from kessai.v1.envelope_pb2 import Sealed
from kessai.v1.tap_pb2 import TapRequest, TapResponse
from tests.unit.edge_agents.parties import (
    Phone,
    make_pending,
    make_receipt,
    make_terminal,
    sign_receipt,
)

DECIDING = tap_pb2.TAP_STATUS_CUSTOMER_DECIDING
AUTHORIZED = tap_pb2.TAP_STATUS_AUTHORIZED
SESSION = bytes(range(16))
CERTIFICATE = make_terminal().merchant_certificate


class Parrot:
    """A phone that answers every message with what it was told to."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def exchange(self, message: bytes, timeout_s: float) -> bytes:
        """Answer."""
        return self._answer


async def ask(
    phone: Phone | Parrot, pending: PendingPayment, wanted: bool = True
) -> PhoneAnswer | None:
    session = TapSession(phone, SESSION)
    return await ask_to_pay(session, pending, CERTIFICATE, lambda: wanted, lambda: None)


async def test_a_customer_who_agrees_at_once() -> None:
    phone, pending = Phone(), make_pending()
    answer = await ask(phone, pending)
    assert answer == PhoneAnswer(AUTHORIZED, phone.sealed[pending.request_hash])
    presented = phone.seen[0].present_payment
    assert presented.payment_request == pending.signed
    assert presented.merchant_certificate == CERTIFICATE


async def test_a_customer_who_takes_time_is_asked_again() -> None:
    phone, pending = Phone(DECIDING, DECIDING), make_pending()
    answer = await ask(phone, pending)
    assert answer is not None
    assert answer.status == AUTHORIZED
    assert [request.WhichOneof("body") for request in phone.seen] == [
        "present_payment",
        "inquire_payment",
        "inquire_payment",
    ]
    assert [request.sequence for request in phone.seen] == [1, 2, 3]
    assert {request.session_id for request in phone.seen} == {SESSION}


async def test_a_phone_that_forgot_is_presented_it_again() -> None:
    phone = Phone(DECIDING, tap_pb2.TAP_STATUS_REQUEST_UNKNOWN, DECIDING)
    answer = await ask(phone, make_pending())
    assert answer is not None
    assert answer.status == AUTHORIZED
    assert [request.WhichOneof("body") for request in phone.seen] == [
        "present_payment",
        "inquire_payment",
        "present_payment",
        "inquire_payment",
    ]


@pytest.mark.parametrize("decisions", [[], [DECIDING]])
async def test_an_answer_that_is_not_wanted_any_more_is_dropped(
    decisions: list[tap_pb2.TapStatus.ValueType],
) -> None:
    """After CANCEL or expiry an authorisation is not even returned."""
    assert await ask(Phone(*decisions), make_pending(), wanted=False) is None


async def test_a_phone_that_leaves_half_way() -> None:
    phone = Phone(DECIDING)
    phone.leave_after = 1
    with pytest.raises(LinkLost):
        await ask(phone, make_pending())


@pytest.mark.parametrize("sealed", [Sealed(), Sealed(ciphertext=b"x" * (16 * 1024 + 1))])
async def test_an_authorisation_without_its_sealed_bytes_is_none(sealed: Sealed) -> None:
    answer = TapResponse(
        session_id=SESSION, sequence=1, status=AUTHORIZED, sealed_authorization=sealed
    )
    got = await ask(Parrot(answer.SerializeToString()), make_pending())
    assert got == PhoneAnswer(tap_pb2.TAP_STATUS_NOT_UNDERSTOOD)


@pytest.mark.parametrize(
    "answer",
    [
        TapResponse(session_id=SESSION, sequence=2, status=AUTHORIZED).SerializeToString(),
        TapResponse(session_id=b"other", sequence=1, status=AUTHORIZED).SerializeToString(),
        b"",
        b"\xff\xff\xff",
        TapResponse(
            session_id=SESSION,
            sequence=1,
            status=AUTHORIZED,
            sealed_authorization=Sealed(key_id=bytes(MAX_ANSWER_BYTES), ciphertext=b"x"),
        ).SerializeToString(),
    ],
)
async def test_what_is_no_answer_ends_the_session(answer: bytes) -> None:
    """Another session's, another exchange's, empty, garbage, too long."""
    with pytest.raises(LinkLost):
        await ask(Parrot(answer), make_pending())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_answers_never_authorise(answer: bytes) -> None:
    async def try_it() -> PhoneAnswer | None:
        return await ask(Parrot(answer), PENDING)

    with pytest.raises(LinkLost):
        asyncio.run(try_it())


async def test_a_receipt_is_handed_over() -> None:
    phone, pending = Phone(), make_pending()
    session = TapSession(phone, SESSION)
    signed = sign_receipt(make_receipt(pending))
    assert not await session.deliver(signed)
    await session.present(pending, CERTIFICATE)
    assert await session.deliver(signed)
    assert phone.receipts == [make_receipt(pending)]
    assert isinstance(phone.seen[0], TapRequest)


PENDING = make_pending()

"""The uplink: the same bytes again while it can help, and UNKNOWN as soon as nobody knows."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from edge_agents.payment_request import PendingPayment
from edge_agents.uplink import NotTaken, Unknown, Uplink
from kessai.v1.payment_pb2 import SettlePaymentRequest
from kessai.v1.payment_pb2_grpc import PaymentServiceStub
from tests.unit.edge_agents.parties import Step, Switch, make_pending, make_sealed, serve

if TYPE_CHECKING:
    from kessai.v1.payment_pb2_grpc import PaymentServiceAsyncStub

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
BUDGET_S = 8.0


def make_request(pending: PendingPayment) -> SettlePaymentRequest:
    return SettlePaymentRequest(
        request_id=pending.payment_id,
        payment_request=pending.signed,
        sealed_authorization=make_sealed(pending),
    )


async def test_the_receipt_comes_back() -> None:
    switch, request = Switch(), make_request(make_pending())
    async with serve(switch) as channel:
        answer = await Uplink(channel, bytes, first_pause_s=0.02).settle(request, BUDGET_S)
    assert answer == switch.known[request.request_id]
    assert switch.received == [request.SerializeToString(deterministic=True)]


@pytest.mark.parametrize("first", [UNAVAILABLE, "lose", grpc.StatusCode.RESOURCE_EXHAUSTED])
async def test_the_same_bytes_are_sent_again(first: Step) -> None:
    """Also when the switch settled and only the answer was lost."""
    switch, request = Switch(first, UNAVAILABLE), make_request(make_pending())
    async with serve(switch) as channel:
        answer = await Uplink(channel, bytes, first_pause_s=0.02).settle(request, BUDGET_S)
    assert answer == switch.known[request.request_id]
    assert switch.received == [request.SerializeToString(deterministic=True)] * 3


async def test_a_switch_that_hangs_is_asked_again() -> None:
    switch, request = Switch("hang"), make_request(make_pending())
    async with serve(switch) as channel:
        answer = await Uplink(channel, bytes, attempt_s=0.3, first_pause_s=0.02).settle(
            request, BUDGET_S
        )
    assert answer == switch.known[request.request_id]
    assert len(switch.received) == 2
    assert len(set(switch.received)) == 1


async def test_no_answer_within_the_budget_is_unknown() -> None:
    switch, request = Switch(*[UNAVAILABLE] * 50), make_request(make_pending())
    async with serve(switch) as channel:
        answer = await Uplink(channel, bytes, first_pause_s=0.02).settle(request, 0.8)
    assert isinstance(answer, Unknown)
    assert len(switch.received) >= 2


async def test_a_dead_line_is_unknown() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        answer = await Uplink(channel, bytes, first_pause_s=0.02).settle(
            make_request(make_pending()), 0.5
        )
    assert isinstance(answer, Unknown)


async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a line on which bytes were altered: HTTP/2 up to the answer, which is none."""
    writer.write(bytes.fromhex("000000040000000000"))
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"SettlePayment")
        writer.write(b"\xff" * 64)
        await writer.drain()
    writer.close()


async def test_an_altered_line_is_nobody_s_answer() -> None:
    """gRPC says UNKNOWN of it; it is asked again, and the rules for an absent switch may apply."""
    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port, request = server.sockets[0].getsockname()[1], make_request(make_pending())
    async with server, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: PaymentServiceAsyncStub = PaymentServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.SettlePayment(request, timeout=BUDGET_S, wait_for_ready=True)
        assert error.value.code() is grpc.StatusCode.UNKNOWN
        answer = await Uplink(channel, bytes, first_pause_s=0.02).settle(request, 0.5)
    assert isinstance(answer, Unknown)
    assert answer.is_away


@pytest.mark.parametrize("reason", ["CERTIFICATE_REFUSED", "CALLER_NOT_PERMITTED"])
async def test_a_refused_caller_knows_nothing(reason: str) -> None:
    """An earlier sending may have been settled, so this is UNKNOWN and not a refusal."""
    async with serve(Switch(reason)) as channel:
        answer = await Uplink(channel, bytes, first_pause_s=0.02).settle(
            make_request(make_pending()), BUDGET_S
        )
    assert isinstance(answer, Unknown)
    assert reason in answer.why


@pytest.mark.parametrize("reason", ["FIELD_INVALID", "REQUEST_ID_STALE", "REQUEST_ID_REUSED"])
async def test_what_is_not_taken_up_was_not_done(reason: str) -> None:
    async with serve(Switch(reason)) as channel:
        answer = await Uplink(channel, bytes, first_pause_s=0.02).settle(
            make_request(make_pending()), BUDGET_S
        )
    assert isinstance(answer, NotTaken)
    assert reason in answer.why


async def test_another_domain_s_reason_means_nothing() -> None:
    """A proxy on the way may use the same words."""
    async with serve(Switch("PROXY.EXAMPLE/FIELD_INVALID")) as channel:
        uplink = Uplink(channel, bytes)
        answer = await uplink.settle(make_request(make_pending()), BUDGET_S)
    assert isinstance(answer, Unknown)


async def test_a_refusal_is_checked_against_an_earlier_sending() -> None:
    """The first sending was settled; a later refusal of the same id does not undo it."""
    switch, request = Switch("lose", "REQUEST_ID_STALE"), make_request(make_pending())
    async with serve(switch) as channel:
        answer = await Uplink(channel, bytes, first_pause_s=0.02).settle(request, BUDGET_S)
    assert answer == switch.known[request.request_id]


async def test_a_refusal_that_cannot_be_checked_is_unknown() -> None:
    switch = Switch("REQUEST_ID_STALE")
    switch.find_plan = [grpc.StatusCode.PERMISSION_DENIED]
    async with serve(switch) as channel:
        answer = await Uplink(channel, bytes, first_pause_s=0.02).settle(
            make_request(make_pending()), BUDGET_S
        )
    assert isinstance(answer, Unknown)


async def test_a_payment_is_found_or_not() -> None:
    switch, request = Switch(), make_request(make_pending())
    async with serve(switch) as channel:
        uplink = Uplink(channel, bytes, first_pause_s=0.02)
        assert await uplink.find(request.request_id, BUDGET_S) is None
        await uplink.settle(request, BUDGET_S)
        found = await uplink.find(request.request_id, BUDGET_S)
    assert found == switch.known[request.request_id]


@pytest.mark.parametrize(
    "failure",
    [
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "CERTIFICATE_REFUSED",
        "CALLER_NOT_PERMITTED",
        "SLOTS_MOVING",
    ],
)
async def test_an_error_that_was_answered_is_an_answer(failure: Step) -> None:
    """Whoever can make the switch fail must not make terminals decide without it."""
    async with serve(Switch(*[failure] * 20)) as channel:
        uplink = Uplink(channel, bytes, first_pause_s=0.02)
        answer = await uplink.settle(make_request(make_pending()), 0.5)
    assert isinstance(answer, Unknown)
    assert not answer.is_away


@pytest.mark.parametrize("failure", [UNAVAILABLE, "STORE_UNAVAILABLE", "OVERLOADED"])
async def test_who_cannot_work_is_away(failure: Step) -> None:
    """Nobody was there, or said that it is too much now."""
    async with serve(Switch(*[failure] * 50)) as channel:
        uplink = Uplink(channel, bytes, first_pause_s=0.02)
        answer = await uplink.settle(make_request(make_pending()), 0.5)
    assert isinstance(answer, Unknown)
    assert answer.is_away


async def test_one_answer_among_failures_is_an_answer() -> None:
    plan: list[Step] = [UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, *[UNAVAILABLE] * 50]
    async with serve(Switch(*plan)) as channel:
        uplink = Uplink(channel, bytes, first_pause_s=0.02)
        answer = await uplink.settle(make_request(make_pending()), 0.5)
    assert isinstance(answer, Unknown)
    assert not answer.is_away


async def test_a_switch_that_hangs_over_one_payment_is_there() -> None:
    """It answers a look-up, so this payment is at fault and not the line."""
    async with serve(Switch(*["hang"] * 5)) as channel:
        answer = await Uplink(channel, bytes).settle(make_request(make_pending()), 0.3)
    assert isinstance(answer, Unknown)
    assert not answer.is_away
    assert "not for this payment" in answer.why


async def test_a_switch_that_said_that_it_cannot_work_is_away_however_late_it_is_then() -> None:
    switch = Switch("STORE_UNAVAILABLE", *["hang"] * 5)
    async with serve(switch) as channel:
        uplink = Uplink(channel, bytes, attempt_s=0.3, first_pause_s=0.02)
        answer = await uplink.settle(make_request(make_pending()), 1.0)
    assert isinstance(answer, Unknown)
    assert (answer.is_away, answer.is_silent) == (True, False)


async def test_a_switch_that_hangs_over_all_is_away() -> None:
    switch = Switch(*["hang"] * 5)
    switch.find_plan = ["hang"]
    async with serve(switch) as channel:
        answer = await Uplink(channel, bytes).settle(make_request(make_pending()), 0.3)
    assert isinstance(answer, Unknown)
    assert answer.is_away


async def test_a_settled_payment_whose_answer_was_late_is_found() -> None:
    """The look-up that tells whether the switch is there brings the receipt, too."""
    switch, request = Switch("hang"), make_request(make_pending())
    async with serve(switch) as channel:
        await Uplink(channel, bytes).settle(request, 0.3)
        switch.plan = []
        receipt = await Uplink(channel, bytes).settle(request, BUDGET_S)
        switch.plan = ["hang"]
        assert await Uplink(channel, bytes).settle(request, 0.3) == receipt

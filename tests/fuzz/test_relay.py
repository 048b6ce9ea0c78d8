"""A fleet's server: what machines send it, and what it answers to them."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.relay.sales import told_of
from edge_agents.relay_address import parse_relay
from edge_agents.uplink import Unknown, Uplink
from kessai.envelope import RELAYED_CALL, sign
from kessai.relayed import CAPTURE_PAYMENT, GET_PAYMENT, RENEW_CERTIFICATE, VOID_PAYMENT
from kessai.v1.payment_pb2 import SettlePaymentRequest
from kessai.v1.relay_pb2 import PassCallRequest, PassCallResponse, RelayedAnswer, RelayedCall
from tests.fuzz.mangling import bytes_like, edits, examples, mangle
from tests.unit.edge_agents.relay.parties import Context, Fleet, signed_in
from tests.unit.edge_agents.relay.test_port import line_of, serving
from tests.vectors.keys import KEYS, sign_payload
from tests.vectors.relay import cases, settle_call

WAIT_S = 60.0
ID = "019a0000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """A fleet with an authority."""
    return Fleet(tmp_path_factory.mktemp("fleet"))


def passed(call: RelayedCall) -> bytes:
    """A call of the vectors' terminal, as it is passed."""
    signed = sign(RELAYED_CALL, call, KEYS["terminal"])
    return PassCallRequest(call=signed).SerializeToString()


def answered(number: int) -> bytes:
    """An answer of the vectors, as it is passed."""
    case = cases()["relayed_answer"][number]
    payload = case.document.SerializeToString(deterministic=True)
    signed = sign_payload(case.type, payload, case.key)
    return PassCallResponse(answer=signed).SerializeToString()


CALL, ANSWER, REFUSAL = passed(settle_call()), answered(0), answered(1)
METHODS = (GET_PAYMENT, CAPTURE_PAYMENT, VOID_PAYMENT, RENEW_CERTIFICATE, "x/Y", "")


@examples(4)
@given(
    request=bytes_like(CALL),
    response=bytes_like(ANSWER, REFUSAL),
    inner=bytes_like(settle_call().request),
    method=st.sampled_from(METHODS),
)
def test_what_is_told_of_calls(request: bytes, response: bytes, inner: bytes, method: str) -> None:
    """Whatever is passed: some words for the log, and no exception."""
    key = KEYS["switch"].public_key()
    for said in (request, passed(RelayedCall(method=method, request=inner)), CALL):
        for answer in (response, ANSWER, REFUSAL):
            told = told_of(said, answer, key)
            assert all(isinstance(value, str | int) for value in told.values())
            assert sum(len(str(value)) for value in told.values()) < 1000


@examples(0.25)
@given(requests=st.lists(bytes_like(CALL), min_size=1, max_size=5))
def test_requests_to_a_fleets_server(fleet: Fleet, requests: list[bytes]) -> None:
    """All go through as they are, and the next one too."""
    seen: list[bytes] = []

    async def switch(request: bytes, _: Context) -> bytes:
        seen.append(request)
        return request

    async def use() -> None:
        async with (
            fleet.switch(switch),
            serving(fleet) as server,
            line_of(server, fleet.machine()) as call,
        ):
            for request in requests:
                assert await call(request, timeout=WAIT_S) == request

    asyncio.run(use())
    assert seen == requests


@examples(0.5)
@given(how=edits)
def test_answers_of_a_fleets_server(fleet: Fleet, how: list[tuple[str, int, int, bytes]]) -> None:
    """A machine believes none of them but the one that the switch signed."""
    good: list[bytes] = []

    async def answer(request: bytes, _: Context) -> bytes:
        good.append(fleet.signed_answer(request, RelayedAnswer(response=b"")))
        return mangle(good[-1], how)

    async def use() -> object:
        async with fleet.liar(answer) as address, fleet.line(address) as channel:
            uplink = Uplink(channel, os.urandom, attempt_s=1.0)
            with suppress(grpc.aio.AioRpcError):
                return await uplink.settle(SettlePaymentRequest(request_id=ID), 0.5)
        return None

    settled = asyncio.run(use())
    if not isinstance(settled, Unknown):
        # Bytes that nobody reads came beside it, or none did.
        assert signed_in(mangle(good[-1], how)) == signed_in(good[-1])


@examples()
@given(text=st.text(max_size=60) | st.from_regex(r"[a-z]{1,5}@[a-z.]{1,9}:[0-9]{1,6}"))
def test_addresses_of_a_fleets_server(text: str) -> None:
    with suppress(ValueError):
        fleet_id, address = parse_relay(text)
        assert f"{fleet_id}@{address}" == text

"""A machine's line through its fleet's server: what the switch signed counts, and nothing else."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_status import rpc_status

from edge_agents.events import Events
from edge_agents.relay_address import RelayAddress, parse_relay
from edge_agents.relay_channel import RelayChannel
from edge_agents.relay_watch import RelayWatch
from edge_agents.uplink import NotTaken, Unknown, Uplink
from kessai.device_identity import DeviceIdentity, load_identity, write_identity
from kessai.envelope import RELAYED_ANSWER, RELAYED_CALL, open_signed, sign
from kessai.v1 import error_pb2
from kessai.v1.device_pb2 import RenewCertificateRequest, RenewCertificateResponse
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import ConfirmTravelRequest
from kessai.v1.payment_pb2 import (
    GetPaymentResponse,
    SettlePaymentRequest,
    SettlePaymentResponse,
)
from kessai.v1.relay_pb2 import PassCallRequest, PassCallResponse, RelayedAnswer, RelayedCall
from server.identity.certificates import public_key_of_request
from server.rpc.errors import RpcError, status_of
from tests.unit.edge_agents.relay.parties import (
    FLEET,
    Answering,
    Context,
    Fleet,
    call_in,
    now_us,
    signed_in,
)

ID = "019a0000-0000-7000-8000-000000000000"
ASK = SettlePaymentRequest(request_id=ID)
RECEIPT = Signed(type="receipt", payload=b"a receipt")
NEVER_TAKEN = RpcError(error_pb2.ERROR_REASON_FIELD_INVALID, "never taken")
UNKNOWN_HERE = RpcError(error_pb2.ERROR_REASON_RESOURCE_UNKNOWN, "none such")


@asynccontextmanager
async def machine(fleet: Fleet, answer: Answering) -> AsyncIterator[Uplink]:
    """A machine behind a server that answers so."""
    async with fleet.liar(answer) as address, fleet.line(address) as channel:
        yield Uplink(channel, os.urandom, attempt_s=1.0)


def honest(fleet: Fleet, seen: list[bytes] | None = None) -> Answering:
    """A server that passes on, and a switch that settles and finds everything."""

    async def answer(request: bytes, _: Context) -> bytes:
        if seen is not None:
            seen.append(request)
        kind = SettlePaymentResponse if "Settle" in call_in(request).method else GetPaymentResponse
        response = kind(receipt=RECEIPT).SerializeToString()
        return fleet.signed_answer(request, RelayedAnswer(response=response))

    return answer


async def test_an_answer_comes_back(fleet: Fleet) -> None:
    """The call is signed by the machine, for this fleet, with the request as it is."""
    seen: list[bytes] = []
    async with machine(fleet, honest(fleet, seen)) as uplink:
        assert await uplink.settle(ASK, 2.0) == RECEIPT
        assert await uplink.find(ID, 2.0) == RECEIPT
    signed = PassCallRequest.FromString(seen[0]).call
    key = fleet.signing_key.public_key()
    call = open_signed(signed, RELAYED_CALL, key, RelayedCall.FromString)
    assert (call.fleet_id, call.method) == (FLEET, "PaymentService/SettlePayment")
    assert call.request == ASK.SerializeToString()
    assert abs(call.create_time.ToMicroseconds() - now_us()) < 10_000_000
    assert call_in(seen[0]).call_id != call_in(seen[1]).call_id


async def test_the_switch_s_errors_are_its_word(fleet: Fleet) -> None:
    """What it never takes is not taken, what it does not know is not there."""

    async def answer(request: bytes, _: Context) -> bytes:
        settles = "Settle" in call_in(request).method
        return fleet.refusal(request, NEVER_TAKEN if settles else UNKNOWN_HERE)

    async with machine(fleet, answer) as uplink:
        assert isinstance(await uplink.settle(ASK, 2.0), NotTaken)
        assert await uplink.find(ID, 2.0) is None


@pytest.mark.parametrize("error", [NEVER_TAKEN, UNKNOWN_HERE], ids=["never taken", "none such"])
async def test_the_server_s_errors_are_nobody_s_word(fleet: Fleet, error: RpcError) -> None:
    """It says in the switch's form that nothing was done: the outcome is unknown all the same."""

    async def answer(_: bytes, context: Context) -> bytes:
        await context.abort_with_status(rpc_status.to_status(status_of(error)))
        raise AssertionError

    async with machine(fleet, answer) as uplink:
        assert isinstance(await uplink.settle(ASK, 1.0), Unknown)
        assert isinstance(await uplink.find(ID, 1.0), Unknown)


def _flipped(fleet: Fleet, request: bytes) -> bytes:
    good = signed_in(fleet.refusal(request, NEVER_TAKEN))
    good.payload = good.payload[:-1] + bytes([good.payload[-1] ^ 1])
    return PassCallResponse(answer=good).SerializeToString()


def _by_itself(fleet: Fleet, request: bytes) -> bytes:
    liar = copy.copy(fleet)
    liar.switch_key = Ed25519PrivateKey.generate()
    return liar.refusal(request, NEVER_TAKEN)


def _renamed(fleet: Fleet, request: bytes) -> bytes:
    forged = signed_in(_by_itself(fleet, request))
    forged.key_id = signed_in(fleet.refusal(request, NEVER_TAKEN)).key_id
    return PassCallResponse(answer=forged).SerializeToString()


def _of_another_call(fleet: Fleet, request: bytes) -> bytes:
    other = sign(RELAYED_CALL, RelayedCall(create_time=Timestamp(seconds=1)), fleet.signing_key)
    return fleet.refusal(PassCallRequest(call=other).SerializeToString(), NEVER_TAKEN)


def _of_another_kind(fleet: Fleet, request: bytes) -> bytes:
    signed = sign("receipt", RelayedAnswer(response=b"x"), fleet.switch_key)
    signed.type = RELAYED_ANSWER
    return PassCallResponse(answer=signed).SerializeToString()


@pytest.mark.parametrize(
    "lie",
    [
        _flipped,
        _by_itself,
        _renamed,
        _of_another_call,
        _of_another_kind,
        lambda *_: b"",
        lambda *_: b"\xff\xff",
        lambda *_: SettlePaymentResponse(receipt=RECEIPT).SerializeToString(),
    ],
    ids=["a bit", "its own key", "its own key renamed", "another call's", "another kind", "nothing",
         "no message", "a bare response"],
)  # fmt: skip
async def test_a_lie_is_no_answer(fleet: Fleet, lie: Callable[[Fleet, bytes], bytes]) -> None:
    """Nothing is given up on it, and nothing given out."""

    async def answer(request: bytes, _: Context) -> bytes:
        return lie(fleet, request)

    async with machine(fleet, answer) as uplink:
        settled = await uplink.settle(ASK, 1.0)
        assert isinstance(settled, Unknown)
        assert "the fleet's server" in settled.why
        assert isinstance(await uplink.find(ID, 1.0), Unknown)


async def test_a_server_without_a_switch_is_away(fleet: Fleet) -> None:
    async def answer(_: bytes, context: Context) -> bytes:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the switch does not answer")
        raise AssertionError

    async with machine(fleet, answer) as uplink:
        assert await uplink.settle(ASK, 0.5) == Unknown("the switch did not answer in time", True)


async def test_what_is_not_passed_on_fails_at_once(fleet: Fleet) -> None:
    """Travel, following: the line says so, and asks nobody."""
    seen: list[bytes] = []
    async with machine(fleet, honest(fleet, seen)) as uplink:
        answer = await uplink.confirm_travel(ConfirmTravelRequest(), 1.0)
        assert isinstance(answer, Unknown)
        assert "does not go through" in answer.why
        with pytest.raises(grpc.aio.AioRpcError, match="does not go through"):
            await anext(uplink.follow(b"", 1.0))
    assert seen == []


async def test_a_certificate_is_renewed_through_the_server(fleet: Fleet, tmp_path: Path) -> None:
    """And the line is opened again with it, to the server as before."""
    old_us = now_us() - 25 * 86_400_000_000
    today, server = fleet.authority, fleet.server
    fleet.authority = replace(today, now_us=lambda: old_us)
    folder, seen = tmp_path / "machine", list[bytes]()
    write_identity(folder, fleet.machine())

    async def answer(request: bytes, context: Context) -> bytes:
        call = call_in(request)
        if "Renew" not in call.method:
            return await honest(fleet, seen)(request, context)
        asked = RenewCertificateRequest.FromString(call.request)
        key = public_key_of_request(asked.certificate_signing_request)
        chain = today.issue("agent/snacks/machine-1", key).chain
        response = RenewCertificateResponse(certificate_chain=chain).SerializeToString()
        return fleet.signed_answer(request, RelayedAnswer(response=response))

    async with fleet.liar(answer, server) as address:
        relay = RelayAddress(FLEET, address)

        def opened(identity: DeviceIdentity) -> RelayChannel:
            return RelayChannel(relay, identity, fleet.signing_key, now_us, os.urandom)

        uplink = Uplink(opened(load_identity(folder)), os.urandom, reopen=opened)
        renewed = await uplink.renew_if_due(folder, now_us)
        assert renewed is not None
        assert renewed.expire_us > now_us() + 29 * 86_400_000_000
        assert await uplink.settle(ASK, 2.0) == RECEIPT
        await uplink.close()


@pytest.mark.parametrize("device", ["relay/other", "agent/snacks/machine-2", "agent/nordic/relay"])
async def test_another_server_is_not_asked(fleet: Fleet, device: str) -> None:
    """A good certificate of another name at the address: no call gets there."""
    seen: list[bytes] = []
    impostor = fleet.identity(device)
    async with (
        fleet.liar(honest(fleet, seen), impostor) as address,
        fleet.line(address) as channel,
    ):
        uplink = Uplink(channel, os.urandom, attempt_s=0.5)
        assert isinstance(await uplink.settle(ASK, 1.0), Unknown)
    assert seen == []


async def test_the_line_tells_when_it_comes_and_why_it_does_not(fleet: Fleet) -> None:
    """Nobody there, another's certificate, and then the fleet's server."""
    told = io.StringIO()

    async def watch(address: str) -> None:
        async with fleet.line(address) as channel:
            relay = RelayAddress(FLEET, address)
            watching = RelayWatch(Uplink(channel, os.urandom), relay, Events(now_us, told))
            running = asyncio.create_task(watching.run())
            lines = len(told.getvalue().splitlines())
            async with asyncio.timeout(10):
                while len(told.getvalue().splitlines()) == lines:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.wait([running])

    await watch("127.0.0.1:1")
    async with fleet.liar(honest(fleet), fleet.identity("relay/other")) as address:
        await watch(address)
    async with fleet.liar(honest(fleet)) as address:
        await watch(address)
    events = [json.loads(line) for line in told.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["out_of_touch", "out_of_touch", "in_touch"]
    assert events[0]["why"] == "the server of fleet nordic at 127.0.0.1:1 does not answer"
    assert "certificate is for another name" in events[1]["why"]


def test_an_address_names_fleet_host_and_port() -> None:
    assert parse_relay("nordic@10.0.0.5:7450") == ("nordic", "10.0.0.5:7450")
    for wrong in ("", "nordic", "10.0.0.5:7450", "Nordic@h:1", "nordic@h", "@h:1", "a@h:123456"):
        with pytest.raises(ValueError, match="FLEET@HOST:PORT"):
            parse_relay(wrong)

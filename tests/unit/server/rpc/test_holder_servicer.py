"""HolderService over the wire: a phone is certified, and what each wrong request is told."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from kessai.account_number import format_account, make_account
from kessai.channel import open_channel
from kessai.envelope import raw_public_key, sign_bytes
from kessai.holder import key_proof_input, open_credential
from kessai.money import Money
from kessai.request_id import format_request_id, new_request_id
from kessai.v1 import holder_pb2 as pb
from kessai.v1.holder_pb2_grpc import HolderServiceStub
from server.domain.directory import OfflineLoss
from tests.unit.server.ports import Switch, serving

TIMEOUT_S = 60.0
PIXEL = "phone/ann/pixel"
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[Switch]:
    """A switch's ports."""
    async with serving(tmp_path) as made:
        yield made


def asking(**changes: str | bytes) -> pb.IssueCredentialRequest:
    """Ask for a credential, with some fields changed."""
    request_id = new_request_id(time.time_ns() // 1_000_000, os.urandom)
    request = pb.IssueCredentialRequest(
        request_id=format_request_id(request_id),
        holder_public_key=raw_public_key(KEY.public_key()),
        holder_key_proof=sign_bytes(key_proof_input(request_id), KEY),
        account_number=format_account(make_account(1, 7)),
    )
    for name, value in changes.items():
        setattr(request, name, value)
    return request


async def test_a_phone_is_certified(switch: Switch) -> None:
    """With the limit in its account's currency; again, with the same credential."""
    request = asking()
    async with open_channel(switch.identity(PIXEL)) as channel:
        stub = HolderServiceStub(channel)
        first = await stub.IssueCredential(request, timeout=TIMEOUT_S)
        assert await stub.IssueCredential(request, timeout=TIMEOUT_S) == first
    holder = open_credential(first.credential, switch.keyring.signing_key.public_key())
    assert holder.offline_limit == Money(2000, "EUR")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"request_id": "?"}, "FIELD_INVALID"),
        ({"account_number": "7"}, "FIELD_INVALID"),
        ({"account_number": format_account(make_account(1, 8))}, "RESOURCE_UNKNOWN"),
        ({"holder_key_proof": bytes(64)}, "FIELD_INVALID"),
        ({"holder_public_key": b""}, "FIELD_INVALID"),
    ],
)
async def test_what_is_refused(switch: Switch, changes: dict[str, str], reason: str) -> None:
    """Each with its reason."""
    async with open_channel(switch.identity(PIXEL)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await HolderServiceStub(channel).IssueCredential(asking(**changes), timeout=TIMEOUT_S)
    assert reason_of(error.value) == reason


async def test_an_operator_sets_the_rider_category(switch: Switch) -> None:
    """And a wrong one is refused."""
    request = pb.SetRiderCategoryRequest(
        request_id=asking().request_id, wallet_id="ann", rider_category="child"
    )
    async with open_channel(switch.identity("operator/joe")) as channel:
        stub = HolderServiceStub(channel)
        await stub.SetRiderCategory(request, timeout=TIMEOUT_S)
        request.rider_category = "Child!"
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.SetRiderCategory(request, timeout=TIMEOUT_S)
    assert reason_of(error.value) == "FIELD_INVALID"
    async with open_channel(switch.identity(PIXEL)) as channel:
        answer = await HolderServiceStub(channel).IssueCredential(asking(), timeout=TIMEOUT_S)
    credential = open_credential(answer.credential, switch.keyring.signing_key.public_key())
    assert credential.rider_category == "child"


async def test_who_cost_a_merchant_money_gets_no_limit_until_it_is_forgiven(
    switch: Switch,
) -> None:
    """Another wallet's loss, or one that is the terminal's own, costs nobody anything."""
    lost_us = switch.clock()
    for payment, phone, is_phones in (
        (b"a" * 16, PIXEL, True),
        (b"b" * 16, "phone/bob/nokia", False),
    ):
        reason = "INSUFFICIENT_FUNDS"
        switch.losses.note(
            OfflineLoss(payment, "agent/shop/till", phone, 500, "EUR", reason, is_phones, lost_us)
        )
    assert await limit_of(switch, PIXEL) is None
    assert await limit_of(switch, "phone/bob/nokia") == Money(2000, "EUR")
    async with open_channel(switch.identity("operator/joe")) as channel:
        stub = HolderServiceStub(channel)
        listed = await stub.ListOfflineLosses(pb.ListOfflineLossesRequest(), timeout=TIMEOUT_S)
        assert {(each.phone, each.by_phone) for each in listed.losses} == {
            (PIXEL, True),
            ("phone/bob/nokia", False),
        }
        forgive = pb.ForgiveOfflineLossesRequest(request_id=asking().request_id, wallet_id="ann")
        told = await stub.ForgiveOfflineLosses(forgive, timeout=TIMEOUT_S)
        assert told.forgiven_count == 1
        listed = await stub.ListOfflineLosses(pb.ListOfflineLossesRequest(), timeout=TIMEOUT_S)
        assert [each.HasField("forgive_time") for each in listed.losses if each.by_phone] == [True]
    assert await limit_of(switch, PIXEL) == Money(2000, "EUR")


async def limit_of(switch: Switch, phone: str) -> Money | None:
    """The off-line limit in a phone's next credential."""
    key = ec.generate_private_key(ec.SECP256R1()) if phone != PIXEL else KEY
    async with open_channel(switch.identity(phone)) as channel:
        request = asking(holder_public_key=raw_public_key(key.public_key()))
        raw_id = bytes.fromhex(request.request_id.replace("-", ""))
        request.holder_key_proof = sign_bytes(key_proof_input(raw_id), key)
        answer = await HolderServiceStub(channel).IssueCredential(request, timeout=TIMEOUT_S)
    switch_key = switch.keyring.signing_key.public_key()
    return open_credential(answer.credential, switch_key).offline_limit


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Give the ErrorReason in an error's details."""
    status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)

"""What a call may say: known fields, each once; own accounts; a limit in the right currency."""

from __future__ import annotations

from pathlib import Path

import grpc.aio
import pytest

from kessai.account_number import format_account
from kessai.money import Money
from kessai.v1 import account_pb2, device_pb2
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from tests.unit.server.rpc.test_payment_servicer import till
from tests.unit.server.switch.counter import TILL
from tests.unit.server.switch.in_process import LIMIT_S, Served, fresh_text, reason_of, served

UNKNOWN = b"\xba\x06\x01x"  # field 103, one byte
SETTLE = "/kessai.v1.PaymentService/SettlePayment"


async def open_account(switch: Served, owner: str, currency: str = "EUR") -> str:
    """Open an account; its number."""
    async with switch.line() as line:
        request = account_pb2.OpenAccountRequest(
            request_id=fresh_text(), owner=owner, currency_code=currency, branch=1
        )
        answer = await AccountServiceStub(line).OpenAccount(request, timeout=LIMIT_S)
    return str(answer.account.account_number)


async def pair(switch: Served, *accounts: str) -> str:
    """Make a code for Ann's phone with accounts; why not, if not."""
    phone = device_pb2.PhonePairing(wallet_id="ann", device_id="pixel", account_numbers=accounts)
    request = device_pb2.CreatePairingCodeRequest(request_id=fresh_text(), phone=phone)
    async with switch.line() as line:
        try:
            await DeviceServiceStub(line).CreatePairingCode(request, timeout=LIMIT_S)
        except grpc.aio.AioRpcError as error:
            return reason_of(error)
    return ""


async def test_a_phone_is_paired_with_accounts_of_its_wallet_only(tmp_path: Path) -> None:
    """It showed another's account as its own, or one that there is not."""
    async with served(tmp_path / "data") as switch:
        own, theirs, shops = [
            await open_account(switch, owner)
            for owner in ("wallet/ann", "wallet/bob", "merchant/shop")
        ]
        assert await pair(switch, own) == ""
        assert await pair(switch) == ""
        for wrong in (theirs, shops, format_account(1_0000_4242)):
            assert await pair(switch, own, wrong) == "RESOURCE_UNKNOWN"


async def test_a_limit_is_in_the_currency_of_the_account(tmp_path: Path) -> None:
    """In another it never let anybody pay without a PIN, and nobody was told."""
    async with served(tmp_path / "data") as switch:
        request = device_pb2.CreateMerchantRequest(
            request_id=fresh_text(), merchant_id="shop", display_name="Shop", category_code="5411",
            account_number=await open_account(switch, "merchant/shop"),
            unverified_limit=Money(500, "JPY").to_proto(),
        )  # fmt: skip
        async with switch.line() as line:
            stub = DeviceServiceStub(line)
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await stub.CreateMerchant(request, timeout=LIMIT_S)
            assert reason_of(failed.value) == "FIELD_INVALID unverified_limit.currency_code"
            request.unverified_limit.currency_code = "EUR"
            await stub.CreateMerchant(request, timeout=LIMIT_S)


async def test_a_call_has_one_reading(tmp_path: Path) -> None:
    """An unknown field, and a signature that comes twice, in the call and in its documents."""
    async with till(tmp_path) as at:
        good = at.pay().SerializeToString()
        nested = at.pay()
        nested.payment_request.MergeFromString(UNKNOWN)
        envelope = at.pay().payment_request
        twice = envelope.SerializeToString() + b"\x2a\x40" + envelope.signature
        signed = b"\x12" + _varint(len(twice)) + twice
        other = at.pay()
        other.ClearField("payment_request")
        for raw, field in (
            (good + UNKNOWN, "103"),
            (nested.SerializeToString(), "payment_request.103"),
            (other.SerializeToString() + signed, "payment_request.signature"),
        ):
            assert await refused(at.switch, SETTLE, raw) == f"FIELD_INVALID {field}"
        assert await refused(at.switch, SETTLE, good) == ""


async def refused(switch: Served, method: str, raw: bytes) -> str:
    """Call with bytes as they are; the reason and field of the refusal, or ""."""
    async with switch.line(TILL) as line:
        call = line.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        try:
            await call(raw, timeout=LIMIT_S)
        except grpc.aio.AioRpcError as error:
            return reason_of(error)
    return ""


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80, number >> 7])

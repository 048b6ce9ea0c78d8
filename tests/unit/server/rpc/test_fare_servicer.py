"""ConfirmTravel over the wire, on a whole switch: who may enter, and each reason why not."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kessai.account_number import format_account, make_account
from kessai.envelope import raw_public_key, sign_bytes
from kessai.holder import Asked, challenge_of, key_proof_input, make_nonce, prove
from kessai.money import Money
from kessai.request_id import parse_request_id
from kessai.v1 import account_pb2, device_pb2, holder_pb2
from kessai.v1 import decline_pb2 as d
from kessai.v1.account_pb2_grpc import AccountServiceStub
from kessai.v1.decline_pb2 import DeclineReason
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fare_pb2 import (
    ConfirmTravelRequest,
    ConfirmTravelResponse,
    SetMinimumBalanceRequest,
)
from kessai.v1.fare_pb2_grpc import FareServiceStub
from kessai.v1.holder_pb2_grpc import HolderServiceStub
from tests.unit.server.switch.in_process import Served, fresh_text, reason_of, served

LIMIT_S = 60.0
ANN, LINE, SHOP = (format_account(make_account(1, number)) for number in (42, 10, 11))
PHONE, GATE = "phone/ann/pixel", "agent/harbour/gate-1"


@dataclass
class Station:
    """A switch with a carrier, a shop, and Ann with 10.00 EUR and a certified phone."""

    switch: Served
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    credential: Signed = field(default_factory=Signed)

    async def open(self) -> None:
        async with self.switch.line() as line:
            accounts, devices = AccountServiceStub(line), DeviceServiceStub(line)
            owners = {42: "wallet/ann", 10: "merchant/harbour", 11: "merchant/shop"}
            for number, owner in owners.items():
                await accounts.OpenAccount(
                    account_pb2.OpenAccountRequest(
                        request_id=fresh_text(), owner=owner, currency_code="EUR",
                        branch=1, number=number,
                    ),
                    timeout=LIMIT_S,
                )  # fmt: skip
            await accounts.DepositCash(
                account_pb2.DepositCashRequest(
                    request_id=fresh_text(),
                    account_number=ANN,
                    amount=Money(1000, "EUR").to_proto(),
                ),
                timeout=LIMIT_S,
            )
            for merchant, category, account in (
                ("harbour", "4111", LINE),
                ("shop", "5411", SHOP),
            ):
                await devices.CreateMerchant(
                    device_pb2.CreateMerchantRequest(
                        request_id=fresh_text(), merchant_id=merchant, display_name=merchant,
                        category_code=category, account_number=account,
                    ),
                    timeout=LIMIT_S,
                )  # fmt: skip
        await self.certify()

    async def certify(self) -> None:
        text = fresh_text()
        proof = sign_bytes(key_proof_input(parse_request_id(text)), self.key)
        async with self.switch.line(PHONE) as line:
            answer = await HolderServiceStub(line).IssueCredential(
                holder_pb2.IssueCredentialRequest(
                    request_id=text,
                    holder_public_key=raw_public_key(self.key.public_key()),
                    holder_key_proof=proof,
                    account_number=ANN,
                ),
                timeout=LIMIT_S,
            )
        self.credential = answer.credential

    def asking(self, **said: str | bytes) -> ConfirmTravelRequest:
        """Ask as gate 1 does, for a phone that answers it; `said` changes what the phone signs."""
        nonce = make_nonce(time.time_ns() // 1000, os.urandom)
        content: dict[str, str | bytes] = {
            "challenge": challenge_of(nonce),
            "merchant_id": "harbour",
            "terminal_id": "gate-1",
        }
        asked = Asked(**(content | said))  # type: ignore[arg-type]
        return ConfirmTravelRequest(
            holder_answer=prove(self.credential, self.key, asked),
            nonce=nonce,
            minimum_balance=Money(0, "EUR").to_proto(),
        )

    async def set_minimum(
        self, minor: int, currency: str = "EUR", merchant: str = "harbour"
    ) -> None:
        """Set what an account must hold, as an operator does."""
        request = SetMinimumBalanceRequest(
            request_id=fresh_text(),
            merchant_id=merchant,
            minimum_balance=Money(minor, currency).to_proto(),
        )
        async with self.switch.line() as line:
            await FareServiceStub(line).SetMinimumBalance(request, timeout=LIMIT_S)

    async def confirm(
        self, request: ConfirmTravelRequest, gate: str = GATE
    ) -> ConfirmTravelResponse:
        async with self.switch.line(gate) as line:
            return await FareServiceStub(line).ConfirmTravel(request, timeout=LIMIT_S)


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with served(tmp_path / "data") as switch:
        made = Station(switch)
        await made.open()
        yield made


async def test_a_holder_with_money_may_travel(station: Station) -> None:
    told = await station.confirm(station.asking())
    assert told.decline_reason == 0
    assert (told.spent_today.amount_minor, told.spent_today.currency_code) == (0, "EUR")
    assert not told.open_admission_paid


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda request: setattr(request.minimum_balance, "currency_code", "USD"),
            d.DECLINE_REASON_MAY_NOT_TRAVEL,
        ),
        (
            lambda request: setattr(request.holder_answer.credential, "signature", bytes(64)),
            d.DECLINE_REASON_CREDENTIAL_INVALID,
        ),
        (
            lambda request: setattr(
                request, "nonce", request.nonce[:-1] + bytes([request.nonce[-1] ^ 1])
            ),
            d.DECLINE_REASON_HOLDER_NOT_PROVEN,
        ),
    ],
)
async def test_who_may_not(
    station: Station,
    change: Callable[[ConfirmTravelRequest], None],
    reason: DeclineReason.ValueType,
) -> None:
    request = station.asking()
    change(request)
    assert (await station.confirm(request)).decline_reason == reason


async def test_the_minimum_is_the_operators(station: Station) -> None:
    """It counts from the moment that it is set, to the very cent."""
    for minor, reason in ((1000, 0), (1001, d.DECLINE_REASON_MAY_NOT_TRAVEL), (0, 0)):
        await station.set_minimum(minor)
        assert (await station.confirm(station.asking())).decline_reason == reason
    for wrong in ((1, "USD", "harbour"), (1, "EUR", "shop"), (1, "EUR", "nobody")):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await station.set_minimum(*wrong)
        assert reason_of(raised.value).split(" ")[0] in ("FIELD_INVALID", "RESOURCE_UNKNOWN")


async def test_a_gate_learns_no_balance(station: Station) -> None:
    """It asks for one amount after another: its own count for nothing, an answer is used once."""
    request = station.asking()
    first = await station.confirm(request)
    assert await station.confirm(request) == first
    reasons = set()
    for minor in (500, 1000, 1001, 10_000):
        for other in (request, station.asking()):
            other.minimum_balance.amount_minor = minor
            reasons.add(((await station.confirm(other)).decline_reason, other is request))
    assert reasons == {(0, False), (d.DECLINE_REASON_HOLDER_NOT_PROVEN, True)}


async def test_a_proof_for_another_gate_is_none_here(station: Station) -> None:
    """No gate asks about holders who stand elsewhere, not even of its own merchant."""
    for other in ({"terminal_id": "gate-2"}, {"merchant_id": "shop"}):
        told = await station.confirm(station.asking(**other))
        assert told.decline_reason == d.DECLINE_REASON_HOLDER_NOT_PROVEN


async def test_a_blocked_phone_does_not_travel(station: Station) -> None:
    station.switch.switch._holders.take_back(PHONE)
    told = await station.confirm(station.asking())
    assert told.decline_reason == d.DECLINE_REASON_CREDENTIAL_DENIED


async def test_only_gates_of_transport_may_ask(station: Station) -> None:
    """A grocer learns nothing about the accounts of who walks by."""
    request = station.asking(merchant_id="shop", terminal_id="till-1")
    for caller in ("agent/shop/till-1", "agent/nobody/till-1", PHONE):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await station.confirm(request, caller)
        assert reason_of(raised.value) == "CALLER_NOT_PERMITTED"


@pytest.mark.parametrize(
    ("change", "at_fault"),
    [
        (lambda request: request.ClearField("holder_answer"), "holder_answer"),
        (lambda request: setattr(request, "nonce", b"short"), "nonce"),
        (lambda request: setattr(request, "open_admission_id", b"x"), "open_admission_id"),
        (
            lambda request: setattr(request.minimum_balance, "currency_code", "XXZ"),
            "minimum_balance.currency_code",
        ),
        (lambda request: setattr(request.day_start_time, "seconds", 1), "day_start_time"),
    ],
)
async def test_malformed_requests(
    station: Station, change: Callable[[ConfirmTravelRequest], None], at_fault: str
) -> None:
    request = station.asking()
    change(request)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await station.confirm(request)
    assert reason_of(raised.value) == f"FIELD_INVALID {at_fault}"

"""DeviceService and EnrollmentService over the wire: fields, answers, refusals, idempotency."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from kessai.account_number import format_account, make_account
from kessai.channel import open_channel
from kessai.pairing_code import parse_code, parse_pairing_uri
from kessai.request_id import format_request_id, new_request_id
from kessai.v1 import device_pb2 as pb
from kessai.v1.device_pb2_grpc import DeviceServiceStub, EnrollmentServiceStub
from kessai.v1.money_pb2 import Money as MoneyMessage
from server.identity.guess_limit import GUESSES_A_MINUTE
from tests.unit.server.ports import DAY_US, Switch, serving

TIMEOUT_S = 60.0
ACCOUNT = make_account(1, 7)


class Operator:
    """An operator's line to a switch."""

    def __init__(self, switch: Switch, channel: grpc.aio.Channel) -> None:
        self.switch = switch
        self.devices = DeviceServiceStub(channel)

    async def merchant(self, **changes: object) -> pb.CreateMerchantResponse:
        """Create "kiosk", with some fields changed."""
        request = pb.CreateMerchantRequest(
            request_id=fresh_id(),
            merchant_id="kiosk",
            display_name="Kiosk",
            category_code="5994",
            account_number=format_account(ACCOUNT),
        )
        return await self.devices.CreateMerchant(changed(request, changes), timeout=TIMEOUT_S)

    async def code(self, request: pb.CreatePairingCodeRequest) -> pb.CreatePairingCodeResponse:
        """Make a pairing code."""
        return await self.devices.CreatePairingCode(request, timeout=TIMEOUT_S)

    async def page(self, size: int, token: str = "") -> pb.ListDevicesResponse:
        """List devices."""
        request = pb.ListDevicesRequest(page_size=size, page_token=token)
        return await self.devices.ListDevices(request, timeout=TIMEOUT_S)


def changed(
    request: pb.CreateMerchantRequest, changes: dict[str, object]
) -> pb.CreateMerchantRequest:
    """Set fields of a request."""
    for name, value in changes.items():
        if isinstance(value, MoneyMessage):
            request.unverified_limit.CopyFrom(value)
        else:
            setattr(request, name, value)
    return request


def fresh_id() -> str:
    """Make a request id."""
    return format_request_id(new_request_id(1_700_000_000_000, os.urandom))


def terminal(terminal_id: str, request_id: str = "") -> pb.CreatePairingCodeRequest:
    """Ask for the code of a terminal of "shop"."""
    pairing = pb.TerminalPairing(merchant_id="shop", terminal_id=terminal_id)
    return pb.CreatePairingCodeRequest(request_id=request_id or fresh_id(), terminal=pairing)


def phone(*numbers: str) -> pb.CreatePairingCodeRequest:
    """Ask for the code of a phone with accounts."""
    pairing = pb.PhonePairing(wallet_id="ann", device_id="pixel", account_numbers=numbers)
    return pb.CreatePairingCodeRequest(request_id=fresh_id(), phone=pairing)


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[Operator]:
    """An operator of a running switch."""
    async with serving(tmp_path) as switch:
        identity = switch.operators.add("joe", tmp_path / "joe", switch.address)
        async with open_channel(identity) as channel:
            yield Operator(switch, channel)


def details(failed: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> tuple[str, list[str]]:
    """Read the reason and the bad fields of a failed call."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status = rpc_status.from_call(failed.value)
    assert status is not None
    assert status.details[0].Unpack(info)
    if len(status.details) > 1:
        assert status.details[1].Unpack(bad)
    return info.reason, [violation.field for violation in bad.field_violations]


async def test_a_merchant_is_entered_once(operator: Operator) -> None:
    """The same again is no error, whatever its request id; other content is."""
    limit = MoneyMessage(amount_minor=500, currency_code="EUR")
    await operator.merchant(unverified_limit=limit)
    await operator.merchant(unverified_limit=limit)
    for changes in ({}, {"unverified_limit": limit, "display_name": "Kiosk 2"}):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await operator.merchant(**changes)
        assert failed.value.code() == grpc.StatusCode.ALREADY_EXISTS
        assert details(failed) == ("RESOURCE_EXISTS", [])
    stored = operator.switch.directory.merchant("kiosk")
    assert stored is not None
    assert (stored.display_name, stored.account) == ("Kiosk", ACCOUNT)
    assert str(stored.unverified_limit) == "5.00 EUR"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("request_id", "", "request_id"),
        ("request_id", "0192f0c1-2b3a-4c4d-8e5f-0123456789ab", "request_id"),
        ("merchant_id", "", "merchant_id"),
        ("merchant_id", "Kiosk", "merchant_id"),
        ("merchant_id", "a" * 41, "merchant_id"),
        ("display_name", "", "display_name"),
        ("display_name", "x" * 41, "display_name"),
        ("display_name", "Kiosk\n", "display_name"),
        ("display_name", "Kio\u202esk", "display_name"),
        ("display_name", " Kiosk", "display_name"),
        ("category_code", "541", "category_code"),
        ("category_code", "54a1", "category_code"),
        ("category_code", "٥٤١١", "category_code"),
        ("account_number", "1", "account_number"),
        ("account_number", format_account(ACCOUNT)[:-1] + "0", "account_number"),
        ("account_number", format_account(make_account(0, 7)), "account_number"),
        ("unverified_limit", MoneyMessage(currency_code="EUR"), "unverified_limit.amount_minor"),
        (
            "unverified_limit",
            MoneyMessage(amount_minor=1, currency_code="XYZ"),
            "unverified_limit.currency_code",
        ),
    ],
)
async def test_a_malformed_merchant_is_refused(
    operator: Operator, field: str, value: object, named: str
) -> None:
    """And the answer names the field."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await operator.merchant(**{field: value})
    assert failed.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert details(failed) == ("FIELD_INVALID", [named])
    assert operator.switch.directory.merchant("kiosk") is None


async def test_a_pairing_code_and_its_address(operator: Operator) -> None:
    """All that a device needs stands in the address."""
    switch, request = operator.switch, terminal("till")
    made = await operator.code(request)
    pairing = parse_pairing_uri(made.pairing_uri)
    assert pairing.server == switch.pairing_address
    assert pairing.root_fingerprint == switch.authority.root_fingerprint
    assert parse_code(pairing.code) == parse_code(made.pairing_code)
    lasts_us = made.expire_time.ToMicroseconds() - switch.clock()
    assert 599_000_000 < lasts_us <= 600_000_000
    assert await operator.code(request) == made
    request.terminal.terminal_id = "other"
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await operator.code(request)
    assert details(failed) == ("REQUEST_ID_REUSED", [])


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (pb.CreatePairingCodeRequest(request_id="x"), "request_id"),
        (pb.CreatePairingCodeRequest(request_id=fresh_id()), "device"),
        (terminal("Till"), "device"),
        (terminal("till/2"), "device"),
        (terminal(""), "device"),
        (phone("1"), "phone.account_numbers"),
        (
            phone(*[format_account(make_account(1, n)) for n in range(1, 22)]),
            "phone.account_numbers",
        ),
    ],
)
async def test_a_malformed_pairing_is_refused(
    operator: Operator, request_: pb.CreatePairingCodeRequest, named: str
) -> None:
    """And the answer names the field."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await operator.code(request_)
    assert details(failed) == ("FIELD_INVALID", [named])


async def test_a_terminal_of_nobody(operator: Operator) -> None:
    """There is no such merchant."""
    request = terminal("till")
    request.terminal.merchant_id = "nobody"
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await operator.code(request)
    assert details(failed) == ("RESOURCE_UNKNOWN", [])


async def test_the_fleet_is_listed_in_pages(operator: Operator) -> None:
    """By path, with what is known of each device."""
    switch = operator.switch
    for name in ("c", "a", "b"):
        switch.operators.add(name, switch.folder / name, switch.address)
    switch.fleet.revoke("operator/b")
    first = await operator.page(2)
    assert [device.device for device in first.devices] == ["operator/a", "operator/b"]
    good, revoked = first.devices
    assert not good.HasField("revoke_time")
    assert revoked.HasField("revoke_time")
    assert abs(good.enroll_time.ToMicroseconds() - switch.clock()) < 60_000_000
    lasts_us = good.certificate_expire_time.ToMicroseconds() - switch.clock()
    assert lasts_us == pytest.approx(365 * DAY_US, rel=0.01)
    second = await operator.page(2, first.next_page_token)
    assert [device.device for device in second.devices] == ["operator/c", "operator/joe"]
    assert second.next_page_token == ""
    assert len((await operator.page(0)).devices) == 4


@pytest.mark.parametrize("size", [-1, 501])
async def test_a_page_has_a_size(operator: Operator, size: int) -> None:
    """Of 1 to 500."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await operator.page(size)
    assert details(failed) == ("FIELD_INVALID", ["page_size"])


@pytest.mark.parametrize(
    ("request_id", "device", "expected"),
    [
        (fresh_id(), "agent/shop/nobody", ("RESOURCE_UNKNOWN", [])),
        (fresh_id(), "till", ("FIELD_INVALID", ["device"])),
        ("", "agent/shop/till", ("FIELD_INVALID", ["request_id"])),
    ],
    ids=["nobody", "no path", "no request id"],
)
async def test_who_cannot_be_revoked(
    operator: Operator, request_id: str, device: str, expected: tuple[str, list[str]]
) -> None:
    """Nobody, and what is no device."""
    request = pb.RevokeDeviceRequest(request_id=request_id, device=device)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await operator.devices.RevokeDevice(request, timeout=TIMEOUT_S)
    assert details(failed) == expected


async def test_enrolment_refuses_with_reasons(operator: Operator) -> None:
    """On the pairing port, without a certificate."""
    switch = operator.switch
    credentials = grpc.ssl_channel_credentials(switch.authority.root_pem)
    async with grpc.aio.secure_channel(switch.pairing_address, credentials) as channel:
        enroll = EnrollmentServiceStub(channel).EnrollDevice
        request = pb.EnrollDeviceRequest(pairing_code="nonsense")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await enroll(request, timeout=TIMEOUT_S)
        assert failed.value.code() == grpc.StatusCode.PERMISSION_DENIED
        assert details(failed) == ("PAIRING_REFUSED", [])
        request.pairing_code = (await operator.code(terminal("till"))).pairing_code
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await enroll(request, timeout=TIMEOUT_S)
        assert details(failed) == ("FIELD_INVALID", ["certificate_signing_request"])
        request.pairing_code = "nonsense"
        for _ in range(GUESSES_A_MINUTE - 1):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await enroll(request, timeout=TIMEOUT_S)
            assert details(failed) == ("PAIRING_REFUSED", [])
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await enroll(request, timeout=TIMEOUT_S)
        assert failed.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details(failed) == ("OVERLOADED", [])

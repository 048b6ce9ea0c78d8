"""FleetService over the wire: a terminal in touch hears at once; what makes no sense is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import grpc.aio
import pytest

from kessai.channel import open_channel
from kessai.money import Money
from kessai.v1 import fleet_pb2 as pb
from kessai.v1 import money_pb2
from kessai.v1.device_pb2 import ListDevicesRequest
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from kessai.v1.fleet_pb2_grpc import FleetServiceStub
from server.domain.directory import DenyKind, DeviceEntry, IssuedCertificate
from server.identity import deny_list
from tests.unit.server.ports import Switch, serving
from tests.unit.server.rpc.test_holder_servicer import reason_of

LIMIT_S = 60.0
TILL = "agent/shop/till"
Attached = grpc.aio.StreamStreamCall[pb.AttachRequest, pb.AttachResponse]


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[Switch]:
    """A switch's ports, with one till in its directory."""
    async with serving(tmp_path) as made:
        enter(made, TILL, 1)
        yield made


def enter(switch: Switch, device: str, serial: int) -> None:
    """Enter a device in the directory, with its certificate."""
    key_id = serial.to_bytes(20, "big")[-16:]
    issued = IssuedCertificate(serial, device, key_id, b"", b"", b"", switch.clock() + 10**12)
    switch.directory.enroll(DeviceEntry(issued, key_id, b"", "kessai 1", switch.clock()))


async def attach(channel: grpc.aio.Channel, **report: object) -> Attached:
    """Be in touch as the till, with a first report."""
    call: Attached = FleetServiceStub(channel).Attach(timeout=LIMIT_S)
    await call.write(pb.AttachRequest(report=pb.DeviceReport(**report)))  # type: ignore[arg-type]
    return call


async def until(call: Attached, wanted: Callable[[pb.AttachResponse], bool]) -> pb.AttachResponse:
    """Read updates until the wanted one."""
    while True:
        update = await call.read()
        assert isinstance(update, pb.AttachResponse), await call.code()
        if wanted(update):
            return update


async def eventually(look: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            if await look():
                return
            await asyncio.sleep(0.02)


async def state_of(switch: Switch, device: str = TILL) -> pb.DeviceState:
    """Ask as an operator how a device is."""
    async with open_channel(switch.identity("operator/joe")) as channel:
        request = pb.GetDeviceStateRequest(device=device)
        return (await FleetServiceStub(channel).GetDeviceState(request, timeout=LIMIT_S)).state


async def test_a_journal_that_went_back_is_named_until_it_is_paired_anew(switch: Switch) -> None:
    """Over any number of reports; not while it grows, nor of an agent that does not tell."""
    async with open_channel(switch.identity(TILL)) as channel:
        for told, alarm in ((7, 0), (9, 0), (None, 0), (4, 9), (8, 9), (9, 0), (0, 9)):
            call = await attach(channel, journal_payments=told)
            await until(call, lambda u: u.HasField("deny_list"))
            call.cancel()
            alarms = (await state_of(switch)).alarms
            assert [(a.kind, a.place) for a in alarms] == (
                [(pb.ROLLBACK_KIND_JOURNAL, alarm)] if alarm else []
            )
    switch.clock.ahead_us += 1_000_000
    enter(switch, TILL, 2)
    switch.clock.ahead_us += 1_000_000
    async with open_channel(switch.identity(TILL)) as channel:
        call = await attach(channel, journal_payments=1)
        await until(call, lambda u: u.HasField("deny_list"))
        assert not (await state_of(switch)).alarms


async def test_what_is_denied_is_told_at_once(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First all that the terminal does not have, in pages; then each thing as it is denied."""
    monkeypatch.setattr(deny_list, "PAGE", 2)
    monkeypatch.setattr("server.rpc.fleet_servicer.PAGE", 2)
    until_us = switch.clock() + 10**12
    for name in (b"a", b"b", b"c"):
        switch.deny_list.deny(DenyKind.TICKET, name, until_us)
    async with open_channel(switch.identity(TILL)) as channel:
        call = await attach(channel)
        first = (await until(call, lambda u: u.HasField("deny_list"))).deny_list
        second = (await until(call, lambda u: u.HasField("deny_list"))).deny_list
        assert [e.id for e in (*first.entries, *second.entries)] == [b"a", b"b", b"c"]
        assert (first.complete, second.complete) == (False, True)
        switch.deny_list.deny(DenyKind.CREDENTIAL, b"d", until_us)
        entries = (await until(call, lambda u: bool(u.deny_list.entries))).deny_list.entries
        assert [(e.kind, e.id) for e in entries] == [(pb.DENY_KIND_CREDENTIAL, b"d")]
        assert entries[0].expire_time.ToMicroseconds() == until_us
        call.cancel()
        again = await attach(channel, deny_list_version=second.version)
        assert [e.id for e in (await until(again, bool)).deny_list.entries] == [b"d"]


async def test_an_idle_terminal_hears_that_nothing_is_new(switch: Switch) -> None:
    """An empty update with the same version, again and again."""
    async with open_channel(switch.identity(TILL)) as channel:
        call = await attach(channel)
        updates = [(await until(call, lambda u: u.HasField("deny_list"))).deny_list] * 2
        updates.append((await until(call, lambda u: u.HasField("deny_list"))).deny_list)
    assert {(u.version, u.complete, len(u.entries)) for u in updates} == {(0, True, 0)}


async def test_a_terminal_is_configured(switch: Switch) -> None:
    """What is changed is told at once, all of it; a terminal that has it is not told."""
    request = pb.ConfigureDeviceRequest(
        request_id="0193346b-0000-7000-8000-000000000001",
        device=TILL,
        settings=[pb.DeviceSetting(key="offline_waiting_count", value=7)],
    )
    async with (
        open_channel(switch.identity(TILL)) as channel,
        open_channel(switch.identity("operator/joe")) as office,
    ):
        call = await attach(channel)
        await until(call, lambda u: u.HasField("deny_list"))
        stub = FleetServiceStub(office)
        await stub.ConfigureDevice(request, timeout=LIMIT_S)
        request.settings[0].key, request.settings[0].value = "deny_list_age_s", 60
        answer = await stub.ConfigureDevice(request, timeout=LIMIT_S)
        config = (await until(call, lambda u: u.config.version == 2)).config
        assert config == answer.config
        assert {s.key: s.value for s in config.settings} == {
            "offline_waiting_count": 7,
            "deny_list_age_s": 60,
        }
        call.cancel()
        again = await attach(channel, config_version=2)
        assert (await until(again, bool)).HasField("deny_list")


async def test_a_terminal_says_how_it_is(switch: Switch) -> None:
    """Operators see its last word, when that was, and whether it is in touch."""
    assert not (await state_of(switch)).HasField("last_seen_time")
    async with open_channel(switch.identity(TILL)) as channel:
        call = await attach(channel, state="selling", reader_state=pb.READER_STATE_READY)
        await until(call, bool)
        state = await state_of(switch)
        assert (state.attached, state.report.state) == (True, "selling")
        waiting = pb.DeviceReport(
            state="cut off", waiting_payments=2, waiting_total=Money(500, "EUR").to_proto()
        )
        await call.write(pb.AttachRequest(report=waiting))

        async def heard() -> bool:
            return (await state_of(switch)).report == waiting

        await eventually(heard)
        await call.done_writing()
        assert await call.code() == grpc.StatusCode.OK
    assert not (await state_of(switch)).attached
    async with open_channel(switch.identity("operator/joe")) as office:
        listed = await DeviceServiceStub(office).ListDevices(ListDevicesRequest(), timeout=LIMIT_S)
    assert listed.devices[0].state.report == waiting


@pytest.mark.parametrize(
    "report",
    [
        {"software_version": "x" * 81},
        {"state": "x" * 121},
        {"waiting_payments": -1},
        {"unpaid_payments": -1},
        {"unpaid_total": money_pb2.Money(amount_minor=1, currency_code="XXQ")},
        {"waiting_total": money_pb2.Money(amount_minor=1, currency_code="XXQ")},
    ],
)
async def test_a_report_that_makes_no_sense(switch: Switch, report: dict[str, object]) -> None:
    """Ends the stream, as the first word and later; nothing of it is kept."""
    async with open_channel(switch.identity(TILL)) as channel:
        first = await attach(channel, **report)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await until(first, lambda _: False)
        assert reason_of(error.value) == "FIELD_INVALID"
        later = await attach(channel, state="selling")
        await until(later, bool)
        wrong = pb.DeviceReport(**report)  # type: ignore[arg-type]
        await later.write(pb.AttachRequest(report=wrong))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await until(later, lambda _: False)
        assert reason_of(error.value) == "FIELD_INVALID"
    assert (await state_of(switch)).report.state == "selling"


async def test_the_first_word_is_a_report(switch: Switch) -> None:
    """A terminal that says nothing, or something else, is not in touch."""
    async with open_channel(switch.identity(TILL)) as channel:
        call: Attached = FleetServiceStub(channel).Attach(timeout=LIMIT_S)
        await call.write(pb.AttachRequest())
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await until(call, lambda _: False)
    assert reason_of(error.value) == "FIELD_INVALID"


async def test_a_revoked_terminal_is_cut_off(switch: Switch) -> None:
    """Its stream ends at once."""
    identity = switch.identity(TILL)
    serial = identity.certificate.serial_number
    async with open_channel(identity) as channel:
        call = await attach(channel)
        await until(call, bool)
        entered = IssuedCertificate(serial, TILL, b"s" * 16, b"", b"", b"", switch.clock() + 10**12)
        switch.directory.add_certificate(entered)
        switch.fleet.revoke(TILL)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await until(call, lambda _: False)
    assert reason_of(error.value) == "CERTIFICATE_REFUSED"


async def test_many_that_are_cut_off_while_they_are_told_something(switch: Switch) -> None:
    """A revocation is itself news for all: who is revoked just then hears why he was cut off."""
    tills = [f"agent/shop/till-{number}" for number in range(50)]
    async with AsyncExitStack() as stack:
        calls = []
        for till in tills:
            identity = switch.identity(till)
            enter(switch, till, identity.certificate.serial_number)
            channel = await stack.enter_async_context(open_channel(identity))
            calls.append(await attach(channel))
            await until(calls[-1], bool)
        for till in tills:
            await asyncio.to_thread(switch.fleet.revoke, till)
            switch.deny_list.deny(DenyKind.CREDENTIAL, till.encode(), switch.clock() + 10**12)
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await until(call, lambda _: False)
            assert reason_of(error.value) == "CERTIFICATE_REFUSED"


@pytest.mark.parametrize(
    ("device", "key", "value", "reason"),
    [
        (TILL, "colour", 1, "FIELD_INVALID"),
        (TILL, "offline_waiting_count", -1, "FIELD_INVALID"),
        ("agent/shop/other", "offline_waiting_count", 1, "RESOURCE_UNKNOWN"),
        ("nonsense", "offline_waiting_count", 1, "FIELD_INVALID"),
    ],
)
async def test_what_cannot_be_configured(
    switch: Switch, device: str, key: str, value: int, reason: str
) -> None:
    """Each with its reason; nothing was changed."""
    request = pb.ConfigureDeviceRequest(
        request_id="0193346b-0000-7000-8000-000000000001",
        device=device,
        settings=[pb.DeviceSetting(key=key, value=value)],
    )
    async with open_channel(switch.identity("operator/joe")) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await FleetServiceStub(channel).ConfigureDevice(request, timeout=LIMIT_S)
    assert reason_of(error.value) == reason
    assert not switch.fleet.config(TILL).settings


async def test_another_merchants_tickets_are_not_told(switch: Switch) -> None:
    """Nor its revoked terminals; the version grows all the same."""
    enter(switch, "agent/zoo/door", 7)
    end_us = switch.clock() + 10**12
    switch.deny_list.deny(DenyKind.TICKET, b"theirs", end_us, "zoo")
    async with open_channel(switch.identity(TILL)) as channel:
        call = await attach(channel)
        await until(call, lambda u: u.HasField("deny_list"))
        await asyncio.to_thread(switch.fleet.revoke, "agent/zoo/door")
        switch.deny_list.deny(DenyKind.TICKET, b"ours", end_us, "shop")
        heard = await until(call, lambda u: bool(u.deny_list.entries))
        assert [entry.id for entry in heard.deny_list.entries] == [b"ours"]
        assert heard.deny_list.version == 3

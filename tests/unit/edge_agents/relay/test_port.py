"""The port of a fleet's server over real TLS: bytes as they came, for its own machines only."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import grpc.aio
import pytest
from cryptography.x509 import load_pem_x509_certificate

from edge_agents import serving_port
from edge_agents.events import Events
from edge_agents.relay import port as relay_port
from edge_agents.relay.machines import CALLS_AT_ONCE, CALLS_PER_SECOND, SAVED_S, Machines
from edge_agents.relay.port import RelayPort, open_port
from edge_agents.relay.switch_line import SwitchLine
from edge_agents.serving_port import ServingCertificate
from kessai.channel import MAX_REQUEST_BYTES
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity
from kessai.identity_path import relay_host
from kessai.relayed import RELAY_METHOD
from kessai.v1 import error_pb2
from kessai.v1.relay_pb2 import RelayedAnswer
from server.rpc.errors import RpcError
from tests.unit.edge_agents.relay.parties import FLEET, Context, Fleet, now_us

WAIT_S = 10.0


class Server:
    """A fleet's server that runs in this process."""

    def __init__(self, fleet: Fleet, identity: DeviceIdentity) -> None:
        self.told = io.StringIO()
        self.certificate = ServingCertificate(identity)
        self.machines = Machines(identity, now_us)
        events = Events(now_us, self.told)
        self.line = SwitchLine(identity, self.machines, events)
        self.port = RelayPort(self.machines, self.line, identity.switch_key, events)
        self.address = ""

    @property
    def events(self) -> list[dict[str, object]]:
        """What it told."""
        return [json.loads(line) for line in self.told.getvalue().splitlines()]

    async def until(self, event: str) -> dict[str, object]:
        """Wait until it has told an event."""
        async with asyncio.timeout(WAIT_S):
            while not (found := [e for e in self.events if e["event"] == event]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found[-1]


@asynccontextmanager
async def serving(fleet: Fleet, knows_whom: bool = True) -> AsyncIterator[Server]:
    """Serve; `knows_whom`: only once the switch has said whom."""
    server = Server(fleet, fleet.server)
    served, number = await open_port(server.port, "127.0.0.1:0", server.certificate)
    server.address = f"127.0.0.1:{number}"
    asking = asyncio.create_task(server.line.keep_asking())
    if knows_whom:
        await server.until("serves")
    try:
        yield server
    finally:
        asking.cancel()
        await asyncio.wait([asking])
        await served.stop(None)
        await server.line.close()


@asynccontextmanager
async def line_of(
    server: Server, who: DeviceIdentity
) -> AsyncIterator[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]]:
    """Anybody's calls to a fleet's server."""
    async with _line(server, who) as channel:
        yield channel.unary_unary(RELAY_METHOD)


def _line(server: Server, who: DeviceIdentity) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(who.root_pem, who.key_pem, who.chain_pem)
    host = ("grpc.ssl_target_name_override", relay_host(FLEET))
    return grpc.aio.secure_channel(server.address, credentials, [host])


async def refused(server: Server, who: DeviceIdentity, request: bytes = b"x") -> str:
    """Why a call is not passed."""
    async with line_of(server, who) as call:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(request, timeout=WAIT_S)
    return f"{error.value.code().name}: {error.value.details()}"


async def test_bytes_go_through_as_they_came(fleet: Fleet) -> None:
    """Both ways, whatever they are; and it tells what it can read of them."""
    seen: list[bytes] = []

    async def switch(request: bytes, _: Context) -> bytes:
        seen.append(request)
        return request[::-1]

    sent = [b"", b"\xff" * 100, bytes(range(256)), b"\x0a\x02\x08\x01"]
    async with fleet.switch(switch), serving(fleet) as server:
        async with line_of(server, fleet.machine()) as call:
            for request in sent:
                assert await call(request, timeout=WAIT_S) == request[::-1]
        assert (await server.until("passed"))["machine"] == "agent/snacks/machine-1"
    assert seen == sent


async def test_an_error_of_the_switch_goes_through_without_its_reason(fleet: Fleet) -> None:
    """The reason in a trailer is not signed: a machine would not look at it."""

    async def switch(_: bytes, context: Context) -> bytes:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for you")
        raise AssertionError

    async with fleet.switch(switch), serving(fleet) as server:
        assert await refused(server, fleet.machine()) == "PERMISSION_DENIED: not for you"


async def passed(request: bytes, _: Context) -> bytes:
    """A switch that answers everything."""
    return request


@pytest.mark.parametrize("device", ["agent/rival/machine-1", "phone/ann/pixel", "relay/nordic"])
async def test_strangers_are_not_served(fleet: Fleet, device: str) -> None:
    """Another merchant's machine, a phone, another server."""
    async with fleet.switch(passed), serving(fleet) as server:
        assert "PERMISSION_DENIED: " in await refused(server, fleet.identity(device))


@pytest.mark.parametrize("device", ["phone/ann/pixel", "agent/snacks/machine-2"])
async def test_calls_that_are_never_sent_hold_no_place(
    fleet: Fleet, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's end at once, a machine's soon; another machine is served all the same."""
    monkeypatch.setattr(serving_port, "RECEIVE_S", 0.1)
    async with (
        fleet.switch(passed),
        serving(fleet) as server,
        line_of(server, fleet.machine()) as call,
        _line(server, fleet.identity(device)) as channel,
    ):
        begin: grpc.aio.StreamUnaryMultiCallable[bytes, bytes]
        begin = channel.stream_unary(RELAY_METHOD)
        calls = [begin(timeout=WAIT_S) for _ in range(relay_port.CALLS_AT_ONCE)]
        ends = await asyncio.gather(*(call.code() for call in calls))
        assert grpc.StatusCode.DEADLINE_EXCEEDED not in ends
        begun = [begin(timeout=WAIT_S) for _ in range(CALLS_AT_ONCE)]
        assert await call(b"x", timeout=WAIT_S) == b"x"
        await asyncio.gather(*(call.code() for call in begun))


async def test_a_machine_by_the_phones_issuer_is_none(fleet: Fleet) -> None:
    """A stolen key of the issuer below the same root that certifies phones alone."""
    authority = fleet.authority
    async with fleet.switch(passed), serving(fleet) as server:
        fleet.authority = replace(authority, devices=authority.phones)
        assert "PERMISSION_DENIED: this server" in await refused(server, fleet.machine())


async def test_until_it_knows_whom_it_serves_nobody_is(fleet: Fleet) -> None:
    """It was started before its switch: machines ask again, and then are served."""
    fleet.switch_address = "127.0.0.1:1"
    async with serving(fleet, knows_whom=False) as server:
        await server.until("out_of_touch")
        assert "UNAVAILABLE: whom this server serves" in await refused(server, fleet.machine())


async def test_the_switch_is_away(fleet: Fleet) -> None:
    """A machine hears so before its own patience ends; the list stays."""
    async with fleet.switch(passed):
        serving_on = serving(fleet)
        server = await serving_on.__aenter__()
    try:
        async with line_of(server, fleet.machine()) as call:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await call(b"x", timeout=3.0)
        assert error.value.details() == "the switch does not answer"
    finally:
        await serving_on.__aexit__(None, None, None)


async def test_a_server_that_was_revoked_serves_nobody(fleet: Fleet) -> None:
    """The switch refuses it: it says so in one line, and its machines hear it."""
    async with fleet.switch(passed), serving(fleet) as server:
        reason = error_pb2.ERROR_REASON_CERTIFICATE_REFUSED
        server.line._on_failure(_as_answered(RpcError(reason, "revoked")))
        assert "CERTIFICATE_REFUSED" in str((await server.until("refused_by_switch"))["why"])
        assert "serves no machines" in await refused(server, fleet.machine())


async def test_one_machine_takes_no_more_than_its_share(fleet: Fleet) -> None:
    """So many calls at once, and so many a second; the others are served meanwhile."""
    gate = asyncio.Event()

    async def switch(request: bytes, _: Context) -> bytes:
        if request == b"slow":
            await gate.wait()
        return request

    async with (
        fleet.switch(switch, "snacks", "drinks"),
        serving(fleet) as server,
        line_of(server, fleet.machine()) as call,
        line_of(server, fleet.machine("drinks")) as other,
    ):
        slow = [asyncio.ensure_future(call(b"slow", timeout=WAIT_S)) for _ in range(CALLS_AT_ONCE)]
        pace = server.machines._pace
        async with asyncio.timeout(WAIT_S):
            while sum(one._under_way for one in pace.values()) < CALLS_AT_ONCE:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert "asks more than it may" in await refused(server, fleet.machine())
        assert await other(b"quick", timeout=WAIT_S) == b"quick"
        gate.set()
        await asyncio.gather(*slow)
        many = [call(b"quick", timeout=WAIT_S) for _ in range(int(2 * CALLS_PER_SECOND * SAVED_S))]
        answers = await asyncio.gather(*many, return_exceptions=True)
        assert any("asks more" in str(answer) for answer in answers)


async def test_a_request_that_is_too_large_is_not_taken(fleet: Fleet) -> None:
    seen: list[bytes] = []

    async def switch(request: bytes, _: Context) -> bytes:
        seen.append(request)
        return request

    async with fleet.switch(switch), serving(fleet) as server:
        large = bytes(MAX_REQUEST_BYTES + 1)
        assert "RESOURCE_EXHAUSTED" in await refused(server, fleet.machine(), large)
    assert seen == []


async def test_a_renewed_certificate_is_shown_from_the_next_line_on(fleet: Fleet) -> None:
    async with fleet.switch(passed), serving(fleet) as server:
        machine, renewed = fleet.machine(), fleet.server
        async with line_of(server, machine) as call:
            assert await call(b"before", timeout=WAIT_S)
            await server.certificate.renew(renewed)
            assert await call(b"after", timeout=WAIT_S)
        shown = await _shown(server, machine)
        assert shown == load_pem_x509_certificate(renewed.chain_pem).serial_number


async def test_a_port_that_is_taken_is_one_line(fleet: Fleet) -> None:
    async with fleet.switch(passed), serving(fleet) as server:
        with pytest.raises(Complaint, match="cannot listen on"):
            await open_port(server.port, server.address, server.certificate)


async def test_what_is_told_is_what_the_switch_signed(fleet: Fleet) -> None:
    """Bytes that no machine signed are passed, too, and told as what cannot be read."""

    async def switch(request: bytes, _: Context) -> bytes:
        return fleet.signed_answer(request, RelayedAnswer(response=b"\xff"))

    async with fleet.switch(switch), serving(fleet) as server:
        async with line_of(server, fleet.machine()) as call:
            await call(b"", timeout=WAIT_S)
        assert (await server.until("passed"))["unread"]


def _as_answered(error: RpcError) -> grpc.aio.AioRpcError:
    from server.rpc.errors import CODES, status_of

    details = grpc.aio.Metadata(("grpc-status-details-bin", status_of(error).SerializeToString()))
    return grpc.aio.AioRpcError(CODES[error.reason], grpc.aio.Metadata(), details, error.message)


async def _shown(server: Server, who: DeviceIdentity) -> int:
    """The serial number of the certificate that the server shows to a new line."""
    import ssl
    import tempfile

    context = ssl.create_default_context(cadata=who.root_pem.decode())
    context.check_hostname = False
    with tempfile.NamedTemporaryFile() as chain, tempfile.NamedTemporaryFile() as key:
        chain.write(who.chain_pem)
        key.write(who.key_pem)
        chain.flush()
        key.flush()
        context.load_cert_chain(chain.name, key.name)
    context.set_alpn_protocols(["h2"])
    host, _, port = server.address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(der).serial_number

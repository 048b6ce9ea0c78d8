"""Ports: gRPC calls on the switch's main and pairing ports and on a venue's hub, signing requests
in them, and HTTP on the metrics port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.deny_list import DenyList
from edge_agents.entrance.book import EntranceBook
from edge_agents.entrance.doors import DoorRefused, Doors
from edge_agents.entrance.hub import EntranceHub, serve_hub
from edge_agents.entrance.hub_line import HubLine
from edge_agents.serving_port import ServingCertificate
from kessai.enrollment.tls_key import signing_request
from kessai.v1.ticket_pb2 import CountInRequest
from server.identity.callers import Callers
from server.identity.certificates import public_key_of_request
from server.identity.permissions import PERMISSIONS
from server.identity.refusals import CertificateRefused, FieldRefused
from server.metrics_port import MetricsPort
from simulators.town import free_udp_port
from tests.attack.conftest import world
from tests.attack.parties import method_named
from tests.attack.plausible import plausible
from tests.attack.test_extremes import callers, is_fault
from tests.attack.world import World
from tests.fuzz.mangling import Edit, bytes_like, edits, examples, mangle, noise
from tests.unit.edge_agents.entrance.parties import VENUE, Venue, entry, now_us

__all__ = ["world"]

METHODS = sorted(name for name in PERMISSIONS if name.startswith("/kessai."))
PAIRING = "/kessai.v1.EnrollmentService/EnrollDevice"
COUNT_IN = "/kessai.v1.EntranceHubService/CountIn"


@examples(4)
@given(method=st.sampled_from(METHODS), how=edits, random=st.none() | noise)
def test_requests_to_the_switch(
    world: World, method: str, how: list[Edit], random: bytes | None
) -> None:
    """No caller's bytes are a fault of the switch."""
    good = plausible(GetMessageClass(method_named(method).input_type)(), world).SerializeToString()
    for caller in callers(world, method):
        answer = caller.call(method, mangle(good, how) if random is None else random)
        assert not is_fault(answer), f"{method}: {answer}"


def test_an_honest_payment_settles_afterwards(world: World) -> None:
    world.assert_unharmed()


@examples()
@given(request=bytes_like(b"\x0a\x10" + bytes(16)))
def test_requests_to_the_pairing_port(world: World, request: bytes) -> None:
    """Bytes of somebody who has no certificate: refused, and no fault."""
    root = world.terminal.identity.root_pem
    address = world.switch.pairing_address
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(root)) as channel:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(PAIRING)
        with pytest.raises(grpc.RpcError) as refused:
            ask(request, timeout=10)
    assert refused.value.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)


KEY = ec.generate_private_key(ec.SECP256R1())


@examples(4)
@given(request=bytes_like(signing_request(KEY)))
def test_signing_requests(request: bytes) -> None:
    """A key of P-256 that is proven, or refused."""
    with suppress(FieldRefused):
        assert public_key_of_request(request).curve.name == "secp256r1"
    assert public_key_of_request(signing_request(KEY)) == KEY.public_key()


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Venue:
    """A venue with an authority."""
    return Venue(tmp_path_factory.mktemp("venue"))


@examples(2)
@given(data=st.data())
def test_certificates_of_callers(venue: Venue, data: st.DataObject) -> None:
    """What stands on a line: a caller whom the switch or a hub knows, or refused."""
    good, folder = venue.door("a").chain_pem, venue.folder
    pem = data.draw(bytes_like(good))
    callers_of_switch = Callers(venue.authority, now_us)
    with closing(DenyList(folder)) as denied:
        doors = Doors(venue.door("hall"), denied, now_us)
        with suppress(CertificateRefused):
            callers_of_switch.read(pem)
        with suppress(DoorRefused):
            doors.require(pem)
        assert callers_of_switch.read(good).device == f"agent/{VENUE}/a"
        doors.require(good)


@asynccontextmanager
async def hub(venue: Venue) -> AsyncIterator[tuple[HubLine, EntranceBook]]:
    """A hub, and a door's line to it."""
    hall, address = venue.door("hall"), f"127.0.0.1:{free_udp_port()}"
    book, denied = EntranceBook(venue.folder), DenyList(venue.folder)
    served = EntranceHub(book, Doors(hall, denied, now_us), VENUE, venue.switch_key.public_key())
    server = await serve_hub(served, address, ServingCertificate(hall))
    line = HubLine(address, "hall", venue.door("a"))
    try:
        yield line, book
    finally:
        await line.close()
        await server.stop(None)
        book.close()
        denied.close()


GOOD = CountInRequest(request_id="019a0000-0000-7000-8000-000000000000", persons=1)


@examples(0.25)
@given(requests=st.lists(bytes_like(GOOD.SerializeToString()), min_size=1, max_size=5))
def test_requests_to_a_hub(venue: Venue, requests: list[bytes]) -> None:
    """A door that sends anything is refused, and the next one is counted in."""

    async def use() -> None:
        async with hub(venue) as (line, _):
            ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = line._channel.unary_unary(
                COUNT_IN
            )
            for request in requests:
                with suppress(grpc.aio.AioRpcError):
                    await ask(request, timeout=10)
            assert await line.count_in(entry(venue.ticket()), 1) == 0

    asyncio.run(use())


ASK = b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; version=1.0.0\r\n\r\n"


@examples()
@given(request=bytes_like(ASK, b"GET / HTTP/1.0\r\nAccept: */*;q=x\r\n\r\n"))
def test_requests_to_the_metrics_port(request: bytes) -> None:
    """An answer or none; the next one is answered, and nothing is left over in the loop."""

    async def use() -> None:
        unhandled: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: unhandled.append(context)
        )
        port = MetricsPort(limit_s=1.0)
        host, _, number = (await port.serve("127.0.0.1:0")).rpartition(":")
        for said in (request, ASK):
            reader, writer = await asyncio.open_connection(host, int(number))
            writer.write(said)
            writer.write_eof()
            with suppress(ConnectionError):
                answer = await reader.read()
            writer.close()
        assert answer.startswith(b"HTTP/1.1 200")
        await port.close()
        assert unhandled == []

    asyncio.run(use())

"""The hub over real TLS: counts once for all doors, and for doors of its own venue only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificate

from edge_agents import serving_port
from edge_agents.deny_list import CERTIFICATE, DenyList
from edge_agents.entrance.book import EntranceBook
from edge_agents.entrance.counting import HubAway, HubFailed
from edge_agents.entrance.doors import Doors
from edge_agents.entrance.hub import EntranceHub, serve_hub
from edge_agents.entrance.hub_line import HubLine
from edge_agents.serving_port import ServingCertificate
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity
from kessai.enrollment.tls_key import key_pem
from kessai.identity_path import terminal_host
from kessai.ticket import TicketRefused
from kessai.v1.fleet_pb2 import DenyListUpdate
from simulators.town import free_udp_port
from tests.unit.edge_agents.entrance.parties import VENUE, Venue, entry, fresh_id, now_us

NO_REQUEST = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def venue(tmp_path: Path) -> Venue:
    return Venue(tmp_path)


@asynccontextmanager
async def hub(
    venue: Venue,
    identity: DeviceIdentity,
    address: str = "",
    denied: DenyList | None = None,
    certificate: ServingCertificate | None = None,
) -> AsyncIterator[str]:
    """Serve a hub; its address."""
    address = address or f"127.0.0.1:{free_udp_port()}"
    (venue.folder / "hub").mkdir(exist_ok=True)
    book = EntranceBook(venue.folder / "hub")
    doors = Doors(identity, denied or DenyList(venue.folder / "hub"), now_us)
    served = EntranceHub(book, doors, VENUE, venue.switch_key.public_key())
    server = await serve_hub(served, address, certificate or ServingCertificate(identity))
    try:
        yield address
    finally:
        await server.stop(None)
        book.close()


@asynccontextmanager
async def line(address: str, identity: DeviceIdentity, hub: str = "hall") -> AsyncIterator[HubLine]:
    """A door's line."""
    opened = HubLine(address, hub, identity)
    yield opened
    await opened.close()


async def test_a_ticket_used_at_one_door_is_used_at_all(venue: Venue) -> None:
    """Also after the hub was killed and started again; the same entry again is the same answer."""
    hall, ticket = venue.door("hall"), venue.ticket()
    first, second = entry(ticket), entry(ticket)
    async with hub(venue, hall) as address, line(address, venue.door("a")) as a:
        assert await a.count_in(first, 1) == 0
        assert await a.count_in(first, 1) == 0
    async with hub(venue, hall, address), line(address, venue.door("b")) as b:
        assert await b.count_in(second, 1) is None
        await b.take_back(first.request_id)
        assert await b.count_in(second, 1) == 0


async def test_two_doors_race_for_one_ticket(venue: Venue) -> None:
    """One of them wins, however many taps come at once."""
    tickets = [venue.ticket() for _ in range(20)]
    async with (
        hub(venue, venue.door("hall")) as address,
        line(address, venue.door("a")) as a,
        line(address, venue.door("b")) as b,
    ):
        for ticket in tickets:
            answers = await asyncio.gather(*(door.count_in(entry(ticket), 1) for door in (a, b)))
            assert sorted(answers, key=str) == [0, None]


async def test_what_happened_is_counted(venue: Venue) -> None:
    """Doors that decided alone tell it later: then the ticket is used up, and more."""
    ticket = venue.ticket()
    async with hub(venue, venue.door("hall")) as address, line(address, venue.door("a")) as a:
        assert await a.count_in(entry(ticket), 1) == 0
        assert await a.count_in(entry(ticket), 1, happened=True) == -1
        assert await a.count_in(entry(ticket), 1) is None


async def test_strangers_do_not_count(venue: Venue) -> None:
    """Another venue's door, a phone, a forged ticket, another venue's ticket; nor a false hub."""
    hall = venue.door("hall")
    async with hub(venue, hall) as address:
        for stranger in (venue.door("a", "cinema"), venue.door("a", kind="phone")):
            async with line(address, replace(stranger, identity=hall.identity)) as unknown:
                with pytest.raises(HubAway, match="own venue"):
                    await unknown.count_in(entry(venue.ticket()), 1)
        async with line(address, venue.door("a")) as a:
            forged = venue.ticket()
            forged.payload += b"\x00"
            with pytest.raises(TicketRefused, match="TICKET_INVALID"):
                await a.count_in(replace(entry(venue.ticket()), ticket=forged), 1)
            with pytest.raises(TicketRefused, match="TICKET_INVALID"):
                await a.count_in(entry(venue.ticket(merchant="cinema")), 1)
        async with line(address, venue.door("a"), hub="other-hall") as a:
            with pytest.raises(HubAway):
                await a.count_in(entry(venue.ticket()), 1)


@pytest.mark.parametrize("kind", ["phone", "agent"])
async def test_a_call_that_is_never_sent_ends(
    venue: Venue, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's at once, before anything of it is read; a door's soon."""
    monkeypatch.setattr(serving_port, "RECEIVE_S", 0.1)
    who = venue.door("a", kind=kind)
    credentials = grpc.ssl_channel_credentials(who.root_pem, who.key_pem, who.chain_pem)
    host = ("grpc.ssl_target_name_override", terminal_host(VENUE, "hall"))
    async with (
        hub(venue, venue.door("hall")) as address,
        grpc.aio.secure_channel(address, credentials, [host]) as channel,
    ):
        begin: grpc.aio.StreamUnaryMultiCallable[bytes, bytes]
        begin = channel.stream_unary("/kessai.v1.EntranceHubService/CountIn")
        call = begin(timeout=10)
        ends = {"phone": grpc.StatusCode.PERMISSION_DENIED, "agent": NO_REQUEST}
        assert await call.code() is ends[kind]


async def test_a_phones_issuer_makes_no_door(venue: Venue) -> None:
    """A stolen key of the issuer below the same root that certifies phones alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    forger = replace(venue.authority, devices=venue.authority.phones)
    chain = forger.issue(f"agent/{VENUE}/a", key.public_key()).chain
    false = replace(venue.door("a"), key_pem=key_pem(key), chain_pem=chain)
    async with hub(venue, venue.door("hall")) as address, line(address, false) as stranger:
        with pytest.raises(HubFailed, match="own venue"):
            await stranger.count_in(entry(venue.ticket()), 1)


async def test_a_revoked_door_counts_no_more(venue: Venue) -> None:
    """From the moment that the hub's deny list says so, also over the line that is open."""
    (venue.folder / "hub").mkdir()
    denied = DenyList(venue.folder / "hub")
    stolen = venue.door("a")
    async with (
        hub(venue, venue.door("hall"), denied=denied) as address,
        line(address, stolen) as a,
        line(address, venue.door("b")) as b,
    ):
        assert await a.count_in(entry(venue.ticket()), 1) == 0
        _deny(denied, stolen)
        with pytest.raises(HubFailed, match="revoked"):
            await a.count_in(entry(venue.ticket()), 1)
        with pytest.raises(HubFailed, match="revoked"):
            await a.take_back(fresh_id())
        assert await b.count_in(entry(venue.ticket()), 1) == 0
    denied.close()


async def test_a_hub_shows_its_renewed_certificate(venue: Venue) -> None:
    """It runs for months, and a certificate ends after thirty days: told apart here by name."""
    certificate = ServingCertificate(venue.door("hall"))
    async with (
        hub(venue, venue.door("hall"), certificate=certificate) as address,
        line(address, venue.door("a")) as before,
    ):
        assert await before.count_in(entry(venue.ticket()), 1) == 0
        await certificate.renew(venue.door("annex"))
        async with line(address, venue.door("b"), hub="annex") as after:
            assert await after.count_in(entry(venue.ticket()), 1) == 0
        assert await before.count_in(entry(venue.ticket()), 1) == 0


async def test_a_door_calls_with_its_renewed_certificate(venue: Venue) -> None:
    """The former one does not count any more: it is denied here, so that it needs not end."""
    (venue.folder / "hub").mkdir()
    denied = DenyList(venue.folder / "hub")
    former, renewed = venue.door("a"), venue.door("a")
    async with (
        hub(venue, venue.door("hall"), denied=denied) as address,
        line(address, former) as a,
    ):
        assert await a.count_in(entry(venue.ticket()), 1) == 0
        _deny(denied, former)
        with pytest.raises(HubFailed, match="revoked"):
            await a.count_in(entry(venue.ticket()), 1)
        await a.renew(renewed)
        assert await a.count_in(entry(venue.ticket()), 1) == 0
    denied.close()


async def test_a_hub_that_is_away(venue: Venue) -> None:
    """Nobody knows whether it counted; with another's port in the way it says so at start."""
    hall = venue.door("hall")
    async with hub(venue, hall) as address:
        second = EntranceHub(None, None, VENUE, venue.switch_key.public_key())  # type: ignore[arg-type]
        with pytest.raises(Complaint, match="cannot listen"):
            await serve_hub(second, address, ServingCertificate(hall))
        with pytest.raises(Complaint, match="is not HOST:PORT"):
            await serve_hub(second, "127.0.0.1:99999", ServingCertificate(hall))
    async with line(address, venue.door("a")) as a:
        with pytest.raises(HubAway):
            await a.count_in(entry(venue.ticket()), 1)
        with pytest.raises(HubAway):
            await a.take_back(entry(venue.ticket()).request_id)


def test_a_book_is_one_agent_s(tmp_path: Path) -> None:
    book = EntranceBook(tmp_path)
    with pytest.raises(Complaint, match="another agent may run"):
        EntranceBook(tmp_path)
    book.close()
    EntranceBook(tmp_path).close()


async def test_bytes_that_are_no_request_are_an_invalid_argument(venue: Venue) -> None:
    """As at the switch; the next request is served."""
    async with hub(venue, venue.door("hall")) as address, line(address, venue.door("a")) as a:
        for method in ("CountIn", "TakeBack"):
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = a._channel.unary_unary(
                f"/kessai.v1.EntranceHubService/{method}"
            )
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"\xff\xff\xff", timeout=5)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert await a.count_in(entry(venue.ticket()), 1) == 0


def _deny(denied: DenyList, door: DeviceIdentity) -> None:
    serial = load_pem_x509_certificate(door.chain_pem).serial_number.to_bytes(20, "big")
    update = DenyListUpdate(version=1, complete=True)
    update.entries.add(kind=CERTIFICATE, id=serial).expire_time.GetCurrentTime()
    update.entries[0].expire_time.seconds += 3600
    denied.take(update, now_us())

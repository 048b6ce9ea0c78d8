"""Who gets in at the main port, over real TLS, and who is cut off."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kessai.channel import open_channel
from kessai.device_identity import DeviceIdentity
from kessai.v1 import device_pb2
from kessai.v1.device_pb2_grpc import DeviceServiceStub
from server.identity.certificates import (
    Issuer,
    Validity,
    make_client_leaf,
    make_issuer,
    make_root,
    make_server_leaf,
)
from server.identity.permissions import PERMISSIONS
from server.main_services import MAIN_SERVICES
from tests.unit.server.ports import DAY_US, DOMAIN, Switch, serving

AGENT, PHONE, OPERATOR = "agent/shop/till", "phone/ann/pixel", "operator/joe"
TIMEOUT_S = 60.0


async def health_of(identity: DeviceIdentity) -> grpc.StatusCode:
    """Make the call that anyone may who is known; tell how it ended."""
    async with open_channel(identity) as channel:
        return await code_of_health(channel)


async def code_of_health(channel: grpc.aio.Channel) -> grpc.StatusCode:
    """Make the call on an open line."""
    try:
        request = health_pb2.HealthCheckRequest()
        await health_pb2_grpc.HealthStub(channel).Check(request, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def forged(
    switch: Switch, issuer: Issuer, identity: str, validity: Validity | None = None
) -> DeviceIdentity:
    """A device that shows a certificate of any issuer, for any identity and time."""
    key = ec.generate_private_key(ec.SECP256R1())
    validity = validity or Validity.days(switch.clock(), 1)
    leaf = make_client_leaf(issuer, identity, key.public_key(), validity)
    return switch.identity_of("agent/shop/till", key, chain_of(leaf, issuer))


def chain_of(leaf: x509.Certificate, issuer: Issuer) -> bytes:
    """Write leaf and issuer as a device presents them."""
    pem = [c.public_bytes(Encoding.PEM) for c in (leaf, issuer.certificate)]
    return b"".join(pem)


@pytest.mark.parametrize("device", [AGENT, PHONE, OPERATOR])
async def test_a_known_device_gets_in(tmp_path: Path, device: str) -> None:
    """A good certificate of each kind is served."""
    async with serving(tmp_path) as switch:
        assert await health_of(switch.identity(device)) == grpc.StatusCode.OK


async def test_no_certificate_no_line(tmp_path: Path) -> None:
    """The main port asks for a certificate in the handshake."""
    async with serving(tmp_path) as switch:
        credentials = grpc.ssl_channel_credentials(switch.authority.root_pem)
        async with grpc.aio.secure_channel(switch.address, credentials) as channel:
            assert await code_of_health(channel) == grpc.StatusCode.UNAVAILABLE


async def test_plaintext_is_not_answered(tmp_path: Path) -> None:
    """Without TLS nothing is said."""
    async with serving(tmp_path) as switch:
        for address in (switch.address, switch.pairing_address):
            async with grpc.aio.insecure_channel(address) as channel:
                assert await code_of_health(channel) == grpc.StatusCode.UNAVAILABLE


async def test_a_rogue_authority_is_not_trusted(tmp_path: Path) -> None:
    """Another root with the same names signs nobody in."""
    async with serving(tmp_path) as switch:
        validity = Validity.days(switch.clock(), 1)
        root = make_root(f"{DOMAIN} root", f"spiffe://{DOMAIN}", validity)
        rogue = make_issuer(root, f"{DOMAIN} devices", f"spiffe://{DOMAIN}", validity)
        identity = forged(switch, rogue, f"spiffe://{DOMAIN}/{AGENT}")
        assert await health_of(identity) == grpc.StatusCode.UNAVAILABLE


async def test_a_device_signs_no_other_device(tmp_path: Path) -> None:
    """A device's own certificate is no authority."""
    async with serving(tmp_path) as switch:
        key = ec.generate_private_key(ec.SECP256R1())
        chain = switch.authority.issue(AGENT, key.public_key()).chain
        device = Issuer(x509.load_pem_x509_certificate(chain), key)
        identity = forged(switch, device, f"spiffe://{DOMAIN}/{OPERATOR}")
        assert await health_of(identity) == grpc.StatusCode.UNAVAILABLE


async def test_an_expired_certificate_opens_no_line(tmp_path: Path) -> None:
    """TLS refuses it in the handshake."""
    async with serving(tmp_path) as switch:
        now_us = switch.clock()
        past = Validity(now_us - 9 * DAY_US, now_us - DAY_US)
        identity = forged(switch, switch.authority.devices, f"spiffe://{DOMAIN}/{AGENT}", past)
        assert await health_of(identity) == grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_that_expires_on_an_open_line_is_refused(tmp_path: Path) -> None:
    """A line may outlive its certificate; its calls may not."""
    async with serving(tmp_path) as switch, open_channel(switch.identity(AGENT)) as channel:
        assert await code_of_health(channel) == grpc.StatusCode.OK
        switch.clock.ahead_us = 31 * DAY_US
        assert await code_of_health(channel) == grpc.StatusCode.UNAUTHENTICATED


async def test_a_server_certificate_is_no_client(tmp_path: Path) -> None:
    """serverAuth does not open a line as a client."""
    async with serving(tmp_path) as switch:
        key = ec.generate_private_key(ec.SECP256R1())
        validity = Validity.days(switch.clock(), 1)
        issuer = switch.authority.devices
        leaf = make_server_leaf(
            issuer, f"spiffe://{DOMAIN}/{OPERATOR}", key.public_key(), validity, ()
        )
        identity = switch.identity_of(OPERATOR, key, chain_of(leaf, issuer))
        assert await health_of(identity) == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("device", [AGENT, OPERATOR])
async def test_the_phones_authority_makes_no_terminal(tmp_path: Path, device: str) -> None:
    """A well signed certificate of the wrong issuer is refused at the call."""
    async with serving(tmp_path) as switch:
        identity = forged(switch, switch.authority.phones, f"spiffe://{DOMAIN}/{device}")
        assert await health_of(identity) == grpc.StatusCode.UNAUTHENTICATED


async def test_the_devices_authority_makes_no_phone(tmp_path: Path) -> None:
    """The wall between the two issuers holds in both directions."""
    async with serving(tmp_path) as switch:
        identity = forged(switch, switch.authority.devices, f"spiffe://{DOMAIN}/{PHONE}")
        assert await health_of(identity) == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://elsewhere.test/agent/shop/till",
        f"spiffe://{DOMAIN}/agent/shop",
        f"spiffe://{DOMAIN}/agent/shop/till/more",
        f"spiffe://{DOMAIN}/agent/Shop/till",
        f"spiffe://{DOMAIN}/agent//till",
        f"spiffe://{DOMAIN}/king/shop/till",
        f"https://{DOMAIN}/agent/shop/till",
    ],
)
async def test_an_unknown_identity_is_refused(tmp_path: Path, uri: str) -> None:
    """Only identities of our domain, of the form we issue, are anybody."""
    async with serving(tmp_path) as switch:
        identity = forged(switch, switch.authority.devices, uri)
        assert await health_of(identity) == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("uris", "critical"),
    [
        ((AGENT, OPERATOR), True),
        ((), True),
        ((AGENT,), False),
    ],
)
async def test_exactly_one_critical_identity(
    tmp_path: Path, uris: tuple[str, ...], critical: bool
) -> None:
    """None, two, or one that a verifier may overlook: refused."""
    async with serving(tmp_path) as switch:
        issuer, key = switch.authority.devices, ec.generate_private_key(ec.SECP256R1())
        good = x509.load_pem_x509_certificate(switch.authority.issue(AGENT, key.public_key()).chain)
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(f"spiffe://{DOMAIN}/{uri}") for uri in uris
        ]
        names.append(x509.DNSName("till.test"))
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(good.not_valid_before_utc)
            .not_valid_after(good.not_valid_after_utc)
            .add_extension(x509.SubjectAlternativeName(names), critical)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
            .sign(issuer.key, hashes.SHA256())
        )
        identity = switch.identity_of(AGENT, key, chain_of(leaf, issuer))
        assert await health_of(identity) == grpc.StatusCode.UNAUTHENTICATED


async def test_a_revoked_device_is_refused_and_cut_off(tmp_path: Path) -> None:
    """An open stream ends within a second, and the next call on the open line fails."""
    async with serving(tmp_path) as switch:
        operator = switch.operators.add("joe", tmp_path / "joe", switch.address)
        victim = switch.operators.add("eve", tmp_path / "eve", switch.address)
        async with open_channel(operator) as ours, open_channel(victim) as theirs:
            stream = health_pb2_grpc.HealthStub(theirs).Watch(
                health_pb2.HealthCheckRequest(), timeout=30
            )
            other = health_pb2_grpc.HealthStub(ours).Watch(
                health_pb2.HealthCheckRequest(), timeout=30
            )
            await stream.read()
            await other.read()
            begin = time.monotonic()
            request = device_pb2.RevokeDeviceRequest(
                request_id="0192f0c1-2b3a-7c4d-8e5f-0123456789ab", device="operator/eve"
            )
            await DeviceServiceStub(ours).RevokeDevice(request, timeout=TIMEOUT_S)
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await asyncio.wait_for(stream.read(), TIMEOUT_S)
            assert time.monotonic() - begin < 1.0
            assert ended.value.code() == grpc.StatusCode.UNAUTHENTICATED
            assert await code_of_health(theirs) == grpc.StatusCode.UNAUTHENTICATED
            assert await code_of_health(ours) == grpc.StatusCode.OK
            assert not other.done()
            other.cancel()


async def test_a_stream_ends_with_its_certificate(tmp_path: Path) -> None:
    """Who stays on the line does not stay longer than his certificate."""
    async with serving(tmp_path) as switch:
        now_us = switch.clock()
        short = Validity(now_us - DAY_US, now_us + 2_000_000)
        uri = f"spiffe://{DOMAIN}/{AGENT}"
        identity = forged(switch, switch.authority.devices, uri, short)
        async with open_channel(identity) as channel:
            stream = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=30
            )
            await stream.read()
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await asyncio.wait_for(stream.read(), TIMEOUT_S)
            assert ended.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_a_revocation_outlives_the_switch(tmp_path: Path) -> None:
    """After a restart the revoked are still revoked."""
    async with serving(tmp_path) as switch:
        victim = switch.operators.add("eve", tmp_path / "eve", switch.address)
        switch.fleet.revoke("operator/eve", even_the_last=True)
    async with serving(tmp_path) as switch:
        key = ec.generate_private_key(ec.SECP256R1())
        again = switch.identity_of("operator/eve", key, victim.chain_pem)
        line = DeviceIdentity(
            again.identity,
            switch.address,
            again.root_fingerprint,
            victim.key_pem,
            victim.chain_pem,
            again.root_pem,
            again.trust_bundle,
        )
        assert await health_of(line) == grpc.StatusCode.UNAUTHENTICATED


# What each kind of caller may call; everything else must be refused.
ANYONE = {
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}
MAY_CALL = {
    "agent": """
        PaymentService/SettlePayment PaymentService/GetPayment PaymentService/FollowPayments
        PaymentService/SubmitBatch PaymentService/CapturePayment PaymentService/VoidPayment
        DeviceService/RenewCertificate
        FleetService/Attach
        FareService/ConfirmTravel
        TicketService/ListTicketOffers TicketService/RedeemTickets TicketService/RefundTicket
        TicketService/GetTicket
        LedgerService/GetLogHash
    """,
    "phone": """
        PaymentService/SettlePayment PaymentService/GetPayment PaymentService/FollowPayments
        AccountService/GetAccount AccountService/ListEntries
        BillService/SettleBill BillService/GetWalletCertificate
        DeviceService/RenewCertificate
        HolderService/IssueCredential
        LedgerService/GetLogHash
    """,
    "operator": """
        AccountService/OpenAccount AccountService/GetAccount AccountService/ListEntries
        AccountService/DepositCash AccountService/WithdrawCash AccountService/GetTrialBalance
        AccountService/DistributeAccount AccountService/MergeAccount
        AccountService/ListAccounts AccountService/FreezeAccount AccountService/UnfreezeAccount
        AccountService/CloseAccount SuspenseService/ListSuspense SuspenseService/ReleaseSuspense
        DeviceService/ListMerchants DeviceService/UpdateMerchant DeviceService/CloseMerchant
        TicketService/WithdrawTicketOffer LedgerService/ListPayments
        DeviceService/RenewCertificate
        DeviceService/CreateMerchant DeviceService/CreatePairingCode DeviceService/RevokeDevice
        DeviceService/ListDevices DeviceService/RenewCertificate
        FleetService/GetDeviceState FleetService/ConfigureDevice
        HolderService/SetRiderCategory HolderService/ListOfflineLosses
        HolderService/ForgiveOfflineLosses
        FareService/SetMinimumBalance
        TicketService/CreateTicketOffer TicketService/ListTicketOffers TicketService/RefundTicket
        TicketService/RevokeTicket TicketService/GetTicket
        ShardService/AddShard ShardService/RebalanceShards ShardService/GetShardStatus
        ClockService/GetClockState ClockService/ConfirmClock
        AuditService/ListAuditRecords BackupService/CopyDirectory
        OperatorService/AddOperator OperatorService/ListProposals OperatorService/ApproveAct
    """,
}


def expected(method: str, kind: str) -> bool:
    """Tell from the brief of each service whether a kind of caller may call a method."""
    return method in ANYONE or method.removeprefix("/kessai.v1.") in MAY_CALL[kind].split()


def methods_of_the_main_port() -> list[str]:
    """List every method that a server on the main port knows, from the descriptors."""
    services = [descriptor_pool.Default().FindServiceByName(name) for name in MAIN_SERVICES]
    return [f"/{s.full_name}/{m.name}" for s in services for m in s.methods] + sorted(ANYONE)


@pytest.mark.parametrize("device", [AGENT, PHONE, OPERATOR])
async def test_every_method_against_every_kind_of_caller(tmp_path: Path, device: str) -> None:
    """Default deny: a method that no list names is open to nobody."""
    kind = device.partition("/")[0]
    async with serving(tmp_path) as switch, open_channel(switch.identity(device)) as channel:
        for method in methods_of_the_main_port():
            denied = await code_of_raw_call(channel, method) == grpc.StatusCode.PERMISSION_DENIED
            assert denied != expected(method, kind), f"{kind} calls {method}"


async def code_of_raw_call(channel: grpc.aio.Channel, method: str) -> grpc.StatusCode:
    """Call any method with an empty request, and tell how it began to answer."""
    callable_: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(method)
    call = callable_(b"", timeout=TIMEOUT_S)
    try:
        await call.read()
    except grpc.aio.AioRpcError as error:
        return error.code()
    finally:
        call.cancel()
    return grpc.StatusCode.OK


def test_the_table_has_no_method_that_does_not_exist() -> None:
    """And none is missing."""
    newer = {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"}
    assert set(PERMISSIONS) == set(methods_of_the_main_port()) | newer


async def test_pairing_is_not_served_on_the_main_port(tmp_path: Path) -> None:
    """Nor is the main port's business on the pairing port."""
    async with serving(tmp_path) as switch:
        async with open_channel(switch.identity(OPERATOR)) as channel:
            code = await code_of_raw_call(channel, "/kessai.v1.EnrollmentService/EnrollDevice")
            assert code == grpc.StatusCode.UNIMPLEMENTED
        credentials = grpc.ssl_channel_credentials(switch.authority.root_pem)
        async with grpc.aio.secure_channel(switch.pairing_address, credentials) as channel:
            for method in methods_of_the_main_port():
                assert await code_of_raw_call(channel, method) == grpc.StatusCode.UNIMPLEMENTED

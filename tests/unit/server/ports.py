"""A switch's two ports with real TLS, a real directory and real interceptors, without a ledger.

Shared by the tests of identity and rpc. Services that need a ledger give empty answers: here it
only matters whether a call comes through.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from kessai.account_number import make_account
from kessai.channel import PAIRING_OPTIONS, SERVER_OPTIONS
from kessai.device_identity import DeviceIdentity
from kessai.enrollment.tls_key import key_pem
from kessai.identity_path import parse_device
from kessai.pairing_code import PairingCode
from kessai.request_id import new_request_id
from kessai.v1.device_pb2_grpc import (
    add_DeviceServiceServicer_to_server,
    add_EnrollmentServiceServicer_to_server,
)
from kessai.v1.fleet_pb2_grpc import add_FleetServiceServicer_to_server
from kessai.v1.holder_pb2_grpc import add_HolderServiceServicer_to_server
from server.config import ServerConfig
from server.domain.directory import Merchant
from server.identity.audit import Audit
from server.identity.authority import Authority
from server.identity.callers import Caller, CallerKind, Callers
from server.identity.deny_list import DenyList
from server.identity.enrollment import Enrollment
from server.identity.fleet import Fleet
from server.identity.four_eyes import FourEyes, Rules
from server.identity.holders import Holders
from server.identity.keyring import Keyring
from server.identity.losses import Losses
from server.identity.merchants import Merchants
from server.identity.operators import Operators
from server.identity.pairing import PairingDesk
from server.identity.refusals import Unknown
from server.identity.relays import Relays
from server.identity.trust import trust_bundle
from server.identity.wallets import Wallets
from server.ledger.account import Account
from server.ledger.chart import kind_of_owner, open_account
from server.main_services import MAIN_SERVICES
from server.rpc.allowance import Rates
from server.rpc.audit_trail import AuditTrail
from server.rpc.credentials import ServerCertificate
from server.rpc.device_servicer import DeviceServicer
from server.rpc.enrollment_servicer import EnrollmentServicer
from server.rpc.errors import ErrorTranslation
from server.rpc.fleet_servicer import FleetServicer
from server.rpc.guard import Guard
from server.rpc.holder_servicer import HolderServicer
from server.rpc.interceptors import main_port, pairing_port
from server.rpc.limits import Limits
from server.rpc.telemetry import Telemetry
from server.shards.directory import Directory
from server.shards.fleet_book import FleetBook
from server.shards.holder_book import HolderBook
from server.shards.loss_book import LossBook

DOMAIN = "switch.test"
SHOP = Merchant("shop", "Corner Shop", "5411", make_account(1, 7), None)
DAY_US = 86_400_000_000
PLENTY = Rates(calls=10_000, payments=10_000)


@dataclass
class Clock:
    """The real time, and what a test adds to it."""

    ahead_us: int = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us


@dataclass
class Switch:
    """The parts of identity on a data folder."""

    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        identity = self.folder / "identity"
        if not identity.exists():
            Authority.create(identity, self.folder / "offline-root", DOMAIN, self.clock)
            Keyring.create(identity, os.urandom)
        self.authority = Authority.load(identity, self.clock)
        self.keyring = Keyring.load(identity)
        self.directory = Directory(self.folder / "directory.db")
        self.merchants = Merchants(self.directory, self.keyring, self.clock)
        self.desk = PairingDesk(self.directory, self.keyring, self.clock)
        self.deny_list = DenyList(self.directory.denied, self.clock)
        self.holders = Holders(
            HolderBook(self.directory.file), self.deny_list, self.keyring, self.clock, os.urandom
        )
        self.losses = Losses(LossBook(self.directory.file), self.clock)
        self.enrollment = Enrollment(
            self.directory, self.authority, self.merchants, self.desk, self.clock
        )
        self.fleet = Fleet(self.directory, FleetBook(self.directory.file), self.clock)
        self.operators = Operators(
            self.directory, self.authority, self.keyring, self.clock, os.urandom
        )
        self.audit = Audit(self.directory.file, self.clock)
        rules = Rules(False, ServerConfig().cash_for_four_eyes)
        self.four_eyes = FourEyes(self.directory.file, rules, self.clock)
        self.registry = CollectorRegistry()
        self.telemetry = Telemetry(self.registry)
        self.address = self.pairing_address = ""

    def request_id(self) -> bytes:
        """Make a new request id."""
        return new_request_id(self.clock() // 1000, os.urandom)

    def caller(self, device: str, serial: int = 0) -> Caller:
        """Who calls as a device, by the certificate of this serial number; 0: one that is good."""
        kind, path = parse_device(device)
        return Caller(CallerKind(kind), path, serial)

    def pairing(self, device: str, accounts: tuple[int, ...] = ()) -> PairingCode:
        """Hand out a code for a device, as it stands in the QR code."""
        code, _ = self.desk.hand_out(self.request_id(), device, accounts)
        return PairingCode(self.pairing_address, code, self.authority.root_fingerprint)

    def identity(self, device: str) -> DeviceIdentity:
        """Issue a certificate to a device, past the pairing."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self.authority.issue(device, key.public_key()).chain
        return self.identity_of(device, key, chain)

    def identity_of(
        self, device: str, key: ec.EllipticCurvePrivateKey, chain: bytes
    ) -> DeviceIdentity:
        """Put together what opens a channel."""
        return DeviceIdentity(
            identity=f"spiffe://{DOMAIN}/{device}",
            server_address=self.address,
            root_fingerprint=self.authority.root_fingerprint,
            key_pem=key_pem(key),
            chain_pem=chain,
            root_pem=self.authority.root_pem,
            trust_bundle=trust_bundle(self.authority, self.keyring),
        )


SERVED = ("kessai.v1.DeviceService", "kessai.v1.FleetService", "kessai.v1.HolderService")
# Services whose methods only answer here: these tests are about who may call.
STOOD_IN: tuple[ServiceDescriptor, ...] = tuple(
    descriptor_pool.Default().FindServiceByName(name)
    for name in MAIN_SERVICES
    if name not in SERVED
)


@asynccontextmanager
async def serving(
    folder: Path,
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost"),
    rates: Rates = PLENTY,
) -> AsyncIterator[Switch]:
    """Serve both ports of a switch on a folder, with one merchant, "shop"."""
    switch = Switch(folder)
    switch.merchants.add(SHOP)
    errors = ErrorTranslation(os.urandom)
    guard = Guard(Callers(switch.authority, switch.clock), switch.directory)
    limits = Limits(rates, time.monotonic, switch.registry)
    certificate = ServerCertificate(switch.authority, hosts, switch.clock)
    main = grpc.aio.server(
        interceptors=[main_port(switch.telemetry, errors, guard, limits, AuditTrail(switch.audit))],
        options=list(SERVER_OPTIONS),
    )
    pairing = grpc.aio.server(
        interceptors=[pairing_port(switch.telemetry, errors)], options=list(PAIRING_OPTIONS)
    )
    main_number = main.add_secure_port("127.0.0.1:0", certificate.main_port())
    pairing_number = pairing.add_secure_port("127.0.0.1:0", certificate.pairing_port())
    switch.address = f"127.0.0.1:{main_number}"
    switch.pairing_address = f"127.0.0.1:{pairing_number}"
    _add_services(switch, main, pairing)
    await main.start()
    await pairing.start()
    try:
        yield switch
    finally:
        await pairing.stop(0)
        await main.stop(0)
        switch.directory.close()


def _add_services(switch: Switch, main: grpc.aio.Server, pairing: grpc.aio.Server) -> None:
    devices = DeviceServicer(
        switch.merchants,
        Wallets(switch.directory, switch.keyring, switch.clock),
        switch.desk,
        switch.enrollment,
        switch.fleet,
        _any_account,
        switch.pairing_address,
        switch.authority.root_fingerprint,
        switch.four_eyes,
        _naming,
        lambda merchant_id: [],
        Relays(switch.directory, switch.clock),
    )
    enroll = EnrollmentServicer(
        switch.enrollment, trust_bundle(switch.authority, switch.keyring), DOMAIN, switch.address
    )
    add_DeviceServiceServicer_to_server(devices, main)
    fleet = FleetServicer(switch.fleet, switch.deny_list, still_newest_s=0.2)
    add_FleetServiceServicer_to_server(fleet, main)
    add_HolderServiceServicer_to_server(
        HolderServicer(switch.holders, switch.losses, _account, 2000), main
    )
    for service in STOOD_IN:
        answers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            method.name: grpc.unary_unary_rpc_method_handler(_answer) for method in service.methods
        }
        handler = grpc.method_handlers_generic_handler(service.full_name, answers)
        main.add_generic_rpc_handlers((handler,))
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), main)
    reflection.enable_server_reflection([reflection.SERVICE_NAME], main)
    add_EnrollmentServiceServicer_to_server(enroll, pairing)


@asynccontextmanager
async def _naming(*_: int) -> AsyncIterator[None]:
    yield


async def _answer(_: bytes, __: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    return b""


async def _account(account: int, owner: str) -> Account:
    """Find account 1/7 of whoever asks, in euros; no other."""
    if account != make_account(1, 7):
        raise Unknown("there is no such account, or it is not yours")
    return open_account(account, 978, kind_of_owner(owner), owner, 1)


async def _any_account(account: int, owner: str) -> Account:
    """Find every account, in euros: this switch has no ledger."""
    return open_account(account, 978, kind_of_owner(owner), owner, 1)

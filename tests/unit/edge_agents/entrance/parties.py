"""A venue without a switch: its tickets, and doors with certificates of one authority."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from edge_agents.entrance.book import Entry
from kessai.device_identity import DeviceIdentity
from kessai.enrollment.tls_key import key_pem
from kessai.envelope import TICKET, raw_public_key, sign
from kessai.request_id import new_request_id
from kessai.ticket import holder_key_hash, ticket_id_of
from kessai.v1.device_pb2 import TrustBundle
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.ticket_pb2 import TICKET_KIND_ADMISSION, Ticket, TicketOffer
from server.identity.authority import Authority

DOMAIN, VENUE = "switch.test", "town-hall"
HOUR_US = 3_600_000_000


def now_us() -> int:
    """Tell the real time."""
    return time.time_ns() // 1000


def fresh_id() -> bytes:
    """Make a request id."""
    return new_request_id(now_us() // 1000, os.urandom)


@dataclass
class Venue:
    """Who signs its tickets, who holds them, and who certifies its doors."""

    folder: Path
    switch_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    holder_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        identity = self.folder / "identity"
        identity.mkdir()
        self.authority = Authority.create(identity, self.folder / "offline", DOMAIN, now_us)

    def door(self, terminal: str, merchant: str = VENUE, kind: str = "agent") -> DeviceIdentity:
        """Certify a door, or any other device."""
        device = f"{kind}/{merchant}/{terminal}"
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self.authority.issue(device, key.public_key()).chain
        root = self.authority.root
        return DeviceIdentity(
            identity=f"spiffe://{DOMAIN}/{device}",
            server_address="127.0.0.1:1",
            root_fingerprint=b"",
            key_pem=key_pem(key),
            chain_pem=chain,
            root_pem=root.public_bytes(Encoding.PEM),
            trust_bundle=TrustBundle(),
        )

    def ticket(self, admits: int = 1, merchant: str = VENUE, event: str = "concert") -> Signed:
        """Sell a ticket."""
        terms = TicketOffer(
            offer_id="adult", merchant_id=merchant, event_id=event, event_name="Spring Concert",
            title="Adult", kind=TICKET_KIND_ADMISSION, admits=admits,
        )  # fmt: skip
        terms.valid_from_time.FromMicroseconds(now_us() - HOUR_US)
        terms.valid_until_time.FromMicroseconds(now_us() + HOUR_US)
        ticket = Ticket(
            ticket_id=ticket_id_of(fresh_id(), 0),
            offer=terms,
            venue_name="Town Hall",
            holder_key_hash=holder_key_hash(raw_public_key(self.holder_key.public_key())),
        )
        return sign(TICKET, ticket, self.switch_key)


def entry(ticket: Signed, persons: int = 1) -> Entry:
    """Persons who want to go in."""
    ticket_id = Ticket.FromString(ticket.payload).ticket_id
    return Entry(fresh_id(), ticket_id, persons, ticket, now_us())

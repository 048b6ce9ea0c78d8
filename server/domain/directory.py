"""What the directory knows: merchants, devices, their keys and certificates (design section 5).

These belong to nobody's money. They are kept by `server.shards.directory`, written by
`server.identity`, and read by the switch when it verifies documents. Times are microseconds since
1970; a device is written as the path of its identity, "agent/<merchant>/<terminal>".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from kessai.envelope import PublicKey
from kessai.money import Money


@dataclass(frozen=True, slots=True)
class Merchant:
    """Who is paid at its terminals, and on which account (branch * 10^8 + number).

    `close_us`: when it was closed; None while it is not.
    """

    merchant_id: str
    display_name: str
    category_code: str
    account: int
    unverified_limit: Money | None
    close_us: int | None = None


@dataclass(frozen=True, slots=True)
class WalletKey:
    """The key that a phone signs with. A revoked one is known, but good for nothing."""

    wallet_id: str
    device_id: str
    public_key: PublicKey
    revoked: bool


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that a device, terminal or phone, signs its documents with; raw public key."""

    device: str
    public_key: bytes
    revoked: bool


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the fleet. `certificate_expire_us` is that of its newest certificate."""

    device: str
    software_version: str
    enroll_us: int
    certificate_expire_us: int
    revoke_us: int | None


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate, and all that answers the request that it was issued for.

    `keys_hash` is the SHA-256 over the keys of the request, so that a repeated request is told from
    another one under the same id. `chain` is PEM, leaf and issuer; `merchant_certificate` is a
    serialised Signed, empty for all but terminals.
    """

    serial: int
    device: str
    request_id: bytes
    keys_hash: bytes
    chain: bytes
    merchant_certificate: bytes
    expire_us: int


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device as it is enrolled. An operator signs no documents: its key and key id are empty."""

    certificate: IssuedCertificate
    key_id: bytes
    public_key: bytes
    software_version: str
    enroll_us: int


@dataclass(frozen=True, slots=True)
class PairingGrant:
    """The right to become a device, for whoever has the code.

    The code itself is not kept: `handle` (its first 4 bytes) finds the grant, `code_hash` (SHA-256)
    proves the rest.
    """

    request_id: bytes
    handle: bytes
    code_hash: bytes
    device: str
    accounts: tuple[int, ...]
    expire_us: int
    wrong_tries: int = 0


@dataclass(frozen=True, slots=True)
class HolderEntry:
    """A holder credential and whose it is; `signed` is the serialised Signed, as it was issued."""

    credential_id: bytes
    request_id: bytes
    device: str
    account: int
    holder_key: bytes
    signed: bytes
    expire_us: int

    @property
    def wallet_id(self) -> str:
        """The wallet of the phone that it was issued to."""
        return self.device.split("/")[1]


@dataclass(frozen=True, slots=True)
class OfflineLoss:
    """A payment that a terminal accepted off line and the switch then declined.

    `terminal` and `phone` are devices; `phone` is the one whose credential the terminal believed.
    `reason` names a decline reason, or an error reason. `is_phones`: the phone is at fault.
    """

    request_id: bytes
    terminal: str
    phone: str
    amount_minor: int
    currency: str
    reason: str
    is_phones: bool
    lose_us: int
    forgive_us: int = 0

    @property
    def wallet_id(self) -> str:
        """The wallet of the phone."""
        return self.phone.split("/")[1]


class DenyKind(IntEnum):
    """What a terminal turns away without asking. Numbers as in `kessai/v1/fleet.proto`."""

    CREDENTIAL = 1
    TICKET = 2
    CERTIFICATE = 3


@dataclass(frozen=True, slots=True)
class DenyEntry:
    """One thing that is denied, until it would have expired anyway."""

    version: int
    kind: DenyKind
    id: bytes
    expire_us: int


class AuditFilter(NamedTuple):
    """Which audit records are wanted: of an operator, a method, an object; "": all."""

    operator: str = ""
    method: str = ""
    object: str = ""


class CashOut(NamedTuple):
    """A withdrawal that counts against an operator's limit; `amount_minor` in minor units."""

    request_id: bytes
    operator: str
    account: int
    currency: str
    amount_minor: int
    count_us: int


class Proposal(NamedTuple):
    """What an operator wants to do under four eyes.

    `approver` is empty until a second one confirmed it, `approver_good` whether his certificate has
    not been revoked since; `used_by` is the request that it served.
    """

    proposal_id: bytes
    operator: str
    method: str
    content: str
    content_hash: bytes
    propose_us: int
    expire_us: int
    approver: str = ""
    approver_good: bool = True
    used_by: bytes | None = None

    @property
    def is_approved(self) -> bool:
        """Whether a second operator, who is still one, confirmed it."""
        return bool(self.approver) and bool(self.approver_good)


class RevocationList(Protocol):
    """Which certificates are revoked; asked at every call."""

    def is_revoked(self, serial: int) -> bool:
        """Tell whether the certificate of this serial number was revoked."""

    def is_stray(self, device: str, serial: int, begin_us: int) -> bool:
        """Tell whether a restore lost a certificate, and its device is not good any more."""

    def on_revoke(self, listener: Callable[[str], None]) -> None:
        """Have every device told some of whose certificates were revoked; from any thread."""

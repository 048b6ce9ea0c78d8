"""A device's identity folder: who it is, its key and certificate, and what it knows of the switch.

    device.json     {identity, server_address, root_fingerprint}; written last, so it is the mark
                    of a folder that is complete
    tls.key         P-256, PEM, mode 0600 (tls.key.next while a certificate is asked for)
    tls.crt         leaf and issuer, PEM
    root.crt        the root, PEM
    trust.bin       TrustBundle
    merchant.bin    the signed merchant certificate; terminals only
    accounts.json   the account numbers of the wallet; phones only

Written by `kessai.enrollment`, and by `kessai init` for an operator; read by every device at start.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from google.protobuf.message import DecodeError

from kessai.account_number import format_account, parse_account
from kessai.complaint import Complaint
from kessai.durable_file import (
    close_to_others,
    make_folder,
    move_durably,
    remove_durably,
    write_durably,
)
from kessai.identity_path import PHONE, parse_device, parse_identity
from kessai.json_file import read_json
from kessai.pem import UNREADABLE, private_key_of
from kessai.public_key import load_sealing_key, load_switch_key
from kessai.v1.device_pb2 import TrustBundle
from kessai.v1.envelope_pb2 import Signed

DEVICE_FILE = "device.json"
KEY_FILE = "tls.key"
NEXT_KEY_FILE = "tls.key.next"
CHAIN_FILE = "tls.crt"
MERCHANT_FILE = "merchant.bin"

_ROOT_FILE, _TRUST_FILE, _ACCOUNTS_FILE = "root.crt", "trust.bin", "accounts.json"


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Who a device is. `names` are (merchant, terminal), (wallet, phone) or (operator,)."""

    identity: str
    server_address: str
    root_fingerprint: bytes
    key_pem: bytes
    chain_pem: bytes
    root_pem: bytes
    trust_bundle: TrustBundle
    merchant_certificate: Signed | None = None
    accounts: tuple[int, ...] = ()

    @property
    def device(self) -> str:
        """The path of the identity: "agent/shop-7/till-2"."""
        return parse_identity(self.identity)[1]

    @property
    def kind(self) -> str:
        """What it is: "agent", "phone" or "operator"."""
        return parse_device(self.device)[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The names after the kind."""
        return parse_device(self.device)[1]

    @property
    def switch_key(self) -> Ed25519PublicKey:
        """The key that receipts and merchant certificates are signed with."""
        return load_switch_key(self.trust_bundle.switch_public_key)

    @property
    def sealing_key(self) -> X25519PublicKey:
        """The key to seal authorisations to."""
        return load_sealing_key(self.trust_bundle.sealing_public_key)

    @property
    def certificate(self) -> x509.Certificate:
        """The device's own certificate."""
        return x509.load_pem_x509_certificate(self.chain_pem)

    @property
    def begin_us(self) -> int:
        """When the certificate begins, microseconds since 1970."""
        return int(self.certificate.not_valid_before_utc.timestamp()) * 1_000_000

    @property
    def expire_us(self) -> int:
        """When the certificate ends, microseconds since 1970."""
        return int(self.certificate.not_valid_after_utc.timestamp()) * 1_000_000

    def is_renewal_due(self, now_us: int) -> bool:
        """Tell whether two thirds of the certificate's life are over."""
        return now_us >= self.begin_us + (self.expire_us - self.begin_us) * 2 // 3

    def require_in_date(self, now_us: int) -> None:
        """Complaint if the certificate has ended, or has not begun: the switch would hang up."""
        if now_us < self.begin_us:
            raise Complaint(
                f"The certificate of {self.device} begins on {_moment(self.begin_us)}, and this "
                f"machine's clock shows {_moment(now_us)}. No money was moved: put the clock right."
            )
        if now_us >= self.expire_us:
            raise Complaint(
                f"The certificate of {self.device} has expired. No money was moved: "
                "ask the operator for a new pairing code, and pair again."
            )


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")


def load_identity(folder: Path) -> DeviceIdentity:
    """Read an identity folder; Complaint if it is missing, incomplete or damaged.

    A renewal that was cut off between the new certificate and its key is finished here. Other users
    of the machine are shut out of the folder, if they were not.
    """
    if not (folder / DEVICE_FILE).exists():
        raise Complaint(f"{folder} holds no paired device: pair it first with a pairing code.")
    try:
        close_to_others(folder)
        identity = _read(folder)
        # What else a device asks of it later, and could not go on without.
        _ = (identity.switch_key, identity.sealing_key, identity.expire_us)
        return identity
    except (OSError, KeyError, DecodeError, *UNREADABLE) as error:
        raise Complaint(
            f"The identity in {folder} is damaged ({error}). No money was moved: "
            "ask the operator for a new pairing code, and pair again."
        ) from None


def write_identity(folder: Path, identity: DeviceIdentity) -> None:
    """Write an identity folder durably; until it is complete, it counts as not paired."""
    make_folder(folder)
    remove_durably(folder / DEVICE_FILE)
    write_durably(folder / _ROOT_FILE, identity.root_pem)
    write_durably(folder / _TRUST_FILE, identity.trust_bundle.SerializeToString())
    if identity.merchant_certificate is None:
        remove_durably(folder / MERCHANT_FILE)
    else:
        write_durably(folder / MERCHANT_FILE, identity.merchant_certificate.SerializeToString())
    if identity.kind == PHONE:
        numbers = [format_account(account) for account in identity.accounts]
        write_durably(folder / _ACCOUNTS_FILE, json.dumps(numbers).encode())
    else:
        remove_durably(folder / _ACCOUNTS_FILE)
    write_durably(folder / CHAIN_FILE, identity.chain_pem)
    write_durably(folder / KEY_FILE, identity.key_pem, private=True)
    remove_durably(folder / NEXT_KEY_FILE)
    facts = {
        "identity": identity.identity,
        "server_address": identity.server_address,
        "root_fingerprint": identity.root_fingerprint.hex(),
    }
    write_durably(folder / DEVICE_FILE, json.dumps(facts, indent=2).encode())


def _read(folder: Path) -> DeviceIdentity:
    facts = read_json(folder / DEVICE_FILE)
    chain = (folder / CHAIN_FILE).read_bytes()
    merchant, accounts = folder / MERCHANT_FILE, folder / _ACCOUNTS_FILE
    numbers = read_json(accounts) if accounts.exists() else []
    parse_device(parse_identity(facts["identity"])[1])
    if not isinstance(facts["server_address"], str):
        raise ValueError("server_address is no text")
    return DeviceIdentity(
        identity=facts["identity"],
        server_address=facts["server_address"],
        root_fingerprint=bytes.fromhex(facts["root_fingerprint"]),
        key_pem=_key_of(folder, chain),
        chain_pem=chain,
        root_pem=(folder / _ROOT_FILE).read_bytes(),
        trust_bundle=TrustBundle.FromString((folder / _TRUST_FILE).read_bytes()),
        merchant_certificate=Signed.FromString(merchant.read_bytes())
        if merchant.exists()
        else None,
        accounts=tuple(parse_account(number) for number in numbers),
    )


def _key_of(folder: Path, chain: bytes) -> bytes:
    key, following = folder / KEY_FILE, folder / NEXT_KEY_FILE
    if not key.exists() or not _fits(key.read_bytes(), chain):
        if not following.exists() or not _fits(following.read_bytes(), chain):
            raise ValueError(f"{KEY_FILE} does not belong to {CHAIN_FILE}")
        move_durably(following, key)
    return key.read_bytes()


def _fits(key_pem: bytes, chain: bytes) -> bool:
    key = private_key_of(key_pem)
    certificate = x509.load_pem_x509_certificate(chain)
    return (
        isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
    )

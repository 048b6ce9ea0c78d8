"""Those who pay and are paid under load: terminals with their lines, and wallets with their keys.

All are enrolled by the switch's own identity room, with pairing codes and proofs of their keys, in
a data folder on which no switch runs yet. Used by `wire.py`, and by `counter.py` for the tap.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from kessai.device_identity import DeviceIdentity
from kessai.envelope import PrivateKey, raw_public_key, sign_bytes
from kessai.identity_path import AGENT, PHONE, format_identity
from kessai.money import Money
from kessai.request_id import new_request_id
from kessai.v1.envelope_pb2 import Signed
from server import main
from server.domain.directory import IssuedCertificate, Merchant
from server.identity.authority import Authority
from server.identity.enrollment import Application, Enrollment
from server.identity.keyring import Keyring
from server.identity.merchants import Merchants
from server.identity.pairing import PairingDesk
from server.identity.trust import trust_bundle
from server.shards.directory import Directory
from simulators.load.books import Population, merchant_name, wallet_name

_PROOF_CONTEXT = b"kessai/enroll/v1\0"
_GROCERY = "5411"
_TERMINAL_ID = "till-1"


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal: its names, the key of its requests (32 raw bytes of Ed25519), and its line."""

    merchant_id: str
    terminal_id: str
    signing_key: bytes
    identity: DeviceIdentity


@dataclass(frozen=True, slots=True)
class Parties:
    """Everybody, as plain bytes that go to other processes; wallets' keys are DER of P-256."""

    terminals: tuple[Terminal, ...]
    wallet_keys: tuple[bytes, ...]


def enroll(folder: Path, population: Population) -> Parties:
    """Enter the merchants, one terminal each, and the wallets, one phone each."""
    with Office.open(folder) as office:
        terminals = tuple(
            office.terminal(merchant_name(index), population.merchant_account(index))
            for index in range(population.merchants)
        )
        wallet_keys = []
        for index in range(population.wallets):
            key = ec.generate_private_key(ec.SECP256R1())
            office.phone(wallet_name(index), key, ())
            wallet_keys.append(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    return Parties(terminals, tuple(wallet_keys))


class Office:
    """The switch's identity room, at work without a switch."""

    def __init__(self, folder: Path, directory: Directory) -> None:
        self._authority = Authority.load(folder / "identity", main.now_us)
        self._keyring = Keyring.load(folder / "identity")
        self._merchants = Merchants(directory, self._keyring, main.now_us)
        self._desk = PairingDesk(directory, self._keyring, main.now_us)
        self._enrollment = Enrollment(
            directory, self._authority, self._merchants, self._desk, main.now_us
        )

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator[Office]:
        """Open the office of a data folder, and close its directory in the end."""
        with closing(Directory(folder / "directory.db")) as directory:
            yield cls(folder, directory)

    def terminal(
        self,
        merchant_id: str,
        account: int,
        terminal_id: str = _TERMINAL_ID,
        category: str = _GROCERY,
        unverified_limit: Money | None = None,
    ) -> Terminal:
        """Enter a merchant who is paid on an account, and pair one of its terminals."""
        name = f"Shop {merchant_id}"
        self._merchants.add(Merchant(merchant_id, name, category, account, unverified_limit))
        key = Ed25519PrivateKey.generate()
        identity = self._pair(f"{AGENT}/{merchant_id}/{terminal_id}", key, ())
        return Terminal(merchant_id, terminal_id, key.private_bytes_raw(), identity)

    def phone(
        self, wallet_id: str, key: ec.EllipticCurvePrivateKey, accounts: tuple[int, ...]
    ) -> DeviceIdentity:
        """Pair a phone of a wallet that signs with this key."""
        return self._pair(f"{PHONE}/{wallet_id}/phone-1", key, accounts)

    def _pair(
        self, device: str, signing_key: PrivateKey, accounts: tuple[int, ...]
    ) -> DeviceIdentity:
        tls_key = ec.generate_private_key(ec.SECP256R1())
        issued = self._enroll(device, tls_key, signing_key)
        certificate = issued.merchant_certificate
        return DeviceIdentity(
            identity=format_identity(self._authority.domain, device),
            server_address="",
            root_fingerprint=self._authority.root_fingerprint,
            key_pem=tls_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            chain_pem=issued.chain,
            root_pem=self._authority.root_pem,
            trust_bundle=trust_bundle(self._authority, self._keyring),
            merchant_certificate=Signed.FromString(certificate) if certificate else None,
            accounts=accounts,
        )

    def _enroll(
        self, device: str, tls_key: ec.EllipticCurvePrivateKey, signing_key: PrivateKey
    ) -> IssuedCertificate:
        request_id = new_request_id(main.now_us() // 1000, os.urandom)
        code, _ = self._desk.hand_out(request_id, device)
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        content = builder.sign(tls_key, hashes.SHA256()).public_bytes(Encoding.DER)
        application = Application(
            code,
            content,
            raw_public_key(signing_key.public_key()),
            sign_bytes(_PROOF_CONTEXT + content, signing_key),
            "kessai bench",
        )
        return self._enrollment.enroll(application)[0]

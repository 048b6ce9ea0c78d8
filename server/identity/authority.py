"""The certificate authority: an offline root, and two issuers below it (design section 3).

The devices issuer signs terminals, operators and the switch itself; the phones issuer signs phones
and nobody else, so that a stolen phones key can make no terminal. `kessai init` creates it; the
root's key goes to a folder apart, to be carried away, and the switch never reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from kessai.complaint import Complaint
from kessai.durable_file import make_folder, write_durably
from kessai.identity_path import (
    AGENT,
    OPERATOR,
    PHONE,
    RELAY,
    SERVER,
    format_identity,
    parse_device,
    relay_host,
    terminal_host,
)
from kessai.pem import UNREADABLE, private_key_of
from server.identity.certificates import (
    DAY_US,
    Issuer,
    Validity,
    make_client_leaf,
    make_issuer,
    make_root,
    make_server_leaf,
)

LIFETIME_DAYS = {AGENT: 30, PHONE: 7, RELAY: 30, OPERATOR: 365, SERVER: 90}

# Who serves too, besides the switch, and under which host: a venue's hub, a fleet's server.
_SERVING: dict[str, Callable[..., str]] = {AGENT: terminal_host, RELAY: relay_host}

_ROOT_DAYS = 7300
_ISSUER_DAYS = 3650
_ROOT, _DEVICES, _PHONES = "root", "devices-ca", "phones-ca"

_NOTE = """This folder holds the key of the root certificate authority.

The running switch never needs it. Move this folder to a medium that you lock away, keep a second
copy elsewhere, and delete it here. Whoever has root.key can make himself any device of yours.
It is needed again when an issuing authority is replaced.
"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A new certificate and its chain, PEM: leaf, issuer, and for the switch itself the root."""

    serial: int
    chain: bytes
    expire_us: int


@dataclass(frozen=True, slots=True)
class Authority:
    """The root's certificate, and the two issuers with their keys."""

    domain: str
    root: x509.Certificate
    devices: Issuer
    phones: Issuer
    now_us: Callable[[], int]

    @classmethod
    def create(
        cls, folder: Path, offline_folder: Path, domain: str, now_us: Callable[[], int]
    ) -> Authority:
        """Make root and issuers for a domain, and write them; Complaint if there are some."""
        if (folder / f"{_ROOT}.crt").exists():
            raise Complaint(f"{folder} already holds a certificate authority; nothing was changed.")
        identity, now = f"spiffe://{domain}", now_us()
        years, long = Validity.days(now, _ISSUER_DAYS), Validity.days(now, _ROOT_DAYS)
        root = make_root(f"{domain} root", identity, long)
        devices = make_issuer(root, f"{domain} devices", identity, years)
        phones = make_issuer(root, f"{domain} phones", identity, years)
        make_folder(offline_folder)
        write_durably(offline_folder / "README.txt", _NOTE.encode())
        write_durably(offline_folder / f"{_ROOT}.key", _key_pem(root.key), private=True)
        make_folder(folder)
        for name, issuer in ((_DEVICES, devices), (_PHONES, phones)):
            write_durably(folder / f"{name}.key", _key_pem(issuer.key), private=True)
            write_durably(folder / f"{name}.crt", _pem(issuer.certificate))
        write_durably(folder / f"{_ROOT}.crt", _pem(root.certificate))
        return cls(domain, root.certificate, devices, phones, now_us)

    @classmethod
    def reissue(cls, folder: Path, offline_folder: Path, now_us: Callable[[], int]) -> Authority:
        """Make both issuing certificates anew, by the offline root.

        Their keys stay, so that whatever they have signed stays good; a key that is lost is made
        anew. Complaint if that is not the root's key, or something cannot be read.
        """
        try:
            root = x509.load_pem_x509_certificate((folder / f"{_ROOT}.crt").read_bytes())
            key = private_key_of((offline_folder / f"{_ROOT}.key").read_bytes())
            domain, public_key = _domain_of(root), root.public_key()
        except (OSError, *UNREADABLE) as error:
            raise Complaint(
                f"the root cannot be read ({error}); nothing was changed. --offline-root is the "
                "folder that was moved off this machine after kessai init."
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != public_key:
            raise Complaint(f"{offline_folder} holds another root's key; nothing was changed.")
        years = Validity.days(now_us(), _ISSUER_DAYS)
        for name in (_DEVICES, _PHONES):
            title = f"{domain} {name.removesuffix('-ca')}"
            kept = _key_or_none(folder / f"{name}.key")
            issuer = make_issuer(Issuer(root, key), title, f"spiffe://{domain}", years, kept)
            write_durably(folder / f"{name}.key", _key_pem(issuer.key), private=True)
            write_durably(folder / f"{name}.crt", _pem(issuer.certificate))
        return cls.load(folder, now_us)

    @classmethod
    def load(cls, folder: Path, now_us: Callable[[], int]) -> Authority:
        """Read what `create` wrote; Complaint if something is missing or damaged."""
        try:
            root = x509.load_pem_x509_certificate((folder / f"{_ROOT}.crt").read_bytes())
            domain = _domain_of(root)
            devices, phones = (_load_issuer(folder, name) for name in (_DEVICES, _PHONES))
        except (OSError, *UNREADABLE) as error:
            raise Complaint(
                f"The certificate authority in {folder} cannot be read ({error}): "
                "restore it from a backup, or make a new data folder with kessai init."
            ) from None
        return cls(domain, root, devices, phones, now_us)

    @property
    def root_fingerprint(self) -> bytes:
        """SHA-256 over the root certificate's DER; pairing codes carry it."""
        return hashlib.sha256(self.root.public_bytes(Encoding.DER)).digest()

    @property
    def root_pem(self) -> bytes:
        """The root certificate, for those who must trust it."""
        return _pem(self.root)

    def issuer_of(self, kind: str) -> x509.Certificate:
        """Tell which authority signs a kind of caller."""
        return (self.phones if kind == PHONE else self.devices).certificate

    def issue(self, device: str, key: ec.EllipticCurvePublicKey) -> Leaf:
        """Certify the key of a device or an operator, given by the path of its identity."""
        kind, path = parse_device(device)
        issuer = self.phones if kind == PHONE else self.devices
        validity = Validity.days(self.now_us(), LIFETIME_DAYS[kind])
        identity = format_identity(self.domain, device)
        serving = _SERVING.get(kind)
        host = serving(*path) if serving is not None else ""
        leaf = make_client_leaf(issuer, identity, key, validity, host)
        return Leaf(leaf.serial_number, _pem(leaf, issuer.certificate), _end_us(leaf))

    def issue_server(self, key: ec.EllipticCurvePublicKey, hosts: tuple[str, ...]) -> Leaf:
        """Certify the switch's own key under its host names; the chain goes up to the root."""
        validity = Validity.days(self.now_us(), LIFETIME_DAYS[SERVER])
        identity = format_identity(self.domain, SERVER)
        leaf = make_server_leaf(self.devices, identity, key, validity, hosts)
        chain = _pem(leaf, self.devices.certificate, self.root)
        return Leaf(leaf.serial_number, chain, _end_us(leaf))


def renewal_us(expire_us: int, days: int) -> int:
    """Tell when two thirds of a certificate's life are over: time to renew it."""
    return expire_us - days * DAY_US // 3


def _domain_of(root: x509.Certificate) -> str:
    names = root.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (identity,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    return identity.removeprefix("spiffe://")


def _key_or_none(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = private_key_of(path.read_bytes())
    except (OSError, ValueError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _load_issuer(folder: Path, name: str) -> Issuer:
    certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
    key = private_key_of((folder / f"{name}.key").read_bytes())
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{name}.key is not a P-256 key")
    if key.public_key() != certificate.public_key():
        raise ValueError(f"{name}.key does not belong to {name}.crt")
    return Issuer(certificate, key)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _end_us(leaf: x509.Certificate) -> int:
    return int(leaf.not_valid_after_utc.timestamp()) * 1_000_000

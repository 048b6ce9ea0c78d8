"""The terminal's identity on disk: its signing key, and what pairing left in its folder.

Read by `main` at start and after a renewal, made by `kessai agent pair`.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from edge_agents.payment_request import Terminal
from kessai.complaint import Complaint
from kessai.device_identity import DeviceIdentity
from kessai.durable_file import make_folder, write_durably
from kessai.envelope import MERCHANT_CERTIFICATE, EnvelopeError, open_signed, raw_public_key
from kessai.identity_path import AGENT
from kessai.pem import private_key_of
from kessai.v1.payment_pb2 import MerchantCertificate

SIGNING_KEY_FILE = "signing.key"

_PAIR_AGAIN = "No money was moved. Ask the operator for a new pairing code, and pair again."


def load_or_make_signing_key(folder: Path) -> Ed25519PrivateKey:
    """Give the folder's signing key (Ed25519), made and stored durably at the first call."""
    path = folder / SIGNING_KEY_FILE
    if path.exists():
        return _load_signing_key(path)
    key = Ed25519PrivateKey.generate()
    try:
        make_folder(folder)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_durably(path, pem, private=True)
    except OSError as error:
        raise Complaint(f"The folder {folder} cannot be written ({error.strerror}).") from None
    return key


def open_terminal(folder: Path, identity: DeviceIdentity) -> Terminal:
    """Put a terminal together from its folder; Complaint if it cannot sign what phones accept."""
    key = _load_signing_key(folder / SIGNING_KEY_FILE)
    if identity.kind != AGENT or identity.merchant_certificate is None:
        raise Complaint(f"{folder} is the identity of {identity.device}, not of a terminal.")
    try:
        certificate = open_signed(
            identity.merchant_certificate,
            MERCHANT_CERTIFICATE,
            identity.switch_key,
            MerchantCertificate.FromString,
        )
    except EnvelopeError as error:
        raise Complaint(
            f"The merchant certificate in {folder} is not good ({error}). {_PAIR_AGAIN}"
        ) from None
    if certificate.terminal_public_key != raw_public_key(key.public_key()):
        raise Complaint(
            f"{SIGNING_KEY_FILE} in {folder} is not the key that was paired. {_PAIR_AGAIN}"
        )
    return Terminal(
        merchant_id=certificate.merchant_id,
        terminal_id=certificate.terminal_id,
        display_name=certificate.display_name,
        signing_key=key,
        merchant_certificate=identity.merchant_certificate,
        switch_key=identity.switch_key,
    )


def _load_signing_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = private_key_of(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Complaint(f"The signing key {path} cannot be read ({error}). {_PAIR_AGAIN}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Complaint(f"The signing key {path} is not an Ed25519 key. {_PAIR_AGAIN}")
    return key

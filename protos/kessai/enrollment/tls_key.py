"""The key of a device's TLS line, from the moment a certificate is asked for it.

A new key lies in `tls.key.next` until its certificate is there, so that a request that was cut off
is repeated with the same key, byte for byte, and gets the same answer. Used by pairing and renewal.
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kessai.complaint import Complaint
from kessai.device_identity import DEVICE_FILE, KEY_FILE, NEXT_KEY_FILE
from kessai.durable_file import write_durably
from kessai.pem import private_key_of


def next_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Give the P-256 key that the folder's next certificate is for; makes it if there is none."""
    following, present = folder / NEXT_KEY_FILE, folder / KEY_FILE
    # A pairing that was cut off after its key was put in place, but before it was complete.
    unfinished = present.exists() and not (folder / DEVICE_FILE).exists()
    path = present if unfinished and not following.exists() else following
    if not path.exists():
        write_durably(path, key_pem(ec.generate_private_key(ec.SECP256R1())), private=True)
    try:
        key = private_key_of(path.read_bytes())
    except ValueError:
        raise Complaint(f"{path} is damaged: delete it, and try again.") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Complaint(f"{path} is not a key of P-256: delete it, and try again.")
    return key


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Write a key as it lies in its file."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signing_request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Make the PKCS #10 request of a key, DER; for one key always the same bytes."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)

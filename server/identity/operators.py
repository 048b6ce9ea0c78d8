"""Operators: those who run the switch, each with a certificate in an identity folder.

An operator signs no documents and is not paired: his certificate is issued where the authority is,
by `kessai init` or `kessai operator add`. It is kept in the directory, so that it can be revoked
like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kessai.complaint import Complaint
from kessai.device_identity import DEVICE_FILE, DeviceIdentity, write_identity
from kessai.identity_path import OPERATOR, format_identity, is_name
from kessai.request_id import new_request_id
from kessai.v1.device_pb2 import TrustBundle
from server.domain.directory import DeviceEntry, IssuedCertificate
from server.identity.audit import MACHINE, Act, Audit
from server.identity.authority import Authority
from server.identity.certificates import public_key_of_request
from server.identity.keyring import Keyring
from server.identity.refusals import FieldRefused, RequestIdReused
from server.identity.trust import trust_bundle
from server.shards.directory import Directory

_NAME = '1 to 40 of a-z, 0-9 and "-"'


class Operators:
    """Makes operators."""

    def __init__(
        self,
        directory: Directory,
        authority: Authority,
        keyring: Keyring,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._directory = directory
        self._authority = authority
        self._keyring = keyring
        self._now_us = now_us
        self._random_bytes = random_bytes
        self._audit = Audit(directory.file, now_us)

    def add(self, name: str, folder: Path, server_address: str) -> DeviceIdentity:
        """Make an operator and write his identity folder; one he had before is revoked.

        Complaint if the name cannot be one, or the folder holds an identity already.
        """
        if not is_name(name):
            raise Complaint(f'"{name}" cannot name an operator: {_NAME}.')
        if (folder / DEVICE_FILE).exists():
            raise Complaint(f"{folder} already holds an identity; nothing was changed.")
        device = f"{OPERATOR}/{name}"
        key = ec.generate_private_key(ec.SECP256R1())
        issued = self._issue(device, key.public_key())
        identity = DeviceIdentity(
            identity=format_identity(self._authority.domain, device),
            server_address=server_address,
            root_fingerprint=self._authority.root_fingerprint,
            key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            chain_pem=issued.chain,
            root_pem=self._authority.root_pem,
            trust_bundle=trust_bundle(self._authority, self._keyring),
        )
        act = Act(MACHINE, "OperatorService/AddOperator", object=device)
        self._audit.do(act, lambda: self._enroll(issued))
        write_identity(folder, identity)
        return identity

    def certify(self, request_id: bytes, name: str, signing_request: bytes) -> bytes:
        """Make an operator of a signing request; his certificate chain comes back, PEM.

        A repeated request gets the same answer. FieldRefused, RequestIdReused.
        """
        if not is_name(name):
            raise FieldRefused("name", f"not {_NAME}")
        device, key = f"{OPERATOR}/{name}", public_key_of_request(signing_request)
        with self._directory.file.transaction():
            known = self._directory.certificate(request_id)
            if known is not None:
                if (known.device, known.keys_hash) != (device, _keys_hash(key)):
                    raise RequestIdReused
                return known.chain
            issued = self._issue(device, key, request_id)
            self._enroll(issued)
        return issued.chain

    @property
    def trust_bundle(self) -> TrustBundle:
        """What an operator needs to know of the switch."""
        return trust_bundle(self._authority, self._keyring)

    def identity_of(self, name: str) -> str:
        """The identity that an operator's certificate carries."""
        return format_identity(self._authority.domain, f"{OPERATOR}/{name}")

    def _enroll(self, issued: IssuedCertificate) -> None:
        # Not under the id of a pairing code that was withdrawn: nobody could revoke that operator.
        if not self._directory.enroll(DeviceEntry(issued, b"", b"", "", self._now_us())):
            raise RequestIdReused

    def _issue(
        self, device: str, key: ec.EllipticCurvePublicKey, request_id: bytes = b""
    ) -> IssuedCertificate:
        leaf = self._authority.issue(device, key)
        request_id = request_id or new_request_id(self._now_us() // 1000, self._random_bytes)
        keys_hash = _keys_hash(key)
        return IssuedCertificate(
            leaf.serial, device, request_id, keys_hash, leaf.chain, b"", leaf.expire_us
        )


def _keys_hash(key: ec.EllipticCurvePublicKey) -> bytes:
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()

"""Operators: the identity folder that `kessai init` makes for whoever runs the switch.

An operator signs no documents and is not paired: his certificate is issued where the authority is.
It is kept in the directory, so that it can be revoked like any other.
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
from server.domain.directory import DeviceEntry, IssuedCertificate
from server.identity.authority import Authority
from server.identity.keyring import Keyring
from server.identity.trust import trust_bundle
from server.shards.directory import Directory


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

    def add(self, name: str, folder: Path, server_address: str) -> DeviceIdentity:
        """Make an operator and write his identity folder; one he had before is revoked.

        Complaint if the name cannot be one, or the folder holds an identity already.
        """
        if not is_name(name):
            raise Complaint(f'"{name}" cannot name an operator: 1 to 40 of a-z, 0-9 and "-".')
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
        self._directory.enroll(DeviceEntry(issued, b"", b"", "", self._now_us()))
        write_identity(folder, identity)
        return identity

    def _issue(self, device: str, key: ec.EllipticCurvePublicKey) -> IssuedCertificate:
        leaf = self._authority.issue(device, key)
        request_id = new_request_id(self._now_us() // 1000, self._random_bytes)
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        keys_hash = hashlib.sha256(spki).digest()
        return IssuedCertificate(
            leaf.serial, device, request_id, keys_hash, leaf.chain, b"", leaf.expire_us
        )

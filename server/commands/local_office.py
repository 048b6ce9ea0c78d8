"""What an operator does on the switch's machine while the switch is stopped.

It takes the data folder's lock, so no switch runs meanwhile. The audit log says "machine".
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kessai.complaint import Complaint
from kessai.identity_path import OPERATOR
from kessai.v1.device_pb2 import Device as DeviceMessage
from kessai.v1.device_pb2 import TrustBundle
from server import data_folder
from server.config import load_config
from server.identity.audit import MACHINE, Act, Audit
from server.identity.authority import Authority
from server.identity.fleet import Fleet
from server.identity.keyring import Keyring
from server.identity.operators import Operators
from server.identity.refusals import Refusal
from server.rpc.device_servicer import device_message
from server.shards.directory import Directory
from server.shards.fleet_book import FleetBook

_ALL = 10_000


class LocalOffice:
    """The directory of a switch that is stopped."""

    def __init__(self, folder: Path, directory: Directory) -> None:
        self._folder, self._directory = folder, directory
        self.audit = Audit(directory.file, _now_us)

    def add_operator(self, name: str, target: Path) -> None:
        """Make an operator and write his identity folder; Complaint."""
        authority = Authority.load(self._folder / "identity", _now_us)
        keyring = Keyring.load(self._folder / "identity")
        operators = Operators(self._directory, authority, keyring, _now_us, os.urandom)
        address = data_folder.address_of(load_config(self._folder))
        operators.add(name, target, address)

    def reissue(self, name: str, target: Path, offline_root: Path) -> None:
        """Make the issuing certificates and an operator anew, by the offline root; Complaint."""
        Authority.reissue(self._folder / "identity", offline_root, _now_us)
        self.audit.accept(Act(MACHINE, "OperatorService/ReissueAuthority"))
        self.add_operator(name, target)

    def operators(self) -> list[DeviceMessage]:
        """All operators, also those that were revoked."""
        devices = self._directory.devices(f"{OPERATOR}/", _ALL)
        return [device_message(one) for one in devices if one.device.startswith(f"{OPERATOR}/")]

    def revoke_operator(self, name: str, even_the_last: bool) -> None:
        """Revoke an operator; Complaint."""
        fleet = Fleet(self._directory, FleetBook(self._directory.file), _now_us)
        device = f"{OPERATOR}/{name}"
        act = Act(MACHINE, "DeviceService/RevokeDevice", object=device)
        try:
            self.audit.do(act, lambda: fleet.revoke(device, "", even_the_last))
        except Refusal as refusal:
            self.audit.refuse(act, "FIELD_INVALID" if refusal.field else "RESOURCE_UNKNOWN")
            raise Complaint(f"{refusal}. Nothing was changed.") from None


@contextmanager
def opened(folder: Path) -> Iterator[LocalOffice]:
    """Open the directory of a switch that is stopped; Complaint if one runs after all."""
    lock = data_folder.Lock(folder)
    try:
        with closing(Directory(folder / "directory.db")) as directory:
            yield LocalOffice(folder, directory)
    finally:
        lock.release()


def root_pem(bundle: TrustBundle) -> bytes:
    """The root certificate of a trust bundle, as it lies in an identity folder."""
    root = x509.load_der_x509_certificate(bundle.root_certificate)
    return root.public_bytes(Encoding.PEM)


def root_fingerprint(bundle: TrustBundle) -> bytes:
    """SHA-256 over the root certificate of a trust bundle."""
    return hashlib.sha256(bundle.root_certificate).digest()


def _now_us() -> int:
    return time.time_ns() // 1000

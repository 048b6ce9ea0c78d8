"""The directory: merchants, devices, keys and certificates, in one small SQLite database.

What belongs to nobody's money lives here (design section 5). Written by `server.identity`; read by
the switch at every payment, from memory. All SQL of the directory is in this file and its schema.
Every method may be called from any thread; what it wrote is durable when it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from kessai.envelope import DocumentMalformed, PublicKey, key_id_of, load_public_key
from kessai.identity_path import AGENT, PHONE, parse_device
from server.domain.directory import (
    Device,
    DeviceEntry,
    IssuedCertificate,
    Merchant,
    SigningKey,
    WalletKey,
)
from server.shards.deny_book import DenyBook
from server.shards.directory_file import DirectoryFile
from server.shards.lru import LruCache
from server.shards.merchant_book import MerchantBook
from server.shards.pairing_book import PairingBook
from server.shards.standing import SERIAL_BYTES, while_good

CACHED_ENTRIES = 65_536

_SELECT_DEVICE = """
SELECT device, software_version, enroll_us,
       (SELECT max(expire_us) FROM certificate WHERE certificate.device = device.device),
       revoke_us
FROM device"""

_RESTORED = "restored_us"


class Directory:
    """The open directory, with bounded caches before its file.

    Every method may raise StoreUnavailable: nothing was written.
    """

    def __init__(self, path: Path) -> None:
        """Open or make `directory.db`; Complaint if it cannot be used."""
        self._file = DirectoryFile(path)
        self.denied, self._pairings = DenyBook(self._file), PairingBook(self._file)
        self.merchants = MerchantBook(self._file)
        self._terminal_keys = LruCache[str, PublicKey](CACHED_ENTRIES)
        self._wallet_keys = LruCache[bytes, WalletKey](CACHED_ENTRIES)
        self._listeners: list[Callable[[str], None]] = []
        # Ended ones, too: by which clock they have is not known to be right.
        rows = self._file.rows("SELECT serial FROM certificate WHERE revoked")
        self._revoked = {int.from_bytes(serial, "big") for (serial,) in rows}
        rows = self._file.rows("SELECT coalesce(max(restore_us), 0) FROM restore")
        self._restore_us = max(int(rows[0][0]), int(self.setting(_RESTORED) or 0))
        self._known = set[int]()

    @property
    def file(self) -> DirectoryFile:
        """The open file, for the books that are kept in it besides (such as `holder_book`)."""
        return self._file

    def close(self) -> None:
        """Close the file; the directory can be opened again."""
        self._file.close()

    # What the switch asks at every payment.

    def merchant(self, merchant_id: str) -> Merchant | None:
        """Find a merchant that was not closed."""
        return self.merchants.find(merchant_id)

    def terminal_key(self, merchant_id: str, terminal_id: str) -> PublicKey | None:
        """Find the key that a terminal signs with now; None if unknown or revoked."""
        device = f"{AGENT}/{merchant_id}/{terminal_id}"
        found = self._terminal_keys.get(device)
        if found is not None:
            return found
        with self._file.lock:
            keys = [key for key in self.signing_keys(device) if not key.revoked]
            public_key = _sound(keys[0].public_key) if keys else None
            if public_key is None:
                return None
            return self._terminal_keys.put(device, public_key)

    def wallet_key(self, key_id: bytes) -> WalletKey | None:
        """Find the key of a phone by its id, also a revoked one; None if it was never enrolled."""
        found = self._wallet_keys.get(key_id)
        if found is not None:
            return found
        with self._file.lock:
            key = self.signing_key(key_id)
            public_key = _sound(key.public_key) if key is not None else None
            if key is None or public_key is None or not key.device.startswith(f"{PHONE}/"):
                return None
            _, (wallet_id, device_id) = parse_device(key.device)
            loaded = WalletKey(wallet_id, device_id, public_key, key.revoked)
            return self._wallet_keys.put(key_id, loaded)

    def is_revoked(self, serial: int) -> bool:
        """Tell whether the certificate of this serial number was revoked; from memory."""
        return serial in self._revoked

    def is_stray(self, device: str, serial: int, begin_us: int) -> bool:
        """Tell whether a restore lost a certificate, and its device is not good any more.

        What was issued after a backup cannot be revoked by its number once that is restored. So it
        is as good as its device is here: entered, not revoked, and not paired anew since.
        """
        if begin_us >= self._restore_us or serial in self._known:
            return False
        rows = self._file.rows(
            "SELECT 1 FROM certificate WHERE serial = ?", serial.to_bytes(SERIAL_BYTES, "big")
        )
        if rows:
            self._known.add(serial)
            return False
        entered = "SELECT 1 FROM device WHERE device = ? AND revoke_us IS NULL AND enroll_us <= ?"
        return not self._file.rows(entered, device, begin_us)

    def on_revoke(self, listener: Callable[[str], None]) -> None:
        """Have every device told some of whose certificates were revoked; from that thread."""
        self._listeners.append(listener)

    # Settings.

    def note_restored(self, now_us: int) -> None:
        """Note that the directory is that of a backup, as it lies restored from now on."""
        self.put_setting(_RESTORED, str(now_us))

    def setting(self, key: str) -> str | None:
        """Read a setting."""
        rows = self._file.rows("SELECT value FROM setting WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    def put_setting(self, key: str, value: str) -> None:
        """Write a setting."""
        self._file.rows("INSERT OR REPLACE INTO setting VALUES (?, ?)", key, value)

    # Devices, their keys and certificates.

    def signing_key(self, key_id: bytes) -> SigningKey | None:
        """Find any device's signing key by its id, also a revoked one."""
        rows = self._file.rows(
            "SELECT device, public_key, revoked FROM signing_key WHERE key_id = ?", key_id
        )
        return SigningKey(rows[0][0], rows[0][1], bool(rows[0][2])) if rows else None

    def signing_keys(self, device: str) -> list[SigningKey]:
        """List the keys that a device signs or signed with; at most one is not revoked."""
        rows = self._file.rows(
            "SELECT device, public_key, revoked FROM signing_key WHERE device = ?", device
        )
        return [SigningKey(row[0], row[1], bool(row[2])) for row in rows]

    def certificate(self, request_id: bytes) -> IssuedCertificate | None:
        """Find the certificate that was issued for a request."""
        rows = self._file.rows("SELECT * FROM certificate WHERE request_id = ?", request_id)
        return _certificate(rows[0]) if rows else None

    def add_certificate(self, certificate: IssuedCertificate) -> None:
        """Keep a further certificate of a device: a renewal."""
        self._file.rows(
            "INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            certificate.serial.to_bytes(SERIAL_BYTES, "big"),
            certificate.device,
            certificate.request_id,
            certificate.keys_hash,
            certificate.chain,
            certificate.merchant_certificate,
            certificate.expire_us,
        )

    def count_certificates(self, device: str, expire_us: int) -> int:
        """How many good certificates of a device end after a time."""
        rows = self._file.rows(
            "SELECT count(*) FROM certificate WHERE device = ? AND expire_us > ? AND NOT revoked",
            device,
            expire_us,
        )
        return int(rows[0][0])

    def while_good(self, serial: int) -> AbstractContextManager[None]:
        """A transaction for the caller with this certificate; CertificateRevoked."""
        return while_good(self._file, serial)

    def enroll(self, entry: DeviceEntry) -> bool:
        """Enter a device in one commit; what it had before is revoked.

        That is certificates, keys and credentials. False, and nothing was written, if the pairing
        code was withdrawn meanwhile.
        """
        device, certificate = entry.certificate.device, entry.certificate
        with self._file.transaction():
            if self._pairings.is_withdrawn(certificate.request_id):
                return False
            self._take_back(device, entry.enroll_us)
            self._file.rows(
                "UPDATE signing_key SET revoked = 1 WHERE device = ? AND key_id <> ?",
                device,
                entry.key_id,
            )
            if entry.public_key:
                self._file.rows(
                    "INSERT INTO signing_key VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
                    entry.key_id,
                    device,
                    entry.public_key,
                )
            self._file.rows(
                "INSERT OR REPLACE INTO device VALUES (?, ?, ?, NULL)",
                device,
                entry.software_version,
                entry.enroll_us,
            )
            self.add_certificate(certificate)
        return True

    def revoke(self, device: str, now_us: int) -> bool:
        """Revoke a device in one commit; False if it is unknown.

        With its certificates, keys, credentials and unused codes.
        """
        with self._file.transaction():
            known = self._file.rows(
                "UPDATE device SET revoke_us = coalesce(revoke_us, ?) WHERE device = ?"
                " RETURNING device",
                now_us,
                device,
            )
            self._file.rows("UPDATE signing_key SET revoked = 1 WHERE device = ?", device)
            self._pairings.withdraw(device)
            self._take_back(device, now_us)
        return bool(known)

    def device(self, device: str) -> Device | None:
        """Find a device by its path."""
        rows = self._file.rows(f"{_SELECT_DEVICE} WHERE device = ?", device)
        return Device(*rows[0]) if rows else None

    def devices(self, after: str, limit: int) -> list[Device]:
        """List devices in the order of their paths, from the one after a path; "" for all."""
        query = f"{_SELECT_DEVICE} WHERE device > ? ORDER BY device LIMIT ?"
        return [Device(*row) for row in self._file.rows(query, after, limit)]

    def _take_back(self, device: str, now_us: int) -> None:
        rows = self._file.rows(
            "UPDATE certificate SET revoked = 1 WHERE device = ? AND NOT revoked RETURNING serial",
            device,
        )
        serials = [int.from_bytes(serial, "big") for (serial,) in rows]
        self._file.after_commit(lambda: self._forget(device, serials))
        self.denied.add_certificates(device)
        self.denied.add_credentials(device)

    def _forget(self, device: str, serials: list[int]) -> None:
        self._terminal_keys.remove(device)
        for key in self.signing_keys(device):
            public_key = _sound(key.public_key)
            if public_key is not None:
                self._wallet_keys.remove(key_id_of(public_key))
        self._revoked.update(serials)
        for listener in self._listeners:
            listener(device)


def _sound(raw: bytes) -> PublicKey | None:
    # What a former release enrolled may be a key that anybody can sign for: then there is none.
    try:
        return load_public_key(raw)
    except DocumentMalformed:
        return None


def _certificate(row: tuple[Any, ...]) -> IssuedCertificate:
    serial, *columns, _revoked = row
    return IssuedCertificate(int.from_bytes(serial, "big"), *columns)

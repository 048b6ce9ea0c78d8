"""The standing of a caller: whatever is issued to it is written only while its certificate is good.

A call that passed the guard may still be at work when its device is revoked or paired anew. So the
transaction that writes what is issued asks again; either it ends before the revocation, which then
takes that back as well, or it issues nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from server.shards.directory_file import DirectoryFile

SERIAL_BYTES = 20


class CertificateRevoked(Exception):
    """The caller's certificate was revoked meanwhile; nothing was written."""


def good_certificate(file: DirectoryFile, device: str, now_us: int) -> int | None:
    """The serial number of a device's newest certificate that is good now; None if none is."""
    rows = file.rows(
        "SELECT serial FROM certificate WHERE device = ? AND expire_us > ? AND NOT revoked"
        " ORDER BY expire_us DESC LIMIT 1",
        device,
        now_us,
    )
    return int.from_bytes(rows[0][0], "big") if rows else None


@contextmanager
def while_good(file: DirectoryFile, serial: int) -> Iterator[None]:
    """A transaction for the holder of the certificate with this serial number.

    CertificateRevoked; StoreUnavailable.
    """
    with file.transaction():
        if file.rows(
            "SELECT 1 FROM certificate WHERE serial = ? AND revoked",
            serial.to_bytes(SERIAL_BYTES, "big"),
        ):
            raise CertificateRevoked
        yield

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

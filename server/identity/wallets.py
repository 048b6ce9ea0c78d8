"""Wallets: their names, and the signed certificates that tell a payer whose bill it is.

Methods may run in any thread.
"""

from __future__ import annotations

from collections.abc import Callable

from kessai.envelope import WALLET_CERTIFICATE, sign
from kessai.plain_text import TextError, check_text
from kessai.v1.bill_pb2 import WalletCertificate
from kessai.v1.envelope_pb2 import Signed
from server.identity.callers import Caller
from server.identity.keyring import Keyring
from server.identity.refusals import CertificateRefused, FieldRefused
from server.shards.directory import Directory
from server.shards.wallet_book import WalletBook

LIFETIME_US = 30 * 24 * 3600 * 1_000_000
MAX_DISPLAY_NAME = 40


class Wallets:
    """Names wallets, and certifies their phones' signing keys."""

    def __init__(self, directory: Directory, keyring: Keyring, now_us: Callable[[], int]) -> None:
        self._directory, self._book = directory, WalletBook(directory.file)
        self._keyring, self._now_us = keyring, now_us

    def put_name(self, wallet_id: str, display_name: str) -> None:
        """Enter the name that people see; FieldRefused if it is none."""
        try:
            check_text(display_name, MAX_DISPLAY_NAME)
        except TextError as error:
            raise FieldRefused("phone.display_name", str(error)) from None
        self._book.put_name(wallet_id, display_name)

    def certify(self, caller: Caller) -> Signed:
        """Certify the key that a phone signs with now.

        CertificateRefused or CertificateRevoked if it was revoked: none is dated later than that.
        """
        with self._directory.while_good(caller.serial):
            keys = [key for key in self._directory.signing_keys(caller.device) if not key.revoked]
            if not keys:
                raise CertificateRefused("this phone was revoked; ask the operator")
            now_us = self._now_us()
        wallet_id = caller.path[0]
        certificate = WalletCertificate(
            wallet_id=wallet_id,
            display_name=self._book.name(wallet_id),
            wallet_public_key=keys[0].public_key,
        )
        certificate.issue_time.FromMicroseconds(now_us)
        certificate.expire_time.FromMicroseconds(now_us + LIFETIME_US)
        return sign(WALLET_CERTIFICATE, certificate, self._keyring.signing_key)

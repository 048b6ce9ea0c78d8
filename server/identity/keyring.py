"""The switch's own secrets, each in a file of mode 0600 in `<data>/identity`.

The signing key signs receipts and merchant certificates (Ed25519); the sealing key opens what
phones seal to the switch (X25519); from the pairing secret the pairing codes and the handles of
wallets are derived. Made by `kessai init`, read once at start.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kessai.complaint import Complaint
from kessai.durable_file import make_folder, write_durably
from kessai.holder import WALLET_HANDLE_BYTES

_SIGNING, _SEALING, _PAIRING = "signing.key", "sealing.key", "pairing.secret"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keyring:
    """The switch's keys."""

    signing_key: Ed25519PrivateKey
    sealing_key: X25519PrivateKey
    pairing_secret: bytes

    @classmethod
    def create(cls, folder: Path, random_bytes: Callable[[int], bytes]) -> Keyring:
        """Make the keys and write them; Complaint if there are some, since they guard documents."""
        make_folder(folder)
        for name in (_SIGNING, _SEALING, _PAIRING):
            if (folder / name).exists():
                raise Complaint(f"{folder / name} already exists; nothing was changed.")
        for name in (_SIGNING, _SEALING, _PAIRING):
            write_durably(folder / name, random_bytes(_SECRET_BYTES).hex().encode(), private=True)
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> Keyring:
        """Read the keys; Complaint if one is missing or damaged."""
        signing, sealing, pairing = (
            _read_secret(folder / name) for name in (_SIGNING, _SEALING, _PAIRING)
        )
        return cls(
            Ed25519PrivateKey.from_private_bytes(signing),
            X25519PrivateKey.from_private_bytes(sealing),
            pairing,
        )

    def pairing_code(self, request_id: bytes) -> bytes:
        """Derive the 16 bytes of the pairing code that a request gets, each time the same."""
        digest = hmac.digest(
            self.pairing_secret, b"kessai/pairing/v1\0" + request_id, hashlib.sha256
        )
        return digest[:16]

    def wallet_handle(self, wallet_id: str, period: int) -> bytes:
        """The 16 bytes by which terminals recognise a wallet in a period of 30 days.

        Who has not this key learns neither the wallet from it nor another period's handle.
        """
        said = b"kessai/wallet-handle/v1\0" + period.to_bytes(8, "big") + wallet_id.encode()
        return hmac.digest(self.pairing_secret, said, hashlib.sha256)[:WALLET_HANDLE_BYTES]


def _read_secret(path: Path) -> bytes:
    try:
        secret = bytes.fromhex(path.read_text())
    except (OSError, ValueError) as error:
        raise Complaint(
            f"The switch's key {path} cannot be read ({error}): restore it from a backup. "
            "Without it no terminal trusts this switch's receipts."
        ) from None
    if len(secret) != _SECRET_BYTES:
        raise Complaint(f"The switch's key {path} is damaged: restore it from a backup.")
    return secret

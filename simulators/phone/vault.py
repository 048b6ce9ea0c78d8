"""The phone's vault: its signing key, under the customer's PIN.

The key (P-256, what secure elements offer) lies encrypted under Argon2id of the PIN. Every try is
counted, and the count is on the disk, before the PIN is checked; after five wrong ones in a row the
vault stays locked, whatever is entered, also after a restart. A real phone has a secure element
do this, so that nobody can copy the files and guess at leisure; files can be copied, so this one
shows the behaviour and not the strength. Used by `wallet` and, at pairing, by `cli` (row B1).

The customer may also let small amounts pass without a PIN (rows B3, B4): a second copy of the key,
tied to its limit, opens without one. There too a real phone's secure element keeps the limit.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from kessai.complaint import Complaint
from kessai.durable_file import write_durably
from kessai.envelope import raw_public_key
from kessai.json_file import read_json
from kessai.money import Money, MoneyError

MAX_TRIES = 5
MIN_PIN_DIGITS, MAX_PIN_DIGITS = 4, 12

# OWASP's least for Argon2id: 19 MiB, two passes, one lane; about 30 ms.
_MEMORY_KIB, _PASSES, _LANES = 19 * 1024, 2, 1
_SALT_BYTES, _NONCE_BYTES = 16, 12
_VAULT_FILE, _TRIES_FILE, _SMALL_FILE = "vault.json", "pin_tries", "small_amounts.json"


class WrongPin(Exception):
    """The PIN is wrong; `tries_left` says how often another one may be tried."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"wrong PIN, {tries_left} tries left")
        self.tries_left = tries_left


class VaultLocked(Exception):
    """The PIN was wrong too often; the right one does not open the vault any more."""

    def __init__(self) -> None:
        super().__init__("the PIN was wrong too often, and no PIN opens it any more")


class Vault:
    """The vault in a phone's folder."""

    def __init__(self, folder: Path) -> None:
        """Open the vault that `create` made; Complaint if there is none, or it is damaged."""
        self._tries_path, self._small_path = folder / _TRIES_FILE, folder / _SMALL_FILE
        try:
            content = read_json(folder / _VAULT_FILE)
            self._salt, self._nonce, self._sealed, self._public = (
                bytes.fromhex(content[name]) for name in ("salt", "nonce", "key", "public")
            )
            if (len(self._salt), len(self._nonce)) != (_SALT_BYTES, _NONCE_BYTES):
                raise ValueError("salt or nonce has another length")
        except FileNotFoundError:
            raise Complaint(f"There is no wallet in {folder}: pair the phone first.") from None
        except (ValueError, KeyError, TypeError):
            raise Complaint(
                f"The vault in {folder} is damaged. The money is safe with the bank: "
                "pair the phone again, into another folder."
            ) from None

    @classmethod
    def create(cls, folder: Path, pin: str, random_bytes: Callable[[int], bytes]) -> Vault:
        """Make a new signing key and lock it away; Complaint if the PIN is not 4 to 12 digits."""
        _check_pin(pin)
        key = ec.generate_private_key(ec.SECP256R1())
        public = raw_public_key(key.public_key())
        salt, nonce = random_bytes(_SALT_BYTES), random_bytes(_NONCE_BYTES)
        raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        sealed = ChaCha20Poly1305(_stretch(pin, salt)).encrypt(nonce, raw, public)
        content = {"salt": salt, "nonce": nonce, "key": sealed, "public": public}
        text = json.dumps({name: value.hex() for name, value in content.items()})
        write_durably(folder / _TRIES_FILE, b"", private=True)
        write_durably(folder / _VAULT_FILE, text.encode(), private=True)
        return cls(folder)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Tell whether a vault was made in this folder."""
        return (folder / _VAULT_FILE).exists()

    @property
    def tries_left(self) -> int:
        """How many PINs may still be tried; 0 when the vault is locked, or the count is gone."""
        try:
            return max(0, MAX_TRIES - self._tries_path.stat().st_size)
        except FileNotFoundError:
            return 0

    @property
    def public_key(self) -> bytes:
        """The raw public key, 65 bytes: the uncompressed point of P-256."""
        return self._public

    def unlock(self, pin: str) -> ec.EllipticCurvePrivateKey:
        """Give the signing key; WrongPin, or VaultLocked when it was the last try or none is left.

        One try at a time, over all processes: parallel guesses count like any others.
        """
        with self._counted_try() as settle:
            key = self._open(pin)
            if key is not None:
                settle()
                return key
            tries_left = self.tries_left  # while nobody else can try
        if tries_left == 0:
            raise VaultLocked
        raise WrongPin(tries_left)

    @property
    def small_limit(self) -> Money | None:
        """Up to which amount no PIN is needed, where the merchant allows it; None: never."""
        try:
            return Money.parse(*read_json(self._small_path)["limit"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # not set, or damaged: then the PIN is needed

    def allow_small(self, pin: str, limit: Money, random_bytes: Callable[[int], bytes]) -> None:
        """Need no PIN up to a limit from now on; raises what `unlock` does, and MoneyError."""
        if limit.minor <= 0:
            raise MoneyError("the limit must be more than zero")
        key, secret, nonce = self.unlock(pin), random_bytes(32), random_bytes(12)
        words = [limit.decimal(), limit.currency]
        raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        sealed = ChaCha20Poly1305(secret).encrypt(nonce, raw, "".join(words).encode())
        content = {"secret": secret, "nonce": nonce, "key": sealed}
        text = json.dumps({"limit": words} | {k: value.hex() for k, value in content.items()})
        write_durably(self._small_path, text.encode(), private=True)

    def forbid_small(self) -> None:
        """Need the PIN for every amount from now on."""
        self._small_path.unlink(missing_ok=True)

    def open_small(self, amount: Money) -> ec.EllipticCurvePrivateKey | None:
        """Give the signing key for an amount that needs no PIN; None if this one needs it.

        A vault that is locked stays so.
        """
        limit = self.small_limit
        if limit is None or self.tries_left == 0:
            return None
        if limit.currency != amount.currency or amount.minor > limit.minor:
            return None
        try:
            content = read_json(self._small_path)
            secret, nonce, sealed = (bytes.fromhex(content[k]) for k in ("secret", "nonce", "key"))
            words = "".join(content["limit"]).encode()
            return _load(ChaCha20Poly1305(secret).decrypt(nonce, sealed, words))
        except (InvalidTag, OSError, ValueError, KeyError, TypeError):
            return None  # damaged, or the limit in the file is not the one that the customer set

    @contextmanager
    def _counted_try(self) -> Iterator[Callable[[], None]]:
        """Count a try durably, a byte each; the callable wipes the count after a right PIN."""
        try:
            descriptor = os.open(self._tries_path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            raise VaultLocked from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if self.tries_left == 0:
                raise VaultLocked
            os.write(descriptor, b".")
            os.fsync(descriptor)

            def settle() -> None:
                os.ftruncate(descriptor, 0)
                os.fsync(descriptor)

            yield settle
        finally:
            os.close(descriptor)

    def _open(self, pin: str) -> ec.EllipticCurvePrivateKey | None:
        try:
            cipher = ChaCha20Poly1305(_stretch(pin, self._salt))
            raw = cipher.decrypt(self._nonce, self._sealed, self._public)
        except InvalidTag:
            return None
        return _load(raw)


def _load(raw: bytes) -> ec.EllipticCurvePrivateKey | None:
    key = load_der_private_key(raw, password=None)
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _check_pin(pin: str) -> None:
    is_number = pin.isascii() and pin.isdigit()
    if not is_number or not MIN_PIN_DIGITS <= len(pin) <= MAX_PIN_DIGITS:
        raise Complaint("A PIN has 4 to 12 digits. Nothing was made; choose another one.")


def _stretch(pin: str, salt: bytes) -> bytes:
    return hash_secret_raw(pin.encode(), salt, _PASSES, _MEMORY_KIB, _LANES, 32, Type.ID)

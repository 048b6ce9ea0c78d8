"""Holders: certifies phones' holder keys, and takes credentials back.

A credential names no person and no account; which they are stands in the directory. A phone that is
revoked or paired anew loses its credentials: they go on the deny list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kessai.envelope import (
    HOLDER_CREDENTIAL,
    DocumentMalformed,
    SignatureInvalid,
    load_public_key,
    sign,
    verify_bytes,
)
from kessai.holder import (
    CREDENTIAL_ID_BYTES,
    CREDENTIAL_LIFETIME_US,
    WALLET_HANDLE_PERIOD_US,
    key_proof_input,
)
from kessai.identity_path import is_name, parse_device
from kessai.money import Money
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.holder_pb2 import HolderCredential
from server.domain.directory import DenyKind, HolderEntry
from server.identity.callers import Caller
from server.identity.certificates import DAY_US
from server.identity.deny_list import DenyList
from server.identity.keyring import Keyring
from server.identity.refusals import DailyLimitReached, FieldRefused, RequestIdReused
from server.shards.deny_book import FOR_EVER
from server.shards.holder_book import HolderBook

USUAL_CATEGORY = "adult"
CREDENTIALS_A_DAY = 48

_CATEGORY = re.compile(r"[a-z0-9_]{1,20}")
_KEY_BYTES = 65


@dataclass(frozen=True, slots=True)
class KeyToCertify:
    """What a phone asks for; the fields of IssueCredentialRequest, the account as a number."""

    request_id: bytes
    holder_key: bytes
    proof: bytes
    account: int


class Holders:
    """Issues and takes back credentials. Methods may run in any thread."""

    def __init__(
        self,
        book: HolderBook,
        deny_list: DenyList,
        keyring: Keyring,
        now_us: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        credentials_a_day: int = CREDENTIALS_A_DAY,
    ) -> None:
        self._book, self._deny_list, self._keyring = book, deny_list, keyring
        self._now_us, self._random_bytes = now_us, random_bytes
        self._credentials_a_day = credentials_a_day

    def issue(self, caller: Caller, asked: KeyToCertify, offline_limit: Money | None) -> Signed:
        """Certify a phone's holder key; a repeated request gets the same credential.

        FieldRefused (the key, or the proof that the phone holds it, is no good; or it is another
        phone's key), RequestIdReused, DailyLimitReached, CertificateRevoked (meanwhile). That the
        account is the wallet's own, the servicer has checked.
        """
        device = caller.device
        with self._book.while_good(caller.serial):
            issued = self._book.issued_for(asked.request_id)
            if issued is None:
                self._check(device, asked)
                self._require_room(device)
                issued = self._book.add(self._certify(device, asked, offline_limit))
        said = (device, asked.holder_key, asked.account)
        if (issued.device, issued.holder_key, issued.account) != said:
            raise RequestIdReused
        return Signed.FromString(issued.signed)

    def find(self, credential_id: bytes) -> HolderEntry | None:
        """Find a credential that was issued and not taken back; it may have expired."""
        entry = self._book.find(credential_id)
        if entry is None or self._deny_list.is_denied(DenyKind.CREDENTIAL, credential_id):
            return None
        return entry

    def issued(self, credential_id: bytes) -> HolderEntry | None:
        """Find a credential that was issued, also one that was taken back or has expired."""
        return self._book.find(credential_id)

    def take_back(self, device: str, issued_until_us: int | None = None) -> None:
        """Deny the credentials that a phone was issued until a time, or ever, at every terminal."""
        until_us = FOR_EVER
        if issued_until_us is not None:
            until_us = issued_until_us + CREDENTIAL_LIFETIME_US
        self._deny_list.deny_credentials(device, until_us)

    def deny(self, entry: HolderEntry) -> None:
        """Deny one credential."""
        self._deny_list.deny(DenyKind.CREDENTIAL, entry.credential_id, entry.expire_us)

    def set_rider_category(self, wallet_id: str, category: str) -> None:
        """Say which fares a wallet's phones pay; it stands in the next credential. FieldRefused."""
        if not is_name(wallet_id):
            raise FieldRefused("wallet_id", 'not 1 to 40 of a-z, 0-9 and "-"')
        if _CATEGORY.fullmatch(category) is None:
            raise FieldRefused("rider_category", 'not 1 to 20 of a-z, 0-9 and "_"')
        self._book.put_rider_category(wallet_id, category)

    def _check(self, device: str, asked: KeyToCertify) -> None:
        if len(asked.holder_key) != _KEY_BYTES:  # before the costlier look at it
            raise FieldRefused("holder_public_key", "a holder key is a P-256 point")
        try:
            key = load_public_key(asked.holder_key)
            verify_bytes(key_proof_input(asked.request_id), asked.proof, key)
        except DocumentMalformed as error:
            raise FieldRefused("holder_public_key", str(error)) from None
        except SignatureInvalid as error:
            raise FieldRefused("holder_key_proof", str(error)) from None
        if self._book.owner_of_key(asked.holder_key) not in (None, device):
            raise FieldRefused("holder_public_key", "this key is another phone's; make a new one")

    def _require_room(self, device: str) -> None:
        since_us = self._now_us() - DAY_US + CREDENTIAL_LIFETIME_US
        if self._book.count(device, since_us) >= self._credentials_a_day:
            raise DailyLimitReached(
                f"this phone has had {self._credentials_a_day} credentials in a day; the last one "
                "stays good. Try again tomorrow"
            )

    def _certify(
        self, device: str, asked: KeyToCertify, offline_limit: Money | None
    ) -> HolderEntry:
        _, (wallet_id, _) = parse_device(device)
        now_us = self._now_us()
        expire_us, period = now_us + CREDENTIAL_LIFETIME_US, now_us // WALLET_HANDLE_PERIOD_US
        credential = HolderCredential(
            credential_id=self._random_bytes(CREDENTIAL_ID_BYTES),
            holder_public_key=asked.holder_key,
            rider_category=self._book.rider_category(wallet_id) or USUAL_CATEGORY,
            wallet_handle=self._keyring.wallet_handle(wallet_id, period),
            former_wallet_handle=self._keyring.wallet_handle(wallet_id, period - 1),
        )
        if offline_limit is not None:
            credential.offline_limit.CopyFrom(offline_limit.to_proto())
        credential.issue_time.FromMicroseconds(now_us)
        credential.expire_time.FromMicroseconds(expire_us)
        signed = sign(HOLDER_CREDENTIAL, credential, self._keyring.signing_key)
        return HolderEntry(
            credential.credential_id,
            asked.request_id,
            device,
            asked.account,
            asked.holder_key,
            signed.SerializeToString(),
            expire_us,
        )

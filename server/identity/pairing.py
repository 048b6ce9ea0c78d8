"""Pairing codes on the switch's side: made for an operator, presented once by a device.

A code is derived from a secret and the operator's request_id, so a lost answer can be asked for
again, and only its hash is kept. It lasts ten minutes and stands five wrong tries. An address has
ten wrong guesses a minute; how others guess keeps nobody from being paired.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable

from kessai.identity_path import AGENT, parse_device
from kessai.pairing_code import HANDLE_BYTES, PairingCodeError, format_code, parse_code
from server.domain.directory import PairingGrant
from server.identity.guess_limit import GuessLimit
from server.identity.keyring import Keyring
from server.identity.refusals import (
    FieldRefused,
    PairingRefused,
    RequestIdReused,
    Unknown,
)
from server.shards.directory import Directory
from server.shards.pairing_book import PairingBook

LIFETIME_US = 600_000_000
TRIES = 5
MAX_ACCOUNTS = 20


class PairingDesk:
    """Hands out pairing codes and takes them in."""

    def __init__(self, directory: Directory, keyring: Keyring, now_us: Callable[[], int]) -> None:
        self._directory, self._book = directory, PairingBook(directory.file)
        self._keyring = keyring
        self._now_us = now_us
        self._guesses = GuessLimit(now_us)
        self._lock = threading.Lock()

    def hand_out(
        self, request_id: bytes, device: str, accounts: tuple[int, ...] = ()
    ) -> tuple[str, int]:
        """Make the code of a request; gives it for people to read, and when it ends.

        FieldRefused, Unknown (no such merchant), RequestIdReused (for another device).
        """
        kind, names = parse_device(device)
        if kind == AGENT and self._directory.merchant(names[0]) is None:
            raise Unknown(f'there is no merchant "{names[0]}"')
        if len(accounts) > MAX_ACCOUNTS:
            raise FieldRefused("phone.account_numbers", f"more than {MAX_ACCOUNTS}")
        raw = self._keyring.pairing_code(request_id)
        grant = PairingGrant(
            request_id,
            handle=raw[:HANDLE_BYTES],
            code_hash=_hash(raw),
            device=device,
            accounts=accounts,
            expire_us=self._now_us() + LIFETIME_US,
        )
        stored = self._book.add(grant)
        if (stored.device, stored.accounts) != (device, accounts):
            raise RequestIdReused
        return format_code(raw), stored.expire_us

    def take_in(self, code: str, address: str) -> PairingGrant:
        """Find what a code grants, which came from an address.

        A wrong one is counted, durably, before it is answered, whether or not there is a code that
        begins so: the answer takes as long.

        PairingRefused if it is wrong, expired or was tried too often; TooManyGuesses.
        Whether it was used the caller sees from the certificate of its request_id.
        """
        with self._lock:
            self._guesses.require_room(address)
            grant = self._find(code)
            if grant is None:
                self._guesses.count(address)
                raise PairingRefused
        return grant

    def _find(self, code: str) -> PairingGrant | None:
        try:
            raw = parse_code(code)
        except PairingCodeError:
            return None
        handle, code_hash = raw[:HANDLE_BYTES], _hash(raw)
        for grant in self._book.with_handle(handle):
            if hmac.compare_digest(grant.code_hash, code_hash):
                in_time = self._now_us() < grant.expire_us
                return grant if in_time and grant.wrong_tries < TRIES else None
        self._book.count_wrong_try(handle)
        return None


def _hash(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()

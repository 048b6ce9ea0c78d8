"""The deny list: what terminals turn away while they cannot ask, and who hears of it at once.

Credentials of revoked phones are told to every terminal; tickets that were revoked or paid back,
and certificates of revoked terminals, to the terminals of their own merchant. Versions count over
all merchants, so a terminal's version may grow without an entry. An entry is no longer told a day
after what it denies expired.
"""

from __future__ import annotations

from collections.abc import Callable

from kessai.holder import CREDENTIAL_LIFETIME_US
from server.domain.directory import DenyEntry, DenyKind
from server.shards.deny_book import EVERYBODY, DenyBook

PAGE = 1000


class DenyList:
    """What is denied. Methods may run in any thread, but for those that say otherwise."""

    def __init__(self, book: DenyBook, now_us: Callable[[], int]) -> None:
        self._book, self._now_us = book, now_us
        self._listeners: set[Callable[[], None]] = set()
        book.on_change(self._tell)

    def deny(
        self, kind: DenyKind, entry_id: bytes, expire_us: int, merchant_id: str = EVERYBODY
    ) -> None:
        """Deny something until it would have expired anyway; durable, then told. Again: nothing.

        It is told to the terminals of one merchant, or to everybody's.
        """
        self._book.add(kind, entry_id, expire_us, merchant_id)

    def deny_credentials(self, device: str, until_us: int) -> None:
        """Deny a phone's credentials that expire at a time or before."""
        self._book.add_credentials(device, until_us)

    def deny_credentials_of_account(self, account: int, issued_until_us: int) -> None:
        """Deny the credentials that were issued for an account until a time."""
        until_us = issued_until_us + CREDENTIAL_LIFETIME_US
        self._book.add_credentials_of_account(account, until_us)

    def is_denied(self, kind: DenyKind, entry_id: bytes) -> bool:
        """Whether something was denied, to whomever."""
        return self._book.holds(kind, entry_id)

    def page_after(self, version: int, merchant_id: str) -> tuple[list[DenyEntry], int]:
        """What is new for a merchant's terminals after a version, and the version that it makes.

        At most PAGE entries. A version that there never was is of entries that a restore lost: all
        is new then.
        """
        newest = self._book.version()  # read first: what is denied meanwhile belongs to the next
        version = version if version <= newest else 0
        entries = self._book.after(version, merchant_id, self._now_us(), PAGE)
        if len(entries) == PAGE:
            return entries, entries[-1].version
        return entries, max([newest, *(entry.version for entry in entries)])

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Have a listener called, from any thread, after every change; what ends it comes back."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

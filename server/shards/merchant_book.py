"""Merchants in the directory: who is paid at its terminals, and on which account.

Every method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from kessai.money import Money
from server.domain.directory import Merchant
from server.shards.directory_file import DirectoryFile
from server.shards.lru import LruCache

CACHED_MERCHANTS = 65_536

_SHOWN = 5


class MerchantBook:
    """The table `merchant`, with a bounded cache before it. What it wrote is durable."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file
        self._merchants = LruCache[str, Merchant](CACHED_MERCHANTS)

    def find(self, merchant_id: str) -> Merchant | None:
        """Find a merchant that was not closed."""
        found = self._merchants.get(merchant_id)
        if found is not None:
            return found
        with self._file.lock:
            kept = self.kept(merchant_id)
            if kept is None or kept.close_us is not None:
                return None
            return self._merchants.put(merchant_id, kept)

    def kept(self, merchant_id: str) -> Merchant | None:
        """Find a merchant, also one that was closed."""
        rows = self._file.rows("SELECT * FROM merchant WHERE merchant_id = ?", merchant_id)
        return _merchant(*rows[0]) if rows else None

    def add(self, merchant: Merchant) -> Merchant:
        """Enter a merchant; gives back what stands there, the older one if the id was taken."""
        limit = merchant.unverified_limit
        with self._file.lock:
            self._file.rows(
                "INSERT INTO merchant VALUES (?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING",
                merchant.merchant_id,
                merchant.display_name,
                merchant.category_code,
                merchant.account,
                limit.minor if limit else None,
                limit.currency if limit else None,
            )
            return self.kept(merchant.merchant_id) or merchant

    def replace(self, merchant: Merchant) -> None:
        """Give a merchant other properties."""
        limit = merchant.unverified_limit
        self._file.rows(
            "UPDATE merchant SET display_name = ?, category_code = ?, account = ?,"
            " limit_minor = ?, limit_currency = ? WHERE merchant_id = ?",
            merchant.display_name,
            merchant.category_code,
            merchant.account,
            limit.minor if limit else None,
            limit.currency if limit else None,
            merchant.merchant_id,
        )
        self._file.after_commit(lambda: self._merchants.remove(merchant.merchant_id))

    def close(self, merchant_id: str, now_us: int) -> None:
        """Close a merchant, and make its unused pairing codes void; within a transaction."""
        self._file.rows(
            "UPDATE merchant SET close_us = coalesce(close_us, ?) WHERE merchant_id = ?",
            now_us,
            merchant_id,
        )
        self._file.rows(
            "UPDATE pairing_code SET expire_us = 0 WHERE device GLOB ?", f"agent/{merchant_id}/*"
        )
        self._file.after_commit(lambda: self._merchants.remove(merchant_id))

    def terminals(self, merchant_id: str) -> list[str]:
        """Up to five terminals of a merchant that were not revoked."""
        rows = self._file.rows(
            "SELECT device FROM device WHERE device GLOB ? AND revoke_us IS NULL LIMIT ?",
            f"agent/{merchant_id}/*",
            _SHOWN,
        )
        return [device for (device,) in rows]

    def page(self, after: str, limit: int) -> list[Merchant]:
        """List merchants by id, after an id; "" for all."""
        rows = self._file.rows(
            "SELECT * FROM merchant WHERE merchant_id > ? ORDER BY merchant_id LIMIT ?",
            after,
            limit,
        )
        return [_merchant(*row) for row in rows]


def _merchant(
    merchant_id: str,
    name: str,
    category: str,
    account: int,
    minor: int | None,
    code: str | None,
    close_us: int | None,
) -> Merchant:
    limit = Money(minor, code) if minor is not None and code is not None else None
    return Merchant(merchant_id, name, category, account, limit, close_us)

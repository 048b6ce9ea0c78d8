"""The offers of tickets, in the directory: a merchant's offer by its id; its terms never change.

Read by the switch when tickets are ordered, from memory; written by an operator's call. Every
method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from kessai.v1.ticket_pb2 import TicketOffer
from server.shards.directory_file import DirectoryFile
from server.shards.lru import LruCache

CACHED_OFFERS = 4096

_PAGE, _SHOWN = 500, 5


class Kept(NamedTuple):
    """An offer, and whether it was withdrawn."""

    offer: TicketOffer
    is_withdrawn: bool

    def is_on_sale(self, now_us: int) -> bool:
        """Whether it is sold."""
        return not self.is_withdrawn and self.offer.valid_until_time.ToMicroseconds() > now_us


class TicketOffers:
    """The table `ticket_offer`. What it wrote is durable when it returns."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file
        self._offers = LruCache[tuple[str, str], TicketOffer](CACHED_OFFERS)

    def add(self, offer: TicketOffer) -> TicketOffer | None:
        """Keep an offer; what is on sale under its id comes back, None if that was withdrawn."""
        self._file.rows(
            "INSERT INTO ticket_offer VALUES (?, ?, ?, NULL) ON CONFLICT DO NOTHING",
            offer.merchant_id,
            offer.offer_id,
            offer.SerializeToString(deterministic=True),
        )
        return self.find(offer.merchant_id, offer.offer_id)

    def withdraw(self, merchant_id: str, offer_id: str, now_us: int) -> bool:
        """Take an offer off the market, again with no effect; False if there is none such."""
        rows = self._file.rows(
            "UPDATE ticket_offer SET withdraw_us = coalesce(withdraw_us, ?)"
            " WHERE merchant_id = ? AND offer_id = ? RETURNING offer_id",
            now_us,
            merchant_id,
            offer_id,
        )
        self._file.after_commit(lambda: self._offers.remove((merchant_id, offer_id)))
        return bool(rows)

    def find(self, merchant_id: str, offer_id: str) -> TicketOffer | None:
        """Find a merchant's offer that was not withdrawn."""
        found = self._offers.get((merchant_id, offer_id))
        if found is not None:
            return found
        with self._file.lock:
            rows = self._file.rows(
                "SELECT body FROM ticket_offer"
                " WHERE merchant_id = ? AND offer_id = ? AND withdraw_us IS NULL",
                merchant_id,
                offer_id,
            )
            if not rows:
                return None
            return self._offers.put((merchant_id, offer_id), TicketOffer.FromString(rows[0][0]))

    def page(self, merchant_id: str, after: str, limit: int) -> list[Kept]:
        """List a merchant's offers by id, after an id; "": from the first."""
        rows = self._file.rows(
            "SELECT body, withdraw_us FROM ticket_offer"
            " WHERE merchant_id = ? AND offer_id > ? ORDER BY offer_id LIMIT ?",
            merchant_id,
            after,
            limit,
        )
        return [Kept(TicketOffer.FromString(body), at is not None) for body, at in rows]

    def all_of(self, merchant_id: str, after: str = "") -> Iterator[Kept]:
        """Walk a merchant's offers by id, after an id."""
        while page := self.page(merchant_id, after, _PAGE):
            yield from page
            after = page[-1].offer.offer_id

    def on_sale(self, merchant_id: str, now_us: int) -> list[str]:
        """Up to five offers of a merchant that are sold."""
        sold = (k.offer.offer_id for k in self.all_of(merchant_id) if k.is_on_sale(now_us))
        return list(islice(sold, _SHOWN))

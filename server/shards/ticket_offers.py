"""The offers of tickets, in the directory: a merchant's offer by its id, which never changes.

Read by the switch when tickets are ordered, from memory; written by an operator's call. Every
method may raise StoreUnavailable: nothing was written.
"""

from __future__ import annotations

from kessai.v1.ticket_pb2 import TicketOffer
from server.shards.directory_file import DirectoryFile
from server.shards.lru import LruCache

CACHED_OFFERS = 4096


class TicketOffers:
    """The table `ticket_offer`. What it wrote is durable when it returns."""

    def __init__(self, file: DirectoryFile) -> None:
        self._file = file
        self._offers = LruCache[tuple[str, str], TicketOffer](CACHED_OFFERS)

    def add(self, offer: TicketOffer) -> TicketOffer:
        """Keep an offer; what stands there comes back, the older one if the id was taken."""
        self._file.rows(
            "INSERT INTO ticket_offer VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            offer.merchant_id,
            offer.offer_id,
            offer.SerializeToString(deterministic=True),
        )
        return self.find(offer.merchant_id, offer.offer_id) or offer

    def find(self, merchant_id: str, offer_id: str) -> TicketOffer | None:
        """Find a merchant's offer."""
        found = self._offers.get((merchant_id, offer_id))
        if found is not None:
            return found
        rows = self._file.rows(
            "SELECT body FROM ticket_offer WHERE merchant_id = ? AND offer_id = ?",
            merchant_id,
            offer_id,
        )
        if not rows:
            return None
        return self._offers.put((merchant_id, offer_id), TicketOffer.FromString(rows[0][0]))

    def of_merchant(self, merchant_id: str) -> list[TicketOffer]:
        """List a merchant's offers by their ids."""
        rows = self._file.rows(
            "SELECT body FROM ticket_offer WHERE merchant_id = ? ORDER BY offer_id", merchant_id
        )
        return [TicketOffer.FromString(body) for (body,) in rows]

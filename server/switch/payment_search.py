"""Looking payments up for operators: by id, or by a merchant's order."""

from __future__ import annotations

from dataclasses import dataclass

from kessai.envelope import read_verified
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.payment_pb2 import PaymentEvidence, PaymentRequest
from server.domain.command import CommandKind
from server.shards.router import Shards
from server.shards.settlement_log import LogRow
from server.switch.outcomes import Found, Outcomes, asked_in
from server.switch.refused import refusing_store_trouble

MOST_FOUND = 100

# Rows that are looked through in one read, so that nobody else waits long for the reader.
_CHUNK = 20_000
_OF_ORDERS = (CommandKind.SETTLE_PAYMENT, CommandKind.PLACE_HOLD)


@dataclass(frozen=True, slots=True)
class Sought:
    """A payment that was found: its row, who asked, its order, and its receipt as it stands."""

    found: Found
    order_id: str
    receipt: Signed


class PaymentSearch:
    """Finds payments in the logs of all shards."""

    def __init__(self, shards: Shards, outcomes: Outcomes) -> None:
        self._shards, self._outcomes = shards, outcomes

    async def by_id(self, payment_id: bytes) -> list[Sought]:
        """The payment with an id, if there is one; raises Unavailable, Overloaded."""
        with refusing_store_trouble():
            found = await self._shards.find(payment_id)
        return [one for one in [await self._seen(*found)] if one] if found else []

    async def by_order(self, merchant_id: str, order_id: str) -> list[Sought]:
        """The payments of an order, newest first, at most MOST_FOUND; raises Unavailable."""
        # As it stands in the document, so that the store finds it without reading documents.
        needle = PaymentRequest(order_id=order_id).SerializeToString()
        sought: list[Sought] = []
        for shard in range(len(self._shards)):
            with refusing_store_trouble():
                last = await self._shards.shard(shard).read(lambda reader: reader.last_sequence())
            while last > 0 and len(sought) < MOST_FOUND:
                rows = await self._rows(shard, needle, last)
                for row in rows:
                    one = await self._seen(shard, row)
                    if one and _is_of(row, merchant_id, order_id):
                        sought.append(one)
                last -= _CHUNK
        sought.sort(key=lambda one: one.found.row.book_us, reverse=True)
        return sought[:MOST_FOUND]

    async def _rows(self, shard: int, needle: bytes, last: int) -> list[LogRow]:
        with refusing_store_trouble():
            return await self._shards.shard(shard).read(
                lambda reader: reader.rows_holding(needle, last - _CHUNK, last)
            )

    async def _seen(self, shard: int, row: LogRow) -> Sought | None:
        asked = asked_in(row)
        if asked is None:
            return None
        found = Found(shard, row, asked)
        return Sought(found, _order_of(row), await self._outcomes.now(found))


def _is_of(row: LogRow, merchant_id: str, order_id: str) -> bool:
    request = _request_in(row)
    return request is not None and (request.merchant_id, request.order_id) == (
        merchant_id,
        order_id,
    )


def _order_of(row: LogRow) -> str:
    request = _request_in(row)
    return request.order_id if request else ""


def _request_in(row: LogRow) -> PaymentRequest | None:
    if row.kind not in _OF_ORDERS:
        return None
    return read_verified(PaymentEvidence.FromString(row.body).payment_request, PaymentRequest)

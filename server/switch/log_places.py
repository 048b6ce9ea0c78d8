"""What stands in the log where receipts say that they stand, and whether it is still the same.

Only who holds a receipt of this switch learns a hash, and only that of its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kessai.envelope import RECEIPT, EnvelopeError, open_signed
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.fleet_pb2 import ROLLBACK_KIND_LOG
from kessai.v1.ledger_pb2 import (
    LOG_PLACE_STATE_ABSENT,
    LOG_PLACE_STATE_LOST,
    LOG_PLACE_STATE_PRESENT,
    LogPlace,
)
from kessai.v1.payment_pb2 import Receipt
from server.identity.refusals import FieldRefused
from server.identity.rollback_alarms import RollbackAlarms
from server.shards.router import Shards
from server.shards.tie_book import Restore

MAX_RECEIPTS = 16


class LogPlaces:
    """Looks places up, and raises the alarm where the log differs from what was signed.

    What was lost in one of the `restores`, which an operator accepted, is told and no alarm.
    """

    def __init__(
        self,
        shards: Shards,
        switch_key: Ed25519PublicKey,
        alarms: RollbackAlarms,
        restores: Sequence[Restore] = (),
    ) -> None:
        self._shards, self._switch_key, self._alarms = shards, switch_key, alarms
        self._restores = restores

    async def look(self, device: str, receipts: Sequence[Signed]) -> list[LogPlace]:
        """What stands there, in the same order; FieldRefused if a receipt is not this switch's."""
        if not 1 <= len(receipts) <= MAX_RECEIPTS:
            raise FieldRefused("receipts", f"not 1 to {MAX_RECEIPTS}")
        read = await asyncio.to_thread(lambda: [self._read(each) for each in receipts])
        places = [await self._look(receipt) for receipt in read]
        for receipt, place in zip(read, places, strict=True):
            position = receipt.log_position
            if place.state == LOG_PLACE_STATE_LOST:
                self._alarms.tell_accepted(device, position.sequence, position.shard)
            elif place.chain_hash != position.chain_hash:
                self._alarms.sound(device, ROLLBACK_KIND_LOG, position.sequence, position.shard)
                return places
        self._alarms.end(device, ROLLBACK_KIND_LOG)
        return places

    def _read(self, signed: Signed) -> Receipt:
        try:
            receipt = open_signed(signed, RECEIPT, self._switch_key, Receipt.FromString)
        except EnvelopeError as error:
            raise FieldRefused("receipts", str(error)) from None
        if receipt.log_position.sequence < 1:
            raise FieldRefused("receipts", "one has no log position")
        return receipt

    async def _look(self, receipt: Receipt) -> LogPlace:
        at = receipt.log_position
        place = LogPlace(state=LOG_PLACE_STATE_ABSENT)
        if at.shard < len(self._shards):
            rows = await self._shards.shard(at.shard).read(
                lambda reader: reader.rows_after(at.sequence - 1, 1)
            )
            if rows and rows[0].sequence == at.sequence:
                place = LogPlace(state=LOG_PLACE_STATE_PRESENT, chain_hash=rows[0].chain_hash)
        return place if place.chain_hash == at.chain_hash else self._lost(receipt) or place

    def _lost(self, receipt: Receipt) -> LogPlace | None:
        """What to tell of a row that an accepted restore has lost; None if none has.

        That is one after those that were kept, which was decided before the restore.
        """
        at, settle_us = receipt.log_position, receipt.settle_time.ToMicroseconds()
        for restore in self._restores:
            kept = restore.sequences.get(at.shard, 0)
            if at.sequence > kept and settle_us < restore.restore_us:
                place = LogPlace(state=LOG_PLACE_STATE_LOST, kept_sequence=kept)
                place.restore_time.FromMicroseconds(restore.restore_us)
                return place
        return None

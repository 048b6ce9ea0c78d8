"""The fare of a ride: a payment of which a ride has one at most, over all shards.

The ride is named by its carrier and its admission, so nobody else's payment can stand for it. Only
the holder who entered pays, from the account of his credential (`server/switch/fares.py`), so the
ride's document has one home: that account's shard.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from server.domain.command import CommandKind, State
from server.domain.payment import SettlePayment

_RIDE = b"kessai/ride/v1\0"


def ride_id(carrier: str, admission: bytes) -> bytes:
    """Name a ride of a merchant's by its admission (16 bytes): 32 bytes."""
    return hashlib.sha256(b"".join((_RIDE, carrier.encode(), b"\0", admission))).digest()


@dataclass(slots=True)
class SettleFare(SettlePayment):
    """A fare that is settled at once; `carrier` is the merchant. Declines: those of AgreedPayment.

    Until 2026-12 a fare was a SettlePayment, and any payment with its admission could be it.
    """

    kind = CommandKind.SETTLE_FARE

    carrier: str = ""

    @property
    def ride(self) -> bytes:
        """The id of the ride's document: the carrier's own."""
        return ride_id(self.carrier, self.admission)

    def documents(self) -> tuple[bytes, ...]:
        """The ride, also by the name that it had before."""
        return self.ride, self.admission

    def is_ride_paid(self, state: State) -> bool:
        """Whether this payer paid the ride before; by its former name, too."""
        former = state.documents.get(self.admission)
        is_former = former is not None and former.account == self.payer
        return is_former or self.ride in state.documents

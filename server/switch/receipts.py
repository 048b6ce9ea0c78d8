"""Receipts: what became of a payment, signed by the switch.

A receipt is a view of a row of the settlement log, so the same payment has the same receipt for
ever. A decline that never reached the log has one without a log position.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kessai.currency import BY_NUMBER
from kessai.envelope import RECEIPT, sign
from kessai.v1 import payment_pb2
from kessai.v1.envelope_pb2 import Signed
from kessai.v1.money_pb2 import Money
from kessai.v1.payment_pb2 import LogPosition, Receipt
from server.domain.command import ACCEPTED, CommandKind
from server.shards.settlement_log import LogRow
from server.switch.documents import Declined

# What a row did, if it is not a payment that was settled at once.
_OUTCOMES = {
    CommandKind.PLACE_HOLD: payment_pb2.PAYMENT_OUTCOME_HELD,
    CommandKind.CAPTURE_HOLD: payment_pb2.PAYMENT_OUTCOME_SETTLED,
    CommandKind.VOID_HOLD: payment_pb2.PAYMENT_OUTCOME_VOIDED,
    CommandKind.EXPIRE_HOLD: payment_pb2.PAYMENT_OUTCOME_EXPIRED,
}
_ENDS_A_HOLD = (CommandKind.CAPTURE_HOLD, CommandKind.VOID_HOLD, CommandKind.EXPIRE_HOLD)


class Receipts:
    """Writes receipts with the switch's signing key."""

    def __init__(self, signing_key: Ed25519PrivateKey) -> None:
        self._signing_key = signing_key

    def for_row(self, shard: int, row: LogRow, request_payload: bytes) -> Signed:
        """Write the receipt of a payment from the row that decided it, or that ended its hold."""
        receipt = Receipt(
            request_id=row.body if row.kind in _ENDS_A_HOLD else row.request_id,
            request_hash=hashlib.sha256(request_payload).digest(),
            outcome=(
                _OUTCOMES.get(CommandKind(row.kind), payment_pb2.PAYMENT_OUTCOME_SETTLED)
                if row.decline == ACCEPTED
                else payment_pb2.PAYMENT_OUTCOME_DECLINED
            ),
            decline_reason=row.decline,
            amount=Money(amount_minor=row.amount, currency_code=BY_NUMBER[row.ledger].code),
            log_position=LogPosition(shard=shard, sequence=row.sequence, chain_hash=row.chain_hash),
        )
        receipt.settle_time.FromMicroseconds(row.time.decide_us)
        return sign(RECEIPT, receipt, self._signing_key)

    def for_declined(self, request_id: bytes, request_payload: bytes, declined: Declined) -> Signed:
        """Write the receipt of a payment whose documents do not hold; the same each time.

        It says no amount of a request that was not verified: the switch signs nobody's claims.
        """
        receipt = Receipt(
            request_id=request_id,
            request_hash=hashlib.sha256(request_payload).digest(),
            outcome=payment_pb2.PAYMENT_OUTCOME_DECLINED,
            decline_reason=declined.reason,
            decline_detail=declined.detail,
            amount=declined.asked,
        )
        return sign(RECEIPT, receipt, self._signing_key)

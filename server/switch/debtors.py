"""Debtors: who paid at a terminal that was cut off, and had no money when the payment came.

The terminal trusted the phone's credential, and the merchant has the loss; so the credential is
taken back, and terminals turn the phone away until the switch certifies it again. Told of every log
row by `server/bootstrap.py`, on the thread that writes; works on a thread of its own. A crash in
between forgets one debtor, until his next payment is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from kessai.envelope import read_verified
from kessai.identity_path import PHONE
from kessai.v1 import decline_pb2 as d
from kessai.v1.payment_pb2 import PaymentEvidence, PaymentRequest
from server.domain.command import CommandKind
from server.identity.holders import Holders
from server.shards.directory import Directory
from server.shards.settlement_log import LogRow


class Debtors:
    """Takes credentials back."""

    def __init__(self, directory: Directory, holders: Holders) -> None:
        self._directory, self._holders = directory, holders
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="debtors")

    def on_written(self, shard: int, rows: Sequence[LogRow]) -> None:
        """Take note of what a shard has written."""
        for row in rows:
            if row.decline == d.DECLINE_REASON_INSUFFICIENT_FUNDS:
                self._thread.submit(self._look_at, row)

    def close(self) -> None:
        """Deal with what was noted, then stop."""
        self._thread.shutdown()

    def _look_at(self, row: LogRow) -> None:
        if row.kind != CommandKind.SETTLE_PAYMENT:
            return
        evidence = PaymentEvidence.FromString(row.body)
        request = read_verified(evidence.payment_request, PaymentRequest)
        was_in_time = row.time.decide_us < request.expire_time.ToMicroseconds()
        if was_in_time or not request.HasField("deferred_expire_time"):
            return  # the terminal may have asked first, and handed over nothing
        key = self._directory.wallet_key(evidence.authorization.key_id)
        if key is not None:
            self._holders.take_back(f"{PHONE}/{key.wallet_id}/{key.device_id}")

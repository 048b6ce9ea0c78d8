"""Settling a bill from one person to another (row B5).

Built by `server/switch/bills.py` once all signatures were verified, and from the log.

    movement                        debit         credit
    payee on the payer's shard      payer         payee
    payee on another shard          payer         in transit    and an outbox row; then there:
                                    in transit    payee         (`arrival.py`)
"""

from __future__ import annotations

from dataclasses import dataclass

from kessai.v1 import account_pb2
from server.domain.command import CommandKind
from server.domain.payment import SettlePayment


@dataclass(slots=True)
class SettleBill(SettlePayment):
    """A bill whose documents are authentic and agree. Declines: those of AgreedPayment."""

    kind = CommandKind.SETTLE_BILL

    @property
    def entry_kind(self) -> account_pb2.EntryKind.ValueType:
        """What statements call it."""
        return account_pb2.ENTRY_KIND_BILL

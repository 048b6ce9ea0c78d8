"""Payees: whether a merchant's account exists, and in which currency it is kept.

Neither changes once it is so, so what was found is remembered. Used by `register_purchase.py`.
"""

from __future__ import annotations

from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import ACCEPTED
from server.shards.router import Shards
from server.switch.refused import refusing_store_trouble

REMEMBERED = 100_000


class Payees:
    """The currencies of payees' accounts."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._ledgers: dict[int, int] = {}

    async def refusal(self, account_id: int, ledger: int) -> DeclineReason.ValueType:
        """Tell why an account cannot be paid in a currency: unknown, other currency, or ACCEPTED.

        Raises Unavailable, Overloaded.
        """
        kept_in = self._ledgers.get(account_id) or await self._look_up(account_id)
        if kept_in is None:
            return d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
        return ACCEPTED if kept_in == ledger else d.DECLINE_REASON_CURRENCY_MISMATCH

    async def _look_up(self, account_id: int) -> int | None:
        with refusing_store_trouble():
            account = await self._shards.account(account_id)
        if account is None:
            return None
        if len(self._ledgers) >= REMEMBERED:
            self._ledgers.clear()
        self._ledgers[account_id] = account.ledger
        return account.ledger

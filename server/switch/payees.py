"""Payees: whether a merchant's account exists, is open, and in which currency it is kept.

What was found is remembered for some seconds: another switch may close the account meanwhile. What
is paid to it until then reaches suspense, if its payer is on another shard; his own shard declines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kessai.v1 import decline_pb2 as d
from kessai.v1.decline_pb2 import DeclineReason
from server.domain.command import ACCEPTED
from server.shards.router import Shards
from server.switch.refused import refusing_store_trouble

REMEMBERED, REMEMBERED_S = 100_000, 5.0


class _Payee(NamedTuple):
    """What is remembered of an account, and until when."""

    ledger: int
    until_s: float


class Payees:
    """What payees' accounts can take. `elapsed_s` counts seconds and is never set."""

    def __init__(self, shards: Shards, elapsed_s: Callable[[], float]) -> None:
        self._shards, self._elapsed_s = shards, elapsed_s
        self._payees: dict[int, _Payee] = {}

    async def refusal(self, account_id: int, ledger: int) -> DeclineReason.ValueType:
        """Why an account cannot be paid in a currency: unknown, closed, in another; or ACCEPTED.

        Raises Unavailable, Overloaded.
        """
        payee, now_s = self._payees.get(account_id), self._elapsed_s()
        if payee is not None and payee.until_s > now_s:
            return _decline(payee.ledger, ledger)
        if payee is not None:  # one looks again; who comes meanwhile goes by what was
            self._payees[account_id] = payee._replace(until_s=now_s + REMEMBERED_S)
        with refusing_store_trouble():
            account = await self._shards.account(account_id)
        if account is None or account.is_closed:
            self._payees.pop(account_id, None)
            unknown = d.DECLINE_REASON_PAYEE_ACCOUNT_UNKNOWN
            return unknown if account is None else d.DECLINE_REASON_ACCOUNT_CLOSED
        if len(self._payees) >= REMEMBERED:
            self._payees.clear()
        self._payees[account_id] = _Payee(account.ledger, now_s + REMEMBERED_S)
        return _decline(account.ledger, ledger)


def _decline(kept_in: int, ledger: int) -> DeclineReason.ValueType:
    return ACCEPTED if kept_in == ledger else d.DECLINE_REASON_CURRENCY_MISMATCH

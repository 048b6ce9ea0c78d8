"""Holds whose time is over are released by the shard itself, also after a stop over that time.

Started by `server/bootstrap.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import structlog

from server.domain.history import finish_input_hash
from server.domain.hold import ExpireHold
from server.ledger.transfer import Hold
from server.shards.lane import LaneClosed
from server.shards.router import Shards
from server.shards.store import Reader

_EVERY_S = 1.0
_AT_ONCE = 512

log = structlog.get_logger("holds")


class HoldExpiry:
    """Looks every second for pending holds that are due, and releases them."""

    def __init__(self, shards: Shards, now_us: Callable[[], int]) -> None:
        self._shards = shards
        self._now_us = now_us
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def release_due(self) -> int:
        """Release what is due now in every shard; how many holds were looked at."""
        count, now_us = 0, self._now_us()

        def due_holds(reader: Reader) -> list[Hold]:
            return reader.due_holds(now_us, _AT_ONCE)

        for number in range(len(self._shards)):
            shard = self._shards.shard(number)
            due = await shard.read(due_holds)
            await asyncio.gather(*(shard.submit(_expiry(hold, now_us)) for hold in due))
            count += len(due)
        return count

    async def _run(self) -> None:
        while True:
            try:
                await self.release_due()
            except LaneClosed:
                return
            except Exception as error:  # whatever it is, the next look tries again
                log.warning("holds wait", why=str(error) or type(error).__name__)
            await asyncio.sleep(_EVERY_S)


def expiry_id(hold_id: int, now_us: int) -> bytes:
    """Give the id under which a hold expires: a UUIDv9 of its own time, never a request's.

    Each look has another id: a clock that went back declines one look, and not all that follow.
    """
    raw = hold_id.to_bytes(16, "big")
    digest = hashlib.sha256(raw + now_us.to_bytes(8, "big")).digest()
    return raw[:6] + bytes((digest[6] & 0x0F | 0x90,)) + digest[7:16]


def _expiry(hold: Hold, now_us: int) -> ExpireHold:
    body = hold.id.to_bytes(16, "big")
    return ExpireHold(
        request_id=expiry_id(hold.id, now_us),
        input_hash=finish_input_hash(body, hold.amount),
        payer=hold.debit_account_id,
        payee=hold.payee,
        amount=hold.amount,
        ledger=hold.ledger,
        body=body,
    )

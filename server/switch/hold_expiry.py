"""Holds whose time is over are released by the switch itself, also after a stop over that time.

Each shard is looked at by itself, and each hold is released by itself, where its payer is now: a
shard that is away, or a slot that moves, holds up only its own. Started by `server/bootstrap.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import structlog

from kessai.decline import name_of
from kessai.request_id import format_request_id
from kessai.v1 import decline_pb2 as d
from server.domain.command import ACCEPTED
from server.domain.history import finish_input_hash
from server.domain.hold import ExpireHold
from server.ledger.transfer import Hold
from server.shards.router import Shards
from server.switch.background import Background

_EVERY_S = 1.0
_AT_ONCE = 512

# A look waits no longer for its slowest hold; that one goes on, and the next look leaves it alone.
_PATIENCE_S = 1.0

_SECOND_US = 1_000_000
_LONGEST_REST_US = 10 * _SECOND_US
_UNDER_WAY = 2**63

log = structlog.get_logger("holds")


class HoldExpiry:
    """Looks at every shard each second for pending holds that are due, and releases them."""

    def __init__(self, shards: Shards, now_us: Callable[[], int]) -> None:
        self._shards = shards
        self._now_us = now_us
        self._background = Background(log)
        # By shard and hold: those that are not to be tried before a time.
        self._not_before: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._releasing: set[asyncio.Task[str]] = set()

    def start(self) -> None:
        """Begin, in the running event loop."""
        for shard in range(len(self._shards)):
            self.add(shard)

    def add(self, shard: int) -> None:
        """Begin with one shard."""
        self._background.keep("holds wait", partial(self._look, shard), shard=shard)

    async def close(self) -> None:
        """Stop looking."""
        await self._background.close()
        for task in self._releasing:
            task.cancel()
        await asyncio.gather(*self._releasing, return_exceptions=True)

    async def release_due(self) -> int:
        """Release what is due now in every shard, as far as it can be; how many were tried."""
        return sum([await self.release_due_in(shard) for shard in range(len(self._shards))])

    async def release_due_in(self, shard: int) -> int:
        """Release what is due now in a shard, as far as it can be; how many holds were tried."""
        now_us, not_before = self._now_us(), self._not_before[shard]
        limit = _AT_ONCE + len(not_before)
        due = await self._shards.shard(shard).read(lambda reader: reader.due_holds(now_us, limit))
        wanted = [hold for hold in due if not_before.get(hold.id, 0) <= now_us]
        self._forget_all_but(shard, due)
        tasks = {asyncio.create_task(self._release(shard, h, now_us)): h for h in wanted}
        self._releasing |= tasks.keys()
        for task in tasks:
            task.add_done_callback(self._releasing.discard)
        if tasks:
            done, slow = await asyncio.wait(tasks, timeout=_PATIENCE_S)
            troubles = [trouble for task in done if (trouble := task.result())]
            _tell(shard, troubles + [f"{_name(tasks[task])}: its slot is moving" for task in slow])
        return len(wanted)

    async def _look(self, shard: int) -> None:
        await self.release_due_in(shard)
        await asyncio.sleep(_EVERY_S)

    async def _release(self, shard: int, hold: Hold, now_us: int) -> str:
        """Release a hold; "", or what is in its way: then it rests for as long as it is late."""
        not_before = self._not_before[shard]
        not_before[hold.id] = _UNDER_WAY
        rest_us = min(max(now_us - hold.expire_us, _SECOND_US), _LONGEST_REST_US)
        try:
            row = await self._shards.submit(_expiry(hold, now_us))
        except Exception as error:
            return f"{_name(hold)}: {str(error) or type(error).__name__}"
        finally:
            not_before[hold.id] = now_us + rest_us
        if row.decline in (ACCEPTED, d.DECLINE_REASON_HOLD_NOT_PENDING):
            return ""  # released, or finished by somebody else, or the clock went back
        return f"{_name(hold)}: {name_of(row.decline)}"

    def _forget_all_but(self, shard: int, due: list[Hold]) -> None:
        ids, not_before = {hold.id for hold in due}, self._not_before[shard]
        for hold_id in not_before.keys() - ids:
            if not_before[hold_id] != _UNDER_WAY:
                del not_before[hold_id]


def expiry_id(hold: Hold, now_us: int) -> bytes:
    """Give the id under which a hold expires: a UUIDv9 of its own time, never a request's.

    It follows from the hold and from how often its delay has doubled since it was due. So switches
    that look at the same time ask for the same, what was decided before a slot moved is found, and
    an answer that turns out wrong, such as of a clock that went back, is not the last one.
    """
    raw = hold.id.to_bytes(16, "big")
    doublings = max((now_us - hold.expire_us) // _SECOND_US, 0).bit_length()
    digest = hashlib.sha256(raw + doublings.to_bytes(8, "big")).digest()
    return raw[:6] + bytes((digest[6] & 0x0F | 0x90,)) + digest[7:16]


def _expiry(hold: Hold, now_us: int) -> ExpireHold:
    body = hold.id.to_bytes(16, "big")
    return ExpireHold(
        request_id=expiry_id(hold, now_us),
        input_hash=finish_input_hash(body, hold.amount),
        payer=hold.debit_account_id,
        payee=hold.payee,
        amount=hold.amount,
        ledger=hold.ledger,
        body=body,
    )


def _name(hold: Hold) -> str:
    return f"hold {format_request_id(hold.id.to_bytes(16, 'big'))}"


def _tell(shard: int, troubles: list[str]) -> None:
    if troubles:
        log.warning("holds wait", shard=shard, count=len(troubles), why=troubles[0])

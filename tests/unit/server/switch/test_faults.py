"""A command that raises what nobody foresaw fails alone, and says under which number."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from kessai.request_id import format_request_id
from kessai.v1 import error_pb2
from server.domain.command import Decision, State
from server.domain.payment import SettlePayment
from server.switch.settle import Outcome
from tests.unit.server.domain.commands import pay
from tests.unit.server.shards.parts import Clock, shards_in
from tests.unit.server.switch.test_settle import FAR, HERE, opened


@dataclass(slots=True)
class Broken(SettlePayment):
    """A payment whose decision raises."""

    def decide(self, state: State, now_us: int) -> Decision:
        """Raise what nobody foresaw."""
        raise OverflowError("planted")


async def test_the_others_are_answered(tmp_path: Path) -> None:
    """Those of other shards; what failed says under which number, and is not taken for reused."""
    with shards_in(tmp_path, 2) as shards:
        settle = await opened(shards, Clock())
        sound, other = pay(FAR, HERE, 5), pay(HERE, FAR, 5)
        broken = Broken(*(getattr(other, field.name) for field in fields(other)))
        told: dict[int, Outcome] = {}
        async for group in settle.in_groups([(broken, False), (sound, False)]):
            told |= dict(group)
    assert isinstance(told[1], tuple)
    failed = told[0]
    if isinstance(failed, tuple):  # a shard may decline by itself what raises in it
        assert failed[1].decline
        return
    assert failed.reason == error_pb2.ERROR_REASON_INTERNAL
    assert format_request_id(broken.request_id) in str(failed)

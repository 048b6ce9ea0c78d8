"""Flow control: so many at once, answers as they come, and nothing is read that finds no room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from server.rpc.flow import side_by_side

LIMIT_S = 60.0


class Desk:
    """Hands out numbers as requests, and answers each twice once its gate is open."""

    def __init__(self, count: int = 100) -> None:
        self.read, self.now, self.most = 0, 0, 0
        self.gates = [asyncio.Event() for _ in range(count)]
        self.cancelled: list[int] = []
        self.changed = asyncio.Event()

    async def requests(self) -> AsyncIterator[int]:
        """Give 0, 1, 2, ...; count what was read."""
        for number in range(len(self.gates)):
            self.read = number + 1
            self.changed.set()
            yield number

    def work(self, number: int) -> AsyncIterator[str]:
        """Refuse 13 at once; answer the others when they may."""
        if number == 13:
            raise ValueError("13")
        return self._answers(number)

    async def _answers(self, number: int) -> AsyncIterator[str]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.gates[number].wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.now -= 1
        if number == 7:
            raise ZeroDivisionError
        yield f"{number}a"
        yield f"{number}b"

    async def until_read(self, count: int) -> None:
        """Wait until so many requests were read."""
        while self.read < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), LIMIT_S)


async def collect(answers: AsyncIterator[str]) -> list[str]:
    """All answers, in the order in which they came."""
    return [answer async for answer in answers]


async def test_so_many_are_worked_at_once_and_no_more_are_read() -> None:
    """The next is read when one is answered; answers need not keep the order."""
    desk = Desk(10)
    collecting = asyncio.create_task(collect(side_by_side(desk.requests(), desk.work, 3)))
    await desk.until_read(3)
    await asyncio.sleep(0)
    assert (desk.read, desk.now) == (3, 3)
    desk.gates[1].set()
    await desk.until_read(4)
    for gate in desk.gates[2:7]:
        gate.set()
    desk.gates[0].set()
    for gate in desk.gates:
        gate.set()
    with pytest.raises(ExceptionGroup):  # number 7 is a fault of ours
        await asyncio.wait_for(collecting, LIMIT_S)
    assert desk.most == 3


async def test_all_are_answered_before_the_end() -> None:
    desk = Desk(6)
    for gate in desk.gates:
        gate.set()
    answers = await asyncio.wait_for(collect(side_by_side(desk.requests(), desk.work, 2)), LIMIT_S)
    assert sorted(answers) == sorted(f"{number}{half}" for number in range(6) for half in "ab")


async def test_a_caller_who_does_not_read_is_not_read_from() -> None:
    """Answers that nobody takes fill the room of new requests."""
    desk = Desk()
    for gate in desk.gates:
        gate.set()
    desk.gates[7].clear()
    answers = side_by_side(desk.requests(), desk.work, 2)
    assert await anext(answers) == "0a"
    for _ in range(50):
        await asyncio.sleep(0)
    assert desk.read <= 6
    await answers.aclose()


async def test_a_bad_request_ends_it_after_what_was_read_before() -> None:
    desk = Desk(20)
    desk.gates[7].clear()
    for number in (*range(7), *range(8, 13)):
        desk.gates[number].set()
    collected: list[str] = []

    async def requests() -> AsyncIterator[int]:
        for number in (11, 12, 13, 14):
            yield number

    async def collect_all() -> None:
        async for answer in side_by_side(requests(), desk.work, 4):
            collected.append(answer)

    with pytest.raises(ValueError, match="13"):
        await asyncio.wait_for(collect_all(), LIMIT_S)
    assert sorted(collected) == ["11a", "11b", "12a", "12b"]


async def test_who_is_cut_off_leaves_nothing_under_way() -> None:
    """All work is cancelled, and has ended when the stream has."""
    desk = Desk(5)
    collecting = asyncio.create_task(collect(side_by_side(desk.requests(), desk.work, 3)))
    await desk.until_read(3)
    await asyncio.sleep(0)
    collecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await collecting
    assert sorted(desk.cancelled) == [0, 1, 2]
    assert desk.now == 0

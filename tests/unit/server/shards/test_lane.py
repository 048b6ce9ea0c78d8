"""The lane: groups fill while it is busy; each job gets its own answer, or says why not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from server.shards.lane import Lane, LaneClosed, LaneFull

LIMIT_S = 60.0
Work = Callable[[list[int]], list[int | Exception]]


class Gate:
    """Work that waits until it is let go; it doubles, and refuses 13."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.busy, self.open = threading.Event(), threading.Event()

    def work(self, group: list[int]) -> list[int | Exception]:
        """Answer a group."""
        self.busy.set()
        assert self.open.wait(LIMIT_S)
        self.groups.append(group)
        if 666 in group:
            raise ArithmeticError("the whole group")
        return [ValueError("13") if job == 13 else job * 2 for job in group]


async def busy_lane(gate: Gate, group_limit: int = 10, waiting_limit: int = 100) -> Lane[int, int]:
    """A lane that is at work on 0 and does not end before the gate opens."""
    lane = Lane[int, int]("test", gate.work, group_limit, waiting_limit)
    lane.submit(0)
    assert await asyncio.to_thread(gate.busy.wait, LIMIT_S)
    return lane


async def test_an_idle_lane_works_at_once_and_a_busy_one_in_groups() -> None:
    gate = Gate()
    lane = await busy_lane(gate)
    jobs = [lane.submit(job) for job in range(20, 45)]
    gate.open.set()
    async with asyncio.timeout(LIMIT_S):
        assert await asyncio.gather(*jobs) == [job * 2 for job in range(20, 45)]
    assert [len(group) for group in gate.groups] == [1, 10, 10, 5]
    assert [job for group in gate.groups for job in group] == [0, *range(20, 45)]
    lane.close()


async def test_an_exception_is_for_its_own_job() -> None:
    gate = Gate()
    lane = await busy_lane(gate)
    jobs = [lane.submit(job) for job in (1, 13, 2)]
    gate.open.set()
    async with asyncio.timeout(LIMIT_S):
        answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert answers[::2] == [2, 4]
    assert isinstance(answers[1], ValueError)
    lane.close()


async def test_work_that_fails_fails_its_group_and_no_other() -> None:
    gate = Gate()
    lane = await busy_lane(gate, group_limit=2)
    jobs = [lane.submit(job) for job in (1, 666, 2)]
    gate.open.set()
    async with asyncio.timeout(LIMIT_S):
        answers = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ArithmeticError, ArithmeticError, int]
    lane.close()


async def test_jobs_of_one_hand_over_are_answered_together() -> None:
    """In order, with the exception of one among them, beside a job that came alone."""
    gate = Gate()
    lane = await busy_lane(gate)
    together, alone, none = lane.submit_all([1, 13, 2]), lane.submit(7), lane.submit_all([])
    gate.open.set()
    async with asyncio.timeout(LIMIT_S):
        first, second, third = await together
        assert (first, third, await alone, await none) == (2, 4, 14, [])
    assert isinstance(second, ValueError)
    assert gate.groups == [[0], [1, 13, 2, 7]]
    lane.close()


async def test_a_hand_over_for_which_there_is_no_room_is_refused_as_a_whole() -> None:
    """What waits is counted by jobs, however many come at once."""
    gate = Gate()
    lane = await busy_lane(gate, waiting_limit=3)
    with pytest.raises(LaneFull):
        lane.submit_all([1, 2, 3, 4])
    together = lane.submit_all([1, 2])
    with pytest.raises(LaneFull):
        lane.submit_all([3, 4])
    alone = lane.submit(3)
    with pytest.raises(LaneFull):
        lane.submit(4)
    gate.open.set()
    async with asyncio.timeout(LIMIT_S):
        assert [*await together, await alone] == [2, 4, 6]
        assert list(await lane.submit_all([4, 5, 6])) == [8, 10, 12]
    lane.close()


async def test_work_that_fails_is_the_answer_of_each_job_of_a_hand_over() -> None:
    gate = Gate()
    gate.open.set()
    lane = Lane[int, int]("test", gate.work)
    async with asyncio.timeout(LIMIT_S):
        answers = await lane.submit_all([1, 666])
    assert [type(answer) for answer in answers] == [ArithmeticError, ArithmeticError]
    lane.close()


async def test_a_full_lane_takes_no_more() -> None:
    gate = Gate()
    lane = await busy_lane(gate, waiting_limit=3)
    jobs = [lane.submit(job) for job in (1, 2, 3)]
    with pytest.raises(LaneFull):
        lane.submit(4)
    gate.open.set()
    async with asyncio.timeout(LIMIT_S):
        assert await asyncio.gather(*jobs) == [2, 4, 6]
        assert await lane.submit(5) == 10
    lane.close()


async def test_a_closed_lane_ends_what_it_has_and_takes_no_more() -> None:
    gate = Gate()
    lane = await busy_lane(gate)
    job = lane.submit(1)
    gate.open.set()
    lane.close()
    lane.close()
    with pytest.raises(LaneClosed):
        lane.submit(2)
    async with asyncio.timeout(LIMIT_S):
        assert await job == 2


async def test_a_job_whose_caller_left_is_done_all_the_same() -> None:
    """Cancelled is not undone: the others get their answers, and nothing breaks."""
    gate = Gate()
    lane = await busy_lane(gate)
    left, stays = lane.submit(1), lane.submit(2)
    left.cancel()
    gate.open.set()
    async with asyncio.timeout(LIMIT_S):
        assert await stays == 4
    assert left.cancelled()
    assert [job for group in gate.groups for job in group] == [0, 1, 2]
    lane.close()

"""Turns: in turn by owner, never more at once, and nothing lost when somebody leaves."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from server.switch.turns import Turns

LIMIT_S = 60.0


async def test_one_owners_many_do_not_stand_before_anothers_one() -> None:
    turns, order = Turns(1), list[str]()

    async def piece(owner: str) -> None:
        async with turns.turn(owner):
            order.append(owner)
            await asyncio.sleep(0)

    many = [asyncio.create_task(piece("many")) for _ in range(2000)]
    await asyncio.sleep(0)
    one = asyncio.create_task(piece("one"))
    await asyncio.wait_for(asyncio.gather(one, *many), LIMIT_S)
    assert order.index("one") <= 5
    assert len(order) == 2001


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=40),
    st.integers(1, 6),
)
def test_never_more_at_once_and_nothing_is_lost(
    pieces: list[tuple[str, int, bool]], at_once: int
) -> None:
    """Whoever leaves while he waits or works, the others get their turns."""

    async def play() -> None:
        turns, now, done = Turns(at_once), 0, 0

        async def work(owner: str, size: int) -> None:
            nonlocal now, done
            async with turns.turn(owner, size):
                now += min(size, at_once)
                assert now <= at_once
                try:
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                finally:
                    now -= min(size, at_once)
                done += 1

        tasks = [asyncio.create_task(work(owner, size)) for owner, size, _ in pieces]
        for task, (_, _, leaves) in zip(tasks, pieces, strict=True):
            if leaves:
                await asyncio.sleep(0)
                task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), LIMIT_S)
        assert done >= sum(not leaves for *_, leaves in pieces)
        async with asyncio.timeout(LIMIT_S), turns.turn("last", at_once):
            assert now == 0

    asyncio.run(play())

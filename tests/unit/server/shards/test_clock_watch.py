"""The clock watch: a step stops booking, slewing does not, and both clocks may be anything."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from server.shards.clock_watch import STEP_LIMIT_S, ClockJumped, ClockWatch
from tests.unit.server.domain.commands import NOW_US
from tests.unit.server.shards.parts import Clock

SECOND_US, HOUR_US = 1_000_000, 3_600_000_000
LIMIT_US = STEP_LIMIT_S * SECOND_US


class Clocks:
    """A wall clock and one that counts, and the watch that compares them."""

    def __init__(self) -> None:
        self.wall, self.elapsed = Clock(), Clock(5_000_000)
        self.watch = ClockWatch(self.wall, self.elapsed)

    def go_on(self, elapsed_us: int, wall_us: int | None = None) -> None:
        """Let time go by, for the wall clock as much if nothing else is said."""
        self.elapsed.us += elapsed_us
        self.wall.us += elapsed_us if wall_us is None else wall_us

    @property
    def books(self) -> bool:
        """Whether something may be booked, by the wall clock as it is."""
        try:
            assert self.watch.booking_us() == self.wall.us
        except ClockJumped:
            return False
        return True


def test_time_that_goes_by_is_no_jump() -> None:
    """Be it a year at once, as while the machine slept."""
    clocks = Clocks()
    for elapsed_us in (0, 1, SECOND_US, HOUR_US, 365 * 24 * HOUR_US):
        clocks.go_on(elapsed_us)
        assert clocks.books


@pytest.mark.parametrize("step_us", [LIMIT_US, -LIMIT_US])
def test_a_step_up_to_the_limit_is_taken(step_us: int) -> None:
    """One more in the same moment is too much; a while later it is not."""
    clocks = Clocks()
    clocks.go_on(0, step_us)
    assert clocks.books
    clocks.go_on(0, step_us)
    assert not clocks.books
    clocks.go_on(0, -step_us)
    for _ in range(10):
        clocks.go_on(100 * SECOND_US)
        assert clocks.books
    clocks.go_on(0, step_us)
    assert clocks.books


@pytest.mark.parametrize(
    "step_us", [LIMIT_US + 1, -LIMIT_US - 1, 3 * HOUR_US, -(50 * 365 * 24 * HOUR_US)]
)
def test_a_step_beyond_it_stops_booking_until_it_is_taken_back(step_us: int) -> None:
    """With one line when it begins and one when it is over, however often the clock is read."""
    clocks = Clocks()
    with capture_logs() as lines:
        for _ in range(3):
            clocks.go_on(SECOND_US, SECOND_US + step_us)
            for _ in range(4):
                assert not clocks.books
                clocks.go_on(SECOND_US)
            clocks.go_on(SECOND_US, SECOND_US - step_us)
            assert clocks.books
    assert [line["log_level"] for line in lines] == ["error", "warning"] * 3


@pytest.mark.parametrize("step_us", [HOUR_US, -HOUR_US])
def test_what_is_not_booked_goes_on_by_the_time_that_went_by(step_us: int) -> None:
    clocks = Clocks()
    clocks.go_on(SECOND_US, SECOND_US + step_us)
    assert clocks.watch.steady_us() == NOW_US + SECOND_US
    clocks.go_on(HOUR_US)
    assert clocks.watch.steady_us() == NOW_US + SECOND_US + HOUR_US
    assert clocks.watch.confirm(clocks.wall.us)
    assert clocks.watch.steady_us() == clocks.wall.us


def test_many_small_steps_are_a_large_one() -> None:
    clocks = Clocks()
    for _ in range(20):
        clocks.go_on(SECOND_US, 10 * SECOND_US)
        if not clocks.books:
            break
    assert not clocks.books
    assert clocks.wall.us - NOW_US < 2 * LIMIT_US


def test_a_clock_that_is_slewed_goes_on() -> None:
    """By a twelfth, which is the most that chrony does, for a day: that makes two hours."""
    clocks = Clocks()
    for _ in range(24 * 3600):
        clocks.go_on(SECOND_US, SECOND_US + SECOND_US // 12)
        assert clocks.books


def test_an_operator_confirms_what_he_was_shown() -> None:
    clocks = Clocks()
    clocks.go_on(0, HOUR_US)
    assert not clocks.books
    assert not clocks.watch.confirm(clocks.wall.us - LIMIT_US - 1)
    assert not clocks.books
    assert clocks.watch.confirm(clocks.wall.us - LIMIT_US)
    assert clocks.books
    clocks.go_on(0, -HOUR_US)
    assert not clocks.books


def test_a_confirmation_without_a_jump_moves_nothing() -> None:
    """Else somebody could let a clock run away step by step."""
    clocks = Clocks()
    for _ in range(2):
        clocks.go_on(0, LIMIT_US // 2)
        assert clocks.watch.confirm(clocks.wall.us)
    clocks.go_on(0, LIMIT_US // 2)
    assert not clocks.books


def test_a_stop_between_the_two_clocks_is_no_jump() -> None:
    """The process was suspended just then; the second look sees both."""
    clocks = Clocks()
    stopped = iter([HOUR_US])

    def wall_us() -> int:
        read = clocks.wall.us
        clocks.go_on(next(stopped, 0))
        return read

    clocks.watch._now_us = wall_us
    assert clocks.watch.booking_us() == clocks.wall.us


def test_many_threads_see_one_clock() -> None:
    """And one of them tells of the jump."""
    clocks = Clocks()
    refused: list[int] = []

    def read() -> None:
        for _ in range(200):
            try:
                clocks.watch.booking_us()
            except ClockJumped:
                refused.append(1)

    clocks.go_on(0, HOUR_US)
    with capture_logs() as lines:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(refused), len(lines)) == (800, 1)

"""One answer of a phone is good for one question of its gate, also after a restart."""

from __future__ import annotations

import asyncio
import os

import pytest

from kessai.holder import make_nonce
from server.identity.refusals import FieldRefused
from server.switch.questions import MAX_AGE_US, MAX_AHEAD_US, AnswerUsed, Questions
from server.switch.refused import Overloaded

SECOND_US = 1_000_000
GATE = "harbour/gate-1"


class Clock:
    """A time that a test sets."""

    us = 1_790_000_000_000_000

    def __call__(self) -> int:
        return self.us

    def nonce(self, ago_us: int = 0) -> bytes:
        """Make a gate's nonce, some time ago."""
        return make_nonce(self.us - ago_us, os.urandom)


class Answers:
    """Counts what was really asked."""

    def __init__(self) -> None:
        self.count = 0
        self.failing = False

    async def __call__(self) -> int:
        self.count += 1
        await asyncio.sleep(0)
        if self.failing:
            raise RuntimeError("the store is away")
        return self.count


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def questions(clock: Clock) -> Questions[int]:
    """A switch that runs for some minutes."""
    made = Questions[int](clock)
    clock.us += 300 * SECOND_US
    return made


async def test_the_same_question_gets_the_first_answer(
    clock: Clock, questions: Questions[int]
) -> None:
    """As after an answer that was lost; two at once are asked once."""
    nonce, answers = clock.nonce(), Answers()
    both = (questions.once(GATE, nonce, b"may he?", answers) for _ in range(2))
    assert await asyncio.gather(*both) == [1, 1]
    assert await questions.once(GATE, nonce, b"may he?", answers) == 1
    assert answers.count == 1


async def test_another_question_gets_none(clock: Clock, questions: Questions[int]) -> None:
    nonce, answers = clock.nonce(), Answers()
    await questions.once(GATE, nonce, b"has he 5.00?", answers)
    with pytest.raises(AnswerUsed):
        await questions.once(GATE, nonce, b"has he 2.50?", answers)
    assert answers.count == 1
    assert await questions.once("harbour/gate-2", nonce, b"has he 2.50?", answers) == 2


async def test_an_answer_grows_old(clock: Clock, questions: Questions[int]) -> None:
    """At the very moment; so what it was used for need not be remembered longer."""
    nonce, answers = clock.nonce(), Answers()
    await questions.once(GATE, nonce, b"may he?", answers)
    clock.us += MAX_AGE_US
    assert await questions.once(GATE, clock.nonce(MAX_AGE_US), b"may she?", answers) == 2
    clock.us += 1
    assert await questions.once(GATE, clock.nonce(), b"may they?", answers) == 3
    assert len(questions._asked) == 1
    with pytest.raises(FieldRefused, match="clock"):
        await questions.once(GATE, nonce, b"has he 2.50?", answers)


async def test_a_gate_whose_clock_is_far_ahead_is_told(
    clock: Clock, questions: Questions[int]
) -> None:
    assert await questions.once(GATE, clock.nonce(-MAX_AHEAD_US), b"may he?", Answers()) == 1
    for ago_us in (-MAX_AHEAD_US - 1, MAX_AGE_US + 1, clock.us):
        with pytest.raises(FieldRefused, match="clock"):
            await questions.once(GATE, clock.nonce(ago_us), b"may he?", Answers())


async def test_an_answer_of_before_the_start_is_used(clock: Clock) -> None:
    """The former run may have taken it."""
    questions = Questions[int](clock)
    with pytest.raises(AnswerUsed):
        await questions.once(GATE, clock.nonce(1), b"may he?", Answers())
    assert await questions.once(GATE, clock.nonce(), b"may he?", Answers()) == 1


async def test_a_question_that_failed_may_be_asked_again(
    clock: Clock, questions: Questions[int]
) -> None:
    nonce, answers = clock.nonce(), Answers()
    answers.failing = True
    with pytest.raises(RuntimeError):
        await questions.once(GATE, nonce, b"may he?", answers)
    answers.failing = False
    assert await questions.once(GATE, nonce, b"may he?", answers) == 2


async def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    questions = Questions[int](clock, limit=2)
    for _ in range(2):
        await questions.once(GATE, clock.nonce(), b"may he?", Answers())
    with pytest.raises(Overloaded):
        await questions.once(GATE, clock.nonce(), b"may he?", Answers())
    clock.us += MAX_AGE_US + 1
    assert await questions.once(GATE, clock.nonce(), b"may he?", Answers()) == 1

"""Questions about holders who stand at a gate: one answer of a phone, one question of its gate.

A gate's nonce begins with its time (`kessai.holder.make_nonce`), and the phone signs a hash of it,
so an answer has an age that nobody can alter. The switch takes it while it is young, and remembers
for as long what it was used for: the same question again, as after a lost answer, gets the first
answer; another question with it gets none. What a former run may have answered is too old.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kessai.holder import nonce_us
from server.identity.refusals import FieldRefused
from server.switch.refused import Overloaded

# How old a nonce may be: a phone answers at once, and a gate asks again for some seconds.
MAX_AGE_US = 60_000_000
# How far a gate's clock may be ahead.
MAX_AHEAD_US = 30_000_000
MAX_REMEMBERED = 1 << 18

Told = TypeVar("Told")


class AnswerUsed(Exception):
    """The phone's answer was used before: for another question, or before the switch's start."""


@dataclass(frozen=True, slots=True)
class _Question(Generic[Told]):
    content: bytes
    nonce_us: int
    told: asyncio.Future[Told]


class Questions(Generic[Told]):
    """What was asked lately, by nonce. For one event loop."""

    def __init__(self, now_us: Callable[[], int], limit: int = MAX_REMEMBERED) -> None:
        self._now_us, self._limit = now_us, limit
        self._start_us = now_us()
        self._asked: dict[tuple[str, bytes], _Question[Told]] = {}

    async def once(
        self, asker: str, nonce: bytes, content: bytes, answer: Callable[[], Awaitable[Told]]
    ) -> Told:
        """Answer a question, or give the answer that the same one got before.

        `content` is all that was asked; `asker` and `nonce`, 32 bytes, name it. Whether a phone
        answered that nonce, the caller has checked. What `answer` raises is raised, and the
        question may be asked again. FieldRefused if the nonce is of no time near, AnswerUsed,
        Overloaded.
        """
        key = (asker, nonce)
        before = self._asked.get(key)
        if before is not None:
            if before.content != content:
                raise AnswerUsed
            return await asyncio.shield(before.told)
        self._check_age(nonce_us(nonce))
        self._forget_old()
        if len(self._asked) >= self._limit:
            raise Overloaded
        told: asyncio.Future[Told] = asyncio.ensure_future(answer())
        self._asked[key] = _Question(content, nonce_us(nonce), told)
        told.add_done_callback(lambda _: self._forget_if_failed(key, told))
        return await asyncio.shield(told)

    def _forget_if_failed(self, key: tuple[str, bytes], told: asyncio.Future[Told]) -> None:
        if told.cancelled() or told.exception() is not None:
            self._asked.pop(key, None)

    def _check_age(self, made_us: int) -> None:
        now_us = self._now_us()
        if not now_us - MAX_AGE_US <= made_us <= now_us + MAX_AHEAD_US:
            raise FieldRefused("nonce", "does not begin with the time now: check the gate's clock")
        if made_us < self._start_us:
            raise AnswerUsed

    def _forget_old(self) -> None:
        """Forget what is too old to be taken; the dictionary is in the order of asking."""
        oldest_us = self._now_us() - MAX_AGE_US
        while self._asked:
            key, question = next(iter(self._asked.items()))
            if question.nonce_us >= oldest_us:
                return
            del self._asked[key]

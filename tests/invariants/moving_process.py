"""A switch's kernel whose slots move while it is paid at, until it is killed; run as a process.

Run by `test_kill_while_moving`. It reads a pickled `Past` from standard input: what was asked
before, and the answers. It asks for all that again and ends with code 3 if an answer differs. Then
it pays, merges and moves for ever, and prints a line before each thing and after each answer, all
in hex: "sent <command>", "answer <request id> <shard> <chain hash>", and "rebalance", "merge" and
"deposit" when one of these begins.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, ParamSpec, TypeVar

from kessai.request_id import new_request_id
from server.domain.command import Command
from tests.invariants.moving import MOVING, PAYERS, SHARDS, SHOPS, Life, life, opening
from tests.unit.server.domain.commands import NOW_US, pay
from tests.unit.server.shards.parts import Clock, Stores

EXIT_DIFFERS = 3
_TILLS = 4

P = ParamSpec("P")
Given = TypeVar("Given")


@dataclass
class Past:
    """What was asked before, by request id, and the answers that came: shard and chain hash."""

    folder: Path
    urls: tuple[str, ...]
    books_id: str
    seed: int
    asked: dict[bytes, Command] = field(default_factory=dict)
    answers: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)


def tell(*words: str) -> None:
    """Print a line, at once and whole."""
    os.write(1, (" ".join(words) + "\n").encode())


async def settle(now: Life, command: Command) -> tuple[int, bytes]:
    """Ask, and say what was asked and answered."""
    tell("sent", pickle.dumps(command).hex())
    shard, row = await now.settle(command)
    tell("answer", command.request_id.hex(), str(shard), row.chain_hash.hex())
    return shard, row.chain_hash


async def ask_again(now: Life, past: Past) -> None:
    """Ask for all that was asked before: what was answered is answered the same."""
    answers = await asyncio.gather(*(settle(now, command) for command in past.asked.values()))
    for request_id, answer in zip(past.asked, answers, strict=True):
        if past.answers.get(request_id, answer) != answer:
            tell("differs", request_id.hex())
            os._exit(EXIT_DIFFERS)


async def pay_for_ever(now: Life, dice: Random) -> None:
    """Pay one thing after another."""
    while True:
        request_id = new_request_id(NOW_US // 1000, os.urandom)
        payer, payee = dice.sample([*PAYERS, *SHOPS], 2)
        await settle(now, pay(payer, payee, dice.randint(1, 99), request_id=request_id))


async def move_for_ever(now: Life, dice: Random) -> None:
    """Move one slot after another."""
    while True:
        now.move(dice.choice(MOVING), dice.randrange(SHARDS))
        await now.moved()


def announced(
    word: str, work: Callable[P, Coroutine[Any, Any, Given]]
) -> Callable[P, Coroutine[Any, Any, Given]]:
    """Say that something begins, and do it."""

    async def announce(*args: P.args, **kwargs: P.kwargs) -> Given:
        tell(word)
        return await work(*args, **kwargs)

    return announce


async def main(past: Past) -> None:
    """Live until the kill."""
    stores = Stores(past.folder, past.urls, past.books_id)
    stores.adopt(SHARDS)
    dice = Random(past.seed)
    async with life(stores, Clock(), works=False) as now:
        now.rebalance._mover.move = announced("rebalance", now.rebalance._mover.move)  # type: ignore[method-assign]
        now.merge._merge = announced("merge", now.merge._merge)  # type: ignore[method-assign]
        now.depositor._deliver = announced("deposit", now.depositor._deliver)  # type: ignore[method-assign]
        await now.start()
        if not past.asked:
            for command in opening():
                await now.settle(command)
        await ask_again(now, past)
        tell("ready")
        tills = (pay_for_ever(now, dice) for _ in range(_TILLS))
        await asyncio.gather(move_for_ever(now, dice), *tills)


if __name__ == "__main__":
    asyncio.run(main(pickle.load(sys.stdin.buffer)))

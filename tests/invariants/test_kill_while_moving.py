"""SIGKILL at random moments of merges, rebalancing and deposits, under load (row B11 to B13).

After every kill the books verify as they lie there, and the next process answers all that was asked
before as it was answered first. KESSAI_KILLS says how many kills, KESSAI_SEED repeats a run.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from random import Random

import pytest

from kessai.request_id import new_request_id
from server.domain.command import Command
from tests.invariants.kill_cases import kills
from tests.invariants.kill_table import WHOLE, KillTable
from tests.invariants.moving import BUSY, CASH, PAYERS, SHARDS, SHOPS, life, verify_all
from tests.invariants.moving_process import Past
from tests.unit.server.domain.commands import EUR, NOW_US
from tests.unit.server.shards.parts import Clock, Stores

KILLS = kills(6)
PHASES = ("merge", "rebalance", "deposit")
ENGINES = ("sqlite", "mix")
LIMIT_S, LONGEST_S = 60.0, 0.03
ASKED_AGAIN = 100


class Killer:
    """Starts the process again and again, and kills it in the middle of something."""

    def __init__(self, stores: Stores, dice: Random) -> None:
        self.dice = dice
        self.past = Past(stores.folder, tuple(stores.urls), stores.books_id, 0)

    def kill_in(self, phase: str) -> None:
        """Let it live until some time into a phase; take note of what it said."""
        self.past.seed = self.dice.getrandbits(32)
        command = [sys.executable, "-m", "tests.invariants.moving_process"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(pickle.dumps(replace(self.past, asked=self.to_ask_again())))
            process.stdin.close()
            is_ready, deadline = False, time.monotonic() + LIMIT_S
            for line in process.stdout:
                word, *values = line.decode().split()
                assert time.monotonic() < deadline
                self.hear(word, values)
                is_ready = is_ready or word == "ready"
                if is_ready and word == phase:
                    break
            assert process.poll() is None, "it ended by itself"
            time.sleep(self.dice.uniform(0, LONGEST_S))  # the kill comes at a random moment
            process.kill()
            for line in process.stdout:
                word, *values = line.decode().split()
                self.hear(word, values)

    def to_ask_again(self) -> dict[bytes, Command]:
        """Choose all that was not answered, and some of the rest; at the end, all is asked."""
        asked = self.past.asked
        some = self.dice.sample(list(asked), min(len(asked), ASKED_AGAIN))
        return {i: asked[i] for i in asked if i not in self.past.answers} | {
            i: asked[i] for i in some
        }

    def hear(self, word: str, values: list[str]) -> None:
        """Take note of a line."""
        assert word != "differs", values
        if word == "sent":
            asked: Command = pickle.loads(bytes.fromhex(values[0]))
            self.past.asked[asked.request_id] = asked
        elif word == "answer":
            answer = int(values[1]), bytes.fromhex(values[2])
            assert self.past.answers.setdefault(bytes.fromhex(values[0]), answer) == answer


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("stores", ENGINES, indirect=True)
async def test_books_and_answers_outlive_every_kill(
    stores: Stores, random_seed: int, kill_table: KillTable
) -> None:
    """Each phase as often as the others; what was cut in it comes to its end."""
    stores.make(SHARDS)
    killer = Killer(stores, Random(random_seed))
    scene = "shards on a mix" if any(stores.urls) else "shards in files"
    kill_table.expect(scene, PHASES)
    for number in range(-(-KILLS // len(ENGINES))):
        phase = PHASES[number % len(PHASES)]
        killer.kill_in(phase)
        assert verify_all(stores).faults == []
        kill_table.add(scene, "switch", phase, WHOLE)
    async with life(stores, Clock()) as last:
        for request_id, command in killer.past.asked.items():
            shard, row = await last.settle(command)
            answer = shard, row.chain_hash
            assert killer.past.answers.get(request_id, answer) == answer
        await last.moved()
        await last.merge.merge_account(BUSY, EUR, new_request_id(NOW_US // 1000, os.urandom))
        await last.depositor.idle(LIMIT_S)
        left = [await last.total(account) for account in (*PAYERS, *SHOPS)]
    assert sum(left) == CASH * len(PAYERS)
    report = verify_all(stores)
    assert (report.faults, report.in_transit, report.slots_moving) == ([], 0, 0)
